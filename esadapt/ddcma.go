package esadapt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/spectral"
)

// ddcma is CMA-ES with covariance D C D for a diagonal D that learns fast, from n numbers instead of n^2, and a C that is kept close to a correlation matrix; Akimoto and
// Hansen: "Diagonal acceleration for covariance matrix adaptation evolution strategies" (Evolutionary Computation 28, 2020), with C as a spectral factor and five other
// constants: the path of C is as short as that of CMA-ES (longer ones cost a third more evaluations on the attractive sector, f6), the rank-mu update has its haste (agreement), sigma
// is damped more, by a tenth in 20 dimensions (the sharp ridge, f13), its path is never longer than in 40 dimensions (the sphere in 80), and D is fast
// for small populations only (lead).
type ddcma struct {
	gaussian
	rates // of C
	cov   *covariance
	d     []float64
	fast  rates // of D: weights, c1, cMu, cC

	pSigma         []float64   // in the eigenbasis of C
	carried        [][]float64 // pSigma, which turns with the basis
	pC, pD         []float64   // paths of C and D, in x/sigma
	gSigma, gC, gD float64     // squared lengths of the paths under random selection, over n
	damp           float64     // of D: what the correlations cost
	zw, yw, q      []float64
	tmp, turned    dense.Matrix[float64]
	batch, since   int
	norm           normalizer
	agree          *agreement // nil where the haste is fixed
}

// normalizer turns C into a correlation matrix while it is folded.
type normalizer struct {
	scale           []float64 // standard deviations of C
	u, v, target    dense.Matrix[float64]
	weightedColumns dense.Matrix[float64]
}

func newDDCMA(s Setup) (Strategy, error) {
	lambda, err := lambdaOr(&s, "dd-cma", 2)
	if err != nil {
		return nil, err
	}
	n := len(s.Mean)
	e := &ddcma{gaussian: newGaussian(&s, lambda), rates: defaultRates(n, lambda, !s.Tuning.NoActive), damp: 1}
	e.fast = e.rates
	e.fast.w = append([]float64(nil), e.w...)
	dof := float64(n)
	shortPath := e.cC
	e.setRates(&e.rates, haste(n, lambda), dof*(dof+1)/2, dof)
	e.setRates(&e.fast, 1, dof, 1)
	e.slowFast()
	e.cC = max(e.cC, shortPath)
	e.cSigma = (e.muEff + 2) / (min(dof, 40) + e.muEff + 5)
	e.dampSigma = (1 + 2/max(20, dof)) * (1 + e.cSigma + 2*max(0, math.Sqrt((e.muEff-1)/(dof+1))-1))
	e.batch = s.Tuning.Batch
	if e.batch == 0 {
		e.batch = batchFor(n, e.c1, e.cMu)
	}
	e.cov = newCovariance(n, lambda+1, e.batch, &s.Tuning)
	e.agree = watch(&e.rates, e.cov, lambda, e.batch)
	for _, p := range []*[]float64{&e.d, &e.pSigma, &e.pC, &e.pD, &e.zw, &e.yw, &e.q, &e.norm.scale} {
		*p = make([]float64, n)
	}
	for j := range e.d {
		e.d[j] = 1
	}
	e.carried = [][]float64{e.pSigma}
	e.tmp, e.turned = dense.New[float64](lambda, n), dense.New[float64](lambda, n)
	for _, m := range []*dense.Matrix[float64]{&e.norm.u, &e.norm.v, &e.norm.target, &e.norm.weightedColumns} {
		*m = dense.New[float64](n, n)
	}
	e.model, e.path = e, e.pC
	return e, nil
}

// setRates takes the learning rates for a matrix with dof free parameters (eqs. 25-27), that of the rank-mu update times haste; bound is the dimension in the limit of the
// negative weights that keeps C positive definite.
func (e *ddcma) setRates(r *rates, haste, dof, bound float64) {
	n, lambda := float64(e.n), float64(e.lambda)
	r.c1 = 1 / (2*(dof/n+1)*math.Pow(n+1, 0.75) + r.muEff/2)
	rich := r.muEff + 1/r.muEff - 2 + lambda/(2*(lambda+5))
	r.plainMu = rich * r.c1
	r.cMu = min(haste*rich*r.c1, 1-r.c1)
	r.cC = math.Sqrt(r.muEff*r.c1) / 2
	r.bound = bound
	r.setNegative()
}

// lead is how much of its advantage over the rates of C the diagonal keeps: all with the default population, next to nothing with twice as many or more. A large population tells
// enough about C in a generation, and haste costs the global structure of multimodal functions: runs of 48 candidates on f17 in 20 dimensions end at 1e-4 in the median with the
// published rates of D, at 1e-6 with those of C and with CMA-ES.
func lead(n, lambda int) float64 {
	return math.Pow(min(1, float64(defaultLambda(n))/float64(lambda)), 4)
}

// slowFast brings the rates of D nearer to those of C.
func (e *ddcma) slowFast() {
	keep := lead(e.n, e.lambda)
	if keep == 1 {
		return
	}
	e.fast.c1 = e.c1 + keep*(e.fast.c1-e.c1)
	e.fast.cMu = e.cMu + keep*(e.fast.cMu-e.cMu)
	e.fast.setNegative()
}

// Ask implements Strategy.
func (e *ddcma) Ask() [][]float64 {
	return e.sample(func() {
		e.cov.color(e.y, e.z, e.tmp)
		for i := range e.lambda {
			multiply(e.y.Row(i), e.d)
		}
	})
}

func multiply(x, by []float64) {
	for j, v := range by {
		x[j] *= v
	}
}

// Tell implements Strategy.
func (e *ddcma) Tell(f []float64) error {
	if err := e.rank(f); err != nil {
		return err
	}
	e.recombine(e.w[:e.mu], e.zw, e.yw)
	dense.Axpy(e.sigma, e.yw, e.mean)
	follow(e.pSigma, e.zw, e.cSigma, e.muEff)
	e.gSigma = (1-e.cSigma)*(1-e.cSigma)*e.gSigma + e.cSigma*(2-e.cSigma)
	length2 := dense.Dot(e.pSigma, e.pSigma)
	h := 0.0
	if n := float64(e.n); length2/e.gSigma < (2+4/(n+1))*n {
		h = 1
	}
	e.gC = e.grow(e.pC, e.gC, e.cC, h)
	e.gD = e.grow(e.pD, e.gD, e.fast.cC, h)
	e.learn()
	e.sigma *= math.Exp(min(1, e.cSigma/e.dampSigma*(math.Sqrt(length2)/e.chi-math.Sqrt(e.gSigma))))
	e.since++
	if e.since >= e.batch {
		e.turn()
	}
	e.finish()
	return nil
}

// grow updates a path of the mean and returns its new expected squared length.
func (e *ddcma) grow(p []float64, g, c, h float64) float64 {
	s := h * math.Sqrt(c*(2-c)*e.muEff)
	for j, y := range e.yw {
		p[j] = (1-c)*p[j] + s*y
	}
	return (1-c)*(1-c)*g + h*c*(2-c)
}

// learn queues the increment of C and moves D, by the same samples.
func (e *ddcma) learn() {
	e.whitenOne(e.q, e.pC)
	e.cov.decay(e.c1*e.gC + e.cMu*e.sumW)
	e.agree.path()
	e.cov.add(e.c1, e.q)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, e.z, e.cov.basis, 0, e.turned)
	e.whitenOne(e.q, e.pD)
	e.cov.toAmbient(e.q)
	step := e.zw
	for j, q := range e.q {
		step[j] = e.fast.c1 * (q*q - e.gD)
	}
	for r, w := range e.w {
		i := e.ranking[r].i
		z, fast := e.z.Row(i), e.fast.w[r]
		shrink := 1.0
		if w < 0 {
			if shrink = float64(e.n) / dense.Dot(z, z); math.IsInf(shrink, 0) {
				continue
			}
		}
		if w != 0 {
			e.cov.add(e.cMu*w*shrink, z)
		}
		for j, t := range e.turned.Row(i) {
			step[j] += e.fast.cMu * fast * (shrink*t*t - 1)
		}
	}
	for j, v := range step {
		e.d[j] *= math.Exp(max(-1, min(1, v/(2*e.damp))))
	}
}

// farFromOne is how far a standard deviation of C may be from 1 before it goes to D. Moving it is exact, because errors of the order of the largest variance would swamp the
// smallest ones, and exactness takes many sweeps.
const farFromOne = 1.5

// turn folds the queued increments into C, which becomes a correlation matrix, its standard deviations going to D, when it is far from one.
func (e *ddcma) turn() {
	e.agree.decide(&e.rates, e.since)
	e.cov.diagonal(e.norm.scale, 1)
	var report spectral.Report
	if lo, hi := extremes(e.norm.scale); lo*farFromOne < 1 || hi > farFromOne {
		report = e.cov.foldScaled(&e.norm, e.carried...)
		multiply(e.d, e.norm.scale)
	} else {
		report = e.cov.fold(e.carried...)
	}
	if report.Err != nil {
		e.dead = report.Err.Error()
	}
	lo, hi := e.cov.extremes()
	e.damp = max(1, hi/lo-1)
	e.since = 0
	e.end.turned(e.shape())
}

// foldScaled is fold with the target divided by scale from both sides: with U = B^T diag(1/scale) B, the target in the basis is U (keep diag(d) + diag(sd) T diag(sd)) U.
func (c *covariance) foldScaled(m *normalizer, paths ...[]float64) spectral.Report {
	c.flush()
	for i := range c.n {
		from, to := c.basis.Row(i), m.weightedColumns.Row(i)
		for j, b := range from {
			to[j] = b / m.scale[i]
		}
	}
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, c.basis, m.weightedColumns, 0, m.u)
	for i, si := range c.sd {
		row := m.v.Row(i)
		clear(row)
		if c.filled {
			for j := i; j < c.n; j++ {
				row[j] = c.shrunk * si * c.sd[j] * c.sum.At(i, j)
			}
		}
		row[i] += c.keep * si * si
	}
	dense.Mirror(m.v)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, m.v, m.u, 0, m.target)
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, 1, m.u, m.target, 0, c.sum)
	for i, si := range c.sd {
		c.sum.Row(i)[i] -= si * si
	}
	for _, p := range paths {
		c.toAmbient(p)
	}
	report := c.factor.Update(spectral.Increment{Dense: c.sumSym, InBasis: true}, &spectral.Step{Tol: 1e-15, MaxSweeps: 60})
	c.read()
	for _, p := range paths {
		c.fromAmbient(p)
	}
	c.keep, c.filled, c.shrunk = 1, false, 1
	return report
}

// colorOne, whitenOne, diagonal, extremes and axis describe D C D.
func (e *ddcma) colorOne(y, z []float64) {
	e.cov.colorOne(y, z)
	multiply(y, e.d)
}

func (e *ddcma) whitenOne(z, y []float64) {
	for j, v := range y {
		e.yw[j] = v / e.d[j]
	}
	e.cov.whitenOne(z, e.yw)
}

func (e *ddcma) diagonal(dst []float64, scale float64) {
	e.cov.diagonal(dst, scale)
	multiply(dst, e.d)
}

// extremes bounds the axes by those of the two factors.
func (e *ddcma) extremes() (lo, hi float64) {
	lo, hi = e.cov.extremes()
	least, most := extremes(e.d)
	return lo * least, hi * most
}

func (e *ddcma) axis(dst []float64, k int) {
	e.cov.axis(dst, k)
	multiply(dst, e.d)
}

// Inject implements Injector.
func (e *ddcma) Inject(i int, x []float64) { e.inject(e, i, x) }

// resample implements resampler.
func (e *ddcma) resample(i, attempt int) []float64 { return e.redraw(e, i, attempt) }

// AxisLengths implements Distribution, by a decomposition: O(n^3) and n^2 numbers.
func (e *ddcma) AxisLengths(dst []float64) []float64 {
	root, s := dense.New[float64](e.n, e.n), dense.New[float64](e.n, e.n)
	for i := range e.n {
		for k, sd := range e.cov.sd {
			root.Set(i, k, e.d[i]*e.cov.basis.At(i, k)*sd)
		}
	}
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, root, root, 0, s)
	dense.Mirror(s)
	dst = resize(dst, e.n)
	if !eigen.SymValues(s, dst) {
		for i := range dst {
			dst[i] = math.NaN()
		}
		return dst
	}
	for i, v := range dst {
		dst[i] = math.Sqrt(max(0, v))
	}
	return dst
}

// Mahalanobis implements Distribution.
func (e *ddcma) Mahalanobis(x []float64) float64 {
	z := make([]float64, e.n)
	e.whiten(z, x)
	return math.Sqrt(dense.Dot(z, z))
}

// whiten implements whitener.
func (e *ddcma) whiten(z, u []float64) {
	for j, m := range e.mean {
		e.q[j] = (u[j] - m) / e.sigma
	}
	e.whitenOne(z, e.q)
}

// MarshalBinary implements Strategy.
func (e *ddcma) MarshalBinary() ([]byte, error) { return marshal(e) }

// UnmarshalBinary implements Strategy.
func (e *ddcma) UnmarshalBinary(data []byte) error { return unmarshal(e, data) }

func (e *ddcma) archive(a *archive) {
	e.gaussian.archive(a, "dd-cma 3")
	for _, p := range [][]float64{e.d, e.pSigma, e.pC, e.pD} {
		a.fixed(p)
	}
	for _, p := range []*float64{&e.gSigma, &e.gC, &e.gD, &e.damp} {
		a.float(p)
	}
	a.int(&e.since)
	e.cov.archive(a)
	e.agree.archive(a, &e.rates)
}
