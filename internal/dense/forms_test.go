package dense

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
)

// TestRoundedForms holds sums of all small shapes, and of some beyond a block, to the documented error, whatever pieces the points come in.
func TestRoundedForms(t *testing.T) {
	if NewRoundedForms(1, 1) == nil {
		t.Skip("no VDPBF16PS")
	}
	r := rand.New(rand.NewPCG(30, 2))
	for n := range 26 {
		for _, count := range []int{1, 2, 97, 961} {
			roundedForms(t, r, n+1, count)
		}
	}
	roundedForms(t, r, 50, 2*formPoints+31)
}

func roundedForms(t *testing.T, r *rand.Rand, n, count int) {
	w, y, out := random[float32](r, n, count), dominated(r, n), New[float32](n, n)
	f, pieces := NewRoundedForms(n, count), NewRoundedForms(n, count)
	f.Set(0, w)
	for first := 0; first < count; {
		cols := min(2*r.IntN(300)+2, count-first)
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
		t.Fatalf("n=%d, %d points: other bits in pieces", n, count)
	}
	q := make([]float32, count)
	f.Forms(y, q)
	f.Moment(0.5, q, again)
	if !slices.Equal(out.Data, again.Data) {
		t.Fatalf("n=%d, %d points: other bits in two steps", n, count)
	}
	formsAgree(t, w, y, q, formsError(n, count))
	want, most := formsExactly(w, y)
	for i, v := range out.Data {
		if d := math.Abs(float64(v) - want.Data[i]/2); !(d <= formsError(n, count)*most.Data[i]/2) {
			t.Fatalf("n=%d, %d points: element %d is %g, want %g", n, count, i, v, want.Data[i]/2)
		}
	}
}

// dominated returns a symmetric matrix in whose forms the diagonal counts most, so that errors are not small beside the sums of absolute values.
func dominated(r *rand.Rand, n int) Matrix[float32] {
	y := symmetric[float32](r, n)
	for i := range n {
		y.Set(i, i, float32(n)+y.At(i, i))
	}
	return y
}

// formsError is the documented bound.
func formsError(n, count int) float64 { return 6.1*0x1p-8 + float64(n+count)*0x1p-24 }

// formsAgree holds forms to a bound relative to sums of absolute values.
func formsAgree(t *testing.T, w, y Matrix[float32], q []float32, bound float64) {
	t.Helper()
	for p, got := range q {
		want, abs := formExactly(w, y, p)
		if !(math.Abs(float64(got)-want) <= bound*abs) {
			t.Fatalf("n=%d, %d points: form %d is %g, want %g", w.Rows, w.Cols, p, got, want)
		}
	}
}

// formExactly returns the form of a point in float64, and the sum of absolute values.
func formExactly(w, y Matrix[float32], p int) (q, abs float64) {
	for i := range w.Rows {
		for j := range i + 1 {
			v := float64(w.At(i, p)) * float64(w.At(j, p)) * float64(y.At(i, j))
			if j < i {
				v *= 2
			}
			q, abs = q+v, abs+math.Abs(v)
		}
	}
	return q, abs
}

// formsExactly returns the sums in float64, and those of absolute values.
func formsExactly(w, y Matrix[float32]) (sum, most Matrix[float64]) {
	n := w.Rows
	sum, most = New[float64](n, n), New[float64](n, n)
	for p := range w.Cols {
		q, abs := formExactly(w, y, p)
		for i := range n {
			for j := range n {
				v := float64(w.At(i, p)) * float64(w.At(j, p))
				sum.Data[i*n+j] += q * v
				most.Data[i*n+j] += abs * math.Abs(v)
			}
		}
	}
	return sum, most
}

// TestRoundedFormsPaths: other kernels have none, sums allocate nothing, and what does not fit is refused.
func TestRoundedFormsPaths(t *testing.T) {
	onPaths(t, func() {
		f := NewRoundedForms(5, 100)
		if (f != nil) != hasPairs() {
			t.Fatalf("%v: %v", active, f)
		}
		if f == nil {
			return
		}
		y, out := New[float32](5, 5), New[float32](5, 5)
		if a := allocs.PerRun(10, func() { f.Apply(1, y, out) }); a > 0 {
			t.Errorf("%v allocations", a)
		}
		refused(t, map[string]func(){
			"no points":   func() { NewRoundedForms(5, 0) },
			"rows":        func() { f.Set(0, New[float32](4, 2)) },
			"beyond":      func() { f.Set(98, New[float32](5, 4)) },
			"wrong shape": func() { f.Apply(1, New[float32](4, 4), out) },
			"few forms":   func() { f.Forms(y, make([]float32, 99)) },
			"weights":     func() { f.Moment(1, make([]float32, 101), out) },
		})
	})
}

func BenchmarkRoundedForms(b *testing.B) {
	for _, n := range []int{50, 100, 200} {
		count := 3 * n * (n + 1) / 2
		f := NewRoundedForms(n, count)
		if f == nil {
			b.Skip("no VDPBF16PS")
		}
		benchmarkForms(b, f, n, count, "Gflop/s")
	}
}

// benchmarkForms times Apply of count forms of n rows, in operations a second.
func benchmarkForms(b *testing.B, f interface {
	Set(first int, x Matrix[float32])
	Apply(scale float32, y, out Matrix[float32])
}, n, count int, unit string) {
	r := rand.New(rand.NewPCG(31, 2))
	f.Set(0, random[float32](r, n, count))
	y, out := symmetric[float32](r, n), New[float32](n, n)
	b.Run(fmt.Sprint(n), func(b *testing.B) {
		for b.Loop() {
			f.Apply(1, y, out)
		}
		b.ReportMetric(2*float64(count)*float64(n*n)*float64(b.N)/b.Elapsed().Seconds()/1e9, unit)
	})
}
