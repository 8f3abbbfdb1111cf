package nnopt

import (
	"fmt"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/kronecker"
)

// kfacLayer is what KFAC knows about a layer. The slots hold the averages of the factors, what their inverse needs (inverses, or eigenvectors and
// eigenvalues) and the last step, in T; products with the factors are in float64.
type kfacLayer[T Float] struct {
	rule     *kfacRule[T]
	o        *KFAC
	at       *kfacGround[T]
	names    Layer
	w, b     int // positions of the blocks, -1 before the first step; b stays so without a bias
	slots    []Slot[T]
	examples int                      // behind the sums
	sums     [2]dense.Matrix[float64] // of the running step, B and A, upper triangles
	grams    [2]dense.Matrix[T]       // of a pass, on a device
	group    *kfacGroup[T]
	index    int                // in it
	rows     [2]dense.Matrix[T] // those of a pass of which there are no grams yet
	reps     float64            // positions that each is the sum of
	weights  [2]float64         // of a pass
	keep     float64            // 0 for the first pass of a step, else 1
	pending  bool               // grams have to be added to the sums
	outer    kronecker.Outer[T]
	averaged []T // inputs of a grouped convolution
	summed   []T // over positions

	g, d   dense.Matrix[float64]    // gradient and direction, Dout x Din with the bias as last column
	moved  []T                      // a step or a gradient, as blocks hold it
	full   [2]dense.Matrix[float64] // B and A, corrected averages
	apply  [2]dense.Matrix[float64] // inverses, or eigenvectors as columns
	work   [2]dense.Matrix[float64]
	values [2][]float64 // eigenvalues
	solver eigen.Solver
	loaded bool // apply and values hold what the slots hold

	dampings [2]float64       // of the factors
	learned  bool             // statistics are taken in, in the running step
	seen     int              // the examples behind them
	adopted  bool             // there are new inverses, in work
	stay     [2]engine.Figure // what weights and bias are multiplied by

	based    [2]bool                  // the factor has a basis, in the running step
	sweepers [2]*eigenFactor[float64] // for InverseTracked on the processor
	turning  turning                  // of the sweepers
}

// The slots of a layer.
const (
	kfacLast = iota
	kfacOutput
	kfacInput
	kfacOutputInverse
	kfacInputInverse
	kfacOutputValues
	kfacInputValues
)

// newKFACLayer returns a layer without memory.
func newKFACLayer[T Float](r *kfacRule[T], g *kfacGroup[T], names Layer, slots []Slot[T]) *kfacLayer[T] {
	return &kfacLayer[T]{rule: r, o: &r.o, at: &r.at, names: names, w: -1, b: -1, slots: slots, group: g, index: len(g.layers)}
}

// observe adds the statistics of a pass to the sums: A to the mean of x x^T, B to that of the curvature's g g^T, weighted by examples.
func (k *kfacLayer[T]) observe(s *Stats[T], reduce bool, terms float64) error {
	width := k.g.Cols
	if k.names.Bias != "" {
		width--
	}
	in, out := s.In, s.Out
	if out.Cols != k.g.Rows || in.Cols < width || in.Cols%width != 0 || in.Rows != out.Rows || in.Rows < 1 || s.Reps < 1 || in.Rows%s.Reps != 0 {
		return &BlockError{s.Weight, fmt.Sprintf("has statistics of inputs %d x %d and outputs %d x %d, %d positions; the weights are %d x %d",
			in.Rows, in.Cols, out.Rows, out.Cols, s.Reps, k.g.Rows, width)}
	}
	n := in.Rows / s.Reps
	k.keep = one[float64](k.examples > 0)
	k.examples += n
	reps := 1
	if reduce {
		reps = s.Reps
	}
	weight := float64(n) / float64(in.Rows*reps)
	if reps > 1 {
		in, out = k.collapsed(s, n)
	}
	if in.Cols > width { // a grouped convolution
		in = k.at.averaged(in, dense.Wrap(in.Rows, width, k.at.grown(&k.averaged, in.Rows*width)))
	}
	k.add(1, in, reps, weight)
	k.add(0, out, reps, float64(n)*terms)
	return nil
}

// collapsed returns the sums of inputs and outputs over the positions of each of n examples.
func (k *kfacLayer[T]) collapsed(s *Stats[T], n int) (in, out dense.Matrix[T]) {
	memory := k.at.grown(&k.summed, n*(s.In.Cols+s.Out.Cols))
	in, out = dense.Wrap(n, s.In.Cols, memory), dense.Wrap(n, s.Out.Cols, memory[n*s.In.Cols:])
	k.at.e.Blend(0, nil, 0, nil, memory)
	if s.Sums != nil && !k.at.away() { // on a device the patches are there, and the processor would have to wait
		s.Sums(in)
	} else {
		k.at.collapse(s.In, s.Reps, in)
	}
	k.at.collapse(s.Out, s.Reps, out)
	return in, out
}

// add adds weight times the outer products of rows that are sums over reps positions. On a device that is left to absorb.
func (k *kfacLayer[T]) add(side int, x dense.Matrix[T], reps int, weight float64) {
	k.weights[side] = weight
	if k.at.away() {
		k.rows[side], k.reps, k.pending = x, float64(reps), true
		return
	}
	w := k.work[side]
	w.Zero()
	k.outer.Add(x, float64(reps), w)
	k.outer.Flush(w)
	k.collect(side)
}

// collect adds what is in work to the sums.
func (k *kfacLayer[T]) collect(side int) {
	k.at.wide.e.Blend(k.keep, k.sums[side].Data, k.weights[side], k.work[side].Data, k.sums[side].Data)
}

// damped says whether the inverse consists of those of the damped factors.
func (k *kfacLayer[T]) damped() bool { return k.o.Inverse == InversePi || k.o.Inverse == InversePlain }

// split returns the dampings of the factors, after measure and a wait.
func (k *kfacLayer[T]) split(damping float64) (d [2]float64) {
	if k.damped() {
		q, means := k.group.figures, k.group.means
		d[0], d[1] = kronecker.SplitMeans(kronecker.Kind(k.o.Inverse), k.full[0].Rows, k.full[1].Rows, q.Value(means[0], k.index), q.Value(means[1], k.index), damping)
	}
	return d
}

// invert makes what applies the inverse of the factors in full, with dampings, and says whether it is of use. Inverses on a device are left to the group.
func (k *kfacLayer[T]) invert(fresh bool) bool {
	k.loaded = false
	if !k.damped() {
		if !k.at.away() {
			k.based = [2]bool{k.basis(0, fresh), k.basis(1, fresh)}
		}
		return k.based[0] && k.based[1]
	}
	ok := true
	for side, d := range k.dampings {
		if k.at.away() {
			continue
		}
		k.work[side].Copy(k.full[side])
		ok = kronecker.Invert(k.work[side], d, "", k.apply[side]) == nil && ok
	}
	return ok
}

// adopt stores it, after a wait. When it is of no use everything stays as it was.
func (k *kfacLayer[T]) adopt() bool {
	if k.group.figures.Value(k.group.inverted, k.index) == 0 {
		return false
	}
	k.adopted = true
	for side := range k.full {
		if !k.at.away() { // there settle stores it
			fromDouble(k.at.wide.e, k.work[side].Data, k.slots[kfacOutputInverse+side].Data)
		}
		if len(k.slots) > kfacOutputValues {
			store(k.values[side], k.slots[kfacOutputValues+side].Data)
			k.loadValues(side)
		}
	}
	k.loaded = k.at.away()
	return true
}

// loadValues fetches the eigenvalues of a factor from their slot.
func (k *kfacLayer[T]) loadValues(side int) {
	for i, v := range k.slots[kfacOutputValues+side].Data {
		k.values[side][i] = max(float64(v), 0)
	}
}

func store[T Float](x []float64, slot []T) {
	for i, v := range x {
		slot[i] = T(v)
	}
}

// basis sets work and values to the eigenvectors of a factor: by decomposition, or for InverseTracked by one sweep from the basis in use. On the processor.
func (k *kfacLayer[T]) basis(side int, fresh bool) bool {
	e, q, m := k.at.wide.e, k.work[side], k.full[side]
	if !fresh {
		toDouble(e, k.slots[kfacOutputInverse+side].Data, q.Data)
	}
	if fresh || k.o.Inverse == InverseExact {
		return k.decompose(side)
	}
	f := k.sweepers[side]
	e.Copy(engine.One(q), engine.One(f.b))
	f.restore()
	f.approach(m, k.apply[side], &k.turning)
	e.Copy(engine.One(f.b), engine.One(q))
	copy(k.values[side], f.d)
	return true
}

// decompose is basis without sweeps.
func (k *kfacLayer[T]) decompose(side int) bool {
	k.work[side].Copy(k.full[side])
	return k.solver.Sym(k.work[side], k.values[side])
}

// fetch brings what applies the inverse from the slots.
func (k *kfacLayer[T]) fetch() {
	if k.loaded {
		return
	}
	for side := range k.apply {
		toDouble(k.at.wide.e, k.slots[kfacOutputInverse+side].Data, k.apply[side].Data)
		if len(k.slots) > kfacOutputValues {
			k.loadValues(side)
		}
	}
	k.loaded = true
}

// gather sets g to the gradient of the layer, clipped and with what L2 decay adds.
func (k *kfacLayer[T]) gather(blocks []Block[T], updates []engine.Update) {
	w := &blocks[k.w]
	k.take(w, updates[k.w], k.g.View(0, 0, w.Rows, w.Cols))
	if k.b >= 0 {
		k.take(&blocks[k.b], updates[k.b], k.g.View(0, w.Cols, w.Rows, 1))
	}
}

// take sets g to the gradient of a block.
func (k *kfacLayer[T]) take(b *Block[T], u engine.Update, g dense.Matrix[float64]) {
	e, own := k.at.wide.e, g
	if g.Stride > g.Cols {
		own = dense.Wrap(g.Rows, g.Cols, k.group.t.At(k.index).Data[:b.Len()])
	}
	toDouble(e, b.Grad, own.Data)
	if u.L2 == 0 {
		e.Blend(u.GradScale, own.Data, 0, nil, own.Data)
	} else {
		value := k.d.Data[:b.Len()]
		toDouble(e, b.Value, value)
		e.Blend(u.GradScale, own.Data, u.L2, value, own.Data)
	}
	if g.Stride > g.Cols {
		e.Copy(engine.One(own), engine.One(g))
	}
}
