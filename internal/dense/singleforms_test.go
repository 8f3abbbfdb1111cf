package dense

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
)

// TestSingleForms holds sums of all small shapes, and of some beyond a block, to the documented error on every path that has a kernel, whatever pieces the points come in.
func TestSingleForms(t *testing.T) {
	onPaths(t, func() {
		if (NewSingleForms(1, 1) == nil) != (active != avx512 && active != avx2) {
			t.Fatalf("%v: kernels or none", active)
		}
		if NewSingleForms(1, 1) == nil {
			return
		}
		r := rand.New(rand.NewPCG(32, 2))
		for n := range 26 {
			for _, count := range []int{1, 2, 97, 961} {
				singleForms(t, r, n+1, count)
			}
		}
		singleForms(t, r, 50, 2*formPoints+31)
	})
}

func singleForms(t *testing.T, r *rand.Rand, n, count int) {
	w, y, out := random[float32](r, n, count), dominated(r, n), New[float32](n, n)
	f, pieces := NewSingleForms(n, count), NewSingleForms(n, count)
	f.Set(0, w)
	for first := 0; first < count; {
		cols := min(r.IntN(600)+1, count-first)
		pieces.Set(first, w.View(0, first, n, cols))
		first += cols
	}
	f.Apply(0.5, y, out)
	again := out.Clone()
	for i := range n { // what is above the diagonal must not matter
		for j := range i {
			y.Set(j, i, float32(math.NaN()))
		}
	}
	pieces.Apply(0.5, y, again)
	if !slices.Equal(out.Data, again.Data) {
		t.Fatalf("%v, n=%d, %d points: other bits in pieces", active, n, count)
	}
	want, most := formsExactly(w, y)
	for i, v := range out.Data {
		if d := math.Abs(float64(v) - want.Data[i]/2); !(d <= 1.001*float64(2*n+count+4)*0x1p-24*most.Data[i]/2) {
			t.Fatalf("%v, n=%d, %d points: element %d is %g, want %g", active, n, count, i, v, want.Data[i]/2)
		}
	}
}

// TestSingleFormsMisuse: sums allocate nothing, and what does not fit is refused.
func TestSingleFormsMisuse(t *testing.T) {
	onPaths(t, func() {
		f := NewSingleForms(5, 100)
		if f == nil {
			return
		}
		y, out := New[float32](5, 5), New[float32](5, 5)
		if a := allocs.PerRun(10, func() { f.Apply(1, y, out) }); a > 0 {
			t.Errorf("%v allocations", a)
		}
		refused(t, map[string]func(){
			"no points":   func() { NewSingleForms(5, 0) },
			"rows":        func() { f.Set(0, New[float32](4, 2)) },
			"beyond":      func() { f.Set(98, New[float32](5, 3)) },
			"wrong shape": func() { f.Apply(1, New[float32](4, 4), out) },
		})
	})
}

func BenchmarkSingleForms(b *testing.B) {
	onPaths(b, func() {
		for _, n := range []int{50, 100, 200} {
			count := 3 * n * (n + 1) / 2
			f := NewSingleForms(n, count)
			if f == nil {
				return
			}
			r := rand.New(rand.NewPCG(33, 2))
			f.Set(0, random[float32](r, n, count))
			y, out := symmetric[float32](r, n), New[float32](n, n)
			b.Run(fmt.Sprint(active, "/", n), func(b *testing.B) {
				for b.Loop() {
					f.Apply(1, y, out)
				}
				b.ReportMetric(2*float64(count)*float64(n*n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gflop/s")
			})
		}
	})
}
