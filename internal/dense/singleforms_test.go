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
		singleForms(t, r, 50, 2*singleFormPoints+31)
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
	q := make([]float32, count)
	f.Forms(y, q)
	f.Moment(0.5, q, again)
	if !slices.Equal(out.Data, again.Data) {
		t.Fatalf("n=%d, %d points: other bits in two steps", n, count)
	}
	formsAgree(t, w, y, q, 1.001*float64(2*n+2)*0x1p-24)
	want, most := formsExactly(w, y)
	for i, v := range out.Data {
		if d := math.Abs(float64(v) - want.Data[i]/2); !(d <= 1.001*(float64(2*n)+singleFormsError(count))*0x1p-24*most.Data[i]/2) {
			t.Fatalf("%v, n=%d, %d points: element %d is %g, want %g", active, n, count, i, v, want.Data[i]/2)
		}
	}
	moment(t, r, f, w)
}

// singleFormsError is what the documented bound calls M.
func singleFormsError(count int) float64 {
	return min(float64(count), 60+float64(count)/singleFormPoints) + 8
}

// TestSingleFormsOfManyPoints: errors hardly grow with the number of points, though all terms of the diagonal are positive.
func TestSingleFormsOfManyPoints(t *testing.T) {
	onPaths(t, func() {
		const n, count = 5, 200000
		f := NewSingleForms(n, count)
		if f == nil {
			return
		}
		r := rand.New(rand.NewPCG(34, 2))
		w, y, out := random[float32](r, n, count), New[float32](n, n), New[float32](n, n)
		f.Set(0, w)
		y.Identity()
		f.Apply(1.0/count, y, out)
		want, _ := formsExactly(w, y)
		for i := range n {
			exact := want.At(i, i) / count
			if d := math.Abs(float64(out.At(i, i))-exact) / exact; d > 2e-7 {
				t.Errorf("%v: diagonal element %d is off by %g", active, i, d)
			}
		}
	})
}

// moment holds the sums with given weights to their error.
func moment(t *testing.T, r *rand.Rand, f *SingleForms, w Matrix[float32]) {
	n, count := w.Rows, w.Cols
	q, out := random[float32](r, 1, count).Data, New[float32](n, n)
	f.Moment(0.5, q, out)
	for i := range n {
		for j := range n {
			var sum, most float64
			for p, v := range q {
				x := float64(v) * float64(w.At(i, p)) * float64(w.At(j, p)) / 2
				sum, most = sum+x, most+math.Abs(x)
			}
			if d := math.Abs(float64(out.At(i, j)) - sum); !(d <= 1.001*singleFormsError(count)*0x1p-24*most) {
				t.Fatalf("%v, n=%d, %d points: element (%d, %d) of the moment is %g, want %g", active, n, count, i, j, out.At(i, j), sum)
			}
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
		if q := make([]float32, 100); allocs.PerRun(10, func() { f.Moment(1, q, out) }) > 0 {
			t.Error("the moment allocates")
		}
		refused(t, map[string]func(){
			"weights":     func() { f.Moment(1, make([]float32, 99), out) },
			"no points":   func() { NewSingleForms(5, 0) },
			"rows":        func() { f.Set(0, New[float32](4, 2)) },
			"beyond":      func() { f.Set(98, New[float32](5, 3)) },
			"wrong shape": func() { f.Apply(1, New[float32](4, 4), out) },
			"few forms":   func() { f.Forms(y, make([]float32, 99)) },
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
