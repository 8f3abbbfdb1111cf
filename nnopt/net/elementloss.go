package net

import "math/rand/v2"

// elementwise is a loss that adds up terms of single outputs; c returns the term with its first and second derivatives.
type elementwise[T Float] struct {
	sum   bool
	twice bool // R carries a factor 2
	c     func(out, target T) (c, slope, bend T)
	draw  func(out T, r *rand.Rand) T
}

// Factor implements Loss.
func (l *elementwise[T]) Factor(out Matrix[T], _ *Target[T]) float64 {
	r := 1.0
	if l.twice {
		r = 2
	}
	if !l.sum {
		r /= float64(out.Rows * out.Cols)
	}
	return r
}

// Check implements Loss.
func (l *elementwise[T]) Check(rows, cols int, t *Target[T]) error { return checkValues(rows, cols, t) }

// Evaluate implements Loss.
func (l *elementwise[T]) Evaluate(out Dual[T], t *Target[T], g Dual[T]) float64 {
	factor := l.Factor(out.V, t)
	var total float64
	for i := range out.V.Rows {
		var gradient, tangent, moved []T
		if g.V.Data != nil {
			gradient = g.V.Row(i)
			if g.dual() {
				tangent = g.D.Row(i)
			}
			if out.dual() {
				moved = out.D.Row(i)
			}
		}
		target := t.Values.Row(i)
		for j, v := range out.V.Row(i) {
			c, slope, bend := l.c(v, target[j])
			total += float64(c)
			if gradient == nil {
				continue
			}
			gradient[j] = T(factor) * slope
			switch {
			case tangent == nil:
			case moved == nil:
				tangent[j] = 0
			default:
				tangent[j] = T(factor) * bend * moved[j]
			}
		}
	}
	return factor * total
}

// Sample implements Loss.
func (l *elementwise[T]) Sample(out Matrix[T], r *rand.Rand, t *Target[T]) {
	t.sized(out.Rows, out.Cols)
	for i := range out.Rows {
		row := t.Values.Row(i)
		for j, v := range out.Row(i) {
			row[j] = l.draw(v, r)
		}
	}
}

// NewSquare returns the squared error: c = (out - target)^2/2 with R = 2, or 2 over the number of outputs for the mean. Samples are normal with variance 1.
func NewSquare[T Float](sum bool) Loss[T] {
	return &elementwise[T]{
		sum: sum, twice: true,
		c:    func(out, target T) (T, T, T) { d := out - target; return d * d / 2, d, 1 },
		draw: func(out T, r *rand.Rand) T { return out + T(r.NormFloat64()) },
	}
}

// NewAbsolute returns the absolute error: c = |out - target|; mean is over the outputs. Its Hessian is 0. Samples have a Laplace distribution.
func NewAbsolute[T Float](sum bool) Loss[T] {
	return &elementwise[T]{
		sum: sum,
		c: func(out, target T) (T, T, T) {
			switch d := out - target; {
			case d > 0:
				return d, 1, 0
			case d < 0:
				return -d, -1, 0
			}
			return 0, 0, 0
		},
		draw: func(out T, r *rand.Rand) T { return out + T(r.ExpFloat64()-r.ExpFloat64()) },
	}
}

// NewBinaryCrossEntropy returns c = -target log sigmoid(out) - (1-target) log(1-sigmoid(out)); mean is over the outputs. Samples are 0 or 1.
func NewBinaryCrossEntropy[T Float](sum bool) Loss[T] {
	return &elementwise[T]{
		sum: sum,
		c: func(out, target T) (T, T, T) {
			s := sigmoid(out)
			return max(out, 0) - out*target + log1p(exp(-max(out, -out))), s - target, s * (1 - s)
		},
		draw: func(out T, r *rand.Rand) T {
			if r.Float64() < float64(sigmoid(out)) {
				return 1
			}
			return 0
		},
	}
}

func elementwiseEntries() []LossEntry {
	yesOrNo := func(r *rand.Rand) float64 { return float64(r.IntN(2)) }
	return []LossEntry{
		{Name: "square", What: "squared error", Exact: true, New: NewSquare[float64], Targets: valuesFrom((*rand.Rand).NormFloat64)},
		{Name: "absolute", What: "absolute error", New: NewAbsolute[float64], Targets: valuesFrom((*rand.Rand).NormFloat64)},
		{Name: "binary-cross-entropy", What: "cross-entropy of independent yes or no, from logits", Exact: true, New: NewBinaryCrossEntropy[float64],
			Targets: valuesFrom(yesOrNo)},
	}
}
