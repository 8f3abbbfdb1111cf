package mixture

import (
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

// singleGradient is the gradient norm from which on passes in single precision are not accurate enough.
const singleGradient = 1e-5

// Ascend makes steps of EM, as they are or accelerated, until the options say that it is enough. Where long steps end in a collapse, EM begins again at the start.
func (g *Mixture) Ascend(o *solve.Options, accelerated bool) (*solve.Result, error) {
	r := &emRun{Mixture: g, mon: iteration.NewMonitor(o, len(g.parts)*g.y.Cols*g.y.Cols)}
	if accelerated {
		start := g.components()
		g.stage = single
		s := newPlaneSearch(g)
		if err := r.run(s); err == nil {
			s.finish()
			return r.result(), nil
		}
		copyComponents(g.parts, start)
	}
	g.stage = double
	if err := r.run(plainAscent{g}); err != nil {
		return nil, err
	}
	return r.result(), nil
}

// ascent makes steps to larger likelihoods.
type ascent interface {
	// expect does what EM does with the samples, and returns their mean log-likelihood.
	expect() float64
	// gradient returns the gradient norm after expect or a step.
	gradient() (float64, error)
	// step returns the mean log-likelihood after it.
	step(*solve.Status) (float64, error)
}

// emRun is a run of steps of EM.
type emRun struct {
	*Mixture
	mon *iteration.Monitor
}

// run makes steps until the run is over.
func (r *emRun) run(a ascent) error {
	value := a.expect()
	for {
		gradient, err := a.gradient()
		if err == nil && r.stage < double && gradient < max(singleGradient, 10*r.mon.Options.Tolerance) {
			r.stage = double
			value = a.expect()
			r.mon.Status.Evaluations++
			gradient, err = a.gradient()
		}
		if err != nil || r.mon.Done(nil, -value, gradient, 1) {
			return err
		}
		if value, err = a.step(&r.mon.Status); err != nil {
			return err
		}
		r.mon.Step(gradient)
	}
}

// result closes the run.
func (r *emRun) result() *solve.Result {
	result := r.mon.Result(nil, 0)
	result.Certificate, result.HessianProducts = r.certificate()
	r.plain()
	return result
}

// plainAscent makes the steps of EM.
type plainAscent struct{ *Mixture }

func (a plainAscent) step(status *solve.Status) (float64, error) {
	if err := a.maximize(); err != nil {
		return 0, err
	}
	status.Evaluations++
	return a.expect(), nil
}
