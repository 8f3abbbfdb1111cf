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
	failed = r.learn(blocks, updates)
	if r.lr == 0 || r.t <= r.o.BurnIn {
		return failed
	}
	r.directions(blocks, updates)
	s := r.choose(blocks, updates)
	if s.a-s.a != 0 { // the direction overflows
		return true
	}
	r.keep(blocks)
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
	cols := k.d.Cols
	if k.b >= 0 {
		cols--
	}
	for i := range k.d.Rows {
		row := k.d.Row(i)
		dense.Scale(weights, row[:cols], row[:cols])
		if k.b >= 0 {
			row[cols] *= bias
		}
	}
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
		gd += dense.Dot(k.g.Data, k.d.Data)
		dd += dense.Dot(k.d.Data, k.d.Data)
		for i, v := range k.slots[kfacLast].Data {
			gl += k.g.Data[i] * float64(v)
		}
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
		q.dd += d * dense.Dot(k.d.Data, k.d.Data)
		for i, v := range k.slots[kfacLast].Data {
			q.dl += d * k.d.Data[i] * float64(v)
			q.ll += d * float64(v) * float64(v)
		}
	}
	return q
}

// exact takes one product of the objective with the directions, and one with the last steps unless they are zero.
func (r *kfacRule[T]) exact(blocks []Block[T]) (q quadratic) {
	n := 0
	for k := range blocks {
		n += blocks[k].Len()
	}
	if len(r.x) != n {
		r.x, r.y, r.px, r.py = make([]T, n), make([]T, n), make([]T, n), make([]T, n)
	}
	r.keepGradients(blocks)
	moved := r.flatten(blocks)
	r.objective.CurvatureTo(r.px, r.x)
	if moved {
		r.objective.CurvatureTo(r.py, r.y)
	}
	r.restoreGradients(blocks)
	q.dd = dot(r.x, r.px)
	if moved {
		q.dl, q.ll = dot(r.y, r.px), dot(r.y, r.py)
	}
	return q
}

// addForms adds the products of the direction and the last step with B (x) A.
func (k *kfacLayer[T]) addForms(q *quadratic) {
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, k.full[0], k.d, 0, k.t)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, k.t, k.full[1], 0, k.product)
	q.dd += dense.Dot(k.product.Data, k.d.Data)
	for i, v := range k.slots[kfacLast].Data {
		q.dl += k.product.Data[i] * float64(v)
		k.last.Data[i] = float64(v)
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, k.full[0], k.last, 0, k.t)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, k.t, k.full[1], 0, k.product)
	q.ll += dense.Dot(k.product.Data, k.last.Data)
}

func dot[T Float](x, y []T) (sum float64) {
	for i, v := range x {
		sum += float64(v) * float64(y[i])
	}
	return sum
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
	clear(r.x)
	clear(r.y)
	start := func(k int) (at int) {
		for i := range k {
			at += blocks[i].Len()
		}
		return at
	}
	for _, k := range r.moving {
		in := k.g.Cols
		w, at := &blocks[k.w], start(k.w)
		last := k.slots[kfacLast].Data
		for i := range w.Rows {
			for j := range w.Cols {
				r.x[at+i*w.Cols+j], r.y[at+i*w.Cols+j] = T(k.d.At(i, j)), last[i*in+j]
			}
		}
		if k.b >= 0 {
			at = start(k.b)
			for i := range w.Rows {
				r.x[at+i], r.y[at+i] = T(k.d.At(i, in-1)), last[i*in+in-1]
			}
		}
		moved = moved || slices.ContainsFunc(last, func(v T) bool { return v != 0 })
	}
	return moved
}

// keepGradients saves all gradients, which products of the objective may overwrite.
func (r *kfacRule[T]) keepGradients(blocks []Block[T]) {
	r.kept = r.kept[:0]
	for k := range blocks {
		r.kept = append(r.kept, blocks[k].Grad...)
	}
}

func (r *kfacRule[T]) restoreGradients(blocks []Block[T]) {
	from := r.kept
	for k := range blocks {
		from = from[copy(blocks[k].Grad, from):]
	}
}

// keep saves the values, for a step that may be taken back.
func (r *kfacRule[T]) keep(blocks []Block[T]) {
	if !r.o.Reject || r.objective == nil {
		return
	}
	r.kept = r.kept[:0]
	for k := range blocks {
		r.kept = append(r.kept, blocks[k].Value...)
	}
}

// step moves the blocks of a layer, and keeps the step as the last one.
func (k *kfacLayer[T]) step(blocks []Block[T], updates []engine.Update, s kfacStep) {
	last, in := k.slots[kfacLast].Data, k.g.Cols
	for i, v := range k.d.Data {
		last[i] = T(s.a*v + s.m*float64(last[i]))
	}
	w := &blocks[k.w]
	k.shift(w, updates[k.w], func(i int) T { return last[i/w.Cols*in+i%w.Cols] })
	if k.b >= 0 {
		k.shift(&blocks[k.b], updates[k.b], func(i int) T { return last[i*in+in-1] })
	}
}

func (k *kfacLayer[T]) shift(b *Block[T], u engine.Update, step func(i int) T) {
	if u.LR == 0 {
		return
	}
	keep := T(1 - u.Decay)
	for i, v := range b.Value {
		b.Value[i] = keep*v + step(i)
	}
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
	from := r.kept
	for k := range blocks {
		from = from[copy(blocks[k].Value, from):]
	}
	for _, k := range r.moving {
		clear(k.slots[kfacLast].Data)
	}
}
