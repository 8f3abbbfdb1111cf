package problem

import "github.com/spdopt/spdopt/internal/dense"

// kronBlock is the number of rows or columns of all samples of a block, which should stay in the caches from one product to the next; products with longer
// inner dimensions are slower.
const kronBlock = 640

// kronSamples are p x q samples in blocks of several side by side. The same memory, read as rows of q numbers, is a tall matrix in which row r of sample
// i is one row, so that sums of Y'Y over samples are one product too.
type kronSamples[T dense.Float] struct {
	p, q, each int
	blocks     []dense.Matrix[T] // p x (samples q)
	sum        dense.Matrix[T]   // scratch: a sum over a block
	wide       []float64         // scratch: a block
}

func newKronSamples[T dense.Float](count, p, q int) *kronSamples[T] {
	n := max(p, q)
	s := &kronSamples[T]{p: p, q: q, each: max(1, kronBlock/n), sum: dense.New[T](n, n)}
	full := min(s.each, count) * p * q
	for first := 0; first < count; first += s.each {
		cols := min(s.each, count-first) * q
		s.blocks = append(s.blocks, dense.Wrap(p, cols, make([]T, full)[:p*cols]))
	}
	return s
}

// largest returns the number of elements of a full block.
func (s *kronSamples[T]) largest() int { return cap(s.blocks[0].Data) }

// sample returns sample i.
func (s *kronSamples[T]) sample(i int) dense.Matrix[T] {
	return s.blocks[i/s.each].View(0, i%s.each*s.q, s.p, s.q)
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
	sum := s.sum.View(0, 0, s.q, s.q)
	for i, v := range s.blocks {
		if inverse.Rows > 0 {
			z := dense.Wrap(v.Rows, v.Cols, work[:len(v.Data)])
			dense.MulLower(dense.NoTrans, inverse, v, z)
			work, v = s.exchange(i, z), z
		}
		dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, s.tall(v), s.tall(v), 0, sum)
		addScaledUpper(b, scale, sum)
	}
	dense.Mirror(b)
	return work
}

// rowScatter sets p to the mean of the V L^-T (V L^-T)', given the inverse of L. work has the size of a block.
func (s *kronSamples[T]) rowScatter(inverse dense.Matrix[T], p dense.Matrix[float64], work []T) {
	s.scatter(inverse, p, work, false, false)
}

// whitenColumns is rowScatter after which every sample V is V L^-T. What takes the place of work is returned. With exact, sums are made in double
// precision throughout.
func (s *kronSamples[T]) whitenColumns(inverse dense.Matrix[T], p dense.Matrix[float64], work []T, exact bool) []T {
	return s.scatter(inverse, p, work, true, exact)
}

// scatter is rowScatter, or whitenColumns if the samples are replaced.
func (s *kronSamples[T]) scatter(inverse dense.Matrix[T], p dense.Matrix[float64], work []T, replace, exact bool) []T {
	p.Zero()
	scale := 1 / float64(s.count())
	sum := s.sum.View(0, 0, s.p, s.p)
	for i, v := range s.blocks {
		z := dense.Wrap(v.Rows, v.Cols, work[:len(v.Data)])
		dense.MulLowerRight(dense.Transposed, inverse, s.tall(v), s.tall(z))
		if exact {
			w := s.widened(z)
			dense.GemmUpper(dense.NoTrans, dense.Transposed, scale, w, w, 1, p)
		} else {
			dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, z, z, 0, sum)
			addScaledUpper(p, scale, sum)
		}
		if replace {
			work = s.exchange(i, z)
		}
	}
	dense.Mirror(p)
	return work
}

// widened returns a block, or something of its shape, in double precision, until the next call.
func (s *kronSamples[T]) widened(block dense.Matrix[T]) dense.Matrix[float64] {
	if s.wide == nil {
		s.wide = make([]float64, s.largest())
	}
	for i, x := range block.Data {
		s.wide[i] = float64(x)
	}
	return dense.Wrap(block.Rows, block.Cols, s.wide[:len(block.Data)])
}

// addScaledUpper adds scale times the upper triangle of a to that of sum.
func addScaledUpper[T dense.Float](sum dense.Matrix[float64], scale float64, a dense.Matrix[T]) {
	for i := range sum.Rows {
		to, from := sum.Row(i)[i:], a.Row(i)[i:]
		for j, x := range from {
			to[j] += scale * float64(x)
		}
	}
}
