// Package enginetest holds what the tests of the processor's engine and of devices and the command "check device" have in common: a call of every operation.
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
	apart, unlike := make([]T, count*n), make([]T, count*n)
	for i := range apart {
		apart[i] = T(1 + i/2) // some are equal
		unlike[i] = 1 / apart[i]
	}
	on("FirstOrderAngle", func(out engine.Batch[T]) { e.FirstOrderAngle(apart, unlike, sym, out) })
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
	p, dp := Copy(a), Copy(b)
	dense.Scale(4, p.Data, p.Data) // some above 1/2
	cpu := engine.CPU[T]()
	cpu.Softmax(false, p, nil)
	cpu.SoftmaxMap(p, dp)
	on("SoftmaxMap", func(out engine.Batch[T]) { e.SoftmaxMap(p, out) })
	g, start := Copy(c), slices.Clone(c.Data)
	on("SoftmaxMapTangent", func(out engine.Batch[T]) { copy(g.Data, start); e.SoftmaxMapTangent(p, dp, g, out) })
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
	on("AdaGrad", func(out engine.Batch[T]) {
		copy(second, v)
		e.AdaGrad(engine.AdaGrad{Update: u, Eps: 1e-4, Most: 2}, out.Data, a.Data, second)
	})
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
	return append(all, more(e, r, count, n)...)
}

// more are the operations on elements, the pools and the losses.
func more[T dense.Float](e engine.Backend[T], r *rand.Rand, count, n int) (all []Operation[T]) {
	batch := func() engine.Batch[T] { return Random[T](r, count, n, n) }
	a, b, d := batch(), batch(), batch()
	on := func(name string, call func(out engine.Batch[T])) {
		out, start := Copy(d), slices.Clone(d.Data)
		all = append(all, Operation[T]{name, func() { copy(out.Data, start); call(out) }, out.Data})
	}
	for _, f := range [][2]T{{0, 0}, {1, 0}, {0.5, 0}, {0, 2}, {0.3, -0.7}} {
		on(fmt.Sprintf("Blend %v", f), func(out engine.Batch[T]) { e.Blend(f[0], a.Data, f[1], b.Data, out.Data) })
	}
	on("Blend in place", func(out engine.Batch[T]) { e.Blend(0.9, out.Data, 0.1, b.Data, out.Data) })
	on("Multiply", func(out engine.Batch[T]) { e.Multiply(a.Data, b.Data, 0, out.Data) })
	on("Multiply and keep", func(out engine.Batch[T]) { e.Multiply(a.Data, b.Data, 0.5, out.Data) })
	on("AddSquares", func(out engine.Batch[T]) { e.AddSquares(0.9, 0.2, 0.01, a.Data, out.Data) })
	positive := Positive[T](r, len(a.Data))
	on("DivideRoot", func(out engine.Batch[T]) { e.DivideRoot(positive, 0.8, 1e-3, out.Data) })
	on("Power", func(out engine.Batch[T]) { e.Power(positive, -0.3, out.Data) })
	for _, c := range []engine.Curve{engine.ReLU, engine.GELU, engine.SiLU, engine.Tanh, engine.Logistic} {
		slope, bend := make([]T, len(a.Data)), make([]T, len(a.Data))
		on(fmt.Sprintf("Apply %d", c), func(out engine.Batch[T]) { e.Apply(c, a.Data, out.Data, slope, nil) })
		on(fmt.Sprintf("Apply %d, slope", c), func(out engine.Batch[T]) { e.Apply(c, a.Data, slope, out.Data, bend) })
		on(fmt.Sprintf("Apply %d, bend", c), func(out engine.Batch[T]) { e.Apply(c, a.Data, slope, bend, out.Data) })
	}
	on("Unit", func(out engine.Batch[T]) { e.Unit(out.Data, count, 1e-8) })
	tiny := a.Data[0] / T(1e6)
	on("Unit below", func(out engine.Batch[T]) { e.Blend(tiny, a.Data, 0, nil, out.Data); e.Unit(out.Data, 1, 3) })
	on("Mask", func(out engine.Batch[T]) {
		e.Mask(engine.Mask[T]{Seed: 7 << 60, Step: 1 << 63, Rate: 0.3, Keep: 1.25}, out.Data)
	})
	lists := engine.Sparse[T]{Start: make([]int32, n+1)}
	for i := range n {
		for range r.IntN(4) {
			lists.Index, lists.Weight = append(lists.Index, int32(r.IntN(n))), append(lists.Weight, T(r.NormFloat64()))
		}
		lists.Start[i+1] = int32(len(lists.Index))
	}
	on("WeighRows", func(out engine.Batch[T]) { e.WeighRows(lists, a.At(0), 1, out.At(0)) })
	on("WeighRows alone", func(out engine.Batch[T]) { e.WeighRows(lists, a.At(0), 0, out.At(0)) })
	both, sums, tops, numbers := [][]T{a.Data, b.Data[:7]}, make([]float64, 2), make([]float64, 2), make([]T, 4)
	all = append(all, Operation[T]{"Measure", func() {
		e.Measure(both, sums, tops)
		for k := range sums {
			numbers[2*k], numbers[2*k+1] = T(sums[k]), T(tops[k])
		}
	}, numbers})
	all = append(all, figures(e, a.Data, on)...)
	on("AddRow", func(out engine.Batch[T]) { e.AddRow(positive[:n], 1, out) })
	on("AddRow alone", func(out engine.Batch[T]) { e.AddRow(positive[:n], 0, out) })
	on("Copy", func(out engine.Batch[T]) { e.Copy(a, out) })
	on("Transpose", func(out engine.Batch[T]) {
		from, to := a, out
		from.Rows, to.Cols = n-1, n-1
		e.Transpose(from, to)
	})
	on("Mirror", func(out engine.Batch[T]) { e.Mirror(out) })
	on("SetDiagonal", func(out engine.Batch[T]) { e.SetDiagonal(positive[:count*n], out) })
	vector := func(name string, call func(out []T)) {
		out := make([]T, count*n)
		all = append(all, Operation[T]{name, func() { clear(out); call(out) }, out})
	}
	vector("Diagonal", func(out []T) { e.Diagonal(a, out) })
	est, skew := make([]float64, count), Symmetric(Copy(a), -1)
	vector("NormEstimate", func(out []T) {
		e.NormEstimate(skew, est)
		for k, v := range est {
			out[k] = T(v)
		}
	})
	all = append(all, pools(e, r, n)...)
	all = append(all, losses(e, r, count, n)...)
	return append(append(all, decompositions(e, r, count, n)...), factors(e, r, count, n)...)
}

// pools are windows that overlap and leave a rest, and all positions.
func pools[T dense.Float](e engine.Backend[T], r *rand.Rand, n int) (all []Operation[T]) {
	height := n + 2
	for _, f := range []struct {
		p       engine.Pool
		outputs int
	}{
		{engine.Pool{Height: height, Width: 6, Window: 3, Stride: 2, OutHeight: (height-3)/2 + 1, OutWidth: 2, Weight: 0.25}, 2 * ((height-3)/2 + 1) * 2},
		{engine.Pool{Weight: 0.5}, 4},
	} {
		x, y := Random[T](r, 1, 2*height*6, n).At(0), Random[T](r, 1, f.outputs, n).At(0)
		chosen := make([]int32, f.outputs*n)
		e.Choose(f.p, x, f.outputs, chosen)
		picked := make([]T, len(chosen))
		all = append(all, Operation[T]{fmt.Sprintf("Choose %d", f.outputs), func() {
			clear(chosen)
			e.Choose(f.p, x, f.outputs, chosen)
			for i, v := range chosen {
				picked[i] = T(v)
			}
		}, picked})
		for _, largest := range []bool{false, true} {
			p := f.p
			p.Max = largest
			down, up := Random[T](r, 1, f.outputs, n).At(0), Random[T](r, 1, 2*height*6, n).At(0)
			all = append(all,
				Operation[T]{fmt.Sprintf("Reduce %d %v", f.outputs, largest), func() { e.Reduce(p, x, chosen, down) }, down.Data},
				Operation[T]{fmt.Sprintf("Spread %d %v", f.outputs, largest), func() { e.Spread(p, y, chosen, up) }, up.Data})
		}
	}
	return all
}

func losses[T dense.Float](e engine.Backend[T], r *rand.Rand, count, n int) (all []Operation[T]) {
	out, p, dp, values := Random[T](r, count, n, n), Random[T](r, count, n, n), Random[T](r, count, n, n), Random[T](r, count, n, n)
	norms, cost, classes := make([]T, count*n), make([]float64, count*n), make([]int32, count*n)
	e.Copy(out, p)
	e.Softmax(false, p, norms)
	for i := range classes {
		classes[i] = int32(r.IntN(n+1) - 1)
	}
	classes[0] = 0
	numbers := make([]T, count*n)
	paid := func(name string, call func()) {
		all = append(all, Operation[T]{name, func() {
			call()
			for i, v := range cost {
				numbers[i] = T(v)
			}
		}, numbers})
	}
	for _, soft := range []bool{false, true} {
		l := engine.CrossEntropy[T]{Factor: 0.5, Smoothing: 0.1, Classes: classes, Values: values, Out: out, P: p, Norms: norms, Cost: cost}
		if soft {
			l.Classes = nil
		}
		paid(fmt.Sprintf("CrossEntropy %v", soft), func() { e.CrossEntropy(l) })
		d, steep, bent := Copy(dp), l, l
		steep.G, bent.G, bent.D = Random[T](r, count, n, n), Random[T](r, count, n, n), d
		all = append(all, Operation[T]{fmt.Sprintf("CrossEntropy %v, gradient", soft), func() { e.CrossEntropy(steep) }, steep.G.Data})
		all = append(all, Operation[T]{fmt.Sprintf("CrossEntropy %v, bend", soft), func() { copy(d.Data, dp.Data); e.CrossEntropy(bent) }, d.Data})
	}
	none := engine.Batch[T]{}
	for _, kind := range []engine.Misfit{engine.Square, engine.Absolute, engine.BinaryCrossEntropy} {
		g, d, flat := Random[T](r, count, n, n), Random[T](r, count, n, n), Random[T](r, count, n, n)
		paid(fmt.Sprintf("Misfits %d", kind), func() { e.Misfits(kind, 0.5, out, none, values, none, none, cost) })
		all = append(all,
			Operation[T]{fmt.Sprintf("Misfits %d, gradient", kind), func() { e.Misfits(kind, 0.5, out, none, values, g, none, cost) }, g.Data},
			Operation[T]{fmt.Sprintf("Misfits %d, bend", kind), func() { e.Misfits(kind, 0.5, out, dp, values, g, d, cost) }, d.Data},
			Operation[T]{fmt.Sprintf("Misfits %d, flat", kind), func() { e.Misfits(kind, 0.5, out, none, values, g, flat, cost) }, flat.Data})
	}
	return all
}
