// Package manifold holds the geometry of symmetric positive definite (SPD) matrices: distances, geodesics and means of given matrices, and the spaces that
// optimization moves in.
//
// # Where to start
//
// Distance, Geodesic, Log, Exp and Transport work on gonum matrices in the affine-invariant metric, the methods of a Metric the same in any other, with means
// and medians (Metrics lists them):
//
//	d, err := manifold.Distance(a, b)
//	g, err := manifold.MetricByName("log-euclidean")
//	mean, err := g.Mean(matrices, nil)
//
// Means of the affine-invariant metric with a proved error, and other problems given by data, are those of package problem; groups, outliers and features of sets of
// matrices are in package learn. To minimize a cost of your own, take a space (NewAffine, or one that Metrics or Spaces lists), an objective
// (problem.FromEuclidean makes one of ordinary derivatives) and a solver of package solve.
//
// A matrix that is nil, of the wrong size or not positive definite is an error; functions without an error result panic on it.
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
package manifold
