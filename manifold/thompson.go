package manifold

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

var thompson = Comparison{
	Name:     "thompson",
	What:     "max |log eigenvalue of A^-1 B|: the largest relative change in any direction; invariant under congruence and inversion",
	Distance: ThompsonDistance,
	Mean: func(ms []mat.Symmetric, w []float64) (*mat.SymDense, error) {
		return ThompsonMean(ms, w, MeanOptions{})
	},
	Median: func(ms []mat.Symmetric, w []float64) (*mat.SymDense, error) {
		return ThompsonMedian(ms, w, MeanOptions{})
	},
}

var thompsonAverage = Average{
	Name: "thompson",
	What: "where the weighted initial velocities of the Thompson geodesics to the matrices balance",
	Mean: func(ms []mat.Symmetric, weights []float64, o AverageOptions) (*mat.SymDense, MeanReport, error) {
		return sprayAverage(ms, weights, o.MeanOptions, (*average).mean)
	},
}

// ThompsonDistance returns the Thompson part metric, the largest magnitude of a log-eigenvalue of a^-1 b. Invariant under congruence and
// inversion; a Finsler distance: minimal geodesics are many, see ThompsonGeodesic. Source: Thompson, Proc. Amer. Math. Soc. 14 (1963) 438-443.
func ThompsonDistance(a, b mat.Symmetric) (float64, error) {
	_, p, q, err := pair(a, b)
	if err != nil {
		return 0, err
	}
	w, err := pencilValues(p, q)
	if err != nil {
		return 0, err
	}
	return math.Max(-math.Log(w[0]), math.Log(w[len(w)-1])), nil
}

// ThompsonGeodesic returns the point at time t in [0, 1] on the minimal geodesic from a to b that is a linear combination of the two: with the
// extreme eigenvalues l < h of a^-1 b, ((h^t - l^t) b + (h l^t - l h^t) a)/(h - l). Other t are an error. Source: Nussbaum, Differential Integral
// Equations 7 (1994) 1649-1707.
func ThompsonGeodesic(a, b mat.Symmetric, t float64) (*mat.SymDense, error) {
	if !(t >= 0 && t <= 1) {
		return nil, fmt.Errorf("manifold: t is %v, want 0 to 1: outside, the path need not stay in the cone", t)
	}
	_, p, q, err := pair(a, b)
	if err != nil {
		return nil, err
	}
	c := dense.New[float64](p.Dim(), p.Dim())
	l, h, err := pencilRange(c, p, q)
	if err != nil {
		return nil, err
	}
	// With r = (h - l)/l: l^t ((1+r)^t - 1)/(l r) of b and l^t (1 + r - (1+r)^t)/r of a.
	r, scale := (h-l)/l, math.Pow(l, t)
	grow := t
	if r > 0 {
		grow = math.Expm1(t*math.Log1p(r)) / r
	}
	x, y := mat.NewSymDense(p.Dim(), nil), mat.NewSymDense(p.Dim(), nil)
	x.ScaleSym(scale*(1-grow), a)
	y.ScaleSym(scale*grow/l, b)
	x.AddSym(x, y)
	return x, nil
}

// spray lets Mean and Median run on the Thompson metric: the logarithm is the initial velocity of ThompsonGeodesic, whose spectral norm is the
// Thompson distance.
type spray struct{ *Affine }

// Log writes to v the whitened velocity log(h/l)/(h-l) C + (h log l - l log h)/(h-l) I with C = F^-1 T F^-T.
func (m spray) Log(v []float64, p, q Point) error {
	c := dense.Wrap(m.n, m.n, v)
	l, h, err := pencilRange(c, asFrame(p, m.n), asFrame(q, m.n))
	if err != nil {
		return err
	}
	slope := 1 / logarithmicMean(l, h)
	dense.Scale(slope, v, v)
	for i := range m.n {
		c.Set(i, i, c.At(i, i)+math.Log(l)-slope*l)
	}
	return nil
}

// length returns the spectral norm of a whitened vector.
func (m spray) length(p Point, v []float64) float64 {
	f := asFrame(p, m.n)
	w := f.scratch(2)[1]
	copy(w.Data, v)
	if !eigen.SymValues(w, f.values) {
		return math.NaN()
	}
	return math.Max(-f.values[0], f.values[m.n-1])
}

// ThompsonMean returns the matrix x at which the weighted initial velocities of the geodesics (ThompsonGeodesic) to the A_k balance, by
// the fixed point iteration of Mean. nil weights are equal; Start must be nil or a *Frame. For two matrices it is a point of their geodesic, for
// multiples of one matrix the geometric mean; it is equivariant under congruence. It is not the minimizer of the sum of squared distances, which
// need not be unique for this metric, and no proof of convergence is known: a run that does not converge is a *ConvergenceError.
func ThompsonMean(ms []mat.Symmetric, weights []float64, o MeanOptions) (*mat.SymDense, error) {
	x, _, err := sprayAverage(ms, weights, o, (*average).mean)
	return x, err
}

// ThompsonMedian is ThompsonMean with velocities of unit length (in the spectral norm): the weights w_k are divided by the distances, as in Median.
func ThompsonMedian(ms []mat.Symmetric, weights []float64, o MeanOptions) (*mat.SymDense, error) {
	x, _, err := sprayAverage(ms, weights, o, (*average).median)
	return x, err
}

func sprayAverage(ms []mat.Symmetric, weights []float64, o MeanOptions, run func(*average) (Point, MeanReport, error)) (*mat.SymDense, MeanReport, error) {
	frames, err := framesOf(ms)
	if err != nil {
		return nil, MeanReport{}, err
	}
	points := make([]Point, len(frames))
	n := 1
	for k, f := range frames {
		points[k], n = f, f.Dim()
	}
	m := spray{affine(n)}
	a, err := newAverage(m, m.length, points, weights, o)
	if err != nil {
		return nil, MeanReport{}, err
	}
	x, r, err := run(a)
	return lastIterate(x, err), r, err
}
