package problem

import (
	"fmt"
	"math"

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
		What: "A <- (1/Nq) sum Y B^-1 Y', B <- (1/Np) sum Y' A^-1 Y (Dutilleul, J. Stat. Comput. Simul. 64 (1999)), over-relaxed near the solution",
		run:  kronFlipFlop,
	}},
	prepare: func(d *Data, m func(int) (*manifold.Affine, error), _ *Options) (instance, error) {
		x, err := checkSamples(d.Samples)
		if err != nil {
			return nil, err
		}
		p := d.Rows
		if p < 1 || x.Cols%p != 0 {
			return nil, &DataError{Err: fmt.Errorf("samples of %d numbers are no matrices of %d rows", x.Cols, p), Remedy: "give an N x p x q array, or say how many rows each sample has (Rows)"}
		}
		q := x.Cols / p
		if N := x.Rows; N*q <= p || N*p <= q {
			return nil, &DataError{Err: fmt.Errorf("%d samples of %d x %d: the estimate needs more than max(p/q, q/p) of them", N, p, q),
				Remedy: "give more samples, or for the vectors " + shrinkageRemedy}
		}
		k := &kronObjective{count: x.Rows, p: p, q: q, y: dense.New[float64](p, x.Rows*q), z: dense.New[float64](p, x.Rows*q), work: dense.New[float64](p, p)}
		for i := range x.Rows {
			for r := range p {
				copy(k.y.Row(r)[i*q:(i+1)*q], x.Row(i)[r*q:(r+1)*q])
			}
		}
		k.m, err = m(p)
		return k, err
	},
}

// kronObjective is the likelihood with the best B for each A put in: q log det A + p log det B(A) + pq, B(A) = (1/Np) sum Y' A^-1 Y. It is convex along
// geodesics (Wiesel, IEEE Trans. Signal Process. 60 (2012)) and does not depend on the scale of A. With V_i = F^-1 Y_i L^-T, B = L L', the whitened
// differential is q I - P, P = (1/N) sum V V', and the Hessian (eta P + P eta)/2 - (1/N) sum V E V' with E = (1/Np) sum V' eta V.
type kronObjective struct {
	m           *manifold.Affine
	count, p, q int
	y, z        dense.Matrix[float64] // samples side by side, p x Nq; z is scratch
	work        dense.Matrix[float64]
}

type kronMemo struct {
	v    dense.Matrix[float64]
	p, l dense.Matrix[float64]
	e    dense.Matrix[float64]
}

func (k *kronObjective) size() (int, int) { return k.p, k.count }

func (k *kronObjective) start() *manifold.Frame { return manifold.IdentityFrame(k.p, 1) }

// GradientScale implements solve.Scaler: the gradient is q I - P.
func (k *kronObjective) GradientScale(float64) float64 {
	return float64(k.q) * math.Sqrt(float64(k.p)*k.m.Kappa())
}

// NewMemo implements solve.Memoizer.
func (k *kronObjective) NewMemo() solve.Memo {
	return &kronMemo{v: dense.New[float64](k.p, k.count*k.q), p: dense.New[float64](k.p, k.p), l: dense.New[float64](k.q, k.q), e: dense.New[float64](k.q, k.q)}
}

// sample returns the columns of sample i.
func (k *kronObjective) sample(a dense.Matrix[float64], i int) dense.Matrix[float64] {
	return a.View(0, i*k.q, k.p, k.q)
}

// columns sets b = (1/Np) sum Z' Z over the samples z.
func (k *kronObjective) columns(b, z dense.Matrix[float64]) {
	b.Zero()
	for i := range k.count {
		dense.GemmUpper(dense.Transposed, dense.NoTrans, 1/float64(k.count*k.p), k.sample(z, i), k.sample(z, i), 1, b)
	}
	dense.Mirror(b)
}

// Evaluate implements solve.Objective: two and a half products of a p x p with a p x Nq matrix, and as much on the other side.
func (k *kronObjective) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	f, m := p.(*manifold.Frame), memo.(*kronMemo)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, view(f.Inverse()), k.y, 0, m.v)
	k.columns(m.l, m.v)
	if dense.Cholesky(m.l) >= 0 {
		return math.Inf(1), &DataError{Err: fmt.Errorf("the %d x %d column covariance is singular", k.q, k.q),
			Remedy: "the samples lie in a subspace: drop dependent columns, or give more samples"}
	}
	cost := float64(k.q)*f.LogDet() + float64(k.p*k.q)
	for i := range k.q {
		cost += 2 * float64(k.p) * math.Log(m.l.At(i, i))
	}
	for i := range k.count {
		dense.SolveLowerRight(dense.Transposed, m.l, k.sample(m.v, i))
	}
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1/float64(k.count), m.v, m.v, 0, m.p)
	dense.Mirror(m.p)
	for i, v := range m.p.Data {
		grad[i] = -v
	}
	for i := range k.p {
		grad[i*k.p+i] += float64(k.q)
	}
	k.m.FromWhitened(f, grad)
	return cost, nil
}

// HessianVec implements solve.Hessian: as much as Evaluate.
func (k *kronObjective) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	m := memo.(*kronMemo)
	out, eta := dense.Wrap(k.p, k.p, dst), dense.Wrap(k.p, k.p, v)
	symmetricProduct(out, eta, m.p, k.work)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, eta, m.v, 0, k.z)
	m.e.Zero()
	for i := range k.count {
		dense.Gemm(dense.Transposed, dense.NoTrans, 1/float64(k.count*k.p), k.sample(m.v, i), k.sample(k.z, i), 1, m.e)
	}
	for i := range k.count {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, k.sample(m.v, i), m.e, 0, k.sample(k.z, i))
	}
	dense.GemmUpper(dense.NoTrans, dense.Transposed, -1/float64(k.count), k.z, m.v, 1, out)
	dense.Mirror(out)
	k.m.FromWhitened(p.(*manifold.Frame), dst)
	return nil
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

func (k *kronObjective) parts(p *manifold.Frame, solution *mat.SymDense) []Part {
	b := dense.New[float64](k.q, k.q)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, view(p.Inverse()), k.y, 0, k.z)
	k.columns(b, k.z)
	scale := p.Sym().At(0, 0) / solution.At(0, 0)
	dense.Scale(scale, b.Data, b.Data)
	return []Part{{Name: "columns", Matrices: []*mat.Dense{mat.NewDense(k.q, k.q, b.Data)}}}
}

func kronFlipFlop(in instance, m *manifold.Affine, o *Options) (*solve.Result, error) {
	k := in.(*kronObjective)
	relax := newRelaxation(1/(float64(k.q)*m.Kappa()), m.VectorLen())
	return drive(in, m, o, func(next, p *manifold.Frame, grad []float64, norm float64, memo solve.Memo) error {
		if norm <= float64(k.q) {
			return m.Retract(next, p, relax.next(grad))
		}
		step := memo.(*kronMemo).p.Clone()
		dense.Scale(1/float64(k.q), step.Data, step.Data)
		f, err := congruence(m, p, step)
		if err != nil {
			return &DataError{Err: fmt.Errorf("the row covariance became singular: %w", err), Remedy: "give more samples; the likelihood has no maximum"}
		}
		relax.ready = false
		next.CopyFrom(f)
		return nil
	})
}
