package problem

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

const (
	// smallestSingle is the number of rows from which on the search in single precision pays.
	smallestSingle = 24
	// worstSpread bounds tr A/n tr A^-1/n for data that single precision bears; it is 118 for eigenvalues spread evenly over the logarithms of a condition of 1e4.
	worstSpread = 200
	// singleFloor is the gradient, relative to the root mean square distance, at which the search ends.
	singleFloor = 4e-6
)

// singleInverses computes S_k = sum_j coeff_j (A_k + shift_j X)^-1 in single precision. False means that a matrix is not positive definite to rounding.
type singleInverses interface {
	// sumTo sets dst to sum_k weights_k S_k.
	sumTo(dst, x dense.Matrix[float32], shifts, weights, coeff []float64) bool
	// keep keeps all S_k until the next call of keep.
	keep(x dense.Matrix[float32], shifts, coeff []float64) bool
	// keptSum sets dst to the sum of what is kept with other weights.
	keptSum(dst dense.Matrix[float32], weights []float64)
	// keptInner sets dst to the inner products of what is kept with the symmetric x.
	keptInner(dst []float64, x dense.Matrix[float32])
	// keptSquares sets dst to tr (constant I - S_k X)^2.
	keptSquares(dst []float64, x dense.Matrix[float32], constant float64)
	// inner sets dst to the inner products of the data with the symmetric x.
	inner(dst []float64, x dense.Matrix[float32])
}

// singleStart returns a point where the gradient of the mean's cost, or of the median's, is near the rounding of single precision, or nil where the data are
// too few, too small or too ill-conditioned for that.
func (k *karcherObjective) singleStart(median bool) *manifold.Frame {
	if k.n < smallestSingle || len(k.matrices) < 3 {
		return nil
	}
	arithmetic, harmonic, ok := k.singleMeans()
	if !ok {
		return nil
	}
	s := newSingleSearch(k, arithmetic, harmonic, median)
	if !s.between() || !s.search() {
		return nil
	}
	x := dense.New[float64](k.n, k.n)
	for i, v := range s.x.Data {
		x.Data[i] = float64(v)
	}
	p, err := manifold.NewFrame(symmetric(x))
	if err != nil {
		return nil
	}
	k.single = s
	return p
}

// singleMeans returns the means of the data and of their inverses, and whether single precision bears their condition.
func (k *karcherObjective) singleMeans() (arithmetic, harmonic dense.Matrix[float32], ok bool) {
	arithmetic, harmonic = dense.New[float32](k.n, k.n), dense.New[float32](k.n, k.n)
	if k.mean != nil {
		k.sideBySide().mean(arithmetic, k.weights)
		harmonic.Copy(*k.mean)
		return arithmetic, harmonic, true
	}
	n, a, h := float64(k.n), dense.New[float64](k.n, k.n), dense.New[float64](k.n, k.n)
	for i, f := range k.factors() {
		l, inv := view(f.F()), view(f.Inverse())
		if s := dense.Dot(l.Data, l.Data) / n * dense.Dot(inv.Data, inv.Data) / n; !(s <= worstSpread) {
			return arithmetic, harmonic, false
		}
		for j := range k.n {
			dense.Axpy(k.weights[i], k.upper[i].Row(j)[j:], a.Row(j)[j:])
		}
		addGram(k.weights[i], inv, h)
	}
	narrow(arithmetic.Data, a.Data)
	narrow(harmonic.Data, h.Data)
	dense.Mirror(arithmetic)
	dense.Mirror(harmonic)
	return arithmetic, harmonic, true
}

// narrow rounds to single precision.
func narrow(dst []float32, src []float64) {
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = float32(v)
	}
}
