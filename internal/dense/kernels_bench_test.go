package dense

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/spdopt/spdopt/internal/cputime"
)

// bestSeconds runs the benchmark and returns the processor time that one call of f takes in the best of many rounds, since other load on a
// machine disturbs the clock. A round is about 4e6 operations. It returns 0 where processor time is not known.
func bestSeconds(b *testing.B, operations float64, f func()) float64 {
	repeat := max(1, int(4e6/operations))
	best, calls := math.Inf(1), 0
	start, _ := cputime.Seconds()
	for b.Loop() {
		f()
		if calls++; calls == repeat {
			now, _ := cputime.Seconds()
			if used := now - start; used > 0 {
				best = min(best, used/float64(repeat))
			}
			calls, start = 0, now
		}
	}
	if math.IsInf(best, 1) {
		return 0
	}
	return best
}

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
	inverse := make([]T, InverseWork(n))
	bundle, inverses, swept := NewBundle[T](n), NewBundle[T](n), NewBundleWork[T](n)
	shift, tiles := make([]T, Lanes[T]()), make([]T, TiledLength(n))
	for _, c := range []struct {
		name  string
		power float64 // of n in the number of operations
		f     func()
	}{
		{"gemm", 3, func() { Gemm(NoTrans, NoTrans, 1, m, spd, 0, out) }},
		{"rounded", 3, func() { GemmRounded(NoTrans, NoTrans, 1, m, spd, 0, out) }},
		{"upper", 3, func() { GemmUpper(NoTrans, NoTrans, 1, m, spd, 0, out) }},
		{"triangle", 3, func() { GemmTriangle(Upper, NoTrans, Transposed, 1, m, m, 0, out) }},
		{"mirror", 2, func() { Mirror(out) }},
		{"cholesky", 3, func() { out.Copy(spd); Cholesky(out) }},
		{"solve", 3, func() { out.Copy(spd); SolveLower(NoTrans, l, out) }},
		{"solveRight", 3, func() { out.Copy(spd); SolveLowerRight(Transposed, l, out) }},
		{"invert", 3, func() { out.Copy(l); InvertLower(out) }},
		{"invertUpper", 3, func() { out.Copy(spd); InvertUpper(out, inverse) }},
		{"bundle", 3, func() { inverses.Shift(bundle, shift, tiles); inverses.InvertNegative(swept) }}, // Lanes matrices
		{"mulLower", 3, func() { MulLower(NoTrans, l, m, out) }},
		{"rotatedDiagonal", 3, func() { RotatedDiagonal(m, spd, d, work) }},
		{"cayleyInverse", 3, func() { CayleyInverse(g, out, work) }},
		{"cayleyTruncated4", 3, func() { CayleyTruncated(g, 4, out, work) }},
		{"boundedAngle", 2, func() { BoundedAngle(s, r, x, m, out) }},
		{"firstOrderAngle", 2, func() { FirstOrderAngle(s, r, m, out) }},
		{"normBound", 2, func() { NormBound(g) }},
		{"gemv", 2, func() { Gemv(NoTrans, 1, m, x, 0, y) }},
		{"gemvTransposed", 2, func() { Gemv(Transposed, 1, m, x, 0, y) }},
		{"ger", 2, func() { Ger(1e-9, s, r, out) }},
		{"dot", 1, func() { Dot(s, r) }},
		{"axpy", 1, func() { Axpy(1e-9, s, y) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportMetric(1e6*bestSeconds(b, 200+math.Pow(float64(n), c.power), c.f), "best-cpu-us")
		})
	}
}
