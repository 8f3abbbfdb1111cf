package solve

import (
	"math"
	"testing"

	"github.com/spdopt/spdopt/manifold"
)

// TestBetas: every rule converges on the ill-conditioned model, and vectors that have to be carried change nothing.
func TestBetas(t *testing.T) {
	m := affine(t, 8, manifold.AffineOptions{})
	e := embedded{m}
	for _, b := range Betas() {
		o := &Options{Beta: b, Tolerance: 1e-10}
		want, err := ConjugateGradient(m, newLogdet(8, 1e4, 9), manifold.IdentityFrame(8, 1), o)
		if err != nil || !want.Converged || want.Iterations > 60 {
			t.Errorf("%v: %+v %v", b, want, err)
			continue
		}
		got, err := ConjugateGradient(e, rotated{newLogdet(8, 1e4, 9), e}, manifold.IdentityFrame(8, 1), o)
		if err != nil || !got.Converged || got.Iterations != want.Iterations {
			t.Errorf("%v with transport: %+v %v, %d iterations without", b, got, err, want.Iterations)
		}
	}
	if Beta(-1).String() != "unknown" || (&Options{Beta: 17}).Validate() == nil {
		t.Error("unknown Beta accepted")
	}
}

// TestConjugateTrials: a step is found in two trials on the whole, however fast the run converges.
func TestConjugateTrials(t *testing.T) {
	for _, condition := range []float64{1e1, 1e2, 1e4} {
		r, err := ConjugateGradient(affine(t, 8, manifold.AffineOptions{}), newLogdet(8, condition, 9), manifold.IdentityFrame(8, 1), &Options{Tolerance: 1e-10})
		if err != nil || !r.Converged || r.Evaluations > 2*r.Iterations {
			t.Errorf("condition %g: %+v %v", condition, r, err)
		}
	}
}

// TestBetasPreconditioned: near the minimizer the exact inverse Hessian makes every rule Newton's method.
func TestBetasPreconditioned(t *testing.T) {
	m := affine(t, 8, manifold.AffineOptions{})
	near, err := LBFGS(m, newLogdet(8, 1e4, 9), manifold.IdentityFrame(8, 1), &Options{Tolerance: 1e-5})
	if err != nil || !near.Converged {
		t.Fatal(near, err)
	}
	for _, b := range Betas() {
		r, err := ConjugateGradient(m, preconditionedLogdet{&scaledLogdet{newLogdet(8, 1e4, 9)}}, near.Point, &Options{Beta: b, AbsoluteTolerance: 1e-11})
		if err != nil || !r.Converged || r.Iterations > 3 || r.Evaluations > r.Iterations+2 {
			t.Errorf("%v: %+v %v", b, r, err)
		}
	}
}

// TestBetaFormulas compares every rule with the numbers worked out by hand.
func TestBetaFormulas(t *testing.T) {
	r := &run{m: affine(t, 2, manifold.AffineOptions{})}
	c := &conjugate{r: r, d: []float64{-2, -1, 0, 0}, slope: -4}
	r.y.grad = []float64{1, 2, 0, 0}
	for _, k := range []struct {
		g    []float64
		want map[Beta]float64
	}{
		{[]float64{-2, 1, 0, 0}, map[Beta]float64{HybridBeta: 5.0 / 7, FletcherReeves: 1, PolakRibiere: 1, HestenesStiefel: 5.0 / 7,
			DaiYuan: 5.0 / 7, HagerZhang: (5 - 2*3*10/7.0) / 7}},
		{[]float64{1, 1, 0, 0}, map[Beta]float64{HybridBeta: 0, FletcherReeves: 0, PolakRibiere: 0, HestenesStiefel: 0, DaiYuan: 0, HagerZhang: 5}},
		{[]float64{-1, -2, 0, 0}, map[Beta]float64{HybridBeta: 5.0 / 8, PolakRibiere: 2, HestenesStiefel: 10.0 / 8, HagerZhang: (10 - 2*4*20/8.0) / 8}},
	} {
		r.x.grad = k.g
		for b, want := range k.want {
			r.o.Beta = b
			if got := c.beta(k.g, r.y.grad); math.Abs(got-want) > 1e-15 {
				t.Errorf("%v at %v: %v, want %v", b, k.g, got, want)
			}
		}
	}
	r.o.Beta, r.x.grad, c.d = HagerZhang, []float64{-1e5, 1, 0, 0}, []float64{-2e3, -1, 0, 0}
	c.slope = -2e3 - 2
	if got, want := c.beta(r.x.grad, r.y.grad), -1/(math.Hypot(2e3, 1)*0.01); math.Abs(got-want) > 1e-12 {
		t.Errorf("beta %v, want its bound %v", got, want)
	}
}
