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
	a          matrixModel
	inverse    dense.Matrix[float64]
	pC         []float64 // path of C, ambient
	success    float64   // smoothed success rate
	fParent    float64
	ancestors  [5]float64 // values of the last parents, newest first
	started    bool
	u, w, left []float64
	active     bool
	damp, cP   float64
	cC, cPlus  float64
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
	e.a, e.inverse = matrixModel{dense.New[float64](n, n)}, dense.New[float64](n, n)
	e.a.a.Identity()
	e.inverse.Identity()
	e.pC, e.u, e.w, e.left = make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	e.success, e.fParent = targetSuccess, math.Inf(1)
	for i := range e.ancestors {
		e.ancestors[i] = math.Inf(1)
	}
	e.model, e.path = e.a, e.pC
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
	e.a.colorOne(e.y.Row(0), e.z.Row(0))
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
	rate := e.cPlus
	if e.success < highSuccess {
		s := math.Sqrt(e.cC * (2 - e.cC))
		for j, y := range e.y.Row(0) {
			e.pC[j] = (1-e.cC)*e.pC[j] + s*y
		}
	} else {
		for j := range e.pC {
			e.pC[j] *= 1 - e.cC
		}
		rate = e.cPlus * (1 - e.cC*(2-e.cC))
		e.scale(1-e.cPlus+e.cPlus*e.cC*(2-e.cC), 1-rate)
	}
	dense.Gemv(dense.NoTrans, 1, e.inverse, e.pC, 0, e.w)
	e.rankOne(1-rate, rate, e.w)
	e.resize()
}

// scale prepares a decay of C by from instead of by to.
func (e *onePlusOne) scale(from, to float64) {
	r := math.Sqrt(from / to)
	for i := range e.n {
		for j := range e.n {
			e.a.a.Row(i)[j] *= r
			e.inverse.Row(i)[j] /= r
		}
	}
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
	e.rankOne(1+rate, -rate, z)
}

// rankOne replaces C = A A^T by alpha C + beta (A w)(A w)^T, and updates A and its inverse in O(n^2).
func (e *onePlusOne) rankOne(alpha, beta float64, w []float64) {
	w2 := dense.Dot(w, w)
	if w2 < 1e-24 {
		return
	}
	root := math.Sqrt(alpha)
	stretch := math.Sqrt(max(0, 1+beta/alpha*w2))
	b := root / w2 * (stretch - 1)
	c := 1 / (root * w2) * (1 - 1/stretch)
	copy(e.left, w)
	dense.Gemv(dense.NoTrans, 1, e.a.a, e.left, 0, e.u)
	e.scaleBy(e.a.a, root)
	dense.Ger(b, e.u, e.left, e.a.a)
	dense.Gemv(dense.Transposed, 1, e.inverse, e.left, 0, e.u)
	e.scaleBy(e.inverse, 1/root)
	dense.Ger(-c, e.left, e.u, e.inverse)
}

func (e *onePlusOne) scaleBy(m dense.Matrix[float64], s float64) {
	for i := range m.Rows {
		row := m.Row(i)
		for j := range row {
			row[j] *= s
		}
	}
}

func (e *onePlusOne) whitenOne(z, y []float64) { dense.Gemv(dense.NoTrans, 1, e.inverse, y, 0, z) }

func (e *onePlusOne) colorOne(y, z []float64) { e.a.colorOne(y, z) }

// Inject implements Injector.
func (e *onePlusOne) Inject(i int, x []float64) {
	if e.started {
		e.inject(e, i, x)
	}
}

func (e *onePlusOne) resample(i, attempt int) []float64 {
	if !e.started {
		return e.rows[i]
	}
	return e.redraw(e, i, attempt)
}

// SetMean implements Mover: the parent moves, its value is forgotten.
func (e *onePlusOne) SetMean(x []float64) {
	copy(e.mean, x)
	e.started = false
}

// MarshalBinary implements Strategy.
func (e *onePlusOne) MarshalBinary() ([]byte, error) { return marshal(e) }

// UnmarshalBinary implements Strategy.
func (e *onePlusOne) UnmarshalBinary(data []byte) error { return unmarshal(e, data) }

func (e *onePlusOne) archive(a *archive) {
	e.gaussian.archive(a, "1+1-cma 1")
	a.matrix(e.a.a)
	a.matrix(e.inverse)
	a.fixed(e.pC)
	a.float(&e.success)
	a.float(&e.fParent)
	a.fixed(e.ancestors[:])
	a.bool(&e.started)
}
