package curvature

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// XTrace estimates the trace of a square operator by XTrace (Epperly, Tropp and Webber, arXiv:2301.07825): every probe serves both the sketch and, with the
// sketch of all others, the residual. Products must be even, and half of it below the dimension. It is exact once half of the products exceeds the
// rank. StdErr is the paper's estimate of the error, from the spread of the leave-one-out estimates.
func XTrace(a Operator, p Probes) (Estimate, error) {
	w, err := p.exchangeable(a)
	if err != nil {
		return Estimate{}, err
	}
	return xtrace(a, w)
}

// exchangeable draws half as many probes as products, for XTrace and XDiag.
func (p Probes) exchangeable(a Operator) (dense.Matrix[float64], error) {
	n, err := squareDim(a)
	if err != nil {
		return dense.Matrix[float64]{}, err
	}
	if p.Products/2 >= n {
		return dense.Matrix[float64]{}, dataError("products", "half of %d is not below the dimension %d; form the operator instead", p.Products, n)
	}
	return p.draw(n, p.Products/2, 2)
}

// leaveOneOut is what XTrace and XDiag share: A W^T = Q R with the rows of q as columns of Q, and the directions s_i (rows of s) that take probe i out of
// the sketch: the normalised columns of R^-T.
type leaveOneOut struct {
	q, s dense.Matrix[float64]
}

// newLeaveOneOut takes the products aw = A W and overwrites them with q.
func newLeaveOneOut(aw dense.Matrix[float64]) leaveOneOut {
	r := eigen.Orthonormalise(aw)
	s := dense.New[float64](aw.Rows, aw.Rows)
	for i := range s.Rows {
		row := s.Row(i)
		for k := i; k < r.Rows; k++ { // R^T row = e_i
			v := 0.0
			if k == i {
				v = 1
			}
			for j := i; j < k; j++ {
				v -= r.At(j, k) * row[j]
			}
			row[k] = v / r.At(k, k)
		}
		normaliseLarge(row)
	}
	return leaveOneOut{aw, s}
}

// normaliseLarge is normalise for numbers whose squares may overflow.
func normaliseLarge(x []float64) {
	var top float64
	for _, v := range x {
		top = max(top, v, -v)
	}
	if top > 0 {
		for i := range x {
			x[i] /= top
		}
		normalise(x)
	}
}

// coefficients returns c = (I - s s^T) Q^T x for s = s_i: what P_i = I - Q (I - s s^T) Q^T takes out of x along Q.
func (l *leaveOneOut) coefficients(i int, x []float64) []float64 {
	c := make([]float64, l.q.Rows)
	dense.Gemv(dense.NoTrans, 1, l.q, x, 0, c)
	s := l.s.Row(i)
	dense.Axpy(-dense.Dot(s, c), s, c)
	return c
}

// minus returns x - M c for the columns of M in the rows of m.
func minus(x []float64, m dense.Matrix[float64], c []float64) []float64 {
	y := append([]float64(nil), x...)
	dense.Gemv(dense.Transposed, -1, m, c, 1, y)
	return y
}

// xtrace computes tr(Q^T A Q) - s^T Q^T A Q s + w^T P A P w for every probe w, from the products A W and A Q.
func xtrace(a Operator, w dense.Matrix[float64]) (Estimate, error) {
	aw, err := products(a, w)
	if err != nil {
		return Estimate{}, err
	}
	l := newLeaveOneOut(aw.Clone())
	aq, err := products(a, l.q)
	if err != nil {
		return Estimate{}, err
	}
	h := dense.New[float64](w.Rows, w.Rows) // Q^T A Q
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, l.q, aq, 0, h)
	all, hs := make([]float64, w.Rows), make([]float64, w.Rows)
	for i := range all {
		s := l.s.Row(i)
		dense.Gemv(dense.NoTrans, 1, h, s, 0, hs)
		c := l.coefficients(i, w.Row(i))
		all[i] = trace(h) - dense.Dot(s, hs) + dense.Dot(minus(w.Row(i), l.q, c), minus(aw.Row(i), aq, c))
	}
	return meanOf(all), nil
}
