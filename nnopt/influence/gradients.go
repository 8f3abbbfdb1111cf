package influence

import (
	"math"
	"unsafe"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/nnopt"
)

// Compression makes kept gradients smaller. The zero value keeps them whole.
type Compression struct {
	// Bits is 8 for uniform quantisation between the smallest and the largest element of each module of each example, or 0.
	Bits int
	// Rank keeps for each module the best approximation of that rank of the gradient as a matrix; 0, or the rank of the matrix, keeps all of it.
	Rank int
}

// Validate reports what cannot be.
func (c *Compression) Validate() error {
	if c.Bits != 0 && c.Bits != 8 {
		return dataError("bits", "must be 8, or 0 for no quantisation, not %d", c.Bits)
	}
	if c.Rank < 0 {
		return dataError("rank", "must not be negative, not %d", c.Rank)
	}
	return nil
}

// GradientOptions say what Estimator.Gradients keeps.
type GradientOptions struct {
	Precondition bool // multiply by H^-1, of one of the two sides of a score
	Compression  Compression
}

// Gradients are the gradients of many examples, kept for scores against others.
type Gradients[T nnopt.Float] struct {
	Examples       int
	Preconditioned bool
	Compression    Compression

	basis   string // of the estimator: network, bases, modules
	modules []kept[T]
}

// kept are the gradients of one module: whole, or for each example left (out x rank) times right (rank x in).
type kept[T nnopt.Float] struct {
	out, in, rank int // rank 0: whole
	whole         rows[T]
	left, right   rows[T]
}

// rows are equally long vectors, as they are or as codes between low and low+255 step.
type rows[T nnopt.Float] struct {
	width     int
	plain     []T
	codes     []uint8
	low, step []float32
}

func (r *rows[T]) add(v []T, bits int) {
	r.width = len(v)
	if bits == 0 {
		r.plain = append(r.plain, v...)
		return
	}
	low, high := v[0], v[0]
	for _, x := range v {
		low, high = min(low, x), max(high, x)
	}
	step := float32((float64(high) - float64(low)) / 255)
	r.low, r.step = append(r.low, float32(low)), append(r.step, step)
	for _, x := range v {
		code := 0.0
		if step > 0 {
			code = min(max(math.Round((float64(x)-float64(float32(low)))/float64(step)), 0), 255)
		}
		r.codes = append(r.codes, uint8(code))
	}
}

// row sets v to vector i.
func (r *rows[T]) row(i int, v []T) {
	if r.codes == nil {
		copy(v, r.plain[i*r.width:][:r.width])
		return
	}
	for j, c := range r.codes[i*r.width:][:r.width] {
		v[j] = T(r.low[i]) + T(c)*T(r.step[i])
	}
}

// Bytes returns the memory that the gradients take.
func (g *Gradients[T]) Bytes() (n int) {
	var element T
	for k := range g.modules {
		for _, r := range []*rows[T]{&g.modules[k].whole, &g.modules[k].left, &g.modules[k].right} {
			n += len(r.plain)*int(unsafe.Sizeof(element)) + len(r.codes) + 4*len(r.low) + 4*len(r.step)
		}
	}
	return n
}

// Gradients computes and keeps the gradients of a side.
func (e *Estimator[T]) Gradients(s Side[T], o GradientOptions) (*Gradients[T], error) {
	if err := s.Examples.Validate(); err != nil {
		return nil, err
	}
	if err := o.Compression.Validate(); err != nil {
		return nil, err
	}
	g := e.empty(o)
	for i := range s.Examples.Count {
		grads, err := e.gradients(&s, i)
		if err != nil {
			return nil, err
		}
		if err := e.keep(g, grads); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func (e *Estimator[T]) empty(o GradientOptions) *Gradients[T] {
	g := &Gradients[T]{Preconditioned: o.Precondition, Compression: o.Compression, basis: e.basis()}
	for k := range e.modules {
		m := &e.modules[k]
		one := kept[T]{out: m.scale.Rows, in: m.scale.Cols}
		if r := o.Compression.Rank; r > 0 && r < min(one.out, one.in) {
			one.rank = r
		}
		g.modules = append(g.modules, one)
	}
	return g
}

// keep adds the gradients of a batch, which it may overwrite.
func (e *Estimator[T]) keep(g *Gradients[T], grads []Matrix[T]) error {
	n := grads[0].Rows
	for k := range g.modules {
		m, scale := &g.modules[k], e.modules[k].scale.Data
		split := newSplitter(m.out, m.in, m.rank)
		for i := range n {
			row := grads[k].Row(i)
			if g.Preconditioned {
				for j := range row {
					row[j] *= scale[j]
				}
			}
			if at := notFinite(row); at >= 0 {
				return dataError("gradient", "of example %d in module %q: element %d is %v", g.Examples+i, e.modules[k].Name(), at, row[at])
			}
			if m.rank == 0 {
				m.whole.add(row, g.Compression.Bits)
				continue
			}
			left, right, err := splitRow(split, row)
			if err != nil {
				return err
			}
			m.left.add(left, g.Compression.Bits)
			m.right.add(right, g.Compression.Bits)
		}
	}
	g.Examples += n
	return nil
}

// expand sets row i of dst to the gradient of example from+i in module k.
func (g *Gradients[T]) expand(k, from int, dst Matrix[T]) {
	m := &g.modules[k]
	if m.rank == 0 {
		for i := range dst.Rows {
			m.whole.row(from+i, dst.Row(i))
		}
		return
	}
	left, right := dense.New[T](m.out, m.rank), dense.New[T](m.rank, m.in)
	for i := range dst.Rows {
		m.left.row(from+i, left.Data)
		m.right.row(from+i, right.Data)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, left, right, 0, dense.Wrap(m.out, m.in, dst.Row(i)))
	}
}

// Sum returns the sum of all gradients as those of one example: scores against it are the sums of the scores against each.
func (g *Gradients[T]) Sum() *Gradients[T] {
	total := &Gradients[T]{Examples: 1, Preconditioned: g.Preconditioned, basis: g.basis}
	for k := range g.modules {
		m := &g.modules[k]
		sum, one := make([]T, m.out*m.in), dense.New[T](1, m.out*m.in)
		for i := range g.Examples {
			g.expand(k, i, one)
			dense.Axpy(1, one.Data, sum)
		}
		s := kept[T]{out: m.out, in: m.in}
		s.whole.add(sum, 0)
		total.modules = append(total.modules, s)
	}
	return total
}

// splitter finds best approximations of a rank: with U the leading eigenvectors of V V^T, or of V^T V if that is smaller, V is near (V W) W^T for an orthonormal basis W of
// the columns of V^T U. That of small singular values, whose eigenvectors rounding mixes with those left out, is better than U (U^T V).
type splitter struct {
	out, in, rank int
	v, gram       Matrix[float64]
	values        []float64
}

func newSplitter(out, in, rank int) *splitter {
	if rank == 0 {
		return nil
	}
	n := min(out, in)
	return &splitter{out, in, rank, dense.New[float64](out, in), dense.New[float64](n, n), make([]float64, n)}
}

// splitRow returns left (out x rank) and right (rank x in).
func splitRow[T nnopt.Float](s *splitter, row []T) (left, right []T, err error) {
	top := 0.0
	for _, x := range row {
		top = max(top, math.Abs(float64(x)))
	}
	if top == 0 {
		top = 1
	}
	for i, x := range row {
		s.v.Data[i] = float64(x) / top
	}
	wide := s.in >= s.out
	if wide {
		dense.Gemm(dense.NoTrans, dense.Transposed, 1, s.v, s.v, 0, s.gram)
	} else {
		dense.Gemm(dense.Transposed, dense.NoTrans, 1, s.v, s.v, 0, s.gram)
	}
	if !eigen.Sym(s.gram, s.values) {
		return nil, nil, dataError("low rank", "the gradient cannot be decomposed: %v", eigen.ErrNotFinite)
	}
	n := len(s.values)
	u := s.gram.View(0, n-s.rank, n, s.rank) // ascending eigenvalues
	l, r := dense.New[float64](s.out, s.rank), dense.New[float64](s.rank, s.in)
	if wide {
		dense.Gemm(dense.Transposed, dense.NoTrans, 1, u, s.v, 0, r)
		eigen.Orthonormalise(r)
		dense.Gemm(dense.NoTrans, dense.Transposed, top, s.v, r, 0, l)
	} else {
		w := dense.New[float64](s.rank, s.out)
		dense.Gemm(dense.Transposed, dense.Transposed, 1, u, s.v, 0, w)
		eigen.Orthonormalise(w)
		dense.Gemm(dense.NoTrans, dense.NoTrans, top, w, s.v, 0, r)
		dense.Transpose(l, w)
	}
	return converted[T](l).Data, converted[T](r).Data, nil
}
