package problem

import "github.com/spdopt/spdopt/internal/dense"

// loneInverses computes the sums of resolvents in single precision of matrices that are too large to be inverted side by side.
type loneInverses struct {
	team                   *team
	data                   []dense.Matrix[float32] // upper triangles
	total                  []float64
	x                      dense.Matrix[float32]
	shifts, weights, coeff []float64
	body                   func(w *singleWorker, k int)
}

// largestBundled is the number of rows up to which matrices are inverted side by side in single precision.
const largestBundled = 200

func newLoneInverses(t *team, data []dense.Matrix[float64]) *loneInverses {
	r := &loneInverses{team: t, total: make([]float64, t.n*t.n)}
	for _, a := range data {
		m := dense.New[float32](t.n, t.n)
		for i := range t.n {
			narrow(m.Row(i)[i:], a.Row(i)[i:])
		}
		r.data = append(r.data, m)
	}
	r.body = r.invert
	return r
}

// sumTo implements singleInverses.
func (r *loneInverses) sumTo(dst, x dense.Matrix[float32], shifts, weights, coeff []float64) bool {
	r.x, r.shifts, r.weights, r.coeff = x, shifts, weights, coeff
	if !r.team.run32(r.body, r.total) {
		return false
	}
	narrow(dst.Data, r.total)
	return true
}

func (r *loneInverses) invert(w *singleWorker, k int) {
	m := w.t[0]
	for j, shift := range r.shifts {
		for i := range m.Rows {
			row := m.Row(i)[i:]
			copy(row, r.data[k].Row(i)[i:])
			dense.Axpy(float32(shift), r.x.Row(i)[i:], row)
		}
		if !dense.InvertUpper(m, w.work) {
			w.failed = true
			return
		}
		c := float32(r.weights[k] * r.coeff[j])
		for i := range m.Rows {
			dense.Axpy(c, m.Row(i)[i:], w.acc.Row(i)[i:])
		}
	}
}
