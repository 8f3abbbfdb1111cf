package net

import "math/rand/v2"

// CrossEntropy is c = -sum_j q_j log softmax(out)_j with q the one-hot class of the row, or the row of Target.Values when there are no classes. Mean is over
// the rows that count.
type CrossEntropy[T Float] struct {
	Sum       bool
	Smoothing float64 // share of q that is spread evenly over all classes

	p, q []T
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
	l.p, l.q = grown(l.p, out.V.Cols), grown(l.q, out.V.Cols)
	var total float64
	for i := range out.V.Rows {
		counts := l.setTarget(t, i)
		if counts {
			total += l.row(out.V.Row(i))
		}
		if g.V.Data == nil {
			continue
		}
		row := g.V.Row(i)
		if !counts {
			clear(row)
			if g.dual() {
				clear(g.D.Row(i))
			}
			continue
		}
		var mass T
		for _, q := range l.q {
			mass += q
		}
		for j, p := range l.p {
			row[j] = T(factor) * (mass*p - l.q[j])
		}
		if g.dual() {
			d := g.D.Row(i)
			clear(d)
			if out.dual() {
				copy(d, out.D.Row(i))
				softmaxTangent(l.p, d)
				for j := range d {
					d[j] *= T(factor) * mass
				}
			}
		}
	}
	return factor * total
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

// row sets p to the probabilities of the scores and returns c.
func (l *CrossEntropy[T]) row(scores []T) float64 {
	copy(l.p, scores)
	top := scores[0]
	for _, v := range scores {
		top = max(top, v)
	}
	var total T
	for j, v := range scores {
		e := exp(v - top)
		l.p[j] = e
		total += e
	}
	norm := top + log(total)
	var c float64
	for j, v := range scores {
		l.p[j] /= total
		if l.q[j] != 0 {
			c += float64(l.q[j]) * float64(norm-v)
		}
	}
	return c
}

// Sample implements Loss: a class for each row from softmax(out).
func (l *CrossEntropy[T]) Sample(out Matrix[T], r *rand.Rand, t *Target[T]) {
	t.Classes = grown(t.Classes, out.Rows)
	l.p = grown(l.p, out.Cols)
	for i := range out.Rows {
		copy(l.p, out.Row(i))
		softmaxRow(l.p)
		u := T(r.Float64())
		k := 0
		for k < out.Cols-1 && u >= l.p[k] {
			u -= l.p[k]
			k++
		}
		t.Classes[i] = int32(k)
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
