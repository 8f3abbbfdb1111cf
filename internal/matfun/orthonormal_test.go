package matfun

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// TestRows: the rows become orthonormal whatever they were, and those of a regular matrix are the rows of a lower triangular one, with a positive
// diagonal, times the result.
func TestRows(t *testing.T) {
	rows[float64](t)
	rows[float32](t)
}

func rows[T dense.Float](t *testing.T) {
	for _, n := range []int{1, 5, 32, 33, 100} {
		for _, kind := range []string{"regular", "repeated rows", "zero", "one column", "graded"} {
			r := rand.New(rand.NewPCG(uint64(n), 2))
			w := symmetric[T](n, []dense.Matrix[float64]{dense.New[float64](n, n), dense.New[float64](n, n)})
			spare := symmetric[T](n, []dense.Matrix[float64]{dense.New[float64](n, n), dense.New[float64](n, n)})
			for k := range w.Count {
				spare.At(k).Identity()
				for i := range n {
					for j := range n {
						v := T(r.NormFloat64())
						switch {
						case kind == "repeated rows" && i%3 != 0:
							v = w.At(k).At(i-i%3, j)
						case kind == "zero", kind == "one column" && j != n/2:
							v = 0
						case kind == "graded":
							v *= T(math.Pow(1e-12, float64(i)/float64(n)))
						}
						w.At(k).Set(i, j, v)
					}
				}
			}
			before := append([]T(nil), w.Data...)
			NewOrthonormal(engine.CPU[T](), nil, w.Count, n).Rows(w, spare)
			for k := range w.Count {
				old := w
				old.Data = before
				orthonormal(t, kind, w.At(k), old.At(k), kind == "regular" || kind == "graded")
			}
		}
	}
}

func orthonormal[T dense.Float](t *testing.T, kind string, w, before dense.Matrix[T], regular bool) {
	t.Helper()
	n := w.Rows
	dot := func(x, y []T) (sum float64) {
		for j, v := range x {
			sum += float64(v) * float64(y[j])
		}
		return sum
	}
	for i := range n {
		size := math.Sqrt(dot(before.Row(i), before.Row(i)))
		for j := range n {
			want := 0.0
			if i == j {
				want = 1
			}
			if d := math.Abs(dot(w.Row(i), w.Row(j)) - want); !(d <= 16*math.Sqrt(float64(n))*Eps[T]()) {
				t.Fatalf("%T, %s, n = %d: rows %d and %d: off by %.3g", w.Data[0], kind, n, i, j, d)
			}
			if l := dot(before.Row(i), w.Row(j)); regular && (j > i && !(math.Abs(l) <= 64*float64(n)*Eps[T]()*size) || j == i && !(l > 0)) {
				t.Fatalf("%T, %s, n = %d: row %d has %.3g of row %d of the result, its norm was %.3g", w.Data[0], kind, n, i, l, j, size)
			}
		}
	}
}
