package curvature

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/internal/kronecker"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
)

// Eigenblock is (QB (x) QA) diag(Values) (QB (x) QA)^T.
type Eigenblock struct {
	QB, QA nnopt.Matrix[float64] // eigenvectors as columns
	Values nnopt.Matrix[float64] // out x in
}

// Eigen is block-diagonal curvature in Kronecker eigenbases: KFAC decomposed, or EKFAC, whose eigenvalues are the second moments of the per-example
// gradients in the eigenbases of KFAC (George et al., arXiv:1806.03884); where a factor has a multiple eigenvalue EKFAC depends on which of its bases was
// found. A product costs 4 Dout Din (Dout + Din) flops a block.
type Eigen struct {
	layerwise
	Spectra []Eigenblock // of each of Blocks
	Skipped []string
}

// Decompose returns the same operator in the eigenbases of the factors. What rounding made negative of an eigenvalue is 0.
func (k *KFAC) Decompose() (*Eigen, error) {
	e := newEigen(k.Blocks, k.dim, k.Skipped)
	for i := range k.Blocks {
		f := &k.Blocks[i]
		out, in := f.Dims()
		lb, la := make([]float64, out), make([]float64, in)
		s := Eigenblock{f.B.Clone(), f.A.Clone(), dense.New[float64](out, in)}
		if !eigen.Sym(s.QB, lb) || !eigen.Sym(s.QA, la) {
			return nil, dataError("factors of "+f.Name(), "cannot be decomposed: they hold numbers that are not finite")
		}
		for p, b := range lb {
			for q, a := range la {
				s.Values.Set(p, q, max(b, 0)*max(a, 0))
			}
		}
		e.Spectra = append(e.Spectra, s)
	}
	return e, nil
}

func newEigen(blocks []Factors, dim int, skipped []string) *Eigen {
	e := &Eigen{layerwise: newLayerwise(blocks, dim), Skipped: skipped}
	e.apply = func(k int, v, w dense.Matrix[float64]) {
		e.through(k, v, w, func(value float64) float64 { return value })
	}
	return e
}

// through sets v to the block's matrix function of fn applied to v.
func (e *Eigen) through(k int, v, w dense.Matrix[float64], fn func(float64) float64) {
	s := &e.Spectra[k]
	kronecker.Rotate(dense.Transposed, s.QB, s.QA, v, w)
	for i := range v.Rows {
		row, values := v.Row(i), s.Values.Row(i)
		for j := range row {
			row[j] *= fn(values[j])
		}
	}
	kronecker.Rotate(dense.NoTrans, s.QB, s.QA, v, w)
}

// CollectEKFAC returns EKFAC of a risk: one pass over the data for the factors and their eigenbases, another one with the same vectors for the
// eigenvalues. The sum over the positions of an example is taken before the square, whatever the sharing.
func CollectEKFAC[T nnopt.Float](r *Risk[T], s Settings) (*Eigen, error) {
	k, err := CollectKFAC(r, s)
	if err != nil {
		return nil, err
	}
	e, err := k.Decompose()
	if err != nil {
		return nil, err
	}
	return e, Correct(e, r, s)
}

// Correct replaces the eigenvalues of e by R times the sum over examples and vectors of the squares of the per-example gradients in its bases.
func Correct[T nnopt.Float](e *Eigen, r *Risk[T], s Settings) error {
	if s.flavour() == ForwardOnly {
		return dataError("flavour", "forward-only has no gradients to correct the eigenvalues with")
	}
	if e == nil {
		return errNoOperator
	}
	if err := r.exists(); err != nil {
		return err
	}
	c, err := NewCollector(r.Net, s)
	if err != nil {
		return err
	}
	defer r.enter()()
	corrections, err := correctionsOf(c, e)
	if err != nil {
		return err
	}
	for b := range r.Data {
		c.streams(b, func(l *layerSums[T], uses []stream[T], first bool) {
			for _, own := range corrections[l] {
				own.add(uses, b.N, first)
			}
		})
	}
	for _, all := range corrections {
		for _, own := range all {
			dense.Scale(r.factor, own.values.Data, own.values.Data)
			if k := notFinite(own.values.Data); k >= 0 {
				return dataError("eigenvalues of EKFAC", "element %d is %v", k, own.values.Data[k])
			}
		}
	}
	return nil
}

// correctionsOf prepares for every layer the blocks of e that it serves.
func correctionsOf[T nnopt.Float](c *Collector[T], e *Eigen) (map[*layerSums[T]][]*correction[T], error) {
	all := map[*layerSums[T]][]*correction[T]{}
	for _, l := range c.layers {
		for k := range e.Blocks {
			f := &e.Blocks[k]
			if f.Weight.Name != l.weight.Name && (!l.hasBias || f.Bias.Name != l.bias.Name) {
				continue
			}
			s := &e.Spectra[k]
			s.Values.Zero()
			own := &correction[T]{qb: converted[T](s.QB), qa: converted[T](s.QA), values: s.Values, weights: f.Weight.Rows > 0, bias: f.Bias.Cols > 0}
			all[l] = append(all[l], own)
		}
	}
	if len(all) != len(c.layers) {
		return nil, dataError("layers", "%d have statistics, the operator has blocks for %d of them", len(c.layers), len(all))
	}
	return all, nil
}

func converted[T nnopt.Float](m dense.Matrix[float64]) dense.Matrix[T] {
	out := dense.New[T](m.Rows, m.Cols)
	for i := range m.Rows {
		narrow(out.Row(i), m.Row(i))
	}
	return out
}

// rotateRows sets y to x Q, an empty Q being the identity.
func rotateRows[T nnopt.Float](x, q, y net.Matrix[T]) {
	if q.Data == nil {
		y.Copy(x)
		return
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, q, 0, y)
}

// correction adds up squares of per-example gradients of one block, in the bases if there are any.
type correction[T nnopt.Float] struct {
	qb, qa        net.Matrix[T]
	values        dense.Matrix[float64]
	weights, bias bool

	x, g     [][]T // rotated rows of each use
	extended []T
	product  []T
}

func (c *correction[T]) add(uses []stream[T], n int, first bool) {
	out, in := c.values.Rows, c.values.Cols
	for len(c.x) < len(uses) {
		c.x, c.g = append(c.x, nil), append(c.g, nil)
	}
	for k, u := range uses {
		if first {
			c.x[k] = grown(c.x[k], u.x.Rows*in)
			rotateRows(c.extend(u.x), c.qa, dense.Wrap(u.x.Rows, in, c.x[k]))
		}
		c.g[k] = grown(c.g[k], u.g.Rows*out)
		rotateRows(u.g, c.qb, dense.Wrap(u.g.Rows, out, c.g[k]))
	}
	c.product = grown(c.product, out*in)
	p := dense.Wrap(out, in, c.product)
	if len(uses) == 1 && uses[0].reps == 1 {
		c.squares(n, first, p)
		c.accumulate(p, func(v float64) float64 { return v })
		return
	}
	for i := range n {
		for k, u := range uses {
			g := dense.Wrap(u.reps, out, c.g[k][i*u.reps*out:][:u.reps*out])
			x := dense.Wrap(u.reps, in, c.x[k][i*u.reps*in:][:u.reps*in])
			dense.Gemm(dense.Transposed, dense.NoTrans, 1, g, x, T(min(k, 1)), p)
		}
		c.accumulate(p, func(v float64) float64 { return v * v })
	}
}

// squares sets p to the sum over rows of the squares of g x^T, by one product; the rows of x stay squared.
func (c *correction[T]) squares(n int, first bool, p net.Matrix[T]) {
	square(c.g[0])
	if first {
		square(c.x[0])
	}
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, dense.Wrap(n, p.Rows, c.g[0]), dense.Wrap(n, p.Cols, c.x[0]), 0, p)
}

func (c *correction[T]) accumulate(p net.Matrix[T], fn func(float64) float64) {
	for i, v := range p.Data {
		c.values.Data[i] += fn(float64(v))
	}
}

func square[T nnopt.Float](x []T) {
	for i, v := range x {
		x[i] = v * v
	}
}

// extend returns x as the factor A sees it: with an appended one for a bias, or that alone.
func (c *correction[T]) extend(x net.Matrix[T]) net.Matrix[T] {
	if !c.bias {
		return x
	}
	in := c.values.Cols
	c.extended = grown(c.extended, x.Rows*in)
	m := dense.Wrap(x.Rows, in, c.extended)
	for i := range x.Rows {
		row := m.Row(i)
		if c.weights {
			copy(row, x.Row(i))
		}
		row[in-1] = 1
	}
	return m
}

// Trace returns the trace.
func (e *Eigen) Trace() (t float64) {
	for _, s := range e.Spectra {
		for _, v := range s.Values.Data {
			t += v
		}
	}
	return t
}

// Frobenius returns the Frobenius norm.
func (e *Eigen) Frobenius() float64 {
	var sum float64
	for _, s := range e.Spectra {
		sum += dense.Dot(s.Values.Data, s.Values.Data)
	}
	return math.Sqrt(sum)
}

// LogDet returns the logarithm of det(C + damping I) over the parameters that have factors: -Inf if it is singular.
func (e *Eigen) LogDet(damping float64) (sum float64) {
	for _, s := range e.Spectra {
		for _, v := range s.Values.Data {
			sum += math.Log(v + damping)
		}
	}
	return sum
}

// Diag sets dst to the diagonal of C, zero for parameters without factors.
func (e *Eigen) Diag(dst []float64) {
	e.diagOf(dst, func(v float64) float64 { return v })
}

// diagOf sets dst to the diagonal of the matrix function fn: sum_pq QB_ip^2 QA_jq^2 fn(values_pq).
func (e *Eigen) diagOf(dst []float64, fn func(float64) float64) {
	mustFit(dst, dst, e.dim, e.dim)
	clear(dst)
	for k := range e.Blocks {
		s, v := &e.Spectra[k], e.v[k]
		b, a := s.QB.Clone(), s.QA.Clone()
		square(b.Data)
		square(a.Data)
		for i, x := range s.Values.Data {
			v.Data[i] = fn(x)
		}
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, b, v, 0, e.w[k])
		dense.Gemm(dense.NoTrans, dense.Transposed, 1, e.w[k], a, 0, v)
		e.Blocks[k].Scatter(v, dst)
	}
}

// Power returns the matrix function (C + damping I)^p as an operator on the parameters that have factors, zero on the others; it shares the bases with e
// and is a snapshot of its eigenvalues. A power p < 0 of something singular is a *SingularError.
func (e *Eigen) Power(p, damping float64) (*Eigen, error) {
	out := newEigen(e.Blocks, e.dim, e.Skipped)
	for k, s := range e.Spectra {
		values := s.Values.Clone()
		top := 0.0
		for _, v := range values.Data {
			top = max(top, v+damping)
		}
		for i, v := range values.Data {
			if v += damping; p < 0 && !(v > top*float64(len(values.Data))*0x1p-52) {
				return nil, &SingularError{e.Blocks[k].Name(), damping, nil}
			}
			values.Data[i] = math.Pow(values.Data[i]+damping, p)
		}
		out.Spectra = append(out.Spectra, Eigenblock{s.QB, s.QA, values})
	}
	return out, nil
}

// Inverse returns (C + damping I)^-1, see Power.
func (e *Eigen) Inverse(damping float64) (*Eigen, error) { return e.Power(-1, damping) }
