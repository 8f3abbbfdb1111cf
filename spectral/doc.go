// Package spectral keeps a symmetric positive-definite (SPD) matrix factored, S = B diag(d) B^T with orthogonal B and d > 0, and moves B and
// d on the manifold instead of decomposing S again.
//
//	s := spectral.Identity(n, 1) // or FromSym, FromEigen
//	s.Update(spectral.MovingAverage(q, 0.01, 1, 0), nil) // S becomes 0.99 S + 0.01 Q, to first order
//	s.Pow(-0.5, dst, x)                                  // dst = S^(-1/2) x
//
// Three ways to move a Factor, chosen by what is known:
//
//   - Update: a bounded-angle sweep towards (1-decay) S + T + ridge I for any symmetric increment T, dense or given by its vectors. Products
//     only, first-order exact, bounded where eigenvalues tie.
//   - RankOne and RankK: the exact eigendecomposition of S + sum w_k v_k v_k^T by the secular equation.
//   - Follow: sweeps until B diagonalises a given matrix, from wherever B stands.
//
// Steps of several increments can be folded into one rotation with an Accumulator. Kron is the same machinery for alpha times a Kronecker
// product. Because S stays factored, every real power costs two products (Pow), and the log-determinant, condition number, samples and
// densities cost O(n) or O(n^2).
//
// What a Factor promises after any number of steps, for any finite input: ||B^T B - I||_2 <= 1e-12, every eigenvalue positive and finite,
// the same bits for every GOMAXPROCS. Each Update reports the measured defect of B, the off-diagonal residual, the scaling that the norm
// bound applied and the number of sweeps.
//
// The update form, the local coordinates and the determinant constraint of Kronecker factors follow Lin et al., "Spectral-factorized
// Positive-definite Curvature Learning for NN Training" (arXiv:2502.06268); the bounded angle, the norm bound, the rotated diagonal and
// the re-orthogonalisation by the measured defect are this package's own, see Step.
//
// A Factor or a Kron owns its workspace: no method may run concurrently with another one on the same value.
package spectral
