// Package influence predicts by how much a measurement of a trained network would change if examples of its training were left out, and checks such
// predictions by training again.
//
//	e, err := influence.New(n, train, influence.Options{}) // a trained net.Net, and its Examples
//	query := influence.Side[float64]{Examples: queries, Measurement: &influence.LossMeasurement[float64]{}}
//	scores, err := e.Pairwise(query, influence.Side[float64]{Examples: train}, influence.ScoreOptions{})
//
// New approximates the curvature H of the risk R sum_n c_n of a network (package curvature). Estimator.Pairwise then scores pairs: the score of query q and
// training example i is m_q'^T H^-1 l_i' with m_q the measurement of the query and l_i = R c_i the term of the example, which is the change of m_q that a
// Newton step after the removal of i predicts. It is positive if removing i raises m_q: for a loss, if i helps q. Since R is 1/N for a mean, scores are
// changes of the measurement itself; libraries that leave the 1/N out have scores that are N times as large. Scores of a group add up.
//
// H is block-diagonal over modules, a weight matrix with its bias each. Gradients live in the eigenbases of the modules, where H^-1 is a diagonal, so that
// either side of a score can be the one that is preconditioned, kept, compressed and written to disk (Gradients), while the other passes by batch after
// batch. Parameters of layers without Kronecker factors do not count, if Options.Curvature.Skip allows that.
//
// Losses with noise in them (diffusion models, augmented images) are averaged over draws of it (Examples.Draws): the curvature is that of all draws as one
// set of data, with the average outside the square, and gradients are means over draws.
//
// Networks are taken as in evaluation: dropout is off, batch normalisation uses its running averages. New refuses what is random even so, or couples the
// examples of a batch (curvature.RandomError).
//
// LDS, CeilingOf and WithoutTop judge scores by networks that are trained again; TRAK is the baseline of random projections; Ridge has the exact answers
// for linear regression.
//
// What the published system offers (f: arXiv:2410.13850 and kronfluence), and the tests that show it here:
//
//	f-1   KFAC, EKFAC, identity, diagonal                    TestAgainstOperators, TestDeepLinear, TestSoftmax, TestDampingLimit
//	f-2   pairwise, self, by module, by token                TestAgainstOperators, TestSelf, TestModulesAddUp, TestTokensAddUp
//	f-3   either side preconditioned, kept on disk           TestPartitions, TestCache
//	f-4   8 bits, low rank                                   TestCompression, TestLowRankOfTall
//	f-5   a measurement that is not the loss                 TestMeasurements, TestMarginAndLoss, TestOtherMeasurement, TestGoldenRidge
//	f-6   LDS: subsets, seeds, ceiling, standard error       TestGoldenLDS, TestLDSIdentities, TestCeiling, TestSubsets, TestSpearman
//	f-7   training without the top influences                TestWithoutTop
//	f-8   leave-one-out of linear models                     TestGoldenRidge, TestLeaveOneOut
//	f-9   averages over noise and time                       TestDraws, TestMoreDrawsAgree
//	f-10  partitions of data and modules                     TestPartitions, TestFactorPartitions
//	f-11  TRAK                                               TestTRAK, TestProjection
package influence
