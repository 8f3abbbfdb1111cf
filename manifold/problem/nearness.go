package problem

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

var metricNearness = Problem{
	Name:  "nearness",
	What:  "metric nearness, a benchmark: minimize 1/(2N) sum ||Q X x - x||^2 over X (not the triangle-inequality problem of that name)",
	Input: "one SPD matrix Q, or two: Q and the second moment C = (1/N) sum x x' (default I)",
	Takes: Matrices,
	Own:   []Method{closedForm("the minimizer is Q^-1, by Cholesky", func(in instance) (*manifold.Frame, error) { return in.(*sandwich).known, nil })},
	prepare: func(d *Data, m func(int) (*manifold.Affine, error), _ *Options) (instance, error) {
		var l lender
		q, c, err := l.matrixPair(d, true, "Q and the second moment of x")
		if err != nil {
			return nil, err
		}
		n := q.Dim()
		if c == nil {
			c = manifold.IdentityFrame(n, 1)
		}
		o := newSandwich(knownMinimizer{known: q, from: manifold.IdentityFrame(n, 1), count: len(d.Matrices)},
			100*smallestAtLeast(c), &l)
		o.diagonalScale = o.scale
		o.known.Invert()
		matrix := view(manifold.DenseOf(d.Matrices[0]))
		o.fill = nearnessFill(matrix, view(c.F()), o.work)
		o.diagonalise = func(p *pencil) error { return nearnessPencil(p, matrix, c, len(d.Matrices) == 1) }
		o.basis = nearnessBasis(matrix, c, len(d.Matrices) == 1)
		o.m, err = m(n)
		return o, err
	},
	triangular: true,
}

// nearnessFill is 1/2 ||(Q X - I) L||_F^2, C = L L'. With R = Q F and Y = (R F' - I) L it is W = sym(R' Y L' F), A = R'R and B = F' C F. In the
// affine-invariant metric the condition is about that of Q, so gradient norms say little. At the minimizer the Hessian is at least the smallest
// eigenvalue of C; a hundred times that as the scale of the gradient makes the default tolerance mean a distance of 1e-6. Six products, five with a lower triangular F.
func nearnessFill(q, l dense.Matrix[float64], work [2]dense.Matrix[float64]) func(p *manifold.Frame, m *sandwichMemo) float64 {
	return func(p *manifold.Frame, m *sandwichMemo) float64 {
		f := view(p.F())
		r, y := m.inverse.s, m.inverse.w
		congruent(m.b, l, f, work[0]) // leaves L'F in work[0]
		timesFrame(r, q, p, dense.NoTrans)
		dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, r, r, 0, m.a)
		dense.Mirror(m.a)
		timesFrame(work[1], r, p, dense.Transposed)
		for i := range y.Rows {
			work[1].Set(i, i, work[1].At(i, i)-1)
		}
		dense.MulLowerRight(dense.NoTrans, l, work[1], y)
		cost := dense.Dot(y.Data, y.Data) / 2
		dense.Gemm(dense.Transposed, dense.NoTrans, 1, r, y, 0, work[1])
		dense.Gemm(dense.NoTrans, dense.NoTrans, 0.5, work[1], work[0], 0, y)
		addTransposed(m.w, y)
		return cost
	}
}

// nearnessPencil sets p to the pencil of Q^2 and C; C = I does not square the condition of Q.
func nearnessPencil(p *pencil, q dense.Matrix[float64], c *manifold.Frame, identity bool) error {
	if identity {
		err := p.decompose(q)
		dense.Multiply(p.mu, p.mu, p.mu)
		p.weigh()
		return err
	}
	return p.setSquare(q, view(c.F()))
}

// nearnessBasis is the basis of the pencil of Q^2 and C. With T^-1 = T'C and R = T'Q the constant part is sym(R T^-T), and R R' = diag(mu) but for an E that is large where
// eigenvalues of a square have been taken: it is Z*_ij = [sym(R T^-T) - sym(E Z*)]_ij/m_ij to first order in E. Five and a half products, four and a half for C = I.
func nearnessBasis(q dense.Matrix[float64], c *manifold.Frame, identity bool) basis {
	return func(p *pencil, curvature []float64, back, optimum dense.Matrix[float64]) (logDet, least float64) {
		n := len(p.mu)
		var l lender
		defer l.recycle()
		r, e, work, ct := l.matrix(n, n), l.matrix(n, n), l.matrix(n, n), p.t
		if !identity {
			ct = back
			dense.MulLower(dense.Transposed, view(c.F()), p.t, work)
			dense.MulLower(dense.NoTrans, view(c.F()), work, ct)
			logDet = -c.LogDet() / 2
		}
		dense.Gemm(dense.Transposed, dense.NoTrans, 1, p.t, q, 0, r)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 0.5, r, ct, 0, work)
		addTransposed(optimum, work)
		work.Copy(ct)
		dense.Transpose(back, work)
		divide(optimum.Data, curvature)
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, r, r, 0, e)
		dense.Mirror(e)
		for i, mu := range p.mu {
			e.Set(i, i, e.At(i, i)-mu)
		}
		dense.Gemm(dense.NoTrans, dense.NoTrans, 0.5, e, optimum, 0, work)
		addTransposed(r, work)
		divide(r.Data, curvature)
		dense.Axpy(-1, r.Data, optimum.Data)
		return logDet, 0
	}
}

func divide(x, y []float64) {
	for i, v := range y {
		x[i] /= v
	}
}

// timesFrame sets dst = a op(F), in half a product if F is lower triangular.
func timesFrame(dst, a dense.Matrix[float64], p *manifold.Frame, op dense.Trans) {
	if p.Lower() {
		dense.MulLowerRight(op, view(p.F()), a, dst)
	} else {
		dense.Gemm(dense.NoTrans, op, 1, a, view(p.F()), 0, dst)
	}
}

// addTransposed sets dst = a + a'.
func addTransposed(dst, a dense.Matrix[float64]) {
	dense.Transpose(dst, a)
	dense.Axpy(1, a.Data, dst.Data)
}
