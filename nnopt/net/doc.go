// Package net is a compact library of layers and losses that carries tangents: forward and backward are written once, and from the same code come
// the loss, its gradient, the derivative of the outputs along a direction (JVP), exact Hessian-vector products (forward over reverse),
// Gauss-Newton products, and the per-layer statistics of Kronecker-factored curvature.
//
// Activations are matrices whose rows are positions: with N examples of S positions each (pixels, tokens, nodes; S = 1 for plain vectors) a batch has
// N*S rows, the positions of an example next to each other, and one column per feature. Images are therefore stored with the channel last.
//
// A layer is one file with one entry in Layers, a loss one file with one entry in Losses; the entries bring what the shared checks need.
// Layers own their buffers: once a batch of the largest size has been seen, no pass allocates. A Net is used by one goroutine at a time.
package net
