package eigen

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
)

// orthogonality returns the largest entry of |u^T u - I|.
func orthogonality(u dense.Matrix[float64]) float64 {
	g := dense.New[float64](u.Cols, u.Cols)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, u, u, 0, g)
	var worst float64
	for i := range g.Rows {
		for j, v := range g.Row(i) {
			if i == j {
				v--
			}
			worst = max(worst, math.Abs(v))
		}
	}
	return worst
}

// residual returns the largest entry of |a - u diag(w) u^T|.
func residual(a, u dense.Matrix[float64], w []float64) float64 {
	uw := u.Clone()
	for i := range uw.Rows {
		for j := range uw.Row(i) {
			uw.Row(i)[j] *= w[j]
		}
	}
	r := a.Clone()
	dense.Gemm(dense.NoTrans, dense.Transposed, -1, uw, u, 1, r)
	var worst float64
	for i := range r.Rows {
		for _, v := range r.Row(i) {
			worst = max(worst, math.Abs(v))
		}
	}
	return worst
}

func diagPlus(d, z []float64, rho float64) (a dense.Matrix[float64], norm float64) {
	a = dense.New[float64](len(d), len(d))
	dense.Ger(rho, z, z, a)
	var dmax, zz float64
	for i, v := range d {
		a.Set(i, i, a.At(i, i)+v)
		dmax = max(dmax, math.Abs(v))
		zz += z[i] * z[i]
	}
	return a, max(dmax, math.Abs(rho)*zz)
}

// secularCase draws a problem of one of several kinds.
func secularCase(rng *rand.Rand, n, kind int) (d, z []float64) {
	d, z = make([]float64, n), make([]float64, n)
	for i := range d {
		d[i], z[i] = rng.NormFloat64(), rng.NormFloat64()
	}
	switch kind {
	case 1: // equal eigenvalues
		for i := range d {
			d[i] = float64(rng.IntN(3))
		}
	case 2: // clusters of every width
		for i := range d {
			d[i] = 1 + float64(rng.IntN(3)) + d[i]*math.Pow(10, -18*rng.Float64())
		}
	case 3: // graded eigenvalues and weights
		for i := range d {
			d[i] = math.Pow(10, -16*rng.Float64())
			z[i] *= math.Pow(10, -16*rng.Float64())
		}
	case 4: // many vanishing weights
		for i := range d {
			if rng.IntN(2) == 0 {
				z[i] = 0
			}
		}
	case 5: // tiny gaps under full weights
		for i := range d {
			d[i] = 1 + float64(i)*3e-15
		}
	}
	return d, z
}

func TestSecularDecomposes(t *testing.T) {
	for seed := range uint64(240) {
		rng := rand.New(rand.NewPCG(seed, 1))
		n, kind := 1+rng.IntN(40), int(seed%6)
		if seed < 6 {
			n = 150
		}
		d, z := secularCase(rng, n, kind)
		rho := math.Copysign(math.Pow(10, 16*rng.Float64()-8), rng.Float64()-0.5)
		t.Run(fmt.Sprintf("seed=%d,n=%d,kind=%d", seed, n, kind), func(t *testing.T) {
			checkSecular(t, d, z, rho)
		})
	}
}

func checkSecular(t *testing.T, d, z []float64, rho float64) {
	t.Helper()
	n := len(d)
	var s Secular
	if !s.Solve(d, z, rho) {
		t.Fatal("Solve reports failure")
	}
	w, u, q := make([]float64, n), dense.New[float64](n, n), dense.New[float64](n, n)
	s.Values(w)
	s.Matrix(u)
	q.Identity()
	s.Apply(q)
	a, norm := diagPlus(d, z, rho)
	tol := unit * 20 * math.Sqrt(float64(n+8))
	if r := residual(a, u, w); !(r <= tol*norm) {
		t.Errorf("residual %.3g of norm %.3g", r, norm)
	}
	if o := orthogonality(u); !(o <= tol) {
		t.Errorf("orthogonality %.3g", o)
	}
	for i, v := range u.Data {
		if math.Abs(v-q.Data[i]) > 4*unit {
			t.Fatalf("Matrix and Apply differ at %d: %g and %g", i, v, q.Data[i])
		}
	}
	sorted := slices.Sorted(slices.Values(d))
	if rho < 0 {
		slices.Reverse(sorted)
	}
	for i := range n {
		lo, l := sorted[i], w[i]
		if rho < 0 {
			l = w[n-1-i]
		}
		shift := (l - lo) * math.Copysign(1, rho)
		room := math.Inf(1)
		if i+1 < n {
			room = math.Abs(sorted[i+1] - lo)
		}
		if shift < -tol*norm || shift > room+tol*norm {
			t.Errorf("eigenvalue %d: %g does not interlace (%g, room %g)", i, l, lo, room)
		}
	}
}

func TestSecularScales(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	d, z := secularCase(rng, 20, 0)
	var s Secular
	want, got := make([]float64, 20), make([]float64, 20)
	s.Solve(d, z, 0.7)
	s.Values(want)
	for _, e := range []int{-1000, -300, 300, 1000} {
		f := math.Ldexp(1, e)
		ds := slices.Clone(d)
		for i := range ds {
			ds[i] *= f
		}
		if !s.Solve(ds, z, 0.7*f) {
			t.Fatalf("2^%d: failure", e)
		}
		s.Values(got)
		for i := range got {
			if got[i] != want[i]*f {
				t.Errorf("2^%d: value %d is %g, want %g", e, i, got[i], want[i]*f)
			}
		}
	}
	big := []float64{1e200, 1}
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if s.Solve([]float64{1, bad}, []float64{1, 1}, 1) || s.Solve([]float64{1, 2}, []float64{bad, 1}, 1) || s.Solve(big, big, bad) {
			t.Errorf("%g accepted", bad)
		}
	}
	if s.Solve([]float64{1, 2}, big, 1) {
		t.Error("overflow accepted")
	}
	if s.Solve([]float64{math.MaxFloat64, 1}, []float64{1, 1}, math.MaxFloat64/2) {
		t.Error("an eigenvalue beyond MaxFloat64 accepted")
	}
	if !s.Solve(nil, nil, 1) {
		t.Error("empty problem refused")
	}
}

// stream applies many exponentially weighted rank-one updates to the identity and returns the decomposition and the matrix itself.
func stream(t *testing.T, n, updates int) (s *Secular, q dense.Matrix[float64], d []float64, a dense.Matrix[float64]) {
	rng := rand.New(rand.NewPCG(3, 9))
	q, a = dense.New[float64](n, n), dense.New[float64](n, n)
	q.Identity()
	a.Identity()
	d, v, z := make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range d {
		d[i] = 1
	}
	s = new(Secular)
	const decay = 0.02
	for step := range updates {
		for i := range v {
			v[i] = rng.NormFloat64()
		}
		dense.Scale(1-decay, d, d)
		dense.Scale(1-decay, a.Data, a.Data)
		dense.Ger(decay, v, v, a)
		if !s.RankOne(q, d, decay, v, z) {
			t.Fatalf("step %d fails", step)
		}
	}
	return s, q, d, a
}

func TestRankOneStream(t *testing.T) {
	n, updates := 200, 1000
	if testing.Short() {
		updates = 100
	}
	s, q, d, a := stream(t, n, updates)
	if !slices.IsSorted(d) {
		t.Error("values are not ascending")
	}
	if o := orthogonality(q); o > 1e-12 {
		t.Errorf("orthogonality %.3g", o)
	}
	if r := residual(a, q, d); r > 1e-12*d[n-1] {
		t.Errorf("residual %.3g at norm %.3g", r, d[n-1])
	}
	v, z := slices.Clone(a.Row(0)), make([]float64, n)
	if got := allocs.PerRun(5, func() { s.RankOne(q, d, 0.01, v, z) }); got != 0 {
		t.Errorf("%g allocations per update", got)
	}
}

// Adding and taking away the same matrix gives back the eigenvalues.
func TestRankOneUndo(t *testing.T) {
	const n = 50
	s, q, d, a := stream(t, n, 20)
	want := slices.Clone(d)
	v, z := slices.Clone(a.Row(1)), make([]float64, n)
	s.RankOne(q, d, 0.7, v, z)
	s.RankOne(q, d, -0.7, v, z)
	for i, x := range d {
		if math.Abs(x-want[i]) > 1e-13*want[n-1] {
			t.Errorf("eigenvalue %d is %g, was %g", i, x, want[i])
		}
	}
}
