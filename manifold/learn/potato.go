package learn

import (
	"cmp"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
)

// PotatoOptions configures NewPotato; the zero value is the default.
type PotatoOptions struct {
	// Metric is a name of manifold.Metrics; the default is affine-invariant.
	Metric string
	// Threshold is the score from which on a matrix is an outlier; default 3.
	Threshold float64
	// MaxIterations bounds the rounds of rejection; default 100.
	MaxIterations int
	// Stop is asked after every round that rejects something, with the share that is rejected; true ends the run. Default none.
	Stop func(rounds int, rejected float64) bool
}

// Validate returns an error that names the first field that is out of range.
func (o PotatoOptions) Validate() error {
	switch {
	case !(o.Threshold >= 0) || math.IsInf(o.Threshold, 1):
		return fmt.Errorf("learn: Threshold is %v, want a positive number (0 for the default, 3)", o.Threshold)
	case o.MaxIterations < 0:
		return fmt.Errorf("learn: MaxIterations is %d, want at least 1 (0 for the default, 100)", o.MaxIterations)
	}
	return nil
}

// Potato is a region of normal matrices around a centre: the logarithm of the distance from it, standardised over the normal matrices, is below a threshold.
// Source: Barachant, Andreev and Congedo, "The Riemannian potato", TOBI Workshop IV, 2013; Barthelemy, Mayaud, Ojeda and Congedo, IEEE Trans. Neural Syst.
// Rehabil. Eng. 27 (2019) 244-255.
type Potato struct {
	Centre     *mat.SymDense // mean of the normal matrices, and of those that the last round rejected if it has not converged
	LogMean    float64       // mean of the logarithms of their distances from it
	LogSpread  float64       // and their standard deviation
	Normal     []bool        // of the matrices it was made from
	Residual   float64       // norm of the mean of the logarithms at the centre, which vanishes at the mean
	Iterations int           // rounds of rejection
	Converged  bool          // whether the last round rejected none
	Stopped    bool          // whether Stop ended the run
	threshold  float64
	floor      float64 // distance below which matrices count as equal to the centre
	m          geometry
	at         manifold.Point
}

// NewPotato finds the centre and the threshold in rounds: the mean of the matrices that are left, and rejection of those whose score is at least
// PotatoOptions.Threshold. A matrix that was rejected does not come back. A mean and a distance for each matrix in a round.
func NewPotato(ms []mat.Symmetric, o PotatoOptions) (*Potato, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c, err := newCloud(o.Metric, ms)
	if err != nil {
		return nil, err
	}
	p := &Potato{m: c.m, threshold: cmp.Or(o.Threshold, 3), Normal: make([]bool, len(ms))}
	left := all(len(ms))
	d := make([]float64, len(ms))
	for range cmp.Or(o.MaxIterations, 100) {
		if p.at, p.Residual, err = c.mean(left, p.at); err != nil {
			return nil, fmt.Errorf("learn: the centre: %w", err)
		}
		if err := p.measure(c, left, d); err != nil {
			return nil, err
		}
		p.Iterations++
		var kept []int
		for i, k := range left {
			if p.score(d[i]) < p.threshold {
				kept = append(kept, k)
			}
		}
		if len(kept) < 2 {
			return nil, fmt.Errorf("learn: %d of %d matrices are left at the threshold %g; raise it", len(kept), len(ms), p.threshold)
		}
		if p.Converged = len(kept) == len(left); p.Converged {
			break
		}
		left = kept
		if p.Stopped = o.Stop != nil && o.Stop(p.Iterations, 1-float64(len(left))/float64(len(ms))); p.Stopped {
			break
		}
	}
	for _, k := range left {
		p.Normal[k] = true
	}
	p.Centre = matrix(c.m, p.at)
	return p, nil
}

// measure writes the distances of the matrices that are left and sets what standardises them.
func (p *Potato) measure(c *cloud, left []int, d []float64) error {
	points := make([]manifold.Point, len(left))
	for i, k := range left {
		points[i] = c.points[k]
	}
	if err := distances(d, p.m, p.at, points); err != nil {
		return err
	}
	var square float64
	for _, v := range d[:len(left)] {
		square += v * v / float64(len(left))
	}
	if p.floor = rounding(p.m, p.at); math.Sqrt(square) <= p.floor {
		return errors.New("learn: all matrices are equal: no distance to compare others with; give matrices that differ")
	}
	count := float64(len(left))
	p.LogMean, p.LogSpread = 0, 0
	for _, v := range d[:len(left)] {
		p.LogMean += math.Log(max(v, p.floor)) / count
	}
	for _, v := range d[:len(left)] {
		e := math.Log(max(v, p.floor)) - p.LogMean
		p.LogSpread += e * e / count
	}
	p.LogSpread = max(math.Sqrt(p.LogSpread), 1e-12)
	return nil
}

// score standardises the logarithm of a distance.
func (p *Potato) score(d float64) float64 {
	return (math.Log(max(d, p.floor)) - p.LogMean) / p.LogSpread
}

// Scores returns the standardised logarithms of the distances of SPD matrices from the centre; an outlier has one of at least the threshold.
func (p *Potato) Scores(ms []mat.Symmetric) ([]float64, error) {
	points, err := pointsOf(p.m, ms)
	if err != nil {
		return nil, err
	}
	z := make([]float64, len(ms))
	if err := distances(z, p.m, p.at, points); err != nil {
		return nil, err
	}
	for i, d := range z {
		z[i] = p.score(d)
	}
	return z, nil
}

// Probability returns the chance that a normal matrix has a score above z, if the logarithms of distances are Gaussian.
func Probability(z float64) float64 { return math.Erfc(z/math.Sqrt2) / 2 }
