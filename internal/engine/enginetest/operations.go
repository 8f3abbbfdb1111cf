// Package enginetest holds what the tests of the processor's engine and of devices have in common: a call of every operation.
package enginetest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// Random returns a batch with gaps between rows and between matrices, and normal numbers everywhere.
func Random[T dense.Float](r *rand.Rand, count, rows, cols int) engine.Batch[T] {
	b := engine.Batch[T]{Count: count, Rows: rows, Cols: cols, Stride: cols + 3}
	b.Step = rows*b.Stride + 2
	b.Data = make([]T, count*b.Step)
	for i := range b.Data {
		b.Data[i] = T(r.NormFloat64())
	}
	return b
}

// Copy returns a batch with its own data.
func Copy[T dense.Float](b engine.Batch[T]) engine.Batch[T] {
	b.Data = slices.Clone(b.Data)
	return b
}

// Positive returns n numbers between 1/2 and 2.
func Positive[T dense.Float](r *rand.Rand, n int) []T {
	v := make([]T, n)
	for i := range v {
		v[i] = T(0.5 + 1.5*r.Float64())
	}
	return v
}

// Symmetric makes the matrices of a square batch symmetric, skew with sign -1.
func Symmetric[T dense.Float](b engine.Batch[T], sign T) engine.Batch[T] {
	for k := range b.Count {
		m := b.At(k)
		for i := range m.Rows {
			for j := range i {
				m.Set(i, j, sign*m.At(j, i))
			}
			if sign < 0 {
				m.Set(i, i, 0)
			}
		}
	}
	return b
}

// Operation is a call with fresh operands and what it writes.
type Operation[T dense.Float] struct {
	Name string
	Call func()
	Out  []T
}

// Operations returns every operation of the backend on seeded operands of about the given size.
func Operations[T dense.Float](e engine.Backend[T], seed uint64, count, n int) []Operation[T] {
	r := rand.New(rand.NewPCG(seed, 3))
	batch := func() engine.Batch[T] { return Random[T](r, count, n, n) }
	a, b, c, d := batch(), batch(), batch(), batch()
	skew := Symmetric(batch(), -1)
	for i := range skew.Data {
		skew.Data[i] /= T(4 * n)
	}
	sym := Symmetric(batch(), 1)
	s, x := Positive[T](r, count*n), Positive[T](r, count*n)
	inverse := make([]T, count*n)
	for i, v := range s {
		inverse[i] = 1 / v
	}
	vector := func() []T { return make([]T, count*n) }
	narrow := engine.NarrowBatch{Count: count, Rows: n, Cols: n, Stride: a.Stride, Step: a.Step, Data: make([]engine.BFloat16, len(a.Data))}
	e.Narrow(a.Data, narrow.Data)
	var all []Operation[T]
	add := func(name string, out []T, call func()) { all = append(all, Operation[T]{name, call, out}) }
	on := func(name string, call func(out engine.Batch[T])) {
		out, start := Copy(d), slices.Clone(d.Data)
		add(name, out.Data, func() { copy(out.Data, start); call(out) })
	}
	onVector := func(name string, call func(out []T)) {
		out := vector()
		add(name, out, func() { clear(out); call(out) })
	}

	on("Gemm", func(out engine.Batch[T]) { e.Gemm(dense.NoTrans, dense.Transposed, 2, a, b, 0.5, out) })
	on("GemmSymmetric", func(out engine.Batch[T]) { e.GemmSymmetric(dense.NoTrans, dense.Transposed, 1, a, a, 0, out) })
	on("GemmNarrow", func(out engine.Batch[T]) { e.GemmNarrow(dense.Transposed, dense.NoTrans, 1, narrow, narrow, 1, out) })
	on("BoundedAngle", func(out engine.Batch[T]) { e.BoundedAngle(s, inverse, x, sym, out) })
	on("Cayley", func(out engine.Batch[T]) { e.Cayley(skew, 0, out) })
	on("Cayley product", func(out engine.Batch[T]) { e.Cayley(skew, 3, out) })
	onVector("RotatedDiagonal", func(out []T) { e.RotatedDiagonal(a, sym, out) })
	bounds := make([]float64, count)
	onVector("NormBound", func(out []T) {
		e.NormBound(skew, bounds)
		for k, v := range bounds {
			out[k] = T(v)
		}
	})
	onVector("FromIdentity", func(out []T) {
		e.FromIdentity(a, bounds)
		for k, v := range bounds {
			out[k] = T(v)
		}
	})
	on("Combine", func(out engine.Batch[T]) { e.Combine(0.5, 2, out, -1, a, out) })
	on("Combine one", func(out engine.Batch[T]) { e.Combine(0.5, 2, a, 0, out, out) })
	on("ScaleRows", func(out engine.Batch[T]) { e.ScaleRows(s, a, 0.5, out) })
	on("ScaleCols", func(out engine.Batch[T]) { e.ScaleCols(s, a, 0.5, out) })
	onVector("ColSums", func(out []T) { e.ColSums(a, out) })
	onVector("ColDots", func(out []T) { e.ColDots(a, b, out) })
	onVector("RowDots", func(out []T) { e.RowDots(a, b, out) })
	on("Softmax", func(out engine.Batch[T]) { e.Softmax(false, out, x) })
	on("Softmax causal", func(out engine.Batch[T]) { e.Softmax(true, out, nil) })
	on("SoftmaxMap", func(out engine.Batch[T]) { e.SoftmaxMap(a, out) })
	g, start := Copy(c), slices.Clone(c.Data)
	on("SoftmaxMapTangent", func(out engine.Batch[T]) { copy(g.Data, start); e.SoftmaxMapTangent(a, b, g, out) })
	for _, columns := range []bool{false, true} {
		form := engine.Normalisation[T]{Center: true, Columns: columns, Eps: 1e-3, H: Copy(a), DH: b, Scale: s, Bend: vector()}
		on(fmt.Sprintf("Normalise %v", columns), func(out engine.Batch[T]) { f := form; f.Scale, f.H = x, out; e.Normalise(f, a) })
		on(fmt.Sprintf("NormaliseMap %v", columns), func(out engine.Batch[T]) { e.NormaliseMap(form, c, out) })
		on(fmt.Sprintf("NormaliseMapTangent %v", columns), func(out engine.Batch[T]) { e.NormaliseMapTangent(form, c, a, b, out) })
	}
	index := make([]int32, n)
	for i := range index {
		index[i] = int32(r.IntN(n))
	}
	on("Gather", func(out engine.Batch[T]) { e.Gather(a.At(0), index, out.At(0)) })
	on("Scatter", func(out engine.Batch[T]) { e.Scatter(a.At(0), index, out.At(0)) })
	w := engine.Window{Height: n, Width: 5, Channels: 4, Groups: 2, KernelHeight: 3, KernelWidth: 2, Dilation: 2, StrideHeight: 1, StrideWidth: 2, PaddingHeight: 2, PaddingWidth: 1}
	height, width := w.Size()
	images, patches := Random[T](r, count, n*5, 4), Random[T](r, count, height*width, 24)
	images.Stride = 4
	add("Patches", patches.Data, func() { e.Patches(w, images, patches) })
	back := Copy(images)
	add("Pixels", back.Data, func() { e.Pixels(w, patches, back) })
	wide := make([]T, len(narrow.Data))
	add("Widen", wide, func() { e.Narrow(b.Data, narrow.Data); e.Widen(narrow.Data, wide) })
	m, v := make([]engine.BFloat16, len(a.Data)), Positive[T](r, len(a.Data))
	on("AdamNarrow", func(out engine.Batch[T]) {
		clear(m)
		e.AdamNarrow(engine.Adam{Update: engine.Update{LR: 0.1, GradScale: 1}, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, A: 1, C: 1}, out.Data, a.Data, m, v)
	})
	u := engine.Update{LR: 0.1, GradScale: 0.5, L2: 0.1, Decay: 0.01}
	for _, mu := range []float64{0, 0.9} {
		slow := make([]T, len(a.Data))
		on(fmt.Sprintf("Momentum %v", mu), func(out engine.Batch[T]) {
			copy(slow, b.Data)
			e.Momentum(engine.Momentum{Update: u, Mu: mu, Nesterov: true}, out.Data, a.Data, slow)
		})
	}
	first, second, z, y := make([]T, len(a.Data)), make([]T, len(a.Data)), make([]T, len(a.Data)), make([]T, len(a.Data))
	on("Adam", func(out engine.Batch[T]) {
		copy(first, b.Data)
		copy(second, v)
		e.Adam(engine.Adam{Update: u, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, A: 0.8, B: 0.3, C: 1.5}, out.Data, a.Data, first, second)
	})
	for _, share := range []float64{0, 0.9} {
		on(fmt.Sprintf("ScheduleFree %v", share), func(out engine.Batch[T]) {
			copy(first, b.Data)
			copy(second, v)
			copy(z, b.Data)
			copy(y, c.Data)
			e.ScheduleFree(engine.ScheduleFree{Update: u, Beta1: 0.9, Beta2: 0.99, Inner: 0.8, Eps: 1e-8, A: share, B: 1 - share, C: 1.5, Mix: 0.2, DecayAverage: share > 0},
				out.Data, a.Data, first, second, z, y)
		})
	}
	on("Sign", func(out engine.Batch[T]) {
		copy(first, b.Data)
		e.Sign(engine.Sign{Update: u, Beta1: 0.9, Beta2: 0.99}, out.Data, a.Data, first)
	})
	for _, mu := range []float64{0, 0.9} {
		on(fmt.Sprintf("RootFree %v", mu), func(out engine.Batch[T]) {
			copy(first, b.Data)
			copy(second, v)
			e.RootFree(engine.RootFree{Update: u, Beta2: 0.9, Take: 0.3, Correction: 1.2, Eps: 1e-4, Mu: mu, Inside: 0.01, Average: mu == 0}, out.Data, a.Data, second, first)
		})
	}
	return all
}
