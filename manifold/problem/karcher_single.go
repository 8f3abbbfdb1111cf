package problem

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

const (
	// smallestSingle is the number of rows, singleWork that of matrices times its square, from which on the search in single precision pays: what it takes to fit logarithms does
	// not depend on the data.
	smallestSingle, singleWork = 3, 400
	// worstSpread bounds tr A/n tr A^-1/n for data that single precision bears; it is 118 for eigenvalues spread evenly over the logarithms of a condition of 1e4.
	worstSpread = 200
)

// singleInverses computes S_k = sum_j coeff_j (A_k + shift_j X)^-1 in single precision. False means that a matrix is not positive definite to rounding.
type singleInverses interface {
	// set puts the upper triangles of up to four matrices in the place of those of the data from first on, a multiple of four if there are several. Calls for others may run at the same time.
	set(first int, m []dense.Matrix[float64])
	// setLanes is set for four matrices, or what is left of the data, in the lanes of a bundle.
	setLanes(first int, b *dense.Bundle[float64])
	// sumTo sets dst to sum_k weights_k S_k.
	sumTo(dst, x dense.Matrix[float32], shifts, weights, coeff []float64) bool
	// keep keeps all S_k, until it is called again, and sets traces to those of sum_j others_j (A_k + shift_j X)^-1 X.
	keep(x dense.Matrix[float32], shifts, coeff, others, traces []float64) bool
	// harmonic sets dst to sum_k weights_k A_k^-1, and keeps the A_k^-1 if so told.
	harmonic(dst dense.Matrix[float32], weights []float64, keep bool) (f fitness, ok bool)
	// rounds returns the number of inversions, each of as many matrices as are inverted side by side, that a sum for that many shifts takes.
	rounds(shifts int) int
	// data returns the A_k, inverses and kept what is kept of the A_k^-1 and the S_k.
	data() symmetricMatrices[float32]
	inverses() symmetricMatrices[float32]
	kept() symmetricMatrices[float32]
}

// symmetricMatrices are M_k.
type symmetricMatrices[T dense.Float] interface {
	// sum sets dst to sum_k weights_k M_k.
	sum(dst dense.Matrix[T], weights []float64)
	// inner sets dst to the inner products of the M_k with the symmetric x.
	inner(dst []float64, x dense.Matrix[T])
}

// singleStart returns a point where the gradient of the mean's cost, or of the median's, is near the rounding of single precision, or nil where the data are
// too few, too small or too ill-conditioned for that.
func (k *karcherObjective) singleStart(median bool) *manifold.Frame {
	if k.mean == nil {
		return nil
	}
	s := newSingleSearch(k, median)
	if !s.between() || s.search() == searchLost {
		return nil
	}
	return s.found()
}

// singleFirst is firstPoint for methods that bear another first point near the optimum: a start that was given is where the search in single precision begins, and is the first
// point itself where it is as near as that gets, or the search no use.
func (k *karcherObjective) singleFirst(in instance, o *Options, median bool) (*manifold.Frame, error) {
	first, err := firstPoint(in, o)
	if err != nil || o.Start == nil || k.mean == nil {
		return first, err
	}
	s := newSingleSearch(k, median)
	if !s.from(first) {
		return first, nil
	}
	switch s.search() {
	case searchDone:
		if p := s.found(); p != nil {
			return p, nil
		}
	case searchNeedless:
		k.single = s
	}
	return first, nil
}
