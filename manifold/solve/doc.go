// Package solve minimizes functions on the manifolds of package manifold.
//
//	m, err := manifold.NewAffine(n, manifold.AffineOptions{})
//	r, err := solve.Trust(m, objective, manifold.IdentityFrame(n, 1), nil)
//	fmt.Println(r.Point.(*manifold.Frame).Sym(), r.Reason, r.Certificate)
//
// An Objective is a cost with its gradient in the coordinates of the manifold; problem.FromEuclidean makes one of a function of a matrix with ordinary
// derivatives, and problem.Solve runs whole problems by name.
//
// All solvers share one contract: a manifold, an Objective, a start and Options go in, a Result with a reason, a certificate and what to try
// next comes out. Solvers lists those for smooth objectives with a gradient: Steepest, LBFGS, Trust, ConjugateGradient and
// CubicRegularization. Special lists those for objectives with more structure, or less: GaussNewton for sums of squares, NelderMead and BlackBox for costs
// without gradient, ParticleSwarm for those with many minima, StochasticGradient, Adam and VarianceReduced for sums over samples, ProximalGradient for penalties
// that are not smooth, AugmentedLagrangian, ExactPenalty and Barrier for constraints, FrankWolfe for convex sets whose extreme points are known, and BFGS with the whole
// inverse Hessian for few dimensions. An objective offers such structure by implementing an interface. A solver is one file and one line in
// registry.go.
//
// Near the optimum the decrease of the cost drowns in its rounding error, and a line search that looks at values alone stalls at a relative
// gradient of 1e-7 to 1e-8. The line search here then judges a step by its directional derivative (the approximate Wolfe conditions of
// Hager and Zhang, SIAM J. Optim. 16 (2005) 170-192).
//
// Options.Checkpoint receives the State of a solver between iterations and Options.Restore goes on from one, with the bits of a run that was never
// interrupted. That holds for every solver of both registries, and needs an objective whose answers depend on the point alone (the random choices of
// the stochastic solvers, and the sampler of BlackBox, are part of the state). Marshal a State where it is kept; one of another solver, size, option
// or objective, or a damaged one, is a *StateError.
package solve
