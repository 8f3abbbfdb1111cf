package spectral

import (
	"cmp"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// preRotate turns every group of exactly equal eigenvalues to the eigenvectors of m within the group. m becomes full. It returns whether there
// was such a group.
func (f *Factor) preRotate() bool {
	order := make([]int, f.n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(f.d[i], f.d[j]) })
	found := false
	for lo := 0; lo < f.n; {
		hi := lo + 1
		for hi < f.n && f.d[order[hi]] == f.d[order[lo]] {
			hi++
		}
		if hi-lo > 1 {
			if !found {
				dense.Mirror(f.m)
			}
			found = true
			f.turnGroup(order[lo:hi])
		}
		lo = hi
	}
	return found
}

// turnGroup replaces the eigenvectors idx, whose eigenvalues are equal, by the eigenvectors of m within their span.
func (f *Factor) turnGroup(idx []int) {
	k := len(idx)
	v := dense.New[float64](k, k)
	for i, p := range idx {
		for j, q := range idx {
			v.Set(i, j, f.m.At(p, q))
		}
	}
	if !eigen.Sym(v, make([]float64, k)) {
		return
	}
	turnColumns(f.b, idx, v)
	turnColumns(f.m, idx, v)
	block := dense.New[float64](k, f.n)
	for j, p := range idx {
		for i := range f.n {
			block.Set(j, i, f.m.At(p, i))
		}
	}
	turned := dense.New[float64](k, f.n)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, v, block, 0, turned)
	for j, p := range idx {
		copy(f.m.Row(p), turned.Row(j))
		f.x[p] = f.m.At(p, p)/f.d[p] - 1
	}
}

// turnColumns replaces the columns idx of a by their products with v.
func turnColumns(a dense.Matrix[float64], idx []int, v dense.Matrix[float64]) {
	k := len(idx)
	part, turned := dense.New[float64](a.Rows, k), dense.New[float64](a.Rows, k)
	for i := range a.Rows {
		for j, p := range idx {
			part.Set(i, j, a.At(i, p))
		}
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, part, v, 0, turned)
	for i := range a.Rows {
		for j, p := range idx {
			a.Set(i, p, turned.At(i, j))
		}
	}
}
