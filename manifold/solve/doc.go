// Package solve minimizes smooth functions on the manifolds of package manifold.
//
// Steepest, LBFGS and Trust share one contract: a manifold, an Objective, a start and Options go in, a Result with a reason, a certificate
// and what to try next comes out. Solvers lists them by name. A solver is one file and one line in registry.go.
//
// Near the optimum the decrease of the cost drowns in its rounding error, and a line search that looks at values alone stalls at a relative
// gradient of 1e-7 to 1e-8. The line search here then judges a step by its directional derivative (the approximate Wolfe conditions of
// Hager and Zhang, SIAM J. Optim. 16 (2005) 170-192).
package solve
