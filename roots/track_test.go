package roots

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/spectral"
)

// drift is a moving SPD matrix: a <- (1-beta) a + beta V V^T with V = a0^(1/2) times a normal n x k matrix, beta such that ||change||_F is
// rate ||a||_F. With k < 0 the increment is a full Wishart sample.
type drift struct {
	rng  *rand.Rand
	n, k int
	rate float64
	root *mat.Dense
	a    *mat.SymDense
	v    *mat.Dense
	beta float64
}

func newDrift(rng *rand.Rand, n, k int, cond, rate float64) *drift {
	q := randomBasis(rng, n)
	d := geometric(n, 1, cond)
	root := mat.NewDense(n, n, nil)
	for i := range n {
		for j := range n {
			root.Set(i, j, q.At(i, j)*math.Sqrt(d[j]))
		}
	}
	if k < 0 {
		k = 2 * n
	}
	return &drift{rng: rng, n: n, k: k, rate: rate, root: root, a: withSpectrum(q, d), v: mat.NewDense(n, k, nil)}
}

func (d *drift) step() {
	g := mat.NewDense(d.n, d.k, nil)
	for i := range d.n {
		for j := range d.k {
			g.Set(i, j, d.rng.NormFloat64()/math.Sqrt(float64(d.k)))
		}
	}
	d.v.Mul(d.root, g)
	inc := mat.NewSymDense(d.n, nil)
	inc.SymOuterK(1, d.v)
	var diff mat.SymDense
	diff.ScaleSym(-1, d.a)
	diff.AddSym(&diff, inc)
	d.beta = d.rate * mat.Norm(d.a, 2) / mat.Norm(&diff, 2)
	d.a.ScaleSym(1-d.beta, d.a)
	inc.ScaleSym(d.beta, inc)
	d.a.AddSym(d.a, inc)
	d.v.Scale(math.Sqrt(d.beta), d.v)
}

func (d *drift) increment() spectral.Increment {
	return spectral.Increment{Decay: d.beta, Vectors: d.v}
}

func normal(rng *rand.Rand, n, k int) *mat.Dense {
	x := mat.NewDense(n, k, nil)
	for i := range n {
		for c := range k {
			x.Set(i, c, rng.NormFloat64())
		}
	}
	return x
}

// exactApply returns A^p x and ||A^p||_2 by gonum's decomposition.
func exactApply(a mat.Symmetric, p float64, x *mat.Dense) (*mat.Dense, float64) {
	var e mat.EigenSym
	if !e.Factorize(a, true) {
		panic("reference decomposition failed")
	}
	w := e.Values(nil)
	var v, y mat.Dense
	e.VectorsTo(&v)
	y.Mul(v.T(), x)
	top := 0.0
	for i, l := range w {
		f := math.Pow(l, p)
		top = max(top, f)
		for c := range x.RawMatrix().Cols {
			y.Set(i, c, y.At(i, c)*f)
		}
	}
	var z mat.Dense
	z.Mul(&v, &y)
	return &z, top
}

func relativeApplied(y, want, x *mat.Dense, top float64) float64 {
	var d mat.Dense
	d.Sub(y, want)
	return mat.Norm(&d, 2) / (top * mat.Norm(x, 2))
}

// TestTrackerFollows follows drifting matrices of several conditions by increments of low rank and by whole matrices, with few and many
// columns, at several tolerances and powers. Every application must be within the certified bound, and the bound within the tolerance
// (plus rounding).
func TestTrackerFollows(t *testing.T) {
	for _, cond := range []float64{1e1, 1e4, 1e7} {
		for _, k := range []int{3, -1} {
			for _, cols := range []int{1, 20} {
				for _, tol := range []float64{1e-3, 1e-6, 1e-9} {
					t.Run(fmt.Sprintf("cond %.0g rank %d columns %d tol %g", cond, k, cols, tol), func(t *testing.T) {
						const seed = 77
						rng := newRand(seed)
						d := newDrift(rng, 20, k, cond, 0.01)
						tr, err := NewTracker(20, &TrackerOptions{Tol: tol})
						require.NoError(t, err)
						_, err = tr.Follow(d.a)
						require.NoError(t, err)
						x := normal(rng, 20, cols)
						for step := range 16 {
							d.step()
							if k > 0 {
								_, err = tr.FollowUpdate(d.increment())
							} else {
								_, err = tr.Follow(d.a)
							}
							require.NoError(t, err)
							p := []float64{-0.25, 0.5, -0.5, -1, 0.37, -2, 1, 1.5}[step%8]
							var y mat.Dense
							rep, err := tr.ApplyPow(p, &y, x)
							require.NoError(t, err)
							want, top := exactApply(d.a, p, x)
							got := relativeApplied(&y, want, x, top)
							// The reference has the rounding error of a decomposition.
							noise := 1e-14 * cond
							require.LessOrEqual(t, got, rep.Bound+noise, "seed %d step %d p %g: %+v", seed, step, p, rep)
							require.LessOrEqual(t, rep.Bound, 1.01*tol+1e-12*cond, "seed %d step %d p %g: %+v", seed, step, p, rep)
						}
						require.Less(t, tr.Defect(), 1e-12)
					})
				}
			}
		}
	}
}

// TestTrackerBound is the property test of the certificate: thousands of random symmetric perturbations of all sizes in a given basis, small
// n, where expansions of orders 0 to 2 and the shifted systems are all reached.
func TestTrackerBound(t *testing.T) {
	const seed = 78
	rng := newRand(seed)
	orders := map[int]int{}
	worst := 0.0
	for c := range 3000 {
		n := 2 + rng.IntN(6)
		d := make([]float64, n)
		cond := math.Pow(10, 6*rng.Float64())
		for i := range d {
			d[i] = math.Pow(cond, -rng.Float64())
			if i > 0 && rng.IntN(4) == 0 {
				d[i] = d[i-1] * (1 + 1e-9*rng.NormFloat64())
			}
		}
		size := math.Pow(10, -9+9*rng.Float64()) / math.Sqrt(float64(n))
		m := mat.NewSymDense(n, nil)
		for i := range n {
			m.SetSym(i, i, d[i])
			for j := range i {
				m.SetSym(i, j, size*rng.NormFloat64()*math.Sqrt(d[i]*d[j]))
			}
		}
		var chol mat.Cholesky
		if !chol.Factorize(m) || chol.Cond() > 1e9 {
			continue
		}
		tr, err := NewTracker(n, &TrackerOptions{Tol: math.Pow(10, -2-8*rng.Float64()), Sweep: []float64{0.01, 4, math.Inf(1)}[rng.IntN(3)]})
		require.NoError(t, err)
		_, err = tr.Follow(m)
		require.NoError(t, err)
		p := []float64{-0.25, -0.5, 0.5, -1, 0.3, -1.5, 2.2, -0.9, 0.05}[rng.IntN(9)]
		x := normal(rng, n, 1+rng.IntN(3))
		var y mat.Dense
		rep, err := tr.ApplyPow(p, &y, x)
		require.NoError(t, err)
		orders[rep.Order]++
		want, top := exactApply(m, p, x)
		got := relativeApplied(&y, want, x, top)
		if got > rep.Bound+1e-14*cond {
			t.Errorf("seed %d case %d: error %.3g above the bound %.3g: p %g n %d %+v", seed, c, got, rep.Bound, p, n, rep)
		}
		worst = max(worst, got/rep.Bound)
		// The formed power as well.
		var f mat.SymDense
		rep, err = tr.FormPow(p, &f)
		require.NoError(t, err)
		orders[10+rep.Order]++
		want, top = exactApply(m, p, eye(n))
		var diff mat.Dense
		diff.Sub(&f, want)
		if got := mat.Norm(&diff, 2) / top; got > math.Sqrt(float64(n))*rep.Bound+1e-14*cond {
			t.Errorf("seed %d case %d: formed: error %.3g above the bound %.3g: p %g n %d %+v", seed, c, got, rep.Bound, p, n, rep)
		}
	}
	for _, o := range []int{-1, 0, 1, 10, 11, 12} {
		require.Greater(t, orders[o], 20, "order %d was hardly reached: %v", o, orders)
	}
	t.Logf("orders %v, largest error/bound %.2g", orders, worst)
}

func eye(n int) *mat.Dense {
	e := mat.NewDense(n, n, nil)
	for i := range n {
		e.Set(i, i, 1)
	}
	return e
}

// TestTrackerJump checks that an unrelated matrix is noticed and answered correctly, whether it comes by Follow or by FollowUpdate.
func TestTrackerJump(t *testing.T) {
	rng := newRand(79)
	const n = 40
	tr, err := NewTracker(n, nil)
	require.NoError(t, err)
	x := normal(rng, n, 2)
	refreshed := 0
	for range 10 {
		a := randomSPD(rng, n, math.Pow(10, 4*rng.Float64()), 1e5)
		rep, err := tr.Follow(a)
		require.NoError(t, err)
		if rep.Refreshed {
			refreshed++
		}
		var y mat.Dense
		rep, err = tr.ApplyPow(-0.25, &y, x)
		require.NoError(t, err)
		want, top := exactApply(a, -0.25, x)
		require.LessOrEqual(t, relativeApplied(&y, want, x, top), rep.Bound)
		require.LessOrEqual(t, rep.Bound, 1e-6)
	}
	require.Greater(t, refreshed, 7)
	// A jump by an increment that dwarfs the matrix.
	a := randomSPD(rng, n, 1, 1e3)
	_, err = tr.Follow(a)
	require.NoError(t, err)
	b := randomSPD(rng, n, 1e6, 1e3)
	rep, err := tr.FollowUpdate(spectral.Increment{Decay: 0.5, Dense: b})
	require.NoError(t, err)
	require.True(t, rep.Refreshed)
	sum := mat.NewSymDense(n, nil)
	sum.ScaleSym(0.5, a)
	sum.AddSym(sum, b)
	var y mat.Dense
	rep, err = tr.ApplyPow(-0.5, &y, x)
	require.NoError(t, err)
	want, top := exactApply(sum, -0.5, x)
	require.LessOrEqual(t, relativeApplied(&y, want, x, top), rep.Bound)
}

// TestTrackerErrors checks indefinite and missing input: the error names the eigenvalue and the tracker recovers with the next matrix.
func TestTrackerErrors(t *testing.T) {
	rng := newRand(80)
	const n = 12
	tr, err := NewTracker(n, nil)
	require.NoError(t, err)
	var y mat.Dense
	_, err = tr.ApplyPow(-0.5, &y, normal(rng, n, 1))
	require.ErrorContains(t, err, "call Follow")
	a := randomSPD(rng, n, 1, 100)
	_, err = tr.Follow(a)
	require.NoError(t, err)
	bad := mat.NewSymDense(n, nil)
	bad.CopySym(a)
	bad.SetSym(3, 3, -2)
	_, err = tr.Follow(bad)
	var e *NotPositiveDefiniteError
	require.ErrorAs(t, err, &e)
	require.Less(t, e.Smallest, -1.9)
	_, err = tr.ApplyPow(-0.5, &y, normal(rng, n, 1))
	require.Error(t, err)
	_, err = tr.Follow(a)
	require.NoError(t, err)
	x := normal(rng, n, 1)
	rep, err := tr.ApplyPow(-0.5, &y, x)
	require.NoError(t, err)
	want, top := exactApply(a, -0.5, x)
	require.LessOrEqual(t, relativeApplied(&y, want, x, top), rep.Bound)
	_, err = tr.FollowUpdate(spectral.Increment{Vectors: x, Weights: []float64{-1e3}})
	require.ErrorAs(t, err, &e)
	require.Negative(t, e.Smallest)
	_, err = tr.Follow(a)
	require.NoError(t, err)
	_, err = tr.ApplyPow(math.NaN(), &y, x)
	require.Error(t, err)
	var r *RangeError
	_, err = tr.ApplyPow(-1e5, &y, x)
	require.ErrorAs(t, err, &r)
	for _, o := range []TrackerOptions{{Tol: -1}, {Tol: 2}, {Sweep: -1}} {
		_, err = NewTracker(3, &o)
		require.Error(t, err)
	}
	_, err = NewTracker(-1, nil)
	require.Error(t, err)
	zero, err := NewTracker(0, nil)
	require.NoError(t, err)
	_, err = zero.Follow(&mat.SymDense{})
	require.NoError(t, err)
	one, err := NewTracker(1, nil)
	require.NoError(t, err)
	_, err = one.Follow(mat.NewSymDense(1, []float64{16}))
	require.NoError(t, err)
	var s mat.Dense
	_, err = one.ApplyPow(-0.25, &s, mat.NewDense(1, 1, []float64{3}))
	require.NoError(t, err)
	require.InDelta(t, 1.5, s.At(0, 0), 1e-6)
}

// TestTrackerLong makes 4,000 steps: the basis stays orthogonal, and the matrix that low-rank increments have built stays the one that the
// increments define.
func TestTrackerLong(t *testing.T) {
	rng := newRand(81)
	const n = 12
	d := newDrift(rng, n, 2, 1e4, 0.02)
	tr, err := NewTracker(n, &TrackerOptions{Sweep: 0.5})
	require.NoError(t, err)
	_, err = tr.Follow(d.a)
	require.NoError(t, err)
	x := normal(rng, n, 1)
	var y mat.Dense
	sweeps := 0
	for range 4000 {
		d.step()
		_, err := tr.FollowUpdate(d.increment())
		require.NoError(t, err)
		rep, err := tr.ApplyPow(-0.25, &y, x)
		require.NoError(t, err)
		sweeps += rep.Sweeps
	}
	require.Greater(t, sweeps, 100)
	require.Less(t, tr.Defect(), 1e-12)
	rep, err := tr.ApplyPow(-0.25, &y, x)
	require.NoError(t, err)
	want, top := exactApply(d.a, -0.25, x)
	require.LessOrEqual(t, relativeApplied(&y, want, x, top), rep.Bound)
	f, err := tr.Factor()
	require.NoError(t, err)
	var back mat.SymDense
	f.ToSym(&back)
	require.Less(t, relativeSym(&back, d.a), 1e-11)
}

func TestTrackerStart(t *testing.T) {
	rng := newRand(82)
	const n = 15
	f, err := spectral.FromEigen(randomBasis(rng, n), geometric(n, 2, 1e3))
	require.NoError(t, err)
	tr, err := NewTracker(n, nil)
	require.NoError(t, err)
	tr.Start(f)
	require.Equal(t, n, tr.Dim())
	x := normal(rng, n, 1)
	var y, want mat.Dense
	rep, err := tr.ApplyPow(-0.5, &y, x)
	require.NoError(t, err)
	require.Equal(t, 0, rep.Order)
	f.Pow(-0.5, &want, x)
	want.Sub(&want, &y)
	require.Less(t, mat.Norm(&want, 2), 1e-12)
}

// TestTrackerAllocations checks that steady-state calls allocate nothing.
func TestTrackerAllocations(t *testing.T) {
	rng := newRand(83)
	const n = 40
	d := newDrift(rng, n, 3, 1e3, 0.01)
	tr, err := NewTracker(n, nil)
	require.NoError(t, err)
	_, err = tr.Follow(d.a)
	require.NoError(t, err)
	x := normal(rng, n, 1)
	y := mat.NewDense(n, 1, nil)
	s := mat.NewSymDense(n, nil)
	work := func() {
		if _, err := tr.FollowUpdate(spectral.Increment{Decay: d.beta, Vectors: d.v}); err != nil {
			t.Fatal(err)
		}
		if _, err := tr.ApplyPow(-0.25, y, x); err != nil {
			t.Fatal(err)
		}
		if _, err := tr.Follow(d.a); err != nil {
			t.Fatal(err)
		}
		if _, err := tr.ApplyPow(-0.25, y, x); err != nil {
			t.Fatal(err)
		}
		if _, err := tr.FormPow(-0.25, s); err != nil {
			t.Fatal(err)
		}
	}
	d.step()
	for range 5 {
		work()
	}
	require.Zero(t, allocs.PerRun(20, work))
}

// TestTrackerScales follows matrices whose squares leave the range of the type: the error stays within the bound, which may be poor but is
// never silently wrong.
func TestTrackerScales(t *testing.T) {
	const n = 12
	rng := newRand(84)
	a, x := randomSPD(rng, n, 1, 1e3), normal(rng, n, 1)
	drifted := mat.NewSymDense(n, nil)
	drifted.ScaleSym(0.02, randomSPD(rng, n, 1, 1e3))
	drifted.AddSym(drifted, a)
	want, top := exactApply(drifted, -0.25, x)
	for _, scale := range []float64{1e-140, 1e-30, 1, 1e30, 1e140} {
		back := math.Pow(scale, 0.25)
		tr, err := NewTracker(n, nil)
		require.NoError(t, err)
		var s mat.SymDense
		y := mat.NewDense(n, 1, nil)
		var rep TrackReport
		for _, m := range []mat.Symmetric{a, drifted} {
			s.ScaleSym(scale, m)
			_, err = tr.Follow(&s)
			require.NoError(t, err)
			rep, err = tr.ApplyPow(-0.25, y, x)
			require.NoError(t, err)
		}
		y.Scale(back, y)
		require.LessOrEqual(t, rep.Bound, 1e-6, "scale %g", scale)
		require.LessOrEqual(t, relativeApplied(y, want, x, top), rep.Bound, "scale %g", scale)
		if scale < 1e-30 || scale > 1e30 {
			continue
		}
		tr32, err := NewTracker32(n, nil)
		require.NoError(t, err)
		in, out := make([]float32, n), make([]float32, n)
		for i := range in {
			in[i] = float32(x.At(i, 0))
		}
		for _, m := range []mat.Symmetric{a, drifted} {
			s.ScaleSym(scale, m)
			a32, _ := to32(&s)
			_, err = tr32.Follow(a32)
			require.NoError(t, err)
			rep, err = tr32.ApplyPow(-0.25, out, in, 1)
			require.NoError(t, err)
		}
		for i, v := range out {
			y.Set(i, 0, float64(v)*back)
		}
		require.LessOrEqual(t, relativeApplied(y, want, x, top), rep.Bound, "scale %g", scale)
	}
}
