package learn

import (
	"cmp"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/absent"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// PrincipalOptions configures NewPrincipalAxes; the zero value is the default.
type PrincipalOptions struct {
	// Count is the number of axes; default 2, at most as many as the data vary in.
	Count int
}

// Validate returns an error that names the first field that is out of range.
func (o PrincipalOptions) Validate() error {
	if o.Count < 0 {
		return fmt.Errorf("learn: Count is %d, want at least 1 (0 for the default, 2)", o.Count)
	}
	return nil
}

// PrincipalAxes are the geodesics through the mean of SPD matrices along which they vary most, in the linear approximation at the mean: the principal
// components of their tangent vectors. Source: Fletcher, Lu, Pizer and Joshi, IEEE Trans. Med. Imaging 23 (2004) 995-1005, section 4.
type PrincipalAxes struct {
	Space    *TangentSpace
	Axes     *mat.Dense // k x n(n+1)/2, orthonormal rows in Space
	Variance []float64  // mean square of the scores, in decreasing order
	Share    []float64  // of the total variance
	centre   []float64  // mean vector
}

// NewPrincipalAxes finds the axes of the matrices in a tangent space, which should be that of their mean (TangentSpaceOf). A logarithm for each matrix, and an
// eigendecomposition with as many rows as there are matrices or numbers in a vector, whichever is less.
func NewPrincipalAxes(space *TangentSpace, ms []mat.Symmetric, o PrincipalOptions) (*PrincipalAxes, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if space == nil {
		return nil, errors.New("learn: the tangent space is nil; make it with TangentSpaceOf")
	}
	x, err := space.Vectors(ms)
	if err != nil {
		return nil, err
	}
	p := &PrincipalAxes{Space: space, centre: make([]float64, space.Len())}
	v := dense.Of(x.RawMatrix())
	for i := range v.Rows {
		dense.Axpy(1/float64(v.Rows), v.Row(i), p.centre)
	}
	for i := range v.Rows {
		dense.Axpy(-1, p.centre, v.Row(i))
	}
	return p, p.decompose(v, cmp.Or(o.Count, 2))
}

// decompose sets the axes of the centred vectors x by the eigenvectors of x^T x or of x x^T, whichever is smaller.
func (p *PrincipalAxes) decompose(x dense.Matrix[float64], count int) error {
	m := float64(x.Rows)
	k := min(x.Rows, x.Cols)
	gram, values := dense.New[float64](k, k), make([]float64, k)
	wide := x.Rows < x.Cols
	if wide {
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1/m, x, x, 0, gram)
	} else {
		dense.GemmUpper(dense.Transposed, dense.NoTrans, 1/m, x, x, 0, gram)
	}
	dense.Mirror(gram)
	if !eigen.Sym(gram, values) {
		return errors.New("learn: the vectors have a NaN or Inf entry")
	}
	var total float64
	for _, v := range values {
		total += max(v, 0)
	}
	if math.Sqrt(total) <= rounding(p.Space.m, p.Space.at) {
		return errors.New("learn: all matrices are equal: they vary along no axis; take the vectors as they are (method vectors)")
	}
	for count = min(count, k); count > 1 && !(values[k-count] > 1e-13*total); {
		count--
	}
	p.Axes = mat.NewDense(count, x.Cols, nil)
	column := make([]float64, k)
	for i := range count {
		j := k - 1 - i
		p.Variance, p.Share = append(p.Variance, values[j]), append(p.Share, values[j]/total)
		for r := range k {
			column[r] = gram.At(r, j)
		}
		axis := p.Axes.RawRowView(i)
		if wide {
			dense.Gemv(dense.Transposed, 1/math.Sqrt(m*values[j]), x, column, 0, axis)
		} else {
			copy(axis, column)
		}
		orient(axis)
	}
	return nil
}

// orient makes the largest number of an axis positive, which fixes its sign.
func orient(axis []float64) {
	big := 0
	for i, v := range axis {
		if math.Abs(v) > math.Abs(axis[big])*(1+1e-9) {
			big = i
		}
	}
	if axis[big] < 0 {
		dense.Scale(-1, axis, axis)
	}
}

// Scores returns the coordinates of SPD matrices along the axes as rows.
func (p *PrincipalAxes) Scores(ms []mat.Symmetric) (*mat.Dense, error) {
	x, err := p.Space.Vectors(ms)
	if err != nil {
		return nil, err
	}
	for i := range len(ms) {
		dense.Axpy(-1, p.centre, x.RawRowView(i))
	}
	var s mat.Dense
	s.Mul(x, p.Axes.T())
	return &s, nil
}

// Matrices returns the SPD matrices that have the rows of scores as coordinates along the axes, and nothing else.
func (p *PrincipalAxes) Matrices(scores mat.Matrix) ([]*mat.SymDense, error) {
	if absent.Matrix(scores) {
		return nil, errors.New("learn: the scores are nil")
	}
	rows, cols := scores.Dims()
	if have, _ := p.Axes.Dims(); cols != have {
		return nil, fmt.Errorf("learn: the scores have %d columns, want %d", cols, have)
	}
	var x mat.Dense
	x.Mul(scores, p.Axes)
	for i := range rows {
		dense.Axpy(1, p.centre, x.RawRowView(i))
	}
	return p.Space.Matrices(&x)
}
