package dense

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/spdopt/spdopt/internal/allocs"
)

func TestChoosePath(t *testing.T) {
	for _, c := range []struct {
		asked string
		best  path
		want  path
		fails string
	}{
		{"", avx512, avx512, ""},
		{"", portable, portable, ""},
		{"avx512", avx512, avx512, ""},
		{"avx2", avx512, avx2, ""},
		{"portable", avx512, portable, ""},
		{"avx512", avx2, avx2, "no avx512"},
		{"avx2", portable, portable, "no avx2"},
		{"sse", avx2, avx2, "unknown path"},
		{"AVX2", avx512, avx512, "unknown path"},
		{"", neon, neon, ""},
		{"neon", neon, neon, ""},
		{"portable", neon, portable, ""},
		{"neon", avx512, avx512, "no neon"},
		{"avx2", neon, neon, "no avx2"},
	} {
		got, err := choosePath(c.asked, c.best)
		if got != c.want {
			t.Errorf("choosePath(%q, %v) = %v, want %v", c.asked, c.best, got, c.want)
		}
		if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("choosePath(%q, %v): error %v, want one about %q", c.asked, c.best, err, c.fails)
		}
	}
}

func TestPath(t *testing.T) {
	name, err := Path()
	if err != nil || name != active.String() {
		t.Errorf("Path() = %q, %v", name, err)
	}
	if f := Features(); (f == "") != (bestPath() == portable) && active != portable {
		t.Errorf("Features() = %q on path %v", f, bestPath())
	}
}

// The generator of the product kernels knows the fields of panel by their offsets.
func TestPanelLayout(t *testing.T) {
	var p panel
	got := []uintptr{
		unsafe.Offsetof(p.a), unsafe.Offsetof(p.aRow), unsafe.Offsetof(p.aStep), unsafe.Offsetof(p.aTile), unsafe.Offsetof(p.b), unsafe.Offsetof(p.bStep),
		unsafe.Offsetof(p.c), unsafe.Offsetof(p.cRow), unsafe.Offsetof(p.rows), unsafe.Offsetof(p.k), unsafe.Offsetof(p.vectors), unsafe.Offsetof(p.mask),
		unsafe.Offsetof(p.alpha), unsafe.Offsetof(p.beta), unsafe.Offsetof(p.use),
		unsafe.Offsetof(p.start), unsafe.Offsetof(p.rowScales), unsafe.Offsetof(p.colScales),
	}
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("the kernels are for 64-bit processors")
	}
	for i, off := range got {
		if off != uintptr(8*i) {
			t.Errorf("field %d of panel is at %d, want %d", i, off, 8*i)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	onPaths(t, func() {
		sizes := []int{5, 16, 40, 100}
		if !slow() {
			sizes = append(sizes, 400)
		}
		for _, n := range sizes {
			noAllocations[float64](t, n)
			noAllocations[float32](t, n)
		}
	})
}

func noAllocations[T Float](t *testing.T, n int) {
	rng := rand.New(rand.NewPCG(1, 9))
	a, b, c := random[T](rng, n, n), random[T](rng, n, n), New[T](n, n)
	l := lowerOnly(lowerFactor[T](rng, n))
	spd := New[T](n, n)
	Gemm(NoTrans, Transposed, 1, l, l, 0, spd)
	g, work := skew[T](rng, n, 0.1/float64(n)), make([]T, CayleyWork(n))
	inverse := make([]T, InverseWork(n))
	_, s, r := spectrum[T](rng, n)
	d := make([]T, n)
	for name, f := range map[string]func(){
		"Gemm NN":   func() { Gemm(NoTrans, NoTrans, 1, a, b, 0, c) },
		"Gemm TT":   func() { Gemm(Transposed, Transposed, 1, a, b, 0, c) },
		"GemmUpper": func() { GemmUpper(NoTrans, Transposed, 1, a, b, 0, c); Mirror(c) },
		"GemmRounded": func() {
			GemmRounded(Transposed, NoTrans, 1, a, b, 0, c)
			GemmRoundedUpper(NoTrans, Transposed, 1, a, a, 0, c)
		},
		"GemmTriangle":    func() { GemmTriangle(Lower, NoTrans, Transposed, 1, a, b, 0, c) },
		"Cholesky":        func() { c.Copy(spd); Cholesky(c) },
		"SolveLower":      func() { SolveLower(Transposed, l, c) },
		"SolveLowerRight": func() { SolveLowerRight(Transposed, l, c) },
		"InvertLower":     func() { c.Copy(l); InvertLower(c) },
		"InvertUpper":     func() { c.Copy(spd); InvertUpper(c, inverse) },
		"MulLower":        func() { MulLower(NoTrans, l, a, c) },
		"MulLowerRight":   func() { MulLowerRight(NoTrans, l, a, c) },
		"triangles": func() {
			MulTriangles(l, l, c)
			SolveLowerTriangleRight(l, c)
			SolveLowerHalf(l, c)
			TriangleGram(Transposed, l, c)
			MirrorLower(c)
		},
		"CayleyInverse":   func() { CayleyInverse(g, c, work) },
		"CayleyTruncated": func() { CayleyTruncated(g, 4, c, work) },
		"BoundedAngle":    func() { BoundedAngle(s, r, d, spd, c) },
		"FirstOrderAngle": func() { FirstOrderAngle(s, r, spd, c) },
		"NormBound":       func() { NormBound(g) },
		"RotatedDiagonal": func() { RotatedDiagonal(a, b, d, work) },
		"Gemv":            func() { Gemv(NoTrans, 1, a, s, 0, d); Gemv(Transposed, 1, a, s, 0, d); Ger(1, s, r, c) },
		"elementwise":     func() { Exp(d, s); Log(d, s); Pow(d, s, 0.3); Sqrt(d, s); FillNormal(d, [2]uint64{1, 2}, 3) },
	} {
		if got := allocs.PerRun(3, f); got != 0 {
			t.Errorf("%v %T n=%d: %s allocates %v times", active, a.Data[0], n, name, got)
		}
	}
}

// Callers on many goroutines get what a single one gets, whoever has the pool.
func TestConcurrentCallers(t *testing.T) {
	withProcs(4, func() {
		rng := rand.New(rand.NewPCG(2, 9))
		n := 380
		a, b, want := random[float64](rng, n, n), random[float64](rng, n, n), New[float64](n, n)
		Gemm(NoTrans, NoTrans, 1, a, b, 0, want)
		var group sync.WaitGroup
		for range 6 {
			group.Go(func() {
				c := New[float64](n, n)
				for range 5 {
					Gemm(NoTrans, NoTrans, 1, a, b, 0, c)
					if d := maxDifference(c, want); d != 0 {
						t.Errorf("a concurrent product differs by %g", d)
					}
				}
			})
		}
		group.Wait()
		// Idle helpers stop spinning.
		deadline := time.Now().Add(time.Minute)
		for workers.awake.Load() != 0 {
			if time.Now().After(deadline) {
				t.Fatalf("%d of %d helpers are still awake", workers.awake.Load(), workers.helpers.Load())
			}
			time.Sleep(time.Millisecond)
		}
	})
}
