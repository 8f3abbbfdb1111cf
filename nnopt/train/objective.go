package train

import (
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
)

// objective is the loss of the batch of the running step, in the mode of training, with the masks of the step.
type objective struct {
	net   *net.Net[float32]
	batch *net.Batch[float32]
}

var _ nnopt.Objective[float32] = (*objective)(nil)

// Loss implements nnopt.Objective.
func (o *objective) Loss() float64 {
	return o.net.Loss.Evaluate(net.Dual[float32]{V: o.net.Linearize(o.batch)}, &o.batch.Target, net.Dual[float32]{})
}

// CurvatureTo implements nnopt.Objective.
func (o *objective) CurvatureTo(dst, v []float32) { o.net.GGNVP(o.batch, v, dst) }

// Terms implements nnopt.Objective; it refers to the outputs of the last pass.
func (o *objective) Terms() float64 { return 1 / o.net.Loss.Factor(o.net.Outputs(), &o.batch.Target) }
