package mixture

import (
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
)

// samplePass does in one precision all that reads the samples y, the rows (1, x) of an N x d matrix.
type samplePass interface {
	// forms sets q to the y'Py of the samples for a symmetric P, of which it reads the lower triangle.
	forms(p dense.Matrix[float64], q []float64)
	// moment sets both triangles of m to the mean of the r_i y y'.
	moment(r []float64, m dense.Matrix[float64])
}

// newLowPasses returns passes in bfloat16 and in single precision. Where the processor has no products of bfloat16, both are the second.
func newLowPasses(y sampleBlocks) (rounded, single samplePass) {
	f := dense.NewSingleForms(y.order(), y.count())
	if f == nil {
		single = newProductPass[float32](y)
		return single, single
	}
	r := dense.NewRoundedForms(y.order(), y.count())
	if r == nil {
		single = newFormsPass(y, f)
		return single, single
	}
	rounded, single = newFormsPass(y, r), newFormsPass(y, f)
	return rounded, single
}

// formKernels are those for points in the columns of a matrix.
type formKernels interface {
	Set(first int, w dense.Matrix[float32])
	Forms(y dense.Matrix[float32], q []float32)
	Moment(scale float32, r []float32, out dense.Matrix[float32])
}

// formsPass works by kernels that read the samples alone.
type formsPass struct {
	kernels formKernels
	low     dense.Matrix[float32]
	q       []float32
}

func newFormsPass(y sampleBlocks, kernels formKernels) *formsPass {
	y.each(func(first int, block dense.Matrix[float64]) {
		data, loan := dense.Borrow[float32](len(block.Data))
		defer loan.Return()
		dense.Convert(1, block.Data, data)
		kernels.Set(first, dense.Wrap(block.Rows, block.Cols, data))
	})
	d := y.order()
	return &formsPass{kernels: kernels, low: dense.New[float32](d, d), q: make([]float32, y.count())}
}

func (f *formsPass) forms(p dense.Matrix[float64], q []float64) {
	dense.Convert(1, p.Data, f.low.Data)
	f.kernels.Forms(f.low, f.q)
	dense.ToDouble(f.q, q)
}

func (f *formsPass) moment(r []float64, m dense.Matrix[float64]) {
	dense.Convert(1, r, f.q)
	f.kernels.Moment(1/float32(len(r)), f.q, f.low)
	dense.ToDouble(f.low.Data, m.Data)
}

// passElements is the number of elements of a block of samples: what is made of it should stay in the caches.
const passElements = 1 << 14

// passBlock returns the number of samples of a block, which is even.
func passBlock(d int) int { return max(passElements/d, 64) &^ 1 }

// sampleBlocks are samples as the columns of blocks, all of the same number but the last.
type sampleBlocks []dense.Matrix[float64]

func newSampleBlocks(y dense.Matrix[float64]) sampleBlocks {
	blocks := make(sampleBlocks, dense.PartsOf(y.Rows, passBlock(y.Cols)))
	new(dense.RowParts).Run(y.Rows, passBlock(y.Cols), func(part, from, to int) {
		blocks[part] = dense.New[float64](y.Cols, to-from)
		dense.Transpose(blocks[part], y.View(from, 0, to-from, y.Cols))
	})
	return blocks
}

func (s sampleBlocks) order() int { return s[0].Rows }

func (s sampleBlocks) count() int { return s[0].Cols*(len(s)-1) + s[len(s)-1].Cols }

// each calls do for every block, with the number of its first sample.
func (s sampleBlocks) each(do func(first int, block dense.Matrix[float64])) {
	new(dense.RowParts).Run(s.count(), s[0].Cols, func(part, from, _ int) { do(from, s[part]) })
}

// productPass works by matrix products with blocks of samples.
type productPass[T dense.Float] struct {
	y                   []dense.Matrix[T] // columns
	each                int               // of a block
	count               int
	z, t                []T // of a block
	whitening, lower, m dense.Matrix[T]
	ones, q             []T
}

func newProductPass[T dense.Float](y sampleBlocks) *productPass[T] {
	d, each := y.order(), y[0].Cols
	p := &productPass[T]{y: make([]dense.Matrix[T], len(y)), each: each, count: y.count(), z: make([]T, d*each), t: make([]T, d*each), whitening: dense.New[T](d, d), lower: dense.New[T](d, d), m: dense.New[T](d, d),
		ones: slices.Repeat([]T{1}, d), q: make([]T, each)}
	y.each(func(first int, block dense.Matrix[float64]) {
		b, same := any(block).(dense.Matrix[T])
		if !same {
			b = dense.New[T](block.Rows, block.Cols)
			dense.Convert(1, block.Data, b.Data)
		}
		p.y[first/each] = b
	})
	return p
}

// shaped returns memory in the shape of y.
func shaped[T dense.Float](y dense.Matrix[T], memory []T) dense.Matrix[T] {
	return dense.Wrap(y.Rows, y.Cols, memory[:len(y.Data)])
}

func (p *productPass[T]) forms(m dense.Matrix[float64], q []float64) {
	p.setLower(m)
	for b, y := range p.y {
		p.twice(y, q[b*p.each:])
	}
}

// whitenedForms sets q to the z'Wz, z = F^-1 y for a lower triangular F, for a symmetric W, which is accurate however small F is.
func (p *productPass[T]) whitenedForms(inverse, w dense.Matrix[float64], q []float64) {
	dense.Convert(1, inverse.Data, p.whitening.Data)
	p.setLower(w)
	for b, y := range p.y {
		z := shaped(y, p.z)
		dense.MulLower(dense.NoTrans, p.whitening, y, z)
		p.twice(z, q[b*p.each:])
	}
}

// squares sets q to the |z|^2.
func (p *productPass[T]) squares(inverse dense.Matrix[float64], q []float64) {
	dense.Convert(1, inverse.Data, p.whitening.Data)
	for b, y := range p.y {
		z := shaped(y, p.z)
		dense.MulLower(dense.NoTrans, p.whitening, y, z)
		p.rowSums(1, z, z, q[b*p.each:])
	}
}

// setLower keeps the lower triangle of a symmetric P and half its diagonal, H: y'Py = 2 y'Hy.
func (p *productPass[T]) setLower(m dense.Matrix[float64]) {
	dense.Convert(1, m.Data, p.lower.Data)
	for i := range p.lower.Rows {
		p.lower.Set(i, i, p.lower.At(i, i)/2)
	}
}

// twice sets q to the 2 y'Hy of a block.
func (p *productPass[T]) twice(y dense.Matrix[T], q []float64) {
	t := shaped(y, p.t)
	dense.MulLower(dense.NoTrans, p.lower, y, t)
	p.rowSums(2, y, t, q)
}

// rowSums sets q to scale times the inner products of the columns of a block.
func (p *productPass[T]) rowSums(scale T, y, z dense.Matrix[T], q []float64) {
	t, sums := shaped(y, p.t), p.q[:y.Cols]
	dense.Multiply(y.Data, z.Data, t.Data)
	dense.Gemv(dense.Transposed, scale, t, p.ones, 0, sums)
	dense.ToDouble(sums, q[:len(sums)])
}

func (p *productPass[T]) moment(r []float64, m dense.Matrix[float64]) {
	p.m.Zero()
	for b, y := range p.y {
		p.add(y, r[b*p.each:])
	}
	p.mean(m)
}

// whitenedMoment sets m to the mean of the r_i z z', z = F^-1 y, which is accurate however small F is.
func (p *productPass[T]) whitenedMoment(inverse dense.Matrix[float64], r []float64, m dense.Matrix[float64]) {
	dense.Convert(1, inverse.Data, p.whitening.Data)
	p.m.Zero()
	for b, y := range p.y {
		z := shaped(y, p.z)
		dense.MulLower(dense.NoTrans, p.whitening, y, z)
		p.add(z, r[b*p.each:])
	}
	p.mean(m)
}

// add adds the r_i z z' of a block to the sum.
func (p *productPass[T]) add(z dense.Matrix[T], r []float64) {
	t, weights := shaped(z, p.t), p.q[:z.Cols]
	dense.Convert(1, r[:z.Cols], weights)
	for j := range z.Rows {
		dense.Multiply(z.Row(j), weights, t.Row(j))
	}
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, z, t, 1, p.m)
}

func (p *productPass[T]) mean(m dense.Matrix[float64]) {
	dense.Scale(1/T(p.count), p.m.Data, p.m.Data)
	dense.ToDouble(p.m.Data, m.Data)
	dense.Mirror(m)
}
