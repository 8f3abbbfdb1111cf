package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// loneInverses computes the sums of resolvents in single precision of matrices that are too large to be inverted side by side.
type loneInverses struct {
	team                   *team
	own, inverse, sums     upperTriangles // A_k, A_k^-1 if kept, S_k
	x                      dense.Matrix[float32]
	shifts, weights, coeff []float64
	others, traces         []float64 // see keep
	body                   func(w *singleWorker, k int)
	keeping, measuring     bool
	fitness                []fitness
}

// upperTriangles are symmetric matrices of which the upper triangles are complete.
type upperTriangles []dense.Matrix[float32]

// largestBundled is the number of rows up to which matrices are inverted side by side in single precision.
const largestBundled = 200

func newLoneInverses(t *team, data []dense.Matrix[float64]) *loneInverses {
	r := &loneInverses{team: t}
	for k := range data {
		r.own = append(r.own, dense.New[float32](t.n, t.n))
		r.set(k, data[k:k+1])
	}
	r.body = r.invert
	return r
}

// set implements singleInverses.
func (r *loneInverses) set(first int, m []dense.Matrix[float64]) {
	for k, a := range m {
		for i := range a.Rows {
			dense.ScaleSingle(1, a.Row(i)[i:], r.own[first+k].Row(i)[i:])
		}
	}
}

// setLanes implements singleInverses.
func (r *loneInverses) setLanes(first int, b *dense.Bundle[float64]) {
	for l, m := range r.own[first:min(len(r.own), first+sideBySide)] {
		dense.GetLane(b, l, m)
	}
}

// sumTo implements singleInverses.
func (r *loneInverses) sumTo(dst, x dense.Matrix[float32], shifts, weights, coeff []float64) bool {
	r.x, r.shifts, r.weights, r.coeff, r.keeping = x, shifts, weights, coeff, false
	if !r.team.share32(r.body) {
		return false
	}
	for i := range dst.Rows {
		row := dst.Row(i)[i:]
		copy(row, r.team.workers[0].single.acc.Row(i)[i:])
		for _, w := range r.team.workers[1:] {
			dense.Axpy(1, w.single.acc.Row(i)[i:], row)
		}
	}
	dense.Mirror(dst)
	return true
}

// keep implements singleInverses.
func (r *loneInverses) keep(x dense.Matrix[float32], shifts, coeff, others, traces []float64) bool {
	r.sums.fill(len(r.own), r.team.n)
	clear(traces)
	r.x, r.shifts, r.coeff, r.others, r.traces, r.keeping = x, shifts, coeff, others, traces, true
	return r.team.share32(r.body)
}

// fill adds matrices until there are count of n rows.
func (m *upperTriangles) fill(count, n int) {
	for len(*m) < count {
		*m = append(*m, dense.New[float32](n, n))
	}
}

// invert adds the inverses of one matrix to the sum, or makes what is kept of it.
func (r *loneInverses) invert(w *singleWorker, k int) {
	m, sum, weight, first := w.t[0], w.acc, 1.0, w.fresh
	if r.keeping {
		sum, first = r.sums[k], true
	} else {
		weight, w.fresh = r.weights[k], false
	}
	for j, shift := range r.shifts {
		for i := range m.Rows {
			dense.Blend(1, r.own[k].Row(i)[i:], float32(shift), r.x.Row(i)[i:], m.Row(i)[i:])
		}
		if !dense.InvertUpper(m, w.work) {
			w.failed = true
			return
		}
		if r.measuring {
			r.fitness[k] = fitnessOf(r.own[k], m)
			if r.inverse != nil {
				r.inverse[k].Copy(m)
			}
		}
		if r.keeping {
			r.traces[k] += r.others[j] * upperInner(m, r.x)
		}
		addUpper(float32(weight*r.coeff[j]), m, sum, first)
		first = false
	}
}

// addUpper adds alpha times the upper triangle of a to that of sum; if first, that is taken for zero.
func addUpper(alpha float32, a, sum dense.Matrix[float32], first bool) {
	for i := range a.Rows {
		if row := a.Row(i)[i:]; first {
			dense.Scale(alpha, row, sum.Row(i)[i:])
		} else {
			dense.Axpy(alpha, row, sum.Row(i)[i:])
		}
	}
}

// sum implements symmetricMatrices.
func (m upperTriangles) sum(dst dense.Matrix[float32], weights []float64) {
	for k, a := range m {
		addUpper(float32(weights[k]), a, dst, k == 0)
	}
	dense.Mirror(dst)
}

// inner implements symmetricMatrices.
func (m upperTriangles) inner(dst []float64, x dense.Matrix[float32]) {
	for k, a := range m {
		dst[k] = upperInner(a, x)
	}
}

// upperInner returns the inner product of symmetric matrices.
func upperInner(a, b dense.Matrix[float32]) (sum float64) {
	for i := range a.Rows {
		row, other := a.Row(i)[i:], b.Row(i)[i:]
		sum += float64(2*dense.Dot(row[1:], other[1:]) + row[0]*other[0])
	}
	return sum
}

// rounds implements singleInverses.
func (r *loneInverses) rounds(shifts int) int { return shifts * len(r.own) }

// data implements singleInverses.
func (r *loneInverses) data() symmetricMatrices[float32] { return &r.own }

// inverses implements singleInverses.
func (r *loneInverses) inverses() symmetricMatrices[float32] { return &r.inverse }

// kept implements singleInverses.
func (r *loneInverses) kept() symmetricMatrices[float32] { return &r.sums }

// harmonic implements singleInverses.
func (r *loneInverses) harmonic(dst dense.Matrix[float32], weights []float64, keep bool) (f fitness, ok bool) {
	if keep {
		r.inverse.fill(len(r.own), r.team.n)
	}
	r.measuring, r.fitness = true, make([]fitness, len(r.own))
	ok = r.sumTo(dst, dense.New[float32](r.team.n, r.team.n), []float64{0}, weights, []float64{1})
	r.measuring = false
	for _, g := range r.fitness {
		f = f.worse(g)
	}
	return f, ok
}

// fitnessOf takes the upper triangles of a matrix and its inverse.
func fitnessOf(a, inverse dense.Matrix[float32]) fitness {
	var traces, squares [2]float64
	for i := range a.Rows {
		for j, m := range []dense.Matrix[float32]{a, inverse} {
			row := m.Row(i)[i:]
			traces[j] += float64(row[0]) / float64(a.Rows)
			squares[j] += 2 * float64(dense.Dot(row, row))
		}
	}
	return fitness{spread: traces[0] * traces[1], condition: math.Sqrt(squares[0]) * math.Sqrt(squares[1])}
}
