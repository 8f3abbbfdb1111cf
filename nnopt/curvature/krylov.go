package curvature

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/nnopt"
)

// krylov is an orthonormal basis that grows by products with a symmetric operator, reorthogonalised twice, with the products and the projected matrix.
type krylov struct {
	a     Operator
	m     int                   // vectors so far
	v, av dense.Matrix[float64] // rows: basis and products with it
	h     dense.Matrix[float64] // V A V^T
	next  []float64
	size  float64 // largest element of h
	rest  float64 // norm of what the last product has outside of the basis
}

// mostNumbers bounds what a basis may keep: 16 GiB.
const mostNumbers = 1 << 31

func newKrylov(a Operator, start []float64, most int) (*krylov, error) {
	if most < 1 {
		return nil, dataError("products", "must be positive, not %d", most)
	}
	n := len(start)
	if most > mostSteps || int64(most) > mostNumbers/int64(2*n+most) {
		return nil, dataError("steps", "are %d, of vectors of %d numbers, which do not fit in memory; ask for fewer", most, n)
	}
	k := &krylov{a: a, v: dense.New[float64](most, n), av: dense.New[float64](most, n), h: dense.New[float64](most, most), next: start}
	if normalise(start) == 0 {
		return nil, dataError("start vector", "is zero")
	}
	return k, nil
}

// step takes the next vector into the basis. done says that the basis is full or spans an invariant subspace.
func (k *krylov) step() (done bool, err error) {
	v, av := k.v.Row(k.m), k.av.Row(k.m)
	copy(v, k.next)
	k.a.MulTo(av, v)
	if i := notFinite(av); i >= 0 {
		return true, dataError("product", "element %d is %v", i, av[i])
	}
	for j := range k.m + 1 {
		c := dense.Dot(k.v.Row(j), av)
		k.h.Set(j, k.m, c)
		k.h.Set(k.m, j, c)
		k.size = max(k.size, c, -c)
	}
	k.m++
	copy(k.next, av)
	k.rest = eigen.Project(k.v, k.m, k.next, func(int, float64) {})
	if k.rest <= 0x1p-46*k.size {
		k.rest = 0
		return true, nil
	}
	dense.Scale(1/k.rest, k.next, k.next)
	return k.m == k.v.Rows, nil
}

// ritz returns the eigenvalues of the projected matrix, ascending, and its eigenvectors as columns.
func (k *krylov) ritz() ([]float64, dense.Matrix[float64], error) {
	s, values := k.h.View(0, 0, k.m, k.m).Clone(), make([]float64, k.m)
	if !eigen.Sym(s, values) {
		return nil, s, dataError("product", "overflows")
	}
	return values, s, nil
}

// restart keeps the Ritz vectors of the given columns of s as the new basis; the next vector stays (thick restart, Wu and Simon 2000).
func (k *krylov) restart(s nnopt.Matrix[float64], columns []int, values []float64) {
	c := dense.New[float64](k.m, len(columns))
	for j, col := range columns {
		for i := range k.m {
			c.Set(i, j, s.At(i, col))
		}
	}
	for _, m := range []dense.Matrix[float64]{k.v, k.av} {
		part := m.View(0, 0, k.m, m.Cols)
		kept := dense.New[float64](len(columns), m.Cols)
		dense.Gemm(dense.Transposed, dense.NoTrans, 1, c, part, 0, kept)
		m.View(0, 0, kept.Rows, m.Cols).Copy(kept)
	}
	k.h.Zero()
	k.m = len(columns)
	for j, col := range columns {
		k.h.Set(j, j, values[col])
	}
}
