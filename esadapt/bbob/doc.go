// Package bbob holds test functions for black-box optimizers: the suites of the BBOB testbed with their instances (noiseless, noisy, constrained, mixed-integer,
// large-scale), and the classic functions that the literature names. Every function knows where its optimum is and what it is worth.
//
// The noiseless functions follow Hansen, Finck, Ros, Auger: "Real-parameter black-box optimization benchmarking 2009: noiseless functions
// definitions" (INRIA RR-6829); the other suites name their sources. The random numbers behind an instance (optimum, optimal value, rotations, constraints, noise) are
// those of the testbed, and values agree with its reference implementation to ten digits.
package bbob
