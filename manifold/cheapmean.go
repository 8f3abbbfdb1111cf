package manifold

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

var cheapAverage = Average{
	Name: "cheap",
	What: "Bini and Iannazzo: each matrix moves to the exponential of the mean logarithm seen from it, until all agree; near the Karcher mean",
	Mean: func(ms []mat.Symmetric, weights []float64, o AverageOptions) (*mat.SymDense, MeanReport, error) {
		return cheapMean(ms, weights, o.MeanOptions)
	},
}

// CheapMean returns the cheap mean of SPD matrices, the common limit of A_h <- Exp_{A_h}(sum w_k Log_{A_h}(A_k)), all moved at once. It converges cubically,
// with one eigendecomposition for each pair of matrices and iteration, and agrees with the Karcher mean to third order in the spread. For data far apart it
// need not converge, which is a *ConvergenceError. Equivariant under congruence and inversion; not monotone. nil weights are equal; Start is ignored.
// Source: Bini and Iannazzo, Adv. Comput. Math. 35 (2011) 175-192.
func CheapMean(ms []mat.Symmetric, weights []float64, o MeanOptions) (*mat.SymDense, error) {
	x, _, err := cheapMean(ms, weights, o)
	return x, err
}

func cheapMean(ms []mat.Symmetric, weights []float64, o MeanOptions) (*mat.SymDense, MeanReport, error) {
	var r MeanReport
	here, w, _, err := framesToAverage(ms, weights, &o)
	if err != nil {
		return nil, r, err
	}
	o = o.withDefaults()
	n := here[0].Dim()
	if r.Spread, err = spreadAbout(here[0], here, w); err != nil {
		return nil, r, err
	}
	limit := max(o.Tolerance*r.Spread, 0x1p-48*float64(n))
	next := make([]*Frame, len(here))
	for k := range next {
		next[k] = IdentityFrame(n, 1)
	}
	s := &cheapStep{m: affine(n), w: w, moves: make([]float64, len(w)), blocked: make([]error, len(w))}
	s.spaces.Make = func() *[2][]float64 { return &[2][]float64{make([]float64, n*n), make([]float64, n*n)} }
	for {
		s.here, s.next = here, next
		if err := dense.Each(len(here), operations(len(here)*len(here), n), s.move); err != nil {
			return nil, r, err
		}
		r.Residual = slices.Max(s.moves)
		for _, err := range s.blocked {
			if err != nil {
				return lastIterate(here[0], nil), r, &ConvergenceError{Report: r, Limit: limit, Cause: err}
			}
		}
		here, next = next, here
		if r.Residual <= limit {
			mean, err := formed(here[0])
			return mean, r, err
		}
		r.Iterations++
		if err := o.over(r, limit); err != nil {
			return lastIterate(here[0], nil), r, err
		}
	}
}

// cheapStep moves all matrices at once.
type cheapStep struct {
	m          *Affine
	w          []float64
	here, next []*Frame
	moves      []float64 // their lengths
	blocked    []error   // why one cannot be moved
	spaces     dense.Spaces[[2][]float64]
}

// move moves one matrix. What it reads of the others is complete.
func (s *cheapStep) move(h int) error {
	w := s.spaces.Take()
	defer s.spaces.Give(w)
	v, sum := w[0], w[1]
	clear(sum)
	for k, y := range s.here {
		if k == h {
			continue
		}
		if err := s.m.Log(v, s.here[h], y); err != nil {
			return err
		}
		dense.Axpy(s.w[k], v, sum)
	}
	s.moves[h] = math.Sqrt(dense.Dot(sum, sum))
	if s.blocked[h] = s.m.Exp(s.next[h], s.here[h], sum); s.blocked[h] == nil {
		s.blocked[h] = s.m.Complete(s.next[h])
	}
	return nil
}
