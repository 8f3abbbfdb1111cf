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

// kronGroupColumns is the number of columns of a group of blocks from which on it costs next to nothing beside them to add up the sums of several groups, kronGroups that
// of groups at most.
const kronGroupColumns, kronGroups = 4096, 16

// kronSamples are p x q samples in blocks of several side by side. The same memory, read as rows of q numbers, is a tall matrix in which row r of sample
// i is one row, so that sums of Y'Y over samples are one product too. Groups of blocks are shared among threads; their number depends on the samples alone.
type kronSamples[T dense.Float] struct {
	p, q, each int
	blocks     []dense.Matrix[T] // p x (samples q)
	groups     int
	full       int // elements of a full block

	source dense.Matrix[float64] // samples, one a row, to fill the blocks with in the next pass, times scale
	scale  float64

	shared dense.Crew[kronPlace[T]]
	pass   kronPass[T]
	totals [][]float64     // of each group
	size   int             // of the order of a total
	passes kronPasses[T]   // kept, since they cost memory
	factor dense.Matrix[T] // what samples are multiplied by in a pass
	use    kronUse[T]      // of scatter
}

// kronPass adds to the lower triangle of the total what the blocks [from, to) contribute to a sum.
type kronPass[T dense.Float] func(at *kronPlace[T], from, to int, total dense.Matrix[float64])

// kronUse makes use of z, which has taken the place of work, for block i, and returns memory for the next.
type kronUse[T dense.Float] func(i int, z dense.Matrix[T]) []T

type kronPasses[T dense.Float] struct {
	whitenRows, scatter kronPass[T]
	exchange            kronUse[T]
}

// kronPlace is where a thread works on a group.
type kronPlace[T dense.Float] struct {
	work    []T               // of the size of a block
	sum     dense.Matrix[T]   // scratch: a sum of V'V over a block
	gram    *dense.RowGram[T] // for sums of V V'
	part    dense.Matrix[T]   // p x p, made when it is needed
	wide    *kronWide         // for exact sums
	touched T                 // without meaning
}

// kronWide is what exact sums take.
type kronWide struct {
	work []float64
	gram *dense.RowGram[float64]
}

// newKronSamples makes blocks of what memory returns, so many pieces of so many elements, whose contents do not matter. There is room for rows that sums of V V'
// read. Blocks to work in are asked for later, one by one.
func newKronSamples[T dense.Float](count, p, q int, memory func(pieces, n int) [][]T) *kronSamples[T] {
	s := &kronSamples[T]{p: p, q: q, each: max(1, int(kronBlock/math.Sqrt(float64(p*q))))}
	s.full = min(s.each, count) * dense.RowGramRows(p) * q
	for i, piece := range memory(dense.PartsOf(count, s.each), s.full) {
		cols := min(s.each, count-i*s.each) * q
		s.blocks = append(s.blocks, dense.Wrap(p, cols, piece[:p*cols:s.full]))
	}
	s.groups = max(1, min(count*q/kronGroupColumns, kronGroups, len(s.blocks)))
	s.totals = make([][]float64, s.groups)
	for i := range s.totals {
		s.totals[i] = make([]float64, max(p, q)*max(p, q))
	}
	s.shared.Do = s.group
	s.shared.New = func() *kronPlace[T] {
		return &kronPlace[T]{work: memory(1, s.full)[0], sum: dense.New[T](q, q), gram: dense.NewRowGram[T](p)}
	}
	s.passes = kronPasses[T]{s.whitenRowsPart, s.scatterPart, s.exchange}
	return s
}

// run makes a pass over all groups and sets the symmetric sum to scale times what it adds up, in the order of the groups.
func (s *kronSamples[T]) run(pass kronPass[T], sum dense.Matrix[float64], scale float64) {
	s.pass, s.size = pass, sum.Rows
	s.shared.Run(s.groups)
	s.source = dense.Matrix[float64]{}
	sum.Zero()
	for i := range s.groups {
		addLower(sum, scale, s.total(i))
	}
	mirrorLower(sum)
}

func (s *kronSamples[T]) total(i int) dense.Matrix[float64] {
	return dense.Wrap(s.size, s.size, s.totals[i])
}

// group makes the pass over one group.
func (s *kronSamples[T]) group(i int, at *kronPlace[T]) {
	total := s.total(i)
	total.Zero()
	s.pass(at, i*len(s.blocks)/s.groups, (i+1)*len(s.blocks)/s.groups, total)
}

// read makes the rows of x, times scale, the samples; blocks are filled when the next pass comes to them.
func (s *kronSamples[T]) read(x dense.Matrix[float64], scale float64) { s.source, s.scale = x, scale }

// block returns a block, and brings it into the caches.
func (s *kronSamples[T]) block(at *kronPlace[T], i int) dense.Matrix[T] {
	b := s.blocks[i]
	if s.source.Rows > 0 {
		s.fill(b, i)
	} else {
		at.touch(b.Data)
	}
	return b
}

// fill sets b to block i of the source. The rows of b come in order: memory is written faster than it is in the order of the samples.
func (s *kronSamples[T]) fill(b dense.Matrix[T], i int) {
	for r := range s.p {
		for to, j := b.Row(r), i*s.each; len(to) > 0; to, j = to[s.q:], j+1 {
			dense.Convert(s.scale, s.source.Row(j)[r*s.q:(r+1)*s.q], to[:s.q])
		}
	}
}

// touch reads the data of a block, four lines at a time from its quarters, which brings it into the caches faster than products do, or than line after line.
func (at *kronPlace[T]) touch(data []T) {
	const line = 8
	quarter, sum := len(data)/4, T(0)
	first, second, third, last := data[:quarter], data[quarter:2*quarter], data[2*quarter:3*quarter], data[3*quarter:]
	for i := 0; i < quarter; i += line {
		sum += first[i] + second[i] + third[i] + last[i]
	}
	at.touched = sum
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

// whitenRows replaces every sample V by C^-1 V, given that inverse, lower triangular, or no matrix for I, and sets b to scale sum V'V.
func (s *kronSamples[T]) whitenRows(inverse dense.Matrix[T], b dense.Matrix[float64], scale float64) {
	s.factor = inverse
	s.run(s.passes.whitenRows, b, scale)
}

func (s *kronSamples[T]) whitenRowsPart(at *kronPlace[T], from, to int, total dense.Matrix[float64]) {
	for i := from; i < to; i++ {
		v := s.block(at, i)
		if s.factor.Rows > 0 {
			z := at.like(v)
			mulLowerPanels(s.factor, v, z)
			at.work, v = s.exchange(i, z), z
		}
		s.columnScatter(at, v, total)
	}
}

// like returns the work of a place in the shape of v.
func (at *kronPlace[T]) like(v dense.Matrix[T]) dense.Matrix[T] {
	return dense.Wrap(v.Rows, v.Cols, at.work[:len(v.Data)])
}

// columnScatter adds the lower triangle of V'V, summed over the samples of a block, to the total.
func (s *kronSamples[T]) columnScatter(at *kronPlace[T], block dense.Matrix[T], total dense.Matrix[float64]) {
	v, beta := s.tall(block), T(0)
	rows := max(1, kronGram/int(unsafe.Sizeof(beta))/s.q)
	for i := 0; i < v.Rows; i += rows {
		part := v.View(i, 0, min(rows, v.Rows-i), s.q)
		dense.GemmLower(dense.Transposed, dense.NoTrans, 1, part, part, beta, at.sum)
		beta = 1
	}
	addLower(total, 1, at.sum)
}

// rowScatter sets p to the mean of the V L^-T (V L^-T)', given the inverse of L.
func (s *kronSamples[T]) rowScatter(inverse dense.Matrix[T], p dense.Matrix[float64]) {
	s.scatter(inverse, p, nil)
}

// whitenColumns is rowScatter after which every sample V is V L^-T.
func (s *kronSamples[T]) whitenColumns(inverse dense.Matrix[T], p dense.Matrix[float64]) {
	s.scatter(inverse, p, s.passes.exchange)
}

// scatter is rowScatter with a use of every block of samples V L^-T, which may replace those of V, or none.
func (s *kronSamples[T]) scatter(inverse dense.Matrix[T], p dense.Matrix[float64], use kronUse[T]) {
	s.factor, s.use = inverse, use
	s.run(s.passes.scatter, p, 1/float64(s.count()))
}

func (s *kronSamples[T]) scatterPart(at *kronPlace[T], from, to int, total dense.Matrix[float64]) {
	for i := from; i < to; i++ {
		v := s.block(at, i)
		z := at.like(v)
		dense.MulLowerRight(dense.Transposed, s.factor, s.tall(v), s.tall(z))
		at.gram.Add(z)
		if s.use != nil {
			at.work = s.use(i, z)
		}
	}
	at.gram.AddTo(total)
}

// exactScatter is rowScatter given the inverse of L less I, in which the rounding of the product with that and of the sums hardly matters.
func exactScatter(s *kronSamples[float32], change dense.Matrix[float32], p dense.Matrix[float64]) {
	s.run(func(at *kronPlace[float32], from, to int, total dense.Matrix[float64]) {
		if at.wide == nil {
			at.wide = &kronWide{make([]float64, s.full), dense.NewRowGram[float64](s.p)}
		}
		for i := from; i < to; i++ {
			v := s.block(at, i)
			z := at.like(v)
			dense.MulLowerRight(dense.Transposed, change, s.tall(v), s.tall(z))
			w := dense.Wrap(v.Rows, v.Cols, at.wide.work[:len(v.Data)])
			dense.AddDouble(v.Data, z.Data, w.Data)
			at.wide.gram.Add(w)
		}
		at.wide.gram.AddTo(total)
	}, p, 1/float64(s.count()))
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
