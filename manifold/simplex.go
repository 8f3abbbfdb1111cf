package manifold

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

// Simplex is the set of k SPD matrices of size n x n with sum I: weights on the simplex for n = 1, measurements of a quantum system, mixtures of quadratic forms. With
// S_k = L L^T, L lower triangular, the ratios T_i = L^-1 S_i L^-T to the last matrix are k-1 SPD matrices without any condition, and the metric here is the
// affine-invariant one of these: a Hadamard manifold with geodesics, distances and means in closed form, on which no step leaves the set. Points are
// *ProductPoint of the frames of T_1, ..., T_(k-1); convert with PointOf and MatricesOf. It is the analogue of the log-ratios of compositional data (Aitchison,
// J. Royal Stat. Soc. B 44 (1982) 139-177), and another metric than that of Mishra, Kasai and Jawanpuria (2019) in Manopt, which restricts the affine-invariant
// one to the set and has no closed forms; minimizers do not depend on it. The last matrix plays a part of its own.
type Simplex struct {
	*Product
	n     int
	ratio *Affine
}

var simplex = Space{
	Name: "simplex",
	What: "k SPD matrices with sum I, affine-invariant in the ratios to the last one: complete, with closed forms; an instance has three matrices",
	New:  func(n int) (Manifold, error) { return NewSimplex(n, 3) },
}

// NewSimplex returns the manifold of k SPD matrices of n rows with sum I; k is at least 2.
func NewSimplex(n, k int) (*Simplex, error) {
	if k < 2 {
		return nil, fmt.Errorf("manifold: k is %d, want at least 2 matrices", k)
	}
	ratio, err := NewAffine(n, AffineOptions{})
	if err != nil {
		return nil, err
	}
	p, err := NewPower(ratio, k-1)
	return &Simplex{p, n, ratio}, err
}

// PointOf returns the point of the matrices ms, whose sum must be I to 1e-8. k triangular solves from both sides.
func (m *Simplex) PointOf(ms []mat.Symmetric) (*ProductPoint, error) {
	k := m.Parts() + 1
	if len(ms) != k {
		return nil, fmt.Errorf("manifold: there are %d matrices, want %d", len(ms), k)
	}
	sum := mat.NewSymDense(m.n, nil)
	for i, s := range ms {
		if err := sameRows(s, m.n); err != nil {
			return nil, fmt.Errorf("matrix %d: %w", i, err)
		}
		sum.AddSym(sum, s)
	}
	for i := range m.n {
		for j := range i + 1 {
			want := 0.0
			if i == j {
				want = 1
			}
			if v := sum.At(i, j); !(math.Abs(v-want) <= unitDiagonal) {
				return nil, fmt.Errorf("manifold: element (%d,%d) of the sum of the matrices is %v, want %v", i, j, v, want)
			}
		}
	}
	last, err := NewFrame(ms[k-1])
	if err != nil {
		return nil, fmt.Errorf("manifold: matrix %d: %w", k-1, err)
	}
	p, inv := &ProductPoint{}, last.inverse()
	for i, s := range ms[:k-1] {
		f, err := NewFrame(congruence(inv, s))
		if err != nil {
			return nil, fmt.Errorf("manifold: matrix %d: %w", i, err)
		}
		p.Parts = append(p.Parts, f)
	}
	return p, nil
}

// congruence returns w s w^T.
func congruence(w dense.Matrix[float64], s mat.Symmetric) *mat.SymDense {
	n := w.Rows
	a, t, out := dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n)
	copySymmetric(a, s)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, w, a, 0, t)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, t, w, 0, out)
	return mat.NewSymDense(n, out.Data)
}

// ratios returns the matrices T_i and the factor L: L^-1 is the Cholesky factor of I + sum T_i, because L (I + sum T_i) L^T = I.
func (m *Simplex) ratios(p Point) (all []*mat.SymDense, l dense.Matrix[float64]) {
	whole := IdentityFrame(m.n, 1).Sym()
	for _, q := range asProductPoint(p, m.Parts()).Parts {
		t := matrixOf(m.ratio, q)
		all = append(all, t)
		whole.AddSym(whole, t)
	}
	f, err := NewFrame(whole)
	if err != nil {
		panic(Error("the point of the simplex is not finite: " + err.Error()))
	}
	return all, f.inverse()
}

// MatricesOf returns the k matrices of the point p.
func (m *Simplex) MatricesOf(p Point) []*mat.SymDense {
	all, l := m.ratios(p)
	out := make([]*mat.SymDense, 0, len(all)+1)
	for _, t := range all {
		out = append(out, congruence(l, t))
	}
	return append(out, congruence(l, IdentityFrame(m.n, 1).Sym()))
}

// Gradient writes to v the Riemannian gradient at p of a function whose Euclidean gradients with respect to the k matrices are gs, which are symmetrised. About
// 3 k products. With H = sum T_i L^T G_i + L^T G_k and dL = -half(L dW L^T) L, W = I + sum T_i, half the lower triangle with half the diagonal, the derivative
// along dT_i is tr((L^T G_i L - 2 L^T half((L H)^T) L) dT_i).
func (m *Simplex) Gradient(v []float64, p Point, gs []mat.Matrix) {
	if len(gs) != m.Parts()+1 {
		panic(Error(fmt.Sprintf("there are %d gradients, want %d", len(gs), m.Parts()+1)))
	}
	all, l := m.ratios(p)
	n := m.n
	h, t, g := dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n)
	own := make([]dense.Matrix[float64], len(all))
	for i, s := range all {
		symmetrise(g, gs[i])
		dense.Gemm(dense.Transposed, dense.NoTrans, 1, l, g, 0, t) // L^T G_i
		own[i] = dense.New[float64](n, n)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, t, l, 0, own[i])
		copySymmetric(g, s)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, g, t, 1, h)
	}
	symmetrise(g, gs[len(all)])
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, l, g, 1, h)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, l, h, 0, t) // K = L H
	for i := range n {
		for j := range n { // half(K^T)
			switch {
			case j < i:
				g.Set(i, j, t.At(j, i))
			case j == i:
				g.Set(i, i, t.At(i, i)/2)
			default:
				g.Set(i, j, 0)
			}
		}
	}
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, l, g, 0, t)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, t, l, 0, h)
	for i := range all {
		dense.Axpy(-2, h.Data, own[i].Data)
		m.ratio.Gradient(m.Vector(v, i), p.(*ProductPoint).Parts[i], mat.NewDense(n, n, own[i].Data))
	}
}
