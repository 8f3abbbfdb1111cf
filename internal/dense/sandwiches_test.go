package dense

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
)

// TestRoundedSandwiches holds sums to the documented error, whatever has been in the place of the pairs.
func TestRoundedSandwiches(t *testing.T) {
	if NewRoundedSandwiches(1, 1) == nil {
		t.Skip("no VDPBF16PS")
	}
	r := rand.New(rand.NewPCG(32, 2))
	for n := range 75 {
		for _, count := range []int{1, 3} {
			roundedSandwiches(t, r, n+1, count)
		}
	}
	roundedSandwiches(t, r, 101, 11) // beyond a block of the inner dimension
	roundedSandwiches(t, r, 419, 1)  // tiles of more than one panel
}

func roundedSandwiches(t *testing.T, r *rand.Rand, n, count int) {
	s, u, out := NewRoundedSandwiches(n, count), randomSymmetric(r, n, -1), New[float32](n, n)
	want, most, w, aw := New[float64](n, n), New[float64](n, n), New[float64](n, n), New[float64](n, n)
	for k := range count {
		s.Set(k, randomSymmetric(r, n, 1), randomSymmetric(r, n, 1))
		g, h := randomSymmetric(r, n, 1), randomSymmetric(r, n, 1)
		s.Set(k, g, h)
		commutator(inDouble(g, false), inDouble(u, false), -1, 0, w)
		commutator(w, inDouble(h, false), -1, 1, want)
		commutator(inDouble(g, true), inDouble(u, true), 1, 0, aw)
		commutator(aw, inDouble(h, true), 1, 1, most)
	}
	s.Sum(0.5, u, out)
	for i, v := range out.Data {
		if d := math.Abs(float64(2*v) - want.Data[i]); !(d <= (4.1*0x1p-8+float64((2*count+2)*n)*0x1p-24)*most.Data[i]) {
			t.Fatalf("n=%d, %d pairs: element %d is %g, want %g", n, count, i, 2*v, want.Data[i])
		}
	}
}

// commutator sets c to beta c + a b + sign b a.
func commutator(a, b Matrix[float64], sign, beta float64, c Matrix[float64]) {
	Gemm(NoTrans, NoTrans, 1, a, b, beta, c)
	Gemm(NoTrans, NoTrans, sign, b, a, 1, c)
}

// randomSymmetric returns a random matrix that is its transpose times sign.
func randomSymmetric(r *rand.Rand, n int, sign float32) Matrix[float32] {
	x := random[float32](r, n, n)
	for i := range n {
		for j := range i + 1 {
			x.Set(j, i, sign*x.At(i, j))
			if i == j && sign < 0 {
				x.Set(i, i, 0)
			}
		}
	}
	return x
}

// inDouble returns x, or its absolute values.
func inDouble(x Matrix[float32], absolute bool) Matrix[float64] {
	y := New[float64](x.Rows, x.Cols)
	for i, v := range x.Data {
		y.Data[i] = float64(v)
		if absolute {
			y.Data[i] = math.Abs(float64(v))
		}
	}
	return y
}

// TestRoundedSandwichesPaths: other kernels have none, sums allocate nothing and do not depend on threads, and what does not fit is refused.
func TestRoundedSandwichesPaths(t *testing.T) {
	onPaths(t, func() {
		const n = 340
		s := NewRoundedSandwiches(n, 2)
		if (s != nil) != hasPairs() {
			t.Fatalf("%v: %v", active, s)
		}
		if s == nil {
			return
		}
		r := rand.New(rand.NewPCG(33, 2))
		u, out, other := randomSymmetric(r, n, -1), New[float32](n, n), New[float32](n, n)
		for k := range 2 {
			s.Set(k, randomSymmetric(r, n, 1), randomSymmetric(r, n, 1))
		}
		withProcs(1, func() { s.Sum(1, u, out) })
		for _, procs := range []int{1, 2, 4} {
			withProcs(procs, func() {
				s.Sum(1, u, other)
				if a := allocs.PerRun(3, func() { s.Sum(1, u, other) }); a > 0 && procs == 1 {
					t.Errorf("%v allocations", a)
				}
			})
			if !slices.Equal(out.Data, other.Data) {
				t.Errorf("other bits on %d threads", procs)
			}
		}
		refused(t, map[string]func(){
			"no pairs":  func() { NewRoundedSandwiches(5, 0) },
			"left":      func() { s.Set(0, New[float32](n, 2), u) },
			"right":     func() { s.Set(0, u, New[float32](2, n)) },
			"middle":    func() { s.Sum(1, New[float32](4, 4), out) },
			"sum":       func() { s.Sum(1, u, New[float32](4, 4)) },
			"too short": func() { s.Sum(1, u, Matrix[float32]{Rows: n, Cols: n, Stride: n, Data: u.Data[:n]}) },
		})
	})
}

func BenchmarkRoundedSandwiches(b *testing.B) {
	for _, n := range []int{50, 100, 200, 500, 1000} {
		s := NewRoundedSandwiches(n, 3)
		if s == nil {
			b.Skip("no VDPBF16PS")
		}
		r := rand.New(rand.NewPCG(34, 2))
		u, out := random[float32](r, n, n), New[float32](n, n)
		for k := range 3 {
			s.Set(k, random[float32](r, n, n), random[float32](r, n, n))
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				s.Sum(1, u, out)
			}
			b.ReportMetric(12*float64(n*n*n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gflop/s")
		})
	}
}
