// Package problem is the catalogue of named optimization problems over SPD matrices that "spdopt solve" offers.
//
// Solve runs one by name, List has them all:
//
//	r, err := problem.Solve("mean", problem.Data{Matrices: matrices}, nil)
//	if err != nil {
//		return err // the data, with what to do about them
//	}
//	fmt.Println(r.Solution, r.Converged, r.Reason, r.Certificate)
//
// A cost of your own needs its ordinary derivatives (CheckEuclidean tells whether they are right) and a solver of package solve:
//
//	m, err := manifold.NewAffine(n, manifold.AffineOptions{})
//	f, err := problem.FromEuclidean(m, problem.Euclidean{N: n, Cost: cost, Gradient: gradient})
//	r, err := solve.Trust(m, f, manifold.IdentityFrame(n, 1), nil)
//
// # What a problem is
//
// Every problem checks its data and states how far the answer can be from the minimizer, or by how much it misses the
// conditions of optimality. Each has its own method as the default where one is faster. Where the solution is one SPD matrix and the cost
// smooth, the problem also delivers its gradient in the whitened coordinates of package manifold (cheaper and better conditioned than the
// Euclidean gradient) and a Hessian product, and runs with every solver of package solve; the others are solved directly. What is found besides
// the solution is in Result.Parts.
//
// Every problem has, beside its own method, a general Riemannian solver to check it by, in one of three forms. Where the solution is a positive definite
// matrix and the cost smooth, all of package solve apply. Where the solution lies on the boundary of the cone (nearest-correlation, nearest-spd) or on
// that of the simplex (mve, dopt), at infinite distance, the solver works on factors or on square roots of the weights, which reach it. Where the cost
// has a kink (glasso) it is smoothed by a width that falls. Two problems have none: shrinkage, each of whose methods is a formula of its own with no
// common cost, and classify, whose means are those of the problem mean.
//
// Options.Metric moves the general solvers in another geometry, and makes the mean and the median those of another distance. Options.Solver.Checkpoint
// and Restore keep and resume the whole state of a run, see Problem.Resumes.
//
// A problem is one file and one line in registry.go.
package problem
