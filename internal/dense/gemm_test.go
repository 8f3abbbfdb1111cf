package dense

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/spdopt/spdopt/internal/allocs"
)

const canary = 12345

// TestGemmEverySize checks every m, n, k from 1 to 70. The leading blocks of fixed matrices have as their product the leading block of one
// matrix per k, which grows by a term for each k, so that comparing costs no more than multiplying.
func TestGemmEverySize(t *testing.T) {
	onPaths(t, func() {
		t.Run(fmt.Sprint(active, "/float64"), func(t *testing.T) { gemmEverySize[float64](t) })
		t.Run(fmt.Sprint(active, "/float32"), func(t *testing.T) { gemmEverySize[float32](t) })
	})
}

func gemmEverySize[T Float](t *testing.T) {
	most, sampled := 70, 50
	if allocs.Race {
		most = 40
	}
	if allocs.Race || emulated() {
		sampled = 200
	}
	rng := rand.New(rand.NewPCG(1, 2))
	a, b := random[T](rng, most, most), random[T](rng, most, most)
	at, bt := transposed(a), transposed(b)
	want := New[T](most, most)
	out := New[T](most+2, most+7)
	for i := range out.Data {
		out.Data[i] = canary
	}
	for k := 1; k <= most; k++ {
		for i := range most {
			for j := range most {
				if active == portable {
					want.Set(i, j, want.At(i, j)+a.At(i, k-1)*b.At(k-1, j))
				} else {
					want.Set(i, j, fma(a.At(i, k-1), b.At(k-1, j), want.At(i, j)))
				}
			}
		}
		for m := 1; m <= most; m++ {
			for n := 1; n <= most; n++ {
				// Slow machines see every small size and a sample of the others.
				if slow() && max(m, n, k) > 12 && rng.IntN(sampled) != 0 {
					continue
				}
				c := out.View(1, 3, m, n)
				switch (m + n + k) % 4 {
				case 0:
					Gemm(NoTrans, NoTrans, 1, a.View(0, 0, m, k), b.View(0, 0, k, n), 0, c)
				case 1:
					Gemm(Transposed, NoTrans, 1, at.View(0, 0, k, m), b.View(0, 0, k, n), 0, c)
				case 2:
					Gemm(NoTrans, Transposed, 1, a.View(0, 0, m, k), bt.View(0, 0, n, k), 0, c)
				case 3:
					Gemm(Transposed, Transposed, 1, at.View(0, 0, k, m), bt.View(0, 0, n, k), 0, c)
				}
				checkLeading(t, c, want, k)
				checkFrame(t, out, m, n, k)
				for i := range m {
					row := c.Row(i)
					for j := range row {
						row[j] = canary
					}
				}
			}
		}
	}
}

func checkLeading[T Float](t *testing.T, c, want Matrix[T], k int) {
	for i := range c.Rows {
		row, w := c.Row(i), want.Row(i)
		for j, v := range row {
			if v == w[j] {
				continue
			}
			if d := math.Abs(float64(v - w[j])); active == portable && d < 1e-5*float64(k) {
				continue // another architecture may fuse differently
			}
			t.Fatalf("%v %T m=%d n=%d k=%d: element (%d,%d) is %v, want %v", active, v, c.Rows, c.Cols, k, i, j, v, w[j])
		}
	}
}

// checkFrame looks at what surrounds an m x n result at (1, 3).
func checkFrame[T Float](t *testing.T, out Matrix[T], m, n, k int) {
	check := func(i, from, to int) {
		for j, v := range out.Row(i)[from:to] {
			if v != canary {
				t.Fatalf("%v %T m=%d n=%d k=%d: wrote outside at (%d,%d)", active, v, m, n, k, i-1, from+j-3)
			}
		}
	}
	check(0, 0, n+7)
	check(m+1, 0, n+7)
	for i := 1; i <= m; i++ {
		check(i, 0, 3)
		check(i, 3+n, n+7)
	}
}

// TestGemmChain compares general products with the contract: one fused chain per element over the blocks of the inner dimension.
func TestGemmChain(t *testing.T) {
	onPaths(t, func() {
		testGemmChain[float64](t)
		testGemmChain[float32](t)
	})
}

func testGemmChain[T Float](t *testing.T) {
	const seed = 3
	rng := rand.New(rand.NewPCG(seed, 4))
	rounds := 60
	if slow() {
		rounds = 10
	}
	for round := range rounds {
		m, n, k := 1+rng.IntN(260), 1+rng.IntN(260), 1+rng.IntN(1300)
		if round%10 == 0 {
			n = 1 + rng.IntN(5000)
			k = 1 + rng.IntN(60)
		}
		compareWithChain[T](t, rng, m, n, k, fmt.Sprintf("seed %d round %d", seed, round))
	}
}

func compareWithChain[T Float](t *testing.T, rng *rand.Rand, m, n, k int, where string) {
	ta, tb := Trans(rng.IntN(2) == 1), Trans(rng.IntN(2) == 1)
	a, b, c := strided[T](rng, m, k), strided[T](rng, k, n), strided[T](rng, m, n)
	if ta {
		a = strided[T](rng, k, m)
	}
	if tb {
		b = strided[T](rng, n, k)
	}
	scalars := []T{1, 0, -1, 0.7}
	alpha, beta := scalars[rng.IntN(4)], scalars[rng.IntN(4)]
	before := c.Clone()
	if beta == 0 {
		c.Set(rng.IntN(m), rng.IntN(n), T(math.NaN()))
	}
	Gemm(ta, tb, alpha, a, b, beta, c)
	for range 300 {
		i, j := rng.IntN(m), rng.IntN(n)
		want := beta * before.At(i, j)
		if alpha != 0 {
			want = chain(alpha, k, func(l int) T { return opAt(ta, a, i, l) }, func(l int) T { return opAt(tb, b, l, j) }, beta, before.At(i, j))
		}
		if got := c.At(i, j); got != want {
			if d := math.Abs(float64(got - want)); active == portable && d < 1e-5*float64(k) {
				continue
			}
			t.Fatalf("%v %T %s: m=%d n=%d k=%d transposed %v %v alpha %v beta %v: element (%d,%d) is %v, want %v",
				active, got, where, m, n, k, ta, tb, alpha, beta, i, j, got, want)
		}
	}
}

func opAt[T Float](t Trans, m Matrix[T], i, j int) T {
	if t {
		return m.At(j, i)
	}
	return m.At(i, j)
}

// Triangles have the bits of the full product.
func TestGemmTriangles(t *testing.T) {
	onPaths(t, func() {
		testGemmTriangles[float64](t)
		testGemmTriangles[float32](t)
	})
}

func testGemmTriangles[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 4))
	sizes := []int{1, 2, 5, 8, 16, 17, 24, 31, 48, 49, 70, 97, 150}
	if !slow() {
		sizes = append(sizes, 200, 333, 520)
	}
	for _, n := range sizes {
		k := 1 + rng.IntN(2*n)
		ta, tb := Trans(rng.IntN(2) == 1), Trans(rng.IntN(2) == 1)
		a, b, c := strided[T](rng, n, k), strided[T](rng, k, n), strided[T](rng, n, n)
		if ta {
			a = strided[T](rng, k, n)
		}
		if tb {
			b = strided[T](rng, n, k)
		}
		beta := T(rng.IntN(2))
		run := func(f func(c Matrix[T])) Matrix[T] {
			r := c.Clone()
			f(r)
			return r
		}
		full := run(func(c Matrix[T]) { Gemm(ta, tb, 2, a, b, beta, c) })
		upper := run(func(c Matrix[T]) { GemmUpper(ta, tb, 2, a, b, beta, c) })
		lower := run(func(c Matrix[T]) { GemmLower(ta, tb, 2, a, b, beta, c) })
		onlyUpper := run(func(c Matrix[T]) { GemmTriangle(Upper, ta, tb, 2, a, b, beta, c) })
		onlyLower := run(func(c Matrix[T]) { GemmTriangle(Lower, ta, tb, 2, a, b, beta, c) })
		for i := range n {
			for j := range n {
				w, old := full.At(i, j), c.At(i, j)
				up, low := w, w
				if j < i {
					up = old
				}
				if j > i {
					low = old
				}
				if j >= i && upper.At(i, j) != w || j <= i && lower.At(i, j) != w || onlyUpper.At(i, j) != up || onlyLower.At(i, j) != low {
					t.Fatalf("%v %T n=%d k=%d transposed %v %v beta %v (%d,%d): upper %v lower %v, only upper %v, only lower %v; full %v, before %v", active, w, n, k,
						ta, tb, beta, i, j, upper.At(i, j), lower.At(i, j), onlyUpper.At(i, j), onlyLower.At(i, j), w, old)
				}
			}
		}
	}
}

// X X^T comes out exactly symmetric.
func TestGramIsSymmetric(t *testing.T) {
	onPaths(t, func() {
		rng := rand.New(rand.NewPCG(6, 4))
		x, c := random[float64](rng, 83, 500), New[float64](83, 83)
		Gemm(NoTrans, Transposed, 1, x, x, 0, c)
		if d := maxDifference(c, transposed(c)); d != 0 {
			t.Errorf("%v: X X^T differs from its transpose by %g", active, d)
		}
	})
}

// A NaN or Inf reaches exactly the elements whose sums contain it.
func TestGemmNaN(t *testing.T) {
	onPaths(t, func() {
		rng := rand.New(rand.NewPCG(7, 4))
		for _, n := range []int{3, 16, 30, 130} {
			for _, bad := range []float64{math.NaN(), math.Inf(1)} {
				a, b, c := random[float64](rng, n, n), random[float64](rng, n, n), New[float64](n, n)
				at := rng.IntN(n)
				a.Set(at, rng.IntN(n), bad)
				for i := range c.Data {
					c.Data[i] = math.NaN()
				}
				Gemm(NoTrans, NoTrans, 1, a, b, 0, c)
				for i := range n {
					for j, v := range c.Row(i) {
						if finite := !math.IsNaN(v) && !math.IsInf(v, 0); finite == (i == at) {
							t.Fatalf("%v n=%d: %v in row %d gives %v at (%d,%d)", active, n, bad, at, v, i, j)
						}
					}
				}
				Gemm(NoTrans, NoTrans, 0, a, b, 0, c)
				if d := maxDifference(c, New[float64](n, n)); d != 0 {
					t.Fatalf("%v n=%d: alpha = 0 leaves %v", active, n, d)
				}
			}
		}
	})
}

func TestPanics(t *testing.T) {
	m := New[float64](4, 4)
	short := Matrix[float64]{Rows: 4, Cols: 4, Stride: 4, Data: m.Data[:15]}
	v := make([]float64, 3)
	refused(t, map[string]func(){
		"inner":          func() { Gemm(NoTrans, NoTrans, 1, m, New[float64](3, 4), 0, m) },
		"outer":          func() { Gemm(NoTrans, NoTrans, 1, m, m, 0, New[float64](4, 3)) },
		"short a":        func() { Gemm(NoTrans, NoTrans, 1, short, m, 0, New[float64](4, 4)) },
		"short b":        func() { Gemm(NoTrans, NoTrans, 1, m, short, 0, New[float64](4, 4)) },
		"short c":        func() { Gemm(NoTrans, NoTrans, 1, m, m, 0, short) },
		"gemv":           func() { Gemv(NoTrans, 1, m, v, 0, make([]float64, 4)) },
		"gemv short":     func() { Gemv(NoTrans, 1, short, make([]float64, 4), 0, make([]float64, 4)) },
		"ger":            func() { Ger(1, v, v, m) },
		"dot":            func() { Dot(v, v[:2]) },
		"row dots":       func() { RowDots(m, m, v) },
		"scale rows":     func() { ScaleRows(v, m, m) },
		"axpy":           func() { Axpy(1, v, v[:2]) },
		"exp":            func() { Exp(v, v[:2]) },
		"pow":            func() { Pow(v, v[:2], 2) },
		"upper":          func() { GemmUpper(NoTrans, NoTrans, 1, New[float64](2, 3), New[float64](3, 4), 0, New[float64](2, 4)) },
		"cholesky":       func() { Cholesky(New[float64](2, 3)) },
		"solve":          func() { SolveLower(NoTrans, m, New[float64](3, 2)) },
		"solve right":    func() { SolveLowerRight(NoTrans, m, New[float64](2, 3)) },
		"bounded angle":  func() { BoundedAngle(v, v, v, m, m) },
		"cayley":         func() { CayleyInverse(m, New[float64](3, 3), make([]float64, 32)) },
		"cayley k":       func() { CayleyTruncated(m, 0, New[float64](4, 4), make([]float64, 32)) },
		"rotated":        func() { RotatedDiagonal(m, m, v, make([]float64, 16)) },
		"view":           func() { m.View(1, 1, 4, 1) },
		"mirror":         func() { Mirror(New[float64](2, 3)) },
		"transpose":      func() { Transpose(New[float64](2, 3), New[float64](2, 3)) },
		"wrap too short": func() { Wrap(2, 2, v) },
	})
}

func FuzzGemm(f *testing.F) {
	f.Add(uint64(1), uint8(5), uint8(6), uint16(7))
	f.Add(uint64(2), uint8(100), uint8(49), uint16(385))
	f.Add(uint64(3), uint8(255), uint8(255), uint16(1000))
	f.Fuzz(func(t *testing.T, seed uint64, m, n uint8, k uint16) {
		onPaths(t, func() {
			for _, procs := range []int{1, 2} {
				withProcs(procs, func() {
					rng := rand.New(rand.NewPCG(seed, 1))
					compareWithChain[float64](t, rng, 1+int(m), 1+int(n), 1+int(k)%1500, "fuzz")
					compareWithChain[float32](t, rng, 1+int(m), 1+int(n), 1+int(k)%1500, "fuzz")
				})
			}
		})
	})
}

var benchSizes = []int{5, 8, 10, 16, 32, 64, 100, 128, 200, 256, 512, 1024, 2048}

// timeProduct times f, a product of n x n matrices, by the clock (GF/s) and by processor time (best-cpuGF/s).
func timeProduct(b *testing.B, n int, f func()) {
	flops := 2 * float64(n) * float64(n) * float64(n)
	best := bestSeconds(b, flops, f)
	b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
	if best > 0 {
		b.ReportMetric(flops/best/1e9, "best-cpuGF/s")
	}
}

func benchGemm[T Float](b *testing.B, n int) {
	rng := rand.New(rand.NewPCG(1, 2))
	x, y, z := random[T](rng, n, n), random[T](rng, n, n), New[T](n, n)
	timeProduct(b, n, func() { Gemm(NoTrans, NoTrans, 1, x, y, 0, z) })
}

func BenchmarkGemm(b *testing.B) {
	onPaths(b, func() {
		for _, n := range benchSizes {
			b.Run(fmt.Sprintf("%v/f64/%d", active, n), func(b *testing.B) { benchGemm[float64](b, n) })
			b.Run(fmt.Sprintf("%v/f32/%d", active, n), func(b *testing.B) { benchGemm[float32](b, n) })
		}
	})
	for _, n := range benchSizes {
		rng := rand.New(rand.NewPCG(1, 2))
		b.Run(fmt.Sprint("gonum/f64/", n), func(b *testing.B) {
			x, y, z := random[float64](rng, n, n), random[float64](rng, n, n), New[float64](n, n)
			timeProduct(b, n, func() {
				gonum.Implementation{}.Dgemm(blas.NoTrans, blas.NoTrans, n, n, n, 1, x.Data, n, y.Data, n, 0, z.Data, n)
			})
		})
		b.Run(fmt.Sprint("gonum/f32/", n), func(b *testing.B) {
			x, y, z := random[float32](rng, n, n), random[float32](rng, n, n), New[float32](n, n)
			timeProduct(b, n, func() {
				gonum.Implementation{}.Sgemm(blas.NoTrans, blas.NoTrans, n, n, n, 1, x.Data, n, y.Data, n, 0, z.Data, n)
			})
		})
	}
}
