package curvature

import "github.com/spdopt/spdopt/internal/dense"

// XDiag estimates the diagonal of a square operator by XDiag (Epperly, Tropp and Webber, arXiv:2301.07825), the counterpart of XTrace. Half of the products
// are with A, half with A^T; their number must be even, and half of it below the dimension.
func XDiag(a Operator, p Probes) ([]float64, error) {
	w, err := p.exchangeable(a)
	if err != nil {
		return nil, err
	}
	return xdiag(a, w)
}

func xdiag(a Operator, w dense.Matrix[float64]) ([]float64, error) {
	aw, err := products(a, w)
	if err != nil {
		return nil, err
	}
	l := newLeaveOneOut(aw.Clone())
	back, err := products(Adjoint(a), l.q) // A^T Q
	if err != nil {
		return nil, err
	}
	n, m := w.Cols, float64(w.Rows)
	d := make([]float64, n)
	for k := range l.q.Rows {
		for j, v := range l.q.Row(k) {
			d[j] += v * back.At(k, j)
		}
	}
	qs, bs := make([]float64, n), make([]float64, n)
	for i := range w.Rows {
		s := l.s.Row(i)
		dense.Gemv(dense.Transposed, 1, l.q, s, 0, qs)
		dense.Gemv(dense.Transposed, 1, back, s, 0, bs)
		rest := minus(aw.Row(i), l.q, l.coefficients(i, aw.Row(i)))
		for j, v := range w.Row(i) {
			d[j] += (rest[j]/v - qs[j]*bs[j]) / m
		}
	}
	return d, nil
}
