package dense

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// ulps returns the distance of got from want in units of the last place of want, for the element type.
func ulps[T Float](got T, want float64) float64 {
	w := T(want)
	if got == w || math.IsNaN(float64(got)) && math.IsNaN(want) {
		return 0
	}
	if math.IsInf(float64(w), 0) || math.IsInf(float64(got), 0) || math.IsNaN(float64(got)) || math.IsNaN(want) {
		return math.Inf(1)
	}
	unit := math.Nextafter(math.Abs(float64(w)), math.Inf(1)) - math.Abs(float64(w))
	if is32[T]() {
		f := float32(math.Abs(float64(w)))
		unit = float64(math.Nextafter32(f, float32(math.Inf(1)))) - float64(f)
	}
	return math.Abs(float64(got)-want) / unit
}

func is32[T Float]() bool { return T(1)+T(1e-10) == 1 }

var specials = []float64{0, math.Copysign(0, -1), 5e-324, 1e-310, 0x1p-1022, 1e-40, 0x1p-126, 1e-20, 0.5, math.Sqrt2 / 2, math.Nextafter(1, 0), 1,
	math.Nextafter(1, 2), math.Sqrt2, 2, 88, 88.8, 100, 709, 709.8, 710, 745, 746, 750, 1e10, 1e30, 3e38, 1e300, math.MaxFloat64, math.Inf(1), math.NaN()}

func TestElementwise(t *testing.T) {
	onPaths(t, func() {
		testElementwise[float64](t)
		testElementwise[float32](t)
	})
}

func testElementwise[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	var x []T
	for _, v := range specials {
		x = append(x, T(v), T(-v))
	}
	for len(x) < 20000 {
		x = append(x, T(rng.NormFloat64()), T(300*rng.NormFloat64()), T(math.Exp(rng.NormFloat64())), T(math.Exp(200*rng.NormFloat64())),
			T(math.Exp(1e-3*rng.NormFloat64())))
	}
	dst := make([]T, len(x))
	check := func(name string, limit func(float64) float64, f func(float64) float64) {
		t.Helper()
		for i, v := range x {
			if u := ulps(dst[i], f(float64(v))); u > 0 && !(u <= limit(float64(v))) {
				t.Fatalf("%v %T: %s(%v) = %v, math gives %v (%.2f ulp)", active, v, name, v, dst[i], f(float64(v)), u)
			}
		}
	}
	two := func(float64) float64 { return 2 }
	Exp(dst, x)
	check("Exp", two, math.Exp)
	Log(dst, x)
	check("Log", two, logOf)
	Sqrt(dst, x)
	check("Sqrt", func(float64) float64 { return 0.5 }, math.Sqrt)
	for _, p := range []float64{0, 1, 0.5, -1, -0.25, 2, 1.0 / 3, -0.5, 7.3, -1e-5, 1000, -1e6, 1e300, math.Inf(1)} {
		Pow(dst, x, p)
		// math.Pow is itself off by several ulp, more for large powers and results; TestElementwiseExact has the bound.
		limit := func(v float64) float64 { return 10 + math.Abs(p)*(1+2*math.Abs(logOf(math.Abs(v)))) }
		check(fmt.Sprintf("Pow %g", p), limit, func(v float64) float64 {
			switch {
			case p == 1:
				return v
			case v < 0 && p != 0:
				return math.NaN()
			}
			return powOf(math.Abs(v), p)
		})
	}
	for n := range 40 {
		guarded := make([]T, n+2)
		guarded[0], guarded[n+1] = 77, 77
		Exp(guarded[1:n+1], x[100:100+n])
		for i := range n {
			if u := ulps(guarded[i+1], math.Exp(float64(x[100+i]))); !(u <= 2) {
				t.Fatalf("%v %T: length %d: element %d is wrong", active, x[0], n, i)
			}
		}
		if guarded[0] != 77 || guarded[n+1] != 77 {
			t.Fatalf("%v %T: length %d: wrote outside", active, x[0], n)
		}
	}
}

// exactExp returns exp(x) to far more than float64 precision, by its series after halving.
func exactExp(x *big.Float) *big.Float {
	const prec, halvings = 240, 20
	r := new(big.Float).SetPrec(prec).SetMantExp(x, -halvings)
	sum, term := big.NewFloat(1).SetPrec(prec), big.NewFloat(1).SetPrec(prec)
	for k := 1; k < 40; k++ {
		term.Quo(term.Mul(term, r), big.NewFloat(float64(k)))
		sum.Add(sum, term)
	}
	for range halvings {
		sum.Mul(sum, sum)
	}
	return sum
}

// exactLog returns log(x) by Newton's iteration on exactExp.
func exactLog(x float64) *big.Float {
	want := new(big.Float).SetPrec(240).SetFloat64(x)
	y := new(big.Float).SetPrec(240).SetFloat64(math.Log(x))
	for range 4 {
		e := exactExp(new(big.Float).SetPrec(240).Neg(y))
		y.Add(y, e.Sub(e.Mul(e, want), big.NewFloat(1)))
	}
	return y
}

// bigUlps is ulps against an exact value.
func bigUlps(got float64, want *big.Float) float64 {
	w, _ := want.Float64()
	d := new(big.Float).SetPrec(240).Sub(want, new(big.Float).SetFloat64(got))
	f, _ := d.Float64()
	return math.Abs(f) / (math.Nextafter(math.Abs(w), math.Inf(1)) - math.Abs(w))
}

// The stated error bounds, against exact values.
func TestElementwiseExact(t *testing.T) {
	onPaths(t, func() {
		if !powKernel([]float64{1}, []float64{0}, 2) {
			return // package math's own errors
		}
		rng := rand.New(rand.NewPCG(23, 22))
		const count = 100
		for _, spread := range []float64{1e-3, 0.3, 3, 200} {
			x, e, l := make([]float64, count), make([]float64, count), make([]float64, count)
			for i := range x {
				x[i] = spread * rng.NormFloat64()
			}
			pos := make([]float64, count)
			for i := range x {
				pos[i] = math.Exp(x[i])
			}
			Exp(e, x)
			Log(l, pos)
			var we, wl, wp float64
			for i := range x {
				we = max(we, bigUlps(e[i], exactExp(new(big.Float).SetFloat64(x[i]))))
				wl = max(wl, bigUlps(l[i], exactLog(pos[i])))
			}
			for _, p := range []float64{-0.25, 0.37, 2, 3, -11} {
				if math.Abs(p)*spread > 150 {
					continue
				}
				got := make([]float64, count)
				Pow(got, pos, p)
				for i := range x {
					y := exactLog(pos[i])
					y.Mul(y, new(big.Float).SetFloat64(p))
					wp = max(wp, bigUlps(got[i], exactExp(y)))
				}
			}
			t.Logf("%v spread %g: worst errors in ulp: exp %.3f log %.3f pow %.3f", active, spread, we, wl, wp)
			if we > 1 || wl > 1 || wp > 1.5 {
				t.Errorf("%v spread %g: worst errors in ulp: exp %.3f log %.3f pow %.3f", active, spread, we, wl, wp)
			}
		}
	})
}

func BenchmarkElementwise(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n = 4096
	x, y := make([]float64, n), make([]float64, n)
	x32, y32 := make([]float32, n), make([]float32, n)
	for i := range x {
		x[i] = math.Exp(rng.NormFloat64())
		x32[i] = float32(x[i])
	}
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"exp/f64", func() { Exp(y, x) }}, {"exp/f32", func() { Exp(y32, x32) }},
		{"log/f64", func() { Log(y, x) }}, {"log/f32", func() { Log(y32, x32) }},
		{"pow/f64", func() { Pow(y, x, -0.25) }}, {"pow/f32", func() { Pow(y32, x32, -0.25) }},
		{"sqrt/f64", func() { Sqrt(y, x) }}, {"sqrt/f32", func() { Sqrt(y32, x32) }},
		{"mathexp/f64", func() {
			for i, v := range x {
				y[i] = math.Exp(v)
			}
		}},
		{"mathlog/f64", func() {
			for i, v := range x {
				y[i] = math.Log(v)
			}
		}},
		{"mathpow/f64", func() {
			for i, v := range x {
				y[i] = math.Pow(v, -0.25)
			}
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportMetric(1e9*bestSeconds(b, 40*n, c.f)/n, "best-cpu-ns/elem")
		})
	}
}

// Blend and Multiply round every product and the sum, whatever the path and the length, and may write to what they read.
func TestBlendAndMultiply(t *testing.T) {
	onPaths(t, func() {
		testBlendAndMultiply[float64](t)
		testBlendAndMultiply[float32](t)
	})
}

func testBlendAndMultiply[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(24, 22))
	for n := range 70 {
		x, z, y := random[T](rng, 1, n+1).Data, random[T](rng, 1, n+1).Data, make([]T, n+1)
		const a, b = 0.3, -1.7
		sum, product := make([]T, n+1), make([]T, n+1)
		for i := range n {
			p, q := T(a)*x[i], T(b)*z[i]
			sum[i], product[i] = T(p)+T(q), x[i]*z[i]
		}
		sum[n], product[n] = 7, 7
		check := func(what string, got, want []T) {
			t.Helper()
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("%v %T, %d elements, %s: element %d is %v, want %v", active, got[0], n, what, i, got[i], want[i])
				}
			}
		}
		y[n] = 7
		Blend(a, x[:n], b, z[:n], y[:n])
		check("blend", y, sum)
		Multiply(x[:n], z[:n], y[:n])
		check("product", y, product)
		copy(y, z[:n])
		Blend(a, x[:n], b, y[:n], y[:n])
		check("blend in place", y, sum)
		copy(y, x[:n])
		Multiply(y[:n], z[:n], y[:n])
		check("product in place", y, product)
	}
}

// TestRows: RowDots and ScaleRows have the bits of Dot and Scale on the rows, at every length and between other columns.
func TestRows(t *testing.T) {
	onPaths(t, func() {
		testRows[float64](t)
		testRows[float32](t)
	})
}

func testRows[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(33, 34))
	normals := func(rows, cols int) Matrix[T] {
		m := New[T](rows, cols)
		for i := range m.Data {
			m.Data[i] = T(rng.NormFloat64())
		}
		return m
	}
	for _, rows := range []int{0, 1, 5} {
		for cols := range 70 {
			a, b, to := normals(rows, cols+3), normals(rows, cols+1), normals(rows, cols+2)
			x, y, dst, before := a.View(0, 2, rows, cols), b.View(0, 0, rows, cols), to.View(0, 1, rows, cols), to.Clone()
			dots := make([]T, rows)
			RowDots(x, y, dots)
			ScaleRows(dots, x, dst)
			for i, got := range dots {
				if want := Dot(x.Row(i), y.Row(i)); got != want {
					t.Fatalf("%v %T: %d columns, row %d: RowDots gives %v, Dot %v", active, got, cols, i, got, want)
				}
				for j, v := range dst.Row(i) {
					if want := got * x.At(i, j); v != want {
						t.Fatalf("%v %T: %d columns, element (%d,%d): ScaleRows gives %v, want %v", active, got, cols, i, j, v, want)
					}
				}
				if to.At(i, 0) != before.At(i, 0) || to.At(i, cols+1) != before.At(i, cols+1) {
					t.Fatalf("%v %T: %d columns: ScaleRows wrote beside the row", active, got, cols)
				}
			}
		}
	}
}
