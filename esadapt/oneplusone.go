package esadapt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// onePlusOne is the elitist (1+1)-CMA-ES with a Cholesky-like factor and its inverse, and an active update from very bad offspring; Igel,
// Suttorp, Hansen: "A computational efficient covariance matrix update and a (1+1)-CMA for evolution strategies" (GECCO 2006) and Arnold and
// Hansen: "Active covariance matrix adaptation for the (1+1)-CMA-ES" (GECCO 2010). The first candidate is the start itself.
type onePlusOne struct {
	gaussian
	cov       *choleskyModel
	pC        []float64 // path of C, ambient
	success   float64   // smoothed success rate
	fParent   float64
	ancestors [5]float64 // values of the last parents, newest first
	started   bool
	w         []float64
	active    bool
	damp, cP  float64
	cC, cPlus float64
}

// Constants of the success rule.
const (
	targetSuccess = 2.0 / 11
	highSuccess   = 0.44
)

func newOnePlusOne(s Setup) (Strategy, error) {
	n := len(s.Mean)
	s.Lambda = 1
	t := &s.Tuning.Tolerances
	for _, p := range []*float64{&t.FlatFitness, &t.XStagnation, &t.Stagnation, &t.Fun, &t.FunHistory} {
		if *p == 0 {
			*p = -1
		}
	}
	if t.MaxGenerations == 0 {
		t.MaxGenerations = -1
	}
	e := &onePlusOne{gaussian: newGaussian(&s, 1), active: !s.Tuning.NoActive}
	d := float64(n)
	e.damp, e.cP = 1+d/2, 1.0/12
	e.cC, e.cPlus = 2/(d+2), 2/(d*d+6)
	e.cov = newCholeskyModel(n)
	e.pC, e.w = make([]float64, n), make([]float64, n)
	e.success, e.fParent = targetSuccess, math.Inf(1)
	for i := range e.ancestors {
		e.ancestors[i] = math.Inf(1)
	}
	e.model, e.path = e.cov, e.pC
	return e, nil
}

// Ask implements Strategy.
func (e *onePlusOne) Ask() [][]float64 {
	if e.sampled {
		return e.rows
	}
	e.sampled = true
	if !e.started {
		clear(e.z.Row(0))
		clear(e.y.Row(0))
		copy(e.x.Row(0), e.mean)
		return e.rows
	}
	e.draw()
	e.cov.colorOne(e.y.Row(0), e.z.Row(0))
	e.place(e.mean, e.sigma)
	return e.rows
}

// Tell implements Strategy.
func (e *onePlusOne) Tell(f []float64) error {
	if err := e.rank(f); err != nil {
		return err
	}
	v := f[0]
	switch {
	case !e.started:
		e.started, e.fParent = true, v
	case v <= e.fParent:
		e.accept(v)
	default:
		e.success *= 1 - e.cP
		e.resize()
		if e.active && v > e.ancestors[len(e.ancestors)-1] {
			e.unlearn()
		}
	}
	e.end.turned(e.shape())
	e.ranking[0].f = e.fParent
	e.finish()
	return nil
}

// accept makes the offspring the parent and learns from its step.
func (e *onePlusOne) accept(v float64) {
	copy(e.ancestors[1:], e.ancestors[:len(e.ancestors)-1])
	e.ancestors[0], e.fParent = e.fParent, v
	e.success = (1-e.cP)*e.success + e.cP
	copy(e.mean, e.x.Row(0))
	keep, s := 1-e.cPlus, math.Sqrt(e.cC*(2-e.cC))
	if e.success >= highSuccess {
		keep, s = keep+e.cPlus*e.cC*(2-e.cC), 0
	}
	for j, y := range e.y.Row(0) {
		e.pC[j] = (1-e.cC)*e.pC[j] + s*y
	}
	e.cov.whitenOne(e.w, e.pC)
	e.cov.rankOne(keep, e.cPlus, e.w)
	e.resize()
}

func (e *onePlusOne) resize() {
	e.sigma *= math.Exp((e.success - targetSuccess) / (1 - targetSuccess) / e.damp)
}

// unlearn shrinks C along a step whose value was worse than that of the fifth last parent.
func (e *onePlusOne) unlearn() {
	z := e.z.Row(0)
	z2 := dense.Dot(z, z)
	rate := 0.4 / (math.Pow(float64(e.n), 1.6) + 1)
	if 1 <= rate*(2*z2-1) {
		rate = 1 / (2*z2 - 1)
	}
	e.cov.rankOne(1+rate, -rate, z)
}

// Inject implements Injector.
func (e *onePlusOne) Inject(i int, x []float64) {
	if e.started {
		e.inject(e.cov, i, x)
	}
}

func (e *onePlusOne) resample(i, attempt int) []float64 {
	if !e.started {
		return e.rows[i]
	}
	return e.redraw(e.cov, i, attempt)
}

// SetMean implements Mover: the parent moves, its value is forgotten.
func (e *onePlusOne) SetMean(x []float64) {
	e.gaussian.SetMean(x)
	e.started = false
}

// MarshalBinary implements Strategy.
func (e *onePlusOne) MarshalBinary() ([]byte, error) { return marshal(e) }

// UnmarshalBinary implements Strategy.
func (e *onePlusOne) UnmarshalBinary(data []byte) error { return unmarshal(e, data) }

func (e *onePlusOne) archive(a *archive) {
	e.gaussian.archive(a, "1+1-cma 2")
	e.cov.archive(a)
	a.fixed(e.pC)
	a.float(&e.success)
	a.float(&e.fParent)
	a.fixed(e.ancestors[:])
	a.bool(&e.started)
}
