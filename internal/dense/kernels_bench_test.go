package dense

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// BenchmarkKernels times the kernels on n x n matrices; gemm is the unit to compare them with.
func BenchmarkKernels(b *testing.B) {
	for _, n := range []int{5, 10, 32, 100, 200, 500, 1000} {
		b.Run(fmt.Sprint("f64/", n), func(b *testing.B) { benchKernels[float64](b, n) })
		b.Run(fmt.Sprint("f32/", n), func(b *testing.B) { benchKernels[float32](b, n) })
	}
}

func benchKernels[T Float](b *testing.B, n int) {
	rng := rand.New(rand.NewPCG(1, 2))
	_, s, r := spectrum[T](rng, n)
	x, y, d := make([]T, n), make([]T, n), make([]T, n)
	m, out := symmetric[T](rng, n), New[T](n, n)
	l := lowerOnly(lowerFactor[T](rng, n))
	spd := New[T](n, n)
	Gemm(NoTrans, Transposed, 1, l, l, 0, spd)
	g, work := skew[T](rng, n, 0.3/math.Sqrt(float64(n))), make([]T, CayleyWork(n))
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"gemm", func() { Gemm(NoTrans, NoTrans, 1, m, spd, 0, out) }},
		{"upper", func() { GemmUpper(NoTrans, NoTrans, 1, m, spd, 0, out) }},
		{"triangle", func() { GemmTriangle(Upper, NoTrans, Transposed, 1, m, m, 0, out) }},
		{"mirror", func() { Mirror(out) }},
		{"cholesky", func() { out.Copy(spd); Cholesky(out) }},
		{"solve", func() { out.Copy(spd); SolveLower(NoTrans, l, out) }},
		{"solveRight", func() { out.Copy(spd); SolveLowerRight(Transposed, l, out) }},
		{"invert", func() { out.Copy(l); InvertLower(out) }},
		{"mulLower", func() { MulLower(NoTrans, l, m, out) }},
		{"rotatedDiagonal", func() { RotatedDiagonal(m, spd, d, work) }},
		{"cayleyInverse", func() { CayleyInverse(g, out, work) }},
		{"cayleyTruncated4", func() { CayleyTruncated(g, 4, out, work) }},
		{"boundedAngle", func() { BoundedAngle(s, r, x, m, out) }},
		{"firstOrderAngle", func() { FirstOrderAngle(s, r, m, out) }},
		{"normBound", func() { NormBound(g) }},
		{"gemv", func() { Gemv(NoTrans, 1, m, x, 0, y) }},
		{"gemvTransposed", func() { Gemv(Transposed, 1, m, x, 0, y) }},
		{"ger", func() { Ger(1e-9, s, r, out) }},
		{"dot", func() { Dot(s, r) }},
		{"axpy", func() { Axpy(1e-9, s, y) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				c.f()
			}
		})
	}
}
