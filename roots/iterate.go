package roots

import (
	"unsafe"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// distanceToIdentity returns ||m - I||_F.
func distanceToIdentity[T dense.Float](m dense.Matrix[T]) float64 {
	return distance(engine.CPU[T](), m)
}

func distance[T dense.Float](e engine.Backend[T], m dense.Matrix[T]) float64 {
	var d [1]float64
	e.FromIdentity(engine.One(m), d[:])
	return d[0]
}

// polyIdentity sets dst = c0 I + c1 m + c2 m2 elementwise; dst may be m or m2.
func polyIdentity[T dense.Float](dst dense.Matrix[T], c0, c1 T, m dense.Matrix[T], c2 T, m2 dense.Matrix[T]) {
	engine.CPU[T]().Combine(c0, c1, engine.One(m), c2, engine.One(m2), engine.One(dst))
}

// distance and poly are the same on the device of the job.
func (j *job[T]) distance(m dense.Matrix[T]) float64 { return distance(j.e, m) }

func (j *job[T]) poly(dst dense.Matrix[T], c0, c1 T, m dense.Matrix[T], c2 T, m2 dense.Matrix[T]) {
	j.e.Combine(c0, c1, engine.One(m), c2, engine.One(m2), engine.One(dst))
}

// powerOf returns m^k of a symmetric m for k >= 1 by binary powering; k = 1 returns m itself.
func (j *job[T]) powerOf(m dense.Matrix[T], k int) dense.Matrix[T] {
	return j.powerIn(new(powers[T]), m, k)
}

// powers is the workspace of a power, which the result is part of.
type powers[T dense.Float] [3]dense.Matrix[T]

// free returns a matrix of the workspace that is neither a nor b.
func (w *powers[T]) free(j *job[T], a, b dense.Matrix[T]) dense.Matrix[T] {
	same := func(x, y dense.Matrix[T]) bool { return unsafe.SliceData(x.Data) == unsafe.SliceData(y.Data) }
	for i := range w {
		if w[i].Data == nil {
			w[i] = j.new(j.N, j.N)
		}
		if !same(w[i], a) && !same(w[i], b) {
			return w[i]
		}
	}
	panic(Error("powers: three matrices are not enough for two"))
}

// powerIn is powerOf in a workspace, for calls in a loop.
func (j *job[T]) powerIn(w *powers[T], m dense.Matrix[T], k int) dense.Matrix[T] {
	r, have := m, false
	for ; k > 0; k >>= 1 {
		if k&1 == 1 {
			if have {
				z := w.free(j, r, m)
				j.symm(dense.NoTrans, dense.NoTrans, 1, r, m, z)
				r = z
			} else {
				r, have = m, true
			}
		}
		if k > 1 {
			z := w.free(j, r, m)
			j.symm(dense.NoTrans, dense.NoTrans, 1, m, m, z)
			m = z
		}
	}
	return r
}

// give delivers the formed symmetric result m: symmetrised into x, or multiplied with the right-hand sides.
func (j *job[T]) give(m dense.Matrix[T]) {
	symmetrise(m)
	if j.Columns == 0 {
		j.x.Copy(m)
		return
	}
	j.gemm(dense.NoTrans, dense.NoTrans, 1, m, j.rhs, 0, j.x)
}

// target returns the residual of the coupled iteration that the tolerance asks for, never below what rounding lets through.
func (j *job[T]) target() float64 {
	floor := float64(j.N) * j.eps()
	if j.Tol > 0 {
		return max(floor, j.Tol/8)
	}
	return floor
}
