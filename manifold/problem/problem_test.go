package problem

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// cases gives every problem of the registry data of both kinds where it takes both.
func cases(n int, kappa float64) map[string][]Data {
	all := map[string][]Data{
		"mean":   {{Matrices: scattered(n, 5, kappa)}, {Matrices: scattered(n, 3, kappa), Weights: []float64{1, 0.5, 3}}},
		"logdet": {{Matrices: scattered(n, 1, kappa)}, {Samples: heavyTailed(n, kappa)}},
		"tyler":  {{Samples: heavyTailed(n, kappa)}},
	}
	maps.Copy(all, catalogueCases(n, kappa))
	return all
}

// riemannian returns the problems that the general solvers take.
func riemannian() (out []Problem) {
	for _, p := range List() {
		if p.prepare != nil {
			out = append(out, p)
		}
	}
	return out
}

// indirect returns the methods of the problem that work on the manifold.
func indirect(p Problem) []string {
	return slices.DeleteFunc(p.Methods(), func(name string) bool {
		m, err := p.method(name)
		return err == nil && m.direct != nil
	})
}

func source(seed uint64) *rand.Rand {
	return rand.New(rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}))
}

// TestEveryProblemWithEveryMethod: each converges, all methods of a problem agree, the solution has the gradient that is reported.
func TestEveryProblemWithEveryMethod(t *testing.T) {
	for _, p := range riemannian() {
		data := cases(8, 1e3)[p.Name]
		if data == nil {
			t.Fatalf("no test data for problem %s", p.Name)
		}
		for c, d := range data {
			var first *mat.SymDense
			for _, method := range indirect(p) {
				for _, kappa := range []int{1, 2} {
					t.Run(fmt.Sprintf("%s/%d/%s/%d", p.Name, c, method, kappa), func(t *testing.T) {
						r, err := p.Solve(d, &Options{Method: method, Kappa: kappa})
						if err != nil {
							t.Fatal(err)
						}
						if !r.Converged || r.Reason == "" || r.Advice != "" || r.RelativeGradient > 1e-8 {
							t.Errorf("did not converge: %+v", r)
						}
						if r.Problem != p.Name || r.Method != method || r.N != 8 || r.Count < 1 || r.Evaluations < 1 || r.Seconds <= 0 {
							t.Errorf("bookkeeping: %+v", r)
						}
						if r.Certificate.Kind == "none" || !(r.Certificate.Value <= 1e-5) {
							t.Errorf("certificate %+v", r.Certificate)
						}
						if first == nil {
							first = r.Solution
						}
						if d, err := manifold.Distance(first, r.Solution); err != nil || d > 1e-6 {
							t.Errorf("distance %v to the solution by %s (%v)", d, p.Methods()[0], err)
						}
					})
				}
			}
		}
	}
}

// TestRetractionsReachTheSameSolution runs the general solvers with every retraction.
func TestRetractionsReachTheSameSolution(t *testing.T) {
	d := Data{Samples: heavyTailed(6, 100)}
	want, err := Solve("tyler", d, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []manifold.Retraction{manifold.RationalStep, manifold.SecondOrderStep, manifold.GeodesicStep, manifold.SweepStep} {
		for _, s := range solve.Solvers() {
			got, err := Solve("tyler", d, &Options{Method: s.Name, Retraction: r})
			if err != nil || !got.Converged {
				t.Errorf("%s with %v: %+v %v", s.Name, r, got, err)
				continue
			}
			if dist, _ := manifold.Distance(got.Solution, want.Solution); dist > 1e-6 {
				t.Errorf("%s with %v: distance %v", s.Name, r, dist)
			}
		}
	}
}

// TestDerivatives checks gradient and Hessian of every problem by the slope of their errors, in both metric conventions.
func TestDerivatives(t *testing.T) {
	for _, p := range riemannian() {
		for c, d := range cases(5, 50)[p.Name] {
			for _, kappa := range []int{1, 2} {
				in, m, err := p.instance(&d, &Options{Kappa: kappa})
				if err != nil {
					t.Fatal(err)
				}
				seed := uint64(11 + c)
				rng := source(seed)
				q := m.RandomPoint(rng)
				memo := in.(solve.Memoizer).NewMemo()
				scratch := in.(solve.Memoizer).NewMemo()
				grad, other := make([]float64, m.VectorLen()), make([]float64, m.VectorLen())
				if _, err := in.Evaluate(q, grad, memo); err != nil {
					t.Fatal(err)
				}
				cost := func(x manifold.Point) (float64, error) { return in.Evaluate(x, other, scratch) }
				if r, err := manifold.CheckGradient(m, q, cost, grad, rng); err != nil || !r.OK {
					t.Errorf("%s, case %d, kappa %d, seed %d: %v %v", p.Name, c, kappa, seed, r, err)
				}
				hess := func(dst, v []float64) error { return in.HessianVec(dst, q, v, memo) }
				if r, err := manifold.CheckHessian(m, q, cost, grad, hess, rng); err != nil || !r.OK {
					t.Errorf("%s, case %d, kappa %d, seed %d: %v %v", p.Name, c, kappa, seed, r, err)
				}
			}
		}
	}
}

func TestIllConditioned(t *testing.T) {
	if testing.Short() {
		t.Skip("n = 50 at condition 1e6")
	}
	const n = 50
	pd, c := pairs(n, 20, 1e6)
	for _, method := range []string{"newton", "richardson", "steepest", "lbfgs", "trust"} {
		r, err := Solve("mean", Data{Matrices: pd}, &Options{Method: method, Start: identity(n)})
		if err != nil || !r.Converged || r.RelativeGradient > 1e-8 {
			t.Errorf("pairs by %s: %+v %v", method, r, err)
			continue
		}
		if d, err := manifold.Distance(r.Solution, c); err != nil || d > r.Certificate.Value+1e-8 {
			t.Errorf("pairs by %s: distance %v to the known mean, certified %v (%v)", method, d, r.Certificate.Value, err)
		}
	}
	for _, run := range []struct {
		problem string
		d       Data
		methods []string
	}{
		{"mean", Data{Matrices: scattered(n, 20, 1e6)}, []string{"newton", "trust"}},
		{"logdet", Data{Matrices: []mat.Symmetric{symmetric(gallery.LogDet(n, 1e6))}}, []string{"closed-form", "steepest", "lbfgs", "trust"}},
		{"tyler", Data{Samples: heavyTailed(n, 1e6)}, []string{"fixed-point", "steepest", "lbfgs", "trust"}},
	} {
		for _, method := range run.methods {
			if r, err := Solve(run.problem, run.d, &Options{Method: method}); err != nil || !r.Converged || r.RelativeGradient > 1e-8 {
				t.Errorf("%s by %s: %+v %v", run.problem, method, r, err)
			}
		}
	}
}

// TestSameBitsForAnyThreads: the result does not depend on GOMAXPROCS.
func TestSameBitsForAnyThreads(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, p := range riemannian() {
		d := cases(40, 100)[p.Name][0]
		for _, method := range indirect(p)[:2] {
			var want []float64
			for _, threads := range []int{1, 2, 8} {
				runtime.GOMAXPROCS(threads)
				r, err := p.Solve(d, &Options{Method: method})
				if err != nil {
					t.Fatal(err)
				}
				got := append(slices.Clone(r.Solution.RawSymmetric().Data), r.Objective, r.GradientNorm)
				if want == nil {
					want = got
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s by %s differs between 1 and %d threads", p.Name, method, threads)
				}
			}
		}
	}
}

func TestBadInput(t *testing.T) {
	id := identity
	bad := mat.NewSymDense(2, []float64{1, 2, 2, 1})
	nan := mat.NewSymDense(2, []float64{1, math.NaN(), math.NaN(), 1})
	inSubspace := mat.NewDense(4, 2, []float64{1, 1, 2, 2, 3, 3, -1, -1})
	for _, c := range []struct {
		problem string
		d       Data
		o       *Options
		want    string
	}{
		{"mean", Data{}, nil, "no matrices"},
		{"mean", Data{Matrices: []mat.Symmetric{id(2), bad}}, nil, "matrix 1: not positive definite: smallest eigenvalue -1 (largest 3); add a small multiple"},
		{"mean", Data{Matrices: []mat.Symmetric{nan}}, nil, "matrix 0: the matrix has a NaN"},
		{"mean", Data{Matrices: []mat.Symmetric{id(2), id(3)}}, nil, "matrix 1: has 3 rows, but matrix 0 has 2"},
		{"mean", Data{Matrices: []mat.Symmetric{id(2)}, Weights: []float64{1, 2}}, nil, "2 weights for 1 matrices"},
		{"mean", Data{Matrices: []mat.Symmetric{id(2)}, Weights: []float64{-1}}, nil, "weight 0 is -1"},
		{"mean", Data{Matrices: []mat.Symmetric{id(2)}, Weights: []float64{0}}, nil, "sum to 0"},
		{"mean", Data{Matrices: []mat.Symmetric{id(2), id(2), id(2)}}, &Options{Start: id(3)}, "start: has 3 rows, want 2"},
		{"mean", Data{Matrices: []mat.Symmetric{id(2), id(2), id(2)}}, &Options{Start: bad}, "start: not positive definite"},
		{"logdet", Data{}, nil, "no matrices"},
		{"logdet", Data{Matrices: []mat.Symmetric{id(2), id(2)}}, nil, "2 matrices given, want one"},
		{"logdet", Data{Samples: mat.NewDense(2, 3, []float64{1, 2, 3, 4, 5, 7})}, nil, "2 samples of dimension 3 have a singular covariance"},
		{"logdet", Data{Samples: inSubspace}, nil, "subspace"},
		{"tyler", Data{}, nil, "no samples"},
		{"tyler", Data{Samples: mat.NewDense(3, 3, []float64{1, 2, 3, 4, 5, 7, 1, 0, 0})}, nil, "needs more samples than dimensions"},
		{"tyler", Data{Samples: mat.NewDense(3, 2, []float64{1, 2, 0, 0, 5, 7})}, nil, "sample 1: has norm 0"},
		{"tyler", Data{Samples: mat.NewDense(3, 2, []float64{1, 2, 0, math.NaN(), 5, 7})}, nil, "sample 1: entry 1 is NaN"},
		{"tyler", Data{Samples: inSubspace}, nil, "subspace"},
	} {
		_, err := Solve(c.problem, c.d, c.o)
		var de *DataError
		if err == nil || !errors.As(err, &de) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want a DataError with %q", c.problem, err, c.want)
		}
	}
	var ue *UnknownError
	if _, err := Solve("meen", Data{}, nil); !errors.As(err, &ue) || ue.Kind != "problem" || !slices.Contains(ue.Known, "mean") {
		t.Errorf("unknown problem: %v", err)
	}
	if _, err := Solve("mean", Data{}, &Options{Method: "newt"}); !errors.As(err, &ue) || ue.Kind != "method" || !slices.Contains(ue.Known, "newton") {
		t.Errorf("unknown method: %v", err)
	}
	for _, o := range []*Options{{Kappa: 5}, {Normalization: 7}, {Solver: solve.Options{Tolerance: -1}}, {Retraction: -1}} {
		if _, err := Solve("mean", Data{Matrices: []mat.Symmetric{id(2)}}, o); err == nil {
			t.Errorf("options %+v accepted", o)
		}
	}
}

// TestStopping: every own method honours the iteration limit, the callback and the criterion, and says that it did not converge.
func TestStopping(t *testing.T) {
	for _, p := range riemannian() {
		d := cases(8, 1e4)[p.Name][0]
		for _, method := range indirect(p) {
			if !iterative(method) {
				continue
			}
			for name, o := range map[string]solve.Options{
				"iterations":  {MaxIterations: 1},
				"callback":    {Callback: func(s *solve.Status) bool { return s.Iteration >= 1 }},
				"evaluations": {Stop: solve.EvaluationLimit(2)},
			} {
				r, err := p.Solve(d, &Options{Method: method, Solver: o})
				if err != nil || r.Converged || r.Iterations > 2 || r.Reason == "" {
					t.Errorf("%s by %s stopped by %s: %+v %v", p.Name, method, name, r, err)
				}
			}
		}
	}
}

// TestCertificateOnUnconvergedRuns: the bound holds where the run was cut short.
func TestCertificateOnUnconvergedRuns(t *testing.T) {
	ms := scattered(10, 6, 1e4)
	best, err := Solve("mean", Data{Matrices: ms}, &Options{Solver: solve.Options{Tolerance: 1e-12}})
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"newton", "richardson", "steepest", "lbfgs", "trust"} {
		for _, limit := range []int{1, 2, 4} {
			r, err := Solve("mean", Data{Matrices: ms}, &Options{Method: method, Solver: solve.Options{MaxIterations: limit}})
			if err != nil {
				t.Fatal(err)
			}
			d, err := manifold.Distance(r.Solution, best.Solution)
			if err != nil || !r.Certificate.Bound || d > r.Certificate.Value*(1+1e-9)+1e-9 {
				t.Errorf("%s after %d iterations: distance %.3e, certified %.3e (%v)", method, limit, d, r.Certificate.Value, err)
			}
		}
	}
}
