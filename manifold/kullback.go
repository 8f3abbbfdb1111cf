package manifold

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

var kullbackAverage = Average{
	Name: "kullback",
	What: "least sum of symmetrised Kullback-Leibler divergences of Gaussians: the geometric mean of the arithmetic and the harmonic mean",
	Mean: func(ms []mat.Symmetric, weights []float64, o AverageOptions) (*mat.SymDense, MeanReport, error) {
		var r MeanReport
		if err := o.Validate(); err != nil {
			return nil, r, err
		}
		x, err := KullbackMean(ms, weights)
		if err != nil {
			return nil, r, err
		}
		return closedForm(x, ms, weights)
	},
}

// closedForm reports a mean that took no iterations.
func closedForm(x *mat.SymDense, ms []mat.Symmetric, weights []float64) (*mat.SymDense, MeanReport, error) {
	frames, w, _, err := framesToAverage(ms, weights, &MeanOptions{})
	if err != nil {
		return nil, MeanReport{}, err
	}
	f, err := NewFrame(x)
	if err != nil {
		return nil, MeanReport{}, err
	}
	spread, err := spreadAbout(f, frames, w)
	return x, MeanReport{Spread: spread}, err
}

// KullbackDivergence returns the Kullback-Leibler divergence of the zero-mean Gaussian with covariance b from the one with covariance a,
// (tr(b^-1 a) - log det(b^-1 a) - n)/2. It is evaluated on the eigenvalues of b^-1 a, so that close matrices lose no digits. Not symmetric; invariant under
// congruence. About 5 n^3 operations. Source: Kullback and Leibler, Ann. Math. Statist. 22 (1951) 79-86.
func KullbackDivergence(a, b mat.Symmetric) (float64, error) {
	_, p, q, err := pair(a, b)
	if err != nil {
		return 0, err
	}
	values, err := pencilValues(q, p)
	if err != nil {
		return 0, err
	}
	var s float64
	for _, l := range values {
		s += (l - 1 - math.Log1p(l-1)) / 2
	}
	return s, nil
}

// KullbackMean returns the minimizer of sum w_k [D(X, A_k) + D(A_k, X)]/2, D the KullbackDivergence: the geometric mean A # H
// of the arithmetic and the harmonic mean of the matrices. nil weights are equal. Source: Moakher and Batchelor, in "Visualization and Processing of
// Tensor Fields", Springer 2006, section 17.3.
func KullbackMean(ms []mat.Symmetric, weights []float64) (*mat.SymDense, error) {
	frames, err := framesOf(ms)
	if err != nil {
		return nil, err
	}
	return KullbackMeanOf(frames, weights)
}

// KullbackMeanOf is KullbackMean of the matrices whose frames are given: an eigendecomposition and, for m matrices, m + 4 products, fewer for large triangular frames. With L L^T = A and K = H^-1, both means of
// what the frames hold, it is L (L^T K L)^-1/2 L^T.
func KullbackMeanOf(frames []*Frame, weights []float64) (*mat.SymDense, error) {
	w, _, err := normalisedWeights(len(frames), weights)
	if err != nil {
		return nil, err
	}
	if k := slices.Index(frames, nil); k >= 0 {
		return nil, fmt.Errorf("manifold: frame %d is nil", k)
	}
	n := frames[0].Dim()
	k, values := dense.New[float64](n, n), make([]float64, n)
	l, c := dense.RecycledMatrix(n, n), dense.RecycledMatrix(n, n)
	defer dense.Recycle(l.Data, c.Data)
	l.Zero()
	for i, f := range frames {
		if f.Dim() != n {
			return nil, fmt.Errorf("manifold: matrix %d has %d rows, but matrix 0 has %d", i, f.Dim(), n)
		}
		f.addMatrix(w[i], l)
		f.addInverse(w[i], k)
	}
	dense.Mirror(k)
	if dense.CholeskyUpper(l) >= 0 {
		return nil, fmt.Errorf("manifold: %w", &PointError{What: "the arithmetic mean is not positive definite to rounding"})
	}
	dense.MulLowerRight(dense.NoTrans, l, k, c)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, l, c, 0, k)
	if !eigen.Sym(k, values) || !(values[0] > 0) {
		return nil, fmt.Errorf("manifold: %w", indefinitePencil(values))
	}
	for i, v := range values {
		values[i] = 1 / math.Sqrt(math.Sqrt(v))
	}
	dense.MulLower(dense.NoTrans, l, k, c)
	for i := range n {
		dense.Multiply(c.Row(i), values, c.Row(i))
	}
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, c, c, 0, k)
	return mat.NewSymDense(n, k.Data), nil
}

// arithmeticMean returns sum w_k F_k F_k^T.
func arithmeticMean(frames []*Frame, w []float64) *mat.SymDense {
	n := frames[0].Dim()
	sum := dense.New[float64](n, n)
	for k, f := range frames {
		f.addMatrix(w[k], sum)
	}
	return mat.NewSymDense(n, sum.Data)
}

// squareStrip is that of triangular frames.
const squareStrip = 128

// strip is the number of columns of F, or rows of F^-1, that are multiplied at a time so that zeros are left out.
func (p *Frame) strip() int {
	if p.lower {
		return squareStrip
	}
	return p.Dim()
}

// addMatrix adds weight F F^T to the upper triangle of sum: n^3 operations, about half of that for triangular frames of 500 rows, a third for large ones.
func (p *Frame) addMatrix(weight float64, sum dense.Matrix[float64]) {
	f, n, strip := p.matrix(), p.Dim(), p.strip()
	for j := 0; j < n; j += strip {
		cols := f.View(j, j, n-j, min(strip, n-j))
		dense.GemmUpper(dense.NoTrans, dense.Transposed, weight, cols, cols, 1, sum.View(j, j, n-j, n-j))
	}
}

// addInverse does the same for F^-T F^-1.
func (p *Frame) addInverse(weight float64, sum dense.Matrix[float64]) {
	inv, n, strip := p.inverse(), p.Dim(), p.strip()
	for i := 0; i < n; i += strip {
		size := min(strip, n-i)
		rows := inv.View(i, 0, size, i+size)
		dense.GemmUpper(dense.Transposed, dense.NoTrans, weight, rows, rows, 1, sum.View(0, 0, i+size, i+size))
	}
}
