package dense

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
)

// TestByteForms holds sums of all small shapes, and of some beyond a block, to the rounding they document.
func TestByteForms(t *testing.T) {
	if !hasQuads() {
		t.Skip("no VPDPBUSD")
	}
	r := rand.New(rand.NewPCG(41, 2))
	for n := range 26 {
		for _, count := range []int{1, 2, 65, bytePoints + 1} {
			byteForms(t, r, n+1, count)
		}
	}
	byteForms(t, r, 50, 2*bytePoints+31)
}

// byteForms compares with sums in float64 over rounded points and a rounded matrix: what is left is the rounding of the products with the forms.
func byteForms(t *testing.T, r *rand.Rand, n, count int) {
	t.Helper()
	w, y, out := random[float32](r, n, count), dominated(r, n), New[float32](n, n)
	f := NewByteForms(n, count)
	for first := 0; first < count; {
		cols := min(byteGroup*(1+r.IntN(4)), count-first)
		f.Set(first, w.View(0, first, n, cols))
		first += cols
	}
	for i := range n {
		for j := range i {
			y.Set(j, i, float32(math.NaN())) // what is above the diagonal must not matter
		}
	}
	f.Apply(0.5, y, out)
	points, triangle := roundedPoints(w), roundedTriangle(y)
	want, bound := New[float64](n, n), New[float64](n, n)
	for first := 0; first < count; first += bytePoints {
		block := points.View(0, first, n, min(bytePoints, count-first))
		q, steps, most := make([]float64, block.Cols), make([]float64, block.Cols), 0.0
		for p := range q {
			for i := range n {
				steps[p] = max(steps[p], math.Abs(block.At(i, p))/127)
				for j := range i + 1 {
					q[p] += block.At(i, p) * block.At(j, p) * triangle.At(i, j)
				}
			}
			most = max(most, math.Abs(q[p])*steps[p]*steps[p])
		}
		for p := range q {
			for i := range n {
				for j := range n {
					want.Data[i*n+j] += q[p] / 2 * block.At(i, p) * block.At(j, p)
					if steps[p] > 0 {
						bound.Data[i*n+j] += most / 2 * max(math.Abs(block.At(i, p)), math.Abs(block.At(j, p))) / steps[p] * 0.5002
					}
				}
			}
		}
	}
	for i, v := range out.Data {
		if d := math.Abs(float64(v) - want.Data[i]); !(d <= bound.Data[i]) {
			t.Fatalf("n=%d, %d points: element %d is %g, want %g, off by %g of the bound", n, count, i, v, want.Data[i], d/bound.Data[i])
		}
	}
}

// roundedPoints returns the points in steps of 1/127 of their largest number.
func roundedPoints(w Matrix[float32]) Matrix[float64] {
	out := New[float64](w.Rows, w.Cols)
	for p := range w.Cols {
		most := 0.0
		for i := range w.Rows {
			most = max(most, math.Abs(float64(w.At(i, p))))
		}
		for i := range w.Rows {
			out.Set(i, p, math.RoundToEven(float64(w.At(i, p))/most*127)*most/127)
		}
	}
	return out
}

// roundedTriangle returns the triangle that stands for a matrix in steps of 1/127 of the largest number of formRows rows.
func roundedTriangle(y Matrix[float32]) Matrix[float64] {
	out := New[float64](y.Rows, y.Rows)
	for first := 0; first < y.Rows; first += formRows {
		most := 0.0
		for _, round := range []bool{false, true} {
			for i := first; i < min(first+formRows, y.Rows); i++ {
				for j := range i + 1 {
					v := float64(y.At(i, j))
					if j < i {
						v *= 2
					}
					if !round {
						most = max(most, math.Abs(v))
						continue
					}
					out.Set(i, j, math.RoundToEven(v/most*127)*most/127)
				}
			}
		}
	}
	return out
}

// TestByteFormsPaths: other kernels have none, sums allocate nothing, zeros give zero, and what does not fit is refused.
func TestByteFormsPaths(t *testing.T) {
	onPaths(t, func() {
		f := NewByteForms(5, 100)
		if (f != nil) != hasQuads() {
			t.Fatalf("%v: %v", active, f)
		}
		if f == nil {
			return
		}
		y, out := New[float32](5, 5), New[float32](5, 5)
		if a := allocs.PerRun(10, func() { f.Apply(1, y, out) }); a > 0 {
			t.Errorf("%v allocations", a)
		}
		for _, v := range out.Data {
			if v != 0 {
				t.Fatalf("zeros give %g", v)
			}
		}
		y.Set(3, 2, float32(math.NaN()))
		f.Set(0, random[float32](rand.New(rand.NewPCG(1, 2)), 5, 100))
		if f.Apply(1, y, out); out.At(0, 0) == out.At(0, 0) {
			t.Errorf("NaN gives %g", out.At(0, 0))
		}
		refused(t, map[string]func(){
			"no points":      func() { NewByteForms(5, 0) },
			"rows":           func() { f.Set(0, New[float32](4, 2)) },
			"beyond":         func() { f.Set(64, New[float32](5, 40)) },
			"within a group": func() { f.Set(32, New[float32](5, 4)) },
			"wrong shape":    func() { f.Apply(1, New[float32](4, 4), out) },
		})
	})
}

func BenchmarkByteForms(b *testing.B) {
	for _, n := range []int{50, 100, 200} {
		count := 3 * n * (n + 1) / 2
		f := NewByteForms(n, count)
		if f == nil {
			b.Skip("no VPDPBUSD")
		}
		benchmarkForms(b, f, n, count, "Gop/s")
	}
}

// TestByteFormsAcrossWorkers: sums have the same bits for any number of threads.
func TestByteFormsAcrossWorkers(t *testing.T) {
	if !hasQuads() {
		t.Skip("no VPDPBUSD")
	}
	r := rand.New(rand.NewPCG(42, 2))
	for _, size := range [][2]int{{53, 2900}, {20, 2*mostFormParts*bytePoints + 77}} {
		n, count := size[0], size[1]
		f, y, out := NewByteForms(n, count), dominated(r, n), New[float32](n, n)
		f.Set(0, random[float32](r, n, count))
		var want []float32
		for _, procs := range []int{1, 2, 4} {
			withProcs(procs, func() { f.Apply(1, y, out) })
			if procs == 1 {
				want = slices.Clone(out.Data)
			} else if !slices.Equal(out.Data, want) {
				t.Errorf("n=%d, GOMAXPROCS=%d: other bits", n, procs)
			}
		}
	}
}
