package learn

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/absent"
	"github.com/spdopt/spdopt/manifold"
)

// TangentOptions configures NewTangentSpace; the zero value is the default.
type TangentOptions struct {
	// Metric is a name of manifold.Metrics; the default is affine-invariant.
	Metric string
}

// TangentSpace maps SPD matrices to vectors: the coordinates of their logarithms at a reference in an orthonormal basis, n(n+1)/2 numbers. The length of a
// vector is the distance from the reference, and angles at the reference are kept, so that linear methods on the vectors respect the metric near it. Under the
// affine-invariant metric the vector is the upper triangle, row by row, of log(C^-1/2 X C^-1/2), with entries off the diagonal times sqrt 2. Source:
// Barachant, Bonnet, Congedo and Jutten, IEEE Trans. Biomed. Eng. 59 (2012) 920-928; Tuzel, Porikli and Meer, IEEE Trans. PAMI 30 (2008).
type TangentSpace struct {
	m     geometry
	at    manifold.Point
	n     int
	scale float64 // of the coordinates of the manifold, to make them orthonormal
	v     []float64
}

// NewTangentSpace returns the tangent space at the SPD matrix reference.
func NewTangentSpace(reference mat.Symmetric, o TangentOptions) (*TangentSpace, error) {
	if absent.Matrix(reference) {
		return nil, errors.New("learn: the reference is nil")
	}
	n := reference.SymmetricDim()
	m, err := newGeometry(o.Metric, n)
	if err != nil {
		return nil, err
	}
	t := &TangentSpace{m: m, n: n, v: make([]float64, m.VectorLen())}
	if t.at, err = m.PointOf(reference); err != nil {
		return nil, fmt.Errorf("learn: the reference: %w", err)
	}
	if _, ok := t.at.(*manifold.Frame); ok {
		if err := t.symmetricRoot(); err != nil {
			return nil, fmt.Errorf("learn: the reference: %w", err)
		}
	}
	t.v[0] = 1
	t.scale = math.Sqrt(m.Inner(t.at, t.v, t.v))
	return t, nil
}

// TangentSpaceOf returns the tangent space at the mean of the matrices, in the same metric.
func TangentSpaceOf(ms []mat.Symmetric, o TangentOptions) (*TangentSpace, error) {
	c, err := newCloud(o.Metric, ms)
	if err != nil {
		return nil, err
	}
	p, _, err := c.mean(all(len(ms)), nil)
	if err != nil {
		return nil, fmt.Errorf("learn: the mean: %w", err)
	}
	return NewTangentSpace(matrix(c.m, p), o)
}

// symmetricRoot replaces the frame of the reference C by its symmetric square root, which the geodesic from c I with velocity log C/c ends at. With c the geometric
// mean of the eigenvalues the units of C do not matter.
func (t *TangentSpace) symmetricRoot() error {
	c := math.Exp(t.at.(*manifold.Frame).LogDet() / float64(t.n))
	id := manifold.IdentityFrame(t.n, min(max(c, math.SmallestNonzeroFloat64), math.MaxFloat64))
	if err := t.m.Log(t.v, id, t.at); err != nil {
		return err
	}
	root := id.Clone()
	if err := t.m.Exp(root, id, t.v); err != nil {
		return err
	}
	if c, ok := t.m.(manifold.Completer); ok {
		if err := c.Complete(root); err != nil {
			return err
		}
	}
	t.at = root
	clear(t.v)
	return nil
}

// Len returns the length of the vectors, n(n+1)/2.
func (t *TangentSpace) Len() int { return t.n * (t.n + 1) / 2 }

// Reference returns the matrix whose vector is zero.
func (t *TangentSpace) Reference() *mat.SymDense { return matrix(t.m, t.at) }

// Vectors returns the vectors of SPD matrices as rows. A logarithm for each, about ten products under the affine-invariant metric.
func (t *TangentSpace) Vectors(ms []mat.Symmetric) (*mat.Dense, error) {
	if len(ms) == 0 {
		return nil, fmt.Errorf("learn: no matrices given")
	}
	points, err := pointsOf(t.m, ms)
	if err != nil {
		return nil, err
	}
	out := mat.NewDense(len(ms), t.Len(), nil)
	for i, p := range points {
		if err := t.m.Log(t.v, t.at, p); err != nil {
			return nil, fmt.Errorf("learn: matrix %d: %w", i, err)
		}
		t.pack(out.RawRowView(i))
	}
	return out, nil
}

// Matrices returns the SPD matrices whose vectors are the rows of x. A row that is not finite, or that leaves the domain of the exponential of the metric, is
// an error.
func (t *TangentSpace) Matrices(x mat.Matrix) ([]*mat.SymDense, error) {
	if absent.Matrix(x) {
		return nil, errors.New("learn: the vectors are nil")
	}
	rows, cols := x.Dims()
	if cols != t.Len() {
		return nil, fmt.Errorf("learn: the vectors have %d numbers, want %d for matrices of %d rows", cols, t.Len(), t.n)
	}
	out, q, row := make([]*mat.SymDense, rows), t.at.Clone(), make([]float64, cols)
	for i := range out {
		mat.Row(row, i, x)
		t.unpack(row)
		if err := t.m.Exp(q, t.at, t.v); err != nil {
			return nil, fmt.Errorf("learn: vector %d: %w", i, err)
		}
		if c, ok := t.m.(manifold.Completer); ok {
			if err := c.Complete(q); err != nil {
				return nil, fmt.Errorf("learn: vector %d: %w", i, err)
			}
		}
		out[i] = matrix(t.m, q)
	}
	return out, nil
}

// pack writes the coordinates in v to row. Coordinates are a symmetric matrix, or already the numbers wanted.
func (t *TangentSpace) pack(row []float64) {
	if len(t.v) == len(row) {
		for i, v := range t.v {
			row[i] = t.scale * v
		}
		return
	}
	k := 0
	for i := range t.n {
		for j := i; j < t.n; j++ {
			row[k] = t.scale * t.v[i*t.n+j]
			if i != j {
				row[k] *= math.Sqrt2
			}
			k++
		}
	}
}

// unpack is the inverse of pack.
func (t *TangentSpace) unpack(row []float64) {
	if len(t.v) == len(row) {
		for i, v := range row {
			t.v[i] = v / t.scale
		}
		return
	}
	k := 0
	for i := range t.n {
		for j := i; j < t.n; j++ {
			v := row[k] / t.scale
			if i != j {
				v /= math.Sqrt2
			}
			t.v[i*t.n+j], t.v[j*t.n+i] = v, v
			k++
		}
	}
}

// Kernel returns the m x m matrix of the inner products of the vectors of SPD matrices at the reference, which kernel methods take: positive semidefinite in
// every metric.
func (t *TangentSpace) Kernel(ms []mat.Symmetric) (*mat.SymDense, error) {
	x, err := t.Vectors(ms)
	if err != nil {
		return nil, err
	}
	k := mat.NewSymDense(len(ms), nil)
	k.SymOuterK(1, x)
	return k, nil
}
