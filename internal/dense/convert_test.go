package dense

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestConvert: kernels give the bits of Go's conversions, at every length and the ends of the range, and touch nothing else.
func TestConvert(t *testing.T) {
	const most = 3*convertGroup + 2
	r := rand.New(rand.NewPCG(41, 7))
	special := []float64{0, math.Copysign(0, -1), math.Inf(1), 1e300, -1e300, 0x1p-140, 0x1p-149, 0x1p-150, 0x1.8p-150, 1e-320, 0x1.000001p0, 0x1.000003p0}
	onPaths(t, func() {
		for n := range most {
			for _, alpha := range []float64{1, 0.3, 1e-30} {
				x, dst := guarded[float64](t, n, true), guarded[float32](t, n, true)
				for i := range x {
					if x[i] = math.Ldexp(r.Float64()-0.5, r.IntN(60)-30); r.IntN(4) == 0 {
						x[i] = special[r.IntN(len(special))]
					}
				}
				ScaleSingle(alpha, x, dst)
				for i, v := range x {
					if want := float32(alpha * v); math.Float32bits(dst[i]) != math.Float32bits(want) {
						t.Fatalf("n=%d: %g times %g is %g, want %g", n, alpha, v, dst[i], want)
					}
				}
				converted, scaled := make([]float32, n), make([]float64, n)
				Convert(alpha, x, converted)
				Convert(alpha, x, scaled)
				for i, v := range x {
					if math.Float32bits(converted[i]) != math.Float32bits(dst[i]) || math.Float64bits(scaled[i]) != math.Float64bits(alpha*v) {
						t.Fatalf("n=%d: %g times %g is converted to %g and %g", n, alpha, v, converted[i], scaled[i])
					}
				}
				y, sum := guarded[float32](t, n, true), guarded[float64](t, n, true)
				for i := range y {
					y[i] = float32(r.NormFloat64())
				}
				AddDouble(dst, y, sum)
				for i, v := range y {
					if want := float64(dst[i]) + float64(v); sum[i] != want {
						t.Fatalf("n=%d: %g + %g is %g, want %g", n, dst[i], v, sum[i], want)
					}
				}
			}
		}
	})
}

// TestSharedPacking: a product of a matrix with itself has the bits of one with a copy.
func TestSharedPacking(t *testing.T) {
	r := rand.New(rand.NewPCG(42, 7))
	onPaths(t, func() {
		sharedPacking[float64](t, r)
		sharedPacking[float32](t, r)
	})
}

func sharedPacking[T Float](t *testing.T, r *rand.Rand) {
	sizes := [][2]int{{97, 530}, {130, 301}, {260, 1100}}
	if slow() {
		sizes = sizes[:1]
	}
	for _, size := range sizes {
		n, k := size[0], size[1]
		for ta, a := range map[Trans]Matrix[T]{NoTrans: random[T](r, n, k+3).View(0, 2, n, k), Transposed: random[T](r, k, n+5).View(0, 3, k, n)} {
			for name, gemm := range map[string]func(ta, tb Trans, alpha T, a, b Matrix[T], beta T, c Matrix[T]){"Gemm": Gemm[T], "GemmUpper": GemmUpper[T], "GemmLower": GemmLower[T]} {
				same := random[T](r, n, n)
				other := same.Clone()
				gemm(ta, !ta, 0.5, a, a, 1, same)
				gemm(ta, !ta, 0.5, a, a.Clone(), 1, other)
				for i := range n {
					from, to := 0, n
					switch name {
					case "GemmUpper":
						from = i
					case "GemmLower":
						to = i + 1
					}
					if !slices.Equal(same.Row(i)[from:to], other.Row(i)[from:to]) {
						t.Fatalf("%s of %d x %d, transposed %v: row %d differs", name, n, k, ta, i)
					}
				}
			}
		}
	}
}

// TestToDouble: float32 and float64 as they are.
func TestToDouble(t *testing.T) {
	dst := make([]float64, 2)
	if ToDouble([]float32{0.1, -2}, dst); dst[0] != float64(float32(0.1)) || dst[1] != -2 {
		t.Errorf("float32: %v", dst)
	}
	if ToDouble([]float64{0.1, -3}, dst); dst[0] != 0.1 || dst[1] != -3 {
		t.Errorf("float64: %v", dst)
	}
	refused(t, map[string]func(){"ToDouble": func() { ToDouble([]float64{1}, dst) }})
}

// TestTrace: of the part that is square.
func TestTrace(t *testing.T) {
	if got := Wrap(2, 3, []float64{1, 2, 3, 4, 5, 6}).Trace(); got != 6 {
		t.Errorf("trace %v, want 6", got)
	}
}

// TestPartsOf: the last part may be short.
func TestPartsOf(t *testing.T) {
	for _, c := range [][3]int{{0, 4, 0}, {1, 4, 1}, {8, 4, 2}, {9, 4, 3}} {
		if got := PartsOf(c[0], c[1]); got != c[2] {
			t.Errorf("%d by %d: %d parts, want %d", c[0], c[1], got, c[2])
		}
	}
}
