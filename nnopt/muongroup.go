package nnopt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// muonGroup makes matrices of one size nearly orthogonal, all in the same calls: one matrix on the processor, on a device all that have this size, lying or
// standing.
type muonGroup[T Float] struct {
	o          *Muon
	e, fast    engine.Backend[T] // fast is for products that may be rounded
	k, n       int               // rows and columns, k <= n
	count      int
	x, next    engine.Batch[T] // k x n
	a, p       engine.Batch[T] // k x k
	rest, last []float64       // squared distances from orthogonal matrices, with Exact
	pause      func()          // waits for what is read

	done, spare engine.Batch[T] // x and next, in the order in which the last iteration left them
}

// prepare takes the memory.
func (g *muonGroup[T]) prepare(a *engine.Arena[T]) {
	for _, b := range []struct {
		to         *engine.Batch[T]
		rows, cols int
	}{{&g.x, g.k, g.n}, {&g.next, g.k, g.n}, {&g.a, g.k, g.k}, {&g.p, g.k, g.k}} {
		*b.to = stacked(a.Alloc(g.count*b.rows*b.cols), g.count, b.rows, b.cols)
	}
	g.rest, g.last = a.Doubles(g.count), make([]float64, g.count)
	g.pause = func() { engine.Wait(g.e) }
}

// orthogonalise makes the matrices in x nearly orthogonal. The result is in done.
func (g *muonGroup[T]) orthogonalise() {
	g.e.Unit(g.x.Data, g.count, 1e-8)
	g.done, g.spare = g.x, g.next // every step makes the same calls
	const a, b, c = 3.4445, -4.775, 2.0315
	for range g.o.Iterations {
		g.fast.GemmSymmetric(dense.NoTrans, dense.Transposed, 1, g.done, g.done, 0, g.a)
		g.e.Copy(g.a, g.p)
		g.fast.GemmSymmetric(dense.NoTrans, dense.NoTrans, c, g.a, g.a, b, g.p)
		g.e.Copy(g.done, g.spare)
		g.fast.Gemm(dense.NoTrans, dense.NoTrans, 1, g.p, g.done, a, g.spare)
		g.done, g.spare = g.spare, g.done
	}
	if g.o.Exact {
		g.polish()
	}
}

// polish takes the matrices, whose singular values are below sqrt 3, to their polar factors, each until X X^T stops coming nearer to I: it is multiplied by I
// from then on.
func (g *muonGroup[T]) polish() {
	for k := range g.last {
		g.last[k] = math.Inf(1)
	}
	for range 30 {
		g.e.GemmSymmetric(dense.NoTrans, dense.Transposed, 1, g.done, g.done, 0, g.a)
		g.e.Combine(-1, 1, g.a, 0, g.a, g.p)
		g.e.Squares(g.p.Data, g.rest)
		g.pause()
		going := false
		for k, rest := range g.rest {
			if rest < 0.9*g.last[k] {
				g.last[k], going = rest, true
			} else {
				g.last[k] = 0
			}
		}
		if !going {
			return
		}
		g.e.Combine(1.5, -0.5, g.a, 0, g.a, g.a)
		for k, last := range g.last {
			if one := engine.One(g.a.At(k)); last == 0 {
				g.e.Combine(1, 0, one, 0, one, one)
			}
		}
		g.e.Gemm(dense.NoTrans, dense.NoTrans, 1, g.a, g.done, 0, g.spare)
		g.done, g.spare = g.spare, g.done
	}
}

// place implements placed: matrices of one size share a group on a device.
func (s *muonBlock[T]) place(e engine.Backend[T], a *engine.Arena[T]) {
	k, n := s.k, s.n
	if e == engine.CPU[T]() {
		s.group = &muonGroup[T]{o: &s.rule.o, e: e, fast: engine.Fast(e), k: k, n: n, count: 1}
		s.group.prepare(a)
		return
	}
	if s.still {
		return
	}
	for _, g := range s.rule.groups {
		if g.k == k && g.n == n {
			s.group = g
		}
	}
	if s.group == nil {
		s.group = &muonGroup[T]{o: &s.rule.o, e: e, fast: engine.Fast(e), k: k, n: n}
		s.rule.groups = append(s.rule.groups, s.group)
	}
	s.index = s.group.count
	s.group.count++
	s.rule.moving[s.name] = s
}

// renew implements renewed.
func (r *muonRule[T]) renew() { r.groups, r.moving = nil, map[string]*muonBlock[T]{} }

// foresees says whether the steps of a device wait for iterations: those come before the momentum moves.
func (r *muonRule[T]) foresees() bool { return r.o.Exact && len(r.groups) > 0 }

// ahead implements foreseeing.
func (r *muonRule[T]) ahead(blocks []Block[T], updates []engine.Update) {
	if !r.foresees() {
		return
	}
	for k := range blocks {
		if s := r.moving[blocks[k].Name]; s != nil {
			s.load(s.group.e, &blocks[k], updates[k], nil)
		}
	}
	var routines []func(pause func())
	for _, g := range r.groups {
		routines = append(routines, func(pause func()) {
			g.pause = pause
			g.orthogonalise()
		})
	}
	inStep(func() { engine.Wait(r.groups[0].e) }, routines)
}

// settle implements grounded: the groups take their memory.
func (r *muonRule[T]) settle(_ engine.Backend[T], a *engine.Arena[T]) {
	for _, g := range r.groups {
		g.prepare(a)
	}
}

// together implements gathering.
func (r *muonRule[T]) together() {
	if r.foresees() {
		return
	}
	for _, g := range r.groups {
		g.orthogonalise()
	}
}
