package nnopt

import (
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// moveTogether takes the step of all layers, on a device what ahead has found.
func (r *kfacRule[T]) moveTogether(blocks []Block[T], updates []engine.Update) {
	if r.at.away() {
		r.settleStep(blocks, updates)
		return
	}
	if !r.foresee(blocks, updates) {
		return
	}
	if r.o.Reject && r.objective != nil {
		r.keepAll(blocks, lentValues) // for a step that may be taken back
	}
	before, judge := math.NaN(), r.judges()
	if judge {
		before = r.loss()
	}
	r.take(blocks, updates, r.next)
	if judge && r.judge(before, r.loss(), r.next.change) {
		r.restoreAll(blocks, lentValues)
		r.stop()
	}
}

// foresee learns, and finds the step, unless there is none.
func (r *kfacRule[T]) foresee(blocks []Block[T], updates []engine.Update) (moves bool) {
	r.failed, r.taken = false, nil
	if len(r.moving) == 0 {
		return false
	}
	r.locate(blocks)
	r.reserve(blocks)
	r.at.figures.Begin()
	for _, g := range r.groups {
		g.figures.Begin()
	}
	r.learn(updates)
	if r.lr == 0 || r.t <= r.o.BurnIn {
		return false
	}
	r.directions(blocks, updates)
	s, ok := r.choose(blocks, updates)
	if !ok { // the direction overflows
		r.failed = true
		return false
	}
	r.next = s
	return true
}

// judges says whether the loss is compared before and after the step.
func (r *kfacRule[T]) judges() bool {
	return r.objective != nil && (r.o.Reject || !r.o.FixedDamping && r.t%r.o.AdaptEvery == 0)
}

// loss returns that of the objective, which finds all work done.
func (r *kfacRule[T]) loss() float64 {
	engine.Wait(r.at.e)
	return r.objective.Loss()
}

// reserve makes the flat vectors of the model before anything moves.
func (r *kfacRule[T]) reserve(blocks []Block[T]) {
	n := 0
	for k := range blocks {
		n += blocks[k].Len()
	}
	if r.objective == nil || len(r.x) == n {
		return
	}
	a := r.at.arena
	r.x, r.y, r.px, r.py = a.Alloc(n), a.Alloc(n), a.Alloc(n), a.Alloc(n)
	r.kept = a.Alloc(n)
	if r.at.away() {
		for _, g := range r.groups {
			g.tried = a.Alloc(len(g.last.Data))
		}
		r.at.flat = [2][]float64{r.at.wide.arena.Alloc(n), r.at.wide.arena.Alloc(n)}
	}
}

// locate finds the blocks of the layers.
func (r *kfacRule[T]) locate(blocks []Block[T]) {
	position := func(name string) int {
		return slices.IndexFunc(blocks, func(b Block[T]) bool { return b.Name == name })
	}
	for _, k := range r.moving {
		if k.w < 0 {
			k.w = position(k.names.Weight)
			if k.names.Bias != "" {
				k.b = position(k.names.Bias)
			}
		}
	}
}

// learn takes in what was observed, and inverts when it is time.
func (r *kfacRule[T]) learn(updates []engine.Update) {
	observed := false
	for _, g := range r.groups {
		observed = g.average() || observed
	}
	if observed {
		r.seen++
	}
	due := r.inverse == 0 || (r.t-1)%r.o.Interval == 0
	if !due && r.o.Model != ModelFactors {
		return
	}
	weight := 1.0
	if r.seen > 0 {
		weight = 1 - math.Pow(r.o.Average, r.seen)
	}
	for _, g := range r.groups {
		g.load(weight)
	}
	if due {
		r.invert(updates)
	}
}

// invert brings the inverses of all layers up to date. It waits for what their damping is split by, and for whether they are inverses.
func (r *kfacRule[T]) invert(updates []engine.Update) {
	for _, g := range r.groups {
		g.measure()
	}
	r.wait()
	for _, k := range r.moving {
		k.dampings = k.split(r.damping + updates[k.w].L2)
	}
	if r.at.away() {
		r.findBases(r.inverse == 0)
	}
	for _, g := range r.groups {
		g.invert(r.inverse == 0)
	}
	r.wait()
	for _, g := range r.groups {
		r.failed = !g.adopt() || r.failed
	}
	if r.seen > 0 {
		r.inverse = 1
	}
}

// failures implements failing.
func (r *kfacRule[T]) failures() bool {
	return r.failed || r.taken != nil && r.taken[0] == 0 ||
		slices.ContainsFunc(r.moving, func(k *kfacLayer[T]) bool { return k.learned && k.group.figures.Value(k.group.fine, k.index) == 0 })
}

// wait carries out what was written down and waits for all work.
func (r *kfacRule[T]) wait() {
	for _, g := range r.groups {
		g.figures.Run()
	}
	r.at.figures.Run()
	engine.Wait(r.at.wide.e)
}

// total adds a figure of a group to a sum over the model. It has to be one that Tally has found.
func (r *kfacRule[T]) total(sum engine.Figure, g *kfacGroup[T], own engine.Figure) engine.Figure {
	return r.at.figures.Plus(sum, r.at.figures.Tally(g.figures.Register(own)).Sum)
}

// directions computes the preconditioned gradients. Blocks that do not move have none.
func (r *kfacRule[T]) directions(blocks []Block[T], updates []engine.Update) {
	for _, g := range r.groups {
		for _, k := range g.layers {
			k.gather(blocks, updates)
		}
		g.direct(r.damping, updates)
		g.scaleColumns(r, updates)
	}
}

// share returns the factor of the group of a block on the learning rate.
func (r *kfacRule[T]) share(updates []engine.Update, k int) float64 {
	if k < 0 {
		return 0
	}
	return updates[k].LR / r.lr
}

// kfacStep is a Delta + m (last step), if it is taken.
type kfacStep struct {
	a, m, taken engine.Figure
	change      float64 // of the loss, as the model says; NaN without one
}

// choose finds the coefficients of the step. A model makes it wait; it says that there is no step to take only if it has waited.
func (r *kfacRule[T]) choose(blocks []Block[T], updates []engine.Update) (s kfacStep, ok bool) {
	q := r.at.figures
	gd, gl, dd := q.Number(0), q.Number(0), q.Number(0) // inner products of the gradient with both directions, and of the first with itself
	for _, g := range r.groups {
		g.compare(r.modelled())
		gd, dd = r.total(gd, g, g.gd), r.total(dd, g, g.dd)
		if r.modelled() {
			gl = r.total(gl, g, g.gl)
		}
	}
	s.taken = q.Times(q.Below(q.Root(dd), q.Number(largestGradient[T]())), q.Below(q.Minus(gd, gd), q.Number(1)))
	if !r.modelled() {
		s.a, s.m, s.change = r.shortened(q.Number(-r.lr), gd), q.Number(r.o.Momentum), math.NaN()
		return s, true
	}
	var forms [3]engine.Figure
	if r.o.Model == ModelFactors {
		forms = r.forms()
	}
	r.wait()
	if q.Value(s.taken, 0) == 0 {
		return s, false
	}
	a, m, change := r.minimum(r.model(forms, blocks, updates), q.Value(gd, 0), q.Value(gl, 0))
	s.a, s.m, s.change = q.Number(a), q.Number(m), change
	return s, true
}

// shortened is a where a^2 gd obeys the constraint on it, and else less.
func (r *kfacRule[T]) shortened(a, gd engine.Figure) engine.Figure {
	c := r.o.NormConstraint
	if c == 0 {
		return a
	}
	q := r.at.figures
	most, norm := q.Number(c), q.Times(q.Times(a, a), gd)
	return q.Times(a, q.Pick(q.Below(most, norm), q.Root(q.Over(most, norm)), q.Number(1)))
}

// minimum returns the coefficients of the step that minimises the model, scaled by the schedule, and what the loss changes by.
func (r *kfacRule[T]) minimum(q quadratic, gd, gl float64) (a, m, change float64) {
	a, m, change = -r.lr, r.o.Momentum, math.NaN()
	scale := r.lr / r.o.LR
	if x, y, ok := q.minimise(gd, gl); ok {
		a, m = x*scale, y*scale
		change = a*gd + m*gl + (a*a*q.dd+2*a*m*q.dl+m*m*q.ll)/2
	}
	if c := r.o.NormConstraint; c > 0 && a*a*gd > c {
		shrink := math.Sqrt(c / (a * a * gd))
		a, m, change = a*shrink, m*shrink, math.NaN()
	}
	return a, m, change
}

// modelled says whether a quadratic model chooses the coefficients.
func (r *kfacRule[T]) modelled() bool {
	return !r.o.Fixed && (r.objective != nil || r.o.Model == ModelFactors)
}

// quadratic holds the products of the two directions with the damped Gauss-Newton matrix.
type quadratic struct{ dd, dl, ll float64 }

// model returns them, with the damping and the regularisation of L2 decay, after a wait; forms are those of ModelFactors.
func (r *kfacRule[T]) model(forms [3]engine.Figure, blocks []Block[T], updates []engine.Update) (q quadratic) {
	f := r.at.figures
	if r.o.Model == ModelFactors {
		q = quadratic{f.Value(forms[0], 0), f.Value(forms[1], 0), f.Value(forms[2], 0)}
	} else {
		q = r.exact(blocks)
	}
	for _, k := range r.moving {
		d, g := r.damping+updates[k.w].L2, k.group
		q.dd += d * g.figures.Value(g.dd, k.index)
		q.dl += d * g.figures.Value(g.dl, k.index)
		q.ll += d * g.figures.Value(g.ll, k.index)
	}
	return q
}

// exact takes one product of the objective with the directions, and one with the last steps unless they are zero.
func (r *kfacRule[T]) exact(blocks []Block[T]) (q quadratic) {
	f := r.at.figures
	moved := slices.ContainsFunc(r.moving, func(k *kfacLayer[T]) bool { return k.group.figures.Value(k.group.ll, k.index) != 0 })
	r.keepAll(blocks, lentGradients)
	r.flatten(blocks)
	engine.Wait(r.at.e) // the objective finds all work done
	r.lent = lentGradients
	r.objective.CurvatureTo(r.px, r.x)
	if moved {
		r.objective.CurvatureTo(r.py, r.y)
	}
	r.restoreAll(blocks, lentGradients)
	dd, dl, ll := r.at.flatDot(r.x, r.px), f.Number(0), f.Number(0)
	if moved {
		dl, ll = r.at.flatDot(r.y, r.px), r.at.flatDot(r.y, r.py)
	}
	r.wait()
	r.lent = lentNothing
	return quadratic{f.Value(dd, 0), f.Value(dl, 0), f.Value(ll, 0)}
}

// forms finds the products of the direction and the last step with B (x) A.
func (r *kfacRule[T]) forms() [3]engine.Figure {
	q := r.at.figures
	dd, dl, ll := q.Number(0), q.Number(0), q.Number(0)
	for _, g := range r.groups {
		r.at.sandwich(dense.NoTrans, g.full, g.d, g.t, g.product)
		dd, dl = r.total(dd, g, r.at.dot(g.figures, g.product, g.d)), r.total(dl, g, r.at.dot(g.figures, g.product, g.last))
		r.at.sandwich(dense.NoTrans, g.full, g.last, g.t, g.product)
		ll = r.total(ll, g, r.at.dot(g.figures, g.product, g.last))
	}
	return [3]engine.Figure{dd, dl, ll}
}

// minimise returns the coefficients with the smallest value of the model, of the first direction alone if the second adds nothing.
func (q quadratic) minimise(gd, gl float64) (a, m float64, ok bool) {
	if !(q.dd > 0) || math.IsInf(q.dd, 1) {
		return 0, 0, false
	}
	if det := q.dd*q.ll - q.dl*q.dl; det > 1e-12*q.dd*q.ll {
		a, m = (q.dl*gl-q.ll*gd)/det, (q.dl*gd-q.dd*gl)/det
		return a, m, a-a == 0 && m-m == 0
	}
	return -gd / q.dd, 0, true
}

// flatten sets x to the directions and y to the last steps of all layers, zero elsewhere.
func (r *kfacRule[T]) flatten(blocks []Block[T]) {
	for _, k := range r.moving {
		fromDouble(r.at.wide.e, k.d.Data, k.moved)
	}
	e := r.at.e
	e.Blend(0, nil, 0, nil, r.x)
	e.Blend(0, nil, 0, nil, r.y)
	start := func(k int) (at int) {
		for i := range k {
			at += blocks[i].Len()
		}
		return at
	}
	for _, k := range r.moving {
		k.spread(blocks, k.moved, func(block, rows, cols int, part engine.Batch[T]) {
			e.Copy(part, engine.One(dense.Wrap(rows, cols, r.x[start(block):][:rows*cols])))
		})
		k.spread(blocks, k.slots[kfacLast].Data, func(block, rows, cols int, part engine.Batch[T]) {
			e.Copy(part, engine.One(dense.Wrap(rows, cols, r.y[start(block):][:rows*cols])))
		})
	}
}

// spread calls do for what x, of the shape of the layer, holds of the weights and of the bias.
func (k *kfacLayer[T]) spread(blocks []Block[T], x []T, do func(block, rows, cols int, part engine.Batch[T])) {
	w := &blocks[k.w]
	m := dense.Wrap(w.Rows, k.g.Cols, x)
	do(k.w, w.Rows, w.Cols, engine.One(m.View(0, 0, w.Rows, w.Cols)))
	if k.b >= 0 {
		do(k.b, w.Rows, 1, engine.One(m.View(0, w.Cols, w.Rows, 1)))
	}
}

// keepAll saves the gradients or the values of all blocks.
func (r *kfacRule[T]) keepAll(blocks []Block[T], of lending) {
	n := 0
	for k := range blocks {
		n += blocks[k].Len()
	}
	to := r.at.grown(&r.kept, n)
	r.kept = to
	for k := range blocks {
		from := lentOf(of, &blocks[k])
		r.at.e.Blend(1, from, 0, nil, to[:len(from)])
		to = to[len(from):]
	}
}

// restoreAll brings them back.
func (r *kfacRule[T]) restoreAll(blocks []Block[T], of lending) {
	from := r.kept
	for k := range blocks {
		to := lentOf(of, &blocks[k])
		r.at.e.Blend(1, from[:len(to)], 0, nil, to)
		from = from[len(to):]
	}
}

// lending says which arrays of the blocks an objective may write to. It is no function of a block: making one of those allocates.
type lending int

const (
	lentNothing lending = iota
	lentGradients
	lentValues
)

func lentOf[T Float](of lending, b *Block[T]) []T {
	if of == lentGradients {
		return b.Grad
	}
	return b.Value
}

func side(second bool) int {
	if second {
		return 1
	}
	return 0
}

// take moves the blocks of the layers, and keeps the step as the last one, of a trial beside it.
func (r *kfacRule[T]) take(blocks []Block[T], updates []engine.Update, s kfacStep) {
	q, wide := r.at.figures, r.at.wide.e
	r.taken = q.Register(s.taken)
	a, m := q.Pick(s.taken, s.a, q.Number(0)), q.Pick(s.taken, s.m, q.Number(1))
	for _, k := range r.moving {
		for _, block := range [...]int{k.w, k.b} {
			if block >= 0 {
				k.stay[side(block == k.b)] = q.Pick(s.taken, q.Number(1-updates[block].Decay), q.Number(1))
			}
		}
	}
	q.Run()
	for _, g := range r.groups {
		last := lines(g.last.Data, len(g.layers))
		wide.BlendBy(q.Register(a), lines(g.d.Data, len(g.layers)), q.Register(m), last, last)
		fromDouble(wide, g.last.Data, g.newest())
	}
	for _, k := range r.moving {
		k.spread(blocks, partOf(k.group.newest(), len(k.group.layers), k.index), func(block, rows, cols int, part engine.Batch[T]) {
			if updates[block].LR == 0 {
				return
			}
			packed, b := k.moved[:rows*cols], &blocks[block]
			r.at.e.Copy(part, engine.One(dense.Wrap(rows, cols, packed)))
			value := lines(b.Value, 1)
			r.at.e.BlendBy(q.Register(k.stay[side(block == k.b)]), value, r.taken, lines(packed, 1), value)
		})
	}
}

// mostDamping is where the damping rises no further: beside it nothing is left of factors of ordinary size.
const mostDamping = 1e16

// judge compares the change of the loss with that of the model, adapts the damping, and says whether the step is to be taken back.
func (r *kfacRule[T]) judge(before, after, change float64) bool {
	worse := !(after <= before)
	power := math.Pow(r.o.DampingDecay, float64(r.o.AdaptEvery))
	if !r.o.FixedDamping && r.t%r.o.AdaptEvery == 0 && change < 0 {
		switch ratio := (after - before) / change; {
		case !(ratio >= 0.25):
			r.damping = min(r.damping/power, max(r.damping, mostDamping))
		case ratio > 0.75:
			r.damping = max(r.damping*power, r.o.MinDamping)
		}
	} else if worse && r.o.Reject && !r.o.FixedDamping {
		r.damping = min(r.damping/power, max(r.damping, mostDamping))
	}
	return worse && r.o.Reject
}

// stop sets the last steps to zero.
func (r *kfacRule[T]) stop() {
	for _, g := range r.groups {
		r.at.e.Blend(0, nil, 0, nil, g.stored[kfacLast])
	}
}
