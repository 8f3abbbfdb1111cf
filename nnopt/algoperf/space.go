package algoperf

import (
	"fmt"
	"math"
)

// Point holds values of the hyperparameters of a trial by name.
type Point map[string]float64

// Dim is a hyperparameter of a search space.
type Dim struct {
	Name      string
	Low, High float64   // the range
	Log       bool      // evenly in the logarithm
	Choices   []float64 // instead of a range
}

// Space says how the trials of a study are tuned: the fixed points one after the other, or points of a Halton sequence in the ranges of the dimensions.
type Space struct {
	Dims  []Dim
	Fixed []Point
}

// halton returns element i = 1, 2, ... of the van der Corput sequence in the given base: the digits of i mirrored at the point (Halton 1960).
func halton(i, base int) float64 {
	v, weight := 0.0, 1.0
	for ; i > 0; i /= base {
		weight /= float64(base)
		v += weight * float64(i%base)
	}
	return v
}

var haltonBases = []int{2, 3, 5, 7, 11, 13, 17, 19}

// Validate reports what makes the space unusable.
func (s *Space) Validate() error {
	if len(s.Dims) > 0 && len(s.Fixed) > 0 {
		return fmt.Errorf("a search space has dimensions or fixed points, not both")
	}
	if len(s.Dims) > len(haltonBases) {
		return fmt.Errorf("a search space of %d dimensions; at most %d are possible", len(s.Dims), len(haltonBases))
	}
	for _, d := range s.Dims {
		if len(d.Choices) > 0 {
			continue
		}
		if !(d.Low < d.High) || d.Log && !(d.Low > 0) || math.IsInf(d.High-d.Low, 0) {
			return fmt.Errorf("hyperparameter %s: a range from %v to %v", d.Name, d.Low, d.High)
		}
	}
	return nil
}

// At returns the point of a trial of a study that has the given number of trials. Fixed points are the same in all studies; a Halton sequence goes on
// from study to study.
func (s *Space) At(study, trial, trials int) Point {
	if len(s.Fixed) > 0 {
		return s.Fixed[trial%len(s.Fixed)]
	}
	p := Point{}
	for k, d := range s.Dims {
		p[d.Name] = d.at(halton(study*trials+trial+1, haltonBases[k]))
	}
	return p
}

func (d *Dim) at(u float64) float64 {
	switch {
	case len(d.Choices) > 0:
		return d.Choices[min(int(u*float64(len(d.Choices))), len(d.Choices)-1)]
	case d.Log:
		return d.Low * math.Pow(d.High/d.Low, u)
	}
	return d.Low + u*(d.High-d.Low)
}
