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
	for n := range 67 {
		for _, count := range []int{1, 3} {
			roundedSandwiches(t, r, n+1, count)
		}
	}
	roundedSandwiches(t, r, 101, 11) // beyond a block of the inner dimension
}

func roundedSandwiches(t *testing.T, r *rand.Rand, n, count int) {
	s, u, work, out := NewRoundedSandwiches(n, count), random[float32](r, n, n), New[float32](n, n), New[float32](n, n)
	want, most, gu, au := New[float64](n, n), New[float64](n, n), New[float64](n, n), New[float64](n, n)
	s.SetMiddle(u)
	for k := range count {
		s.Set(k, random[float32](r, n, n), random[float32](r, n, n))
		g, h := random[float32](r, n, n), random[float32](r, n, n)
		s.Set(k, g, h)
		s.Image(k, work)
		s.SetImage(k, work)
		Gemm(NoTrans, NoTrans, 1, inDouble(g, false), inDouble(u, false), 0, gu)
		Gemm(NoTrans, NoTrans, 1, gu, inDouble(h, false), 1, want)
		Gemm(NoTrans, NoTrans, 1, inDouble(g, true), inDouble(u, true), 0, au)
		Gemm(NoTrans, NoTrans, 1, au, inDouble(h, true), 1, most)
		for i, v := range work.Data {
			if d := math.Abs(float64(v) - gu.Data[i]); !(d <= 2.1*0x1p-8*au.Data[i]) {
				t.Fatalf("n=%d: element %d of an image is %g, want %g", n, i, v, gu.Data[i])
			}
		}
	}
	s.Sum(out)
	for i, v := range out.Data {
		if d := math.Abs(float64(v) - want.Data[i]); !(d <= (4.1*0x1p-8+float64((count+1)*n)*0x1p-24)*most.Data[i]) {
			t.Fatalf("n=%d, %d pairs: element %d is %g, want %g", n, count, i, v, want.Data[i])
		}
	}
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
		const n = 340 // products for many threads
		s := NewRoundedSandwiches(n, 2)
		if (s != nil) != hasPairs() {
			t.Fatalf("%v: %v", active, s)
		}
		if s == nil {
			return
		}
		r := rand.New(rand.NewPCG(33, 2))
		u, work, out, other := random[float32](r, n, n), New[float32](n, n), New[float32](n, n), New[float32](n, n)
		for k := range 2 {
			s.Set(k, random[float32](r, n, n), random[float32](r, n, n))
		}
		run := func(out Matrix[float32]) {
			s.SetMiddle(u)
			for k := range 2 {
				s.Image(1-k, work)
				s.SetImage(1-k, work)
			}
			s.Sum(out)
		}
		withProcs(1, func() {
			run(out)
			if a := allocs.PerRun(3, func() { run(out) }); a > 0 {
				t.Errorf("%v allocations", a)
			}
		})
		withProcs(4, func() { run(other) })
		if !slices.Equal(out.Data, other.Data) {
			t.Error("other bits on four threads")
		}
		refused(t, map[string]func(){
			"no pairs":  func() { NewRoundedSandwiches(5, 0) },
			"left":      func() { s.Set(0, New[float32](n, 2), u) },
			"right":     func() { s.Set(0, u, New[float32](2, n)) },
			"middle":    func() { s.SetMiddle(New[float32](4, 4)) },
			"image":     func() { s.Image(0, New[float32](4, 4)) },
			"set image": func() { s.SetImage(0, New[float32](4, 4)) },
			"sum":       func() { s.Sum(New[float32](4, 4)) },
			"too short": func() { s.Sum(Matrix[float32]{Rows: n, Cols: n, Stride: n, Data: u.Data[:n]}) },
		})
	})
}

func BenchmarkRoundedSandwiches(b *testing.B) {
	for _, n := range []int{10, 50, 100, 200} {
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
				s.SetMiddle(u)
				for k := range 3 {
					s.Image(k, out)
					s.SetImage(k, out)
				}
				s.Sum(out)
			}
			b.ReportMetric(12*float64(n*n*n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gflop/s")
		})
	}
}
