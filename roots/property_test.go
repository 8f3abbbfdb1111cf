package roots

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestBoundHolds checks the promised bound of every method against the 240-bit oracle on some 10,000 random cases: sizes 1 to 7, condition
// numbers up to 1e13, scales from 1e-12 to 1e12, all kinds, powers of all sorts.
func TestBoundHolds(t *testing.T) {
	const seed = 20260501
	rng := newRand(seed)
	powers := []float64{0.5, -0.5, -0.25, 0.25, -1, 1, 2, -2, 3, 1. / 3, -1. / 3, 0.37, -0.37, -0.75, 1.7, -1.3, -0.125, 0.9, 0}
	want := 10000
	if testing.Short() {
		want = 1000
	}
	cases := 0
	worst := map[string]float64{}
	for m := 0; cases < want; m++ {
		n := 1 + rng.IntN(7)
		cond := math.Pow(10, 13*rng.Float64()*rng.Float64())
		a := randomSPD(rng, n, math.Pow(10, 24*(rng.Float64()-0.5)), cond)
		e := newExact(a)
		lo, hi := e.extremes()
		if lo <= 1e-15*float64(n)*hi {
			continue
		}
		q := Query{Power: powers[rng.IntN(len(powers))]}
		switch rng.IntN(8) {
		case 0:
			q = Query{Kind: KindLog}
		case 1:
			q = Query{Kind: KindExp}
			a.ScaleSym(20*rng.Float64()/hi, a)
			e = newExact(a)
		}
		ref := e.form(q)
		start := mat.NewDense(n, n, nil)
		for i := range n {
			for k := range n {
				f, _ := e.v[i][k].Float64()
				start.Set(i, k, f)
			}
		}
		for _, method := range Methods() {
			o := &Options{Method: method.Name, Start: start, NoResidual: rng.IntN(2) == 0}
			if rng.IntN(3) == 0 {
				o.Tol = math.Pow(10, -2-10*rng.Float64())
			}
			q.Start = true
			if !method.Can(q) {
				continue
			}
			var x mat.SymDense
			rep, err := Compute(&x, a, q, o)
			if err == nil && o.Tol > 0 && rep.Bound > o.Tol {
				t.Errorf("seed %d matrix %d: %s: bound %.3g above the tolerance %.3g without an error", seed, m, method.Name, rep.Bound, o.Tol)
			}
			if err != nil && !isAccuracy(err) {
				if rep.Cond() < 1e9 && cond < 1e9 {
					t.Errorf("seed %d matrix %d: %s of %v power %g, cond %.2g: %v", seed, m, method.Name, q.Kind, q.Power, cond, err)
				}
				continue
			}
			cases++
			got := relativeTo(x.At, ref)
			worst[method.Name] = max(worst[method.Name], got/rep.Bound)
			if !(got <= rep.Bound) {
				t.Errorf("seed %d matrix %d: %s %v power %g, n %d, cond %.3g: error %.3g above the bound %.3g (residual %.3g)",
					seed, m, method.Name, q.Kind, q.Power, n, hi/lo, got, rep.Bound, rep.Residual)
			}
		}
	}
	t.Logf("%d cases; largest error/bound by method: %v", cases, worst)
}
