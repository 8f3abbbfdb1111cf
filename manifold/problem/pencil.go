package problem

import (
	"math"
	"slices"

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
	roots   []float64 // mu_i^-1/2
	solver  eigen.Solver
	lower   bool    // T is lower triangular
	lender  *lender // of the weights
}

func newPencil(n int, l *lender) *pencil { return l.pencil(l.matrix(n, n), l.matrix(n, n)) }

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

// setSquare is set for A = Q Q, Q symmetric, and B = L L': mu are the squares of the singular values of L^-1 Q, of which the eigenvalues of its square keep
// those only that are large against the rounding of the largest.
func (p *pencil) setSquare(q, l dense.Matrix[float64]) error {
	m := p.s
	m.Copy(q)
	dense.SolveLower(dense.NoTrans, l, m)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, m, m, 0, p.w)
	if err := p.decompose(p.w); err != nil {
		return err
	}
	for kept := p.lost(len(p.mu)); kept > 0; kept = p.lost(kept) {
		p.sharpen(m, kept)
	}
	p.weigh()
	dense.SolveLower(dense.Transposed, l, p.t)
	return nil
}

// lostShare is the share of the largest eigenvalue below which another one, known to the rounding of that, and its vector are computed anew.
const lostShare = 0x1p-26

// lost returns how many of the first count eigenvalues, which were computed together, are too small against the largest of them.
func (p *pencil) lost(count int) int {
	few, _ := slices.BinarySearch(p.mu[:count], lostShare*p.mu[count-1])
	return few
}

// sharpen computes the first k singular values of M and their left vectors anew, from what M has in their space apart from the right vectors of the larger ones.
func (p *pencil) sharpen(m dense.Matrix[float64], k int) {
	n := len(p.mu)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, p.t, m, 0, p.w)
	few, right := p.w.View(0, 0, k, n), p.w.View(k, 0, n-k, n)
	vectors, larger := p.t.View(0, 0, n, k), p.t.View(0, k, n, n-k)
	shares := dense.New[float64](k, n-k)
	for i, v := range p.mu[k:] {
		dense.Scale(1/math.Sqrt(v), right.Row(i), right.Row(i))
	}
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, few, right, 0, shares)
	dense.Gemm(dense.NoTrans, dense.NoTrans, -1, shares, right, 1, few)
	for j, v := range p.mu[k:] {
		for i := range k {
			shares.Set(i, j, shares.At(i, j)/math.Sqrt(v))
		}
	}
	before := vectors.Clone()
	dense.Gemm(dense.NoTrans, dense.Transposed, -1, larger, shares, 1, vectors)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, before, shares, 1, larger)
	turn, mu := dense.New[float64](k, k), p.mu[:k]
	before.Copy(vectors)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, few, few, 0, turn)
	if p.solver.Sym(turn, mu) {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, before, turn, 0, vectors)
	}
	p.raise(mu)
}

// decompose is set for B = I: one eigendecomposition.
func (p *pencil) decompose(a dense.Matrix[float64]) error {
	n := len(p.mu)
	p.t.Copy(a)
	if !p.solver.Sym(p.t, p.mu) || !(p.mu[n-1] > 0) {
		return &manifold.PointError{What: "the pencil is not positive definite", Min: p.mu[0], Max: p.mu[n-1]}
	}
	p.raise(p.mu)
	p.weigh()
	return nil
}

// raise raises the ascending eigenvalues that rounding has made too small.
func (p *pencil) raise(mu []float64) {
	n := len(mu)
	for i, v := range mu {
		mu[i] = max(v, float64(n)*0x1p-52*mu[n-1])
	}
}

// weigh sets the weights to those of mu.
func (p *pencil) weigh() {
	if p.weights == nil {
		p.weights, p.roots = p.lender.vector(len(p.mu)*len(p.mu)), make([]float64, len(p.mu))
	}
	for i, a := range p.mu {
		p.roots[i] = 1 / math.Sqrt(a)
		row := p.weights[i*len(p.mu):]
		for j, b := range p.mu {
			row[j] = 2 / (a + b)
		}
	}
}

// carry sets the pencil to that of F'AF and F'BF for the matrices A and B of c, which has the same eigenvalues: T becomes F^-1 T.
func (p *pencil) carry(c *pencil, f *manifold.Frame) {
	if inv := view(f.Inverse()); f.Lower() {
		dense.MulLower(dense.NoTrans, inv, c.t, p.t)
	} else {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, inv, c.t, 0, p.t)
	}
	p.mu, p.weights, p.roots = c.mu, c.weights, c.roots
}

// solve writes Y to dst, which may be r. Three products, two with a lower triangular T.
func (p *pencil) solve(dst, r dense.Matrix[float64]) { p.finish(dst, p.shares(r)) }

// shares returns the solution in the basis T, in scratch of p. For B = I it is as long as Y.
func (p *pencil) shares(r dense.Matrix[float64]) dense.Matrix[float64] {
	project(p.s, r, p.t, p.lower, p.w)
	dense.Multiply(p.weights, p.s.Data, p.s.Data)
	return p.s
}

// finish writes the Y that is y in the basis, Y = T y T', to dst. Half of solve.
func (p *pencil) finish(dst, y dense.Matrix[float64]) { expand(dst, y, p.t, p.lower, p.w) }

// project sets dst = t' r t for the symmetric r.
func project[T dense.Float](dst, r, t dense.Matrix[T], lower bool, work dense.Matrix[T]) {
	if lower {
		dense.MulLowerRight(dense.NoTrans, t, r, work)
		dense.MulLowerHalf(dense.Transposed, t, work, dst)
		dense.MirrorLower(dst)
		return
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, r, t, 0, work)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, t, work, 0, dst)
	dense.Mirror(dst)
}

// expand sets dst = t y t' for the symmetric y.
func expand[T dense.Float](dst, y, t dense.Matrix[T], lower bool, work dense.Matrix[T]) {
	if lower {
		dense.MulLower(dense.NoTrans, t, y, work)
		dense.MulLowerHalf(dense.NoTrans, t, work, dst)
		dense.MirrorLower(dst)
		return
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, t, y, 0, work)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, work, t, 0, dst)
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
