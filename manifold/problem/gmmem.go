package problem

import "github.com/spdopt/spdopt/manifold/solve"

// singleGradient is the gradient norm from which on passes in single precision are not accurate enough.
const singleGradient = 1e-5

// gmmBy runs steps of EM, as they are or accelerated, from the best start. Where long steps end in a collapse, EM begins again at the start.
func gmmBy(accelerated bool) func(*Data, *Options) (*outcome, error) {
	return func(d *Data, o *Options) (*outcome, error) {
		g, err := gmmStart(d, o)
		if err != nil {
			return nil, err
		}
		r := &gmmRun{mixture: g, mon: newMonitor(&o.Solver, len(g.parts)*g.y.Cols*g.y.Cols)}
		if accelerated {
			start := g.components()
			g.stage = single
			s := newPlaneSearch(g)
			if err = r.run(s); err == nil {
				s.finish()
				return r.outcome()
			}
			copyComponents(g.parts, start)
		}
		g.stage = double
		if err = r.run(plainAscent{g}); err != nil {
			return nil, gmmError(err)
		}
		return r.outcome()
	}
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

// gmmRun is a run of steps of EM.
type gmmRun struct {
	*mixture
	mon *monitor
}

// run makes steps until the run is over.
func (r *gmmRun) run(a ascent) error {
	value := a.expect()
	for {
		gradient, err := a.gradient()
		if err == nil && r.stage < double && gradient < max(singleGradient, 10*r.mon.o.Tolerance) {
			r.stage = double
			value = a.expect()
			r.mon.status.Evaluations++
			gradient, err = a.gradient()
		}
		if err != nil || r.mon.done(nil, -value, gradient, 1) {
			return err
		}
		if value, err = a.step(&r.mon.status); err != nil {
			return err
		}
		r.mon.step(gradient)
	}
}

// outcome turns the mixture into the result.
func (r *gmmRun) outcome() (*outcome, error) {
	result := r.mon.result(nil, 0)
	result.Certificate, result.HessianProducts = r.certificate()
	r.plain()
	return r.mixture.outcome(result), nil
}

// plainAscent makes the steps of EM.
type plainAscent struct{ *mixture }

func (a plainAscent) step(status *solve.Status) (float64, error) {
	if err := a.maximize(); err != nil {
		return 0, err
	}
	status.Evaluations++
	return a.expect(), nil
}
