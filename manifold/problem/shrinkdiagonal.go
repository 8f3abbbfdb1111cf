package problem

import (
	"fmt"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

var schaeferStrimmer = Method{
	Name:   "schaefer-strimmer",
	What:   "another target, the diagonal of S: keeps the variances and shrinks the correlations (Schaefer and Strimmer, Stat. Appl. Genet. Mol. Biol. 4 (2005), target D)",
	direct: shrinkToDiagonal,
}

// shrinkToDiagonal is (1-s) S + s diag(S) with s = sum_{i != j} Var(r_ij)/sum_{i != j} r_ij^2, the variance of the correlation r_ij estimated from the products of
// the standardised samples.
func shrinkToDiagonal(data *Data, o *Options) (*outcome, error) {
	x, d, err := samplesToShrink(data)
	if err != nil {
		return nil, err
	}
	s, err := diagonalShare(x, d)
	if err != nil {
		return nil, err
	}
	for i := range d.s.Rows {
		for j := range d.s.Cols {
			if i != j {
				d.s.Set(i, j, (1-s)*d.s.At(i, j))
			}
		}
	}
	target, err := manifold.NewFrame(symmetric(d.s))
	if err != nil {
		return nil, &DataError{Where: fmt.Sprintf("estimate with share %.3g", s), Err: err, Remedy: "drop columns that depend on others"}
	}
	out := &outcome{n: x.Cols, count: x.Rows, solution: symmetric(d.s), parts: []Part{numberPart("share", s)}}
	out.run, err = shrinkClosedForm(target, s, o)
	return out, err
}

// diagonalShare returns the share of the diagonal. One product beside that of S.
func diagonalShare(x dense.Matrix[float64], d *shrinkData) (float64, error) {
	n, N := d.s.Rows, d.N
	for j := range n {
		if !(d.s.At(j, j) > 0) {
			return 0, &DataError{Err: fmt.Errorf("the mean square of column %d of the samples is %v", j, d.s.At(j, j)), Remedy: "remove constant columns"}
		}
	}
	squares, fourth := dense.New[float64](x.Rows, n), dense.New[float64](n, n)
	for i := range x.Rows {
		for j, v := range x.Row(i) {
			squares.Set(i, j, v*v/d.s.At(j, j))
		}
	}
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1/N, squares, squares, 0, fourth) // mean of the squares of the products
	var variance, square float64
	for i := range n {
		for j := i + 1; j < n; j++ {
			r2 := d.s.At(i, j) * d.s.At(i, j) / d.s.At(i, i) / d.s.At(j, j)
			variance += max(fourth.At(i, j)-r2, 0) / (N - 1)
			square += r2
		}
	}
	if !(square > 0) {
		return 1, nil
	}
	return min(variance/square, 1), nil
}
