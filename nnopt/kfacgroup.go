package nnopt

import (
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/matfun"
)

// kfacGroup multiplies the matrices of layers of one shape: of one layer on the processor, on a device of all that have this shape, in the same calls. Those of the
// layers are views of its own.
type kfacGroup[T Float] struct {
	at     *kfacGround[T]
	sizes  [2]int // of B and A
	layers []*kfacLayer[T]
	names  []string              // of their weights, on a device
	stored [kfacOutputValues][]T // the slots of all layers but for eigenvalues

	full, apply, work [2]engine.Batch[float64]
	sums              [2]engine.Batch[float64]
	grams             [2]engine.Batch[T] // of a pass, on a device
	g, d, last        engine.Batch[float64]
	t, product        engine.Batch[float64]     // workspace; product is of the model by factors
	shares            []float64                 // of the columns of the directions
	tried             []T                       // the steps of a trial, on a device
	values            [2][]float64              // eigenvalues, those of one layer after those of the other
	solvers           [2]*matfun.Eigen[float64] // on a device
	sweeps            [2]*sweeps                // there, for InverseTracked
	learned           bool                      // statistics of some layer are taken in, in the running step

	figures            *engine.Reckoning[float64]
	numbers            [2][]float64     // one for each layer
	fine, inverted     engine.Figure    // whether the statistics, and the inverses, of the running step are of use
	means              [2]engine.Figure // of the diagonals of the factors
	gd, dd, gl, dl, ll engine.Figure    // inner products of gradient, direction and last step
}

// newGroup adds one without layers.
func (r *kfacRule[T]) newGroup(sizes [2]int) *kfacGroup[T] {
	g := &kfacGroup[T]{at: &r.at, sizes: sizes}
	r.groups = append(r.groups, g)
	return g
}

// groupOf returns one with room for a layer with factors of these sizes.
func (r *kfacRule[T]) groupOf(sizes [2]int) *kfacGroup[T] {
	for _, g := range r.groups {
		if g.sizes == sizes && (len(g.names)+1)*sizes[0]*sizes[1] <= wideElements {
			return g
		}
	}
	return r.newGroup(sizes)
}

// allot implements allotting: on a device layers of one shape share a group, with their slots one after the other.
func (r *kfacRule[T]) allot(blocks []Block[T], e engine.Backend[T], a *engine.Arena[T]) {
	r.moving, r.groups, r.placed, r.slotted = nil, nil, map[string]*kfacGroup[T]{}, slotPlaces[T]{}
	if e == engine.CPU[T]() {
		return
	}
	r.at = kfacGround[T]{e: e, arena: a, wide: wide(e)}
	for i := range blocks {
		b := &blocks[i]
		if l := r.layer(b.Name); l != nil && l.Weight == b.Name {
			g := r.groupOf(r.sizes(b, l))
			g.names = append(g.names, b.Name)
			r.placed[b.Name] = g
		}
	}
	for _, g := range r.groups {
		for i, shape := range storedShapes(g.sizes) {
			g.stored[i] = a.Alloc(len(g.names) * shape.rows * shape.cols)
			for k, name := range g.names {
				r.slotted.put(name, shape.name, partOf(g.stored[i], len(g.names), k))
			}
		}
	}
}

// slot implements allotting.
func (r *kfacRule[T]) slot(s *Slot[T]) bool { return r.slotted.give(s) }

// allocate takes memory where the layers compute, when there are all of them, and says what the group needs beside that in a step.
func (g *kfacGroup[T]) allocate() (needs []need[float64]) {
	n, sizes := len(g.layers), g.sizes
	matrices := func(rows, cols int) engine.Batch[float64] {
		return stacked(g.at.wide.arena.Alloc(n*rows*cols), n, rows, cols)
	}
	g.figures, g.numbers = engine.NewReckoning(g.at.wide.e, g.at.wide.arena, n, 128), [2][]float64{make([]float64, n), make([]float64, n)}
	g.shares = make([]float64, n*sizes[1])
	for i, n := range sizes {
		g.sums[i] = matrices(n, n)
		g.full[i], g.apply[i], g.work[i] = matrices(n, n), matrices(n, n), matrices(n, n)
		if g.at.away() {
			g.grams[i] = squares(g.at.arena.Alloc(len(g.layers)*n*n), len(g.layers), n)
		}
		for j, k := range g.layers {
			k.sums[i], k.full[i], k.apply[i], k.work[i] = g.sums[i].At(j), g.full[i].At(j), g.apply[i].At(j), g.work[i].At(j)
			if g.at.away() {
				k.grams[i] = g.grams[i].At(j)
			}
		}
	}
	g.g, g.d, g.last = matrices(sizes[0], sizes[1]), matrices(sizes[0], sizes[1]), matrices(sizes[0], sizes[1])
	for j, k := range g.layers {
		k.g, k.d = g.g.At(j), g.d.At(j)
		k.moved = g.at.arena.Alloc(sizes[0] * sizes[1])
	}
	g.decomposing()
	g.t = blank[float64](n, sizes[0], sizes[1])
	g.product = g.t
	needs = []need[float64]{{&g.t.Data, len(g.g.Data)}}
	if g.layers[0].o.Model == ModelFactors {
		needs = append(needs, need[float64]{&g.product.Data, len(g.g.Data)})
	}
	return needs
}

// decomposing makes what decompositions and sweeps need.
func (g *kfacGroup[T]) decomposing() {
	inverse, e, a := g.layers[0].o.Inverse, g.at.wide.e, g.at.wide.arena
	for side, sizes := range g.full {
		n, count := sizes.Rows, len(g.layers)
		g.values[side] = make([]float64, count*n)
		for j, k := range g.layers {
			k.turning = turning{maxNorm: 0.7, tol: 1e-12, sweeps: 1}
			k.values[side] = g.values[side][j*n : (j+1)*n]
			if inverse == InverseTracked && !g.at.away() {
				f := newEigenFactor(a.Alloc(n*n), make([]float64, n), a.Alloc(n*n))
				f.bind(newTurnWork(a, n, dense.CayleyWork(n)))
				k.sweepers[side] = f
			}
		}
		if g.at.away() && (inverse == InverseExact || inverse == InverseTracked) {
			g.solvers[side] = matfun.NewEigen(e, a, count, n)
		}
		if g.at.away() && inverse == InverseTracked {
			g.sweeps[side] = newSweeps(e, a, count, n)
		}
	}
}

// multiply makes the Gram matrices of what was observed, together where that is alike and of all layers.
func (g *kfacGroup[T]) multiply() {
	for side := range g.grams {
		if g.alike(side) {
			g.gram(side)
			continue
		}
		for _, k := range g.layers {
			if k.rows[side].Rows > 0 {
				g.at.gram(k.rows[side], k.reps, k.grams[side])
			}
		}
	}
	for _, k := range g.layers {
		k.rows = [2]dense.Matrix[T]{}
	}
}

// absorb adds to the sums, in float64, what passes have left in grams.
func (g *kfacGroup[T]) absorb() {
	if !slices.ContainsFunc(g.layers, func(k *kfacLayer[T]) bool { return k.pending }) {
		return
	}
	for side, m := range g.grams {
		toDouble(g.at.wide.e, m.Data, g.work[side].Data)
		for _, k := range g.layers {
			if k.pending {
				k.collect(side)
			}
		}
	}
	for _, k := range g.layers {
		k.pending = false
	}
}

// alike says whether there are several layers, all with as many rows.
func (g *kfacGroup[T]) alike(side int) bool {
	first := g.layers[0]
	return len(g.layers) > 1 && first.rows[side].Rows > 0 && !slices.ContainsFunc(g.layers, func(k *kfacLayer[T]) bool {
		return k.rows[side].Rows != first.rows[side].Rows || k.rows[side].Cols != first.rows[side].Cols || k.reps != first.reps
	})
}

// gram makes the Gram matrices of the rows of all layers, which are alike.
func (g *kfacGroup[T]) gram(side int) {
	first, e, n := g.layers[0], g.at.e, g.grams[side].Rows
	count, rows, cols := len(g.layers), first.rows[side].Rows, first.rows[side].Cols
	x := stacked(g.at.grown(&g.at.x, count*rows*n), count, rows, n)
	for j, k := range g.layers {
		e.Copy(engine.One(k.rows[side]), view(engine.One(x.At(j)), 0, 0, rows, cols))
	}
	if n > cols {
		e.AddRow([]T{T(first.reps)}, 0, view(x, 0, cols, rows, 1))
	}
	engine.Fast(e).GemmSymmetric(dense.Transposed, dense.NoTrans, 1, x, x, 0, g.grams[side])
}

// inverseTolerance is what ||A X - I||_F may be, by the root of the size, for an inverse X by products.
const inverseTolerance = 1e-4

// average takes the sums into the moving averages, on a device into those that settle stores, and says whether there are some. Sums that are not finite are left out,
// which it finds.
func (g *kfacGroup[T]) average() (observed bool) {
	keep, share := g.numbers[0], g.numbers[1]
	g.learned = false
	for j, k := range g.layers {
		keep[j], share[j], k.adopted = 1, 0, false
		if k.learned = k.examples > 0; k.learned {
			keep[j], share[j], g.learned = k.o.Average, (1-k.o.Average)/float64(k.examples), true
			k.seen, k.examples = k.examples, 0
		}
	}
	if !g.learned {
		return false
	}
	e, q, n := g.at.wide.e, g.figures, len(g.layers)
	part := q.Numbers(share)
	g.fine = q.Number(1)
	for side := range g.sums {
		g.fine = q.Times(g.fine, q.Below(q.Times(q.Tally(g.sums[side].Data).Top, part), q.Number(largestGradient[T]())))
	}
	stay, take := q.Pick(g.fine, q.Numbers(keep), q.Number(1)), q.Pick(g.fine, part, q.Number(0))
	q.Run()
	for side, w := range g.work {
		toDouble(e, g.stored[kfacOutput+side], w.Data)
		averages := lines(w.Data, n)
		e.BlendBy(q.Register(stay), averages, q.Register(take), lines(g.sums[side].Data, n), averages)
		e.Mirror(w)
		fromDouble(e, w.Data, g.latest(side))
	}
	return true
}

// latest is where the averages of a factor are, in the running step.
func (g *kfacGroup[T]) latest(side int) []T {
	if g.learned && g.at.away() {
		return g.grams[side].Data
	}
	return g.stored[kfacOutput+side]
}

// load sets full to the averages over their weight.
func (g *kfacGroup[T]) load(weight float64) {
	for side, f := range g.full {
		toDouble(g.at.wide.e, g.latest(side), f.Data)
		g.at.wide.e.Blend(1/weight, f.Data, 0, nil, f.Data)
	}
}

// measure finds what the damping is split by.
func (g *kfacGroup[T]) measure() {
	if g.layers[0].damped() {
		g.means = [2]engine.Figure{g.at.meanTrace(g.figures, g.full[0]), g.at.meanTrace(g.figures, g.full[1])}
	}
}

// invert makes what applies the inverses of the factors of the layers, and finds whether it is of use.
func (g *kfacGroup[T]) invert(fresh bool) {
	for j, k := range g.layers {
		g.numbers[0][j] = one[float64](k.invert(fresh))
	}
	q, e := g.figures, g.at.wide.e
	g.inverted = q.Numbers(g.numbers[0])
	if !g.at.away() || !g.layers[0].damped() {
		return
	}
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
		}
		near := q.Below(q.Root(q.Tally(p.Data).Squares), q.Number(inverseTolerance*math.Sqrt(float64(a.Rows))))
		g.inverted = q.Times(g.inverted, near)
	}
}

// adopt stores the inverses of the layers, on a device where settle finds them, and says whether all are of use.
func (g *kfacGroup[T]) adopt() bool {
	all := true
	for _, k := range g.layers {
		all = k.adopt() && all
	}
	if g.at.away() {
		g.eachAdopted(func(at, count int) {
			for side, n := range g.sizes {
				g.at.wide.e.Blend(1, of(g.work[side].Data, n, at, count), 0, nil, of(g.apply[side].Data, n, at, count))
			}
		})
	}
	return all
}

// eachAdopted calls do for stretches of layers with new inverses: count of them, from layer at on.
func (g *kfacGroup[T]) eachAdopted(do func(at, count int)) {
	for at := 0; at < len(g.layers); {
		count := 0
		for at+count < len(g.layers) && g.layers[at+count].adopted {
			count++
		}
		if count > 0 {
			do(at, count)
		}
		at += count + 1
	}
}

// recall fetches the last steps.
func (g *kfacGroup[T]) recall() { toDouble(g.at.wide.e, g.stored[kfacLast], g.last.Data) }

// scaleColumns multiplies the directions by the shares of weights and biases.
func (g *kfacGroup[T]) scaleColumns(r *kfacRule[T], updates []engine.Update) {
	for j, k := range g.layers {
		own, weights := partOf(g.shares, len(g.layers), j), r.share(updates, k.w)
		for i := range own {
			own[i] = weights
		}
		if k.b >= 0 {
			own[len(own)-1] = r.share(updates, k.b)
		}
	}
	g.at.wide.e.ScaleCols(g.shares, g.d, 0, g.d)
}

// compare finds the inner products that a step is chosen by, with the last step where that plays a part.
func (g *kfacGroup[T]) compare(withLast bool) {
	q := g.figures
	g.recall()
	g.gd, g.dd = g.at.dot(q, g.g, g.d), g.at.dot(q, g.d, g.d)
	if withLast {
		g.gl, g.dl, g.ll = g.at.dot(q, g.g, g.last), g.at.dot(q, g.d, g.last), g.at.dot(q, g.last, g.last)
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
		g.at.divide(k.values, damping+updates[k.w].L2, g.t.At(k.index), k.d)
	}
	g.at.sandwich(dense.NoTrans, g.apply, g.d, g.t, g.d)
}
