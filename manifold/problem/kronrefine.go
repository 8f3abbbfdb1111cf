package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

const (
	// kronRefineRounding bounds the errors of sums of products in which four factors are rounded to bfloat16, relative to their norms: each is below 2^-8, in the root
	// mean square 0.41 of that.
	kronRefineRounding = 2 * 0x1p-8
	// kronRefineLong is the norm from which on a relative step is too long.
	kronRefineLong = 0.1
)

// kronRefinement makes the last step, and states the gradient after it without another evaluation: by a product with the Hessian in bfloat16, see kronStep.
type kronRefinement struct {
	*kronIteration
	samples        *kronSamples[float32] // F^-1 Y L^-T, where the last evaluation has kept them in the memory of y
	expected, last float64               // the norm of the gradient foreseen at the next evaluation, and that at the last
	rate           float64               // what a step multiplies it by, 0 if that is not known

	products int  // made so far
	done     bool // the cost and the gradient after the step are
	cost     float64
	grad     []float64
}

// available says whether the processor and the samples are such that it is faster than another evaluation.
func (r *kronRefinement) available() bool {
	return dense.HasBFloat16() && min(r.p, r.q) >= kronRoundedSize && r.count*r.p*r.q >= kronSingleSize
}

// foresee notes what a step in single precision multiplied the norm of the gradient by, 0 if that is not known, and that after the next it will not be less than
// least. It returns what later steps should multiply it by.
func (r *kronRefinement) foresee(norm, rate, least float64) float64 {
	if rate > 0 && (r.rate == 0 || rate < r.rate) {
		r.rate = rate
	}
	r.expected = max(norm*r.gain(), least)
	return r.gain()
}

// gain returns what a step should multiply a gradient by, 0 if that is not known: the observed rate, but where that is within kronRough of what Kronecker samples have by
// chance, see flipRounded, that. Early steps are long, or rounded.
func (r *kronRefinement) gain() float64 {
	if c := math.Sqrt2 * kronChance(float64(r.count), float64(r.p), float64(r.q)); r.rate > 0 && r.rate <= kronRough*c {
		return c
	}
	return r.rate
}

// reaches says whether what is stated after a step from a gradient of this norm, see kronStep, should be below the tolerance.
func (r *kronRefinement) reaches(norm float64) bool {
	gain := r.gain()
	return r.rate > 0 && norm*(gain+2*kronRefineRounding*math.Sqrt(gain)) <= r.target()
}

func (r *kronRefinement) target() float64 { return r.tolerance * r.GradientScale(0) }

// worthwhile says whether the next evaluation should keep the samples.
func (r *kronRefinement) worthwhile() bool {
	return r.available() && r.reaches(r.expected) && r.expected > r.target()/4
}

// rowScatter is kronSamples.rowScatter for y that keeps the whitened samples.
func (r *kronRefinement) rowScatter(m *kronMemo) {
	r.samples = newKronSamples(r.count, r.p, r.q, func(count, n int) [][]float32 {
		if r.samples != nil {
			return singlePieces(count, n)
		}
		pieces := make([][]float32, count)
		for i, b := range r.y.blocks {
			pieces[i] = dense.Singles(b.Data[:n:n])[:n:n]
		}
		return pieces
	})
	r.y.scatter(m.l, m.p, r.keep)
	r.y.read(r.x, 1)
	r.from = dense.Matrix[float64]{}
}

// keep rounds z, made of block i of y, to the memory of that block.
func (r *kronRefinement) keep(i int, z dense.Matrix[float64]) []float64 {
	dense.Convert(1, z.Data, r.samples.blocks[i].Data)
	return z.Data[:cap(z.Data)]
}

// forget drops kept samples for good, and says whether there are any.
func (r *kronRefinement) forget() bool {
	kept := r.samples != nil
	r.samples, r.rate = nil, 0
	return kept
}

// step sets next to the point after the step if it makes one from p, where the gradient has the given norm.
func (r *kronRefinement) step(next, p *manifold.Frame, norm float64, m *kronMemo) bool {
	if r.last > norm {
		r.rate = norm / r.last
	}
	r.last, r.expected = norm, norm*r.gain()
	if r.samples == nil || !r.reaches(norm) {
		r.samples = nil
		return false
	}
	s := newKronStep(m.p, r.q)
	s.multiply(r.samples)
	r.products++
	r.samples = nil
	if !s.choose() {
		return false
	}
	f, err := congruence(r.m, p, s.power())
	if err != nil {
		return false
	}
	next.CopyFrom(f)
	r.relax.ready = false
	r.relax.sawCurvature(r.m.Kappa() * s.curvature)
	bound := s.bound(s.deviation(p, next))
	r.expected = bound * math.Sqrt(r.m.Kappa())
	if r.done = s.left > 0 && r.expected <= r.target(); r.done {
		r.cost += s.change(m.p)
		r.grad = s.gradient(bound)
		r.m.FromWhitened(next, r.grad)
		s.moveColumns(r.b)
	}
	return true
}

// kronStep is the step from A = F F' to that with the inverse F^-T (I + tK) F^-1, K = I - P/q. Let Z be the whitened samples, P = (1/N) sum Z Z',
// E = (1/Np) sum Z'KZ, D = (1/N) sum Z E Z', and C C' = (I + tK)^-1. The best column covariance becomes L (I + tE) L', since it is linear in the inverse of A, and the gradient
//
//	C^-1 (q(1-t)K + tD + q (tK)^2 (I + tK)^-1 - R) C^-T,  R = (1/N) sum Z (tE)^2 (I + tE)^-1 Z' >= 0,  tr R = p tr((tE)^2 (I + tE)^-1),
//
// exactly. Where samples determine both factors well D is a small part of qK, so that rounded products tell it well enough. By Cauchy's inequality |E| is at most (q/p)^1/2 |K|; an
// error of kronRefineRounding of that in E is one |D|/|E| times as large in D, to which the product itself adds at most kronRefineRounding (pq)^1/2 |E|.
type kronStep struct {
	k, e, d    dense.Matrix[float64]
	rows, cols float64
	t          float64
	step       dense.Matrix[float64] // tK
	leading    dense.Matrix[float64] // q(1-t)K + tD
	left       float64               // its norm
	curvature  float64               // along K
}

func newKronStep(p dense.Matrix[float64], q int) *kronStep {
	s := &kronStep{k: dense.New[float64](p.Rows, p.Rows), e: dense.New[float64](q, q), d: dense.New[float64](p.Rows, p.Rows), rows: float64(p.Rows), cols: float64(q)}
	dense.Scale(-1/s.cols, p.Data, s.k.Data)
	s.k.AddDiagonal(1)
	return s
}

// multiply sets e and d.
func (s *kronStep) multiply(z *kronSamples[float32]) {
	count, factor := float64(z.count()), dense.New[float32](z.p, z.p)
	dense.Convert(1, s.k.Data, factor.Data)
	z.run(func(at *kronPlace[float32], from, to int, total dense.Matrix[float64]) {
		for i := from; i < to; i++ {
			v := z.block(at, i)
			w := at.like(v)
			dense.GemmRounded(dense.NoTrans, dense.NoTrans, 1, factor, v, 0, w)
			dense.GemmRoundedLower(dense.Transposed, dense.NoTrans, 1, z.tall(v), z.tall(w), 0, at.sum)
			addLower(total, 1, at.sum)
		}
	}, s.e, 1/(count*s.rows))
	columns := dense.New[float32](z.q, z.q)
	dense.Convert(1, s.e.Data, columns.Data)
	z.run(func(at *kronPlace[float32], from, to int, total dense.Matrix[float64]) {
		if at.part.Rows == 0 {
			at.part = dense.New[float32](z.p, z.p)
		}
		for i := to - 1; i >= from; i-- { // the last ones may still be in the caches
			v := z.block(at, i)
			w := at.like(v)
			dense.GemmRounded(dense.NoTrans, dense.NoTrans, 1, z.tall(v), columns, 0, z.tall(w))
			dense.GemmRoundedLower(dense.NoTrans, dense.Transposed, 1, w, v, 0, at.part)
			addLower(total, 1, at.part)
		}
	}, s.d, 1/count)
}

// choose sets t to what leaves the least gradient, and says whether that is a step near the plain one, which is 1.
func (s *kronStep) choose() bool {
	h := dense.New[float64](s.k.Rows, s.k.Rows)
	dense.Blend(s.cols, s.k.Data, -1, s.d.Data, h.Data)
	slope := dense.Dot(s.k.Data, h.Data)
	s.t = s.cols * slope / dense.Dot(h.Data, h.Data)
	s.curvature = slope / dense.Dot(s.k.Data, s.k.Data)
	if !(s.t > 0.5 && s.t < 2) || !(s.t*max(norm(s.k.Data), norm(s.e.Data)) < kronRefineLong) {
		return false
	}
	s.leading, s.step = h, dense.New[float64](h.Rows, h.Rows)
	dense.Blend(s.cols, s.k.Data, -s.t, h.Data, h.Data)
	dense.Scale(s.t, s.k.Data, s.step.Data)
	s.left = norm(h.Data)
	return true
}

// power returns the inverse of I + tK.
func (s *kronStep) power() dense.Matrix[float64] {
	w, out := s.step.Clone(), dense.New[float64](s.k.Rows, s.k.Rows)
	w.AddDiagonal(1)
	dense.Cholesky(w)
	dense.InvertLower(w)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, w, w, 0, out)
	dense.Mirror(out)
	return out
}

// deviation returns how far, by rounding, the step from p to next is from tK.
func (s *kronStep) deviation(p, next *manifold.Frame) float64 {
	n := s.k.Rows
	turn, out := dense.New[float64](n, n), s.step.Clone()
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, view(next.Inverse()), view(p.F()), 0, turn)
	out.AddDiagonal(1)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, -1, turn, turn, 1, out)
	dense.Mirror(out)
	return norm(out.Data)
}

// bound returns what the norm of the gradient is at most after a step with the given deviation.
func (s *kronStep) bound(deviation float64) float64 {
	k, e := s.t*norm(s.k.Data), s.t*norm(s.e.Data)
	rounding := kronRefineRounding * (math.Sqrt(s.rows*s.cols)*e + s.t*norm(s.d.Data)/e*math.Sqrt(s.cols/s.rows)*k)
	second := s.cols*k*k/(1-k) + s.rows*e*e/(1-e)
	return (1 + k) * (s.left + rounding + second + 2*s.cols*deviation)
}

// change returns the change of the cost, up to terms of third order and what the rounding of E does in one of second order.
func (s *kronStep) change(p dense.Matrix[float64]) float64 {
	var trace float64
	for i := range s.step.Rows {
		trace += s.step.At(i, i)
	}
	k, e := norm(s.step.Data), s.t*norm(s.e.Data)
	return dense.Dot(s.step.Data, p.Data) - s.rows*e*e/2 - s.cols*(trace-k*k/2)
}

// gradient returns the leading part of the gradient with the given norm.
func (s *kronStep) gradient(norm float64) []float64 {
	grad := make([]float64, len(s.leading.Data))
	dense.Scale(norm/s.left, s.leading.Data, grad)
	return grad
}

// moveColumns makes b = L L' the best column covariance after the step.
func (s *kronStep) moveColumns(b dense.Matrix[float64]) {
	l, w, change := b.Clone(), dense.New[float64](b.Rows, b.Rows), dense.New[float64](b.Rows, b.Rows)
	dense.Cholesky(l)
	dense.MulLower(dense.NoTrans, l, s.e, w)
	dense.MulLowerRight(dense.Transposed, l, w, change)
	dense.Axpy(s.t, change.Data, b.Data)
}
