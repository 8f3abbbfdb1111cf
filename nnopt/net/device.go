package net

import (
	"reflect"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/nnopt"
)

// Use is UseRounded with the default precision, TF32 on devices that have it and FP32 on others.
func (n *Net[T]) Use(device string) error { return n.UseRounded(device, "") }

// UseRounded makes the layers compute on a device from now on; "" is the processor. Of float32 networks precision says how the operands of matrix products are
// rounded, forward, back and along tangents; parameters, activations, gradients and all sums are float32 in every precision, and losses, normalisation and softmax
// know none. Parameters and activations move to the memory of the device, so that the
// blocks that Blocks returned before are no longer those of the network. Layers and losses run on the device, but for losses and layers of other
// packages. A device that fails later panics with an error that the command
// line and train.Run turn into a result.
func (n *Net[T]) UseRounded(device string, precision nnopt.Precision) (err error) {
	defer engine.Recover(&err)
	e, err := engine.OpenRounded[T](device, precision, nnopt.TF32)
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
	g := ground[T]{backend: e, arena: a, costly: wide(e), defers: n.own()}
	if l, ok := n.Loss.(interface{ settleOn(g ground[T]) }); ok {
		l.settleOn(g)
		g.lossDefers = true
	}
	n.pass.settleOn(g)
	walk(n.Root, func(l Layer[T]) {
		if s, ok := l.(placed[T]); ok {
			s.use(&g)
		}
	})
	return nil
}

// wide returns an arena of the device of e for float64.
func wide[T Float](e engine.Backend[T]) *engine.Arena[float64] {
	if other, err := engine.Open[float64](e.Name()); err == nil {
		return engine.NewArena(other)
	}
	return nil
}

// own says whether all layers are of this package. Others may compute on the processor at any time, so that every call must wait.
func (n *Net[T]) own() (all bool) {
	all = true
	here := reflect.TypeFor[Net[T]]().PkgPath()
	walk(n.Root, func(l Layer[T]) {
		t := reflect.TypeOf(l)
		all = all && t.Kind() == reflect.Pointer && t.Elem().PkgPath() == here
	})
	return all
}

// ground is where a pass or a loss computes.
type ground[T Float] struct {
	backend    engine.Backend[T] // nil is the processor
	arena      *engine.Arena[T]
	costly     *engine.Arena[float64] // of the losses of rows
	defers     bool                   // the calls of a pass need not wait
	lossDefers bool                   // nor do those of the loss
}

// settleOn moves what follows to a device.
func (g *ground[T]) settleOn(other ground[T]) { *g = other }

// begin lets calls return before their work is done, until end.
func (g *ground[T]) begin() {
	if g.defers {
		engine.Defer(g.backend)
	}
}

// end waits.
func (g *ground[T]) end() {
	if g.defers {
		engine.Settle(g.backend)
	}
}

func (g *ground[T]) engine() engine.Backend[T] {
	if g.backend == nil {
		return engine.CPU[T]()
	}
	return g.backend
}

// products is the engine for products of matrices.
func (g *ground[T]) products() engine.Backend[T] { return engine.Fast(g.engine()) }

// grown returns s with n elements, or other memory that has room for them.
func (g *ground[T]) grown(s []T, n int) []T {
	if g.backend == nil || cap(s) >= n {
		return grown(s, n)
	}
	return g.arena.Alloc(n)
}

// ints is grown for integers.
func (g *ground[T]) ints(s []int32, n int) []int32 {
	if g.backend == nil || cap(s) >= n {
		return grown(s, n)
	}
	return g.arena.Ints(n)
}

// costs is grown for the losses of rows.
func (g *ground[T]) costs(s []float64, n int) []float64 {
	if g.backend == nil || cap(s) >= n {
		return grown(s, n)
	}
	return g.costly.Alloc(n)
}

// total waits and adds up.
func (g *ground[T]) total(x []float64) (sum float64) {
	engine.Wait(g.engine())
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
