package esadapt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// maes is the matrix adaptation evolution strategy: CMA-ES with a transformation matrix M in place of the covariance and one path; Beyer and
// Sendhoff: "Simplify your covariance matrix adaptation evolution strategy" (IEEE TEC 2017), in the O(mu n^2) form of Loshchilov, Glasmachers,
// Beyer: "Large scale black-box optimization by limited-memory matrix adaptation" (IEEE TEC 2019), eq. 11.
type maes struct {
	gaussian
	rates
	m      matrixModel
	p      []float64
	mp     []float64 // M p
	zw, yw []float64
}

func newMAES(s Setup) (Strategy, error) {
	lambda, err := lambdaOr(&s, "ma-es", 2)
	if err != nil {
		return nil, err
	}
	n := len(s.Mean)
	e := &maes{gaussian: newGaussian(&s, lambda), rates: defaultRates(n, lambda, false)}
	d := float64(n)
	e.cSigma = (e.muEff + 2) / (d + e.muEff + 5)
	e.dampSigma = 1 + e.cSigma + 2*max(0, math.Sqrt((e.muEff-1)/(d+1))-1)
	e.m = matrixModel{dense.New[float64](n, n)}
	e.m.a.Identity()
	e.p, e.mp, e.zw, e.yw = make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	e.model = e.m
	return e, nil
}

// Ask implements Strategy.
func (e *maes) Ask() [][]float64 {
	return e.sample(func() { dense.Gemm(dense.NoTrans, dense.Transposed, 1, e.z, e.m.a, 0, e.y) })
}

// Tell implements Strategy.
func (e *maes) Tell(f []float64) error {
	if err := e.rank(f); err != nil {
		return err
	}
	e.recombine(e.w[:e.mu], e.zw, e.yw)
	dense.Axpy(e.sigma, e.yw, e.mean)
	follow(e.p, e.zw, e.cSigma, e.muEff)
	e.adapt()
	e.sigma *= math.Exp(min(1, e.cSigma/e.dampSigma*(math.Sqrt(dense.Dot(e.p, e.p))/e.chi-1)))
	e.end.turned(e.shape())
	e.finish()
	return nil
}

// adapt sets M <- M (I + c1/2 (p p^T - I) + cMu/2 (sum w z z^T - I)).
func (e *maes) adapt() {
	dense.Gemv(dense.NoTrans, 1, e.m.a, e.p, 0, e.mp)
	keep := 1 - e.c1/2 - e.cMu/2
	for i := range e.n {
		row := e.m.a.Row(i)
		for j := range row {
			row[j] *= keep
		}
	}
	dense.Ger(e.c1/2, e.mp, e.p, e.m.a)
	for r := range e.mu {
		i := e.ranking[r].i
		dense.Ger(e.cMu/2*e.w[r], e.y.Row(i), e.z.Row(i), e.m.a)
	}
}

func (e *maes) resample(i, attempt int) []float64 { return e.redraw(e.m, i, attempt) }

// MarshalBinary implements Strategy.
func (e *maes) MarshalBinary() ([]byte, error) { return marshal(e) }

// UnmarshalBinary implements Strategy.
func (e *maes) UnmarshalBinary(data []byte) error { return unmarshal(e, data) }

func (e *maes) archive(a *archive) {
	e.gaussian.archive(a, "ma-es 2")
	a.matrix(e.m.a)
	a.fixed(e.p)
}

// matrixModel is C = A A^T for a general square A.
type matrixModel struct{ a dense.Matrix[float64] }

func (m matrixModel) colorOne(y, z []float64) { dense.Gemv(dense.NoTrans, 1, m.a, z, 0, y) }

func (m matrixModel) diagonal(dst []float64, scale float64) {
	for i := range dst {
		row := m.a.Row(i)
		dst[i] = scale * math.Sqrt(dense.Dot(row, row))
	}
}

// extremes takes the lengths of the rows, the standard deviations of the coordinates, for those of the axes, which would need a decomposition.
func (m matrixModel) extremes() (lo, hi float64) {
	for i := range m.a.Rows {
		row := m.a.Row(i)
		v := math.Sqrt(dense.Dot(row, row))
		if i == 0 {
			lo, hi = v, v
		}
		lo, hi = min(lo, v), max(hi, v)
	}
	return lo, hi
}

func (m matrixModel) axis(dst []float64, k int) {
	for i := range dst {
		dst[i] = m.a.At(i, k)
	}
}
