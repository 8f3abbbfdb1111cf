package esadapt

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// vdcma is CMA-ES with C = D (I + v v^T) D for a diagonal D and one vector v; Akimoto, Auger, Hansen: "Comparison-based natural gradient
// optimization in high dimension" (GECCO 2014), algorithm 1 with the natural gradient of section 3.
type vdcma struct {
	gaussian
	rates
	d, v       []float64
	pSigma, pC []float64
	unit       []float64 // v/|v|
	zw, yw     []float64
	p, q       []float64 // log-likelihood gradients
	r, s, gv   []float64
	white      []float64
}

func newVDCMA(s Setup) (Strategy, error) {
	lambda, err := lambdaOr(&s, "vd-cma", 2)
	if err != nil {
		return nil, err
	}
	n := len(s.Mean)
	if n < 5 {
		return nil, fmt.Errorf("esadapt: vd-cma is for many variables: its model has more parameters than needed below 5, got %d", n)
	}
	e := &vdcma{gaussian: newGaussian(&s, lambda), rates: defaultRates(n, lambda, false)}
	d := float64(n)
	factor := max((d-5)/6, 0.5)
	e.c1 = factor * 2 / ((d+1.3)*(d+1.3) + e.muEff)
	e.cMu = min(1-e.c1, factor*2*(e.muEff-2+1/e.muEff)/((d+2)*(d+2)+e.muEff))
	e.cSigma = 1 / (2*math.Sqrt(d/e.muEff) + 1)
	e.dampSigma = 1 + e.cSigma + 2*max(0, math.Sqrt((e.muEff-1)/(d+1))-1)
	for _, p := range []*[]float64{&e.d, &e.v, &e.pSigma, &e.pC, &e.unit, &e.zw, &e.yw, &e.p, &e.q, &e.r, &e.s, &e.gv, &e.white} {
		*p = make([]float64, n)
	}
	random := e.random.at(0, drawModel)
	for j := range e.v {
		e.d[j] = 1
		e.v[j] = random.NormFloat64() / math.Sqrt(d)
	}
	e.model = e
	return e, nil
}

// norm2 returns |v|^2 and refreshes the unit vector.
func (e *vdcma) norm2() float64 {
	v2 := dense.Dot(e.v, e.v)
	for j, v := range e.v {
		e.unit[j] = v / math.Sqrt(v2)
	}
	return v2
}

// Ask implements Strategy.
func (e *vdcma) Ask() [][]float64 {
	return e.sample(func() { e.colorEach(e) })
}

func (e *vdcma) colorOne(y, z []float64) {
	stretch := (math.Sqrt(1+e.norm2()) - 1) * dense.Dot(z, e.unit)
	for j := range y {
		y[j] = e.d[j] * (z[j] + stretch*e.unit[j])
	}
}

func (e *vdcma) whitenOne(z, y []float64) {
	v2 := e.norm2()
	for j := range z {
		z[j] = y[j] / e.d[j]
	}
	shrink := (1/math.Sqrt(1+v2) - 1) * dense.Dot(z, e.unit)
	for j := range z {
		z[j] += shrink * e.unit[j]
	}
}

// Tell implements Strategy.
func (e *vdcma) Tell(f []float64) error {
	if err := e.rank(f); err != nil {
		return err
	}
	e.recombine(e.w[:e.mu], e.zw, e.yw)
	dense.Axpy(e.sigma, e.yw, e.mean)
	follow(e.pSigma, e.zw, e.cSigma, e.muEff)
	length2 := dense.Dot(e.pSigma, e.pSigma)
	h := 0.0
	if length2 < (2+4/(float64(e.n)+1))*float64(e.n) {
		h = 1
	}
	scale := h * math.Sqrt(e.cC*(2-e.cC)*e.muEff)
	for j, y := range e.yw {
		e.pC[j] = (1-e.cC)*e.pC[j] + scale*y
	}
	e.learn(h)
	e.sigma *= math.Exp(min(1, e.cSigma/e.dampSigma*(math.Sqrt(length2)/e.chi-1)))
	e.end.turned(e.shape())
	e.finish()
	return nil
}

// likelihood adds w times the gradient of the log-likelihood of the step y to p and q (lemma 3.4).
func (e *vdcma) likelihood(w, v2 float64, y []float64) {
	for j := range e.white {
		e.white[j] = y[j] / e.d[j]
	}
	yv := dense.Dot(e.white, e.unit)
	for j, y := range e.white {
		u := e.unit[j]
		e.p[j] += w * (y*y - v2/(1+v2)*yv*y*u - 1)
		e.q[j] += w * (yv*y - (yv*yv+1+v2)/2*u)
	}
}

// learn makes one natural-gradient step of d and v (theorem 3.6), cut where it would turn the sign of an entry of d or the direction of v.
func (e *vdcma) learn(h float64) {
	v2 := e.norm2()
	clear(e.p)
	clear(e.q)
	for r := range e.mu {
		e.likelihood(e.cMu*e.w[r], v2, e.y.Row(e.ranking[r].i))
	}
	if h > 0 {
		e.likelihood(e.c1, v2, e.pC)
	}
	e.naturalGradient(v2)
	norm := math.Sqrt(v2)
	rate := min(1, 0.7*norm/math.Sqrt(dense.Dot(e.gv, e.gv)))
	for _, s := range e.s {
		if s < 0 {
			rate = min(rate, 0.7/-s)
		}
	}
	for j := range e.v {
		e.v[j] += rate * e.gv[j]
		e.d[j] += rate * e.d[j] * e.s[j]
	}
}

// naturalGradient sets gv and s (the relative step of d) from p and q.
func (e *vdcma) naturalGradient(v2 float64) {
	var top float64
	for _, u := range e.unit {
		top = max(top, u*u)
	}
	gamma := 1 / math.Sqrt(1+v2)
	alpha, beta := math.Sqrt(v2*v2+(1+v2)/top*(2-gamma))/(2+v2), 0.0
	if alpha < 1 {
		beta = (4 - (2-gamma)/top) / ((1 + 2/v2) * (1 + 2/v2))
	} else {
		alpha = 1
	}
	b := 2*alpha*alpha - beta
	a := func(u float64) float64 { return 2 - (b+2*alpha*alpha)*u*u }
	qv := dense.Dot(e.unit, e.q)
	var rv, vv float64
	for j, u := range e.unit {
		e.r[j] = e.p[j] - alpha/(1+v2)*((2+v2)*e.q[j]*u-v2*qv*u*u)
		rv += e.r[j] * u * u / a(u)
		vv += u * u * u * u / a(u)
	}
	var sv float64
	for j, u := range e.unit {
		e.s[j] = e.r[j]/a(u) - b*rv/(1+b*vv)*u*u/a(u)
		sv += e.s[j] * u * u
	}
	norm := math.Sqrt(v2)
	for j, u := range e.unit {
		e.gv[j] = e.q[j]/norm - alpha/norm*((2+v2)*u*e.s[j]-sv*u)
	}
}

func (e *vdcma) diagonal(dst []float64, scale float64) {
	for j, d := range e.d {
		dst[j] = scale * d * math.Sqrt(1+e.v[j]*e.v[j])
	}
}

// extremes bounds the axes by those of D, the longer one times the stretch along v.
func (e *vdcma) extremes() (lo, hi float64) {
	lo, hi = extremes(e.d)
	return lo, hi * math.Sqrt(1+dense.Dot(e.v, e.v))
}

func (e *vdcma) axis(dst []float64, k int) {
	stretch := (math.Sqrt(1+e.norm2()) - 1) * e.unit[k]
	for j := range dst {
		dst[j] = e.d[j] * stretch * e.unit[j]
	}
	dst[k] += e.d[k]
}

// Inject implements Injector.
func (e *vdcma) Inject(i int, x []float64) { e.inject(e, i, x) }

func (e *vdcma) resample(i, attempt int) []float64 { return e.redraw(e, i, attempt) }

// MarshalBinary implements Strategy.
func (e *vdcma) MarshalBinary() ([]byte, error) { return marshal(e) }

// UnmarshalBinary implements Strategy.
func (e *vdcma) UnmarshalBinary(data []byte) error { return unmarshal(e, data) }

func (e *vdcma) archive(a *archive) {
	e.gaussian.archive(a, "vd-cma 2")
	a.fixed(e.d)
	a.fixed(e.v)
	a.fixed(e.pSigma)
	a.fixed(e.pC)
}
