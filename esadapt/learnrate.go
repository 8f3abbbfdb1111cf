package esadapt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/spectral"
)

// learningRates adapts the learning rates of mean and covariance so that the signal-to-noise ratio of their updates stays constant;
// Nomura, Akimoto, Ono: "CMA-ES with learning rate adaptation" (arXiv:2401.15876), algorithm 1. The covariance meant is sigma^2 C. It
// helps on noisy and multimodal functions at the default population size and costs two to three times the evaluations elsewhere.
type learningRates struct {
	cov         *covariance
	mean, shape adaptiveRate
	delta, tmp  dense.Matrix[float64]
}

// adaptiveRate is one learning rate with the moving averages of its update direction and of the squared length.
type adaptiveRate struct {
	eta, beta float64
	average   []float64
	square    float64
}

const (
	lraAlpha = 1.4 // wanted ratio of signal-to-noise ratio and learning rate
	lraGamma = 0.1 // damping
)

func newLearningRates(cov *covariance) *learningRates {
	n := cov.n
	return &learningRates{
		cov:   cov,
		mean:  adaptiveRate{eta: 1, beta: 0.1, average: make([]float64, n)},
		shape: adaptiveRate{eta: 1, beta: 0.03, average: make([]float64, n*n)},
		delta: dense.New[float64](n, n), tmp: dense.New[float64](n, n),
	}
}

// adapt takes the update direction in local coordinates and moves the rate (eqs. 13-19).
func (r *adaptiveRate) adapt(delta []float64, scale float64) {
	var length, signal float64
	for i, d := range delta {
		d *= scale
		length += d * d
		r.average[i] += r.beta * (d - r.average[i])
		signal += r.average[i] * r.average[i]
	}
	r.square += r.beta * (length - r.square)
	noise := r.square - signal
	if !(noise > 0) {
		return
	}
	snr := (signal - r.beta/(2-r.beta)*r.square) / noise
	change := max(-1, min(1, snr/(lraAlpha*r.eta)-1))
	r.eta = min(1, r.eta*math.Exp(min(lraGamma*r.eta, r.beta)*change))
}

func (r *adaptiveRate) archive(a *archive) {
	a.float(&r.eta)
	a.fixed(r.average)
	a.float(&r.square)
}

// update makes the whole step of a generation: a tentative full update, its signal-to-noise ratios, and the update actually made.
func (l *learningRates) update(c *cma) {
	h := c.paths()
	c.learn(h, 1)
	l.cov.flush()
	before := c.sigma
	c.size.update(c)
	ratio := c.sigma / before
	c.sigma = before

	dense.Gemv(dense.NoTrans, 1, l.cov.basis, c.zw, 0, c.q)
	old := l.mean.eta
	l.mean.adapt(c.q, 1)
	l.shape.adapt(l.direction(l.cov, ratio*ratio).Data, math.Sqrt(0.5))

	c.moveMean(l.mean.eta)
	l.cov.blend(l.shape.eta, ratio*ratio)
	c.turn()
	c.sigma *= l.cov.normalize(c.pC) * old / l.mean.eta
	c.since = 0
}

// direction is S^-1/2 (S' - S) S^-1/2 in ambient coordinates, with S' = ratio2 (keep C + pending) and S = C.
func (l *learningRates) direction(c *covariance, ratio2 float64) dense.Matrix[float64] {
	for i := range c.n {
		from, to := c.sum.Row(i), l.delta.Row(i)
		for j := i; j < c.n; j++ {
			to[j] = ratio2 * from[j]
		}
		to[i] += ratio2*c.keep - 1
	}
	dense.Mirror(l.delta)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, c.basis, l.delta, 0, l.tmp)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, l.tmp, c.basis, 0, l.delta)
	return l.delta
}

func (l *learningRates) archive(a *archive) {
	l.mean.archive(a)
	l.shape.archive(a)
}

// blend replaces the pending target M by (1-eta) C + eta ratio2 M. The pending rows must have been flushed.
func (c *covariance) blend(eta, ratio2 float64) {
	c.keep = 1 + eta*(ratio2*c.keep-1)
	for i := range c.n {
		row := c.sum.Row(i)[i:]
		for j := range row {
			row[j] *= eta * ratio2
		}
	}
}

// normalize scales C to determinant 1 and returns the factor that sigma must grow by; path, in units of C, shrinks with it.
func (c *covariance) normalize(path []float64) float64 {
	var s float64
	for _, v := range c.sd {
		s += math.Log(v)
	}
	s = math.Exp(s / float64(c.n))
	c.factor.Update(spectral.Increment{Decay: 1 - 1/(s*s)}, nil)
	c.read()
	for j := range path {
		path[j] /= s
	}
	return s
}
