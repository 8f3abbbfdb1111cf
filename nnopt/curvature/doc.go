// Package curvature holds the curvature of a network's risk as linear operators that are never formed, and what is computed from them.
//
//	risk, err := curvature.NewRisk(n, batches, curvature.RiskOptions{}) // a net.Net, and an iter.Seq of batches
//	top, err := curvature.TopLanczos(curvature.NewHessian(risk), curvature.TopOptions{K: 3, Rand: r})
//
// A Risk is a network with a loss and data in batches. NewHessian, NewGGN, NewMonteCarloGGN, NewEmpiricalFisher and NewJacobian make operators of it whose
// products cost about as much as one or two gradients. A Collector adds up, layer by layer, what Kronecker-factored curvature needs; CollectKFAC,
// CollectEKFAC and CollectKFOC make operators of that. The way the data are cut into batches changes none of them.
//
// All of it is R sum_n J_n^T (sum_v v v^T) J_n, or second derivatives of R sum_n c_n, with the loss R sum_n c_n of package net. Settings say which
// vectors v, what the positions of an example are to a weight matrix that they share, and which factor carries R. Weight matrices are Dout x Din and
// row major, so that a block of curvature is B (x) A with A on the input side; column-major libraries write A (x) B for the same matrix.
//
// Operators compose (Sum, Chain, Kronecker, BlockDiagonal, Submatrix, Adjoint, Scaled, Damped), turn into gonum matrices and back (ToGonum, FromGonum,
// Products), and are inverted by NewCG, NewLSMR, NewNeumann, KFAC.Inverse, Eigen.Inverse and NewTrackedInverse. Traces, diagonals, norms, spectral
// densities and extreme eigenpairs are estimated from products alone. An operator, an estimator or a solver is one file.
//
// What the published systems offer, and the tests that show it here (a: arXiv:2507.05127, e: arXiv:2501.19183, f: arXiv:2410.13850, i: arXiv:2311.00636):
//
//	a-1   factors of Linear, bias joint or separate          TestGoldenFactors, TestConventions
//	a-2   factors of Conv2d with its options                 TestGoldenFactors, TestConvolutionOptions
//	a-3   expand and reduce                                  TestExactnessLadder, TestReduceScaleIsNotSquared
//	a-4   type-2, Monte-Carlo, empirical, forward-only       TestGoldenFactors, TestMonteCarloKFAC, TestForwardOnly
//	a-5   squares, cross-entropy, binary; sum and mean       TestRoots, TestOperators
//	a-6   order of the Kronecker product                     TestKroneckerIsRowMajor
//	a-7   plain, pi and exact damped inverses                TestGoldenDamping, TestInverseIdentities
//	a-8   EKFAC                                              TestGoldenDamping, TestTiedWeights
//	a-9   KFOC                                               TestGoldenDamping, TestKFOCIsOptimal
//	a-10  dense references                                   TestAgainstExtendedPrecision, TestOperators
//	a-11  optimizer: averages, period, damping               TestOptimizerDirection, TestOptimizerDamping
//	a-12  learning rate and momentum from a model            TestOptimizerModel
//	a-13  norm constraint, rejected steps                    TestOptimizerNormConstraint, TestOptimizerRejects
//	e-1   Hessian, Gauss-Newton, empirical Fisher            TestAgainstExtendedPrecision, TestOperators
//	e-2   Monte-Carlo Gauss-Newton, repeatable               TestOperators, TestMonteCarlo
//	e-3   Jacobian and its transpose                         TestAgainstExtendedPrecision, TestOperators
//	e-4   KFAC, EKFAC, KFOC: trace, log-determinant, norm    TestInverseIdentities, TestGoldenDamping
//	e-5   diagonal of the Gauss-Newton matrix                TestOperators, TestMonteCarlo
//	e-6   algebra                                            TestAlgebra, TestKroneckerClosedForms
//	e-7   CG, LSMR, Neumann, damped Kronecker                TestInverses, TestLSMRLeastSquares, TestInverse (internal/kronecker)
//	e-8   Hutchinson, Hutch++, XTrace                        TestGoldenEstimators, TestXTraceIsLeaveOneOut, TestConvergenceOfEstimators
//	e-9   diagonals and the Frobenius norm                   TestGoldenEstimators, TestExactAtLowRank, TestFrobeniusOfWide
//	e-10  spectral density, linear and logarithmic           TestGoldenEstimators, TestDensity
//	e-11  determinism check                                  TestDeterminism, TestCheckFinds
//	e-12  batches                                            TestSplits, TestOperators, TestMonteCarloKFAC
//	e-13  subsets, tied weights, several output axes         TestSubsets, TestTiedWeights, TestOperators
//	e-14  dense matrices and other solvers                   TestAlgebra, TestGonumProducts
//	i-1   expand or reduce by layer                          TestExactnessLadder
//
// Rows f and the other rows i belong to the packages influence and laplace, which read from this one.
package curvature
