package spectral

import (
	"math"
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

func TestProperty10DampingLeavesTheRotation(t *testing.T) {
	r := newRand(t, 110)
	base := randKron(t, 111, 4, 3)
	x := [][]float64{randTensor(r, 12)}
	a, b := base.Clone(), base.Clone()
	a.Learn(x, 0.05, 1, 0, &paperMode)
	b.Learn(x, 0.05, 1, 0.5, &paperMode)
	for i := range 2 {
		if !slices.Equal(a.Part(i).b.Data, b.Part(i).b.Data) {
			t.Errorf("damping changed the basis of factor %d", i)
		}
		if slices.Equal(a.Part(i).Eigenvalues(), b.Part(i).Eigenvalues()) {
			t.Errorf("damping left the eigenvalues of factor %d", i)
		}
	}
	if a.Alpha() == b.Alpha() {
		t.Error("damping left alpha")
	}
}

func TestProperty11DiagonalLimit(t *testing.T) {
	r := newRand(t, 120)
	d, g := []float64{0.5, 1, 2, 4}, randTensor(r, 4)
	distance := func(o Step, beta float64) float64 {
		f := stateOf(t, mat.DenseCopyOf(Identity(4, 1).Basis()), d)
		q := mat.NewSymDense(4, nil)
		for i, v := range g {
			q.SetSym(i, i, v*v)
		}
		f.Update(MovingAverage(q, beta, 0.9, 0), &o)
		if e := mat.Norm(sub(f.Basis(), Identity(4, 1).Basis()), 2); e != 0 {
			t.Errorf("a diagonal increment turned the basis by %v", e)
		}
		var e float64
		for i, v := range f.Eigenvalues() {
			e = max(e, math.Abs(v-((1-0.9*beta)*d[i]+beta*g[i]*g[i])))
		}
		return e
	}
	for name, o := range ordered(exactModes) {
		if name != "tight clip" {
			wantSecondOrder(t, name, func(beta float64) float64 { return distance(o, beta) })
		}
	}
	if e := distance(defaultMode, 0.05); e > 1e-15 {
		t.Errorf("the rotated diagonal of a diagonal increment is the moving average; off by %.2g", e)
	}
}

func TestProperty12Descent(t *testing.T) {
	const n, beta = 6, 1e-4
	r := newRand(t, 130)
	for name, o := range ordered(modes) {
		for range 200 {
			f, q := randFactor(t, r, n, 20), spd(r, n)
			s := formed(f)
			sg := new(mat.Dense)
			sg.Mul(s, klGradient(s, q, 1))
			sg.Mul(sg, sg)
			slope := 2 * sg.Trace()
			f.Update(MovingAverage(q, beta, 1, 0), &o)
			ratio := (klLoss(s, q) - klLoss(formed(f), q)) / (beta * slope)
			if !(ratio > 0.7 && ratio < 1.01) {
				t.Errorf("%s: decrease over beta 2 tr(SGSG) is %.4f", name, ratio)
			}
		}
	}
}

func TestProperty13Tracking(t *testing.T) {
	const n, beta = 50, 0.001
	r := newRand(t, 140)
	root := randFactor(t, r, n, 100)
	f, g := Identity(n, 1), mat.NewDense(n, 1, nil)
	ema := mat.NewSymDense(n, nil)
	for i := range n {
		ema.SetSym(i, i, 1)
	}
	for range 6000 {
		root.Sample(r, g.RawMatrix().Data)
		f.Update(Increment{Decay: beta, Vectors: g, Weights: []float64{beta}}, nil)
		ema.ScaleSym(1-beta, ema)
		ema.SymRankOne(ema, beta, g.ColView(0))
	}
	if e := relDiff(formed(f), ema); e > 0.06 {
		t.Errorf("distance to the moving average %.3f", e)
	} else {
		t.Logf("distance to the moving average %.3f", e)
	}
}

func TestProperty13KroneckerTracking(t *testing.T) {
	const n, beta = 32, 0.01
	r := newRand(t, 141)
	truth := randKron(t, 142, n, n)
	k := NewKron(1, n, n)
	sa, sb := mat.NewSymDense(n, nil), mat.NewSymDense(n, nil)
	for i := range n {
		sa.SetSym(i, i, 1)
		sb.SetSym(i, i, 1)
	}
	x := make([]float64, n*n)
	for range 1500 {
		truth.Sample(r, x)
		k.Learn([][]float64{x}, beta, 1, 0, nil)
		ha, hb := flip([][]float64{x}, n, n, sb, false), flip([][]float64{x}, n, n, sa, true)
		average(sa, ha, beta)
		average(sb, hb, beta)
	}
	var want mat.Dense
	want.Kronecker(sa, sb)
	if e := relDiff(denseKron(k), &want); e > 0.03 {
		t.Errorf("distance to the KL-Shampoo average %.4f", e)
	} else {
		t.Logf("distance to the KL-Shampoo average %.4f", e)
	}
}

func average(s, h *mat.SymDense, beta float64) {
	s.ScaleSym(1-beta, s)
	var a mat.SymDense
	a.ScaleSym(beta, h)
	s.AddSym(s, &a)
}

func TestProperty14Determinism(t *testing.T) {
	t.Run("many calls", func(t *testing.T) { sameForAnyThreads(t, 70, 5) })
	t.Run("products on several threads", func(t *testing.T) { sameForAnyThreads(t, 480, 1) })
}

func sameForAnyThreads(t *testing.T, n, rounds int) {
	run := func(procs int) *Factor {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		r := newRand(t, 150)
		f := randFactor(t, r, n, 1e3)
		for range rounds {
			f.Update(MovingAverage(spd(r, n), 0.1, 1, 0.01), nil)
			f.Update(Increment{Vectors: randDense(r, n, 5)}, &Step{Factors: 4})
			if err := f.RankOne(0.3, randTensor(r, n)); err != nil {
				t.Fatal(err)
			}
			f.Follow(spd(r, n), &Step{MaxSweeps: 2})
		}
		return f
	}
	a := run(1)
	for _, procs := range []int{1, 2, 7} {
		b := run(procs)
		if !slices.Equal(a.d, b.d) || !slices.Equal(a.b.Data, b.b.Data) {
			t.Errorf("GOMAXPROCS=%d gives other bits", procs)
		}
	}
}

// Permuting the eigenpairs at the start changes S by rounding only, also after many steps.
func TestProperty14PermutedStart(t *testing.T) {
	const n = 12
	r := newRand(t, 151)
	f := randFactor(t, r, n, 100)
	pb, pd := mat.NewDense(n, n, nil), make([]float64, n)
	for i, p := range r.Perm(n) {
		for k := range n {
			pb.Set(k, i, f.Basis().At(k, p))
		}
		pd[i] = f.Eigenvalues()[p]
	}
	g := stateOf(t, pb, pd)
	for range 50 {
		q := spd(r, n)
		f.Update(MovingAverage(q, 0.05, 1, 0), nil)
		g.Update(MovingAverage(q, 0.05, 1, 0), nil)
	}
	if e := relDiff(formed(g), formed(f)); e > 1e-12 {
		t.Errorf("S differs by %.2g", e)
	}
}
