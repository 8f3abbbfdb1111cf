package net

import (
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// CrossEntropy is c = -sum_j q_j log softmax(out)_j with q the one-hot class of the row, or the row of Target.Values when there are no classes. Mean is over
// the rows that count.
type CrossEntropy[T Float] struct {
	Sum       bool
	Smoothing float64 // share of q that is spread evenly over all classes

	ground[T]
	p, norms []T       // probabilities of all rows, logarithms of the sums
	cost     []float64 // of the rows
	factor   float64
}

// Factor implements Loss.
func (l *CrossEntropy[T]) Factor(out Matrix[T], t *Target[T]) float64 {
	if l.Sum {
		return 1
	}
	if t.Classes == nil {
		return 1 / float64(out.Rows)
	}
	n := 0
	for _, c := range t.Classes {
		if c >= 0 {
			n++
		}
	}
	return 1 / float64(n)
}

// Check implements Loss.
func (l *CrossEntropy[T]) Check(rows, cols int, t *Target[T]) error {
	if t.Classes != nil {
		return checkClasses(rows, cols, t)
	}
	return checkValues(rows, cols, t)
}

// Evaluate implements Loss.
func (l *CrossEntropy[T]) Evaluate(out Dual[T], t *Target[T], g Dual[T]) float64 {
	l.start(out, t, g)
	return l.value()
}

// start implements lateLoss.
func (l *CrossEntropy[T]) start(out Dual[T], t *Target[T], g Dual[T]) {
	l.factor = l.Factor(out.V, t)
	e, p := l.engine(), l.probabilities(out.V)
	l.cost = l.costs(l.cost, out.V.Rows)
	f := l.form(out.V, t)
	f.Factor, f.P, f.Norms, f.Cost = T(l.factor), engine.One(p), l.norms, l.cost
	if g.V.Data != nil {
		f.G = engine.One(g.V)
	}
	if f.Flat = !out.dual(); g.V.Data != nil && g.dual() {
		f.D = engine.One(g.D)
		if !f.Flat {
			e.Copy(engine.One(out.D), engine.One(g.D))
			e.SoftmaxMap(f.P, f.D)
		}
	}
	e.CrossEntropy(f)
}

// value implements lateLoss.
func (l *CrossEntropy[T]) value() float64 { return l.factor * l.total(l.cost) }

// form describes the targets to the engine.
func (l *CrossEntropy[T]) form(out Matrix[T], t *Target[T]) engine.CrossEntropy[T] {
	f := engine.CrossEntropy[T]{Smoothing: l.Smoothing, Classes: t.Classes, Out: engine.One(out)}
	if t.Classes == nil {
		f.Values = engine.One(t.Values)
	}
	return f
}

// probabilities sets p to the softmax of the scores, and norms to the logarithms of the sums.
func (l *CrossEntropy[T]) probabilities(out Matrix[T]) Matrix[T] {
	l.p, l.norms = l.grown(l.p, out.Rows*out.Cols), l.grown(l.norms, out.Rows)
	p := dense.Wrap(out.Rows, out.Cols, l.p)
	l.engine().Copy(engine.One(out), engine.One(p))
	l.engine().Softmax(false, engine.One(p), l.norms)
	return p
}

// Sample implements Loss: a class for each row from softmax(out).
func (l *CrossEntropy[T]) Sample(out Matrix[T], r *rand.Rand, t *Target[T]) {
	t.Classes = grown(t.Classes, out.Rows)
	all := l.probabilities(out)
	engine.Wait(l.engine())
	for i := range out.Rows {
		t.Classes[i] = int32(pick(all.Row(i), r))
	}
}

func crossEntropyEntries() []LossEntry {
	classes := func(r *rand.Rand, rows, cols int) Target[float64] {
		t := Target[float64]{Classes: make([]int32, rows)}
		for i := range t.Classes {
			t.Classes[i] = int32(r.IntN(cols+1) - 1)
		}
		t.Classes[0] = 0
		return t
	}
	plain := func(sum bool) Loss[float64] { return &CrossEntropy[float64]{Sum: sum} }
	smoothed := func(sum bool) Loss[float64] { return &CrossEntropy[float64]{Sum: sum, Smoothing: 0.2} }
	return []LossEntry{
		{Name: "cross-entropy", What: "softmax cross-entropy with classes", Exact: true, Targets: classes, New: plain},
		{Name: "cross-entropy-smoothed", What: "softmax cross-entropy with smoothed labels", Exact: true, Targets: classes, New: smoothed},
		{Name: "cross-entropy-soft", What: "softmax cross-entropy with soft labels", Exact: true, Targets: valuesFrom((*rand.Rand).Float64), New: plain},
	}
}
