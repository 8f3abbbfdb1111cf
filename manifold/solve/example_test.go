package solve_test

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem"
	"github.com/spdopt/spdopt/manifold/solve"
)

// model is the cost of fitting a covariance X to a sample covariance S: log det X + tr(X^-1 S), with its ordinary gradient.
func model() (*manifold.Affine, solve.Objective) {
	s := mat.NewSymDense(2, []float64{2, 1, 1, 2})
	m, err := manifold.NewAffine(2, manifold.AffineOptions{})
	if err != nil {
		panic(err)
	}
	f, err := problem.FromEuclidean(m, problem.Euclidean{
		N: 2,
		Cost: func(x *mat.SymDense) float64 {
			var c mat.Cholesky
			if !c.Factorize(x) {
				return math.Inf(1)
			}
			var t mat.Dense
			if c.SolveTo(&t, s) != nil {
				return math.Inf(1)
			}
			return c.LogDet() + mat.Trace(&t)
		},
		Gradient: func(g, x *mat.SymDense) {
			var inv, t, u mat.Dense
			if inv.Inverse(x) != nil {
				return
			}
			t.Mul(&inv, s)
			u.Mul(&t, &inv)
			for i := range 2 {
				for j := i; j < 2; j++ {
					g.SetSym(i, j, inv.At(i, j)-u.At(i, j))
				}
			}
		},
	})
	if err != nil {
		panic(err)
	}
	return m, f
}

func show(r *solve.Result) {
	fmt.Printf("%s converged: %v\n%.4f\n", r.Solver, r.Converged, mat.Formatted(r.Point.(*manifold.Frame).Sym()))
}

func ExampleLBFGS() {
	m, f := model()
	r, err := solve.LBFGS(m, f, manifold.IdentityFrame(2, 1), nil)
	if err != nil {
		panic(err)
	}
	show(r)
	// Output:
	// lbfgs converged: true
	// ⎡2.0000  1.0000⎤
	// ⎣1.0000  2.0000⎦
}

func ExampleSteepest() {
	m, f := model()
	r, err := solve.Steepest(m, f, manifold.IdentityFrame(2, 1), &solve.Options{Tolerance: 1e-10})
	if err != nil {
		panic(err)
	}
	show(r)
	// Output:
	// steepest converged: true
	// ⎡2.0000  1.0000⎤
	// ⎣1.0000  2.0000⎦
}

func ExampleTrust() {
	m, f := model()
	r, err := solve.Trust(m, f, manifold.IdentityFrame(2, 1), nil)
	if err != nil {
		panic(err)
	}
	show(r)
	// Output:
	// trust converged: true
	// ⎡2.0000  1.0000⎤
	// ⎣1.0000  2.0000⎦
}

func ExampleSolvers() {
	for _, s := range solve.Solvers() {
		fmt.Println(s.Name)
	}
	// Output:
	// steepest
	// lbfgs
	// trust
}

func ExampleAny() {
	m, f := model()
	r, err := solve.Steepest(m, f, manifold.IdentityFrame(2, 1), &solve.Options{Stop: solve.Any{solve.CostBelow(2.8), solve.StepBelow(1e-3)}})
	if err != nil {
		panic(err)
	}
	fmt.Println(r.Reason.Name, r.Converged, r.Reason.Advice)
	// Output: step false look at the gradient norm: if it is not small, try the trust solver
}
