package dense

import (
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
)

// onPaths runs f on every path that this machine has, or on the one that the environment names.
func onPaths(t testing.TB, f func()) {
	if os.Getenv(PathVariable) != "" {
		f()
		return
	}
	old := active
	defer func() { active = old }()
	for p := range path(len(pathNames)) {
		if bestPath().includes(p) {
			active = p
			f()
		}
	}
}

// slow says whether tests should do with fewer and smaller cases: the path is slow, or the race detector or an emulator is.
func slow() bool { return active == portable || allocs.Race || emulated() }

// emulated says that the processor is taken for an emulated one: CI runs the tests on arm64 with -short.
func emulated() bool { return testing.Short() && bestPath() == neon }

// withProcs runs f with the given GOMAXPROCS.
func withProcs(n int, f func()) {
	old := runtime.GOMAXPROCS(n)
	defer runtime.GOMAXPROCS(old)
	f()
}

func random[T Float](rng *rand.Rand, rows, cols int) Matrix[T] {
	m := New[T](rows, cols)
	for i := range m.Data {
		m.Data[i] = T(rng.NormFloat64())
	}
	return m
}

// strided returns a random matrix whose rows lie a few elements apart.
func strided[T Float](rng *rand.Rand, rows, cols int) Matrix[T] {
	return random[T](rng, rows, cols+rng.IntN(4)).View(0, 0, rows, cols)
}

func transposed[T Float](m Matrix[T]) Matrix[T] {
	t := New[T](m.Cols, m.Rows)
	for i := range m.Rows {
		for j, v := range m.Row(i) {
			t.Set(j, i, v)
		}
	}
	return t
}

// fma is a*b + c in one rounding. For float32 the float64 sum is rounded to odd first, which makes the second rounding harmless
// (Boldo and Melquiond, 2008).
func fma[T Float](a, b, c T) T {
	if !is32[T]() {
		return T(math.FMA(float64(a), float64(b), float64(c)))
	}
	p, q := float64(a)*float64(b), float64(c)
	s := p + q
	v := s - p
	err := (p - (s - v)) + (q - v)
	if bits := math.Float64bits(s); err != 0 && bits&1 == 0 {
		s = math.Nextafter(s, math.Copysign(math.Inf(1), err))
	}
	return T(s)
}

// chain is the element that a product by fused chains over the blocks of the inner dimension gives, the contract of Gemm.
func chain[T Float](alpha T, k int, a, b func(l int) T, beta, c T) T {
	length := blockLength(k)
	for l := 0; l < k; l += length {
		var s T
		for i := l; i < min(l+length, k); i++ {
			s = fma(a(i), b(i), s)
		}
		c = fold(l == 0, alpha, s, beta, c)
	}
	return c
}

// fold adds the sum s of a block of the inner dimension to the element c, which beta scales with the first block.
func fold[T Float](first bool, alpha, s, beta, c T) T {
	switch {
	case first && beta == 0:
		return alpha * s
	case first:
		return fma(s, alpha, beta*c)
	}
	return fma(s, alpha, c)
}

func TestFMA32(t *testing.T) {
	// 1 + 2^-24 (1 + 2^-29) lies just above the middle between two float32 numbers; rounding to float64 first would lose that.
	a, b, c := float32(1+0x1p-12), float32(0x1p-24), float32(1)
	if got, want := fma(a, b, c), math.Nextafter32(1, 2); got != want {
		t.Errorf("fma = %v, want %v", got, want)
	}
	if got := fma(float32(0x1p-24), float32(1), float32(1)); got != 1 {
		t.Errorf("a tie gives %v, want 1", got)
	}
}

// refused holds that each call panics with an Error of the package.
func refused(t *testing.T, calls map[string]func()) {
	t.Helper()
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if _, ok := recover().(Error); !ok {
					t.Error("no panic of the package")
				}
			}()
			call()
		})
	}
}
