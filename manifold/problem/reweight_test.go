package problem

import (
	"errors"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// TestAndersonEndsOnLinearIterations: for r(x) = A (b - x) with k different eigenvalues, k differences are enough, whatever the plain iteration does.
func TestAndersonEndsOnLinearIterations(t *testing.T) {
	eigenvalues := []float64{0.1, 0.7, 1.9, 3.1}
	z := gallery.NewStream(31).Normals(2, 40)
	x, r := make([]float64, 40), make([]float64, 40)
	a := newAnderson(40, andersonMemory, func(n int) []float64 { return make([]float64, n) })
	var size float64
	for step := range 2*len(eigenvalues) + 2 {
		for i := range r {
			r[i] = eigenvalues[i%len(eigenvalues)] * (z.At(0, i) - x[i])
		}
		if size = math.Sqrt(dense.Dot(r, r)); size < 1e-12 {
			t.Logf("%d steps", step)
			break
		}
		if c := a.add(x, r, false); step > 0 && (c < 0.1-1e-9 || c > 3.1+1e-9) {
			t.Errorf("step %d: curvature %v outside the spectrum", step, c)
		}
		correction, rest := a.next()
		dense.Axpy(1, correction, x)
		dense.Axpy(1, rest, x)
	}
	if size > 1e-9 {
		t.Errorf("residual %.2e", size)
	}
}

// hardSamples have a third of the samples close to a subspace of a quarter of the dimensions, where the plain iteration converges slowly.
func hardSamples(N, n int) *mat.Dense {
	x := dataOf(gallery.NewStream(33).Normals(N, n))
	for i := range N / 3 {
		for j := range n / 4 {
			x.Set(i, j, 30*x.At(i, j))
		}
	}
	return x
}

// TestReweightingOnHardData: few samples, and samples near a subspace: the accelerated iteration finds what the trust region finds, in the
// iterations that it takes on easy data or three times that, and its certificate holds.
func TestReweightingOnHardData(t *testing.T) {
	for name, x := range map[string]*mat.Dense{
		"near a subspace": hardSamples(64, 16),
		"few":             dataOf(gallery.NewStream(34).Normals(19, 16)),
		"in the plane":    heavyTailed(2, 1e6),
	} {
		for _, p := range []string{"tyler", "student", "huber"} {
			want := solved(t, p, Data{Samples: x}, &Options{Method: "trust", Solver: solve.Options{Tolerance: 1e-11}})
			r := solved(t, p, Data{Samples: x}, &Options{Method: "fixed-point"})
			if d, err := manifold.Distance(r.Solution, want.Solution); err != nil || d > 1e-5 {
				t.Errorf("%s, %s: distance %v (%v)", p, name, d, err)
			} else if d > 10*r.Certificate.Value+1e-9 {
				t.Errorf("%s, %s: distance %v, certificate %v", p, name, d, r.Certificate.Value)
			}
			if r.Iterations > 40 {
				t.Errorf("%s, %s: %d iterations", p, name, r.Iterations)
			}
			if r.Objective > want.Objective+1e-9 {
				t.Errorf("%s, %s: objective %v above %v", p, name, r.Objective, want.Objective)
			}
		}
	}
}

// TestTooManySamplesInASubspace: most iterations end with an error when they leave what rounding can represent; the others have not converged and say why.
func TestTooManySamplesInASubspace(t *testing.T) {
	told := 0
	for _, name := range []string{"tyler", "student", "huber"} {
		for seed := range uint64(10) {
			n := 6 + int(seed)
			x, turn := gallery.NewStream(seed).Normals(5*n, n), gallery.Orthogonal(seed, n)
			for i := range 9 * n / 2 {
				clear(x.Row(i)[n/2:])
			}
			y := dense.New[float64](x.Rows, n)
			dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, turn, 0, y)
			p, _ := ByName(name)
			r, err := p.Solve(Data{Samples: dataOf(y)}, &Options{})
			var fault *DataError
			if errors.As(err, &fault) {
				told++
			} else if err != nil || r.Converged || !strings.Contains(r.Advice, "proper subspace") {
				t.Errorf("%s, n = %d: %v, %+v", name, n, err, r)
			}
		}
	}
	if told < 20 {
		t.Errorf("%d of 30 runs end with an error", told)
	}
}

// TestBadExtrapolationIsTakenBack: weights that raise the cost and the gradient, and weights from which the samples look singular, give way to the plain
// step, which lowers the cost.
func TestBadExtrapolationIsTakenBack(t *testing.T) {
	for name, spoil := range map[string]func(c []float64){
		"high cost": func(c []float64) {
			for i := range c {
				c[i] = 3 * float64(1-2*(i%2))
			}
		},
		"singular": func(c []float64) {
			for i := 1; i < len(c); i++ {
				c[i] = -1000
			}
		},
	} {
		x := heavyTailed(6, 100)
		p, _ := ByName("student")
		in, m, err := p.instance(&Data{Samples: x}, &Options{})
		if err != nil {
			t.Fatal(err)
		}
		s := in.(interface{ scatter() *scatterObjective }).scatter()
		w := newReweighting(s.x, s.z, s.weigh, m, &Options{}, &s.lender)
		w.startAt(s.start())
		missing := func(what string) error { t.Helper(); t.Fatal(what); return nil }
		if err := w.move(true, missing); err != nil {
			t.Fatal(err)
		}
		w.here, w.best = w.estimate, w.cost
		w.acc.add(w.logW, w.residual, false)
		spoil(w.logW)
		w.show()
		w.gram()
		evaluations := w.mon.Status.Evaluations
		if err := w.move(false, missing); err != nil {
			t.Fatal(err)
		}
		if w.mon.Status.Evaluations != evaluations+2 || w.acc.known {
			t.Errorf("%s: the extrapolation was kept", name)
		}
		if !(w.cost < w.best) {
			t.Errorf("%s: cost %v after %v", name, w.cost, w.best)
		}
	}
}

// TestReweightingToRounding: the estimate of the gradient leads to where the exact one is at the tolerance, also at the level of rounding.
func TestReweightingToRounding(t *testing.T) {
	for _, name := range []string{"tyler", "student", "huber"} {
		for _, kappa := range []float64{1e2, 1e6} {
			x := heavyTailed(12, kappa)
			r := solved(t, name, Data{Samples: x}, &Options{Method: "fixed-point", Solver: solve.Options{Tolerance: 1e-12}})
			if r.RelativeGradient > 1e-12 {
				t.Errorf("%s at condition %g: relative gradient %.1e", name, kappa, r.RelativeGradient)
			}
		}
	}
}

// TestWeighings: the losses of many samples are those of each.
func TestWeighings(t *testing.T) {
	const n = 7
	c := float64(n)
	q := []float64{1e-3, 0.5, 1, 6.9, 7, 40, 1e9}
	first, second := make([]float64, len(q)), make([]float64, len(q))
	for name, w := range map[string]struct {
		weigh weighing
		loss  loss
	}{
		"student": {studentWeights(3, n), studentLoss(3, n)},
		"huber":   {huberWeights(6.9, 0.8), huberLoss(6.9, 0.8)},
		"tyler":   {tylerWeights(n), func(q float64) (float64, float64, float64) { return c * math.Log(q), c / q, -c / (q * q) }},
	} {
		sum, want := w.weigh.total(q, first), 0.0
		w.weigh.slopes(q, first, second)
		for i, v := range q {
			rho, u, du := w.loss(v)
			want += rho
			if math.Abs(first[i]-u) > 1e-14*u || math.Abs(second[i]-du) > 1e-14*math.Abs(du) {
				t.Errorf("%s at %g: derivatives %g, %g, want %g, %g", name, v, first[i], second[i], u, du)
			}
		}
		if math.Abs(sum-want) > 1e-14*math.Abs(want) {
			t.Errorf("%s: sum %g, want %g", name, sum, want)
		}
	}
	for _, x := range []float64{-2, -0x1p-8, -1e-3, 0, 1e-12, 3e-3, 0x1p-8, 1} {
		if e := exponentialLess1(x, math.Exp(x)); math.Abs(e-math.Expm1(x)) > 1e-11*math.Abs(x) {
			t.Errorf("e^%g - 1 is %g, want %g", x, e, math.Expm1(x))
		}
	}
}
