package dense

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestSymv(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for n := range 71 {
		const guard = 1e300
		a := New[float64](n, n+3)
		for i := range a.Data {
			a.Data[i] = math.NaN() // below the diagonal and right of the matrix nothing may be read
		}
		for i := range n {
			for j := i; j < n; j++ {
				a.Set(i, j, rng.NormFloat64())
			}
		}
		x, want := make([]float64, n), make([]float64, n)
		for i := range x {
			x[i] = rng.NormFloat64()
		}
		for i := range want {
			for j := range x {
				want[i] += a.At(min(i, j), max(i, j)) * x[j]
			}
		}
		a = a.View(0, 0, n, n)
		var vectors []float64
		onPaths(t, func() {
			buf := make([]float64, n+8)
			for i := range buf {
				buf[i] = guard
			}
			y := buf[:n:n]
			Symv(a, x, y)
			for i, v := range y {
				if !(math.Abs(v-want[i]) < 1e-13) {
					t.Fatalf("%v, n = %d: y[%d] = %g, want %g", active, n, i, v, want[i])
				}
			}
			for _, v := range buf[n:] {
				if v != guard {
					t.Fatalf("%v, n = %d: writes beyond y", active, n)
				}
			}
			sameBits(t, &vectors, y)
		})
	}
}

func TestRankTwoSymv(t *testing.T) {
	for n := range 71 {
		rng := rand.New(rand.NewPCG(uint64(n), 8))
		whole := random[float64](rng, n+2, n+5)
		v, w, x := random[float64](rng, 1, n).Data, random[float64](rng, 1, n).Data, random[float64](rng, 1, n).Data
		updated := whole.Clone()
		inner := func(m Matrix[float64]) Matrix[float64] {
			return Matrix[float64]{Rows: n, Cols: n, Stride: n + 5, Data: m.Data[n+7:]}
		}
		for i := range n {
			for j := i; j < n; j++ {
				u := inner(updated)
				u.Set(i, j, u.At(i, j)-v[i]*w[j]-w[i]*v[j])
			}
		}
		want := make([]float64, n)
		Symv(inner(updated), x, want)
		var bits []float64
		onPaths(t, func() {
			got, y := whole.Clone(), make([]float64, n)
			RankTwoSymv(inner(got), v, w, x, y)
			for i, u := range updated.Data {
				if math.Abs(got.Data[i]-u) > 1e-14 {
					t.Fatalf("%v, n = %d: element %d of the matrix is %g, want %g", active, n, i, got.Data[i], u)
				}
			}
			for i, u := range want {
				if math.Abs(y[i]-u) > 1e-12 {
					t.Fatalf("%v, n = %d: y[%d] = %g, want %g", active, n, i, y[i], u)
				}
			}
			sameBits(t, &bits, append(y, got.Data...))
		})
	}
}

func TestRankTwoTrailing(t *testing.T) {
	for n := 1; n < 71; n++ {
		rng := rand.New(rand.NewPCG(uint64(n), 10))
		cols := (n + TrailingLanes - 1) / TrailingLanes * TrailingLanes
		whole := random[float64](rng, n, cols+3)
		v, w, x := random[float64](rng, 1, cols).Data, random[float64](rng, 1, cols).Data, random[float64](rng, 1, cols).Data
		for _, first := range []int{0, n / 3, n / 2, n - 1} {
			from := first / TrailingLanes * TrailingLanes
			want, sum := whole.Clone(), make([]float64, cols)
			for i := first; i < n; i++ {
				for j := from; j < cols; j++ {
					want.Set(i, j, want.At(i, j)-v[i]*w[j]-w[i]*v[j])
					sum[j] += want.At(i, j) * x[i]
				}
			}
			var bits []float64
			onPaths(t, func() {
				got, y := whole.Clone(), make([]float64, cols)
				RankTwoTrailing(got.View(0, 0, n, cols), first, v, w, x, y)
				for i, u := range want.Data {
					if math.Abs(got.Data[i]-u) > 1e-14 {
						t.Fatalf("%v, n = %d from %d: element %d of the matrix is %g, want %g", active, n, first, i, got.Data[i], u)
					}
				}
				for i, u := range sum {
					if math.Abs(y[i]-u) > 1e-12 {
						t.Fatalf("%v, n = %d from %d: y[%d] = %g, want %g", active, n, first, i, y[i], u)
					}
				}
				sameBits(t, &bits, append(y, got.Data...))
			})
		}
	}
}

// The shares of ranges of rows add up to the product, and the ranges update the rows of the triangle with the bits of the whole.
func TestSymvRows(t *testing.T) {
	for _, n := range []int{1, 4, 7, 40, 61} {
		rng := rand.New(rand.NewPCG(uint64(n), 9))
		a, v, w, x := random[float64](rng, n, n), random[float64](rng, 1, n).Data, random[float64](rng, 1, n).Data, random[float64](rng, 1, n).Data
		whole, wholeTwo, plain, two := a.Clone(), a.Clone(), make([]float64, n), make([]float64, n)
		Symv(whole, x, plain)
		RankTwoSymv(wholeTwo, v, w, x, two)
		for _, cut := range []int{0, 4, n / 8 * 4, n / 4 * 4} {
			if cut > n {
				continue
			}
			check := func(name string, v, w, want []float64, updated Matrix[float64]) {
				b, y, rest := a.Clone(), make([]float64, n), make([]float64, n-cut)
				SymvRows(b, 0, cut, v, w, x, y)
				SymvRows(b, cut, n, v, w, x, rest)
				Axpy(1, rest, y[cut:])
				for i := range y {
					if math.Abs(y[i]-want[i]) > 1e-12 {
						t.Fatalf("%s, n = %d, cut at %d: y[%d] = %g, want %g", name, n, cut, i, y[i], want[i])
					}
				}
				if !slices.Equal(b.Data, updated.Data) {
					t.Fatalf("%s, n = %d, cut at %d: the matrix has other bits", name, n, cut)
				}
			}
			check("Symv", nil, nil, plain, whole)
			check("RankTwoSymv", v, w, two, wholeTwo)
		}
	}
}

// sameBits checks that the vector paths agree bit for bit; the portable path only agrees to rounding.
func sameBits(t *testing.T, first *[]float64, got []float64) {
	t.Helper()
	switch {
	case active == portable:
	case *first == nil:
		*first = slices.Clone(got)
	case !slices.Equal(*first, got):
		t.Fatalf("paths differ: %v and %v", *first, got)
	}
}

func TestPoles(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 5))
		n := 1 + rng.IntN(40)
		d, z := make([]float64, n), make([]float64, n)
		for i := range d {
			d[i], z[i] = rng.NormFloat64(), rng.Float64()
		}
		origin, tau := d[0], 0.01*rng.NormFloat64()
		padded := (n + PoleLanes - 1) / PoleLanes * PoleLanes
		dp, zp := append(slices.Clone(d), make([]float64, padded-n)...), append(slices.Clone(z), make([]float64, padded-n)...)
		for i := n; i < padded; i++ {
			dp[i] = 100
		}
		rows := make([]float64, 4*n)
		for i := range rows {
			rows[i] = rng.NormFloat64()
		}
		dj := [4]float64{3, 4, 5, 6}
		want := poleSumsPortable(d, z, origin, tau)
		wantQ := slices.Clone(rows[:n])
		wantSum := poleQuotientsPortable(z, wantQ)
		wantW := slices.Clone(z)
		poleWeightsPortable(wantW, d, rows, n, &dj)
		var bits []float64
		onPaths(t, func() {
			s := PoleSums(dp, zp, origin, tau)
			q, w := slices.Clone(rows[:n]), slices.Clone(z)
			sum := PoleQuotients(z, q)
			PoleWeights(w, d, rows, n, &dj)
			got := []float64{s.Sum, s.Abs, s.First, s.Second, sum}
			largest := math.Sqrt(want.First / slices.Min(z)) // bounds every 1/|x|
			for i, v := range []float64{want.Sum, want.Abs, want.First, want.Second, wantSum} {
				scale := []float64{want.Abs, want.Abs, want.First, want.First * largest, wantSum}[i]
				if !(math.Abs(got[i]-v) <= 1e-14*scale) {
					t.Errorf("seed %d, %v: total %d is %g, want %g", seed, active, i, got[i], v)
				}
			}
			if !slices.Equal(q, wantQ) || !slices.Equal(w, wantW) {
				t.Errorf("seed %d, %v: quotients or weights differ from the scalar loop", seed, active)
			}
			sameBits(t, &bits, got)
		})
	}
}

func TestRotateRows(t *testing.T) {
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 6))
		rows, cols := 1+rng.IntN(12), 1+rng.IntN(72)
		whole := random[float64](rng, rows+2, cols+5)
		inner := func(m Matrix[float64]) Matrix[float64] { return m.View(1, 2, rows, cols) }
		c, s := make([]float64, rows-1), make([]float64, rows-1)
		for i := range c {
			s[i], c[i] = math.Sincos(rng.Float64() * 7)
		}
		want := whole.Clone()
		rotateRowsFused(inner(want), c, s)
		onPaths(t, func() {
			got := whole.Clone()
			RotateRows(inner(got), c, s)
			for i, v := range want.Data {
				if got.Data[i] != v && (active != portable || math.Abs(got.Data[i]-v) > 1e-14) {
					t.Fatalf("seed %d, %v, %dx%d: element %d is %g, want %g", seed, active, rows, cols, i, got.Data[i], v)
				}
			}
		})
	}
}

// rotateRowsFused is RotateRows with the roundings of the vector kernels.
func rotateRowsFused(a Matrix[float64], c, s []float64) {
	for i := len(c) - 1; i >= 0; i-- {
		x, y := a.Row(i), a.Row(i+1)
		for j, xj := range x {
			yj := y[j]
			y[j] = math.FMA(s[i], xj, c[i]*yj)
			x[j] = math.FMA(-s[i], yj, c[i]*xj)
		}
	}
}
