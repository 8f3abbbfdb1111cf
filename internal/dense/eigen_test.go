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
			scale := []float64{want.Abs, want.Abs, want.First, want.First * math.Sqrt(want.First/want.Abs*want.First), wantSum}
			got := []float64{s.Sum, s.Abs, s.First, s.Second, sum}
			for i, v := range []float64{want.Sum, want.Abs, want.First, want.Second, wantSum} {
				if i != 3 && !(math.Abs(got[i]-v) <= 1e-14*scale[i]) || i == 3 && !(math.Abs(got[i]-v) <= 1e-13*math.Pow(want.First, 1.5)/math.Sqrt(slices.Min(z))) {
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
