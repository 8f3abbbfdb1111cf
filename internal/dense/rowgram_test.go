package dense

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
)

// TestRowGram holds sums of all small shapes, and of some that are completed in between, to the error of their chains, with and without rows to spare.
func TestRowGram(t *testing.T) {
	onPaths(t, func() {
		r := rand.New(rand.NewPCG(43, 1))
		rowGram[float64](t, r, 0x1p-53)
		rowGram[float32](t, r, 0x1p-24)
	})
}

func rowGram[T Float](t *testing.T, r *rand.Rand, unit float64) {
	for _, n := range []int{1, 2, 4, 5, 6, 9, 10, 23, 31} {
		for _, cols := range [][]int{{1}, {3, 8}, {16}, {17, 33, 0, 40}, {5000, 4000, 7}} {
			g, want, most, total := NewRowGram[T](n), New[float64](n, n), New[float64](n, n), 0
			for round := range 2 { // moved away, a sum starts at zero
				want.Zero()
				most.Zero()
				for i, k := range cols {
					total = max(total, k)
					all := random[T](r, RowGramRows(n), k+i)
					for x := n * all.Stride; x < len(all.Data); x++ {
						all.Data[x] = T(math.NaN())
					}
					w := all.View(0, i, n, k)
					if round == 1 {
						w = w.Clone()
					}
					g.Add(w)
					addGram(want, most, w)
				}
				got := New[float64](n, n)
				g.AddTo(got)
				mirrorLower(got)
				for i, v := range got.Data {
					if d := math.Abs(v - want.Data[i]); !(d <= float64(total+20)*unit*most.Data[i]) {
						t.Fatalf("%d rows, columns %v: element %d is %g, want %g", n, cols, i, v, want.Data[i])
					}
				}
			}
		}
	}
}

// addGram adds w w' to sum, and the same of absolute values to most.
func addGram[T Float](sum, most Matrix[float64], w Matrix[T]) {
	for a := range w.Rows {
		for b := range w.Rows {
			var s, m float64
			other := w.Row(b)
			for c, x := range w.Row(a) {
				v := float64(x) * float64(other[c])
				s += v
				m += math.Abs(v)
			}
			sum.Data[a*sum.Stride+b] += s
			most.Data[a*sum.Stride+b] += m
		}
	}
}

// mirrorLower copies the lower triangle to the upper one.
func mirrorLower(a Matrix[float64]) {
	for i := range a.Rows {
		for j, v := range a.Row(i)[:i] {
			a.Set(j, i, v)
		}
	}
}

func TestRowGramAllocatesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(43, 2))
	g, w, dst := NewRowGram[float32](13), random[float32](r, 13, 70), New[float64](13, 13)
	if a := allocs.PerRun(10, func() {
		g.Add(w)
		g.AddTo(dst)
	}); a != 0 {
		t.Errorf("%v allocations", a)
	}
}
