package problem

import (
	"math"
	"unsafe"

	"github.com/spdopt/spdopt/internal/dense"
)

// kronBlock is the number of rows and columns, in the geometric mean, of all samples of a block, which should stay in the caches from one product to the
// next, and the longest inner dimension that products do not cut; kronPanel is the number of rows of a product with a triangle, and kronGram the number of bytes of
// what products sum in place.
const kronBlock, kronPanel, kronGram = 512, 8, 200 << 10

// kronSamples are p x q samples in blocks of several side by side. The same memory, read as rows of q numbers, is a tall matrix in which row r of sample
// i is one row, so that sums of Y'Y over samples are one product too.
type kronSamples[T dense.Float] struct {
	p, q, each int
	blocks     []dense.Matrix[T] // p x (samples q)
	sum        dense.Matrix[T]   // scratch: a sum of V'V over a block
	gram       *dense.RowGram[T] // for sums of V V', made when it is needed

	source dense.Matrix[float64] // samples, one a row, of which blocks from unread on are to be filled, times scale
	scale  float64
	unread int

	touched T // without meaning
}

// newKronSamples makes blocks of what memory returns: so many pieces of so many elements, whose contents do not matter. There is room for rows that sums of V V' read.
func newKronSamples[T dense.Float](count, p, q int, memory func(pieces, n int) [][]T) *kronSamples[T] {
	s := &kronSamples[T]{p: p, q: q, each: max(1, int(kronBlock/math.Sqrt(float64(p*q)))), sum: dense.New[T](q, q)}
	full := min(s.each, count) * dense.RowGramRows(p) * q
	for i, piece := range memory((count+s.each-1)/s.each, full) {
		cols := min(s.each, count-i*s.each) * q
		s.blocks = append(s.blocks, dense.Wrap(p, cols, piece[:p*cols:full]))
	}
	return s
}

// largest returns the number of elements of a full block.
func (s *kronSamples[T]) largest() int { return cap(s.blocks[0].Data) }

// read makes the rows of x, times scale, the samples; blocks are filled when they are first asked for.
func (s *kronSamples[T]) read(x dense.Matrix[float64], scale float64) {
	s.source, s.scale, s.unread = x, scale, 0
}

// block returns a block after the samples of those up to it have been read.
func (s *kronSamples[T]) block(i int) dense.Matrix[T] {
	for ; !s.filled(i); s.unread++ {
		s.fill(s.blocks[s.unread], s.unread)
	}
	return s.blocks[i]
}

// filled says whether block i has been filled already.
func (s *kronSamples[T]) filled(i int) bool { return s.source.Rows == 0 || i < s.unread }

// fill sets b to block i of the source. The rows of b come in order: memory is written faster than it is in the order of the samples.
func (s *kronSamples[T]) fill(b dense.Matrix[T], i int) {
	for r := range s.p {
		for to, j := b.Row(r), i*s.each; len(to) > 0; to, j = to[s.q:], j+1 {
			convert(s.scale, s.source.Row(j)[r*s.q:(r+1)*s.q], to[:s.q])
		}
	}
}

// kronShort is the number of elements from which on kernels convert them faster.
const kronShort = 32

// convert sets dst to scale x.
func convert[T dense.Float](scale float64, x []float64, dst []T) {
	if len(x) < kronShort {
		for i, v := range x {
			dst[i] = T(scale * v)
		}
		return
	}
	switch dst := any(dst).(type) {
	case []float32:
		dense.ScaleSingle(scale, x, dst)
	case []float64:
		dense.Scale(scale, x, dst)
	}
}

// touch reads the data of a block, four lines at a time from its quarters, which brings it into the caches faster than products do, or than line after line.
func (s *kronSamples[T]) touch(data []T) {
	const line = 8
	quarter, sum := len(data)/4, T(0)
	first, second, third, last := data[:quarter], data[quarter:2*quarter], data[2*quarter:3*quarter], data[3*quarter:]
	for i := 0; i < quarter; i += line {
		sum += first[i] + second[i] + third[i] + last[i]
	}
	s.touched = sum
}

// tall returns a block, or something of its shape, as rows of q.
func (s *kronSamples[T]) tall(block dense.Matrix[T]) dense.Matrix[T] {
	return dense.Wrap(len(block.Data)/s.q, s.q, block.Data)
}

// count returns the number of samples.
func (s *kronSamples[T]) count() (n int) {
	for _, b := range s.blocks {
		n += b.Cols / s.q
	}
	return n
}

// exchange makes z, which has the shape of block i, that block, and returns the memory that it had.
func (s *kronSamples[T]) exchange(i int, z dense.Matrix[T]) []T {
	old := s.blocks[i].Data
	s.blocks[i] = z
	return old[:cap(old)]
}

// whitenRows replaces every sample V by C^-1 V, given that inverse, lower triangular, or no matrix for I, and sets b to scale sum V'V. work has
// the size of a block; what takes its place is returned.
func (s *kronSamples[T]) whitenRows(inverse dense.Matrix[T], b dense.Matrix[float64], scale float64, work []T) []T {
	b.Zero()
	for i := range s.blocks {
		filled := s.filled(i)
		v := s.block(i)
		if inverse.Rows > 0 {
			if filled {
				s.touch(v.Data)
			}
			z := dense.Wrap(v.Rows, v.Cols, work[:len(v.Data)])
			mulLowerPanels(inverse, v, z)
			work, v = s.exchange(i, z), z
		}
		s.columnScatter(v)
		addLower(b, scale, s.sum)
	}
	mirrorLower(b)
	return work
}

// columnScatter sets the lower triangle of s.sum to V'V, summed over the samples of a block.
func (s *kronSamples[T]) columnScatter(block dense.Matrix[T]) {
	v, beta := s.tall(block), T(0)
	rows := max(1, kronGram/int(unsafe.Sizeof(beta))/s.q)
	for i := 0; i < v.Rows; i += rows {
		part := v.View(i, 0, min(rows, v.Rows-i), s.q)
		dense.GemmLower(dense.Transposed, dense.NoTrans, 1, part, part, beta, s.sum)
		beta = 1
	}
}

// rowScatter sets p to the mean of the V L^-T (V L^-T)', given the inverse of L. work has the size of a block.
func (s *kronSamples[T]) rowScatter(inverse dense.Matrix[T], p dense.Matrix[float64], work []T) {
	s.scatter(inverse, p, work, func(int, dense.Matrix[T]) []T { return work })
}

// whitenColumns is rowScatter after which every sample V is V L^-T. What takes the place of work is returned.
func (s *kronSamples[T]) whitenColumns(inverse dense.Matrix[T], p dense.Matrix[float64], work []T) []T {
	return s.scatter(inverse, p, work, s.exchange)
}

// scatter is rowScatter with a use of every block of samples V L^-T, which may replace those of V. It returns memory for the next.
func (s *kronSamples[T]) scatter(inverse dense.Matrix[T], p dense.Matrix[float64], work []T, use func(i int, z dense.Matrix[T]) []T) []T {
	gram := s.rowGram()
	for i, v := range s.blocks {
		s.touch(v.Data)
		z := dense.Wrap(v.Rows, v.Cols, work[:len(v.Data)])
		dense.MulLowerRight(dense.Transposed, inverse, s.tall(v), s.tall(z))
		gram.Add(z)
		work = use(i, z)
	}
	gram.MoveTo(p, 1/float64(s.count()))
	return work
}

func (s *kronSamples[T]) rowGram() *dense.RowGram[T] {
	if s.gram == nil {
		s.gram = dense.NewRowGram[T](s.p)
	}
	return s.gram
}

// exactScatter is rowScatter given the inverse of L less I, in which the rounding of the product with that and of the sums hardly matters.
func exactScatter(s *kronSamples[float32], change dense.Matrix[float32], p dense.Matrix[float64], work []float32) {
	wide, gram := make([]float64, s.largest()), dense.NewRowGram[float64](s.p)
	for _, v := range s.blocks {
		s.touch(v.Data)
		z := dense.Wrap(v.Rows, v.Cols, work[:len(v.Data)])
		dense.MulLowerRight(dense.Transposed, change, s.tall(v), s.tall(z))
		w := dense.Wrap(v.Rows, v.Cols, wide[:len(v.Data)])
		dense.AddDouble(v.Data, z.Data, w.Data)
		gram.Add(w)
	}
	gram.MoveTo(p, 1/float64(s.count()))
}

// mulLowerPanels sets dst to l b for the lower triangular l with zeros above the diagonal: for wide b faster than dense.MulLower.
func mulLowerPanels[T dense.Float](l, b, dst dense.Matrix[T]) {
	for i := 0; i < l.Rows; i += kronPanel {
		h := min(kronPanel, l.Rows-i)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, l.View(i, 0, h, i+h), b.View(0, 0, i+h, b.Cols), 0, dst.View(i, 0, h, b.Cols))
	}
}

// addLower adds scale times the lower triangle of a to that of sum.
func addLower[T dense.Float](sum dense.Matrix[float64], scale float64, a dense.Matrix[T]) {
	for i := range sum.Rows {
		to, from := sum.Row(i)[:i+1], a.Row(i)[:i+1]
		for j, x := range from {
			to[j] += scale * float64(x)
		}
	}
}

// mirrorLower copies the strict lower triangle of a to the upper one.
func mirrorLower(a dense.Matrix[float64]) {
	for i := range a.Rows {
		for j, x := range a.Row(i)[:i] {
			a.Set(j, i, x)
		}
	}
}
