// Package laplace holds Laplace approximations of the posterior of a network's parameters, and what they are for: the logarithm of the marginal
// likelihood (evidence), by which the precision of the prior and the noise are chosen without validation data, and predictions that know how uncertain
// they are.
//
//	p, err := laplace.Fit(n, batches, laplace.Options{}) // a trained net.Net, and an iter.Seq of batches
//	evidence := p.Evidence()
//	prediction, err := p.Predict(batch)
//
// Fit puts a normal distribution around the parameters of a trained network. Its precision is P = s H + diag(prior): H is the curvature of the negative
// log-likelihood with noise 1 summed over the data (Gauss-Newton, sampled or empirical Fisher, from package curvature), Kronecker-factored, diagonal or full,
// of all parameters, the last layer, some blocks or some elements; s is 1/(noise^2 temperature) for squared errors and 1/temperature for cross-entropies.
// The evidence is log p(D | theta) - (log det P - log det P0 + (theta - mean)^T P0 (theta - mean))/2 with P0 = diag(prior). Losses are sums or means,
// with R = 2 for squares (package net); none of that changes a posterior.
//
// A network that is linear around its parameters has normal outputs with covariance J P^-1 J^T. Predict computes it without forming J where layers have
// statistics: the derivative of an output in a weight matrix is a sum of g x^T over positions, in the eigenbases of the structure.
//
// Train alternates epochs of any optimizer of nnopt with moves of the hyperparameters along the slopes of the evidence. TrainBest compares the evidences of
// networks that were trained with different priors.
//
// Two choices differ from laplace-torch. Update adds the sums that the factors are made of, so that Kronecker posteriors of data that come in parts are those
// of all data at once, where averaging factors is approximate. And Train weighs its prior term by R/s, which for temperatures other than 1 is the
// reciprocal of laplace-torch's factor: only so is the end of training a maximum of the density that the evidence is about.
//
// Limits: the examples of a batch must be independent for predictions (no graphs); covariances between positions of an example are not computed; Full is for at
// most 10,000 parameters.
//
// What arXiv:2311.00636 and laplace-torch offer, and the tests that show it here:
//
//	i-1   expand or reduce by layer                          TestAgainstDense, TestExactnessLadder (nnopt/curvature)
//	i-2   averaged patches of convolutions                   TestAveragedPatches (nnopt/curvature)
//	i-3   full, diagonal, Kronecker, last layer, subnetwork  TestAgainstDense, TestLastLayerIsFullWithTheRestFrozen
//	i-4   evidence with slopes                               TestGoldenEvidence, TestSlopes, TestMacKayFixedPoint
//	i-5   training by evidence                               TestTrain, TestTrainFindsTheMode, TestEvidenceFindsThePrior, TestTrainBest
//	i-6   one prior precision, by layer, by weight           TestSlopes, TestGroupsHaveMoreEvidence
//	i-7   noise and temperature                              TestMacKayFixedPoint, TestSlopes, TestTemperatureZero
//	i-8   probit, sampled, Laplace bridge, weights           TestLinks, TestBridgeInvertsDirichlet, TestPredictWeights
//	i-9   Kronecker: log-determinant, products, samples      TestGoldenKronecker, TestSamplesHaveTheCovariance, TestDamped
//	i-10  prior by evidence or by grid                       TestTuneEvidence, TestGrid
//	i-11  more data later, and refits                        TestSplitsAndUpdates, TestAnotherNetwork
package laplace
