package esadapt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// lmmaes is the limited-memory matrix adaptation evolution strategy; Loshchilov, Glasmachers, Beyer: "Large scale black-box optimization by
// limited-memory matrix adaptation" (IEEE TEC 2019), algorithm 1: m = 4 + floor(3 ln n) direction vectors of geometrically growing memory
// stand for the transformation matrix.
type lmmaes struct {
	gaussian
	w      []float64
	mu     int
	muEff  float64
	cSigma float64
	p      []float64
	dirs   dense.Matrix[float64] // m x n
	cD, cC []float64
	zw, yw []float64
}

func newLMMAES(s Setup) (Strategy, error) {
	lambda, err := lambdaOr(&s, "lm-ma-es", 2)
	if err != nil {
		return nil, err
	}
	n := len(s.Mean)
	m := defaultLambda(n)
	e := &lmmaes{gaussian: newGaussian(&s, lambda)}
	e.w, e.mu, e.muEff, _ = rawWeights(lambda)
	e.cSigma = min(1, 2*float64(lambda)/float64(n))
	e.dirs = dense.New[float64](m, n)
	e.cD, e.cC = make([]float64, m), make([]float64, m)
	for k := range m {
		e.cD[k] = 1 / (math.Pow(1.5, float64(k)) * float64(n))
		e.cC[k] = min(1, float64(lambda)/(math.Pow(4, float64(k))*float64(n)))
	}
	e.p, e.zw, e.yw = make([]float64, n), make([]float64, n), make([]float64, n)
	e.model = e
	return e, nil
}

// Ask implements Strategy.
func (e *lmmaes) Ask() [][]float64 {
	return e.sample(func() { e.colorEach(e) })
}

// colorOne applies the factors (1 - c) I + c m m^T in turn; directions enter only once they have been formed.
func (e *lmmaes) colorOne(y, z []float64) {
	copy(y, z)
	for k := range min(e.generation, e.dirs.Rows) {
		c, m := e.cD[k], e.dirs.Row(k)
		dot := c * dense.Dot(m, y)
		for j := range y {
			y[j] = (1-c)*y[j] + dot*m[j]
		}
	}
}

// Tell implements Strategy.
func (e *lmmaes) Tell(f []float64) error {
	if err := e.rank(f); err != nil {
		return err
	}
	e.recombine(e.w[:e.mu], e.zw, e.yw)
	dense.Axpy(e.sigma, e.yw, e.mean)
	follow(e.p, e.zw, e.cSigma, e.muEff)
	for k, c := range e.cC {
		follow(e.dirs.Row(k), e.zw, c, e.muEff)
	}
	e.sigma *= math.Exp(min(1, e.cSigma/2*(dense.Dot(e.p, e.p)/float64(e.n)-1)))
	e.end.turned(e.shape())
	e.finish()
	return nil
}

// diagonal takes 1 for the deviations of C: the model is a product of many factors close to the identity.
func (e *lmmaes) diagonal(dst []float64, scale float64) {
	for i := range dst {
		dst[i] = scale
	}
}

func (e *lmmaes) extremes() (lo, hi float64) { return 1, 1 }

func (e *lmmaes) axis(dst []float64, k int) {
	clear(dst)
	dst[k] = 1
}

func (e *lmmaes) resample(i, attempt int) []float64 { return e.redraw(e, i, attempt) }

// MarshalBinary implements Strategy.
func (e *lmmaes) MarshalBinary() ([]byte, error) { return marshal(e) }

// UnmarshalBinary implements Strategy.
func (e *lmmaes) UnmarshalBinary(data []byte) error { return unmarshal(e, data) }

func (e *lmmaes) archive(a *archive) {
	e.gaussian.archive(a, "lm-ma-es 2")
	a.fixed(e.p)
	a.matrix(e.dirs)
}
