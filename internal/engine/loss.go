package engine

import "github.com/spdopt/spdopt/internal/dense"

// CrossEntropy is the loss c = -sum_j q_j log softmax(out)_j of rows. q is the one-hot class of a row, or the row of Values where Classes is nil, with the share
// Smoothing spread evenly over all classes. A row with a negative class does not count.
type CrossEntropy[T dense.Float] struct {
	Factor    T // of gradients
	Smoothing float64
	Classes   []int32
	Values    Batch[T]

	Out   Batch[T]  // scores
	P     Batch[T]  // their softmax
	Norms []T       // logarithms of the sums of their exponentials
	Cost  []float64 // of each row
	G     Batch[T]  // gradient, unless empty
	D     Batch[T]  // unless empty, P's derivative along a direction; becomes that of G, and with Flat 0
	Flat  bool
}

// Must panics with Error unless the shapes fit.
func (l *CrossEntropy[T]) Must() {
	l.Out.MustMatch("CrossEntropy", &l.P)
	rows := l.Out.Count * l.Out.Rows
	MustHave("CrossEntropy", rows, len(l.Norms), len(l.Cost))
	if l.Classes == nil {
		l.Out.MustMatch("CrossEntropy", &l.Values)
	} else {
		MustHave("CrossEntropy", rows, len(l.Classes))
	}
	if l.G.Data != nil {
		l.Out.MustMatch("CrossEntropy", &l.G)
	}
	if l.D.Data != nil {
		l.Out.MustMatch("CrossEntropy", &l.G, &l.D)
	}
}

// target returns q_j of a row.
func (l *CrossEntropy[T]) target(i, j int, values []T) T {
	spread, rest := T(l.Smoothing)/T(l.Out.Cols), T(1-l.Smoothing)
	switch {
	case l.Classes == nil:
		return rest*values[j] + spread
	case int(l.Classes[i]) == j:
		return spread + rest
	}
	return spread
}

// Mass returns the sum of the target distribution of row i, 0 if the row does not count.
func (l *CrossEntropy[T]) Mass(i int) (mass T) {
	if l.Classes != nil && l.Classes[i] < 0 {
		return 0
	}
	var values []T
	if l.Classes == nil {
		values = l.Values.row(i)
	}
	for j := range l.Out.Cols {
		mass += l.target(i, j, values)
	}
	return mass
}

// CrossEntropy implements Losses.
func (*cpu[T]) CrossEntropy(l CrossEntropy[T]) {
	l.Must()
	for i := range l.Cost {
		l.row(i)
	}
}

func (l *CrossEntropy[T]) row(i int) {
	l.Cost[i] = 0
	counts := l.Classes == nil || l.Classes[i] >= 0
	if !counts {
		for _, b := range []*Batch[T]{&l.G, &l.D} {
			if b.Data != nil {
				clear(b.row(i))
			}
		}
		return
	}
	var values []T
	if l.Classes == nil {
		values = l.Values.row(i)
	}
	var mass T
	for j, v := range l.Out.row(i) {
		q := l.target(i, j, values)
		mass += q
		if q != 0 {
			l.Cost[i] += float64(q) * float64(l.Norms[i]-v)
		}
	}
	if l.G.Data == nil {
		return
	}
	g := l.G.row(i)
	for j, v := range l.P.row(i) {
		g[j] = l.Factor * (mass*v - l.target(i, j, values))
	}
	if l.D.Data == nil {
		return
	}
	if d := l.D.row(i); l.Flat {
		clear(d)
	} else {
		dense.Scale(l.Factor*mass, d, d)
	}
}

// Misfit is a loss of single outputs.
type Misfit int

// The misfits of an output x and a target t: (x - t)^2/2, |x - t|, and -t log s - (1 - t) log(1 - s) with s the sigmoid of x.
const (
	Square Misfit = iota
	Absolute
	BinaryCrossEntropy
)

// MisfitOf returns the loss of one output with its first and second derivatives.
func MisfitOf[T dense.Float](kind Misfit, out, target T) (c, slope, bend T) {
	switch d := out - target; {
	case kind == Square:
		return d * d / 2, d, 1
	case kind == BinaryCrossEntropy:
		s := Sigmoid(out)
		return max(out, 0) - out*target + log1p(exp(-max(out, -out))), s - target, s * (1 - s)
	case d > 0:
		return d, 1, 0
	case d < 0:
		return -d, -1, 0
	}
	return 0, 0, 0
}

// Misfits implements Losses.
func (*cpu[T]) Misfits(kind Misfit, factor T, out, dout, target, g, dg Batch[T], cost []float64) {
	MustMisfits(&out, &dout, &target, &g, &dg, cost)
	for i := range cost {
		cost[i] = 0
		want := target.row(i)
		gradient, tangent, moved := rowOf(&g, i), rowOf(&dg, i), rowOf(&dout, i)
		for j, v := range out.row(i) {
			c, slope, bend := MisfitOf(kind, v, want[j])
			cost[i] += float64(c)
			if gradient == nil {
				continue
			}
			gradient[j] = factor * slope
			switch {
			case tangent == nil:
			case moved == nil:
				tangent[j] = 0
			default:
				tangent[j] = factor * bend * moved[j]
			}
		}
	}
}

// rowOf is row i of b, or nil for a batch that is not there.
func rowOf[T dense.Float](b *Batch[T], i int) []T {
	if b.Data == nil {
		return nil
	}
	return b.row(i)
}

// MustMisfits panics with Error unless the shapes fit.
func MustMisfits[T dense.Float](out, dout, target, g, dg *Batch[T], cost []float64) {
	out.MustMatch("Misfits", target)
	for _, b := range []*Batch[T]{dout, g, dg} {
		if b.Data != nil {
			out.MustMatch("Misfits", b)
		}
	}
	MustHave("Misfits", out.Count*out.Rows, len(cost))
}
