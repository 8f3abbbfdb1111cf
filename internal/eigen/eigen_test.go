package eigen

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
)

// symmetric returns the matrix with the given entries for i <= j.
func symmetric(n int, entry func(i, j int) float64) dense.Matrix[float64] {
	a := dense.New[float64](n, n)
	for i := range n {
		for j := i; j < n; j++ {
			v := entry(i, j)
			a.Set(i, j, v)
			a.Set(j, i, v)
		}
	}
	return a
}

func gaussian(n int, rng *rand.Rand) dense.Matrix[float64] {
	return symmetric(n, func(i, j int) float64 { return rng.NormFloat64() })
}

// withSpectrum returns Q diag(d) Q^T for a random orthogonal Q, a product of reflections.
func withSpectrum(d []float64, rng *rand.Rand) dense.Matrix[float64] {
	n := len(d)
	q := dense.New[float64](n, n)
	q.Identity()
	v, h := make([]float64, n), make([]float64, n)
	for range 4 {
		var norm float64
		for i := range v {
			v[i] = rng.NormFloat64()
			norm += v[i] * v[i]
		}
		dense.Gemv(dense.NoTrans, 1, q, v, 0, h)
		dense.Ger(-2/norm, h, v, q)
	}
	qd := q.Clone()
	for i := range n {
		for j := range n {
			qd.Row(i)[j] *= d[j]
		}
	}
	a := dense.New[float64](n, n)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, qd, q, 0, a)
	for i := range n {
		for j := range i {
			a.Set(i, j, a.At(j, i))
		}
	}
	return a
}

// wilkinson returns the tridiagonal W+ of odd order m, whose upper eigenvalues come in pairs that agree to many digits.
func wilkinson(m int) (d, e []float64) {
	d, e = make([]float64, m), make([]float64, m)
	for i := range d {
		d[i], e[i] = math.Abs(float64(i-m/2)), 1
	}
	return d, e
}

func tridiagonalMatrix(d, e []float64) dense.Matrix[float64] {
	return symmetric(len(d), func(i, j int) float64 {
		switch j {
		case i:
			return d[i]
		case i + 1:
			return e[i]
		}
		return 0
	})
}

// families are the matrices that eigenvalue programs are tried on.
var families = []struct {
	name string
	make func(n int, rng *rand.Rand) dense.Matrix[float64]
}{
	{"gaussian", gaussian},
	{"zero", func(n int, _ *rand.Rand) dense.Matrix[float64] { return dense.New[float64](n, n) }},
	{"identity", func(n int, _ *rand.Rand) dense.Matrix[float64] {
		return symmetric(n, func(i, j int) float64 { return float64(1 - min(1, j-i)) })
	}},
	{"diagonal", func(n int, rng *rand.Rand) dense.Matrix[float64] {
		return symmetric(n, func(i, j int) float64 { return float64(1-min(1, j-i)) * rng.NormFloat64() })
	}},
	{"ones", func(n int, _ *rand.Rand) dense.Matrix[float64] {
		return symmetric(n, func(i, j int) float64 { return 1 })
	}},
	{"repeated", func(n int, rng *rand.Rand) dense.Matrix[float64] {
		return withSpectrum(spectrum(n, func(int) float64 { return float64(rng.IntN(3)) }), rng)
	}},
	{"clustered", func(n int, rng *rand.Rand) dense.Matrix[float64] {
		return withSpectrum(spectrum(n, func(i int) float64 { return float64(i%3) + 1e-13*rng.NormFloat64() }), rng)
	}},
	{"geometric", func(n int, rng *rand.Rand) dense.Matrix[float64] {
		return withSpectrum(spectrum(n, func(i int) float64 { return math.Pow(10, -18*float64(i)/float64(n)) }), rng)
	}},
	{"graded", func(n int, rng *rand.Rand) dense.Matrix[float64] {
		return symmetric(n, func(i, j int) float64 { return rng.NormFloat64() * math.Pow(10, -15*float64(i+j)/float64(n)) })
	}},
	{"graded upwards", func(n int, rng *rand.Rand) dense.Matrix[float64] {
		return symmetric(n, func(i, j int) float64 { return rng.NormFloat64() * math.Pow(10, 15*float64(i+j)/float64(n)) })
	}},
	{"wilkinson", func(n int, _ *rand.Rand) dense.Matrix[float64] {
		return tridiagonalMatrix(wilkinson(n))
	}},
	{"glued wilkinson", func(n int, _ *rand.Rand) dense.Matrix[float64] {
		d, e := make([]float64, n), make([]float64, n)
		wd, we := wilkinson(21)
		for i := range d {
			d[i], e[i] = wd[i%21], we[i%21]
			if i%21 == 20 {
				e[i] = 1e-8
			}
		}
		return tridiagonalMatrix(d, e)
	}},
	{"huge and tiny", func(n int, rng *rand.Rand) dense.Matrix[float64] {
		return symmetric(n, func(i, j int) float64 { return rng.NormFloat64() * math.Pow(10, float64(-150*((2*i/n)+(2*j/n)))) })
	}},
	{"arrow", func(n int, rng *rand.Rand) dense.Matrix[float64] {
		return symmetric(n, func(i, j int) float64 {
			if i == j || i == 0 {
				return rng.Float64()
			}
			return 0
		})
	}},
}

func spectrum(n int, value func(i int) float64) []float64 {
	d := make([]float64, n)
	for i := range d {
		d[i] = value(i)
	}
	return d
}

// checkDecomposition decomposes a with the upper triangle alone and checks residual, orthogonality, order and the values-only path.
func checkDecomposition(t *testing.T, s *Solver, a dense.Matrix[float64]) []float64 {
	t.Helper()
	n := a.Rows
	u, w, values := a.Clone(), make([]float64, n), make([]float64, n)
	for i := range n {
		for j := range i {
			u.Set(i, j, math.NaN())
		}
	}
	half := u.Clone()
	if !s.Sym(u, w) || !s.Values(half, values) {
		t.Fatal("reports failure")
	}
	var norm float64
	for _, v := range w {
		norm = max(norm, math.Abs(v))
	}
	tol := unit * 10 * (2 + math.Sqrt(float64(n)))
	if r := residual(a, u, w); !(r <= tol*norm) {
		t.Errorf("residual %.3g at norm %.3g", r, norm)
	}
	if o := orthogonality(u); !(o <= tol) {
		t.Errorf("orthogonality %.3g", o)
	}
	if !slices.IsSorted(w) || !slices.IsSorted(values) {
		t.Error("eigenvalues are not ascending")
	}
	for i, v := range values {
		if !(math.Abs(v-w[i]) <= 2*tol*norm) {
			t.Errorf("eigenvalue %d: %g with vectors, %g without", i, w[i], v)
		}
	}
	return w
}

func TestSymFamilies(t *testing.T) {
	var s Solver
	for _, f := range families {
		for _, n := range []int{1, 2, 3, 4, 5, 7, 10, 21, 32, 33, 47, 64, 65, 66, 100, 150, 210} {
			seed := uint64(n)
			t.Run(fmt.Sprintf("%s/n=%d", f.name, n), func(t *testing.T) {
				checkDecomposition(t, &s, f.make(n, rand.New(rand.NewPCG(seed, 1))))
			})
		}
	}
}

func TestSymRandomSizes(t *testing.T) {
	var s Solver
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 2))
		f := families[rng.IntN(len(families))]
		n := rng.IntN(80)
		t.Run(fmt.Sprintf("seed=%d/%s/n=%d", seed, f.name, n), func(t *testing.T) {
			checkDecomposition(t, &s, f.make(n, rng))
		})
	}
}

// Panels serve large matrices; here they start early.
func TestSymPanels(t *testing.T) {
	var s Solver
	s.red.fused = 40
	for _, f := range families {
		for _, n := range []int{41, 72, 73, 150} {
			t.Run(fmt.Sprintf("%s/n=%d", f.name, n), func(t *testing.T) {
				checkDecomposition(t, &s, f.make(n, rand.New(rand.NewPCG(uint64(n), 4))))
			})
		}
	}
}

// A view into a larger matrix must be all that is written.
func TestSymStride(t *testing.T) {
	const n, guard = 70, 1e9
	rng := rand.New(rand.NewPCG(5, 5))
	a := gaussian(n, rng)
	big := dense.New[float64](n+2, n+9)
	for i := range big.Data {
		big.Data[i] = guard
	}
	view := big.View(1, 4, n, n)
	view.Copy(a)
	w, want := make([]float64, n), make([]float64, n)
	Sym(view, w)
	Sym(a, want)
	if !slices.Equal(w, want) {
		t.Error("eigenvalues differ from those of the contiguous matrix")
	}
	for i := range big.Rows {
		for j, v := range big.Row(i) {
			inside := i >= 1 && i <= n && j >= 4 && j < 4+n
			if inside && v != a.At(i-1, j-4) || !inside && v != guard {
				t.Fatalf("element (%d,%d) is %g", i, j, v)
			}
		}
	}
}

func TestKnownSpectra(t *testing.T) {
	known := []struct {
		name  string
		n     int
		entry func(n, i, j int) float64
		value func(n, k int) float64
	}{
		{"laplacian", 150, func(n, i, j int) float64 {
			return map[int]float64{0: 2, 1: -1}[j-i]
		}, func(n, k int) float64 {
			s := math.Sin(math.Pi * float64(k+1) / float64(2*n+2))
			return 4 * s * s
		}},
		{"clement", 120, func(n, i, j int) float64 {
			if j != i+1 {
				return 0
			}
			return math.Sqrt(float64((i + 1) * (n - 1 - i)))
		}, func(n, k int) float64 { return float64(2*k - n + 1) }},
		{"hadamard", 128, func(n, i, j int) float64 { // H diag(0..n-1) H / n, exact in float64
			var sum float64
			for k := range n {
				sum += float64(k) * walsh(i, k) * walsh(j, k)
			}
			return sum / float64(n)
		}, func(n, k int) float64 { return float64(k) }},
		{"min", 90, func(n, i, j int) float64 { return float64(i + 1) }, func(n, k int) float64 { // a_ij = min(i, j)
			s := math.Sin(math.Pi * float64(2*(n-k)-1) / float64(4*n+2))
			return 1 / (4 * s * s)
		}},
	}
	var s Solver
	for _, c := range known {
		t.Run(c.name, func(t *testing.T) {
			a := symmetric(c.n, func(i, j int) float64 { return c.entry(c.n, i, j) })
			w := checkDecomposition(t, &s, a)
			norm := math.Max(math.Abs(w[0]), w[c.n-1])
			for k, v := range w {
				if want := c.value(c.n, k); math.Abs(v-want) > 30*unit*norm {
					t.Errorf("eigenvalue %d is %.17g, want %.17g", k, v, want)
				}
			}
		})
	}
}

func walsh(i, k int) float64 {
	sign := 1.0
	for b := i & k; b != 0; b &= b - 1 {
		sign = -sign
	}
	return sign
}

func TestAgainstGonum(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 3))
		n := 1 + int(seed)
		a := gaussian(n, rng)
		var e mat.EigenSym
		if !e.Factorize(mat.NewSymDense(n, slices.Clone(a.Data)), false) {
			t.Fatal("gonum fails")
		}
		want, got := e.Values(nil), make([]float64, n)
		Sym(a, got)
		norm := math.Max(math.Abs(want[0]), math.Abs(want[n-1]))
		for i, v := range got {
			if math.Abs(v-want[i]) > 1e-14*norm*math.Sqrt(float64(n)) {
				t.Errorf("seed %d, n = %d: eigenvalue %d is %g, gonum says %g", seed, n, i, v, want[i])
			}
		}
	}
}

func TestSymScales(t *testing.T) {
	for _, n := range []int{3, 40} {
		rng := rand.New(rand.NewPCG(uint64(n), 9))
		a := gaussian(n, rng)
		u, want := a.Clone(), make([]float64, n)
		Sym(u, want)
		for _, e := range []int{-1060, -1000, -500, 500, 1000, 1018} {
			b, got := a.Clone(), make([]float64, n)
			for i := range b.Data {
				b.Data[i] = math.Ldexp(b.Data[i], e)
			}
			if !Sym(b, got) {
				t.Fatalf("2^%d fails", e)
			}
			if o := orthogonality(b); o > 1e-13 {
				t.Errorf("2^%d: orthogonality %g", e, o)
			}
			slack := math.Ldexp(1, max(e-46, -1073)) * float64(n)
			for i, v := range got {
				if math.Abs(v-math.Ldexp(want[i], e)) > slack {
					t.Errorf("2^%d: eigenvalue %d is %g, want %g", e, i, v, math.Ldexp(want[i], e))
				}
			}
		}
	}
}

func TestSymRefusesNonFinite(t *testing.T) {
	for _, n := range []int{1, 5, 40} {
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			a := gaussian(n, rand.New(rand.NewPCG(1, 1)))
			a.Set(n/2, n-1, bad)
			w := make([]float64, n)
			if Sym(a.Clone(), w) || SymValues(a.Clone(), w) {
				t.Errorf("n = %d: %g accepted", n, bad)
			}
		}
	}
	huge := symmetric(3, func(i, j int) float64 { return math.MaxFloat64 })
	if w := make([]float64, 3); Sym(huge.Clone(), w) || SymValues(huge, w) {
		t.Errorf("the eigenvalue 3 MaxFloat64 is reported as %g", w)
	}
	if !Sym(dense.New[float64](0, 0), nil) || !SymValues(dense.New[float64](0, 0), nil) {
		t.Error("the empty matrix is refused")
	}
}

func TestSameBitsForAnyThreads(t *testing.T) {
	for _, n := range []int{257, 700} {
		sameBitsForAnyThreads(t, n)
	}
}

func sameBitsForAnyThreads(t *testing.T, n int) {
	a := gaussian(n, rand.New(rand.NewPCG(11, 1)))
	z := slices.Clone(a.Row(3))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var first []float64
	for _, threads := range []int{1, 2, 3, 5, 8} {
		runtime.GOMAXPROCS(threads)
		u, w := a.Clone(), make([]float64, n)
		Sym(u, w)
		var s Secular
		s.RankOne(u, w, 0.3, z, make([]float64, n))
		values, rows := make([]float64, n), a.Clone()
		SymValues(rows, values)
		panels := reduction{fused: 100}
		panels.reduce(a.Clone())
		all := slices.Concat(w, u.Data, values, rows.Data, panels.d, panels.e)
		if first == nil {
			first = all
		} else if !slices.Equal(first, all) {
			t.Errorf("%d threads give other bits than one", threads)
		}
	}
}

func TestSolverAllocatesNothing(t *testing.T) {
	for _, n := range []int{10, 100, 300} {
		a := gaussian(n, rand.New(rand.NewPCG(12, 1)))
		u, w := a.Clone(), make([]float64, n)
		var s Solver
		for name, f := range map[string]func(dense.Matrix[float64], []float64) bool{"Sym": s.Sym, "Values": s.Values} {
			if got := allocs.PerRun(3, func() { u.Copy(a); f(u, w) }); got != 0 {
				t.Errorf("%s, n = %d: %g allocations", name, n, got)
			}
		}
	}
}

// Two matrices side by side get the bits that each gets alone, also where one is done long before the other or falls apart into blocks.
func TestQLPair(t *testing.T) {
	rng := rand.New(rand.NewPCG(14, 14))
	for n := 1; n <= pairSize; n++ {
		var ts [2]tridiagonal
		for k := range ts {
			ts[k] = tridiagonal{make([]float64, n), make([]float64, n)}
			for i := range n {
				ts[k].d[i] = rng.NormFloat64() * math.Pow(10, float64(-3*k*i)/float64(n))
				if k == 0 || i%5 > 0 {
					ts[k].e[i] = rng.NormFloat64() * ts[k].d[i]
				}
			}
		}
		clone := func(x tridiagonal) tridiagonal { return tridiagonal{slices.Clone(x.d), slices.Clone(x.e[:n-1])} }
		one, two := clone(ts[0]), clone(ts[1])
		v, w := dense.New[float64](n, n), dense.New[float64](n, n)
		if !eigenQLPair(one, two, v, w, make([]float64, 4*n)) {
			t.Fatal("no convergence")
		}
		for k, got := range []tridiagonal{one, two} {
			alone, u := clone(ts[k]), dense.New[float64](n, n)
			if !alone.eigenQL(u, make([]float64, 2*n)) || !slices.Equal(alone.d, got.d) || !slices.Equal(u.Data, []dense.Matrix[float64]{v, w}[k].Data) {
				t.Fatalf("n = %d: matrix %d has other values or vectors in the pair", n, k)
			}
		}
	}
}
