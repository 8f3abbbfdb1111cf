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
// (arXiv:2502.06268).
type eigenFactor[T Float] struct {
	e    engine.Backend[T]
	fast engine.Backend[T] // of products that may be rounded: those of m
	n    int
	mode int             // dimension of the tensor
	b    dense.Matrix[T] // basis, eigenvectors as columns
	d    []T
	m    dense.Matrix[T] // upper triangle; its diagonal is d but for increments that have not been settled

	narrow []engine.BFloat16 // where m is stored between steps, if it is so
	lasts  bool              // m is stored between steps as it is

	gen, q     dense.Matrix[T]
	work       []T
	s, r, x    []T
	next, fine []T // eigenvalues of a step; powers of eigenvalues
	bound      [1]float64
}

// newEigenFactor wraps the slots b (n x n), d and m; m may be nil and bound later, as is the workspace.
func newEigenFactor[T Float](mode int, b, d, m []T) *eigenFactor[T] {
	n := len(d)
	v := make([]T, 5*n)
	f := &eigenFactor[T]{
		e: engine.CPU[T](), fast: engine.CPU[T](), n: n, mode: mode, b: dense.Wrap(n, n, b), d: d,
		s: v[:n], r: v[n : 2*n], x: v[2*n : 3*n], next: v[3*n : 4*n], fine: v[4*n:],
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
// number of sweeps. moved, if it is not nil, is a tensor in the coordinates of the basis, which goes along.
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
			moved.turn(f.q, f.mode)
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
		f.fast.GemmSymmetric(dense.Transposed, dense.NoTrans, 1, engine.One(f.q), engine.One(w), 1, engine.One(f.m))
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
	if f.e != engine.CPU[T]() {
		f.e.Blend(0, nil, 0, nil, f.m.Data)
		f.e.SetDiagonal(f.d, engine.One(f.m))
		return
	}
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
		engine.Wait(f.e)
		dense.FirstOrderAngle(f.s, f.r, f.m, f.gen)
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
	f.e.Gemm(dense.NoTrans, dense.NoTrans, 1, engine.One(f.b), engine.One(f.q), 1, engine.One(f.gen))
	f.e.Copy(engine.One(f.gen), engine.One(f.b))
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
	engine.Wait(f.e)
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

// normalise divides d and m by the geometric mean of d, whose logarithm it returns.
func (f *eigenFactor[T]) normalise() float64 {
	var mean float64
	for _, v := range f.d {
		mean += math.Log(float64(v))
	}
	mean /= float64(f.n)
	low, high := eigenRange[T]()
	c := math.Exp(-mean)
	f.decay(T(c))
	for i, v := range f.d {
		f.d[i] = T(min(max(c*float64(v), low), high))
	}
	f.e.SetDiagonal(f.d, engine.One(f.m))
	return mean
}

// restore measures the defect B^T B - I and makes a Newton-Schulz step B <- B - B (B^T B - I)/2 where it is more than rounding.
func (f *eigenFactor[T]) restore() {
	f.e.GemmSymmetric(dense.Transposed, dense.NoTrans, 1, engine.One(f.b), engine.One(f.b), 0, engine.One(f.q))
	f.e.FromIdentity(engine.One(f.q), f.bound[:])
	if f.bound[0] <= math.Sqrt(float64(f.n))*16*epsilon[T]() {
		return
	}
	f.e.Combine(-1, 1, engine.One(f.q), 0, engine.One(f.q), engine.One(f.q))
	f.e.Copy(engine.One(f.b), engine.One(f.gen))
	f.e.Gemm(dense.NoTrans, dense.NoTrans, -0.5, engine.One(f.b), engine.One(f.q), 1, engine.One(f.gen))
	f.e.Copy(engine.One(f.gen), engine.One(f.b))
}

func (f *eigenFactor[T]) inverseTrace() float64 {
	var s float64
	for _, v := range f.d {
		s += 1 / float64(v)
	}
	return s
}

// productModes is a tensor with factors for some of its dimensions, and the workspace to apply them.
type productModes[T Float] struct {
	e       engine.Backend[T]
	dims    []int
	factors []*eigenFactor[T]
	z, t    []T
}

// split returns the number of elements before and after dimension mode.
func (p *productModes[T]) split(mode int) (left, right int) {
	return product(p.dims[:mode]), product(p.dims[mode+1:])
}

// permute brings z into the order in which index i of a dimension is what was index perm[i].
func (p *productModes[T]) permute(perm []int, mode int) {
	left, right := p.split(mode)
	if p.e != engine.CPU[T]() {
		index := make([]int32, 0, left*len(perm))
		for l := range left {
			for _, from := range perm {
				index = append(index, int32(l*len(perm)+from))
			}
		}
		p.e.Gather(dense.Wrap(len(index), right, p.z), index, dense.Wrap(len(index), right, p.t))
		p.z, p.t = p.t, p.z
		return
	}
	for l := range left {
		for i, from := range perm {
			to, src := (l*len(perm)+i)*right, (l*len(perm)+from)*right
			copy(p.t[to:to+right], p.z[src:src+right])
		}
	}
	p.z, p.t = p.t, p.z
}

// rotate applies op(B) of every factor to z.
func (p *productModes[T]) rotate(op dense.Trans) {
	for _, f := range p.factors {
		p.apply(op, f.b, f.mode)
	}
}

// turn multiplies z by (I + r)^T along a dimension.
func (p *productModes[T]) turn(r dense.Matrix[T], mode int) {
	p.e.Copy(engine.One(dense.Wrap(1, len(p.z), p.z)), engine.One(dense.Wrap(1, len(p.z), p.t)))
	p.multiplyBy(dense.Transposed, r, mode, 1)
}

// apply multiplies z by op(a) along a dimension.
func (p *productModes[T]) apply(op dense.Trans, a dense.Matrix[T], mode int) {
	p.multiplyBy(op, a, mode, 0)
}

// multiplyBy sets z to op(a) z, along a dimension, plus keep times t, and leaves t undefined.
func (p *productModes[T]) multiplyBy(op dense.Trans, a dense.Matrix[T], mode int, keep T) {
	left, right := p.split(mode)
	n := a.Rows
	if right == 1 {
		p.e.Gemm(dense.NoTrans, !op, 1, engine.One(dense.Wrap(left, n, p.z)), engine.One(a), keep, engine.One(dense.Wrap(left, n, p.t)))
	} else {
		step := n * right
		for l := range left {
			z, t := dense.Wrap(n, right, p.z[l*step:(l+1)*step]), dense.Wrap(n, right, p.t[l*step:(l+1)*step])
			p.e.Gemm(op, dense.NoTrans, 1, engine.One(a), engine.One(z), keep, engine.One(t))
		}
	}
	p.z, p.t = p.t, p.z
}

// applyMember multiplies z by op(a) along a dimension.
func (p *productModes[T]) applyMember(op dense.Trans, a member[T], mode int) {
	left, right := p.split(mode)
	if right == 1 {
		a.right(!op, dense.Wrap(left, a.n, p.z), dense.Wrap(left, a.n, p.t))
	} else {
		step := a.n * right
		for l := range left {
			a.left(op, dense.Wrap(a.n, right, p.z[l*step:(l+1)*step]), dense.Wrap(a.n, right, p.t[l*step:(l+1)*step]))
		}
	}
	p.z, p.t = p.t, p.z
}

// gramMember adds c times the projection of the Gram matrix of z along a dimension to h.
func (p *productModes[T]) gramMember(c T, mode int, h member[T]) {
	left, right := p.split(mode)
	if right == 1 {
		h.addColumnGram(c, dense.Wrap(left, h.n, p.z))
		return
	}
	step := h.n * right
	for l := range left {
		h.addRowGram(c, dense.Wrap(h.n, right, p.z[l*step:(l+1)*step]))
	}
}

// scale multiplies z by d^e along every dimension that has a factor.
func (p *productModes[T]) scale(e float64) {
	for _, f := range p.factors {
		dense.Pow(f.fine, f.d, e)
		p.multiply(f.fine, f.mode)
	}
}

// multiply multiplies z by the vector v along a dimension.
func (p *productModes[T]) multiply(v []T, mode int) {
	left, right := p.split(mode)
	if right == 1 {
		z := engine.One(dense.Wrap(left, len(v), p.z))
		p.e.ScaleCols(v, z, 0, z)
		return
	}
	for l := range left {
		z := engine.One(dense.Wrap(len(v), right, p.z[l*len(v)*right:(l+1)*len(v)*right]))
		p.e.ScaleRows(v, z, 0, z)
	}
}

// copyTo sets dst to src.
func (p *productModes[T]) copyTo(dst, src []T) { p.e.Blend(1, src, 0, nil, dst) }

// gram adds c times the Gram matrix of z along a dimension to the upper triangle of h and mirrors it.
func (p *productModes[T]) gram(c T, mode int, h dense.Matrix[T]) {
	left, right := p.split(mode)
	n := h.Rows
	if right == 1 {
		z := dense.Wrap(left, n, p.z)
		p.e.GemmSymmetric(dense.Transposed, dense.NoTrans, c, engine.One(z), engine.One(z), 1, engine.One(h))
		return
	}
	for l := range left {
		z := dense.Wrap(n, right, p.z[l*n*right:(l+1)*n*right])
		p.e.GemmSymmetric(dense.NoTrans, dense.Transposed, c, engine.One(z), engine.One(z), 1, engine.One(h))
	}
}
