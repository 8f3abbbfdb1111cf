package dense

import (
	"math"
	"math/rand/v2"
	"testing"
)

// spectrum returns n positive eigenvalues with ties and near ties, as s = sqrt(d) and r = 1/s.
func spectrum[T Float](rng *rand.Rand, n int) (d, s, r []T) {
	d, s, r = make([]T, n), make([]T, n), make([]T, n)
	for i := range d {
		d[i] = T(math.Exp(4 * rng.NormFloat64()))
		if i > 0 && rng.IntN(4) == 0 {
			d[i] = d[i-1] * T(1+1e-6*float64(rng.IntN(2)))
		}
		s[i] = T(math.Sqrt(float64(d[i])))
		r[i] = 1 / s[i]
	}
	return d, s, r
}

func symmetric[T Float](rng *rand.Rand, n int) Matrix[T] {
	m := random[T](rng, n, n)
	Mirror(m)
	return m
}

func TestBoundedAngle(t *testing.T) {
	onPaths(t, func() {
		testBoundedAngle[float64](t, 1e-14)
		testBoundedAngle[float32](t, 3e-6)
	})
}

func testBoundedAngle[T Float](t *testing.T, tol float64) {
	rng := rand.New(rand.NewPCG(11, 12))
	for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 40, 70} {
		_, s, r := spectrum[T](rng, n)
		tm, x := symmetric[T](rng, n), make([]T, n)
		for i := range n {
			x[i] = tm.At(i, i) * r[i] * r[i] / 100
			if i > 0 && s[i] == s[i-1] {
				x[i] = x[i-1]
			}
			for j := range i {
				tm.Set(i, j, T(math.NaN())) // only the upper triangle is read
			}
		}
		got := New[T](n, n)
		BoundedAngle(s, r, x, tm, got)
		for i := range n {
			if got.At(i, i) != 0 {
				t.Fatalf("%v n=%d: diagonal element %d is %v", active, n, i, got.At(i, i))
			}
			for j := i + 1; j < n; j++ {
				X := float64(tm.At(i, j)) * float64(r[i]*r[j])
				phi := float64(s[j]*r[i]-s[i]*r[j]) + float64(x[j]-x[i])
				want := math.Tan(math.Atan2(2*X, math.Abs(phi)) / 4)
				if phi < 0 {
					want = -want
				}
				scale := 1 + 1/math.Max(math.Abs(phi), 1e-30)*math.Abs(float64(s[j]*r[i]))*0.3
				if d := math.Abs(float64(got.At(i, j)) - want); !(d <= tol*scale) {
					t.Fatalf("%v n=%d (%d,%d): %v, want %v (X %g, phi %g)", active, n, i, j, got.At(i, j), want, X, phi)
				}
				if got.At(j, i) != -got.At(i, j) {
					t.Fatalf("%v n=%d (%d,%d): not skew", active, n, i, j)
				}
				if !(math.Abs(float64(got.At(i, j))) <= math.Sqrt2-1+1e-7) {
					t.Fatalf("%v n=%d (%d,%d): %v is not bounded", active, n, i, j, got.At(i, j))
				}
			}
		}
		inPlace := tm.Clone()
		BoundedAngle(s, r, x, inPlace, inPlace)
		if d := maxDifference(inPlace, got); d != 0 {
			t.Fatalf("%v n=%d: in place differs by %g", active, n, d)
		}
	}
}

// The published rule, and its ties.
func TestFirstOrderAngle(t *testing.T) {
	onPaths(t, func() {
		rng := rand.New(rand.NewPCG(13, 12))
		for _, n := range []int{1, 2, 5, 8, 9, 17, 40} {
			d, s, r := spectrum[float64](rng, n)
			tm, got := symmetric[float64](rng, n), New[float64](n, n)
			FirstOrderAngle(s, r, tm, got)
			for i := range n {
				for j := range n {
					if i == j || d[i] == d[j] {
						if got.At(i, j) != 0 {
							t.Fatalf("%v n=%d (%d,%d): tie gives %v", active, n, i, j, got.At(i, j))
						}
						continue
					}
					want := tm.At(min(i, j), max(i, j)) / (2 * (d[j] - d[i]))
					rel := 1e-15 * (d[i] + d[j]) / math.Abs(d[i]-d[j]) * 8
					if e := math.Abs(got.At(i, j)-want) / math.Abs(want); !(e <= rel) {
						t.Fatalf("%v n=%d (%d,%d): %v, want %v", active, n, i, j, got.At(i, j), want)
					}
				}
			}
		}
	})
}

// Extreme arguments keep the result bounded, of the right sign, and finite; NaN stays NaN.
func TestBoundedAngleExtremes(t *testing.T) {
	onPaths(t, func() {
		values := []float64{0, 5e-324, 1e-300, 1e-170, 1e-8, 1, 1e8, 1e170, 1e300, math.MaxFloat64, math.Inf(1)}
		for _, tv := range values {
			for _, xv := range values[:len(values)-1] {
				for _, sign := range []float64{1, -1} {
					s := []float64{1, 1}
					tm := Wrap(2, 2, []float64{0, sign * tv, 0, 0})
					n := New[float64](2, 2)
					BoundedAngle(s, s, []float64{0, xv}, tm, n)
					got := sign * n.At(0, 1)
					switch {
					case !(got >= 0 && got <= 0.41421356237309515):
						t.Errorf("%v t=%g x=%g: %g", active, sign*tv, xv, n.At(0, 1))
					case xv == 0 && tv >= 1e-300 && math.Abs(got-(math.Sqrt2-1)) > 1e-15:
						t.Errorf("%v t=%g: a tie gives %g", active, tv, got)
					case tv == 0 && got != 0:
						t.Errorf("%v t=0 x=%g: %g", active, xv, got)
					}
				}
			}
		}
		tm, n := Wrap(2, 2, []float64{0, math.NaN(), 0, 0}), New[float64](2, 2)
		BoundedAngle([]float64{1, 2}, []float64{1, 0.5}, []float64{0, 0}, tm, n)
		if !math.IsNaN(n.At(0, 1)) {
			t.Errorf("%v: NaN became %g", active, n.At(0, 1))
		}
	})
}

func TestNormBound(t *testing.T) {
	onPaths(t, func() {
		rng := rand.New(rand.NewPCG(15, 12))
		for n := 1; n < 80; n++ {
			m := skew[float64](rng, n, 1)
			var fro, one float64
			for i := range n {
				var row float64
				for _, v := range m.Row(i) {
					fro += v * v
					row += math.Abs(v)
				}
				one = math.Max(one, row)
			}
			want := math.Min(math.Sqrt(fro), one)
			if got := NormBound(m); math.Abs(got-want) > 1e-13*want {
				t.Fatalf("%v n=%d: %g, want %g", active, n, got, want)
			}
			m.Set(n/2, 0, math.NaN())
			if got := NormBound(m); !math.IsNaN(got) {
				t.Fatalf("%v n=%d: NaN gives %g", active, n, got)
			}
		}
	})
}

// TestNormsOfTinyAndHuge: the bound and the estimate scale with the matrix where squares of its elements are out of range, to the precision that its elements have
// there.
func TestNormsOfTinyAndHuge(t *testing.T) {
	onPaths(t, func() {
		testNormScales[float64](t, 1e-13, 0x1p-400, 0x1p-460, 0x1p-800, 0x1p-1000)
		testNormScales[float64](t, 1e-3, 0x1p-1060)
		testNormScales[float32](t, 1e-5, 0x1p-30, 0x1p-45, 0x1p-64, 0x1p-100, 0x1p+20)
		testNormScales[float32](t, 1e-2, 0x1p-140)
	})
}

func testNormScales[T Float](t *testing.T, tol float64, scales ...float64) {
	for _, n := range []int{1, 2, 7, 40} {
		m, work := skew[T](rand.New(rand.NewPCG(16, uint64(n))), n, 1), make([]T, 2*n)
		if n == 1 {
			m.Set(0, 0, 2) // symmetric
		}
		bound, estimate := NormBound(m), NormEstimate(m, work)
		for _, c := range scales {
			x := m.Clone()
			for i, v := range m.Data {
				x.Data[i] = T(c * float64(v))
			}
			if got := NormBound(x) / c; !(math.Abs(got-bound) <= tol*bound) {
				t.Errorf("%v n=%d scale %g: bound %g, want %g", active, n, c, got, bound)
			}
			if got := NormEstimate(x, work) / c; !(math.Abs(got-estimate) <= 10*tol*estimate) {
				t.Errorf("%v n=%d scale %g: estimate %g, want %g", active, n, c, got, estimate)
			}
		}
	}
}

func TestMirror(t *testing.T) {
	onPaths(t, func() {
		testMirror[float64](t)
		testMirror[float32](t)
	})
}

func testMirror[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 12))
	for n := 1; n < 80; n++ {
		big := random[T](rng, n+3, n+5)
		c := big.View(1, 2, n, n)
		before, skewed := big.Clone(), big.Clone()
		Mirror(c)
		MirrorSkew(skewed.View(1, 2, n, n))
		for i := range big.Rows {
			for j := range big.Cols {
				want, anti := before.At(i, j), before.At(i, j)
				if r, q := i-1, j-2; r >= 0 && r < n && q >= 0 && q < n && q <= r {
					want, anti = before.At(q+1, r+2), -before.At(q+1, r+2)
					if q == r {
						anti = 0
					}
				}
				if big.At(i, j) != want || skewed.At(i, j) != anti {
					t.Fatalf("%v %T n=%d (%d,%d): %v and %v, want %v and %v", active, want, n, i, j, big.At(i, j), skewed.At(i, j), want, anti)
				}
			}
		}
		m := 1 + rng.IntN(80)
		src, dst := random[T](rng, m, n), New[T](n, m)
		Transpose(dst, src)
		for i := range m {
			for j := range n {
				if dst.At(j, i) != src.At(i, j) {
					t.Fatalf("%v %T %dx%d: Transpose is wrong at (%d,%d)", active, src.At(0, 0), m, n, i, j)
				}
			}
		}
	}
}
