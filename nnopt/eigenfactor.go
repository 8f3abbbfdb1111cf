package nnopt

import (
	"math"
	"unsafe"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// turning says how the basis of a factor follows its target.
type turning struct {
	published bool    // first-order angles and exponential eigenvalues instead of bounded angles and Rayleigh quotients
	drop      bool    // what the sweeps leave off the diagonal is dropped
	maxNorm   float64 // bound on the norm of a generator
	tol       float64 // > 0: sweeps are made only while the coupling exceeds it
	sweeps    int     // at most
}

// eigenFactor is the SPD matrix B M B^T in the precision of the parameters, B orthogonal and M near its diagonal d, with the workspace that turns B
// towards the eigenvectors. The angles, the Cayley map and the Rayleigh quotients are those of internal/dense, the step is that of spectral.Factor
// (arXiv:2502.06268). It works on the processor; on a device spectralGroup and sweeps do the same for many at once.
type eigenFactor[T Float] struct {
	e    engine.Backend[T] // the processor
	fast engine.Backend[T] // the same, for products that may be rounded: those of m
	n    int
	at   slab            // of the tensor that it multiplies
	b    dense.Matrix[T] // basis, eigenvectors as columns
	d    []T
	m    dense.Matrix[T] // upper triangle; its diagonal is d but for increments that have not been settled

	narrow []engine.BFloat16 // where m is stored between steps, if it is so
	lasts  bool              // m is stored between steps as it is

	gen, q  dense.Matrix[T]
	work    []T
	s, r, x []T
	next    []T // eigenvalues of a step
	bound   [1]float64
}

// newEigenFactor wraps the slots b (n x n), d and m; m may be nil and bound later, as is the workspace. n is that of d.
func newEigenFactor[T Float](b, d, m []T) *eigenFactor[T] {
	n := len(d)
	v := make([]T, 4*n)
	f := &eigenFactor[T]{
		e: engine.CPU[T](), fast: engine.CPU[T](), n: n, b: dense.Wrap(n, n, b), d: d,
		s: v[:n], r: v[n : 2*n], x: v[2*n : 3*n], next: v[3*n:],
	}
	if m != nil {
		f.m = dense.Wrap(n, n, m)
	}
	return f
}

// turnWork is the workspace of a rotation.
type turnWork[T Float] struct{ gen, q, work []T }

// newTurnWork returns that of factors of size n at most, whose Cayley maps need cayley elements.
func newTurnWork[T Float](a *engine.Arena[T], n, cayley int) *turnWork[T] {
	return &turnWork[T]{a.Alloc(n * n), a.Alloc(n * n), a.Alloc(max(cayley, n*n))}
}

// bind gives the factor a workspace.
func (f *eigenFactor[T]) bind(w *turnWork[T]) {
	f.gen, f.q, f.work = dense.Wrap(f.n, f.n, w.gen[:f.n*f.n]), dense.Wrap(f.n, f.n, w.q[:f.n*f.n]), w.work
}

// eigenRange bounds eigenvalues, so that their products with a few others stay in the range of T.
func eigenRange[T Float]() (low, high float64) {
	if unsafe.Sizeof(T(0)) == 4 {
		return 1e-14, 1e14
	}
	return 1e-100, 1e100
}

// epsilon is the distance from 1 to the next number.
func epsilon[T Float]() float64 {
	if unsafe.Sizeof(T(0)) == 4 {
		return 0x1p-23
	}
	return 0x1p-52
}

// follow turns the basis towards the eigenvectors of m, of which x holds the relative increments of the diagonal over d, and settles d. It returns the
// number of sweeps. moved, if it is not nil, is a tensor in the coordinates of the basis, whose z goes along.
func (f *eigenFactor[T]) follow(o *turning, moved *productModes[T]) int {
	for sweep := 0; ; sweep++ {
		if sweep == o.sweeps || o.tol > 0 && f.coupling() <= o.tol {
			if sweep == 0 {
				f.stay(o)
			} else if o.drop {
				f.clearCoupling()
			}
			return sweep
		}
		f.turn(o)
		if moved != nil {
			moved.turn(engine.One(f.q), &f.at)
		}
		f.e.Mirror(engine.One(f.m))
		if o.drop && o.sweeps == 1 {
			if !o.published {
				f.shift(1)
				f.e.RotatedDiagonal(engine.One(f.q), engine.One(f.m), f.next)
			}
			f.clearCoupling()
			f.settle(o)
			return 1
		}
		w := dense.Wrap(f.n, f.n, f.work[:f.n*f.n])
		f.e.Copy(engine.One(f.m), engine.One(w))
		f.fast.Gemm(dense.NoTrans, dense.NoTrans, 1, engine.One(f.m), engine.One(f.q), 1, engine.One(w))
		f.e.Copy(engine.One(w), engine.One(f.m))
		engine.GemmUpper(f.fast, dense.Transposed, dense.NoTrans, 1, engine.One(f.q), engine.One(w), 1, engine.One(f.m))
		f.stay(o)
		clear(f.x)
	}
}

// approach turns the basis towards the eigenvectors of a, whatever m was; w is scratch.
func (f *eigenFactor[T]) approach(a, w dense.Matrix[T], o *turning) {
	f.e.Gemm(dense.NoTrans, dense.NoTrans, 1, engine.One(a), engine.One(f.b), 0, engine.One(w))
	f.e.GemmSymmetric(dense.Transposed, dense.NoTrans, 1, engine.One(f.b), engine.One(w), 0, engine.One(f.m))
	low, _ := eigenRange[T]()
	f.e.Diagonal(engine.One(f.m), f.d)
	for i, v := range f.d {
		f.d[i] = max(v, T(low))
	}
	clear(f.x)
	f.follow(o, nil)
}

// stay settles d without a rotation.
func (f *eigenFactor[T]) stay(o *turning) {
	f.e.Diagonal(engine.One(f.m), f.next)
	f.settle(o)
}

func (f *eigenFactor[T]) clearCoupling() {
	for i := range f.n {
		clear(f.m.Row(i)[i+1:])
	}
}

// turn rotates the basis by one sweep Q and leaves Q - I in q: what is applied as x + x (Q - I) loses little where products are rounded.
func (f *eigenFactor[T]) turn(o *turning) {
	dense.Sqrt(f.s, f.d)
	for i, v := range f.s {
		f.r[i] = 1 / v
	}
	if o.published {
		f.e.FirstOrderAngle(f.s, f.r, engine.One(f.m), engine.One(f.gen))
	} else {
		f.e.BoundedAngle(f.s, f.r, f.x, engine.One(f.m), engine.One(f.gen))
	}
	f.e.NormBound(engine.One(f.gen), f.bound[:])
	nu := f.bound[0]
	if nu > o.maxNorm {
		f.e.NormEstimate(engine.One(f.gen), f.bound[:])
		nu = min(nu, f.bound[0])
	}
	if nu > o.maxNorm {
		f.e.Blend(T(o.maxNorm/nu), f.gen.Data, 0, nil, f.gen.Data)
	}
	f.e.Cayley(engine.One(f.gen), 0, engine.One(f.q))
	f.shift(-1)
	f.e.Copy(engine.One(f.b), engine.One(f.gen))
	f.e.Gemm(dense.NoTrans, dense.NoTrans, 1, engine.One(f.gen), engine.One(f.q), 1, engine.One(f.b))
}

// shift adds c to the diagonal of q.
func (f *eigenFactor[T]) shift(c T) {
	f.e.Combine(c, 1, engine.One(f.q), 0, engine.One(f.q), engine.One(f.q))
}

// settle moves d, and the diagonal of m, to next, or by the exponential rule where that is asked for or next is not positive.
func (f *eigenFactor[T]) settle(o *turning) {
	low, high := eigenRange[T]()
	for i, v := range f.next {
		if o.published || !(v > 0) {
			v = T(float64(f.d[i]) * math.Exp(min(max(float64(f.x[i]), -1), 1)))
		}
		f.d[i] = T(min(max(float64(v), low), high))
	}
	f.e.SetDiagonal(f.d, engine.One(f.m))
}

// coupling returns max |m_ij|/sqrt(m_ii m_jj) of the target, without entries at the level of rounding.
func (f *eigenFactor[T]) coupling() float64 {
	var top float64
	for i := range f.n {
		v := math.Abs(float64(f.m.At(i, i)))
		top = max(top, v)
		f.s[i] = T(math.Sqrt(v))
	}
	noise := T(4 * epsilon[T]() * top)
	var c T
	for i, si := range f.s {
		for j, v := range f.m.Row(i)[i+1:] {
			if v < 0 {
				v = -v
			}
			if sj := f.s[i+1+j]; v > noise && v > c*si*sj {
				c = v / (si * sj)
			}
		}
	}
	return float64(c)
}

// restore measures the defect B^T B - I and makes a Newton-Schulz step where it is more than rounding.
func (f *eigenFactor[T]) restore() {
	f.e.GemmSymmetric(dense.Transposed, dense.NoTrans, 1, engine.One(f.b), engine.One(f.b), 0, engine.One(f.q))
	f.e.FromIdentity(engine.One(f.q), f.bound[:])
	if f.bound[0] <= math.Sqrt(float64(f.n))*16*epsilon[T]() {
		return
	}
	newtonSchulz(f.e, engine.One(f.b), engine.One(f.q), engine.One(f.gen))
}

// decay multiplies the upper triangle of m.
func (f *eigenFactor[T]) decay(keep T) {
	for i := range f.n {
		row := f.m.Row(i)[i:]
		dense.Scale(keep, row, row)
	}
}

// addRidge adds to the diagonal of m and sets x to the relative increments over d and next to the diagonal.
func (f *eigenFactor[T]) addRidge(ridge float64) {
	f.e.Diagonal(engine.One(f.m), f.next)
	for i, di := range f.d {
		f.next[i] += T(ridge)
		f.x[i] = (f.next[i] - di) / di
	}
	f.e.SetDiagonal(f.next, engine.One(f.m))
}

// mean returns that of the eigenvalues.
func (f *eigenFactor[T]) mean() (mean float64) {
	for _, v := range f.d {
		mean += float64(v) / float64(f.n)
	}
	return mean
}
