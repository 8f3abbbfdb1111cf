package problem

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

func TestGlassoAgainstScikitLearn(t *testing.T) {
	g := readGolden(t).Glasso
	s, want := mat.NewSymDense(6, g.S), mat.NewSymDense(6, g.Precision)
	for _, method := range []string{"newton", "admm", "trust"} {
		o := &Options{Method: method, Parameters: Parameters{Rho: g.Rho}}
		r := solved(t, "glasso", Data{Matrices: []mat.Symmetric{s}}, o)
		if d := distanceRelative(r.Solution, want); d > 1e-6 {
			t.Errorf("%s: %g away", method, d)
		}
		for i := range 6 {
			for j := range i {
				if (math.Abs(want.At(i, j)) < 1e-8) != (r.Solution.At(i, j) == 0) {
					t.Errorf("%s: entry (%d,%d) is %v, want %v", method, i, j, r.Solution.At(i, j), want.At(i, j))
				}
			}
		}
		if c := r.Certificate; !c.Bound || c.Value > 1e-5 {
			t.Errorf("%s: certificate %+v", method, c)
		}
		if (r.HessianProducts > 0) != (method == "trust") {
			t.Errorf("%s: %d Hessian products", method, r.HessianProducts)
		}
	}
}

// TestGlassoOptimality checks the conditions of optimality with gonum's inverse, for more dimensions than samples too.
func TestGlassoOptimality(t *testing.T) {
	for _, N := range []int{10, 100} {
		const n = 30
		x := dataOf(gallery.NewStream(uint64(N)).Normals(N, n))
		s := mat.NewSymDense(n, nil)
		s.SymOuterK(1/float64(N), x.T())
		r := solved(t, "glasso", Data{Samples: x}, &Options{Parameters: Parameters{Rho: 0.15}})
		var w mat.Dense
		if err := w.Inverse(r.Solution); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			for j := range n {
				e, v := w.At(i, j)-s.At(i, j), r.Solution.At(i, j)
				switch {
				case i == j && math.Abs(e) > 1e-6, i != j && math.Abs(e) > 0.15+1e-6, i != j && v != 0 && math.Abs(e-math.Copysign(0.15, v)) > 1e-6:
					t.Errorf("N = %d: entry (%d,%d) is %v with W - S = %v", N, i, j, v, e)
				}
			}
		}
	}
}

// TestGlassoComponents: blocks that no covariance above the penalty connects are solved apart; a large penalty leaves the diagonal.
func TestGlassoComponents(t *testing.T) {
	s := mat.NewSymDense(4, []float64{2, 0.05, 1, 0, 0.05, 3, 0, 0.8, 1, 0, 1, 0.02, 0, 0.8, 0.02, 4})
	r := solved(t, "glasso", Data{Matrices: []mat.Symmetric{s}}, &Options{Parameters: Parameters{Rho: 0.1}})
	if c, e := r.Part("components").At(0, 0), r.Part("edges").At(0, 0); c != 2 || e != 2 {
		t.Errorf("%v components, %v edges", c, e)
	}
	// Two variables: W_12 = S_12 - rho.
	want := mat.NewSymDense(2, []float64{2, 0.9, 0.9, 1})
	var inverse mat.Dense
	if err := inverse.Inverse(want); err != nil {
		t.Fatal(err)
	}
	if d := math.Abs(r.Solution.At(0, 2) - inverse.At(0, 1)); d > 1e-7 {
		t.Errorf("entry (0,2) is %g off", d)
	}
	r = solved(t, "glasso", Data{Matrices: []mat.Symmetric{s}}, &Options{Parameters: Parameters{Rho: 2}})
	if d := distanceRelative(r.Solution, mat.NewSymDense(4, []float64{0.5, 0, 0, 0, 0, 1.0 / 3, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0.25})); d > 1e-15 {
		t.Errorf("diagonal: %g off", d)
	}
}

// TestGlassoManyComponents: with more than a hundred blocks each reaches the tolerance, and the residual of the whole matrix shows it.
func TestGlassoManyComponents(t *testing.T) {
	x := dataOf(gallery.NewStream(21).Normals(400, 200))
	r := solved(t, "glasso", Data{Samples: x}, &Options{Parameters: Parameters{Rho: 0.15}})
	if c := r.Part("components").At(0, 0); c < 100 || r.RelativeGradient > 1e-8 || r.Certificate.Value > 1e-6 {
		t.Errorf("%v components, %+v", c, r)
	}
}

func TestGlassoBadInput(t *testing.T) {
	refused(t, "glasso", Data{}, nil, "0 matrices given, want one")
	refused(t, "glasso", Data{Matrices: []mat.Symmetric{mat.NewSymDense(2, []float64{1, 2, 2, 1})}}, nil, "not positive semidefinite: smallest eigenvalue -1")
	refused(t, "glasso", Data{Samples: mat.NewDense(2, 2, []float64{1, 0, 2, 0})}, nil, "variance 1 is 0")
	if _, err := Solve("glasso", Data{}, &Options{Parameters: Parameters{Rho: -1}}); err == nil {
		t.Error("a negative penalty is accepted")
	}
}

// TestGlassoReachesTheToleranceInEveryMethod: the gradient that ends a run is that of the whole matrix, which is reported.
func TestGlassoReachesTheToleranceInEveryMethod(t *testing.T) {
	for _, kappa := range []float64{1e2, 1e6} {
		for _, n := range []int{4, 12} {
			x := gallery.NewStream(uint64(70+n)).Normals(2*n, n)
			y := dense.New[float64](2*n, n)
			dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, gallery.SPD(71, n, math.Sqrt(kappa)), 0, y)
			for _, method := range []string{"newton", "admm", "trust"} {
				for _, tolerance := range []float64{1e-2, 1e-4, 1e-6} {
					r, err := Solve("glasso", Data{Samples: dataOf(y)}, &Options{Method: method, Solver: solve.Options{Tolerance: tolerance, MaxIterations: 20000}})
					if err != nil {
						t.Errorf("%s, n = %d, condition %g, tolerance %g: %v", method, n, kappa, tolerance, err)
						continue
					}
					if r.Converged && !(r.RelativeGradient <= tolerance) {
						t.Errorf("%s, n = %d, condition %g, tolerance %g: converged at %g (%s)", method, n, kappa, tolerance, r.RelativeGradient, r.Reason)
					}
					if !r.Converged && method != "trust" {
						t.Errorf("%s, n = %d, condition %g, tolerance %g: %s", method, n, kappa, tolerance, r.Reason)
					}
				}
			}
		}
	}
}

// TestGlassoBoundHolds: the duality gap of small gaps is the difference of large numbers, whose rounding the bound contains. The solution by Newton's method has a residual of
// rounding and is as good as exact; 1e-12 is that of the gradients at the condition of these data.
func TestGlassoBoundHolds(t *testing.T) {
	rng := rand.New(rand.NewPCG(61, 62))
	for range 60 {
		n := 2 + rng.IntN(3)
		d := Data{Samples: normalDense(rng, 4*n, n, 1)}
		exact := solved(t, "glasso", d, &Options{Solver: solve.Options{Tolerance: 1e-14}})
		for _, method := range []string{"admm", "trust"} {
			r := solved(t, "glasso", d, &Options{Method: method})
			off, err := manifold.Distance(r.Solution, exact.Solution)
			if err != nil || off > r.Certificate.Value+1e-12 {
				t.Errorf("%s, n = %d: %g away, bound %g (%v)", method, n, off, r.Certificate.Value, err)
			}
		}
	}
}

// TestGlassoOfVariablesInDifferentUnits: the variable with the largest variance does not hide what is left of the others. A run that says it has converged is near
// the solution, and newton and admm get there.
func TestGlassoOfVariablesInDifferentUnits(t *testing.T) {
	rng := rand.New(rand.NewPCG(63, 64))
	for range 20 {
		x := normalDense(rng, 6, 3, 0)
		for i, unit := range []float64{1e-6, 1, 1e2} {
			for k := range 6 {
				x.Set(k, i, x.At(k, i)*unit)
			}
		}
		d := Data{Samples: x}
		for _, method := range []string{"newton", "admm", "trust"} {
			r, err := Solve("glasso", d, &Options{Method: method, Parameters: Parameters{Rho: 1e-9}})
			if err != nil {
				t.Fatal(err)
			}
			if method != "trust" && !r.Converged || r.Converged && r.Certificate.Value > 1e-4 {
				t.Errorf("%s: converged %v (%s), distance %g", method, r.Converged, r.Reason, r.Certificate.Value)
			}
		}
	}
}
