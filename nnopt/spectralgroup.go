package nnopt

import (
	"fmt"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// spectralGroup moves blocks of one shape together on a device, as spectralBlock moves one: every call works on all of them, and nothing comes back to the
// processor within a step. Arrays hold what belongs to one block after the other.
type spectralGroup[T Float] struct {
	rule    *spectralRule[T]
	e, fast engine.Backend[T] // fast is for products that may be rounded
	key     string
	names   []string
	modes   productModes[T] // of all blocks
	size    int             // of a block
	turn    int             // step within an interval at which the bases rotate
	others  float64         // the product of the sizes of dimensions without a factor
	factors []*groupFactor[T]

	momentum, totals []T
	narrow           []engine.BFloat16 // where the momentum is stored, if it is so
	rates            engine.Rates[T]
	scales           []float64 // of the factors
	sums, none       []float64 // of increments, and zeros
	work             groupWork[T]

	blocks  []*Block[T] // of the running step
	updates []engine.Update
}

// groupFactor is the factor of a dimension.
type groupFactor[T Float] struct {
	mode, n int
	blocks  int // that it is cut into
	d, fine []T // eigenvalues of all blocks of the factor, and powers of them
	runs    []*groupRun[T]
}

// groupRun is the blocks of a factor that have one size and follow each other.
type groupRun[T Float] struct {
	n, from   int // size, and index of the first row
	first     int // number of the first block of the factor
	at        []slab
	b, m      engine.Batch[T]   // bases and targets: first one block of all tensors, then the next one
	narrow    []engine.BFloat16 // where m is stored, if it is so
	lasts     bool              // m is kept from step to step
	s, r, x   []T
	next      []T // eigenvalues of a step
	bound     []float64
	estimates []float64
	swept     []float64 // which blocks turn, with a tolerance or several sweeps
	live      []float64 // which do so in a sweep
}

// groupWork is the workspace of a group, which it shares with the others.
type groupWork[T Float] struct {
	z, t, g, h, gen, q, w []T
	zeros                 []T // nobody writes to them
}

// workspace says what the group needs beside its own memory.
func (g *spectralGroup[T]) workspace() []need[T] {
	count, square, row := len(g.names), 0, 0
	for _, f := range g.factors {
		for _, run := range f.runs {
			square, row = max(square, len(run.b.Data)), max(row, len(run.next))
		}
	}
	w, block := &g.work, count*g.size
	needs := []need[T]{{&w.z, block}, {&w.t, block}, {&w.g, block}, {&w.h, square}, {&w.gen, square}, {&w.q, square}, {&w.w, square}}
	if g.rule.turning.published {
		needs = append(needs, need[T]{&w.zeros, row})
	}
	if g.narrow == nil {
		return needs
	}
	needs = append(needs, need[T]{&g.momentum, block})
	for _, f := range g.factors {
		for _, run := range f.runs {
			if run.narrow != nil {
				run.m = run.b // with other memory
				needs = append(needs, need[T]{&run.m.Data, len(run.narrow)})
			}
		}
	}
	return needs
}

// allot implements allotting: it makes the groups, with the memory of the slots of their blocks.
func (r *spectralRule[T]) allot(blocks []Block[T], e engine.Backend[T], a *engine.Arena[T]) {
	r.groups, r.allotted, r.places = nil, map[string]*groupPlace[T]{}, slotPlaces[T]{}
	r.turns, r.most = map[string]int{}, spectralSizes{}
	if e == engine.CPU[T]() {
		return
	}
	for k := range blocks {
		b := &blocks[k]
		dims, cuts := r.tensor(b)
		turn := 0
		if r.o.Spread {
			turn = r.turnOf(b.Name)
		}
		if r.o.forBlock(b.Name).frozen || !slices.ContainsFunc(cuts, func(sizes []int) bool { return sizes != nil }) {
			continue
		}
		key := fmt.Sprint(dims, cuts, turn)
		g := r.groupOf(key, b.Len())
		if g == nil {
			g = newSpectralGroup(r, e, dims, cuts, turn)
			g.key = key
			r.groups = append(r.groups, g)
		}
		r.allotted[b.Name] = &groupPlace[T]{g, len(g.names)}
		g.names = append(g.names, b.Name)
	}
	for _, g := range r.groups {
		g.prepare(a)
		g.nameSlots(r.places)
	}
}

// groupOf returns a group with room, or nil.
func (r *spectralRule[T]) groupOf(key string, size int) *spectralGroup[T] {
	for _, g := range r.groups {
		if g.key == key && fits(len(g.names), size) {
			return g
		}
	}
	return nil
}

func newSpectralGroup[T Float](r *spectralRule[T], e engine.Backend[T], dims []int, cuts [][]int, turn int) *spectralGroup[T] {
	g := &spectralGroup[T]{rule: r, e: e, fast: engine.Fast(e), modes: newProductModes[T](dims, 0), size: product(dims), turn: turn, others: 1}
	g.modes.e = g.fast
	for i, sizes := range cuts {
		if sizes == nil {
			g.others *= float64(dims[i])
			continue
		}
		m := &groupFactor[T]{mode: i, n: dims[i], blocks: len(sizes)}
		from := 0
		for k, n := range sizes {
			if k == 0 || n != sizes[k-1] {
				m.runs = append(m.runs, &groupRun[T]{n: n, from: from, first: k, lasts: r.keepsCoupling()})
			}
			run := m.runs[len(m.runs)-1]
			run.at = append(run.at, g.modes.slab(i, from, n))
			from += n
		}
		g.factors = append(g.factors, m)
	}
	return g
}

// prepare takes the memory of the group, when it has all its blocks.
func (g *spectralGroup[T]) prepare(a *engine.Arena[T]) {
	count := len(g.names)
	g.modes.count = count
	g.totals = a.Alloc(count * totalLength)
	if g.rule.o.BFloat16 {
		g.narrow = a.BFloat16s(count * g.size)
	} else {
		g.momentum = a.Alloc(count * g.size)
	}
	for _, f := range g.factors {
		f.d, f.fine = a.Alloc(count*f.n), a.Alloc(count*f.n)
		for _, run := range f.runs {
			all := len(run.at) * count
			run.b = squares(a.Alloc(all*run.n*run.n), all, run.n)
			if g.rule.o.BFloat16 && run.lasts {
				run.narrow = a.BFloat16s(all * run.n * run.n)
			} else {
				run.m = squares(a.Alloc(all*run.n*run.n), all, run.n)
			}
			run.s, run.r, run.x, run.next = a.Alloc(all*run.n), a.Alloc(all*run.n), a.Alloc(all*run.n), a.Alloc(all*run.n)
			run.bound, run.estimates, run.swept, run.live = a.Doubles(all), a.Doubles(all), a.Doubles(all), a.Doubles(all)
		}
	}
	r := &g.rates
	for _, f := range g.factors {
		r.Sizes = append(r.Sizes, f.n)
	}
	r.Size, r.Others, r.Totals = float64(g.size), g.others, g.totals
	r.Squares, r.Traces, r.Usual, r.Due = a.Doubles(count), a.Doubles(count*len(g.factors)), a.Doubles(count), make([]float64, count)
	r.Plain, r.Exponential = g.rule.plain(), g.rule.turning.published
	r.Found = a.Doubles(count * (engine.RateKinds + 2*len(g.factors)))
	g.scales, g.sums, g.none = a.Doubles(count), a.Doubles(count), a.Doubles(count)
	for k := range g.scales {
		g.scales[k] = 1
	}
	g.blocks, g.updates = make([]*Block[T], count), make([]engine.Update, count)
	low, high := eigenRange[T]()
	r.Low, r.High, r.Surprise = low*low, high*high, largestSurprise[T]()
}

// groupPlace is the place of a block in a group: a mover that leaves the work to the group.
type groupPlace[T Float] struct {
	g     *spectralGroup[T]
	index int
}

// slot implements allotting.
func (r *spectralRule[T]) slot(s *Slot[T]) bool { return r.places.give(s) }

// nameSlots says where the slots of the blocks are.
func (g *spectralGroup[T]) nameSlots(places slotPlaces[T]) {
	count := len(g.names)
	each := func(name string, data []T, narrow []engine.BFloat16) {
		for k, block := range g.names {
			if narrow != nil {
				places.putNarrow(block, name, partOf(narrow, count, k))
			} else {
				places.put(block, name, partOf(data, count, k))
			}
		}
	}
	each("momentum", g.momentum, g.narrow)
	each("totals0", g.totals, nil)
	for _, f := range g.factors {
		each(fmt.Sprintf("values0.%d", f.mode), f.d, nil)
		for _, run := range f.runs {
			for c := range run.at {
				each(squareName("basis", f.mode, run.first+c, f.blocks), cut(run.b, count, c).Data, nil)
				if run.narrow != nil {
					each(squareName("coupling", f.mode, run.first+c, f.blocks), nil, partOf(run.narrow, len(run.at), c))
				} else if run.lasts {
					each(squareName("coupling", f.mode, run.first+c, f.blocks), cut(run.m, count, c).Data, nil)
				}
			}
		}
	}
}

func (p *groupPlace[T]) move(engine.Backend[T], *Block[T], []Slot[T], engine.Update) {}

// prepare implements staged.
func (p *groupPlace[T]) prepare(_ engine.Backend[T], b *Block[T], u engine.Update) {
	p.g.blocks[p.index], p.g.updates[p.index] = b, u
}

func (p *groupPlace[T]) failures() bool { return p.g.rates.Of(engine.RateFails)[p.index] != 0 }

// together implements gathering.
func (r *spectralRule[T]) together() {
	for _, g := range r.groups {
		g.step()
	}
}

// settle implements grounded: on a device the groups get a workspace, and so do the other blocks, that no step runs out of memory.
func (r *spectralRule[T]) settle(e engine.Backend[T], a *engine.Arena[T]) {
	if e == engine.CPU[T]() {
		return
	}
	var needs [][]need[T]
	for _, g := range r.groups {
		needs = append(needs, g.workspace())
	}
	shareWork(a, needs...)
	square := 0
	for _, g := range r.groups {
		square = max(square, len(g.work.q))
	}
	a.Reserve(2 * square)
	for len(r.free) > 0 { // they lie in memory that is given back
		<-r.free
	}
	r.put(r.take())
}

// cut is the matrices of x, one for each of n tensors and block, that belong to block c.
func cut[T Float](x engine.Batch[T], n, c int) engine.Batch[T] {
	x.Count, x.Data = n, x.Data[c*n*x.Step:(c+1)*n*x.Step]
	return x
}

// multiply sets the slabs of y to keep y + op(a) x along their dimension, a being that of a run.
func (g *spectralGroup[T]) multiply(op dense.Trans, run *groupRun[T], a engine.Batch[T], x []T, keep T, y []T) {
	for c := range run.at {
		g.modes.multiplyInto(op, cut(a, len(g.names), c), &run.at[c], 1, x, keep, y)
	}
}

// rotate multiplies z by op of the bases of all factors. The result is in the first array it returns.
func (g *spectralGroup[T]) rotate(op dense.Trans, z, t []T) (done, spare []T) {
	for _, f := range g.factors {
		for _, run := range f.runs {
			g.multiply(op, run, run.b, z, 0, t)
		}
		z, t = t, z
	}
	return z, t
}
