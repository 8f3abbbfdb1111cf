package nnopt

import (
	"cmp"
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/internal/engine"
)

// momentFactor is the second moments of tensors along one dimension, with their eigenbases as of the last refresh. What belongs to one tensor follows what
// belongs to the one before.
type momentFactor[T Float] struct {
	n, mode  int
	l, q     engine.Batch[T] // moments (upper triangles) and bases
	root     engine.Batch[T] // L^(-e) instead of bases and eigenvalues, where a coupled iteration makes it
	values   []T             // eigenvalues; nil where nobody wants them
	fine     []T             // powers of the eigenvalues
	diagonal []T             // of the moments
	traced   engine.Figure   // their traces, where a refresh wants them
	lambda   []float64       // eigenvalues that a refresh has found
	perm     []int           // the order in which it found them

	*momentWork                // on the processor
	found       *foundBases[T] // on a device
}

// momentWork is the workspace with which the processor brings the basis of one tensor up to date. It computes in float64.
type momentWork struct {
	e           engine.Backend[float64]
	a, basis, w dense.Matrix[float64]
	panel       dense.Matrix[float64] // products of a panel with the rows before it
	project     []float64
	solver      eigen.Solver
	coupled     *coupledRoots
	sweeper     *eigenFactor[float64] // of bounded-angle sweeps
}

// newMomentFactor wraps the moment l, the basis q and the eigenvalues of one tensor, on the processor. q and values may be nil.
func newMomentFactor[T Float](mode, n int, l, q, values []T) *momentFactor[T] {
	f := newMoments[T](mode, n, 1)
	f.l, f.values = squares(l, 1, n), values
	if q != nil {
		f.q = squares(q, 1, n)
	}
	f.momentWork = &momentWork{
		e: engine.CPU[float64](), a: dense.New[float64](n, n), basis: dense.New[float64](n, n), w: dense.New[float64](n, n), project: make([]float64, n),
	}
	if n > basisPanel {
		f.panel = dense.New[float64](basisPanel, n)
	}
	return f
}

// trace finds that of every moment.
func (f *momentFactor[T]) trace(e engine.Backend[T], q *engine.Reckoning[T], l engine.Batch[T]) {
	e.Diagonal(l, f.diagonal)
	f.traced = q.Tally(f.diagonal).Sum
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

// newMoments returns those of count tensors, without moments and bases.
func newMoments[T Float](mode, n, count int) *momentFactor[T] {
	return &momentFactor[T]{
		n: n, mode: mode, fine: make([]T, count*n), diagonal: make([]T, count*n), lambda: make([]float64, count*n), perm: make([]int, count*n),
	}
}

// refresh brings basis and eigenvalues up to date with scale times the moment, on the processor. It says whether perm holds an order into which the former basis
// was brought. When the decomposition fails everything is left as it was.
func (f *momentFactor[T]) refresh(scale float64, o *refreshing) (permuted, decomposed, ok bool) {
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
	q := f.q.At(0)
	for i := range f.n {
		for j, v := range q.Row(i) {
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
	sortQuotients(f.project, f.lambda, f.perm, o.ascending)
	f.keepValues()
	q := f.q.At(0)
	for j, from := range f.perm {
		for i, v := range f.basis.Row(from) {
			q.Set(i, j, T(v))
		}
	}
	return !o.ascending
}

// sortQuotients sets perm to the order of the quotients, and lambda to them in it.
func sortQuotients(quotients, lambda []float64, perm []int, ascending bool) {
	for i := range perm {
		perm[i] = i
	}
	slices.SortStableFunc(perm, func(i, j int) int {
		if ascending {
			return cmp.Compare(quotients[i], quotients[j])
		}
		return cmp.Compare(quotients[j], quotients[i])
	})
	for j, from := range perm {
		lambda[j] = quotients[from]
	}
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
		row, first := f.w.Row(i), i-i%basisPanel
		if i == first {
			f.enterPanel(i)
		}
		if !f.orthogonalise(first, i, row, f.lambda[i]) {
			copy(row, f.basis.Row(i))
			for k := 0; !f.orthogonalise(0, i, row, 1) && k < f.n; k++ {
				clear(row)
				row[k] = 1
			}
		}
		copy(f.basis.Row(i), row)
	}
}

// basisPanel is how many rows of w are made orthogonal to all before them at once, by products of matrices.
const basisPanel = 128

// enterPanel keeps the norms of the rows of w from first on in lambda, and makes the rows orthogonal to the first rows of basis.
func (f *momentFactor[T]) enterPanel(first int) {
	count := min(basisPanel, f.n-first)
	for i := first; i < first+count; i++ {
		f.lambda[i] = norm(f.w.Row(i))
	}
	if first == 0 {
		return
	}
	rows, before := f.w.View(first, 0, count, f.n), f.basis.View(0, 0, first, f.n)
	products := f.panel.View(0, 0, count, first)
	for range 2 {
		dense.Gemm(dense.NoTrans, dense.Transposed, 1, rows, before, 0, products)
		dense.Gemm(dense.NoTrans, dense.NoTrans, -1, products, before, 1, rows)
	}
}

// orthogonalise makes v, which is orthogonal to the first rows of basis, a unit vector orthogonal to the first i. It fails when less than 1e-10 of the norm that
// v had at the beginning is left.
func (f *momentFactor[T]) orthogonalise(first, i int, v []float64, beginning float64) bool {
	entered := norm(v)
	for range 2 {
		f.projectOut(first, i, v)
	}
	left := norm(v)
	if first > 0 && left < entered/2 { // what was rounding beside the first rows is no longer small
		f.projectOut(0, i, v)
		left = norm(v)
	}
	if !(left > 1e-10*beginning) {
		return false
	}
	dense.Scale(1/left, v, v)
	return true
}

// projectOut subtracts from v what it has in common with the rows of basis from first to i.
func (f *momentFactor[T]) projectOut(first, i int, v []float64) {
	if first == i {
		return
	}
	rows, products := f.basis.View(first, 0, i-first, f.n), f.project[:i-first]
	dense.Gemv(dense.NoTrans, 1, rows, v, 0, products)
	dense.Gemv(dense.Transposed, -1, rows, products, 1, v)
}

func norm(v []float64) float64 { return math.Sqrt(dense.Dot(v, v)) }

// form sets the root to the power -exponent of a by a coupled iteration; when that fails it stays as it was.
func (f *momentFactor[T]) form(o *refreshing) bool {
	var ok [1]bool
	if f.coupled.find(engine.One(f.a), o, ok[:]); !ok[0] {
		return false
	}
	fromDouble(f.e, f.coupled.roots.Data, f.root.Data)
	return true
}

// sweep turns the basis towards the eigenvectors of a by the sweeps of the spectral core.
func (f *momentFactor[T]) sweep(o *refreshing) {
	e := f.sweeper
	toDouble(f.e, f.q.Data, e.b.Data)
	e.restore()
	e.approach(f.a, f.w, o.turning())
	fromDouble(f.e, e.b.Data, f.q.Data)
	copy(f.lambda, e.d)
	f.keepValues()
}

// turning says how sweeps go.
func (o *refreshing) turning() *turning { return &turning{maxNorm: 0.7, tol: o.tol, sweeps: o.most} }
