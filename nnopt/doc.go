// Package nnopt holds optimizers over plain blocks of parameters: they see names, shapes, values and gradients, never layers, so that any training
// code can use them.
//
//	blocks := []nnopt.Block[float32]{{Name: "w", Rows: 64, Cols: 10, Value: w, Grad: g}}
//	opt, err := nnopt.NewAdamW[float32](nnopt.AdamW{Settings: nnopt.Settings{LR: 1e-3}})
//	err = opt.Init(blocks)
//	for ... {                                  // fill blocks[k].Grad
//		report, err := opt.Step(blocks, nnopt.StepInfo{LRScale: 1}) // or a Schedule's At(step); the zero StepInfo moves nothing
//	}
//
// Two kinds of optimizers want more of a training loop: what an Averager has found is in the blocks after its Eval, and kfac, ikfac and singd learn from
// statistics of the layers (StatsObserver), which net.Feed shows them; blocks of which they know no layer take plain steps.
//
// New makes any optimizer by its name in the registry (Optimizers). Networks, data and a training loop of one's own choice are in nnopt/net, nnopt/data and
// nnopt/train.
//
// Every optimizer is one file with one entry in the registry, and shares what Settings describes: learning rate, four kinds of weight
// decay, clipping, parameter groups and what to do about gradients that are not finite. A step allocates nothing and has the same bits for any
// number of threads; State and SetState resume a run bit for bit.
package nnopt
