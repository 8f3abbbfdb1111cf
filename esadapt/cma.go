package esadapt

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// cma is the (mu/mu_w, lambda)-CMA-ES with negative weights; Hansen, "The CMA Evolution Strategy: A Tutorial" (arXiv:1604.00772), with the
// covariance kept as a spectral factor (package comment).
type cma struct {
	population
	rates
	mean   []float64
	sigma  float64
	cov    *covariance
	pSigma []float64 // path of sigma, in the basis
	pC     []float64 // path of C, in the basis
	q      []float64 // scratch: a whitened vector
	zw, yw []float64 // recombined step
	batch  int       // generations between two turns of the basis
	since  int       // generations since the last one
	tmp    dense.Matrix[float64]
	size   sizeRule
	lra    *learningRates
	end    *termination
	dead   string // why the distribution became unusable
}

func newCMA(s Setup) (Strategy, error) {
	n := len(s.Mean)
	lambda := s.Lambda
	if lambda == 0 {
		lambda = defaultLambda(n)
	}
	if lambda < 2 {
		return nil, fmt.Errorf("esadapt: cma needs a population of 2 or more, got %d", lambda)
	}
	c := &cma{population: newPopulation(n, lambda, &s), rates: defaultRates(n, lambda, !s.Tuning.NoActive)}
	c.mean, c.sigma = append([]float64(nil), s.Mean...), s.Sigma
	c.batch = s.Tuning.Batch
	if c.batch == 0 {
		c.batch = batchFor(n, c.c1, c.cMu)
	}
	c.cov = newCovariance(n, lambda+1, c.batch, &s.Tuning)
	c.pSigma, c.pC, c.q = make([]float64, n), make([]float64, n), make([]float64, n)
	c.zw, c.yw = make([]float64, n), make([]float64, n)
	c.tmp = dense.New[float64](lambda, n)
	c.size = newSizeRule(s.Tuning.StepSize, c)
	if s.Tuning.LearnRate {
		c.lra = newLearningRates(n)
	}
	c.end = newTermination(n, lambda, s.Sigma, s.Tuning.Tolerances)
	return c, nil
}

// batchFor is the number of generations whose increments are summed before the basis turns: c1 + cMu may add up to 0.08, and the rank-one
// part to c1 n <= 0.3 (a persistent path direction has squared whitened length about n).
func batchFor(n int, c1, cMu float64) int {
	return max(1, int(min(0.08/(c1+cMu), 0.3/(c1*float64(n)))))
}

// Ask implements Strategy.
func (c *cma) Ask() [][]float64 {
	if !c.sampled {
		c.draw()
		c.size.prepare(c)
		c.cov.color(c.y, c.z, c.tmp)
		c.place(c.mean, c.sigma)
		c.sampled = true
	}
	return c.rows
}

// Inject implements Injector.
func (c *cma) Inject(i int, x []float64) {
	y, z := c.y.Row(i), c.z.Row(i)
	for j, m := range c.mean {
		y[j] = (x[j] - m) / c.sigma
	}
	c.cov.whiten(z, y)
	shrink := clipForeign(z)
	for j := range z {
		z[j] *= shrink
		y[j] *= shrink
	}
	copy(c.x.Row(i), x)
	c.foreign[i] = true
}

// Tell implements Strategy.
func (c *cma) Tell(f []float64) error {
	if err := c.rank(f); err != nil {
		return err
	}
	c.recombine()
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
	c.close()
	c.guard()
	c.end.record(c.ranking, c.view())
	return nil
}

// recombine sets zw and yw to the weighted means of the better steps.
func (c *cma) recombine() {
	clear(c.zw)
	clear(c.yw)
	for r := range c.mu {
		i := c.ranking[r].i
		dense.Axpy(c.w[r], c.z.Row(i), c.zw)
		dense.Axpy(c.w[r], c.y.Row(i), c.yw)
	}
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
	warm := 1 - math.Pow(1-c.cSigma, 2*float64(c.generation+1))
	if dense.Dot(c.pSigma, c.pSigma)/warm/d < 2+4/(d+1) {
		h = 1
	}
	s = h * math.Sqrt(c.cC*(2-c.cC)*c.muEff)
	for j, z := range c.zw {
		c.pC[j] = (1-c.cC)*c.pC[j] + s*c.cov.sd[j]*z
	}
	return h
}

// learn queues the rank-one and rank-mu increments of this generation, their rates times the given factor.
func (c *cma) learn(h, factor float64) {
	c1, cMu := c.c1*factor, c.cMu*factor
	c.cov.decay(c1*(1-(1-h)*c.cC*(2-c.cC)) + cMu*c.sumW)
	for j, p := range c.pC {
		c.q[j] = p / c.cov.sd[j]
	}
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
	if r := c.cov.fold(c.pSigma, c.pC); r.Err != nil {
		c.dead = r.Err.Error()
	}
	c.since = 0
	c.end.turned(c.view())
}

// guard notices a mean or step size that left the range of numbers.
func (c *cma) guard() {
	if c.dead != "" {
		return
	}
	if !(c.sigma > 0) || math.IsInf(c.sigma, 0) {
		c.dead = fmt.Sprintf("sigma became %v", c.sigma)
	}
	for j, m := range c.mean {
		if math.IsNaN(m) || math.IsInf(m, 0) {
			c.dead = fmt.Sprintf("coordinate %d of the mean became %v", j, m)
		}
	}
}

// Stop implements Strategy.
func (c *cma) Stop() []Reason {
	if c.dead != "" {
		return []Reason{because(NotFinite, c.dead)}
	}
	return c.end.reasons(c.view())
}

func (c *cma) view() shape {
	return shape{generation: c.generation, mean: c.mean, sigma: c.sigma, cov: c.cov, path: c.pC}
}

// Mean implements Distribution.
func (c *cma) Mean() []float64 { return c.mean }

// Sigma implements Distribution.
func (c *cma) Sigma() float64 { return c.sigma }

// Deviations implements Distribution.
func (c *cma) Deviations(dst []float64) { c.cov.diagonal(dst, c.sigma) }

// AxisLengths implements Distribution.
func (c *cma) AxisLengths(dst []float64) []float64 { return append(dst[:0], c.cov.sd...) }

// Mahalanobis implements Distribution.
func (c *cma) Mahalanobis(x []float64) float64 {
	for j, m := range c.mean {
		c.yw[j] = (x[j] - m) / c.sigma
	}
	c.cov.whiten(c.zw, c.yw)
	return math.Sqrt(dense.Dot(c.zw, c.zw))
}

// SetMean implements Mover.
func (c *cma) SetMean(x []float64) { copy(c.mean, x) }

// scaleSigma implements resizer.
func (c *cma) scaleSigma(factor float64) { c.sigma *= factor }

// resample implements resampler.
func (c *cma) resample(i, attempt int) []float64 {
	c.random.normals(c.z.Row(i), c.generation, i+attempt<<32)
	dense.Gemv(dense.NoTrans, 1, c.cov.basis, c.cov.scaled1(c.z.Row(i)), 0, c.y.Row(i))
	for j, m := range c.mean {
		c.x.Row(i)[j] = m + c.sigma*c.y.Row(i)[j]
	}
	return c.rows[i]
}

// MarshalBinary implements Strategy.
func (c *cma) MarshalBinary() ([]byte, error) { return marshal(c) }

// UnmarshalBinary implements Strategy.
func (c *cma) UnmarshalBinary(data []byte) error { return unmarshal(c, data) }

func (c *cma) archive(a *archive) {
	a.tag("cma 1")
	a.same("dimension", c.n)
	a.same("population size", c.lambda)
	a.int(&c.generation)
	a.fixed(c.mean)
	a.float(&c.sigma)
	a.fixed(c.pSigma)
	a.fixed(c.pC)
	a.int(&c.since)
	a.string(&c.dead)
	c.cov.archive(a)
	c.size.archive(a)
	if c.lra != nil {
		c.lra.archive(a)
	}
	c.end.archive(a)
	c.sampled = false
}
