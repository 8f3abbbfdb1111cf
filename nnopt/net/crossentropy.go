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

	p, q, norms []T // probabilities of all rows, target of one row, logarithms of the sums
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
	factor := l.Factor(out.V, t)
	p := l.probabilities(out.V)
	if g.dual() && out.dual() {
		g.D.Copy(out.D)
		engine.CPU[T]().SoftmaxMap(engine.One(p), engine.One(g.D))
	}
	l.q = grown(l.q, out.V.Cols)
	var total float64
	for i := range out.V.Rows {
		counts := l.setTarget(t, i)
		if counts {
			total += l.row(out.V.Row(i), l.norms[i])
		}
		if g.V.Data == nil {
			continue
		}
		if !counts {
			clear(l.q)
			clear(p.Row(i))
		}
		l.rowGradient(T(factor), p.Row(i), g, i, counts && out.dual())
	}
	return factor * total
}

// probabilities sets p to the softmax of the scores, and norms to the logarithms of the sums.
func (l *CrossEntropy[T]) probabilities(out Matrix[T]) Matrix[T] {
	l.p, l.norms = grown(l.p, out.Rows*out.Cols), grown(l.norms, out.Rows)
	p := dense.Wrap(out.Rows, out.Cols, l.p)
	p.Copy(out)
	engine.CPU[T]().Softmax(false, engine.One(p), l.norms)
	return p
}

// row returns c for scores with the given logarithm of the sum of their exponentials.
func (l *CrossEntropy[T]) row(scores []T, norm T) float64 {
	var c float64
	for j, v := range scores {
		if l.q[j] != 0 {
			c += float64(l.q[j]) * float64(norm-v)
		}
	}
	return c
}

// rowGradient sets row i of g for the probabilities p; with bend its tangent holds the derivative of p.
func (l *CrossEntropy[T]) rowGradient(factor T, p []T, g Dual[T], i int, bend bool) {
	var mass T
	for _, q := range l.q {
		mass += q
	}
	row := g.V.Row(i)
	for j, v := range p {
		row[j] = factor * (mass*v - l.q[j])
	}
	if !g.dual() {
		return
	}
	d := g.D.Row(i)
	if bend {
		dense.Scale(factor*mass, d, d)
	} else {
		clear(d)
	}
}

// setTarget sets q to the target distribution of row i; false if the row does not count.
func (l *CrossEntropy[T]) setTarget(t *Target[T], i int) bool {
	spread := T(l.Smoothing) / T(len(l.q))
	if t.Classes == nil {
		for j, v := range t.Values.Row(i) {
			l.q[j] = T(1-l.Smoothing)*v + spread
		}
		return true
	}
	if t.Classes[i] < 0 {
		return false
	}
	for j := range l.q {
		l.q[j] = spread
	}
	l.q[t.Classes[i]] += T(1 - l.Smoothing)
	return true
}

// Sample implements Loss: a class for each row from softmax(out).
func (l *CrossEntropy[T]) Sample(out Matrix[T], r *rand.Rand, t *Target[T]) {
	t.Classes = grown(t.Classes, out.Rows)
	all := l.probabilities(out)
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
