package nnopt

import (
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// singdGroup works on the factors of layers of one shape: of one layer on the processor, on a device of all that have this shape, in the same calls.
type singdGroup[T Float] struct {
	rule    *singdRule[T]
	key     singdKey
	layers  []*singdLayer[T]
	in, out *movingFactor[T] // K and C; h holds K^T U K and C^T F C, times the numbers of examples
	figures *engine.Reckoning[T]

	ok, keep, take, fine engine.Figure // whether the statistics are of use, what the momenta and they are multiplied by, and whether that went through
	numbers              []float64     // one for each layer
	stats                []*Stats[T]   // for each layer those that wait to be taken in
	singles              [2]*panels[T] // of one input, and one output, where there are more layers

	momentum []T             // of all layers
	g, t     engine.Batch[T] // Dout x Din, the bias as last column
}

// singdKey is what the layers of a group have in common.
type singdKey struct {
	rows, cols   int
	bias, frozen bool
}

// newGroup returns one of no layers.
func (r *singdRule[T]) newGroup(b *Block[T], l *Layer) *singdGroup[T] {
	g := &singdGroup[T]{rule: r, key: singdKey{rows: b.Rows, cols: b.Cols, bias: l.Bias != ""}}
	r.groups = append(r.groups, g)
	return g
}

// add adds a layer.
func (g *singdGroup[T]) add(l *Layer) *singdLayer[T] {
	s := &singdLayer[T]{rule: g.rule, bias: g.key.bias, group: g, index: len(g.layers), b: -1}
	g.layers = append(g.layers, s)
	g.rule.moving[l.Weight] = s
	return s
}

// settle takes the memory of the group but for its workspace, when it has all its layers. The slots are the momenta of the layers, the inputs, their motions, the outputs, their motions.
func (g *singdGroup[T]) settle(e engine.Backend[T], a *engine.Arena[T], slots [5][]T) {
	in, out := g.rule.patterns(g.key.rows, g.key.cols, g.key.bias)
	n := len(g.layers)
	g.in, g.out = newMovingFactor(1, in, n, slots[1], slots[2]), newMovingFactor(0, out, n, slots[3], slots[4])
	g.momentum = slots[0]
	if e != engine.CPU[T]() {
		g.in.place(e, a)
		g.out.place(e, a)
	}
	if n > 1 {
		g.singles = [2]*panels[T]{{count: 1}, {count: 1}}
		g.singles[0].place(in, e, a)
		g.singles[1].place(out, e, a)
	}
	g.figures = engine.NewReckoning(e, a, n, 32+2*movingFigures)
	g.numbers, g.stats = make([]float64, n), make([]*Stats[T], n)
}

// workspace says what the group needs in a step.
func (g *singdGroup[T]) workspace() []need[T] {
	g.g, g.t = blank[T](len(g.layers), g.out.k.n, g.in.k.n), blank[T](len(g.layers), g.out.k.n, g.in.k.n)
	return []need[T]{{&g.g.Data, g.g.Count * g.g.Step}, {&g.t.Data, g.t.Count * g.t.Step}}
}

// await has statistics of a layer taken in with those of the others, after what waits of the same layer.
func (g *singdGroup[T]) await(k int, stats *Stats[T]) {
	if g.stats[k] != nil {
		g.observe()
	}
	g.stats[k] = stats
	if len(g.stats) == 1 {
		g.observe()
	}
}

// dismiss forgets statistics that wait.
func (g *singdGroup[T]) dismiss() { clear(g.stats) }

// observe takes in what waits: together if it is alike and of all layers.
func (g *singdGroup[T]) observe() {
	first := g.stats[0]
	alike := first != nil && !slices.ContainsFunc(g.stats, func(s *Stats[T]) bool {
		return s == nil || s.In.Rows != first.In.Rows || s.Reps != first.Reps || s.terms(g.rule.o.Average) != first.terms(g.rule.o.Average)
	})
	if alike {
		g.absorb(0, len(g.stats))
	} else {
		for k, s := range g.stats {
			if s != nil {
				g.absorb(k, 1)
			}
		}
	}
	g.dismiss()
}

// absorb takes in the statistics of count layers from the one at on: of one, or of all.
func (g *singdGroup[T]) absorb(at, count int) {
	first := g.stats[at]
	n := first.In.Rows / first.Reps
	for _, s := range g.layers[at : at+count] {
		if s.examples == 0 {
			g.in.h.zero(g.in.h.own(g.in.h.data, s.index))
			g.out.h.zero(g.out.h.own(g.out.h.data, s.index))
		}
		s.examples += n
	}
	reps := 1
	if g.rule.o.Reduce {
		reps = first.Reps
	}
	x := g.load(at, count, false, reps, 1/T(reps))
	if g.key.bias {
		g.in.k.panel.e.AddRow([]T{1}, 0, view(x, 0, g.key.cols, x.Rows, 1))
	}
	g.learnGram(0, at, x, float64(n)/float64(x.Rows))
	weight := first.terms(g.rule.o.Average)
	if g.rule.o.Average != AverageNone {
		weight *= float64(n)
	}
	g.learnGram(1, at, g.load(at, count, true, reps, 1), weight)
}

// load returns scale times the sums of each reps rows of the inputs, or of the gradients at the outputs, of layers, in rows of the size of the factor.
func (g *singdGroup[T]) load(at, count int, outputs bool, reps int, scale T) engine.Batch[T] {
	r, rows, cols := g.rule, g.stats[at].In.Rows/reps, g.in.k.n
	if outputs {
		cols = g.out.k.n
	}
	n := count * rows * cols
	e, all := g.in.k.panel.e, stacked(grown(r.arena, &r.rows, n), count, rows, cols)
	grown(r.arena, &r.products, n)
	for k := range count {
		x := g.stats[at+k].In
		if outputs {
			x = g.stats[at+k].Out
		}
		if reps > 1 {
			sums := dense.Wrap(rows, x.Cols, g.rule.products[:rows*x.Cols])
			e.Reduce(engine.Pool{Weight: float64(scale)}, x, nil, sums)
			x = sums
		}
		y := all.At(k)
		e.Copy(engine.One(x), engine.One(y.View(0, 0, rows, x.Cols)))
	}
	return all
}

// learnGram adds c times the projections of F^T x^T x F to the targets of the factors F of the inputs or outputs of the layers that x is of.
func (g *singdGroup[T]) learnGram(side, at int, x engine.Batch[T], c float64) {
	f := g.factors()[side]
	k, h := f.k, f.h
	if x.Count < len(g.layers) {
		w := g.singles[side]
		k, h = member[T]{k.pattern, k.own(k.data, at), w}, member[T]{h.pattern, h.own(h.data, at), w}
	}
	y := x
	y.Data = g.rule.products[:len(x.Data)]
	k.right(dense.NoTrans, x, y)
	h.addColumnGram(T(c), y)
}

func (g *singdGroup[T]) factors() [2]*movingFactor[T] { return [2]*movingFactor[T]{g.in, g.out} }

// step moves the layers.
func (g *singdGroup[T]) step(e engine.Backend[T]) {
	learns := false
	for _, s := range g.layers {
		s.learned = s.examples > 0
		learns = learns || s.learned
	}
	if learns {
		g.learn()
	}
	for k, s := range g.layers {
		s.enter(e, g.g.At(k), g.t.At(k))
	}
	g.in.k.right(dense.NoTrans, g.g, g.t)
	g.in.k.right(dense.Transposed, g.t, g.g)
	g.out.k.left(dense.Transposed, g.g, g.t)
	g.out.k.left(dense.NoTrans, g.t, g.g)
	e.Blend(T(g.rule.o.Momentum), g.momentum, 1, g.g.Data, g.momentum)
	for k, s := range g.layers {
		s.leave(e, g.t.At(k))
	}
}

// learn moves the factors by what was observed. Those of layers of which nothing was, or of which the statistics are not finite, stay as they are.
func (g *singdGroup[T]) learn() {
	q := g.figures
	q.Begin()
	g.average()
	g.in.formInner(q)
	g.out.formInner(q)
	g.weigh()
	q.Run()
	for k, s := range g.layers {
		g.numbers[k] = one[float64](s.learned)
	}
	g.ok = q.Numbers(g.numbers)
	for _, f := range g.factors() {
		f.h.panel.e.Blend(0.5, f.h.data, 0, nil, f.h.data)
		g.ok = f.target(q, g.ok)
	}
	latest := 1.0
	if !g.rule.o.Plain {
		latest -= g.rule.o.Alpha1
	}
	g.keep, g.take = q.Pick(g.ok, q.Number(g.rule.o.Alpha1), q.Number(1)), q.Pick(g.ok, q.Number(latest), q.Number(0))
	q.Run()
	g.moveFactors()
}

// average divides what was added up by the numbers of examples.
func (g *singdGroup[T]) average() {
	e, q, n := g.in.k.panel.e, g.figures, len(g.layers)
	for k, s := range g.layers {
		g.numbers[k] = 1
		if s.learned {
			g.numbers[k] = 1 / float64(s.examples)
			s.seen, s.examples = s.examples, 0
		}
	}
	share := q.Numbers(g.numbers)
	q.Run()
	multiplyBy(e, q.Register(share), g.in.h.data, n)
	if g.rule.o.Average != AverageNone {
		multiplyBy(e, q.Register(share), g.out.h.data, n)
	}
}

// weigh finds what damping the targets get, and multiplies each by the mean trace of the other, unless the factors do not see each other.
func (g *singdGroup[T]) weigh() {
	q, factors := g.figures, g.factors()
	for i, f := range factors {
		if g.rule.apart {
			f.ridge = q.Number(g.rule.o.Damping / 2)
		} else {
			f.ridge = q.Over(q.Times(q.Number(g.rule.o.Damping), factors[1-i].trace), q.Number(2))
		}
	}
	if g.rule.apart {
		return
	}
	means := [...]engine.Figure{g.in.h.meanTraces(q), g.out.h.meanTraces(q)}
	q.Run()
	for i, f := range factors {
		multiplyBy(f.h.panel.e, q.Register(means[1-i]), f.h.data, len(g.layers))
	}
}

// moveFactors moves the factors by what their targets are.
func (g *singdGroup[T]) moveFactors() {
	q := g.figures
	g.fine = g.ok
	for _, f := range g.factors() {
		f.follow(q, g.keep, g.take)
		norm, top := f.m.norms(q)
		step := q.Number(g.rule.o.Beta1)
		if !g.rule.o.Plain {
			step = q.Over(step, q.Most(q.Number(1), top))
		}
		g.fine = q.Times(g.fine, f.shorten(q, step, norm, g.ok))
	}
	q.Run()
	for _, f := range g.factors() {
		f.move(q)
	}
}

// allot implements allotting: on a device layers of one shape share a group.
func (r *singdRule[T]) allot(blocks []Block[T], e engine.Backend[T], a *engine.Arena[T]) {
	r.moving, r.groups, r.slotted = map[string]*singdLayer[T]{}, nil, nil
	r.arena, r.rows, r.products = a, nil, nil
	if e == engine.CPU[T]() {
		return
	}
	r.slotted = slotPlaces[T]{}
	for i := range blocks {
		b := &blocks[i]
		l := r.layer(b.Name)
		if l == nil {
			continue
		}
		s := r.group(b, l).add(l)
		s.w, s.b = i, slices.IndexFunc(blocks, func(c Block[T]) bool { return l.Bias != "" && c.Name == l.Bias })
	}
	var needs [][]need[T]
	for _, g := range r.groups {
		in, out := r.patterns(g.key.rows, g.key.cols, g.key.bias)
		n := len(g.layers)
		slots := [...][]T{a.Alloc(n * in.n * out.n), a.Alloc(n * in.size), a.Alloc(n * in.size), a.Alloc(n * out.size), a.Alloc(n * out.size)}
		g.settle(e, a, slots)
		needs = append(needs, g.workspace())
		for k, s := range g.layers {
			for i, name := range [...]string{"momentum", "input", "input motion", "output", "output motion"} {
				r.slotted.put(blocks[s.w].Name, name, partOf(slots[i], n, k))
			}
		}
	}
	shareWork(a, needs...)
}

// group returns one with room for a layer with these weights.
func (r *singdRule[T]) group(b *Block[T], l *Layer) *singdGroup[T] {
	still := func(name string) bool { return r.o.Settings.forBlock(name).frozen }
	key := singdKey{b.Rows, b.Cols, l.Bias != "", still(b.Name) && (l.Bias == "" || still(l.Bias))}
	for _, g := range r.groups {
		if g.key == key && fits(len(g.layers), b.Len()) {
			return g
		}
	}
	g := r.newGroup(b, l)
	g.key = key
	return g
}

// slot implements allotting.
func (r *singdRule[T]) slot(s *Slot[T]) bool { return r.slotted.give(s) }

// moveTogether implements coupled: on a device the layers move here.
func (r *singdRule[T]) moveTogether(blocks []Block[T], updates []engine.Update) {
	if r.slotted == nil {
		return
	}
	for _, g := range r.groups {
		if g.key.frozen {
			continue
		}
		for _, s := range g.layers {
			s.current = singdRunning[T]{w: &blocks[s.w], u: updates[s.w]}
			if s.b >= 0 {
				s.current.b, s.current.v = &blocks[s.b], updates[s.b]
			}
		}
		g.step(g.in.k.panel.e)
	}
}
