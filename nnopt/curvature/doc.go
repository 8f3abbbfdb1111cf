// Package curvature holds the curvature of a network's risk as linear operators that are never formed, and what is computed from them.
//
// A Risk is a network with a loss and data in batches. NewHessian, NewGGN, NewMonteCarloGGN, NewEmpiricalFisher and NewJacobian make operators of it whose
// products cost about as much as gradients. A Collector adds up, layer by layer, what Kronecker-factored curvature needs; CollectKFAC, CollectEKFAC and
// CollectKFOC make operators of that. The way the data are cut into batches changes none of them.
//
// All of it is R sum_n J_n^T (sum_v v v^T) J_n or second derivatives of R sum_n c_n, with the loss R sum_n c_n of package net; Settings say which vectors v,
// what the positions of an example are to a shared weight matrix, and which factor carries R.
package curvature
