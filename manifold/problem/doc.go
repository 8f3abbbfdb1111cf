// Package problem is the catalogue of named optimization problems over SPD matrices that "spdopt solve" offers.
//
// Solve runs one by name. Every problem checks its data and states how far the answer can be from the minimizer, or by how much it misses the
// conditions of optimality. Each has its own method as the default where one is faster. Where the solution is one SPD matrix and the cost
// smooth, the problem also delivers its gradient in the whitened coordinates of package manifold (cheaper and better conditioned than the
// Euclidean gradient) and a Hessian product, and runs with every solver of package solve; the others are solved directly. What is found besides
// the solution is in Result.Parts.
//
// A problem is one file and one line in registry.go. Functions of the caller's own are minimized through FromEuclidean.
package problem
