package manifold

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/spectral"
)

// Kronecker is the manifold of the SPD matrices alpha S_1 (x) ... (x) S_K with det S_k = 1 and the affine-invariant metric of the N x N product,
// N = n_1 ... n_K. It is a totally geodesic subspace of Affine, and the product of alpha > 0 with weight N and of FixedDet for each factor with
// weight N/n_k: exponentials, logarithms, distances and means are exactly those of the N x N matrices, at the cost of the factors. Points are
// *ProductPoint: a *PositivePoint with alpha, then a *Frame for each factor. Coordinates are those of the parts: a relative change of alpha, then
// the whitened factors with trace zero.
type Kronecker struct {
	Product
	factors []*FixedDet
	n       int // N
}

var (
	_ Matrices        = (*Kronecker)(nil)
	_ Exponential     = (*Kronecker)(nil)
	_ Logarithm       = (*Kronecker)(nil)
	_ Distancer       = (*Kronecker)(nil)
	_ RandomTangenter = (*Kronecker)(nil)
	_ Checker         = (*Kronecker)(nil)
	_ Completer       = (*Kronecker)(nil)
	_ FreeTransporter = (*Kronecker)(nil)
)

var kronecker = Space{
	Name: "kronecker",
	What: "Kronecker products of SPD matrices, affine-invariant, exact at the cost of the factors; an instance has factors of n and 2 rows",
	New:  func(n int) (Manifold, error) { return NewKronecker([]int{n, 2}, AffineOptions{}) },
}

// NewKronecker returns the manifold of Kronecker products of SPD matrices of the given sizes, each at least 2. Kappa must be 1 (or 0).
func NewKronecker(sizes []int, o AffineOptions) (*Kronecker, error) {
	if o.Kappa > 1 {
		return nil, fmt.Errorf("manifold: Kappa is %d, want 1 for Kronecker products", o.Kappa)
	}
	m := &Kronecker{n: 1}
	for i, n := range sizes {
		f, err := NewFixedDet(n, FixedDetOptions{Affine: o})
		if err != nil {
			return nil, fmt.Errorf("factor %d: %w", i, err)
		}
		m.factors, m.n = append(m.factors, f), m.n*n
	}
	scale, err := NewPositive(1)
	if err != nil {
		return nil, err
	}
	parts, weights := []Manifold{scale}, []float64{float64(m.n)}
	for _, f := range m.factors {
		parts, weights = append(parts, f), append(weights, float64(m.n/f.n))
	}
	if len(m.factors) == 0 {
		return nil, fmt.Errorf("manifold: a Kronecker product needs at least one factor")
	}
	p, err := NewProduct(parts, ProductOptions{Weights: weights})
	if err != nil {
		return nil, err
	}
	m.Product = *p
	return m, nil
}

// Dim returns N, the number of rows of the products.
func (m *Kronecker) Dim() int { return m.n }

// PointOfKron returns the point of k, whose factors must have the sizes of the manifold.
func (m *Kronecker) PointOfKron(k *spectral.Kron) (Point, error) {
	if k == nil {
		return nil, errors.New("manifold: the Kronecker product is nil")
	}
	if k.Parts() != len(m.factors) {
		return nil, fmt.Errorf("manifold: the product has %d factors, want %d", k.Parts(), len(m.factors))
	}
	p := &ProductPoint{Parts: []Point{&PositivePoint{X: []float64{k.Alpha()}}}}
	for i, f := range m.factors {
		if n := k.Part(i).Dim(); n != f.n {
			return nil, fmt.Errorf("manifold: factor %d has %d rows, want %d", i, n, f.n)
		}
		g := SpectralFrame(k.Part(i))
		g.spectral = false
		f.scaled(g)
		p.Parts = append(p.Parts, g)
	}
	return p, nil
}

// KronOf returns the point as a spectral.Kron, by an eigendecomposition of each factor.
func (m *Kronecker) KronOf(p Point) (*spectral.Kron, error) {
	t := asProductPoint(p, len(m.factors)+1)
	factors := make([]*spectral.Factor, len(m.factors))
	for i, f := range m.factors {
		var err error
		if factors[i], err = spectral.FromSym(asFrame(t.Parts[i+1], f.n).Sym()); err != nil {
			return nil, fmt.Errorf("factor %d: %w", i, err)
		}
	}
	return spectral.KronOf(asPositive(t.Parts[0], 1).X[0], factors...)
}

// PointOf returns the point of an N x N matrix, which must be a Kronecker product of the sizes to a relative 1e-8. The factors are found by
// partial traces; N^3 operations.
func (m *Kronecker) PointOf(s mat.Symmetric) (Point, error) {
	if err := sameRows(s, m.n); err != nil {
		return nil, err
	}
	whole, err := NewFrame(s)
	if err != nil {
		return nil, err
	}
	p := &ProductPoint{Parts: []Point{&PositivePoint{X: []float64{math.Exp(whole.logDet / float64(m.n))}}}}
	for i, f := range m.factors {
		g, err := NewFrame(m.partialTrace(s, i))
		if err != nil {
			return nil, fmt.Errorf("factor %d: %w", i, err)
		}
		f.scaled(g)
		p.Parts = append(p.Parts, g)
	}
	var back mat.SymDense
	m.MatrixOf(&back, p)
	var diff mat.Dense
	diff.Sub(&back, s)
	if e := mat.Norm(&diff, 2); !(e <= 1e-8*mat.Norm(s, 2)) {
		return nil, fmt.Errorf("manifold: the matrix is not a Kronecker product of these sizes: the nearest found differs by %.2g in Frobenius norm", e)
	}
	return p, nil
}

// partialTrace returns the trace of x over all factors but i.
func (m *Kronecker) partialTrace(x mat.Matrix, i int) *mat.SymDense {
	n, inner := m.factors[i].n, 1
	for _, f := range m.factors[i+1:] {
		inner *= f.n
	}
	t := mat.NewSymDense(n, nil)
	for j := range n {
		for k := j; k < n; k++ {
			var s float64
			for a := 0; a < m.n; a += n * inner {
				for b := range inner {
					s += x.At(a+j*inner+b, a+k*inner+b)
				}
			}
			t.SetSym(j, k, s)
		}
	}
	return t
}

// whole returns the N x N Kronecker product of the frames, or of their inverses, with the root of alpha.
func (m *Kronecker) whole(p Point, inverse bool) *mat.Dense {
	t := asProductPoint(p, len(m.factors)+1)
	root := math.Sqrt(asPositive(t.Parts[0], 1).X[0])
	if inverse {
		root = 1 / root
	}
	out := mat.NewDense(1, 1, []float64{root})
	for i, f := range m.factors {
		g := asFrame(t.Parts[i+1], f.n)
		part := mat.Matrix(g.Inverse())
		if !inverse {
			part = g.F()
		}
		var next mat.Dense
		next.Kronecker(out, part)
		out = &next
	}
	return out
}

// MatrixOf sets dst to the N x N matrix; N^3 operations, for checks and small N.
func (m *Kronecker) MatrixOf(dst *mat.SymDense, p Point) {
	m.write(dst, m.whole(p, false), mat.NewDiagDense(m.n, ones(m.n)))
}

func ones(n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = 1
	}
	return x
}

// write sets dst to f x f^T.
func (m *Kronecker) write(dst *mat.SymDense, f, x mat.Matrix) {
	var a, b mat.Dense
	a.Mul(f, x)
	b.Mul(&a, f.T())
	if dst.IsEmpty() {
		dst.ReuseAsSym(m.n)
	}
	for i := range m.n {
		for j := i; j < m.n; j++ {
			dst.SetSym(i, j, (b.At(i, j)+b.At(j, i))/2)
		}
	}
}

// Gradient writes to v the Riemannian gradient of a function whose Euclidean gradient at the N x N matrix is g; N^3 operations. A problem that knows
// the partial traces P_k of the whitened gradient F^T g F can write the coordinates itself: its trace over N, then n_k/N P_k with the trace removed.
func (m *Kronecker) Gradient(v []float64, p Point, g mat.Matrix) {
	var w mat.SymDense
	m.write(&w, m.whole(p, false).T(), g)
	m.project(v, &w)
}

// Whiten writes to v the coordinates of the orthogonal projection of the N x N matrix xi onto the tangent space at p; N^3 operations.
func (m *Kronecker) Whiten(v []float64, p Point, xi mat.Symmetric) {
	var w mat.SymDense
	m.write(&w, m.whole(p, true), xi)
	m.project(v, &w)
}

// project writes to v the coordinates of the whitened N x N matrix w, projected: its trace over N, and the partial traces times n_k/N without
// their trace.
func (m *Kronecker) project(v []float64, w mat.Symmetric) {
	m.Vector(v, 0)[0] = mat.Trace(w) / float64(m.n)
	for i, f := range m.factors {
		t, x := m.partialTrace(w, i), m.Vector(v, i+1)
		for j := range f.n {
			for k := range f.n {
				x[j*f.n+k] = t.At(j, k) * float64(f.n) / float64(m.n)
			}
		}
		f.Project(x)
	}
}

// Embed writes to dst the N x N tangent matrix with the coordinates v at p; N^3 operations.
func (m *Kronecker) Embed(dst *mat.SymDense, p Point, v []float64) {
	eta := mat.NewDense(m.n, m.n, nil)
	before := 1
	for i := range m.n {
		eta.Set(i, i, m.Vector(v, 0)[0])
	}
	for i, f := range m.factors {
		var a, b mat.Dense
		a.Kronecker(mat.NewDiagDense(before, ones(before)), mat.NewDense(f.n, f.n, append([]float64(nil), m.Vector(v, i+1)...)))
		after := m.n / before / f.n
		b.Kronecker(&a, mat.NewDiagDense(after, ones(after)))
		eta.Add(eta, &b)
		before *= f.n
	}
	m.write(dst, m.whole(p, false), eta)
}
