package dense

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// roundedDouble returns w rounded to bfloat16, in float64.
func roundedDouble(w Matrix[float32]) Matrix[float64] {
	out := New[float64](w.Rows, w.Cols)
	for i := range w.Rows {
		for j, v := range w.Row(i) {
			out.Set(i, j, float64(Round(v).Float32()))
		}
	}
	return out
}

// withinChains holds c = a b' to the error of sums in float32.
func withinChains(t *testing.T, what string, a, b Matrix[float64], c func(i, j int) float64, columns func(i int) (first, end int)) {
	t.Helper()
	for i := range a.Rows {
		first, end := columns(i)
		for j := first; j < end; j++ {
			var want, most float64
			for k, x := range a.Row(i) {
				want += x * b.At(j, k)
				most += math.Abs(x * b.At(j, k))
			}
			if d := math.Abs(c(i, j) - want); !(d <= float64(a.Cols+20)*0x1p-24*most+1e-30) {
				t.Fatalf("%s: element (%d, %d) is %g, want %g", what, i, j, c(i, j), want)
			}
		}
	}
}

func TestRoundedLower(t *testing.T) {
	if NewRoundedLower(New[float32](1, 1)) == nil {
		t.Skip("no VDPBF16PS")
	}
	r := rand.New(rand.NewPCG(44, 1))
	for _, n := range []int{1, 2, 3, 15, 16, 17, 31, 33, 50, 100} {
		for _, rows := range []int{1, 7, 8, 65} {
			l, w, dst := random[float32](r, n, n), random[float32](r, rows, n), New[float32](rows, n)
			lower := roundedDouble(lowerOnly(l))
			for i := range n {
				for j := i + 1; j < n; j++ {
					l.Set(i, j, float32(math.NaN()))
				}
			}
			memory := slices.Repeat([]float32{float32(math.NaN())}, rows*((n+1)/2))
			NewRoundedLower(l).MulTransposed(RoundRows(w, memory), dst)
			withinChains(t, "MulTransposed", roundedDouble(w), lower, func(i, j int) float64 { return float64(dst.At(i, j)) }, func(int) (int, int) { return 0, n })
		}
	}
}

func TestRowGramRounded(t *testing.T) {
	onPaths(t, func() {
		r := rand.New(rand.NewPCG(44, 2))
		for _, n := range []int{1, 4, 5, 13} {
			for _, cols := range []int{1, 2, 31, 33, 500} {
				w, dst := random[float32](r, n, cols), New[float64](n, n)
				g := NewRowGram[float32](n)
				g.AddRounded(w)
				g.AddTo(dst)
				mirrorLower(dst)
				withinChains(t, "AddRounded", roundedDouble(w), roundedDouble(w), dst.At, func(int) (int, int) { return 0, n })
			}
		}
	})
}

// TestGemmRoundedWithItself: a product of a matrix with itself has the bits of one with a copy, and its lower triangle those of the upper.
func TestGemmRoundedWithItself(t *testing.T) {
	r := rand.New(rand.NewPCG(44, 3))
	onPaths(t, func() {
		for ta, w := range map[Trans]Matrix[float32]{NoTrans: random[float32](r, 37, 501), Transposed: random[float32](r, 501, 37)} {
			same, other, lower, upper := New[float32](37, 37), New[float32](37, 37), New[float32](37, 37), New[float32](37, 37)
			GemmRounded(ta, !ta, 1, w, w, 0, same)
			GemmRounded(ta, !ta, 1, w, w.Clone(), 0, other)
			GemmRoundedLower(ta, !ta, 1, w, w, 0, lower)
			GemmRoundedUpper(ta, !ta, 1, w, w, 0, upper)
			if !slices.Equal(same.Data, other.Data) {
				t.Error("other bits with a copy")
			}
			for i := range 37 {
				for j := range i + 1 {
					if lower.At(i, j) != same.At(i, j) || upper.At(j, i) != same.At(j, i) {
						t.Fatalf("element (%d, %d) of a triangle differs", i, j)
					}
				}
			}
		}
	})
}
