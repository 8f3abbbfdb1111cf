package curvature

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/internal/kronecker"
	"github.com/spdopt/spdopt/nnopt"
)

// Factors are the Kronecker factors of one block of curvature: B (x) A for the matrix [W b], W (x) A alone, or the bias alone (then A is 1 x 1).
type Factors struct {
	Weight Block // Rows is 0 in the block of a bias alone
	Bias   Block // Rows is 0 if there is no bias in the block
	A, B   nnopt.Matrix[float64]
}

// Name returns the name of the weights, or of the bias alone.
func (f *Factors) Name() string {
	if f.Weight.Rows == 0 {
		return f.Bias.Name
	}
	return f.Weight.Name
}

// Dims returns the sizes of the matrix that the factors act on; the last of the in columns is the bias, if there is one.
func (f *Factors) Dims() (out, in int) {
	out, in = f.Weight.Rows, f.Weight.Cols
	if f.Bias.Cols > 0 {
		out, in = f.Bias.Cols, in+1
	}
	return out, in
}

// Gather copies the elements of the block from a vector of parameters into v, Scatter back.
func (f *Factors) Gather(x []float64, v nnopt.Matrix[float64]) {
	for i := range f.Weight.Rows {
		copy(v.Row(i), x[f.Weight.Start+i*f.Weight.Cols:][:f.Weight.Cols])
	}
	for i := range f.Bias.Cols {
		v.Set(i, f.Weight.Cols, x[f.Bias.Start+i])
	}
}

// Scatter copies v into the elements of the block in a vector of parameters.
func (f *Factors) Scatter(v nnopt.Matrix[float64], x []float64) {
	for i := range f.Weight.Rows {
		copy(x[f.Weight.Start+i*f.Weight.Cols:][:f.Weight.Cols], v.Row(i))
	}
	for i := range f.Bias.Cols {
		x[f.Bias.Start+i] = v.At(i, f.Weight.Cols)
	}
}

// KFAC is Kronecker-factored curvature as an operator: block-diagonal with a block B (x) A for each entry of Blocks, and zero for the parameters of
// Skipped. It is symmetric positive semidefinite. A product costs 2 Dout Din (Dout + Din) flops a block.
type KFAC struct {
	layerwise
	Skipped    []string // blocks without factors
	Convention Convention
	Factor     float64 // R
	Examples   int
}

// layerwise is an operator that acts on each block of parameters by itself.
type layerwise struct {
	Blocks []Factors
	dim    int
	v, w   []dense.Matrix[float64] // of each block: its elements and a workspace
	apply  func(k int, v, w dense.Matrix[float64])
}

func newLayerwise(blocks []Factors, dim int) layerwise {
	l := layerwise{Blocks: blocks, dim: dim}
	for k := range blocks {
		out, in := blocks[k].Dims()
		l.v, l.w = append(l.v, dense.New[float64](out, in)), append(l.w, dense.New[float64](out, in))
	}
	return l
}

// Dims implements Operator.
func (l *layerwise) Dims() (rows, cols int) { return l.dim, l.dim }

// MulTo implements Operator; dst may be x.
func (l *layerwise) MulTo(dst, x []float64) {
	mustFit(dst, x, l.dim, l.dim)
	for k := range l.Blocks {
		l.Blocks[k].Gather(x, l.v[k])
	}
	clear(dst)
	for k := range l.Blocks {
		l.apply(k, l.v[k], l.w[k])
		l.Blocks[k].Scatter(l.v[k], dst)
	}
}

// MulTransTo implements Operator.
func (l *layerwise) MulTransTo(dst, x []float64) { l.MulTo(dst, x) }

// mustFit demands a block within dim parameters, and factors of its size.
func (f *Factors) mustFit(dim int) {
	out, in := f.Dims()
	for _, b := range []*Block{&f.Weight, &f.Bias} {
		if b.Rows < 0 || b.Cols < 0 || b.Start < 0 || b.End() > dim {
			fail("block %q: %d x %d from parameter %d of %d", b.Name, b.Rows, b.Cols, b.Start, dim)
		}
	}
	if out < 1 || f.Weight.Rows != 0 && f.Weight.Rows != out || f.B.Rows != out || f.B.Cols != out || f.A.Rows != in || f.A.Cols != in {
		fail("block %q of %d x %d: factors B of %d x %d and A of %d x %d", f.Name(), out, in, f.B.Rows, f.B.Cols, f.A.Rows, f.A.Cols)
	}
}

// NewKFAC returns the operator of blocks of factors over dim parameters. It panics with Error if their sizes do not fit.
func NewKFAC(blocks []Factors, dim int) *KFAC {
	if dim < 0 {
		fail("%d parameters", dim)
	}
	for i := range blocks {
		blocks[i].mustFit(dim)
	}
	k := &KFAC{layerwise: newLayerwise(blocks, dim)}
	k.apply = func(i int, v, w dense.Matrix[float64]) {
		f := &k.Blocks[i]
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, f.B, v, 0, w)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, w, f.A, 0, v)
	}
	return k
}

// KFAC returns the factors of everything added so far, a copy.
func (c *Collector[T]) KFAC() (*KFAC, error) { return c.kfac(dense.Matrix[float64].Clone) }

// kfac makes the factors from what keep makes of the sums.
func (c *Collector[T]) kfac(keep func(dense.Matrix[float64]) dense.Matrix[float64]) (*KFAC, error) {
	if c.examples == 0 {
		return nil, dataError("data", "there are no batches")
	}
	r := c.factor
	if c.curved.Averages() {
		r = 1 / c.inverse
	}
	var blocks []Factors
	for _, l := range c.layers {
		blocks = append(blocks, l.factors(&c.set, r, c.examples, keep)...)
	}
	for _, f := range blocks {
		if k := notFinite(f.A.Data); k >= 0 {
			return nil, dataError("factor A of "+f.Name(), "element %d is %v; the data are too large", k, f.A.Data[k])
		}
		if k := notFinite(f.B.Data); k >= 0 {
			return nil, dataError("factor B of "+f.Name(), "element %d is %v; the parameters are too large", k, f.B.Data[k])
		}
	}
	k := NewKFAC(blocks, c.net.Dim())
	k.Skipped, k.Convention, k.Factor, k.Examples = c.skipped, c.set.convention(), r, c.examples
	return k, nil
}

func (s *Settings) convention() Convention {
	if s.Convention == "" {
		return InInput
	}
	return s.Convention
}

// factors scales the sums by the convention and separates the bias if asked to.
func (l *layerSums[T]) factors(s *Settings, r float64, examples int, keep func(dense.Matrix[float64]) dense.Matrix[float64]) []Factors {
	l.outerA.Flush(l.a)
	l.outerB.Flush(l.b)
	n, pos := float64(examples), float64(l.positions)
	mean := n * pos
	if l.reduce {
		mean *= pos
	}
	onA, onB := r, 1/mean
	switch s.convention() {
	case InOutput:
		onA, onB = onB, onA
	case Even:
		onA = math.Sqrt(r / mean)
		onB = onA
	}
	b := scaledMirror(keep(l.b), onB)
	if s.flavour() == ForwardOnly {
		b.Identity()
	}
	a := scaledMirror(keep(l.a), onA)
	f := Factors{Weight: l.weight, A: a, B: b}
	switch {
	case !l.hasBias:
		return []Factors{f}
	case !s.SeparateBias:
		f.Bias = l.bias
		return []Factors{f}
	}
	f.A = a.View(0, 0, l.weight.Cols, l.weight.Cols).Clone()
	alone := dense.New[float64](1, 1)
	alone.Data[0] = a.At(l.weight.Cols, l.weight.Cols)
	return []Factors{f, {Bias: l.bias, A: alone, B: b}}
}

// scaledMirror turns m into w times the symmetric matrix whose upper triangle it holds.
func scaledMirror(m dense.Matrix[float64], w float64) dense.Matrix[float64] {
	for i := range m.Rows {
		row := m.Row(i)[i:]
		dense.Scale(w, row, row)
	}
	dense.Mirror(m)
	return m
}

// CollectKFAC returns the Kronecker factors of a risk.
func CollectKFAC[T nnopt.Float](r *Risk[T], s Settings) (*KFAC, error) {
	if err := r.exists(); err != nil {
		return nil, err
	}
	defer r.enter()()
	c, err := NewCollector(r.Net, s)
	if err != nil {
		return nil, err
	}
	for b := range r.Data {
		c.Add(b)
	}
	return c.kfac(func(sum dense.Matrix[float64]) dense.Matrix[float64] { return sum })
}

// Trace returns the trace, the sum over blocks of tr(B) tr(A).
func (k *KFAC) Trace() (t float64) {
	for _, f := range k.Blocks {
		t += trace(f.B) * trace(f.A)
	}
	return t
}

// Frobenius returns the Frobenius norm.
func (k *KFAC) Frobenius() float64 {
	var sum float64
	for _, f := range k.Blocks {
		b, a := norm(f.B.Data), norm(f.A.Data)
		sum += b * b * a * a
	}
	return math.Sqrt(sum)
}

// LogDet returns the logarithm of det(C + damping I) over the parameters that have factors, from the eigenvalues of the factors: -Inf if it is singular.
func (k *KFAC) LogDet(damping float64) (sum float64, err error) {
	for i := range k.Blocks {
		f := &k.Blocks[i]
		lb, err := eigenvalues(f.B)
		if err != nil {
			return 0, err
		}
		la, err := eigenvalues(f.A)
		if err != nil {
			return 0, err
		}
		for _, b := range lb {
			for _, a := range la {
				sum += math.Log(b*a + damping)
			}
		}
	}
	return sum, nil
}

func trace(m dense.Matrix[float64]) float64 { return kronecker.MeanTrace(m) * float64(m.Rows) }

// eigenvalues returns those of a positive semidefinite matrix; what rounding made negative is 0.
func eigenvalues(m dense.Matrix[float64]) ([]float64, error) {
	w := make([]float64, m.Rows)
	if !eigen.SymValues(m.Clone(), w) {
		return nil, eigen.ErrNotFinite
	}
	for i, v := range w {
		w[i] = max(v, 0)
	}
	return w, nil
}
