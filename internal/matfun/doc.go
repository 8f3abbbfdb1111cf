// Package matfun computes functions of batches of symmetric matrices (square roots, logarithm, exponential, absolute value) in products only, on any
// engine: what a device is good at. Results lie in the memory of the engine.
package matfun
