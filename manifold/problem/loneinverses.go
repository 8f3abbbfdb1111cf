package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// loneInverses computes the sums of resolvents in single precision of matrices that are too large to be inverted side by side.
type loneInverses struct {
	team                   *team
	data                   []dense.Matrix[float32] // upper triangles
	x                      dense.Matrix[float32]
	shifts, weights, coeff []float64
	body, measure          func(w *singleWorker, k int)
	kept                   []dense.Matrix[float32] // S_k, complete
	keeping, measuring     bool
	fitness                []fitness
	constant               float32
	squares                []float64
}

// largestBundled is the number of rows up to which matrices are inverted side by side in single precision.
const largestBundled = 200

func newLoneInverses(t *team, data []dense.Matrix[float64]) *loneInverses {
	r := &loneInverses{team: t}
	for k := range data {
		r.data = append(r.data, dense.New[float32](t.n, t.n))
		r.set(k, data[k:k+1])
	}
	r.body, r.measure = r.invert, r.square
	return r
}

// set implements singleInverses.
func (r *loneInverses) set(first int, m []dense.Matrix[float64]) {
	for k, a := range m {
		for i := range a.Rows {
			narrow(r.data[first+k].Row(i)[i:], a.Row(i)[i:])
		}
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
func (r *loneInverses) keep(x dense.Matrix[float32], shifts, coeff []float64) bool {
	for range r.data[len(r.kept):] {
		r.kept = append(r.kept, dense.New[float32](r.team.n, r.team.n))
	}
	r.x, r.shifts, r.coeff, r.keeping = x, shifts, coeff, true
	return r.team.share32(r.body)
}

// invert adds the inverses of one matrix to the sum, or makes what is kept of it.
func (r *loneInverses) invert(w *singleWorker, k int) {
	m, sum, weight, first := w.t[0], w.acc, 1.0, w.fresh
	if r.keeping {
		sum, first = r.kept[k], true
	} else {
		weight, w.fresh = r.weights[k], false
	}
	for j, shift := range r.shifts {
		for i := range m.Rows {
			dense.Blend(1, r.data[k].Row(i)[i:], float32(shift), r.x.Row(i)[i:], m.Row(i)[i:])
		}
		if !dense.InvertUpper(m, w.work) {
			w.failed = true
			return
		}
		if r.measuring {
			r.fitness[k] = fitnessOf(r.data[k], m)
		}
		c := float32(weight * r.coeff[j])
		for i := range m.Rows {
			if row := m.Row(i)[i:]; first {
				dense.Scale(c, row, sum.Row(i)[i:])
			} else {
				dense.Axpy(c, row, sum.Row(i)[i:])
			}
		}
		first = false
	}
	if r.keeping {
		dense.Mirror(sum)
	}
}

// keptSquares implements singleInverses.
func (r *loneInverses) keptSquares(dst []float64, x dense.Matrix[float32], constant float64) {
	r.x, r.constant, r.squares = x, float32(constant), dst
	r.team.share32(r.measure)
}

func (r *loneInverses) square(w *singleWorker, k int) {
	log, transposed := w.t[0], w.t[1]
	dense.Gemm(dense.NoTrans, dense.NoTrans, -1, r.kept[k], r.x, 0, log)
	for i := range log.Rows {
		log.Set(i, i, log.At(i, i)+r.constant)
	}
	dense.Transpose(transposed, log)
	r.squares[k] = float64(dense.Dot(log.Data, transposed.Data))
}

// keptInner implements singleInverses.
func (r *loneInverses) keptInner(dst []float64, x dense.Matrix[float32]) {
	for k, s := range r.kept {
		dst[k] = float64(dense.Dot(s.Data, x.Data))
	}
}

// keptSum implements singleInverses.
func (r *loneInverses) keptSum(dst dense.Matrix[float32], weights []float64) {
	dst.Zero()
	for k, s := range r.kept {
		dense.Axpy(float32(weights[k]), s.Data, dst.Data)
	}
}

// inner sets dst to the inner products of the data with the symmetric x.
func (r *loneInverses) inner(dst []float64, x dense.Matrix[float32]) {
	for k, a := range r.data {
		dst[k] = 0
		for i := range a.Rows {
			row, other := a.Row(i)[i:], x.Row(i)[i:]
			dst[k] += float64(2*dense.Dot(row[1:], other[1:]) + row[0]*other[0])
		}
	}
}

// mean implements singleInverses.
func (r *loneInverses) mean(dst dense.Matrix[float32], weights []float64) {
	dst.Zero()
	for k, a := range r.data {
		for i := range a.Rows {
			dense.Axpy(float32(weights[k]), a.Row(i)[i:], dst.Row(i)[i:])
		}
	}
	dense.Mirror(dst)
}

// harmonic implements singleInverses.
func (r *loneInverses) harmonic(dst dense.Matrix[float32], weights []float64) (f fitness, ok bool) {
	r.measuring, r.fitness = true, make([]fitness, len(r.data))
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
