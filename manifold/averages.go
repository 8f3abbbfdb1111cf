package manifold

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/gonum/mat"
)

// Average is a mean of many SPD matrices that is not the Frechet mean of a metric of Metrics: it minimizes another divergence, or is defined by an equation
// or a recursion.
type Average struct {
	Name string // as used on the command line
	What string // one line
	// Mean returns the mean and how the iteration ended; nil weights are equal. A run that ends early is a *ConvergenceError, and the matrix with it the last
	// iterate.
	Mean func(ms []mat.Symmetric, weights []float64, o AverageOptions) (*mat.SymDense, MeanReport, error)
}

// AverageOptions configures Average.Mean; the zero value is the default.
type AverageOptions struct {
	MeanOptions
	// Power is the order of the power mean, from -1 to 1; the default for 0 is 1/2. For the limit 0 take the affine-invariant Mean. Others ignore it.
	Power float64
}

// Averages returns every mean that is not that of a metric, in a fixed order.
func Averages() []Average {
	return []Average{
		steinAverage,
		thompsonAverage,
		kullbackAverage,
		powerAverage,
		aleAverage,
		almAverage,
		bmpAverage,
		cheapAverage,
	}
}

// AverageByName returns the mean of Averages with the given name; an unknown name is an error that lists the names.
func AverageByName(name string) (Average, error) {
	var names []string
	for _, a := range Averages() {
		if a.Name == name {
			return a, nil
		}
		names = append(names, a.Name)
	}
	return Average{}, fmt.Errorf("manifold: no mean %q, want one of %s", name, strings.Join(names, ", "))
}

// lastIterate returns the matrix of p, which converged or ended early; nil after another error.
func lastIterate(p Point, err error) *mat.SymDense {
	var early *ConvergenceError
	if err != nil && !errors.As(err, &early) {
		return nil
	}
	s, _ := formed(p.(*Frame))
	return s
}

// formed returns the matrix of p, or an error where the point is singular to rounding or its entries are no numbers.
func formed(p *Frame) (*mat.SymDense, error) {
	if err := p.complete(); err != nil {
		return nil, fmt.Errorf("manifold: %w", err)
	}
	s := p.Sym()
	for i := range p.Dim() {
		if d := s.At(i, i); !(d > 0) || math.IsInf(d, 1) {
			return nil, fmt.Errorf("manifold: %w", &PointError{What: fmt.Sprintf("entry (%d,%d) of the result leaves the range of numbers: it is %v", i, i, d)})
		}
	}
	return s, nil
}

// spreadAbout returns the root mean square affine-invariant distance of the frames from x.
func spreadAbout(x *Frame, frames []*Frame, w []float64) (float64, error) {
	m, distances := affine(x.Dim()), make([]float64, len(frames))
	if err := apart(distances, x, frames, func(p, q *Frame) (float64, error) { return m.Distance(p, q) }); err != nil {
		return 0, err
	}
	var sum float64
	for k, d := range distances {
		sum += w[k] * d * d
	}
	return math.Sqrt(sum), nil
}
