package problem

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

var kronMLE = Problem{
	Name:  "kron-mle",
	What:  "Kronecker covariance by maximum likelihood: minimize q log det A + p log det B + (1/N) sum tr(A^-1 Y B^-1 Y')",
	Input: "zero-mean samples, N x p x q, or N x pq and the number of rows p; the solution is A, with B beside it",
	Takes: Samples,
	Uses:  []string{"rows", "normalize"},
	Own: []Method{{
		Name: "flip-flop",
		What: "A <- (1/Nq) sum Y B^-1 Y', B <- (1/Np) sum Y' A^-1 Y (Dutilleul, J. Stat. Comput. Simul. 64 (1999)), over-relaxed near the solution; the first steps in single precision, the last gradient by a product with the Hessian where that is certain enough",
		run:  kronFlipFlop,
	}},
	prepare: func(d *Data, m func(int) (*manifold.Affine, error), _ *Options) (instance, error) {
		x, squares, err := measuredSamples(d.Samples)
		if err != nil {
			return nil, err
		}
		p := d.Rows
		switch {
		case p == 0:
			return nil, &DataError{count: true, Err: fmt.Errorf("it is not said how many rows the samples of %d numbers have", x.Cols), Remedy: "give an N x p x q array, or the number of rows (Rows)"}
		case p < 0 || x.Cols%p != 0:
			return nil, &DataError{count: true, Err: fmt.Errorf("samples of %d numbers are no matrices of %d rows", x.Cols, p), Remedy: "give an N x p x q array, or say how many rows each sample has (Rows)"}
		}
		q := x.Cols / p
		if N := x.Rows; N*q <= p || N*p <= q {
			return nil, &DataError{count: true, Err: fmt.Errorf("%d samples of %d x %d: the estimate needs more than max(p/q, q/p) of them", N, p, q),
				Remedy: "give more samples, or for the vectors " + shrinkageRemedy}
		}
		k := newKron(x, p, q)
		k.squares = squares
		k.m, err = m(p)
		return k, err
	},
}

// kronObjective is the likelihood with the best B for each A put in: q log det A + p log det B(A) + pq, B(A) = (1/Np) sum Y' A^-1 Y. It is convex along
// geodesics (Wiesel, IEEE Trans. Signal Process. 60 (2012)) and does not depend on the scale of A. With V_i = F^-1 Y_i L^-T, B = L L', the whitened
// differential is q I - P, P = (1/N) sum V V', and the Hessian (eta P + P eta)/2 - (1/N) sum V E V' with E = (1/Np) sum V' eta V.
type kronObjective struct {
	lender
	m           *manifold.Affine
	count, p, q int
	x           dense.Matrix[float64] // the samples as given, one a row
	squares     float64               // sum of the squares of all entries
	y           *kronSamples[float64]
	work        dense.Matrix[float64] // p x p
	at, b       dense.Matrix[float64] // the last F^-1 and its best B

	now    kronNow
	passes struct{ columns, turn, gather kronPass[float64] }
}

// kronNow is what the passes of an evaluation and of a Hessian product read and write.
type kronNow struct {
	inv   dense.Matrix[float64]
	lower bool
	v     *kronSamples[float64]
	eta   dense.Matrix[float64]
	e     dense.Matrix[float64]
}

type kronMemo struct {
	v    *kronSamples[float64]
	p, l dense.Matrix[float64] // l is the inverse of L
	e    dense.Matrix[float64]
}

func newKron(x dense.Matrix[float64], p, q int) *kronObjective {
	k := &kronObjective{count: x.Rows, p: p, q: q, x: x, work: dense.New[float64](p, p),
		at: dense.New[float64](p, p), b: dense.New[float64](q, q)}
	k.y = newKronSamples(x.Rows, p, q, k.pieces)
	k.y.read(x, 1)
	k.passes.columns, k.passes.turn, k.passes.gather = k.columnsPart, k.turnPart, k.gatherPart
	return k
}

// pieces returns memory of n elements each, one piece behind the other.
func (k *kronObjective) pieces(count, n int) [][]float64 {
	all, pieces := k.matrix(count, n), make([][]float64, count)
	for i := range pieces {
		pieces[i] = all.Row(i)
	}
	return pieces
}

func (k *kronObjective) size() (int, int) { return k.p, k.count }

func (k *kronObjective) start() *manifold.Frame { return manifold.IdentityFrame(k.p, 1) }

// GradientScale implements solve.Scaler: the gradient is q I - P.
func (k *kronObjective) GradientScale(float64) float64 {
	return float64(k.q) * math.Sqrt(float64(k.p)*k.m.Kappa())
}

// NewMemo implements solve.Memoizer.
func (k *kronObjective) NewMemo() solve.Memo {
	return &kronMemo{v: newKronSamples(k.count, k.p, k.q, k.pieces), p: dense.New[float64](k.p, k.p), l: dense.New[float64](k.q, k.q),
		e: dense.New[float64](k.q, k.q)}
}

// columns sets v to F^-1 Y and keeps the best B.
func (k *kronObjective) columns(f *manifold.Frame, v *kronSamples[float64]) {
	k.now = kronNow{inv: view(f.Inverse()), v: v}
	k.now.lower = isLower(k.now.inv)
	k.at.Copy(k.now.inv)
	k.y.run(k.passes.columns, k.b, 1/float64(k.count*k.p))
}

func (k *kronObjective) columnsPart(at *kronPlace[float64], from, to int, total dense.Matrix[float64]) {
	for i := from; i < to; i++ {
		y, v := k.y.block(at, i), k.now.v.blocks[i]
		if k.now.lower {
			dense.MulLower(dense.NoTrans, k.now.inv, y, v)
		} else {
			dense.Gemm(dense.NoTrans, dense.NoTrans, 1, k.now.inv, y, 0, v)
		}
		k.y.columnScatter(at, v, total)
	}
}

func isLower(a dense.Matrix[float64]) bool {
	for i := range a.Rows {
		for _, v := range a.Row(i)[i+1:] {
			if v != 0 {
				return false
			}
		}
	}
	return true
}

// Evaluate implements solve.Objective: a product of a p x p with a p x Nq matrix, half of it for a triangular frame, half a product of that size, and as
// much as for a triangular frame on the other side.
func (k *kronObjective) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	f, m := p.(*manifold.Frame), memo.(*kronMemo)
	k.columns(f, m.v)
	cost, err := k.profile(f, m)
	if err != nil {
		return cost, err
	}
	m.v.whitenColumns(m.l, m.p)
	k.differential(f, m, grad)
	return cost, nil
}

// profile returns the cost with the best B, and sets l.
func (k *kronObjective) profile(f *manifold.Frame, m *kronMemo) (float64, error) {
	m.l.Copy(k.b)
	if dense.Cholesky(m.l) >= 0 {
		return math.Inf(1), &DataError{Err: fmt.Errorf("the %d x %d column covariance is singular", k.q, k.q),
			Remedy: "the samples lie in a subspace: drop dependent columns, or give more samples"}
	}
	cost := float64(k.q)*f.LogDet() + float64(k.p*k.q)
	for i := range k.q {
		cost += 2 * float64(k.p) * math.Log(m.l.At(i, i))
	}
	dense.InvertLower(m.l)
	return cost, nil
}

// differential sets grad to q I - P, whose trace is rounding: the cost does not depend on the scale.
func (k *kronObjective) differential(f *manifold.Frame, m *kronMemo, grad []float64) {
	for i, v := range m.p.Data {
		grad[i] = -v
	}
	for i := range k.p {
		grad[i*k.p+i] += float64(k.q)
	}
	removeTrace(dense.Wrap(k.p, k.p, grad))
	k.m.FromWhitened(f, grad)
}

// removeTrace subtracts the multiple of I that makes the trace zero.
func removeTrace(a dense.Matrix[float64]) {
	a.AddDiagonal(-a.Trace() / float64(a.Rows))
}

// HessianVec implements solve.Hessian: three products of a p x p with a p x Nq matrix. Multiples of I are left out: there the cost is flat.
func (k *kronObjective) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	m := memo.(*kronMemo)
	out, eta := dense.Wrap(k.p, k.p, dst), dense.Wrap(k.p, k.p, v)
	dense.SymmetricProduct(out, eta, m.p, k.work)
	k.now = kronNow{v: m.v, eta: eta, e: m.e}
	m.v.run(k.passes.turn, m.e, 1/float64(k.count*k.p))
	m.v.run(k.passes.gather, k.work, -1/float64(k.count))
	dense.Axpy(1, k.work.Data, out.Data)
	removeTrace(out)
	k.m.FromWhitened(p.(*manifold.Frame), dst)
	return nil
}

// turnPart adds up V' eta V.
func (k *kronObjective) turnPart(at *kronPlace[float64], from, to int, total dense.Matrix[float64]) {
	for i := from; i < to; i++ {
		v := k.now.v.block(at, i)
		z := at.like(v)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, k.now.eta, v, 0, z)
		dense.GemmLower(dense.Transposed, dense.NoTrans, 1, k.now.v.tall(v), k.now.v.tall(z), 0, at.sum)
		addLower(total, 1, at.sum)
	}
}

// gatherPart adds up V E V'.
func (k *kronObjective) gatherPart(at *kronPlace[float64], from, to int, total dense.Matrix[float64]) {
	for i := from; i < to; i++ {
		v := k.now.v.block(at, i)
		z := at.like(v)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, k.now.v.tall(v), k.now.e, 0, k.now.v.tall(z))
		dense.GemmLower(dense.NoTrans, dense.Transposed, 1, z, v, 1, total)
	}
}

// finish fixes the scale of A; B takes the rest.
func (k *kronObjective) finish(p *manifold.Frame, o *Options) *mat.SymDense {
	s := p.Sym()
	scale := math.Exp(-p.LogDet() / float64(k.p))
	if o.Normalization == TraceN {
		scale = float64(k.p) / mat.Trace(s)
	}
	s.ScaleSym(scale, s)
	return s
}

// stretch implements stretcher.
func (k *kronObjective) stretch(s *mat.SymDense, o *Options) float64 {
	return o.Normalization.stretch(s)
}

func (k *kronObjective) parts(p *manifold.Frame, solution *mat.SymDense) []Part {
	if !slices.Equal(view(p.Inverse()).Data, k.at.Data) {
		k.columns(p, newKronSamples(k.count, k.p, k.q, k.pieces))
	}
	scale := p.Sym().At(0, 0) / solution.At(0, 0)
	b := make([]float64, len(k.b.Data))
	dense.Scale(scale, k.b.Data, b)
	return []Part{{Name: "columns", Matrices: []*mat.Dense{mat.NewDense(k.q, k.q, b)}}}
}
