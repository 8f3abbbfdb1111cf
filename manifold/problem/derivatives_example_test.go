package problem_test

import (
	"fmt"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold/problem"
	"github.com/spdopt/spdopt/manifold/solve"
)

// The cost tr(A S) + tr(S^-1) has the gradient A - S^-2. A gradient with the wrong sign before S^-2 is told by its slope.
func ExampleCheckEuclidean() {
	a := mat.NewSymDense(2, []float64{2, 0.5, 0.5, 1})
	inverse := func(s *mat.SymDense) *mat.Dense {
		var inv mat.Dense
		if err := inv.Inverse(s); err != nil {
			panic(err)
		}
		return &inv
	}
	cost := func(s *mat.SymDense) float64 {
		var x mat.Dense
		x.Mul(a, s)
		return mat.Trace(&x) + mat.Trace(inverse(s))
	}
	gradient := func(sign float64) func(g, s *mat.SymDense) {
		return func(g, s *mat.SymDense) {
			var square mat.Dense
			inv := inverse(s)
			square.Mul(inv, inv)
			for i := range 2 {
				for j := i; j < 2; j++ {
					g.SetSym(i, j, a.At(i, j)+sign*square.At(i, j))
				}
			}
		}
	}
	for _, sign := range []float64{-1, 1} {
		rng := rand.New(rand.NewChaCha8([32]byte{1}))
		reports, err := problem.CheckEuclidean(problem.Euclidean{N: 2, Cost: cost, Gradient: gradient(sign)}, mat.NewSymDense(2, []float64{1, 0.2, 0.2, 1.5}), rng)
		if err != nil {
			panic(err)
		}
		fmt.Printf("slope %.1f, right: %v\n", reports[0].Slope, reports[0].OK)
	}
	// Output:
	// slope 2.0, right: true
	// slope 1.0, right: false
}

func ExampleProblem_CheckDerivatives() {
	p, err := problem.ByName("riccati")
	if err != nil {
		panic(err)
	}
	reports, err := p.CheckDerivatives(problem.Data{Matrices: []mat.Symmetric{sym(2, 2, 0, 0, 1), sym(2, 1, 0.5, 0.5, 1)}}, nil, rand.New(rand.NewChaCha8([32]byte{2})))
	if err != nil {
		panic(err)
	}
	for _, r := range reports {
		fmt.Printf("%s: slope %.1f, right: %v\n", r.What, r.Slope, r.OK)
	}
	// Output:
	// gradient: slope 2.0, right: true
	// Hessian: slope 3.0, right: true
}

// A run is stopped after three iterations and goes on from its state.
func ExampleProblem_Resumes() {
	p, err := problem.ByName("tyler")
	if err != nil {
		panic(err)
	}
	o := &problem.Options{Method: "lbfgs"}
	fmt.Println(p.Resumes(o), p.Resumable())
	d := problem.Data{Samples: cloud}
	var state []byte
	o.Solver.MaxIterations = 3
	o.Solver.Checkpoint = func(s *solve.State) (err error) {
		state, err = s.MarshalBinary()
		return err
	}
	if _, err := p.Solve(d, o); err != nil {
		panic(err)
	}
	o.Solver.MaxIterations, o.Solver.Restore = 0, new(solve.State)
	if err := o.Solver.Restore.UnmarshalBinary(state); err != nil {
		panic(err)
	}
	r, err := p.Solve(d, o)
	if err != nil {
		panic(err)
	}
	fmt.Println(r.Converged, r.Iterations > 3)
	// Output:
	// true [steepest lbfgs trust cg arc cma]
	// true true
}
