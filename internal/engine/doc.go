// Package engine is the device-neutral ground of the optimizers: batches of equal-shape matrices and the fused updates that work on them, behind
// one interface. The processor's implementation stands on internal/dense and is always there; another device adds itself with Register.
//
// Every result has the same bits for any number of threads. Numbers that change from step to step (learning rate, bias corrections) are passed
// as data, so that a device can record a step once and replay it. Calls allocate nothing.
package engine
