package problem

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

var lyapunov = Problem{
	Name:  "lyapunov",
	What:  "Lyapunov's equation A X + X A = C: minimize tr(X A X) - tr(X C)",
	Input: "two SPD matrices, A and C",
	Takes: Matrices,
	Own: []Method{closedForm("in the eigenbasis of A the solution is C_ij/(a_i + a_j): one eigendecomposition", func(in instance) (*manifold.Frame, error) {
		return in.(*sandwich).known, nil
	})},
	prepare: func(d *Data, m func(int) (*manifold.Affine, error), _ *Options) (instance, error) {
		var l lender
		fa, fc, err := l.matrixPair(d, false, "A and C of A X + X A = C")
		if err != nil {
			return nil, err
		}
		n := fa.Dim()
		a, x := view(manifold.DenseOf(d.Matrices[0])), view(manifold.DenseOf(d.Matrices[1]))
		p := newPencil(n, &l)
		if err := p.decompose(a); err != nil {
			return nil, err
		}
		p.solve(x, x)
		dense.Scale(0.5, x.Data, x.Data)
		known, err := manifold.NewFrame(symmetric(x))
		if err != nil {
			return nil, &DataError{Where: "solution", Err: err, Remedy: "the equation is too ill-conditioned; " + ridgeRemedy}
		}
		work, other := l.matrix(n, n), l.matrix(n, n)
		congruent(work, view(fc.F()), view(known.F()), other)
		var trace float64
		for i := range n {
			trace += work.At(i, i)
		}
		small := smallestAtLeast(known)
		scale := 200 * smallestAtLeast(fa) * small * small
		o := newSandwich(knownMinimizer{known: known, from: manifold.IdentityFrame(n, 1), count: 2}, max(scale, 1e-6*trace), &l)
		o.diagonalScale = scale
		dense.Scale(2, p.mu, p.mu)
		p.weigh()
		o.constant = p
		o.fill = lyapunovFill(view(fa.F()), view(fc.F()), o.work)
		o.basis = lyapunovBasis(view(fc.F()))
		o.m, err = m(n)
		return o, err
	},
	triangular: true,
}

// lyapunovFill is tr(X A X) - tr(X C). With M = F'F, K = F'AF and T = F'CF it is W = K M + M K - T, and the Hessian's matrices are 2K and M. The
// gradient is measured against a lower bound of the smallest curvature at the solution. Four products.
func lyapunovFill(la, lc dense.Matrix[float64], work [2]dense.Matrix[float64]) func(p *manifold.Frame, m *sandwichMemo) float64 {
	return func(p *manifold.Frame, m *sandwichMemo) float64 {
		f := view(p.F())
		congruent(m.a, la, f, work[0])
		dense.Scale(2, m.a.Data, m.a.Data)
		congruent(m.w, lc, f, work[0])
		dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, f, f, 0, m.b)
		dense.Mirror(m.b)
		cost := dense.Dot(m.a.Data, m.b.Data) / 2
		for i := range f.Rows {
			cost -= m.w.At(i, i)
		}
		dense.Gemm(dense.NoTrans, dense.NoTrans, 0.5, m.a, m.b, 0, work[0])
		addTransposed(work[1], work[0])
		for i, v := range work[1].Data {
			m.w.Data[i] = v - m.w.Data[i]
		}
		return cost
	}
}

// lyapunovBasis is the eigenbasis V of A: Z* has the elements (V'CV)_ij/(a_i + a_j), and the least cost is -tr(X* C)/2. One product.
func lyapunovBasis(lc dense.Matrix[float64]) basis {
	return func(p *pencil, curvature []float64, back, optimum dense.Matrix[float64]) (logDet, least float64) {
		dense.MulLower(dense.Transposed, lc, p.t, back)
		dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, back, back, 0, optimum)
		dense.Mirror(optimum)
		back.Copy(optimum)
		divide(optimum.Data, curvature)
		least = -dense.Dot(back.Data, optimum.Data) / 2
		dense.Transpose(back, p.t)
		return 0, least
	}
}
