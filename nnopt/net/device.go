package net

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// Use makes the layers compute on a device from now on; "" is the processor. Parameters and activations move to the memory of the device, so that the
// blocks that Blocks returned before are no longer those of the network. Layers and losses run on the device, but for the masks of dropout, the
// neighbours of a graph and losses of other packages. A device that fails later panics with an error that the command
// line and train.Run turn into a result.
func (n *Net[T]) Use(device string) (err error) {
	defer engine.Recover(&err)
	e, err := engine.Open[T](device)
	if err != nil || e == engine.CPU[T]() {
		return err
	}
	a := engine.NewArena(e)
	for k, p := range n.params {
		for _, part := range []*Dual[T]{&p.Value, &p.Grad} {
			for _, m := range []*Matrix[T]{&part.V, &part.D} {
				if m.Data != nil {
					moved := a.Alloc(len(m.Data))
					copy(moved, m.Data)
					m.Data = moved
				}
			}
		}
		n.blocks[k].Value, n.blocks[k].Grad = p.Value.V.Data, p.Grad.V.Data
	}
	if l, ok := n.Loss.(interface {
		use(engine.Backend[T], *engine.Arena[T])
	}); ok {
		l.use(e, a)
	}
	n.pass.use(e, a)
	return nil
}

// ground is where a pass or a loss computes.
type ground[T Float] struct {
	backend engine.Backend[T] // nil is the processor
	arena   *engine.Arena[T]
}

// use moves what follows to a device.
func (g *ground[T]) use(e engine.Backend[T], a *engine.Arena[T]) { g.backend, g.arena = e, a }

func (g *ground[T]) engine() engine.Backend[T] {
	if g.backend == nil {
		return engine.CPU[T]()
	}
	return g.backend
}

// grown returns s with n elements, or other memory that has room for them.
func (g *ground[T]) grown(s []T, n int) []T {
	if g.backend == nil || cap(s) >= n {
		return grown(s, n)
	}
	return g.arena.Alloc(n)
}

// total adds up.
func total(x []float64) (sum float64) {
	for _, v := range x {
		sum += v
	}
	return sum
}

// run runs the parts of a task: at the same time on the processor, one after the other on a device, which works on one call at a time.
func (p *Pass[T]) run(task *dense.Parallel, parts int) {
	if p.backend == nil {
		task.Run(parts)
		return
	}
	for i := range parts {
		task.Task.RunPart(i)
	}
}
