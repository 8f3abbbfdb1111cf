package nnopt

import (
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// muonGroup makes matrices of one size nearly orthogonal, all in the same calls: one matrix on the processor, on a device all that have this size, first those that
// lie, with as many columns as rows or more, then those that stand.
type muonGroup[T Float] struct {
	o          *Muon
	e, fast    engine.Backend[T] // fast is for products that may be rounded
	k, n       int               // rows and columns, k <= n
	blocks     []*muonBlock[T]
	lying      int             // how many of them
	momentum   []T             // of all
	x, next    engine.Batch[T] // k x n
	a, p       engine.Batch[T] // k x k
	rest, last []float64       // squared distances from orthogonal matrices, with Exact
	pause      func()          // waits for what is read

	done, spare engine.Batch[T] // x and next, in the order in which the last iteration left them
}

// newGroup returns one for matrices like b, without any.
func (r *muonRule[T]) newGroup(e engine.Backend[T], b *Block[T]) *muonGroup[T] {
	g := &muonGroup[T]{o: &r.o, e: e, fast: engine.Fast(e), k: min(b.Rows, b.Cols), n: max(b.Rows, b.Cols)}
	g.pause = func() { engine.Wait(e) }
	return g
}

// workspace makes what the group, which has all its blocks, keeps, and says what it needs beside that.
func (g *muonGroup[T]) workspace(a *engine.Arena[T]) (needs []need[T]) {
	count := len(g.blocks)
	g.rest, g.last = a.Doubles(count), make([]float64, count)
	for _, b := range []struct {
		to         *engine.Batch[T]
		rows, cols int
	}{{&g.x, g.k, g.n}, {&g.next, g.k, g.n}, {&g.a, g.k, g.k}, {&g.p, g.k, g.k}} {
		*b.to = blank[T](count, b.rows, b.cols)
		needs = append(needs, need[T]{&b.to.Data, count * b.rows * b.cols})
	}
	return needs
}

// add adds a matrix.
func (g *muonGroup[T]) add(s *muonBlock[T], b *Block[T]) {
	if b.Rows > b.Cols {
		g.blocks = append(g.blocks, s)
		return
	}
	g.blocks = slices.Insert(g.blocks, g.lying, s)
	g.lying++
}

// part is what belongs to matrix k in as many equal parts of x.
func (g *muonGroup[T]) part(x []T, k int) []T { return partOf(x, len(g.blocks), k) }

// standing is the matrices that stand, as rows x cols.
func (g *muonGroup[T]) standing(x []T, rows, cols int) engine.Batch[T] {
	return stacked(x[g.lying*g.k*g.n:], len(g.blocks)-g.lying, rows, cols)
}

// enter sets x to the gradients.
func (g *muonGroup[T]) enter(x []T) {
	for k, s := range g.blocks {
		enter(g.e, g.part(x, k), s.current, s.update)
	}
}

// load takes the gradients into the momenta, unless those stay, and what is to be made orthogonal into x.
func (g *muonGroup[T]) load(stay bool) {
	g.enter(g.x.Data)
	mu, m := T(g.o.Momentum), g.momentum
	if stay {
		m = g.next.Data
	}
	g.e.Blend(mu, g.momentum, 1-mu, g.x.Data, m)
	if g.o.Nesterov {
		g.e.Blend(mu, m, 1-mu, g.x.Data, g.next.Data)
		m = g.next.Data
	}
	if lie := g.lying * g.k * g.n; lie > 0 {
		g.e.Blend(1, m[:lie], 0, nil, g.x.Data[:lie])
	}
	if g.lying < len(g.blocks) {
		g.e.Transpose(g.standing(m, g.n, g.k), g.standing(g.x.Data, g.k, g.n))
	}
}

// leave moves the blocks by what is done.
func (g *muonGroup[T]) leave() {
	if g.lying < len(g.blocks) {
		g.e.Transpose(g.standing(g.done.Data, g.k, g.n), g.standing(g.spare.Data, g.n, g.k))
	}
	for k, s := range g.blocks {
		step := g.done.Data
		if k >= g.lying {
			step = g.spare.Data
		}
		leave(g.e, s.current, s.update, s.scale, g.part(step, k))
		s.current = nil
	}
}

// orthogonalise makes the matrices in x nearly orthogonal. The result is in done.
func (g *muonGroup[T]) orthogonalise() {
	g.e.Unit(g.x.Data, len(g.blocks), 1e-8)
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

// allot implements allotting: on a device matrices of one size share a group, with their momenta one after the other.
func (r *muonRule[T]) allot(blocks []Block[T], e engine.Backend[T], a *engine.Arena[T]) {
	r.groups, r.placed, r.slotted = nil, map[string]*muonBlock[T]{}, slotPlaces[T]{}
	if e == engine.CPU[T]() {
		return
	}
	for k := range blocks {
		b := &blocks[k]
		if isVector(b) || r.o.forBlock(b.Name).frozen {
			continue
		}
		s := r.newBlock(b)
		s.at = k
		r.groupOf(e, b).add(s, b)
		r.placed[b.Name] = s
	}
	var needs [][]need[T]
	for _, g := range r.groups {
		g.momentum = a.Alloc(len(g.blocks) * g.k * g.n)
		for k, s := range g.blocks {
			r.slotted.put(blocks[s.at].Name, "momentum", g.part(g.momentum, k))
		}
		if r.o.Exact { // all groups are worked on at the same time
			shareWork(a, g.workspace(a))
		} else {
			needs = append(needs, g.workspace(a))
		}
	}
	shareWork(a, needs...)
}

// groupOf returns one with room for a matrix.
func (r *muonRule[T]) groupOf(e engine.Backend[T], b *Block[T]) *muonGroup[T] {
	k, n := min(b.Rows, b.Cols), max(b.Rows, b.Cols)
	for _, g := range r.groups {
		if g.k == k && g.n == n && fits(len(g.blocks), b.Len()) {
			return g
		}
	}
	g := r.newGroup(e, b)
	r.groups = append(r.groups, g)
	return g
}

// slot implements allotting.
func (r *muonRule[T]) slot(s *Slot[T]) bool { return r.slotted.give(s) }

// foresees says whether the steps of a device wait for iterations: those come before the momentum moves.
func (r *muonRule[T]) foresees() bool { return r.o.Exact && len(r.groups) > 0 }

// ahead implements foreseeing.
func (r *muonRule[T]) ahead(blocks []Block[T], updates []engine.Update) {
	if !r.foresees() {
		return
	}
	var routines []func(pause func())
	for _, g := range r.groups {
		for _, s := range g.blocks {
			s.prepare(g.e, &blocks[s.at], updates[s.at])
		}
		g.load(true)
		routines = append(routines, func(pause func()) {
			g.pause = pause
			g.orthogonalise()
		})
	}
	inStep(func() { engine.Wait(r.groups[0].e) }, routines)
}

// together implements gathering.
func (r *muonRule[T]) together() {
	for _, g := range r.groups {
		if r.foresees() { // the momenta have stayed
			g.enter(g.spare.Data)
			average(g.e, T(r.o.Momentum), g.momentum, g.spare.Data)
		} else {
			g.load(false)
			g.orthogonalise()
		}
		g.leave()
	}
}
