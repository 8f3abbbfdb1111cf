package esadapt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// xnes is the exponential natural evolution strategy; Glasmachers, Schaul, Sun, Wierstra, Schmidhuber: "Exponential natural evolution
// strategies" (GECCO 2010), algorithm 1. Its covariance step C <- A exp(eta M) A^T, the exponential map of the affine-invariant metric at
// C = A A^T, is taken in the eigenbasis of a spectral factor.
type xnes struct {
	gaussian
	cov         *covariance
	utility     []float64
	etaSize     float64
	etaShape    float64
	zw, yw      []float64
	tmp         dense.Matrix[float64]
	weighted    dense.Matrix[float64] // rows sqrt-free: utility times z
	m, e, power dense.Matrix[float64]
}

// utilities returns max(0, ln(lambda/2+1) - ln i) scaled to sum 1, minus 1/lambda.
func utilities(lambda int) []float64 {
	u := make([]float64, lambda)
	var sum float64
	for i := range u {
		u[i] = max(0, math.Log(float64(lambda)/2+1)-math.Log(float64(i+1)))
		sum += u[i]
	}
	for i := range u {
		u[i] = u[i]/sum - 1/float64(lambda)
	}
	return u
}

func newXNES(s Setup) (Strategy, error) {
	lambda, err := lambdaOr(&s, "xnes", 2)
	if err != nil {
		return nil, err
	}
	n := len(s.Mean)
	x := &xnes{gaussian: newGaussian(&s, lambda), utility: utilities(lambda)}
	d := float64(n)
	x.etaShape = (9 + 3*math.Log(d)) / (5 * d * math.Sqrt(d))
	x.etaSize = x.etaShape
	x.cov = newCovariance(n, 1, 1, &s.Tuning)
	x.zw, x.yw = make([]float64, n), make([]float64, n)
	x.tmp, x.weighted = dense.New[float64](lambda, n), dense.New[float64](lambda, n)
	x.m, x.e, x.power = dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n)
	x.model = x.cov
	return x, nil
}

// Ask implements Strategy.
func (x *xnes) Ask() [][]float64 {
	return x.sample(func() { x.cov.color(x.y, x.z, x.tmp) })
}

// Tell implements Strategy.
func (x *xnes) Tell(f []float64) error {
	if err := x.rank(f); err != nil {
		return err
	}
	clear(x.yw)
	for r, u := range x.utility {
		i := x.ranking[r].i
		dense.Axpy(u, x.y.Row(i), x.yw)
		for j, z := range x.z.Row(i) {
			x.weighted.Row(i)[j] = u * z
		}
	}
	dense.Axpy(x.sigma, x.yw, x.mean)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, x.z, x.weighted, 0, x.m)
	dense.Mirror(x.m)
	var trace float64
	for j := range x.n {
		trace += x.m.At(j, j)
	}
	trace /= float64(x.n)
	x.sigma *= math.Exp(x.etaSize / 2 * trace)
	for j := range x.n {
		x.m.Set(j, j, x.m.At(j, j)-trace)
	}
	x.exponential()
	x.cov.replace(x.e)
	if r := x.cov.fold(); r.Err != nil {
		x.dead = r.Err.Error()
	}
	x.end.turned(x.shape())
	x.finish()
	return nil
}

// exponential sets e = exp(etaShape m): a Taylor polynomial of m scaled to norm 1/4 and below, squared back. Every square of a symmetric matrix is
// positive semidefinite, whatever the truncation.
func (x *xnes) exponential() {
	var norm float64
	for i := range x.n {
		row := x.m.Row(i)
		for j := range row {
			row[j] *= x.etaShape
			norm += row[j] * row[j]
		}
	}
	squarings := 1
	for norm = math.Sqrt(norm) / 2; norm > 0.25; norm /= 2 {
		squarings++
	}
	scale := math.Ldexp(1, -squarings)
	x.e.Identity()
	for k := 8; k >= 1; k-- { // Horner: e = I + (scale m/k) e
		dense.Gemm(dense.NoTrans, dense.NoTrans, scale/float64(k), x.m, x.e, 0, x.power)
		for j := range x.n {
			x.power.Set(j, j, x.power.At(j, j)+1)
		}
		x.e, x.power = x.power, x.e
	}
	for range squarings {
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, x.e, x.e, 0, x.power)
		dense.Mirror(x.power)
		x.e, x.power = x.power, x.e
	}
}

// replace makes diag(sd) e diag(sd), in the basis, the pending target.
func (c *covariance) replace(e dense.Matrix[float64]) {
	c.used, c.filled, c.shrunk, c.keep = 0, true, 1, 1
	for i := range c.n {
		copy(c.sum.Row(i)[i:], e.Row(i)[i:])
		c.sum.Row(i)[i]--
	}
}

// Inject implements Injector.
func (x *xnes) Inject(i int, p []float64) { x.inject(x.cov, i, p) }

func (x *xnes) resample(i, attempt int) []float64 { return x.redraw(x.cov, i, attempt) }

// AxisLengths implements Distribution.
func (x *xnes) AxisLengths(dst []float64) []float64 { return append(dst[:0], x.cov.sd...) }

// Mahalanobis implements Distribution.
func (x *xnes) Mahalanobis(p []float64) float64 {
	x.whiten(x.zw, p)
	return math.Sqrt(dense.Dot(x.zw, x.zw))
}

// whiten implements whitener.
func (x *xnes) whiten(z, u []float64) {
	for j, m := range x.mean {
		x.yw[j] = (u[j] - m) / x.sigma
	}
	x.cov.whitenOne(z, x.yw)
}

// MarshalBinary implements Strategy.
func (x *xnes) MarshalBinary() ([]byte, error) { return marshal(x) }

// UnmarshalBinary implements Strategy.
func (x *xnes) UnmarshalBinary(data []byte) error { return unmarshal(x, data) }

func (x *xnes) archive(a *archive) {
	x.gaussian.archive(a, "xnes 2")
	x.cov.archive(a)
}
