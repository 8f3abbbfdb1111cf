// Package bbob holds test functions for black-box optimizers: the 24 noiseless functions of the BBOB testbed with their instances,
// and the classic functions that the literature names. Every function knows where its optimum is and what it is worth.
//
// The BBOB functions follow Hansen, Finck, Ros, Auger: "Real-parameter black-box optimization benchmarking 2009: noiseless functions
// definitions" (INRIA RR-6829). The random numbers behind an instance (optimum, optimal value, rotations) are those of the testbed, so
// that values can be compared with published ones.
package bbob
