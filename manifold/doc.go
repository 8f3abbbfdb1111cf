// Package manifold holds the geometry of symmetric positive definite (SPD) matrices for optimization.
//
// # Points and tangent vectors
//
// A point is a frame F with S = F F^T; a Cholesky factor is one, B diag(d)^(1/2) of a spectral.Factor another. A tangent vector is stored
// whitened: xi = F eta F^T with eta symmetric, n*n numbers row by row. Under the affine-invariant metric the inner product is then tr(eta
// eta'), and keeping eta while F moves is an isometric vector transport that costs nothing (transport by parallelization: Huang, Gallivan
// and Absil, "A Broyden class of quasi-Newton methods for Riemannian optimization", SIAM J. Optim. 2015). Replacing F by F Q with an
// orthogonal Q changes no result, only the coordinates.
//
// # Interfaces
//
// Manifold asks for five methods. Everything else (exponential, logarithm, distance, random tangent vectors, checks) is an optional
// interface that a caller asserts once. A new metric or space is one file and one line in registry.go.
//
// # Plain functions
//
// Distance, Geodesic, Exp, Log and Transport take and return gonum matrices for callers who want no frames.
package manifold
