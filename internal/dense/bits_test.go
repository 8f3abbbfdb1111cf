package dense

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/spdopt/spdopt/internal/allocs"
)

// results runs every kernel once on inputs made from a seed and returns all outputs by name.
func results[T Float](n int) map[string][]T {
	rng := rand.New(rand.NewPCG(uint64(n), 9))
	out := map[string][]T{}
	keep := func(name string, m Matrix[T]) { out[name] = m.Clone().Data }
	a, b, c := random[T](rng, n, n), random[T](rng, n, n), New[T](n, n)
	Gemm(NoTrans, NoTrans, 1, a, b, 0, c)
	keep("Gemm NN", c)
	Gemm(Transposed, Transposed, 0.3, a, b, 0.7, c)
	keep("Gemm TT", c)
	GemmTriangle(Upper, NoTrans, Transposed, 1, a, b, 0, c)
	keep("GemmTriangle", c)
	l := lowerOnly(lowerFactor[T](rng, n))
	x := b.Clone()
	SolveLower(NoTrans, l, x)
	keep("SolveLower", x)
	SolveLowerRight(Transposed, l, x)
	keep("SolveLowerRight", x)
	if n < 200 { // larger ones are made of the same parts
		SolveLower(Transposed, l, x)
		keep("SolveLower transposed", x)
		x.Copy(lowerOnly(l))
		SolveLowerTriangle(l, x)
		keep("SolveLowerTriangle", x)
	}
	x.Copy(l)
	SolveLowerTriangleRight(l, x)
	keep("SolveLowerTriangleRight", x)
	x.Copy(a)
	SolveLowerHalf(l, x)
	keep("SolveLowerHalf", lowerOnly(x))
	MulTriangles(l, l, x)
	keep("MulTriangles", x)
	for _, tl := range []Trans{NoTrans, Transposed} {
		TriangleGram(tl, l, x)
		MirrorLower(x)
		keep(fmt.Sprintf("TriangleGram %v", tl), x)
	}
	MulLower(Transposed, l, a, x)
	keep("MulLower", x)
	MulLowerRight(NoTrans, l, a, x)
	keep("MulLowerRight", x)
	s := New[T](n, n)
	Gemm(NoTrans, Transposed, 1, l, l, 0, s)
	inverted := s.Clone()
	InvertUpper(inverted, make([]T, InverseWork(n)))
	Mirror(inverted)
	keep("InvertUpper", inverted)
	bundle := NewBundle[T](n)
	for l := range Lanes[T]() {
		bundle.Set(l, s)
	}
	tiles := make([]T, TiledLength(n))
	PackTiles(tiles, s)
	bundle.Shift(bundle, tiles[:Lanes[T]()], tiles)
	bundle.InvertNegative(NewBundleWork[T](n))
	bundle.Add(tiles[:Lanes[T]()], bundle)
	lane := slices.Clone(tiles[:Lanes[T]()])
	clear(tiles)
	bundle.AddSum(tiles, lane)
	bundle.Inner(lane, slices.Clone(tiles))
	tiles = append(tiles, lane...)
	bundle.SquareBounds(lane)
	tiles = append(tiles, lane...)
	out["Bundle"] = tiles
	triangle := NewBundleTriangle[T](n)
	triangle.Set(l)
	bundle.Congruence(triangle, NewBundlePair[T](n))
	out["Bundle congruence"] = slices.Clone(bundle.data)
	if double, ok := any(bundle).(*Bundle[float64]); ok {
		out["Bundle reduction"] = any(reduction(rng, double)).([]T)
	}
	Cholesky(s)
	keep("Cholesky", s)
	InvertLower(l)
	keep("InvertLower", l)
	g := skew[T](rng, n, 0.3/math.Sqrt(float64(n)))
	work := make([]T, CayleyWork(n))
	CayleyInverse(g, c, work)
	keep("CayleyInverse", c)
	CayleyTruncated(g, 3, c, work)
	keep("CayleyTruncated", c)
	_, roots, inverse := spectrum[T](rng, n)
	d := make([]T, n)
	BoundedAngle(roots, inverse, d, symmetric[T](rng, n), c)
	keep("BoundedAngle", c)
	FirstOrderAngle(roots, inverse, symmetric[T](rng, n), c)
	keep("FirstOrderAngle", c)
	RotatedDiagonal(a, b, d, work)
	out["RotatedDiagonal"] = append([]T(nil), d...)
	Gemv(NoTrans, 0.3, a, roots, 0.7, d)
	out["Gemv"] = append([]T(nil), d...)
	Gemv(Transposed, 0.3, a, roots, 0, d)
	out["Gemv transposed"] = append([]T(nil), d...)
	Ger(0.3, roots, d, a)
	keep("Ger", a)
	Blend(0.3, a.Data, 0.7, b.Data, c.Data)
	keep("Blend", c)
	Multiply(a.Data, b.Data, c.Data)
	keep("Multiply", c)
	ScaleRows(roots, a, c)
	keep("ScaleRows", c)
	RowDots(a, b, d)
	out["RowDots"] = append([]T(nil), d...)
	plain, weighted := WeightedSquares(roots, d)
	out["Dot"] = []T{Dot(roots, d), T(NormBound(g)), plain, weighted}
	q, y := shiftedCase[T](n, 11, 2)
	q.Start(y)
	Gemm(NoTrans, NoTrans, 1, b, q.Z, 0, q.MZ)
	res := make([]T, 22)
	q.Step(0.9, 1.1, res)
	out["Shifted residuals"] = res
	keep("Shifted", q.Prev)
	for name, f := range map[string]func(dst, x []T){"Exp": Exp[T], "Log": Log[T], "Sqrt": Sqrt[T], "Pow": func(dst, x []T) { Pow(dst, x, -0.25) }} {
		f(d, roots)
		out[name] = append([]T(nil), d...)
	}
	return out
}

// reduction runs the kernels that bring bundles to tridiagonal form and back, and returns all that they write.
func reduction(rng *rand.Rand, b *Bundle[float64]) []float64 {
	v, w, x, y := laneVectors(rng, b.Rows()), laneVectors(rng, b.Rows()), laneVectors(rng, b.Rows()), laneVectors(rng, b.Rows())
	BundleRankTwoSymv(b, 0, v, w, x, y)
	row, dots := make([]float64, len(v)), new([testLanes]float64)
	BundleRow(b, 0, v, w, row)
	LaneDot(dots, x, y)
	LaneBlend(x, dots, v, (*[testLanes]float64)(row), w)
	const terms = 3
	g := &Growth{First: laneVectors(rng, b.Rows()*terms), T: laneVectors(rng, terms), H: laneVectors(rng, terms)}
	BundleGrow(b, 0, g, v, w, laneVectors(rng, terms), laneVectors(rng, terms), dots)
	return slices.Concat(b.data, x, y, row, dots[:], g.First, g.T, g.H)
}

func sameResults[T Float](t *testing.T, what string, got, want map[string][]T) {
	t.Helper()
	for name, w := range want {
		for i, v := range w {
			if g := got[name][i]; math.Float64bits(float64(g)) != math.Float64bits(float64(v)) {
				t.Fatalf("%T %s: %s: element %d is %v, want %v", v, what, name, i, g, v)
			}
		}
	}
}

// Every kernel has the same bits for any number of goroutines.
func TestBitsAcrossWorkers(t *testing.T) {
	onPaths(t, func() {
		sizes, counts := []int{131, 420}, []int{1, 2, 3, 5}
		if allocs.Race && active != bestPath() {
			return
		}
		if slow() {
			sizes, counts = []int{131, 370}, []int{1, 3}
		}
		for _, n := range sizes {
			var want map[string][]float64
			var want32 map[string][]float32
			for _, procs := range counts {
				withProcs(procs, func() {
					got, got32 := results[float64](n), results[float32](n)
					if want == nil {
						want, want32 = got, got32
					}
					what := fmt.Sprintf("%v n=%d GOMAXPROCS=%d", active, n, procs)
					sameResults(t, what, got, want)
					sameResults(t, what, got32, want32)
				})
			}
		}
	})
}

// AVX2 and AVX-512 give the same bits for every kernel.
func TestBitsAcrossPaths(t *testing.T) {
	if bestPath() != avx512 {
		t.Skip("this machine has no two assembly paths")
	}
	old := active
	defer func() { active = old }()
	for _, n := range []int{1, 2, 3, 5, 8, 9, 12, 17, 22, 31, 40, 64, 100, 131} {
		active = avx2
		want, want32 := results[float64](n), results[float32](n)
		active = avx512
		what := fmt.Sprint("AVX-512 against AVX2, n=", n)
		sameResults(t, what, results[float64](n), want)
		sameResults(t, what, results[float32](n), want32)
	}
}

// A product has the same bits when its rows or columns are computed by separate calls.
func TestBitsAcrossSplits(t *testing.T) {
	onPaths(t, func() {
		rng := rand.New(rand.NewPCG(8, 9))
		for range 12 {
			m, n, k := 1+rng.IntN(300), 1+rng.IntN(300), 1+rng.IntN(900)
			if slow() {
				m, n = 1+m/5, 1+n/5
			}
			a, b := random[float64](rng, m, k), random[float64](rng, k, n)
			whole, split := New[float64](m, n), New[float64](m, n)
			Gemm(NoTrans, NoTrans, 1, a, b, 0, whole)
			r, c := rng.IntN(m+1), rng.IntN(n+1)
			for _, p := range [][4]int{{0, 0, r, c}, {0, c, r, n - c}, {r, 0, m - r, c}, {r, c, m - r, n - c}} {
				if p[2] > 0 && p[3] > 0 {
					Gemm(NoTrans, NoTrans, 1, a.View(p[0], 0, p[2], k), b.View(0, p[1], k, p[3]), 0, split.View(p[0], p[1], p[2], p[3]))
				}
			}
			if d := maxDifference(whole, split); d != 0 {
				t.Fatalf("%v m=%d n=%d k=%d: split at (%d,%d) differs by %g", active, m, n, k, r, c, d)
			}
		}
	})
}

// A product that is cut for any number of threads has the bits of the one that is not, in whole and of a triangle.
func TestBitsAcrossCuts(t *testing.T) {
	onPaths(t, func() {
		rng := rand.New(rand.NewPCG(28, 9))
		for trial := range 40 {
			m, n, k := 1+rng.IntN(150), 1+rng.IntN(150), 1+rng.IntN(600)
			part := region(trial % 3)
			if part != everywhere {
				n = m
			}
			a, b := random[float32](rng, k, m), random[float32](rng, k, n)
			whole, cut := New[float32](m, n), New[float32](m, n)
			q := product{m: m, n: n, k: k, a: operandOf(Transposed, &a), b: operandOf(NoTrans, &b), c: operandOf(NoTrans, &whole), alpha: one(4),
				first: storePlain, next: addPlain, region: part, size: 4}
			q.run()
			q.c = operandOf(NoTrans, &cut)
			limit := 2 + rng.IntN(8)
			workers.boards[0].mu.Lock()
			q.runParallel(&workers.boards[0], limit, time.Duration(rng.IntN(200))*time.Microsecond)
			workers.boards[0].mu.Unlock()
			for i := range m {
				from, to := 0, n
				switch part {
				case upperTriangle:
					from = i
				case lowerTriangle:
					to = i + 1
				}
				if !slices.Equal(whole.Row(i)[from:to], cut.Row(i)[from:to]) {
					t.Fatalf("%v m=%d n=%d k=%d region %d for %d threads: row %d differs", active, m, n, k, part, limit, i)
				}
			}
		}
	})
}
