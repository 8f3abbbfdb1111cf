package nnopt

import (
	"cmp"
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/internal/engine"
)

// momentFactor is the second moment of a tensor along one dimension, with its eigenbasis as of the last refresh. It computes in float64.
type momentFactor[T Float] struct {
	n, mode int
	l, q    dense.Matrix[T] // moment (upper triangle) and basis
	values  []T             // eigenvalues; nil where nobody wants them

	e           engine.Backend[float64]
	a, basis, w dense.Matrix[float64]
	lambda      []float64
	project     []float64
	perm        []int
	fine        []T           // powers of the eigenvalues
	diagonal    []T           // of the moment
	traced      engine.Figure // its trace, where a refresh wants it
	solver      eigen.Solver

	root    dense.Matrix[T] // A^(-e) instead of basis and eigenvalues, where a coupled iteration makes it
	coupled *coupledRoot
	sweeper *eigenFactor[float64] // of bounded-angle sweeps
}

func newMomentFactor[T Float](mode, n int, l, q, values []T) *momentFactor[T] {
	return &momentFactor[T]{
		n: n, mode: mode, l: dense.Wrap(n, n, l), q: dense.Wrap(n, n, q), values: values,
		e: engine.CPU[float64](), a: dense.New[float64](n, n), basis: dense.New[float64](n, n), w: dense.New[float64](n, n),
		lambda: make([]float64, n), project: make([]float64, n), perm: make([]int, n), fine: make([]T, n), diagonal: make([]T, n),
	}
}

// place moves the iterations that consist of products to a device. Decompositions and orthogonal iterations are a momentGroup's there.
func (f *momentFactor[T]) place(e engine.Backend[float64], a *engine.Arena[float64]) {
	if e == engine.CPU[float64]() {
		return
	}
	n := f.n
	f.e = e
	f.a, f.basis, f.w = dense.Matrix[float64]{}, dense.Matrix[float64]{}, dense.Matrix[float64]{}
	if f.coupled != nil {
		f.coupled.place(e, a)
	}
	if s := f.sweeper; s != nil {
		s.place(e)
		s.b, s.m = dense.Wrap(n, n, a.Alloc(n*n)), dense.Wrap(n, n, a.Alloc(n*n))
		s.bind(newTurnWork(a, n, dense.CayleyWork(n)))
	}
	if f.iterates() {
		f.a, f.w = dense.Wrap(n, n, a.Alloc(n*n)), dense.Wrap(n, n, a.Alloc(n*n))
	}
}

// iterates says whether a refresh consists of products.
func (f *momentFactor[T]) iterates() bool { return f.coupled != nil || f.sweeper != nil }

// trace finds that of the moment.
func (f *momentFactor[T]) trace(e engine.Backend[T], q *engine.Reckoning[T]) engine.Figure {
	e.Diagonal(engine.One(f.l), f.diagonal)
	return q.Tally(f.diagonal).Sum
}

// refreshing says how a basis is brought up to date.
type refreshing struct {
	qr        bool    // orthogonal iterations from the basis in use instead of a decomposition
	most      int     // such iterations
	tol       float64 // a basis in which the off-diagonal part is at most this part of the whole is kept
	ascending bool    // order after the iterations
	eps       float64 // added to the diagonal
	sweeps    bool    // bounded-angle sweeps from the basis in use, at most most, until the coupling is at most tol
	roots     RootMethod
	exponent  float64 // of a root that is formed
}

// refresh brings basis and eigenvalues up to date with scale times the moment. It says whether perm holds an order into which the former basis was
// brought. When the decomposition fails everything is left as it was.
func (f *momentFactor[T]) refresh(scale float64, o *refreshing) (permuted, decomposed, ok bool) {
	engine.Defer(f.e)
	defer engine.Settle(f.e)
	toDouble(f.e, f.l.Data, f.a.Data)
	a := engine.One(f.a)
	f.e.Mirror(a)
	f.e.Combine(o.eps, scale, a, 0, a, a)
	if _, top := f.e.SumSquares(f.a.Data); !(top < math.Inf(1)) {
		return false, false, false
	}
	switch {
	case o.roots == RootNewton || o.roots == RootSeries:
		return false, false, f.form(o)
	case o.sweeps:
		f.sweep(o)
		return false, false, true
	case o.qr:
		return f.iterate(o), false, true
	}
	if o.tol > 0 {
		f.load()
		f.quotients()
		if f.rest() <= o.tol {
			f.keepValues()
			return false, false, true
		}
	}
	if !f.solver.Sym(f.a, f.lambda) {
		return false, true, false
	}
	fromDouble(f.e, f.a.Data, f.q.Data)
	f.keepValues()
	return false, true, true
}

// load sets the rows of basis to the columns of q.
func (f *momentFactor[T]) load() {
	for i := range f.n {
		for j, v := range f.q.Row(i) {
			f.basis.Set(j, i, float64(v))
		}
	}
}

// quotients sets w to (A Q)^T and lambda to the diagonal of Q^T A Q.
func (f *momentFactor[T]) quotients() {
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, f.basis, f.a, 0, f.w)
	for i := range f.n {
		f.lambda[i] = dense.Dot(f.basis.Row(i), f.w.Row(i))
	}
}

// rest returns the norm of the off-diagonal part of Q^T A Q relative to the whole, after quotients.
func (f *momentFactor[T]) rest() float64 {
	var diag, off float64
	for i := range f.n {
		dense.Gemv(dense.NoTrans, 1, f.basis, f.w.Row(i), 0, f.project)
		diag += f.project[i] * f.project[i]
		off += dense.Dot(f.project[:i], f.project[:i]) + dense.Dot(f.project[i+1:], f.project[i+1:])
	}
	if off == 0 {
		return 0
	}
	return math.Sqrt(off / (diag + off))
}

// iterate makes orthogonal iterations Q <- orth(A Q), as many as the options say, and orders the columns by their Rayleigh quotients.
// It says whether what belongs to the former columns has to follow perm.
func (f *momentFactor[T]) iterate(o *refreshing) bool {
	f.load()
	f.quotients()
	for k := 0; k < o.most && !(o.tol > 0 && f.rest() <= o.tol); k++ {
		f.orthonormalise()
		f.quotients()
	}
	copy(f.project, f.lambda)
	f.sort(f.project, o.ascending)
	for j, from := range f.perm {
		for i, v := range f.basis.Row(from) {
			f.q.Set(i, j, T(v))
		}
	}
	return !o.ascending
}

// sort sets perm to the order of the quotients, and keeps them in it.
func (f *momentFactor[T]) sort(quotients []float64, ascending bool) {
	for i := range f.perm {
		f.perm[i] = i
	}
	slices.SortStableFunc(f.perm, func(i, j int) int {
		if ascending {
			return cmp.Compare(quotients[i], quotients[j])
		}
		return cmp.Compare(quotients[j], quotients[i])
	})
	for j, from := range f.perm {
		f.lambda[j] = quotients[from]
	}
	f.keepValues()
}

// keep takes eigenvalues over.
func (f *momentFactor[T]) keep(values []float64) {
	copy(f.lambda, values)
	f.keepValues()
}

func (f *momentFactor[T]) keepValues() {
	for i := range f.values {
		f.values[i] = T(f.lambda[i])
	}
}

// orthonormalise sets the rows of basis to the rows of w made orthonormal in turn. A row that depends on those before it gives way to the row that
// basis held, or to a unit vector.
func (f *momentFactor[T]) orthonormalise() {
	for i := range f.n {
		row := f.w.Row(i)
		if !f.orthogonalise(i, row) {
			copy(row, f.basis.Row(i))
			for k := 0; !f.orthogonalise(i, row) && k < f.n; k++ {
				clear(row)
				row[k] = 1
			}
		}
		copy(f.basis.Row(i), row)
	}
}

// orthogonalise makes v a unit vector orthogonal to the first i rows of basis. It fails when less than 1e-10 of v is left.
func (f *momentFactor[T]) orthogonalise(i int, v []float64) bool {
	before := math.Sqrt(dense.Dot(v, v))
	if i > 0 {
		first := f.basis.View(0, 0, i, f.n)
		for range 2 {
			dense.Gemv(dense.NoTrans, 1, first, v, 0, f.project[:i])
			dense.Gemv(dense.Transposed, -1, first, f.project[:i], 1, v)
		}
	}
	norm := math.Sqrt(dense.Dot(v, v))
	if !(norm > 1e-10*before) {
		return false
	}
	dense.Scale(1/norm, v, v)
	return true
}

// form sets the root to the power -exponent of a by a coupled iteration; when that fails it stays as it was.
func (f *momentFactor[T]) form(o *refreshing) bool {
	p, q, _ := fraction(o.exponent, 8)
	if o.roots == RootNewton {
		if !f.coupled.newton(f.a, p) {
			return false
		}
	} else if !f.coupled.series(f.a, p, q) {
		return false
	}
	fromDouble(f.e, f.coupled.x.Data, f.root.Data)
	return true
}

// sweep turns the basis towards the eigenvectors of a by the sweeps of the spectral core.
func (f *momentFactor[T]) sweep(o *refreshing) {
	e := f.sweeper
	toDouble(f.e, f.q.Data, e.b.Data)
	e.restore()
	e.approach(f.a, f.w, &turning{maxNorm: 0.7, tol: o.tol, sweeps: o.most})
	fromDouble(f.e, e.b.Data, f.q.Data)
	f.keep(e.d)
}
