package nnopt

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/kronecker"
	"github.com/spdopt/spdopt/spectral"
)

// kfacLayer is what KFAC knows about a layer. The slots hold the averages of the factors, what their inverse needs (inverses, or eigenvectors and
// eigenvalues) and the last step, in T; products with the factors are in float64.
type kfacLayer[T Float] struct {
	o        *KFAC
	names    Layer
	w, b     int // positions of the blocks, -1 before the first step; b stays so without a bias
	slots    []Slot[T]
	examples int                      // behind the sums
	sums     [2]dense.Matrix[float64] // of the running step, B and A, upper triangles
	outer    kronecker.Outer[T]
	averaged []T // inputs of a grouped convolution
	summed   []T // over positions

	g, d, t dense.Matrix[float64] // gradient, direction, workspace; Dout x Din with the bias as last column
	product dense.Matrix[float64] // of the model by factors, and the last step
	last    dense.Matrix[float64]
	full    [2]dense.Matrix[float64] // B and A, corrected averages
	apply   [2]dense.Matrix[float64] // inverses, or eigenvectors as columns
	work    [2]dense.Matrix[float64]
	values  [2][]float64 // eigenvalues
	solver  eigen.Solver
	loaded  bool // apply and values hold what the slots hold
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

func newKFACLayer[T Float](r *kfacRule[T], names Layer, b *Block[T], slots []Slot[T]) *kfacLayer[T] {
	k := &kfacLayer[T]{o: &r.o, names: names, w: -1, b: -1, slots: slots}
	sizes := [2]int{b.Rows, slots[kfacLast].Cols}
	for i, n := range sizes {
		square := func() dense.Matrix[float64] { return dense.New[float64](n, n) }
		k.sums[i], k.full[i], k.apply[i], k.work[i], k.values[i] = square(), square(), square(), square(), make([]float64, n)
	}
	matrix := func() dense.Matrix[float64] { return dense.New[float64](sizes[0], sizes[1]) }
	k.g, k.d, k.t = matrix(), matrix(), matrix()
	if r.o.Model == ModelFactors {
		k.product, k.last = matrix(), matrix()
	}
	return k
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
	if k.examples == 0 {
		k.sums[0].Zero()
		k.sums[1].Zero()
	}
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
		mean := dense.Wrap(in.Rows, width, k.grown(&k.averaged, in.Rows*width))
		kronecker.AverageGroups(in, mean)
		in = mean
	}
	k.add(1, in, reps, weight)
	k.add(0, out, reps, float64(n)*terms)
	return nil
}

// collapsed returns the sums of inputs and outputs over the positions of each of n examples.
func (k *kfacLayer[T]) collapsed(s *Stats[T], n int) (in, out dense.Matrix[T]) {
	memory := k.grown(&k.summed, n*(s.In.Cols+s.Out.Cols))
	in, out = dense.Wrap(n, s.In.Cols, memory), dense.Wrap(n, s.Out.Cols, memory[n*s.In.Cols:])
	clear(memory)
	if s.Sums != nil {
		s.Sums(in)
	} else {
		kronecker.Collapse(s.In, s.Reps, in)
	}
	kronecker.Collapse(s.Out, s.Reps, out)
	return in, out
}

// add adds weight times the outer products of rows that are sums over reps positions.
func (k *kfacLayer[T]) add(side int, x dense.Matrix[T], reps int, weight float64) {
	w := k.work[side]
	w.Zero()
	k.outer.Add(x, float64(reps), w)
	k.outer.Flush(w)
	for i := range w.Rows {
		dense.Axpy(weight, w.Row(i)[i:], k.sums[side].Row(i)[i:])
	}
}

func (k *kfacLayer[T]) grown(buffer *[]T, n int) []T {
	if cap(*buffer) < n {
		*buffer = make([]T, n)
	}
	return (*buffer)[:n]
}

// average takes the sums into the moving averages. Sums that are not finite are left out.
func (k *kfacLayer[T]) average() bool {
	share := (1 - k.o.Average) / float64(k.examples)
	k.examples = 0
	for _, s := range k.sums {
		for i := range s.Rows {
			for _, v := range s.Row(i)[i:] {
				if !(math.Abs(v*share) < largestGradient[T]()) {
					return false
				}
			}
		}
	}
	for side, s := range k.sums {
		to := k.slots[kfacOutput+side].Data
		n := s.Rows
		for i := range n {
			row := s.Row(i)
			for j := i; j < n; j++ {
				v := T(k.o.Average*float64(to[i*n+j]) + share*row[j])
				to[i*n+j], to[j*n+i] = v, v
			}
		}
	}
	return true
}

// load sets full to the averages over their weight.
func (k *kfacLayer[T]) load(weight float64) {
	for side := range k.full {
		for i, v := range k.slots[kfacOutput+side].Data {
			k.full[side].Data[i] = float64(v) / weight
		}
	}
}

// invert brings what applies the inverse up to date with the factors in full. When it fails everything stays as it was.
func (k *kfacLayer[T]) invert(damping float64, fresh bool) bool {
	b, a := k.full[0], k.full[1]
	switch k.o.Inverse {
	case InversePi, InversePlain:
		onB, onA := kronecker.Split(kronecker.Kind(k.o.Inverse), b, a, damping)
		for side, d := range []float64{onB, onA} {
			k.work[side].Copy(k.full[side])
			if kronecker.Invert(k.work[side], d, "", k.apply[side]) != nil {
				k.loaded = false
				return false
			}
		}
	default:
		for side := range k.full {
			if !k.basis(side, fresh) {
				k.loaded = false
				return false
			}
		}
	}
	for side := range k.full {
		store(k.work[side].Data, k.slots[kfacOutputInverse+side].Data)
		if len(k.slots) > kfacOutputValues {
			store(k.values[side], k.slots[kfacOutputValues+side].Data)
		}
	}
	k.loaded = false
	return true
}

func store[T Float](x []float64, slot []T) {
	for i, v := range x {
		slot[i] = T(v)
	}
}

// basis sets work and values to the eigenvectors of a factor: by decomposition, or by sweeps from the basis in use.
func (k *kfacLayer[T]) basis(side int, fresh bool) bool {
	k.work[side].Copy(k.full[side])
	if k.o.Inverse == InverseExact {
		return k.solver.Sym(k.work[side], k.values[side])
	}
	n := k.full[side].Rows
	q := dense.New[float64](n, n)
	if fresh {
		q.Identity()
	} else {
		k.orthogonal(side, q)
	}
	ones := make([]float64, n)
	for i := range ones {
		ones[i] = 1
	}
	f, err := spectral.FromEigen(mat.NewDense(n, n, q.Data), ones)
	if err != nil {
		return false
	}
	step := &spectral.Step{MaxSweeps: 1}
	if fresh {
		step.MaxSweeps = 0
	}
	if rep := f.Follow(mat.NewSymDense(n, k.full[side].Data), step); rep.Err != nil {
		return false
	}
	raw := f.Basis().RawMatrix()
	k.work[side].Copy(dense.Matrix[float64]{Rows: n, Cols: n, Stride: raw.Stride, Data: raw.Data})
	copy(k.values[side], f.Eigenvalues())
	return true
}

// orthogonal sets q to the stored basis, by one Newton-Schulz step freed of the rounding to T.
func (k *kfacLayer[T]) orthogonal(side int, q dense.Matrix[float64]) {
	w, gram := k.apply[side], k.work[side]
	for i, v := range k.slots[kfacOutputInverse+side].Data {
		w.Data[i] = float64(v)
	}
	dense.Gemm(dense.Transposed, dense.NoTrans, -0.5, w, w, 0, gram)
	for i := range gram.Rows {
		gram.Data[i*gram.Stride+i] += 1.5
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, w, gram, 0, q)
	k.loaded = false
}

// direct sets d to the inverse applied to the gradient g.
func (k *kfacLayer[T]) direct(damping float64) {
	if !k.loaded {
		for side := range k.apply {
			for i, v := range k.slots[kfacOutputInverse+side].Data {
				k.apply[side].Data[i] = float64(v)
			}
			if len(k.slots) > kfacOutputValues {
				for i, v := range k.slots[kfacOutputValues+side].Data {
					k.values[side][i] = max(float64(v), 0)
				}
			}
		}
		k.loaded = true
	}
	k.d.Copy(k.g)
	if len(k.slots) <= kfacOutputValues {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, k.apply[0], k.d, 0, k.t)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, k.t, k.apply[1], 0, k.d)
		return
	}
	kronecker.Rotate(dense.Transposed, k.apply[0], k.apply[1], k.d, k.t)
	for i, l := range k.values[0] {
		row := k.d.Row(i)
		for j, m := range k.values[1] {
			row[j] /= l*m + damping
		}
	}
	kronecker.Rotate(dense.NoTrans, k.apply[0], k.apply[1], k.d, k.t)
}

// gather sets g to the gradient of the layer, clipped and with what L2 decay adds.
func (k *kfacLayer[T]) gather(blocks []Block[T], updates []engine.Update) {
	w, u := &blocks[k.w], updates[k.w]
	for i := range w.Rows {
		row := k.g.Row(i)
		for j := range w.Cols {
			row[j] = u.GradScale*float64(w.Grad[i*w.Cols+j]) + u.L2*float64(w.Value[i*w.Cols+j])
		}
	}
	if k.b < 0 {
		return
	}
	b, v := &blocks[k.b], updates[k.b]
	for i := range b.Len() {
		k.g.Set(i, k.g.Cols-1, v.GradScale*float64(b.Grad[i])+v.L2*float64(b.Value[i]))
	}
}
