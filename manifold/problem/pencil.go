package problem

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/manifold"
)

// pencil solves (A Y B + B Y A)/2 = R for symmetric Y, with symmetric positive definite A and B: with T' B T = I and T' A T = diag(mu) it is
// Y = T [(T' R T)_ij 2/(mu_i + mu_j)] T'. For B = I it is Lyapunov's equation.
type pencil struct {
	t, s, w dense.Matrix[float64]
	mu      []float64
	weights []float64 // 2/(mu_i + mu_j)
	solver  eigen.Solver
}

func newPencil(n int) *pencil {
	return &pencil{t: dense.New[float64](n, n), s: dense.New[float64](n, n), w: dense.New[float64](n, n), mu: make([]float64, n)}
}

// set diagonalises the pencil: one Cholesky factorization and one eigendecomposition. Eigenvalues that rounding has made too small are raised.
func (p *pencil) set(a, b dense.Matrix[float64]) error {
	l, m := p.w, p.s
	l.Copy(b)
	if dense.Cholesky(l) >= 0 {
		return &manifold.PointError{What: "the pencil is not positive definite to rounding"}
	}
	m.Copy(a)
	dense.SolveLower(dense.NoTrans, l, m)
	dense.SolveLowerRight(dense.Transposed, l, m)
	if err := p.decompose(m); err != nil {
		return err
	}
	dense.SolveLower(dense.Transposed, l, p.t)
	return nil
}

// decompose is set for B = I: one eigendecomposition.
func (p *pencil) decompose(a dense.Matrix[float64]) error {
	n := len(p.mu)
	p.t.Copy(a)
	if !p.solver.Sym(p.t, p.mu) || !(p.mu[n-1] > 0) {
		return &manifold.PointError{What: "the pencil is not positive definite", Min: p.mu[0], Max: p.mu[n-1]}
	}
	for i, v := range p.mu {
		p.mu[i] = max(v, float64(n)*0x1p-52*p.mu[n-1])
	}
	p.weigh()
	return nil
}

// weigh sets the weights to those of mu.
func (p *pencil) weigh() {
	if p.weights == nil {
		p.weights = make([]float64, len(p.mu)*len(p.mu))
	}
	for i, a := range p.mu {
		row := p.weights[i*len(p.mu):]
		for j, b := range p.mu {
			row[j] = 2 / (a + b)
		}
	}
}

// kept returns what carry needs of p, which carry must set again before it is used.
func (p *pencil) kept() *pencil { return &pencil{t: p.t.Clone(), mu: p.mu, weights: p.weights} }

// carry sets the pencil to that of F'AF and F'BF for the matrices A and B of c, which has the same eigenvalues: T becomes F^-1 T.
func (p *pencil) carry(c *pencil, f *manifold.Frame) {
	if inv := view(f.Inverse()); f.Lower() {
		dense.MulLower(dense.NoTrans, inv, c.t, p.t)
	} else {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, inv, c.t, 0, p.t)
	}
	p.mu, p.weights = c.mu, c.weights
}

// solve writes Y to dst, which may be r. Three products.
func (p *pencil) solve(dst, r dense.Matrix[float64]) {
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, r, p.t, 0, p.w)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, p.t, p.w, 0, p.s)
	dense.Mirror(p.s)
	dense.Multiply(p.weights, p.s.Data, p.s.Data)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, p.t, p.s, 0, p.w)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, p.w, p.t, 0, dst)
	dense.Mirror(dst)
}

// solveAny is solve for any R. Four products.
func (p *pencil) solveAny(dst, r dense.Matrix[float64]) {
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, p.t, r, 0, p.w)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, p.w, p.t, 0, p.s)
	dense.Multiply(p.weights, p.s.Data, p.s.Data)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, p.t, p.s, 0, p.w)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, p.w, p.t, 0, dst)
}
