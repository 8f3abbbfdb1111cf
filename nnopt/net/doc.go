// Package net is a compact library of layers and losses that carries tangents: forward and backward are written once, and from the same code come
// the loss, its gradient, the derivative of the outputs along a direction (JVP), exact Hessian-vector products (forward over reverse),
// Gauss-Newton products, and the per-layer statistics of Kronecker-factored curvature.
//
//	n := net.New[float64](net.Chain[float64](
//		net.NewLinear[float64](r, 2, 8, net.LinearOptions{}),
//		net.NewActivation[float64](net.Tanh),
//		net.NewLinear[float64](r, 8, 2, net.LinearOptions{}),
//	), &net.CrossEntropy[float64]{}, 1)
//	batch := &net.Batch[float64]{N: 4, X: nnopt.MatrixOf(4, 2, inputs), Target: net.Target[float64]{Classes: classes}}
//	feed := net.NewFeed(n, opt) // opt: nnopt.New, any of them
//	err := opt.Init(n.Blocks())
//	for step := range steps {
//		loss, err := feed.Gradient(batch, func() *rand.Rand { return r })
//		_, err := opt.Step(n.Blocks(), nnopt.StepInfo{LRScale: 1})
//	}
//	loss, outputs := n.Evaluate(batch)
//
// Activations are matrices whose rows are positions: with N examples of S positions each (pixels, tokens, nodes; S = 1 for plain vectors) a batch has
// N*S rows, the positions of an example next to each other, and one column per feature. Images are therefore stored with the channel last.
//
// A layer is one file with one entry in Layers, a loss one file with one entry in Losses; the entries bring what the shared checks need.
// Layers own their buffers: once a batch of the largest size has been seen, no pass allocates. A Net is used by one goroutine at a time.
package net
