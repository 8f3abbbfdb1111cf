package net

import (
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
)

// normEps is added to the variance before the root.
const normEps = 1e-5

// standardizer maps vectors x of a matrix, its rows or its columns, to h = (x - mean) s with s = 1/sqrt(mean of (x - mean)^2 + eps); without
// center the mean is not subtracted.
type standardizer[T Float] struct {
	center bool
	cols   bool // the vectors are the columns

	h, gx buffer[T]
	hat   Dual[T]
	scale []T // s of each vector
	bend  []T // its derivative
}

// vectors returns number, length, and distance of the vectors and of their elements.
func (n *standardizer[T]) vectors(m Matrix[T]) (count, length, next, step int) {
	if n.cols {
		return m.Cols, m.Rows, 1, m.Stride
	}
	return m.Rows, m.Cols, m.Stride, 1
}

func (n *standardizer[T]) forward(p *Pass[T], x Dual[T]) Dual[T] {
	if x.V.Stride != x.V.Cols {
		fail("normalisation of a matrix that is not contiguous")
	}
	n.hat = n.h.take(p, x.V.Rows, x.V.Cols)
	count, length, next, step := n.vectors(x.V)
	n.scale, n.bend = grown(n.scale, count), grown(n.bend, count)
	for k := range count {
		n.scale[k] = n.standardize(x.V.Data[k*next:], n.hat.V.Data[k*next:], length, step)
	}
	switch {
	case n.hat.dual() && x.dual():
		for k := range count {
			n.bend[k] = n.differentiate(n.hat.V.Data[k*next:], x.D.Data[k*next:], n.hat.D.Data[k*next:], n.scale[k], length, step)
		}
	case n.hat.dual():
		n.hat.D.Zero()
		clear(n.bend)
	}
	return n.hat
}

// standardize sets h for one vector and returns s.
func (n *standardizer[T]) standardize(x, h []T, length, step int) T {
	var mean, square T
	end := length * step
	if n.center {
		for i := 0; i < end; i += step {
			mean += x[i]
		}
		mean /= T(length)
	}
	for i := 0; i < end; i += step {
		v := x[i] - mean
		h[i] = v
		square += v * v
	}
	s := 1 / sqrt(square/T(length)+normEps)
	for i := 0; i < end; i += step {
		h[i] *= s
	}
	return s
}

// differentiate sets dh = s (dx - mean dx - h mean(h dx)) for one vector and returns the derivative of s.
func (n *standardizer[T]) differentiate(h, dx, dh []T, s T, length, step int) T {
	mean, cross := n.means(h, dx, length, step)
	for i := 0; i < length*step; i += step {
		dh[i] = s * (dx[i] - mean - h[i]*cross)
	}
	return -s * s * cross
}

// means returns the mean of x, 0 without centering, and that of h x.
func (n *standardizer[T]) means(h, x []T, length, step int) (mean, cross T) {
	for i := 0; i < length*step; i += step {
		mean += x[i]
		cross += h[i] * x[i]
	}
	if !n.center {
		mean = 0
	}
	return mean / T(length), cross / T(length)
}

// backward takes the gradient g at h and returns s (g - mean g - h mean(h g)), the gradient at x.
func (n *standardizer[T]) backward(p *Pass[T], g Dual[T]) Dual[T] {
	gx := n.gx.take(p, g.V.Rows, g.V.Cols)
	count, length, next, step := n.vectors(g.V)
	for k := range count {
		n.differentiate(n.hat.V.Data[k*next:], g.V.Data[k*next:], gx.V.Data[k*next:], n.scale[k], length, step)
		if gx.dual() {
			n.backwardTangent(n.at(k*next, g), gx.D.Data[k*next:], gx.V.Data[k*next:], n.scale[k], n.bend[k], length, step)
		}
	}
	return gx
}

// strands are the rests of the arrays of one vector: h, its derivative, g and its derivative.
type strands[T Float] struct{ h, dh, g, dg []T }

func (n *standardizer[T]) at(first int, g Dual[T]) strands[T] {
	return strands[T]{n.hat.V.Data[first:], n.hat.D.Data[first:], g.V.Data[first:], g.D.Data[first:]}
}

// backwardTangent is the derivative of backward for one vector; gx is its result.
func (n *standardizer[T]) backwardTangent(a strands[T], out, gx []T, s, ds T, length, step int) {
	_, cross := n.means(a.h, a.g, length, step)
	mean, dcross := n.means(a.h, a.dg, length, step)
	var more T
	for i := 0; i < length*step; i += step {
		more += a.dh[i] * a.g[i]
	}
	dcross += more / T(length)
	for i := 0; i < length*step; i += step {
		out[i] = ds/s*gx[i] + s*(a.dg[i]-mean-a.dh[i]*cross-a.h[i]*dcross)
	}
}

// scaler multiplies every column by a gain and adds a shift.
type scaler[T Float] struct {
	gain, shift *Param[T] // 1 x width; shift may be nil
	y, gh       buffer[T]
	h           Dual[T]
}

func newScaler[T Float](width int, shift bool) scaler[T] {
	s := scaler[T]{gain: newParam[T](1, width).constant(1)}
	if shift {
		s.shift = newParam[T](1, width)
	}
	return s
}

func (s *scaler[T]) params(prefix string) []*Param[T] {
	all := []*Param[T]{s.gain.named(prefix + "gain")}
	if s.shift != nil {
		all = append(all, s.shift.named(prefix+"shift"))
	}
	return all
}

func (s *scaler[T]) forward(p *Pass[T], h Dual[T]) Dual[T] {
	s.h = h
	y := s.y.take(p, h.V.Rows, h.V.Cols)
	scaleColumns(s.gain.value(p), h, y)
	if s.shift != nil {
		b := s.shift.value(p)
		for i := range y.V.Rows {
			dense.Axpy(1, b.V.Data, y.V.Row(i))
			if y.dual() {
				dense.Axpy(1, b.D.Data, y.D.Row(i))
			}
		}
	}
	return y
}

// scaleColumns sets y to x with its columns multiplied by a.
func scaleColumns[T Float](a, x, y Dual[T]) {
	for i := range y.V.Rows {
		multiply(y.V.Row(i), x.V.Row(i), a.V.Data)
		if !y.dual() {
			continue
		}
		out, v := y.D.Row(i), x.V.Row(i)
		multiply(out, v, a.D.Data)
		if x.dual() {
			for j, d := range x.D.Row(i) {
				out[j] += d * a.V.Data[j]
			}
		}
	}
}

// backward adds to the gradients of gain and shift and returns the gradient at h.
func (s *scaler[T]) backward(p *Pass[T], g Dual[T]) Dual[T] {
	gain := s.gain.grad(p)
	for i := range g.V.Rows {
		addProduct(gain.V.Data, g.V.Row(i), s.h.V.Row(i))
		if gain.dual() {
			addProduct(gain.D.Data, g.D.Row(i), s.h.V.Row(i))
			addProduct(gain.D.Data, g.V.Row(i), s.h.D.Row(i))
		}
	}
	if s.shift != nil {
		addColumnSums(g, s.shift.grad(p))
	}
	gh := s.gh.take(p, g.V.Rows, g.V.Cols)
	scaleColumns(s.gain.value(p), g, gh)
	return gh
}

func addProduct[T Float](sum, a, b []T) {
	a, b = a[:len(sum)], b[:len(sum)]
	for i := range sum {
		sum[i] += a[i] * b[i]
	}
}

// Norm normalises every row to mean 0 and variance 1 (LayerNorm) or to mean square 1 (RMSNorm), then scales the columns.
type Norm[T Float] struct {
	rows  standardizer[T]
	scale scaler[T]
}

// NewLayerNorm returns a Norm with gain and shift.
func NewLayerNorm[T Float](width int) *Norm[T] {
	return &Norm[T]{standardizer[T]{center: true}, newScaler[T](width, true)}
}

// NewRMSNorm returns a Norm that does not subtract the mean and has no shift.
func NewRMSNorm[T Float](width int) *Norm[T] {
	return &Norm[T]{standardizer[T]{}, newScaler[T](width, false)}
}

// Params implements Layer.
func (n *Norm[T]) Params(prefix string) []*Param[T] { return n.scale.params(prefix) }

// Forward implements Layer.
func (n *Norm[T]) Forward(p *Pass[T], x Dual[T]) Dual[T] {
	return n.scale.forward(p, n.rows.forward(p, x))
}

// Backward implements Layer.
func (n *Norm[T]) Backward(p *Pass[T], g Dual[T], need bool) Dual[T] {
	gh := n.scale.backward(p, g)
	if !need {
		return Dual[T]{}
	}
	return n.rows.backward(p, gh)
}

func normEntries() []Entry {
	return []Entry{
		{Name: "layernorm", What: "rows to mean 0 and variance 1", Example: func(r *rand.Rand) Example {
			return example(r, NewLayerNorm[float64](5), 4, 4, 5)
		}},
		{Name: "rmsnorm", What: "rows to mean square 1", Example: func(r *rand.Rand) Example {
			return example(r, NewRMSNorm[float64](5), 4, 4, 5)
		}},
	}
}
