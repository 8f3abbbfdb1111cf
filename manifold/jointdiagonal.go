package manifold

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

var aleAverage = Average{
	Name: "ale",
	What: "log-Euclidean mean in the coordinates that make the matrices as diagonal as one change of variables can; near the Karcher mean",
	Mean: func(ms []mat.Symmetric, weights []float64, o AverageOptions) (*mat.SymDense, MeanReport, error) {
		return aleMean(ms, weights, o.MeanOptions)
	},
}

// JointDiagonalizer returns the invertible matrix B, up to the order and scale of its rows, for which the matrices B A_k B^T are as diagonal as can be: the
// minimizer of sum w_k [log det diag(B A_k B^T) - log det(B A_k B^T)], by rotations of pairs of rows from the pencil of the first matrix and the mean.
// nil weights are equal; Start is ignored. Two matrices, and matrices that commute, become diagonal. The minimum is a local one. m n^3 operations for
// each sweep over the pairs; sweeps converge quadratically where all become diagonal, and linearly, slowly for many unrelated matrices, elsewhere. Source: Pham, SIAM J. Matrix Anal. Appl. 22 (2001) 1136-1152.
func JointDiagonalizer(ms []mat.Symmetric, weights []float64, o MeanOptions) (*mat.Dense, error) {
	d, err := newDiagonalizer(ms, weights, &o)
	if err != nil {
		return nil, err
	}
	if _, err := d.run(o.withDefaults()); err != nil {
		return nil, err
	}
	return mat.NewDense(d.b.Rows, d.b.Cols, d.b.Data), nil
}

// diagonalizer is the state of JointDiagonalizer.
type diagonalizer struct {
	frames     []*Frame
	w          []float64
	b, inverse dense.Matrix[float64]   // B and B^-1
	c          []dense.Matrix[float64] // B A_k B^T
}

func newDiagonalizer(ms []mat.Symmetric, weights []float64, o *MeanOptions) (*diagonalizer, error) {
	frames, w, _, err := framesToAverage(ms, weights, o)
	if err != nil {
		return nil, err
	}
	mean, err := NewFrame(arithmeticMean(frames, w))
	if err != nil {
		return nil, err
	}
	n := mean.Dim()
	d := &diagonalizer{frames: frames, w: w, b: dense.New[float64](n, n), inverse: dense.New[float64](n, n)}
	q, values := dense.New[float64](n, n), make([]float64, n)
	pencil(q, mean, frames[0])
	if !eigen.Sym(q, values) {
		return nil, &PointError{What: "the pencil of the first matrix and the mean has a NaN or Inf entry"}
	}
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, q, mean.inverse(), 0, d.b)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, mean.matrix(), q, 0, d.inverse)
	for range frames {
		d.c = append(d.c, dense.New[float64](n, n))
	}
	d.refresh()
	return d, nil
}

// refresh computes B A_k B^T.
func (d *diagonalizer) refresh() {
	w := dense.New[float64](d.b.Rows, d.b.Rows)
	for k, f := range d.frames {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, d.b, f.matrix(), 0, w)
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, w, w, 0, d.c[k])
		dense.Mirror(d.c[k])
	}
}

// run sweeps over the pairs of rows until a sweep gains no more than the square of the tolerance for each pair.
func (d *diagonalizer) run(o MeanOptions) (r MeanReport, err error) {
	n := float64(d.b.Rows)
	for {
		gain := 0.0
		for i := 1; i < d.b.Rows; i++ {
			for j := range i {
				gain += d.turn(i, j)
			}
		}
		r.Residual = math.Sqrt(max(gain, 0) / (n*n - n + 1))
		if r.Residual <= o.Tolerance {
			return r, nil
		}
		r.Iterations++
		if err := o.over(r, o.Tolerance); err != nil {
			return r, err
		}
	}
}

// turn replaces rows i and j of B by the combinations that lower the criterion most to second order, and returns by how much.
func (d *diagonalizer) turn(i, j int) float64 {
	var g12, g21, w12, w21 float64
	for k, c := range d.c {
		a, x, y := c.At(i, j), c.At(i, i), c.At(j, j)
		g12 += d.w[k] * a / x
		g21 += d.w[k] * a / y
		w12 += d.w[k] * y / x
		w21 += d.w[k] * x / y
	}
	omega, ratio := math.Sqrt(w12*w21), math.Sqrt(w21/w12)
	even, odd := (ratio*g12+g21)/(omega+1), (ratio*g12-g21)/max(omega-1, 1e-9)
	h12, h21 := even+odd, (even-odd)/ratio
	t := 1 + math.Sqrt(max(1-h12*h21, 0))
	u, v := -h12/t, -h21/t
	rows(d.b, i, j, u, v)
	columns(d.inverse, i, j, u, v)
	for _, c := range d.c {
		rows(c, i, j, u, v)
		for s := range c.Rows {
			row := c.Row(s)
			row[i], row[j] = row[i]+u*row[j], row[j]+v*row[i]
		}
	}
	return (g12*h12 + g21*h21) / 2
}

// rows multiplies rows i and j of a by [1 u; v 1] from the left.
func rows(a dense.Matrix[float64], i, j int, u, v float64) {
	x, y := a.Row(i), a.Row(j)
	for s, p := range x {
		x[s], y[s] = p+u*y[s], y[s]+v*p
	}
}

// columns multiplies columns i and j of a by the inverse of [1 u; v 1] from the right.
func columns(a dense.Matrix[float64], i, j int, u, v float64) {
	det := 1 - u*v
	for s := range a.Rows {
		row := a.Row(s)
		row[i], row[j] = (row[i]-v*row[j])/det, (row[j]-u*row[i])/det
	}
}

// ALEMean returns the log-Euclidean mean of the matrices in the coordinates of their approximate joint diagonalization: B^-1 exp(sum w_k log(B A_k B^T)) B^-T
// with the rows of B (JointDiagonalizer) scaled until the exponential has unit diagonal. It is the Karcher mean for two matrices and where one change of
// variables makes all diagonal, and near it otherwise, at m eigendecompositions per scaling. Equivariant under congruence; its determinant is the
// geometric mean of the determinants. nil weights are equal, and weigh the diagonalization too; Start is ignored. Source: Congedo, Afsari, Barachant and
// Moakher, PLoS ONE 10 (2015) e0121423.
func ALEMean(ms []mat.Symmetric, weights []float64, o MeanOptions) (*mat.SymDense, error) {
	x, _, err := aleMean(ms, weights, o)
	return x, err
}

func aleMean(ms []mat.Symmetric, weights []float64, o MeanOptions) (*mat.SymDense, MeanReport, error) {
	d, err := newDiagonalizer(ms, weights, &o)
	if err != nil {
		return nil, MeanReport{}, err
	}
	o = o.withDefaults()
	r, early := d.run(o)
	scaling := rowScaling{step: 0.5}
	for early == nil {
		j, spread, err := d.meanLog()
		if err != nil {
			return nil, r, err
		}
		symExp(j)
		r.Residual, r.Spread = scaling.next(j), spread
		limit := max(o.Tolerance*spread, 0x1p-48*float64(d.b.Rows))
		if r.Residual <= limit {
			break
		}
		d.rescale(scaling.change)
		r.Iterations++
		early = o.over(r, limit)
	}
	x, err := d.mean()
	if err != nil {
		return nil, r, err
	}
	return x, r, early
}

// mean returns B^-1 exp(sum w_k log(B A_k B^T)) B^-T.
func (d *diagonalizer) mean() (*mat.SymDense, error) {
	j, _, err := d.meanLog()
	if err != nil {
		return nil, err
	}
	symExp(j)
	n := d.b.Rows
	w, out := dense.New[float64](n, n), dense.New[float64](n, n)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, d.inverse, j, 0, w)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, w, d.inverse, 0, out)
	dense.Mirror(out)
	return mat.NewSymDense(n, out.Data), nil
}

// meanLog returns sum w_k log(B A_k B^T) and the root mean square norm of the logarithms.
func (d *diagonalizer) meanLog() (dense.Matrix[float64], float64, error) {
	d.refresh()
	n := d.b.Rows
	sum, work, values := dense.New[float64](n, n), dense.New[float64](n, n), make([]float64, n)
	one := dense.New[float64](n, n)
	var square float64
	for k, c := range d.c {
		if !eigen.Sym(c, values) || !(values[0] > 0) {
			return sum, 0, &PointError{What: "a matrix in the joint coordinates is not positive definite to rounding", Min: values[0], Max: values[n-1]}
		}
		dense.Log(values, values)
		square += d.w[k] * dense.Dot(values, values)
		spectralSum(one, c, values, work)
		dense.Axpy(d.w[k], one.Data, sum.Data)
	}
	return sum, math.Sqrt(square), nil
}

// rescale multiplies the rows of B by the exponentials of v.
func (d *diagonalizer) rescale(v []float64) {
	for i, c := range v {
		s := math.Exp(c)
		dense.Scale(s, d.b.Row(i), d.b.Row(i))
		for k := range d.inverse.Rows {
			d.inverse.Set(k, i, d.inverse.At(k, i)/s)
		}
	}
}

// rowScaling seeks the logarithms of the scales of the rows for which the exponential of the mean logarithm has unit diagonal. The plain change is minus half
// the logarithm of that diagonal, which is exact where the matrices are diagonal and too short elsewhere; its factor follows from the response to the last
// change (Barzilai and Borwein, IMA J. Numer. Anal. 8 (1988)).
type rowScaling struct {
	step         float64
	change, last []float64 // of the scales; the logarithms of the diagonal before it
}

// next sets change, given the exponential, and returns the norm of the logarithms of its diagonal.
func (s *rowScaling) next(e dense.Matrix[float64]) float64 {
	r := make([]float64, e.Rows)
	for i := range r {
		r[i] = math.Log(e.At(i, i))
	}
	if s.change == nil {
		s.change = make([]float64, e.Rows)
	} else {
		response := 0.0
		for i, c := range s.change {
			response += c * (r[i] - s.last[i])
		}
		s.step = 10.0
		if response > 0 {
			s.step = min(max(dense.Dot(s.change, s.change)/response, 0.25), 10)
		}
	}
	dense.Scale(-s.step, r, s.change)
	s.last = r
	return math.Sqrt(dense.Dot(r, r))
}

// symExp replaces the symmetric matrix a by its exponential.
func symExp(a dense.Matrix[float64]) {
	values, q := make([]float64, a.Rows), a.Clone()
	eigen.Sym(q, values)
	dense.Exp(values, values)
	spectralSum(a, q, values, dense.New[float64](a.Rows, a.Rows))
}
