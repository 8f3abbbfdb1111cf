package nnopt

import (
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// moveTogether takes the step of all layers.
func (r *kfacRule[T]) moveTogether(blocks []Block[T], updates []engine.Update) (failed bool) {
	if len(r.moving) == 0 {
		return false
	}
	r.locate(blocks)
	r.reserve(blocks)
	failed = r.learn(blocks, updates)
	if r.lr == 0 || r.t <= r.o.BurnIn {
		return failed
	}
	r.directions(blocks, updates)
	s := r.choose(blocks, updates)
	if s.a-s.a != 0 { // the direction overflows
		return true
	}
	if r.o.Reject && r.objective != nil {
		r.keepAll(blocks, valueOf[T]) // for a step that may be taken back
	}
	before := math.NaN()
	judge := r.objective != nil && (r.o.Reject || !r.o.FixedDamping && r.t%r.o.AdaptEvery == 0)
	if judge {
		before = r.objective.Loss()
	}
	for _, k := range r.moving {
		k.step(blocks, updates, s)
	}
	if judge {
		r.judge(blocks, before, r.objective.Loss(), s.change)
	}
	return failed
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
func (r *kfacRule[T]) learn(blocks []Block[T], updates []engine.Update) (failed bool) {
	observed := false
	for _, k := range r.moving {
		if k.examples > 0 {
			observed = true
			failed = !k.average() || failed
		}
	}
	if observed {
		r.seen++
	}
	due := r.inverse == 0 || (r.t-1)%r.o.Interval == 0
	if !due && r.o.Model != ModelFactors {
		return failed
	}
	weight := 1.0
	if r.seen > 0 {
		weight = 1 - math.Pow(r.o.Average, r.seen)
	}
	for _, k := range r.moving {
		k.load(weight)
	}
	if !due {
		return failed
	}
	for _, k := range r.moving {
		failed = !k.invert(r.damping+updates[k.w].L2, r.inverse == 0) || failed
	}
	if r.seen > 0 {
		r.inverse = 1
	}
	return failed
}

// directions computes the preconditioned gradients. Blocks that do not move have none.
func (r *kfacRule[T]) directions(blocks []Block[T], updates []engine.Update) {
	for _, k := range r.moving {
		k.gather(blocks, updates)
		k.direct(r.damping + updates[k.w].L2)
		k.scaleColumns(r.share(updates, k.w), r.share(updates, k.b))
	}
}

// share returns the factor of the group of a block on the learning rate.
func (r *kfacRule[T]) share(updates []engine.Update, k int) float64 {
	if k < 0 {
		return 0
	}
	return updates[k].LR / r.lr
}

// scaleColumns multiplies the direction of the weights and of the bias.
func (k *kfacLayer[T]) scaleColumns(weights, bias float64) {
	for j := range k.shares {
		k.shares[j] = weights
	}
	if k.b >= 0 {
		k.shares[len(k.shares)-1] = bias
	}
	d := engine.One(k.d)
	k.at.wide.e.ScaleCols(k.shares, d, 0, d)
}

// kfacStep is a Delta + m (last step).
type kfacStep struct {
	a, m   float64 // a is NaN where there is no step to take
	change float64 // of the loss, as the model says; NaN without one
}

// choose returns the coefficients of the step.
func (r *kfacRule[T]) choose(blocks []Block[T], updates []engine.Update) kfacStep {
	scale := r.lr / r.o.LR // of the schedule
	var gd, gl, dd float64 // inner products of the gradient with both directions, and of the first with itself
	for _, k := range r.moving {
		toDouble(k.at.wide.e, k.slots[kfacLast].Data, k.last.Data)
		gd += k.at.dot(k.g, k.d)
		dd += k.at.dot(k.d, k.d)
		gl += k.at.dot(k.g, k.last)
	}
	s := kfacStep{-r.lr, r.o.Momentum, math.NaN()}
	if !(math.Sqrt(dd) < largestGradient[T]()) || gd-gd != 0 {
		s.a = math.NaN()
		return s
	}
	if r.modelled() {
		q := r.model(blocks, updates)
		if a, m, ok := q.minimise(gd, gl); ok {
			s.a, s.m = a*scale, m*scale
			s.change = s.a*gd + s.m*gl + (s.a*s.a*q.dd+2*s.a*s.m*q.dl+s.m*s.m*q.ll)/2
		}
	}
	if c := r.o.NormConstraint; c > 0 && s.a*s.a*gd > c {
		shrink := math.Sqrt(c / (s.a * s.a * gd))
		s.a, s.change = s.a*shrink, math.NaN()
		if r.modelled() {
			s.m *= shrink
		}
	}
	return s
}

// modelled says whether a quadratic model chooses the coefficients.
func (r *kfacRule[T]) modelled() bool {
	return !r.o.Fixed && (r.objective != nil || r.o.Model == ModelFactors)
}

// quadratic holds the products of the two directions with the damped Gauss-Newton matrix.
type quadratic struct{ dd, dl, ll float64 }

// model computes them, with the damping and the regularisation of L2 decay.
func (r *kfacRule[T]) model(blocks []Block[T], updates []engine.Update) (q quadratic) {
	if r.o.Model == ModelFactors {
		for _, k := range r.moving {
			k.addForms(&q)
		}
	} else {
		q = r.exact(blocks)
	}
	for _, k := range r.moving {
		d := r.damping + updates[k.w].L2
		q.dd += d * k.at.dot(k.d, k.d)
		q.dl += d * k.at.dot(k.d, k.last)
		q.ll += d * k.at.dot(k.last, k.last)
	}
	return q
}

// exact takes one product of the objective with the directions, and one with the last steps unless they are zero.
func (r *kfacRule[T]) exact(blocks []Block[T]) (q quadratic) {
	r.keepAll(blocks, gradOf[T])
	moved := r.flatten(blocks)
	r.objective.CurvatureTo(r.px, r.x)
	if moved {
		r.objective.CurvatureTo(r.py, r.y)
	}
	r.restoreAll(blocks, gradOf[T])
	q.dd = r.at.flatDot(r.x, r.px)
	if moved {
		q.dl, q.ll = r.at.flatDot(r.y, r.px), r.at.flatDot(r.y, r.py)
	}
	return q
}

// addForms adds the products of the direction and the last step with B (x) A.
func (k *kfacLayer[T]) addForms(q *quadratic) {
	k.at.sandwich(dense.NoTrans, k.full, k.d, k.t, k.product)
	q.dd += k.at.dot(k.product, k.d)
	q.dl += k.at.dot(k.product, k.last)
	k.at.sandwich(dense.NoTrans, k.full, k.last, k.t, k.product)
	q.ll += k.at.dot(k.product, k.last)
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

// flatten sets x to the directions and y to the last steps of all layers, zero elsewhere. It says whether there was a last step.
func (r *kfacRule[T]) flatten(blocks []Block[T]) (moved bool) {
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
		last := k.slots[kfacLast].Data
		fromDouble(r.at.wide.e, k.d.Data, k.moved)
		k.spread(blocks, k.moved, func(block, rows, cols int, part engine.Batch[T]) {
			e.Copy(part, engine.One(dense.Wrap(rows, cols, r.x[start(block):][:rows*cols])))
		})
		k.spread(blocks, last, func(block, rows, cols int, part engine.Batch[T]) {
			e.Copy(part, engine.One(dense.Wrap(rows, cols, r.y[start(block):][:rows*cols])))
		})
		_, top := e.SumSquares(last)
		moved = moved || top != 0
	}
	return moved
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
func (r *kfacRule[T]) keepAll(blocks []Block[T], of func(b *Block[T]) []T) {
	n := 0
	for k := range blocks {
		n += blocks[k].Len()
	}
	to := r.at.grown(&r.kept, n)
	r.kept = to
	for k := range blocks {
		from := of(&blocks[k])
		r.at.e.Blend(1, from, 0, nil, to[:len(from)])
		to = to[len(from):]
	}
}

// restoreAll brings them back.
func (r *kfacRule[T]) restoreAll(blocks []Block[T], of func(b *Block[T]) []T) {
	from := r.kept
	for k := range blocks {
		to := of(&blocks[k])
		r.at.e.Blend(1, from[:len(to)], 0, nil, to)
		from = from[len(to):]
	}
}

func gradOf[T Float](b *Block[T]) []T  { return b.Grad }
func valueOf[T Float](b *Block[T]) []T { return b.Value }

// step moves the blocks of a layer, and keeps the step as the last one.
func (k *kfacLayer[T]) step(blocks []Block[T], updates []engine.Update, s kfacStep) {
	last := k.slots[kfacLast].Data
	k.at.wide.e.Blend(s.a, k.d.Data, s.m, k.last.Data, k.last.Data)
	fromDouble(k.at.wide.e, k.last.Data, last)
	k.spread(blocks, last, func(block, rows, cols int, part engine.Batch[T]) {
		u, b := updates[block], &blocks[block]
		if u.LR == 0 {
			return
		}
		packed := k.moved[:rows*cols]
		k.at.e.Copy(part, engine.One(dense.Wrap(rows, cols, packed)))
		k.at.e.Blend(T(1-u.Decay), b.Value, 1, packed, b.Value)
	})
}

// judge compares the change of the loss with that of the model, adapts the damping, and takes back a step that made the loss larger.
func (r *kfacRule[T]) judge(blocks []Block[T], before, after, change float64) {
	worse := !(after <= before)
	power := math.Pow(r.o.DampingDecay, float64(r.o.AdaptEvery))
	if !r.o.FixedDamping && r.t%r.o.AdaptEvery == 0 && change < 0 {
		switch ratio := (after - before) / change; {
		case !(ratio >= 0.25):
			r.damping /= power
		case ratio > 0.75:
			r.damping = max(r.damping*power, r.o.MinDamping)
		}
	} else if worse && r.o.Reject && !r.o.FixedDamping {
		r.damping /= power
	}
	if !worse || !r.o.Reject {
		return
	}
	r.restoreAll(blocks, valueOf[T])
	for _, k := range r.moving {
		r.at.e.Blend(0, nil, 0, nil, k.slots[kfacLast].Data)
	}
}
