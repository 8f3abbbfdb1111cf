package laplace

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// structure is a form of H.
type structure interface {
	// at returns s H + diag(prior), which does not follow later changes of H. The errors are *SingularError and *OptionError.
	at(s float64, prior []float64) (precision, error)
}

// precision is P = s H + diag(prior), of d parameters. P^-1 = R R^T with some root R.
type precision interface {
	logDet() float64
	// slopes adds the derivatives of logDet in the logarithms of the prior precisions to dst, by the group of each parameter, and returns that in log s.
	slopes(group []int, dst []float64) float64
	// mul sets dst to P x.
	mul(dst, x []float64)
	// whiten replaces each row x by R^T x, colour by R x.
	whiten(rows dense.Matrix[float64])
	colour(rows dense.Matrix[float64])
	// variances sets dst to the diagonal of P^-1.
	variances(dst []float64)
}

// SingularError says that a posterior precision is not positive definite in floating point.
type SingularError struct {
	Where string
	Value float64 // the number at which that was seen
}

// Error says what to do.
func (e *SingularError) Error() string {
	return fmt.Sprintf("laplace: the posterior precision is singular to working precision (%s is %g); raise the prior precision", e.Where, e.Value)
}

// fullCurvature is a dense H.
type fullCurvature struct{ h dense.Matrix[float64] }

func (f *fullCurvature) at(s float64, prior []float64) (precision, error) {
	p := &fullPrecision{p: f.h.Clone(), prior: prior}
	for i := range prior {
		row := p.p.Row(i)
		dense.Scale(s, row, row)
		row[i] += prior[i]
	}
	p.l = p.p.Clone()
	if k := dense.Cholesky(p.l); k >= 0 {
		return nil, &SingularError{fmt.Sprintf("pivot %d", k), p.l.At(k, k)}
	}
	return p, nil
}

// fullPrecision is a dense P with P = L L^T; the root is L^-T.
type fullPrecision struct {
	p, l  dense.Matrix[float64]
	prior []float64
}

func (f *fullPrecision) logDet() (sum float64) {
	for i := range f.prior {
		sum += 2 * math.Log(f.l.At(i, i))
	}
	return sum
}

func (f *fullPrecision) variances(dst []float64) {
	inverse := f.l.Clone()
	dense.InvertLower(inverse)
	clear(dst)
	for i := range inverse.Rows {
		for j, v := range inverse.Row(i)[:i+1] {
			dst[j] += v * v
		}
	}
}

func (f *fullPrecision) slopes(group []int, dst []float64) float64 {
	v := make([]float64, len(f.prior))
	f.variances(v)
	rest := float64(len(v))
	for i, x := range v {
		dst[group[i]] += f.prior[i] * x
		rest -= f.prior[i] * x
	}
	return rest
}

func (f *fullPrecision) mul(dst, x []float64) { dense.Gemv(dense.NoTrans, 1, f.p, x, 0, dst) }

func (f *fullPrecision) whiten(rows dense.Matrix[float64]) {
	dense.SolveLowerRight(dense.Transposed, f.l, rows)
}

func (f *fullPrecision) colour(rows dense.Matrix[float64]) {
	dense.SolveLowerRight(dense.NoTrans, f.l, rows)
}

// diagonalCurvature is the diagonal of H.
type diagonalCurvature struct{ h []float64 }

func (d *diagonalCurvature) at(s float64, prior []float64) (precision, error) {
	p := &diagonalPrecision{p: make([]float64, len(prior)), prior: prior}
	for i, v := range prior {
		if p.p[i] = s*d.h[i] + v; !(p.p[i] > 0) {
			return nil, &SingularError{fmt.Sprintf("element %d", i), p.p[i]}
		}
	}
	return p, nil
}

type diagonalPrecision struct{ p, prior []float64 }

func (d *diagonalPrecision) logDet() (sum float64) {
	for _, v := range d.p {
		sum += math.Log(v)
	}
	return sum
}

func (d *diagonalPrecision) variances(dst []float64) {
	for i, v := range d.p {
		dst[i] = 1 / v
	}
}

func (d *diagonalPrecision) slopes(group []int, dst []float64) (scale float64) {
	for i, v := range d.p {
		dst[group[i]] += d.prior[i] / v
		scale += (v - d.prior[i]) / v
	}
	return scale
}

func (d *diagonalPrecision) mul(dst, x []float64) {
	for i, v := range d.p {
		dst[i] = v * x[i]
	}
}

func (d *diagonalPrecision) whiten(rows dense.Matrix[float64]) {
	for i := range rows.Rows {
		row := rows.Row(i)
		for j, v := range d.p {
			row[j] /= math.Sqrt(v)
		}
	}
}

func (d *diagonalPrecision) colour(rows dense.Matrix[float64]) { d.whiten(rows) }
