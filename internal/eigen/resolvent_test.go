package eigen

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/cputime"
	"github.com/spdopt/spdopt/internal/dense"
)

var (
	someShifts  = []float64{0.02, 0.5, 1, 7, 60}
	someWeights = []float64{0.3, -1, 2, 0.5, 11}
)

// resolventsOf computes the sum from the eigendecomposition.
func resolventsOf(a dense.Matrix[float64], shift, weight []float64) (sum dense.Matrix[float64], values []float64) {
	n := a.Rows
	q, w := a.Clone(), make([]float64, n)
	Sym(q, w)
	scaled := q.Clone()
	for j, v := range w {
		var f float64
		for k, s := range shift {
			f += weight[k] / (v + s)
		}
		for i := range n {
			scaled.Set(i, j, f*q.At(i, j))
		}
	}
	sum = dense.New[float64](n, n)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, scaled, q, 0, sum)
	return sum, w
}

// definiteFamilies returns positive definite matrices of n rows whose reductions differ.
func definiteFamilies(n int, rng *rand.Rand) map[string]dense.Matrix[float64] {
	spread := func(condition float64) []float64 {
		return spectrum(n, func(i int) float64 { return math.Pow(condition, float64(i)/float64(max(n-1, 1))-0.5) })
	}
	random := func(i int) float64 { return 1 + float64(i%3) }
	return map[string]dense.Matrix[float64]{
		"condition 10":  withSpectrum(spread(10), rng),
		"condition 1e6": withSpectrum(spread(1e6), rng),
		"diagonal":      symmetric(n, func(i, j int) float64 { return float64(i+1) * float64(1-min(1, j-i)) }),
		"three values":  withSpectrum(spectrum(n, random), rng),
		"tridiagonal": symmetric(n, func(i, j int) float64 {
			return []float64{4, 1, 0}[min(2, j-i)]
		}),
		"blocks": symmetric(n, func(i, j int) float64 {
			if i/3 != j/3 {
				return 0
			}
			return 1 + 3*float64(1-min(1, j-i))
		}),
		"tiny couplings": symmetric(n, func(i, j int) float64 {
			if i == j {
				return 2
			}
			return 1e-200
		}),
	}
}

// roundingOf bounds what a backward error of a few units of rounding makes of the sum for a matrix with the eigenvalues w.
func roundingOf(w, shift, weight []float64) float64 {
	var sum float64
	for k, s := range shift {
		sum += math.Abs(weight[k]) * (w[len(w)-1] + s) / ((w[0] + s) * (w[0] + s))
	}
	return 32 * unit * sum
}

// checkSum compares the upper triangles.
func checkSum(t *testing.T, name string, got, want dense.Matrix[float64], tol float64) {
	t.Helper()
	var worst float64
	for i := range want.Rows {
		for j := i; j < want.Rows; j++ {
			if e := math.Abs(got.At(i, j) - want.At(i, j)); !(e <= worst) {
				worst = e
			}
		}
	}
	if !(worst <= tol) {
		t.Errorf("%s n=%d: off by %.3g, bound %.3g", name, want.Rows, worst, tol)
	}
}

// TestResolvents: the sums are those of the eigendecomposition, of one matrix and of four different ones side by side, and so are distances and sums over the four.
func TestResolvents(t *testing.T) {
	rng := rand.New(rand.NewPCG(51, 52))
	var r Reducer
	for _, n := range []int{1, 2, 3, 4, 5, 8, 9, 17, 18, 33, 34, 50, 67} {
		b := NewBundled(n)
		var four [4]dense.Matrix[float64]
		var names [4]string
		next := 0
		for name, a := range definiteFamilies(n, rng) {
			want, w := resolventsOf(a, someShifts, someWeights)
			u, got := a.Clone(), dense.New[float64](n, n)
			for i := range n {
				for j := range i {
					u.Set(i, j, math.NaN())
				}
			}
			r.Reduce(u)
			r.Resolvents(someShifts, someWeights, got)
			checkSum(t, name, got, want, roundingOf(w, someShifts, someWeights))
			if four[next], names[next] = a, name; next < 3 {
				next++
			}
		}
		dense.SetFour(b.Data, 0, four)
		b.Reduce()
		b.Resolvents(someShifts, someWeights)
		const c = 1.25
		var distances [4]float64
		b.Distances(c, &distances)
		weights := [4]float64{1, 0, -2, 0.5}
		var worst float64
		all, total := dense.New[float64](n, n), dense.New[float64](n, n)
		b.AddTo(&weights, all)
		for l, a := range four {
			got := dense.New[float64](n, n)
			want, w := resolventsOf(a, someShifts, someWeights)
			tol := roundingOf(w, someShifts, someWeights)
			worst += tol
			b.Data.Get(l, got)
			checkSum(t, "side by side: "+names[l], got, want, tol)
			dense.Axpy(weights[l], want.Data, total.Data)
			for i := range n {
				want.Set(i, i, want.At(i, i)-c)
			}
			if d := math.Sqrt(dense.Dot(want.Data, want.Data)); math.Abs(distances[l]-d) > 1e-14*d+float64(n)*tol {
				t.Errorf("n=%d, %s: distance %v, want %v", n, names[l], distances[l], d)
			}
		}
		checkSum(t, "sum of four", all, total, 4*worst)
	}
}

// TestWithin: bounds that hold and such that just do not are told apart, in every lane.
func TestWithin(t *testing.T) {
	rng := rand.New(rand.NewPCG(53, 54))
	for _, n := range []int{1, 2, 5, 24, 40} {
		for name, a := range definiteFamilies(n, rng) {
			_, w := resolventsOf(a, someShifts, someWeights)
			inner := symmetric(n, func(i, j int) float64 { return (w[0] + w[n-1]) / 2 * float64(1-min(1, j-i)) })
			var r Reducer
			r.Reduce(a.Clone())
			lanes := make([]*Bundled, 4)
			for l := range lanes {
				lanes[l] = NewBundled(n)
				four := [4]dense.Matrix[float64]{inner, inner, inner, inner}
				four[l] = a
				dense.SetFour(lanes[l].Data, 0, four)
				lanes[l].Reduce()
			}
			margin := 1e-13 * float64(n) * w[n-1]
			for _, c := range []struct {
				low, high float64
				want      bool
			}{
				{w[0] - margin, w[n-1] + margin, true},
				{w[0] + margin, w[n-1] + margin, false},
				{w[0] - margin, w[n-1] - margin, false},
				{w[0] - 1e3, w[n-1] + 1e3, true},
				{math.NaN(), w[n-1] + margin, false},
			} {
				if r.Within(c.low, c.high) != c.want {
					t.Errorf("%s n=%d: Within(%v, %v) is not %v", name, n, c.low, c.high, c.want)
				}
				for l, b := range lanes {
					if b.Within(c.low, c.high) != c.want {
						t.Errorf("%s n=%d lane %d: Within(%v, %v) is not %v", name, n, l, c.low, c.high, c.want)
					}
				}
			}
		}
	}
}

// TestBundledLanes: a matrix has the same sum, to the bit, in every lane, whatever the others are.
func TestBundledLanes(t *testing.T) {
	rng := rand.New(rand.NewPCG(55, 56))
	const n = 37
	var four [4]dense.Matrix[float64]
	for l := range four {
		four[l] = withSpectrum(spectrum(n, func(i int) float64 { return 0.1 + float64(i) }), rng)
	}
	b := NewBundled(n)
	var first dense.Matrix[float64]
	for l := range four {
		four[0], four[l] = four[l], four[0]
		dense.SetFour(b.Data, 0, four)
		b.Reduce()
		b.Resolvents(someShifts, someWeights)
		got := dense.New[float64](n, n)
		b.Data.Get(l, got)
		four[0], four[l] = four[l], four[0]
		if l == 0 {
			first = got
		} else if !slices.Equal(first.Data, got.Data) {
			t.Errorf("other bits in lane %d", l)
		}
	}
}

func TestResolventsAllocateNothing(t *testing.T) {
	const n = 40
	rng := rand.New(rand.NewPCG(57, 58))
	a := withSpectrum(spectrum(n, func(i int) float64 { return 1 + float64(i) }), rng)
	b, dst := NewBundled(n), dense.New[float64](n, n)
	var r Reducer
	var distances [4]float64
	once := func() {
		dst.Copy(a)
		r.Reduce(dst)
		dense.SetFour(b.Data, 0, [4]dense.Matrix[float64]{a, a, a, a})
		b.Reduce()
		b.Within(0, 100)
		b.Resolvents(someShifts, someWeights)
		b.Distances(1, &distances)
		b.AddTo(&distances, dst)
	}
	u := a.Clone()
	single := func() {
		u.Copy(a)
		r.Reduce(u)
		r.Within(0, 100)
		r.Resolvents(someShifts, someWeights, dst)
	}
	once()
	single()
	if got := allocs.PerRun(5, once) + allocs.PerRun(5, single); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// BenchmarkResolvents is the reduction and a sum of nine inverses, of one matrix and of one of four side by side.
func BenchmarkResolvents(b *testing.B) {
	shift := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9}
	for _, n := range []int{24, 50, 100, 200, 500, 1000} {
		rng := rand.New(rand.NewPCG(uint64(n), 3))
		a := withSpectrum(spectrum(n, func(i int) float64 { return 1 + float64(i) }), rng)
		u, dst, four := a.Clone(), dense.New[float64](n, n), NewBundled(n)
		var r Reducer
		b.Run(fmt.Sprint("one/", n), func(b *testing.B) {
			cputime.Measure(b, func() {
				u.Copy(a)
				r.Reduce(u)
				r.Resolvents(shift, shift, dst)
			})
		})
		b.Run(fmt.Sprint("four/", n), func(b *testing.B) {
			cputime.Measure(b, func() {
				dense.SetFour(four.Data, 0, [4]dense.Matrix[float64]{a, a, a, a})
				four.Reduce()
				four.Resolvents(shift, shift)
			})
		})
	}
}

// TestSmallDistances: matrices within rounding of c I are as far from it as their elements say.
func TestSmallDistances(t *testing.T) {
	for _, n := range []int{1, 3, 12, 33} {
		const c, off = 3.7, 0x1p-60
		a := dense.New[float64](n, n)
		for i := range n {
			for j := range n {
				a.Set(i, j, off)
			}
			a.Set(i, i, c)
		}
		b := NewBundled(n)
		dense.SetFour(b.Data, 0, [4]dense.Matrix[float64]{a, a, a, a})
		var got [4]float64
		b.Distances(c, &got)
		want := off * math.Sqrt(float64(n*(n-1)))
		for l, d := range got {
			if !(math.Abs(d-want) <= 1e-14*want) {
				t.Errorf("n = %d, lane %d: %g, want %g", n, l, d, want)
			}
			back := dense.New[float64](n, n)
			if b.Data.Get(l, back); back.At(n-1, n-1) != c {
				t.Errorf("n = %d, lane %d: the diagonal is %g, was %g", n, l, back.At(n-1, n-1), c)
			}
		}
	}
}
