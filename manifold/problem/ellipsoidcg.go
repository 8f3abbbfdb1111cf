package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

const (
	// quadricIterative is the dimension from which on conjugate gradients are faster than normal equations.
	quadricIterative = 32
	// quadricSteps bounds the conjugate gradient steps of all solves together, and quadricProbe is their number on a random right side.
	quadricSteps, quadricProbe = 120, 16
	// quadricLeast is the smallest eigenvalue of the equations that the iteration is trusted with; 2 is typical.
	quadricLeast = 0.02
	// quadricInner and quadricOuter are the relative residuals of a solve in single precision and of the result, relative to the best multiple of the
	// identity, and quadricRounding is what can be had at best, relative to I.
	quadricInner, quadricOuter, quadricRounding = 1e-5, 1e-10, 1e-14
	// quadricRows is the number of points that go through a product together.
	quadricRows = 256
)

// quadricSystem is the normal equations of the best quadric for points whose second moment is I: A(Y) = (1/N) sum (w'Yw) w w' = I. For points spread
// over all directions its eigenvalues are near 2, but for that of I, so that conjugate gradients need few steps. They run in single precision on
// residuals that are computed in double precision.
type quadricSystem struct {
	double *quadricPoints[float64]
	single *quadricPoints[float32]
	steps  int // conjugate gradient steps so far
}

// quadricPoints are points as columns, in blocks, with what a product needs.
type quadricPoints[T dense.Float] struct {
	w          []dense.Matrix[T]
	count      int
	half       dense.Matrix[T] // n x n
	z, q, ones []T
}

func newQuadricPoints[T dense.Float](count, n int) *quadricPoints[T] {
	p := &quadricPoints[T]{count: count, half: dense.New[T](n, n), z: make([]T, quadricRows*n), q: make([]T, quadricRows), ones: ones[T](n)}
	for first := 0; first < count; first += quadricRows {
		p.w = append(p.w, dense.New[T](n, min(quadricRows, count-first)))
	}
	return p
}

// quadricByCG returns the best quadric through the points, or false where the equations are too ill-conditioned for that, or singular.
func quadricByCG(x dense.Matrix[float64]) (dense.Matrix[float64], bool) {
	n := x.Cols
	l, out := dense.New[float64](n, n), dense.New[float64](n, n)
	dense.GemmLower(dense.Transposed, dense.NoTrans, 1/float64(x.Rows), x, x, 0, l)
	if dense.Cholesky(l) >= 0 {
		return out, false
	}
	dense.InvertLower(l)
	s := &quadricSystem{double: newQuadricPoints[float64](x.Rows, n), single: newQuadricPoints[float32](x.Rows, n)}
	for b, w := range s.double.w {
		columns := dense.Wrap(n, w.Cols, s.double.z[:n*w.Cols])
		dense.Transpose(columns, x.View(b*quadricRows, 0, w.Cols, n))
		dense.MulLower(dense.NoTrans, l, columns, w)
		for i, v := range w.Data {
			s.single.w[b].Data[i] = float32(v)
		}
	}
	if !(s.leastEigenvalue() >= quadricLeast) {
		return out, false
	}
	y, ok := s.solve()
	if !ok {
		return out, false
	}
	work := dense.New[float64](n, n)
	dense.MulLower(dense.Transposed, l, y, work)
	dense.MulLowerRight(dense.NoTrans, l, work, out)
	return out, true
}

// product sets out to A(Y) for a symmetric Y: w'Yw is twice w'Hw with H the lower triangle of Y and half its diagonal.
func (p *quadricPoints[T]) product(y, out dense.Matrix[T]) {
	n := y.Rows
	p.half.Copy(y)
	for i := range n {
		p.half.Set(i, i, y.At(i, i)/2)
	}
	out.Zero()
	for _, w := range p.w {
		z, q := dense.Wrap(n, w.Cols, p.z[:n*w.Cols]), p.q[:w.Cols]
		dense.MulLower(dense.NoTrans, p.half, w, z)
		dense.Multiply(z.Data, w.Data, z.Data)
		dense.Gemv(dense.Transposed, 2, z, p.ones, 0, q)
		for i := range n {
			dense.Multiply(q, w.Row(i), z.Row(i))
		}
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1/T(p.count), w, z, 1, out)
	}
	dense.Mirror(out)
}

// solve refines from the multiple of I that fits best.
func (s *quadricSystem) solve() (y dense.Matrix[float64], ok bool) {
	n := s.double.half.Rows
	y, image, rest, step := dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float32](n, n)
	y.Identity()
	s.double.product(y, image)
	var trace float64
	for i := range n {
		trace += image.At(i, i)
	}
	scale := trace / dense.Dot(image.Data, image.Data)
	dense.Scale(scale, y.Data, y.Data)
	dense.Scale(scale, image.Data, image.Data)
	end := 0.0
	for {
		for i, v := range image.Data {
			rest.Data[i] = -v
		}
		for i := range n {
			rest.Set(i, i, rest.At(i, i)+1)
		}
		norm := math.Sqrt(dense.Dot(rest.Data, rest.Data) / float64(n)) // relative to that of I
		if end == 0 {
			end = max(quadricRounding, quadricOuter*norm)
		}
		if norm <= end {
			return y, true
		}
		if norm-norm != 0 || s.steps >= quadricSteps {
			return y, false
		}
		dense.Scale(1/norm, rest.Data, rest.Data) // to size one, far from the ends of the range
		s.conjugate(rest, step, max(quadricInner, end/2/norm), quadricSteps-s.steps)
		for i, v := range step.Data {
			y.Data[i] += norm * float64(v)
		}
		s.double.product(y, image)
	}
}

// conjugate solves A(x) = r to the relative residual, in at most limit steps, and returns the coefficients of the steps: with T their tridiagonal
// matrix, its diagonal and what is beside it.
func (s *quadricSystem) conjugate(r dense.Matrix[float64], x dense.Matrix[float32], goal float64, limit int) (diagonal, beside []float64) {
	n := r.Rows
	res, d, ad := dense.New[float32](n, n), dense.New[float32](n, n), dense.New[float32](n, n)
	for i, v := range r.Data {
		res.Data[i] = float32(v)
	}
	copy(d.Data, res.Data)
	x.Zero()
	square := float64(dense.Dot(res.Data, res.Data))
	end := goal * goal * square
	var alpha, beta float64
	for k := 0; k < limit && square > end; k++ {
		s.single.product(d, ad)
		s.steps++
		curvature := float64(dense.Dot(d.Data, ad.Data))
		if !(curvature > 0) {
			break
		}
		before := alpha
		alpha = square / curvature
		dense.Axpy(float32(alpha), d.Data, x.Data)
		dense.Axpy(-float32(alpha), ad.Data, res.Data)
		if k == 0 {
			diagonal = append(diagonal, 1/alpha)
		} else {
			diagonal = append(diagonal, 1/alpha+beta/before)
		}
		next := float64(dense.Dot(res.Data, res.Data))
		beta = next / square
		beside = append(beside, math.Sqrt(beta)/alpha)
		square = next
		for i, v := range res.Data {
			d.Data[i] = v + float32(beta)*d.Data[i]
		}
	}
	return diagonal, beside
}

// leastEigenvalue estimates the smallest eigenvalue of A from above, by the steps on a random right side, which has a share in every direction. The
// right side I has none in the null space of singular equations.
func (s *quadricSystem) leastEigenvalue() float64 {
	n := s.double.half.Rows
	r, step := dense.New[float64](n, n), dense.New[float32](n, n)
	dense.FillNormal(r.Data, [2]uint64{1, 1}, 0)
	for i := range n {
		for j := range i {
			r.Set(i, j, r.At(j, i))
		}
	}
	diagonal, beside := s.conjugate(r, step, 0, quadricProbe)
	k := len(diagonal)
	t, w := dense.New[float64](k, k), make([]float64, k)
	for i, v := range diagonal {
		t.Set(i, i, v)
		if i > 0 {
			t.Set(i, i-1, beside[i-1])
			t.Set(i-1, i, beside[i-1])
		}
	}
	if k == 0 || !eigen.SymValues(t, w) {
		return 0
	}
	return w[0]
}
