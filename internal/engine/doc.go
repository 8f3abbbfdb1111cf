// Package engine is the device-neutral ground of the optimizers: batches of equal-shape matrices (float32, float64, bfloat16 as storage), and
// products, spectral kernels, row and column operations, normalisations, patches of images and fused updates on them, behind one
// interface. The processor's implementation stands on internal/dense and is always there; another device adds itself with Register.
//
// Every result has the same bits for any number of threads. Numbers that change from step to step (learning rate, bias corrections) are passed
// as data, so that a device can record a step once and replay it. Calls allocate nothing.
package engine
