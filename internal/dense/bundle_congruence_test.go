package dense

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
)

// TestBundleCongruence: every lane is what Congruence makes of its matrix, and what lies beyond the last row stays zero.
func TestBundleCongruence(t *testing.T) {
	onPaths(t, func() {
		for _, n := range bundleSizes {
			if n <= 50 {
				testBundleCongruence[float32](t, n, 1e-6)
			}
			if n <= 100 {
				testBundleCongruence[float64](t, n, 1e-14)
			}
		}
	})
}

func testBundleCongruence[T Float](t *testing.T, n int, tol float64) {
	rng := rand.New(rand.NewPCG(uint64(n), 22))
	b := NewBundle[T](n)
	b.Zero()
	l, wants := New[T](n, n), []Matrix[T]{}
	for i := range l.Data {
		l.Data[i] = T(rng.NormFloat64())
	}
	triangle := NewBundleTriangle[T](n)
	triangle.Set(l)
	for i := range n {
		clear(l.Row(i)[i+1:])
	}
	for lane := range Lanes[T]() {
		upper, full := definite[T](rng, n)
		b.Set(lane, upper)
		want := New[T](n, n)
		Congruence(l, full, want, make([]T, n*n))
		Mirror(want)
		wants = append(wants, want)
	}
	b.Congruence(triangle, NewBundlePair[T](n))
	got := New[T](n, n)
	for lane, want := range wants {
		b.Get(lane, got)
		Mirror(got)
		if d, scale := maxDifference(got, want), Dot(want.Data, want.Data); !(d*d < tol*tol*float64(n)*float64(n)*float64(scale)) {
			t.Errorf("%v %T n=%d lane %d: off by %g", active, tol, n, lane, d)
		}
	}
	for i := n; i < b.side*tileSide; i++ {
		for j := range i + 1 {
			for _, v := range b.Lanes(j, i) {
				if v != 0 {
					t.Fatalf("n=%d: (%d, %d) is %v", n, j, i, v)
				}
			}
		}
	}
}

// TestSetLanes: lanes of a bundle in double precision are what Set makes of the matrices.
func TestSetLanes(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range bundleSizes {
		src, _ := bundled[float64](rng, n)
		got, want := NewBundle[float32](n), NewBundle[float32](n)
		SetLanes(got, 3, src, []int{2, 0, 2})
		a, single := New[float64](n, n), New[float32](n, n)
		for i, l := range []int{2, 0, 2} {
			src.Get(l, a)
			for j, v := range a.Data {
				single.Data[j] = float32(v)
			}
			want.Set(3+i, single)
		}
		if !slices.Equal(got.data, want.data) {
			t.Errorf("n=%d: other elements", n)
		}
	}
}

func TestBundleCongruenceAllocatesNothing(t *testing.T) {
	const n = 21
	b, l, w := NewBundle[float64](n), NewBundleTriangle[float64](n), NewBundlePair[float64](n)
	a := New[float64](n, n)
	if got := allocs.PerRun(5, func() { l.Set(a); b.Congruence(l, w) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
