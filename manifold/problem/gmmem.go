package problem

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold/solve"
)

// gmmBy runs steps of EM, as they are or accelerated, from the best start.
func gmmBy(accelerated bool) func(*Data, *Options) (*outcome, error) {
	return func(d *Data, o *Options) (*outcome, error) {
		g, err := gmmStart(d, o)
		if err != nil {
			return nil, err
		}
		mon := newMonitor(&o.Solver, len(g.parts)*g.y.Cols*g.y.Cols)
		var a *acceleration
		if g.precise = !accelerated; accelerated {
			a = newAcceleration(g)
		}
		value := g.expect()
		for {
			gradient, err := g.gradient()
			if err == nil && !g.precise && gradient < max(mixtureNear, 10*mon.o.Tolerance) {
				g.precise = true
				value = g.expect()
				mon.status.Evaluations++
				gradient, err = g.gradient()
			}
			if err != nil {
				return nil, gmmError(err)
			}
			if mon.done(nil, -value, gradient, 1) {
				r := mon.result(nil, 0)
				r.Certificate, r.HessianProducts = g.certificate()
				return g.outcome(r), nil
			}
			if accelerated {
				value, err = a.step(g, value, gradient, &mon.status)
			} else if err = g.maximize(); err == nil {
				value = g.expect()
				mon.status.Evaluations++
			}
			if err != nil {
				return nil, gmmError(err)
			}
			mon.step(gradient)
		}
	}
}

const (
	// mixtureMemory is the number of differences that the extrapolation keeps.
	mixtureMemory = 10
	// mixtureNear is the gradient norm below which steps are extrapolated, in double precision. Above it EM often moves samples from one
	// component to another step after step, and longer steps are what helps.
	mixtureNear = 1e-3
	// mixtureGrowth and mixtureLongest say how steps grow as long as the likelihood does.
	mixtureGrowth, mixtureLongest = 1.1, 4
	// mixtureRetreat is the factor by which the gradient norm must fall after an extrapolated step that failed until the next one is tried.
	mixtureRetreat = 4
	// mixtureSlack is by how much the mean log-likelihood may fall, relative to 1 and its own size, before a step counts as a loss: rounding. The
	// second is for single precision.
	mixtureSlack, mixtureSlackSingle = 1e-12, 1e-7
)

// acceleration makes longer steps than EM: over-relaxed ones far from a solution (Salakhutdinov and Roweis, ICML 2003), Anderson's extrapolation near
// one. Its coordinates are the lifted matrices times shares as seen from the components at the first step, T_c with F_c T_c F_c' for F_c the factors
// there: near a multiple of I, and linear in the moments.
type acceleration struct {
	*anderson
	from, seen  []component // the components at the first step, and in the coordinates
	x, r, trial []float64
	t           dense.Matrix[float64]
	length      float64 // of over-relaxed steps
	near        float64 // gradient norm below which steps are extrapolated
}

func newAcceleration(g *mixture) *acceleration {
	d := g.y.Cols
	n := len(g.parts) * d * d
	a := &acceleration{anderson: newAnderson(n, mixtureMemory), from: g.components(), x: make([]float64, n), r: make([]float64, n), trial: make([]float64, n),
		t: dense.New[float64](d, d), length: 1, near: mixtureNear}
	for _, p := range g.parts {
		seen := component{p.share, dense.New[float64](d, d)}
		seen.l.Identity()
		a.seen = append(a.seen, seen)
	}
	return a
}

// step moves the mixture, whose R, log-likelihood and gradient norm are those of its point, and returns the log-likelihood there. Where a longer step
// would lower it, that of EM takes its place.
func (a *acceleration) step(g *mixture, value, gradient float64, status *solve.Status) (float64, error) {
	a.coordinates(g)
	copy(a.trial, a.x)
	slack := mixtureSlack
	extrapolate := g.precise && gradient < a.near
	if extrapolate {
		a.add(a.x, a.r, false)
		correction, rest := a.next()
		dense.Axpy(1, correction, a.trial)
		dense.Axpy(1, rest, a.trial)
	} else {
		a.forget()
		a.length = min(a.length*mixtureGrowth, mixtureLongest)
		dense.Axpy(a.length, a.r, a.trial)
		if !g.precise {
			slack = mixtureSlackSingle
		}
	}
	if a.move(g) == nil {
		status.Evaluations++
		if v := g.expect(); v >= value-slack*(1+math.Abs(value)) {
			return v, nil
		}
	}
	a.forget()
	if extrapolate {
		a.near = gradient / mixtureRetreat
	}
	a.length = 1
	copy(a.trial, a.x)
	dense.Axpy(1, a.r, a.trial)
	if err := a.move(g); err != nil {
		return 0, err
	}
	status.Evaluations++
	return g.expect(), nil
}

// coordinates sets x to the point and r to what a step of EM adds.
func (a *acceleration) coordinates(g *mixture) {
	d := g.y.Cols
	for c, p := range a.seen {
		x, r := dense.Wrap(d, d, a.x[c*d*d:(c+1)*d*d]), dense.Wrap(d, d, a.r[c*d*d:(c+1)*d*d])
		dense.MulLowerRight(dense.Transposed, p.l, p.l, x)
		dense.Scale(p.share, x.Data, x.Data)
		dense.MulLower(dense.NoTrans, p.l, g.r[c], a.t)
		dense.MulLowerRight(dense.Transposed, p.l, a.t, r)
		dense.Axpy(-1, x.Data, r.Data)
	}
}

// move sets the mixture to the point of trial.
func (a *acceleration) move(g *mixture) error {
	d := g.y.Cols
	for c := range a.seen {
		p, x := &a.seen[c], a.trial[c*d*d:(c+1)*d*d]
		p.share = x[0]
		if err := g.enough(c, p.share); err != nil {
			return err
		}
		dense.Scale(1/p.share, x, p.l.Data)
		if dense.Cholesky(p.l) >= 0 {
			return fmt.Errorf("component %d collapsed: its covariance is not positive definite", c)
		}
		dense.MulLower(dense.NoTrans, a.from[c].l, p.l, g.parts[c].l)
		g.parts[c].share = p.share
		if err := g.spread(c); err != nil {
			return err
		}
	}
	return nil
}
