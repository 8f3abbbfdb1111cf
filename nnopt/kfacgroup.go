package nnopt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// kfacGroup multiplies the matrices of layers of one shape: of one layer on the processor, on a device of all that have this shape, in the same calls. Those of the
// layers are views of its own.
type kfacGroup[T Float] struct {
	layers            []*kfacLayer[T]
	at                *kfacGround[T]
	full, apply, work [2]engine.Batch[float64]
	g, d, t, last     engine.Batch[float64]
	product           engine.Batch[float64] // of the model by factors
}

// kfacElements bounds the elements of the steps of a group.
const kfacElements = 1 << 25

// group makes the groups of all layers, with their memory.
func (r *kfacRule[T]) group() {
	r.groups = nil
	for _, k := range r.moving {
		var own *kfacGroup[T]
		for _, g := range r.groups {
			if sizes := k.sizes(); r.at.away() && g.layers[0].sizes() == sizes && (len(g.layers)+1)*sizes[0]*sizes[1] <= kfacElements {
				own = g
			}
		}
		if own == nil {
			own = &kfacGroup[T]{at: &r.at}
			r.groups = append(r.groups, own)
		}
		own.layers = append(own.layers, k)
	}
	for _, g := range r.groups {
		g.allocate()
	}
}

// allocate makes the workspace, where the layers compute.
func (g *kfacGroup[T]) allocate() {
	matrices := func(rows, cols int) engine.Batch[float64] {
		count := len(g.layers)
		return engine.Batch[float64]{Count: count, Rows: rows, Cols: cols, Stride: cols, Step: rows * cols, Data: g.at.wide.arena.Alloc(count * rows * cols)}
	}
	sizes := g.layers[0].sizes()
	for i, n := range sizes {
		sums := matrices(n, n)
		g.full[i], g.apply[i], g.work[i] = matrices(n, n), matrices(n, n), matrices(n, n)
		for j, k := range g.layers {
			k.sums[i], k.full[i], k.apply[i], k.work[i] = sums.At(j), g.full[i].At(j), g.apply[i].At(j), g.work[i].At(j)
			if g.at.away() {
				k.grams[i] = dense.Wrap(n, n, g.at.arena.Alloc(n*n))
			}
		}
	}
	g.g, g.d, g.t, g.last = matrices(sizes[0], sizes[1]), matrices(sizes[0], sizes[1]), matrices(sizes[0], sizes[1]), matrices(sizes[0], sizes[1])
	factors := g.layers[0].o.Model == ModelFactors
	if factors {
		g.product = matrices(sizes[0], sizes[1])
	}
	for j, k := range g.layers {
		k.g, k.d, k.t, k.last = g.g.At(j), g.d.At(j), g.t.At(j), g.last.At(j)
		if factors {
			k.product = g.product.At(j)
		}
		k.moved = g.at.arena.Alloc(sizes[0] * sizes[1])
		k.decomposing()
	}
}

// inverseTolerance is what ||A X - I||_F may be, by the root of the size, for an inverse X by products.
const inverseTolerance = 1e-4

// invert makes what applies the inverses of the factors of the layers, and finds whether it is of use.
func (g *kfacGroup[T]) invert(fresh bool) {
	for _, k := range g.layers {
		k.invert(fresh)
	}
	if !g.at.away() || !g.layers[0].damped() {
		return
	}
	q, e := g.at.figures, g.at.wide.e
	for side := range g.full {
		a, x, p := g.full[side], g.work[side], g.apply[side]
		for _, k := range g.layers {
			m := engine.One(k.full[side])
			e.Combine(k.dampings[side], 1, m, 0, m, engine.One(k.work[side]))
		}
		e.Invert(x)
		e.Mirror(x)
		e.Gemm(dense.NoTrans, dense.NoTrans, 1, a, x, 0, p)
		for _, k := range g.layers {
			check := engine.One(k.apply[side])
			e.Combine(-1, 1, check, k.dampings[side], engine.One(k.work[side]), check)
			near := q.Below(q.Root(q.Tally(k.apply[side].Data).Squares), q.Number(inverseTolerance*math.Sqrt(float64(a.Rows))))
			k.inverted = q.Times(k.inverted, near)
		}
	}
}

// direct sets d to the inverses applied to the gradients g.
func (g *kfacGroup[T]) direct(damping float64, updates []engine.Update) {
	for _, k := range g.layers {
		k.fetch()
	}
	exact := !g.layers[0].damped()
	g.at.sandwich(dense.Trans(exact), g.apply, g.g, g.t, g.d)
	if !exact {
		return
	}
	for _, k := range g.layers {
		g.at.divide(k.values, damping+updates[k.w].L2, k.t, k.d)
	}
	g.at.sandwich(dense.NoTrans, g.apply, g.d, g.t, g.d)
}
