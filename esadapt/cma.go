package esadapt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/spectral"
)

// covarianceModel is the form in which a cma keeps C = A A^T; its coordinates (of z and of the paths) may turn at fold.
type covarianceModel interface {
	spread
	linear
	color(y, z, tmp dense.Matrix[float64])
	toAmbient(p []float64)
	axes() []float64 // lengths of the axes in the model's coordinates
	decay(a float64)
	add(w float64, z []float64)
	fold(paths ...[]float64) spectral.Report
	archive(a *archive)
}

// cma is the (mu/mu_w, lambda)-CMA-ES with negative weights; Hansen, "The CMA Evolution Strategy: A Tutorial" (arXiv:1604.00772), with the
// covariance kept as a spectral factor (package comment), or as a diagonal (sep-cma).
type cma struct {
	gaussian
	rates
	name    string
	cov     covarianceModel
	pSigma  []float64   // path of sigma, in the model's coordinates
	pC      []float64   // path of C, in the model's coordinates
	carried [][]float64 // both paths, which turn with the basis
	q       []float64   // scratch: a whitened vector
	zw, yw  []float64   // recombined step
	batch   int         // generations between two turns of the basis
	since   int         // generations since the last one
	tmp     dense.Matrix[float64]
	size    sizeRule
	lra     *learningRates
	quiet   []bool     // coordinates that the step size does not listen to
	muted   int        // how many
	agree   *agreement // nil where the haste is fixed
}

func newCMA(s Setup) (Strategy, error) {
	lambda, err := lambdaOr(&s, "cma", 2)
	if err != nil {
		return nil, err
	}
	n := len(s.Mean)
	r := defaultRates(n, lambda, !s.Tuning.NoActive)
	batch := s.Tuning.Batch
	if batch == 0 {
		batch = batchFor(n, r.c1, r.cMu)
	}
	cov := newCovariance(n, lambda+1, batch, &s.Tuning)
	c := assembleCMA(&s, "cma", lambda, r, cov)
	c.batch = batch
	if s.Tuning.LearnRate {
		c.lra = newLearningRates(cov)
	} else {
		c.agree = watch(&c.rates, cov, lambda, batch)
	}
	return c, nil
}

func assembleCMA(s *Setup, name string, lambda int, r rates, cov covarianceModel) *cma {
	n := len(s.Mean)
	c := &cma{gaussian: newGaussian(s, lambda), rates: r, name: name, cov: cov, batch: 1}
	c.pSigma, c.pC, c.q = make([]float64, n), make([]float64, n), make([]float64, n)
	c.quiet = make([]bool, n)
	c.carried = [][]float64{c.pSigma, c.pC}
	c.zw, c.yw = make([]float64, n), make([]float64, n)
	c.tmp = dense.New[float64](lambda, n)
	c.model, c.path = cov, c.pC
	c.size = newSizeRule(s.Tuning.StepSize, c)
	return c
}

// batchFor is the number of generations whose increments are summed before the basis turns. A longer batch samples from an older C and, beyond
// about twice these bounds, the negative weights can add up to an indefinite target. c1 n is what a persistent path direction, whose squared whitened
// length is about n, adds to its variance in a generation. Measured with two sweeps a turn, evaluations over those of a full decomposition in every
// generation: 0.99 (n = 10, 4 generations), 0.96 (20, 8), 1.01 to 1.03 (40, 8 to 16).
func batchFor(n int, c1, cMu float64) int {
	return max(1, int(min(0.25/(c1+cMu), 0.65/(c1*float64(n)))))
}

// Ask implements Strategy.
func (c *cma) Ask() [][]float64 {
	return c.sample(func() {
		c.size.prepare(c)
		c.cov.color(c.y, c.z, c.tmp)
	})
}

// Inject implements Injector.
func (c *cma) Inject(i int, x []float64) { c.inject(c.cov, i, x) }

// resample implements resampler.
func (c *cma) resample(i, attempt int) []float64 { return c.redraw(c.cov, i, attempt) }

// Tell implements Strategy.
func (c *cma) Tell(f []float64) error {
	if err := c.rank(f); err != nil {
		return err
	}
	c.recombine(c.w[:c.mu], c.zw, c.yw)
	if c.lra != nil {
		c.lra.update(c)
	} else {
		c.moveMean(1)
		h := c.paths()
		c.learn(h, 1)
		c.size.update(c)
	}
	c.since++
	if c.since >= c.batch {
		c.turn()
	}
	c.finish()
	return nil
}

func (c *cma) moveMean(rate float64) { dense.Axpy(rate*c.sigma, c.yw, c.mean) }

// paths updates both evolution paths and returns 1, or 0 while the path of sigma is too long for the path of C to be fed.
func (c *cma) paths() float64 {
	s := math.Sqrt(c.cSigma * (2 - c.cSigma) * c.muEff)
	for j, z := range c.zw {
		c.pSigma[j] = (1-c.cSigma)*c.pSigma[j] + s*z
	}
	d := float64(c.n)
	h := 0.0
	warm := 1.0
	if past := 2 * float64(c.generation+1); past*c.cSigma < 40 { // beyond, the power is lost in rounding
		warm -= math.Pow(1-c.cSigma, past)
	}
	if dense.Dot(c.pSigma, c.pSigma)/warm/d < 2+4/(d+1) {
		h = 1
	}
	s = h * math.Sqrt(c.cC*(2-c.cC)*c.muEff)
	for j, sd := range c.cov.axes() {
		c.pC[j] = (1-c.cC)*c.pC[j] + s*sd*c.zw[j]
	}
	return h
}

// learn queues the rank-one and rank-mu increments of this generation, their rates times the given factor.
func (c *cma) learn(h, factor float64) {
	c1, cMu := c.c1*factor, c.cMu*factor
	c.cov.decay(c1*(1-(1-h)*c.cC*(2-c.cC)) + cMu*c.sumW)
	for j, sd := range c.cov.axes() {
		c.q[j] = c.pC[j] / sd
	}
	c.agree.path()
	c.cov.add(c1, c.q)
	for r, w := range c.w {
		z := c.z.Row(c.ranking[r].i)
		if w < 0 {
			if c2 := dense.Dot(z, z); c2 > 0 {
				w *= float64(c.n) / c2
			} else {
				w = 0
			}
		}
		if w != 0 {
			c.cov.add(cMu*w, z)
		}
	}
}

// turn folds the queued increments into the factor.
func (c *cma) turn() {
	c.agree.decide(&c.rates, c.since)
	if r := c.cov.fold(c.carried...); r.Err != nil {
		c.dead = r.Err.Error()
	}
	c.since = 0
	c.end.turned(c.shape())
}

// AxisLengths implements Distribution.
func (c *cma) AxisLengths(dst []float64) []float64 { return append(dst[:0], c.cov.axes()...) }

// Mahalanobis implements Distribution.
func (c *cma) Mahalanobis(x []float64) float64 {
	c.whiten(c.zw, x)
	return math.Sqrt(dense.Dot(c.zw, c.zw))
}

// whiten implements whitener.
func (c *cma) whiten(z, u []float64) {
	for j, m := range c.mean {
		c.yw[j] = (u[j] - m) / c.sigma
	}
	c.cov.whitenOne(z, c.yw)
}

// MarshalBinary implements Strategy.
func (c *cma) MarshalBinary() ([]byte, error) { return marshal(c) }

// UnmarshalBinary implements Strategy.
func (c *cma) UnmarshalBinary(data []byte) error { return unmarshal(c, data) }

func (c *cma) archive(a *archive) {
	c.gaussian.archive(a, c.name+" 3")
	a.fixed(c.pSigma)
	a.fixed(c.pC)
	a.int(&c.since)
	a.int(&c.muted)
	for j := range c.quiet {
		a.bool(&c.quiet[j])
	}
	if a.err == nil && (c.muted < 0 || c.muted >= c.n) {
		a.fail("%d of %d coordinates muted", c.muted, c.n)
	}
	c.cov.archive(a)
	c.size.archive(a)
	c.agree.archive(a, &c.rates)
	if c.lra != nil {
		c.lra.archive(a)
	}
}
