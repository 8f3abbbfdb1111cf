// Package problem is the catalogue of named optimization problems over SPD matrices that "spdopt solve" offers.
//
// Solve runs one by name. Every problem checks its data, delivers its gradient directly in the whitened coordinates of package manifold
// (cheaper and better conditioned than the Euclidean gradient), has a Hessian product, and states how far the answer can be from the
// minimizer. Each has its own method as the default where one is faster, and runs with every solver of package solve.
//
// A problem is one file and one line in registry.go. Functions of the caller's own are minimized through FromEuclidean.
package problem
