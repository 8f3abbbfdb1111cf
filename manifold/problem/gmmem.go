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
			if err = r.run(newPlaneSearch(g).step); err == nil {
				return r.outcome()
			}
			copyComponents(g.parts, start)
		}
		g.stage = double
		if err = r.run(r.plainStep); err != nil {
			return nil, gmmError(err)
		}
		return r.outcome()
	}
}

// gmmRun is a run of steps of EM.
type gmmRun struct {
	*mixture
	mon *monitor
}

// run makes steps until the run is over.
func (r *gmmRun) run(step func(*solve.Status) (float64, error)) error {
	value := r.expect()
	for {
		gradient, err := r.gradient()
		if err == nil && r.stage < double && gradient < max(singleGradient, 10*r.mon.o.Tolerance) {
			r.stage = double
			value = r.expect()
			r.mon.status.Evaluations++
			gradient, err = r.gradient()
		}
		if err != nil || r.mon.done(nil, -value, gradient, 1) {
			return err
		}
		if value, err = step(&r.mon.status); err != nil {
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

// plainStep is the step of EM.
func (g *mixture) plainStep(status *solve.Status) (float64, error) {
	if err := g.maximize(); err != nil {
		return 0, err
	}
	status.Evaluations++
	return g.expect(), nil
}
