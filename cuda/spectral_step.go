//go:build cuda && cgo && linux

package cuda

import (
	"math"

	"github.com/spdopt/spdopt/cuda/internal/blas"
)

// operandsOf is how the products of a precision read and write.
type operandsOf struct {
	narrow  bool // operands of rotations and of the application are bfloat16
	compute blas.Compute
	exact   blas.Compute // of inverses, quotients and re-orthonormalisation
}

func (p *plan) operands() operandsOf {
	switch p.o.Precision {
	case FP32:
		return operandsOf{false, blas.Compute32, blas.Compute32}
	case TF32:
		return operandsOf{false, blas.ComputeTF32, blas.ComputeTF32}
	}
	return operandsOf{true, blas.Compute32, blas.ComputeTF32}
}

func (o operandsOf) inputs() blas.Type {
	if o.narrow {
		return blas.BFloat16
	}
	return blas.Float32
}

// pass is the work on one group in one step.
type pass struct {
	*Spectral
	g  *group
	l  lasting
	q  passing
	by operandsOf
}

func (s *Spectral) pass(i int) *pass {
	p := &pass{Spectral: s, g: &s.p.groups[i], l: s.m.groups[i], by: s.p.operands()}
	p.q, _ = p.g.passing(s.m.shared, s.p.o.Every)
	return p
}

// enqueue enqueues the kernels and products of a step.
func (s *Spectral) enqueue(v variant) {
	every := s.p.o.Every
	for i := range s.p.groups {
		p := s.pass(i)
		p.enter()
		for phase := range every {
			if v.phase == updateAll || phase == v.phase {
				if from, end := p.g.part(i, phase, every); from < end {
					p.update(from, end-from, v)
				}
			}
		}
		p.apply()
	}
	if len(s.p.plain) > 0 {
		longest := 0
		for i := range s.p.plain {
			longest = max(longest, s.p.starts[i+1]-s.p.starts[i])
		}
		s.l.ptr(s.m.numbers).ptr(s.m.params).ptr(s.m.grads).ptr(s.m.ends).int(len(s.p.plain)).ptr(s.at(s.p.moments[0])).ptr(s.at(s.p.moments[1])).
			launch("plan_adam", min((longest+elementThreads-1)/elementThreads, mostBlocks), min(len(s.p.plain), mostGrid), 1, elementThreads, 1)
	}
}

// refresh makes the bfloat16 copies and the powers fit the state.
func (s *Spectral) refresh() {
	for i := range s.p.groups {
		p := s.pass(i)
		count := len(p.g.params)
		for side := range 2 {
			n := p.g.side(side)
			p.narrowBasis(side, 0, count)
			s.l.ptr(s.at(p.g.eig[side])).float64(-1/s.p.o.Root).ptr(p.l.powers[side]).int(count*n).each("power", count*n)
		}
	}
}

// narrowBasis brings the bfloat16 copies of bases up to date.
func (p *pass) narrowBasis(side, from, count int) {
	if !p.by.narrow {
		return
	}
	size := p.g.side(side) * p.g.side(side)
	p.Spectral.l.ptr(p.basis(side, from)).ptr(p.l.narrow[side]+uintptr(2*from*size)).int(count*size).each("narrow", count*size)
}

// basis and eig are the addresses of the bases and eigenvalues from matrix number from on.
func (p *pass) basis(side, from int) uintptr {
	n := p.g.side(side)
	return p.at(p.g.basis[side] + from*n*n)
}

// rest is what is off the diagonal, 0 where it is dropped.
func (p *pass) rest(side, from int) uintptr {
	if !p.p.o.Keep {
		return 0
	}
	n := p.g.side(side)
	return p.at(p.g.rest[side] + from*n*n)
}

func (p *pass) eig(side, from int) uintptr { return p.at(p.g.eig[side] + from*p.g.side(side)) }

// input is the operand of the rotations and of the application: the bases, in the precision of products.
func (p *pass) input(side, from int) uintptr {
	if p.by.narrow {
		n := p.g.side(side)
		return p.l.narrow[side] + uintptr(2*from*n*n)
	}
	return p.basis(side, from)
}

// enter takes the gradients into the momentum.
func (p *pass) enter() {
	size, count := p.g.m*p.g.n, len(p.g.params)
	narrow := uintptr(0)
	if p.by.narrow {
		narrow = p.q.x
	}
	p.Spectral.l.ptr(p.m.numbers).ptr(p.l.grads).ptr(p.at(p.g.momentum)).ptr(narrow).lines("plan_momentum", size, count)
}

// product enqueues c = op(a) op(b) + beta c for matrices without gaps.
func (p *pass) product(ta, tb bool, a, b uintptr, inner int, alpha, beta float64, c uintptr, rows, cols, count int, in, out blas.Type, compute blas.Compute) {
	strideA, strideB := inner, cols
	if ta {
		strideA = rows
	}
	if tb {
		strideB = inner
	}
	p.Spectral.l.product(blas.Product{TransA: ta, TransB: tb, Rows: rows, Cols: cols, Inner: inner, Count: count, Alpha: alpha, Beta: beta,
		A: blas.Operand{At: a, Stride: strideA, Step: rows * inner}, B: blas.Operand{At: b, Stride: strideB, Step: inner * cols},
		C: blas.Operand{At: c, Stride: cols, Step: rows * cols}, Inputs: in, Result: out, Compute: compute})
}

// rotate sets f to op(left) x op(right)^T..., through p: into the eigenbases (back false) or out of them.
func (p *pass) rotate(x uintptr, back bool, from, count int) {
	m, n, in := p.g.m, p.g.n, p.by.inputs()
	p.product(!back, false, p.input(0, from), x, m, 1, 0, p.q.p, m, n, count, in, in, p.by.compute)
	p.product(false, back, p.q.p, p.input(1, from), n, 1, 0, p.q.f, m, n, count, in, blas.Float32, p.by.compute)
}

// apply preconditions the momentum and moves the parameters.
func (p *pass) apply() {
	l, g := p.Spectral.l, p.g
	size, count := g.m*g.n, len(g.params)
	x := p.at(g.momentum)
	if p.by.narrow {
		x = p.q.x
	}
	p.rotate(x, false, 0, count)
	l.ptr(p.q.f).ptr(p.l.powers[0]).ptr(p.l.powers[1]).ptr(p.at(g.totals)).float64(-1/p.p.o.Root).operand(p.q.x, p.by.narrow).int(g.m).int(g.n).
		rows("plan_precondition", count*g.m)
	p.rotate(p.q.x, true, 0, count)
	l.ptr(p.m.numbers).ptr(p.l.params).ptr(p.q.f).lines("plan_leave", size, count)
}

// update moves the factors of count matrices by their gradients.
func (p *pass) update(from, count int, v variant) {
	l, g, q, o := p.Spectral.l, p.g, &p.q, &p.p.o
	size := g.m * g.n
	// The first half of x holds the momentum's copy in bfloat16 for apply.
	grad := q.x + uintptr(2*size*len(g.params))
	if !p.by.narrow {
		grad = q.x
	}
	l.ptr(p.m.numbers).ptr(p.l.grads+uintptr(8*from)).operand(grad, p.by.narrow).lines("plan_collect", size, count)
	for side := range 2 {
		l.ptr(p.eig(side, from)).int(g.side(side)).ptr(q.s[side]).ptr(q.r[side]).ptr(q.traces[side]).rows("plan_roots", count)
	}
	p.rotate(grad, false, from, count)
	l.ptr(q.f).ptr(q.r[0]).ptr(q.r[1]).int(g.m).int(g.n).operand(grad, p.by.narrow).ptr(q.sums).rows("plan_whiten", count*g.m)
	keep := 1 - o.Beta2
	if v.phase != updateAll {
		keep = math.Pow(keep, float64(o.Every)) // for the steps without an update too
	}
	l.ptr(q.sums).ptr(q.traces[0]).ptr(q.traces[1]).int(g.m).int(g.n).float64(keep).float64(1).float64(o.Damping).ptr(p.at(g.totals+totalsLength*from)).ptr(q.coefs).
		rows("plan_rates", count)
	for side := range 2 {
		n := g.side(side)
		if side == 0 {
			p.product(false, true, grad, grad, g.n, 1, 0, q.h, n, n, count, p.by.inputs(), blas.Float32, p.by.compute)
		} else {
			p.product(true, false, grad, grad, g.m, 1, 0, q.h, n, n, count, p.by.inputs(), blas.Float32, p.by.compute)
		}
		p.follow(side, from, count)
		if v.restore {
			p.restore(side, from, count)
		}
		p.narrowBasis(side, from, count)
	}
	l.ptr(q.coefs).ptr(p.at(g.totals+totalsLength*from)).int(count).each("plan_alpha", count)
}

// follow turns the bases of one side and moves the eigenvalues, by the statistics in h. What is written E is the rotation without its identity, so that
// rounding of products touches the change only; it is an operand of products, and bfloat16 where they are.
func (p *pass) follow(side, from, count int) {
	l, q, o, n := p.Spectral.l, &p.q, &p.p.o, p.g.side(side)
	all, narrow, in := count*n*n, p.by.narrow, p.by.inputs()
	target, copied := q.h, uintptr(0)
	if narrow {
		target = q.z + q.half
		copied = target
	}
	l.ptr(q.coefs).int(side).ptr(p.eig(side, from)).ptr(q.s[side]).ptr(p.rest(side, from)).ptr(q.h).ptr(copied).ptr(q.rel).int(n).rows("plan_target", count*n)
	h, gen := view{q.h, n, n * n}, view{q.gen, n, n * n}
	l.ptr(q.s[side]).ptr(q.r[side]).ptr(q.rel).matrix(h).either(gen, narrow && !o.Exact).int(count).int(n).tiles("bounded_angle", n, n, count)
	p.measure(n, count, narrow && !o.Exact)
	e := q.gen
	if o.Exact {
		e = p.exact(n, count)
	} else {
		p.truncated(n, count)
	}
	turned, free := q.h, q.v // H Q
	if !narrow {             // whose operand is H itself
		turned, free = q.v, q.h
		l.duplicate(turned, q.h, 4*all)
	}
	p.product(false, false, target, e, n, 1, 1, turned, n, n, count, in, blas.Float32, p.by.compute)
	l.operand(e, narrow).ptr(turned).int(n).int(count).ptr(q.next).launch("plan_quotients", (n+tileSize-1)/tileSize, min(count, mostGrid), 1, tileSize, tileRows)
	l.ptr(q.coefs).ptr(q.next).ptr(q.rel).int(n).float64(-1/o.Root).ptr(p.eig(side, from)).ptr(p.l.powers[side]+uintptr(4*from*n)).ptr(q.scale).rows("plan_settle", count)
	if o.Keep {
		p.keep(side, from, count, e, turned, free)
	}
	basis, old := p.basis(side, from), p.input(side, from)
	if !narrow {
		old = q.z
		l.duplicate(old, basis, 4*all)
	}
	p.product(false, false, old, e, n, 1, 1, basis, n, n, count, in, blas.Float32, p.by.compute)
}

// keep keeps what the turned target Q^T (H Q) = (I + E)^T (H Q) has off its diagonal, in free memory.
func (p *pass) keep(side, from, count int, e, turned, free uintptr) {
	l, q, n := p.Spectral.l, &p.q, p.g.side(side)
	all := count * n * n
	if p.by.narrow {
		l.ptr(e).ptr(q.w).int(all).each("widen", all)
		e = q.w
	}
	l.duplicate(free, turned, 4*all)
	p.product(true, false, e, turned, n, 1, 1, free, n, n, count, blas.Float32, blas.Float32, p.by.exact)
	l.ptr(q.coefs).ptr(q.scale).ptr(free).ptr(p.rest(side, from)).int(count).int(n).each("plan_rest", all)
}

// measure bounds and estimates the norms of the generators.
func (p *pass) measure(n, count int, narrow bool) {
	l, q := p.Spectral.l, &p.q
	l.either(view{q.gen, n, n * n}, narrow).int(n).int(n).ptr(q.absolute).ptr(q.norms).rows("row_norms", count*n)
	l.ptr(q.absolute).ptr(q.norms).int(n).ptr(q.bound).rows("norm_bound", count)
	l.operand(q.gen, narrow).ptr(q.norms).int(n).ptr(q.a).ptr(q.est).rows("power_start", count)
	for range 3 {
		l.operand(q.gen, narrow).ptr(q.a).int(n).ptr(q.b).rows("power_step", count*n)
		l.ptr(q.b).int(n).ptr(q.a).ptr(q.est).rows("power_norm", count)
	}
}

// exact returns where E = 2 (I - N)^-1 - 2 I is. N is float32.
func (p *pass) exact(n, count int) uintptr {
	l, q, all := p.Spectral.l, &p.q, count*n*n
	l.ptr(q.gen).ptr(q.bound).ptr(q.est).float64(p.p.o.MaxNorm).ptr(q.y).int(n).rows("plan_shift", count*n)
	m := &cayley{l: l, count: count, bytes: 4}
	m.multiply = func(alpha float64, a, b view, inner int, beta float64, c view, rows, cols int) {
		l.product(blas.Product{Rows: rows, Cols: cols, Inner: inner, Count: count, Alpha: alpha, Beta: beta, A: a.operand(), B: b.operand(), C: c.operand(),
			Inputs: blas.Float32, Result: blas.Float32, Compute: p.by.exact})
	}
	y, gen := view{q.y, n, n * n}, view{q.gen, n, n * n}
	m.invert(y, view{q.v, n, n * n}, n)
	l.matrix(y).float32(2).float32(-2).matrix(gen).int(count).int(n).each("shifted", all)
	if !p.by.narrow {
		return q.gen
	}
	l.ptr(q.gen).ptr(q.y).int(all).each("narrow", all)
	return q.y
}

// truncated sets gen, from N, to E = M + F + M F for M = 2 N + N^2 and F = (I+N^2)(I+N^4) ... (I+N^(q/2)) - I, q = 2^terms: see dense.CayleyTruncated.
func (p *pass) truncated(n, count int) {
	l, q, in := p.Spectral.l, &p.q, p.by.inputs()
	l.operand(q.gen, p.by.narrow).ptr(q.bound).ptr(q.est).float64(p.p.o.MaxNorm).int(n).rows("plan_shorten", count*n)
	times := func(a, b uintptr, beta float64, c uintptr) {
		p.product(false, false, a, b, n, 1, beta, c, n, n, count, in, in, p.by.compute)
	}
	power, square := q.y, q.z
	times(q.gen, q.gen, 0, power)
	p.sum(2, q.gen, power, 0, q.gen, count*n*n)
	f, next, other := power, q.w, q.v
	for range p.p.o.Terms - 2 {
		times(power, power, 0, square)
		p.sum(1, f, square, 0, next, count*n*n)
		times(f, square, 1, next)
		power, square = square, power
		f, next, other = next, other, next
	}
	times(q.gen, f, 0, next)
	p.sum(1, q.gen, f, next, q.gen, count*n*n)
}

// sum sets y = factor a + b + c, arrays of operands, of which c may be missing.
func (p *pass) sum(factor float64, a, b, c, y uintptr, n int) {
	narrow := p.by.narrow
	p.Spectral.l.float32(factor).operand(a, narrow).operand(b, narrow).operand(c, narrow).operand(y, narrow).int(n).each("plan_sum", n)
}

// restore makes a Newton-Schulz step B <- B - B (B^T B - I)/2.
func (p *pass) restore(side, from, count int) {
	l, q, n := p.Spectral.l, &p.q, p.g.side(side)
	all, basis := count*n*n, p.basis(side, from)
	p.product(true, false, basis, basis, n, 1, 0, q.h, n, n, count, blas.Float32, blas.Float32, p.by.exact)
	h := view{q.h, n, n * n}
	l.matrix(h).float32(1).float32(-1).matrix(h).int(count).int(n).each("shifted", all)
	l.duplicate(q.y, basis, 4*all)
	p.product(false, false, q.y, q.h, n, -0.5, 1, basis, n, n, count, blas.Float32, blas.Float32, p.by.exact)
}

// updates says whether a matrix has its turn in a phase.
func (p *plan) updates(phase int) bool {
	for i := range p.groups {
		if from, end := p.groups[i].part(i, phase, p.o.Every); from < end {
			return true
		}
	}
	return false
}

// part returns the matrices that phase p of every updates, the i-th group starting later than the first so that the work of all steps is alike.
func (g *group) part(i, p, every int) (from, end int) {
	p = (p + 3*i) % every
	return p * len(g.params) / every, (p + 1) * len(g.params) / every
}
