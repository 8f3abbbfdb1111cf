package curvature

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// TopLOBPCG finds the K largest or smallest eigenpairs of a symmetric operator by the locally optimal block preconditioned conjugate gradient method (Knyazev
// 2001), with an orthonormal basis of the Ritz vectors, the search directions and the preconditioned residuals. precondition may be nil, or an
// approximate inverse for the smallest eigenvalues. K products an iteration. The error is a *ConvergenceError, with the pairs so far, or a *DataError.
func TopLOBPCG(a Operator, precondition Operator, o TopOptions) (*Top, error) {
	n, err := o.resolve(a, true)
	if err != nil {
		return nil, err
	}
	if err := checkPreconditioner(precondition, n); err != nil {
		return nil, err
	}
	l := &lobpcg{a: a, p: precondition, o: o, n: n, s: dense.New[float64](min(3*o.K, n), n), as: dense.New[float64](min(3*o.K, n), n)}
	for range o.K {
		copy(l.s.Row(l.m), gaussian(o.Rand, n))
		if err := l.take(true); err != nil {
			return nil, err
		}
	}
	for {
		if err := l.rayleighRitz(); err != nil {
			return nil, err
		}
		limit := o.Tol * l.scale
		worst := l.worst()
		if worst <= limit { // so the tracked products say; look again with fresh ones
			if err := l.refresh(); err != nil {
				return nil, err
			}
			if worst = l.worst(); worst <= limit {
				return l.top(), nil
			}
		}
		if l.products+2*o.K > o.MaxProducts {
			return l.top(), &ConvergenceError{"LOBPCG", worst, limit, l.products}
		}
		before := l.products
		if err := l.extend(); err != nil {
			return nil, err
		}
		if l.products == before { // the residuals are rounding, or the preconditioner takes them away: directions alone span nothing new
			return l.top(), &ConvergenceError{"LOBPCG", worst, limit, l.products}
		}
	}
}

// lobpcg holds the basis in the rows of s, and the products with it in those of as: Ritz vectors first, then directions, then residuals.
type lobpcg struct {
	a, p     Operator
	o        TopOptions
	n, m     int // m rows are in use
	s, as    dense.Matrix[float64]
	values   []float64
	scale    float64 // largest |Ritz value| seen
	products int

	directions, images dense.Matrix[float64] // of the last step
}

// take orthonormalises row m against those before it and keeps it unless it depends on them. Its image is multiplied, or transformed along.
func (l *lobpcg) take(multiply bool) error {
	x, ax := l.s.Row(l.m), l.as.Row(l.m)
	size := norm(x)
	rest := eigen.Project(l.s, l.m, x, func(k int, c float64) {
		if !multiply {
			dense.Axpy(-c, l.as.Row(k), ax)
		}
	})
	if rest <= 1e-10*size || rest == 0 {
		return nil
	}
	dense.Scale(1/rest, x, x)
	if multiply {
		l.a.MulTo(ax, x)
		l.products++
		if i := notFinite(ax); i >= 0 {
			return dataError("product", "element %d is %v", i, ax[i])
		}
	} else {
		dense.Scale(1/rest, ax, ax)
	}
	l.m++
	return nil
}

// rayleighRitz replaces the first K rows by the wanted Ritz vectors of the basis, and keeps what they gained over the former ones as directions.
func (l *lobpcg) rayleighRitz() error {
	k := l.o.K
	s, as := l.s.View(0, 0, l.m, l.n), l.as.View(0, 0, l.m, l.n)
	h, values := dense.New[float64](l.m, l.m), make([]float64, l.m)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, s, as, 0, h)
	for i := range l.m {
		for j := range i {
			v := (h.At(i, j) + h.At(j, i)) / 2
			h.Set(i, j, v)
			h.Set(j, i, v)
		}
	}
	if !eigen.Sym(h, values) {
		return dataError("product", "overflows")
	}
	c := dense.New[float64](l.m, k)
	l.values = l.values[:0]
	for j, i := range l.o.Which.order(values, k) {
		l.values = append(l.values, values[i])
		for p := range l.m {
			c.Set(p, j, h.At(p, i))
		}
	}
	l.scale = max(l.scale, math.Abs(values[0]), math.Abs(values[l.m-1]))
	x, ax := dense.New[float64](k, l.n), dense.New[float64](k, l.n)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, c, s, 0, x)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, c, as, 0, ax)
	c.View(0, 0, k, k).Zero()
	l.directions, l.images = dense.New[float64](k, l.n), dense.New[float64](k, l.n)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, c, s, 0, l.directions)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, c, as, 0, l.images)
	s.View(0, 0, k, l.n).Copy(x)
	as.View(0, 0, k, l.n).Copy(ax)
	l.m = k
	return nil
}

// worst returns the largest residual of the wanted pairs.
func (l *lobpcg) worst() (worst float64) {
	r := make([]float64, l.n)
	for i := range l.o.K {
		worst = max(worst, l.residual(i, r))
	}
	return worst
}

// refresh replaces the products of the Ritz vectors, which were transformed along with them, by fresh ones.
func (l *lobpcg) refresh() error {
	fresh, err := products(l.a, l.s.View(0, 0, l.o.K, l.n))
	if err != nil {
		return err
	}
	l.products += l.o.K
	l.as.View(0, 0, l.o.K, l.n).Copy(fresh)
	return nil
}

// residual sets r to A v - lambda v of pair i and returns its norm.
func (l *lobpcg) residual(i int, r []float64) float64 {
	copy(r, l.as.Row(i))
	dense.Axpy(-l.values[i], l.s.Row(i), r)
	return norm(r)
}

// extend adds directions and preconditioned residuals to the basis, as far as there is room.
func (l *lobpcg) extend() error {
	for i := range l.o.K {
		if l.m == l.s.Rows {
			return nil
		}
		copy(l.s.Row(l.m), l.directions.Row(i))
		copy(l.as.Row(l.m), l.images.Row(i))
		if err := l.take(false); err != nil {
			return err
		}
	}
	r := make([]float64, l.n)
	for i := range l.o.K {
		if l.m == l.s.Rows {
			return nil
		}
		l.residual(i, r)
		if l.p != nil {
			l.p.MulTo(l.s.Row(l.m), r)
		} else {
			copy(l.s.Row(l.m), r)
		}
		if err := l.take(true); err != nil {
			return err
		}
	}
	return nil
}

func (l *lobpcg) top() *Top {
	t := &Top{Values: append([]float64(nil), l.values...), Vectors: dense.New[float64](l.n, l.o.K), Products: l.products}
	r := make([]float64, l.n)
	for j := range l.o.K {
		for i, v := range l.s.Row(j) {
			t.Vectors.Set(i, j, v)
		}
		t.Residuals = append(t.Residuals, l.residual(j, r))
	}
	return t
}
