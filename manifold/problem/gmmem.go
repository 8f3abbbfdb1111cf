package problem

import "github.com/spdopt/spdopt/manifold/solve"

// singleGradient is the gradient norm from which on passes in single precision are not accurate enough.
const singleGradient = 1e-5

// gmmBy runs steps of EM, as they are or accelerated, from the best start.
func gmmBy(accelerated bool) func(*Data, *Options) (*outcome, error) {
	return func(d *Data, o *Options) (*outcome, error) {
		g, err := gmmStart(d, o)
		if err != nil {
			return nil, err
		}
		mon := newMonitor(&o.Solver, len(g.parts)*g.y.Cols*g.y.Cols)
		g.stage = double
		step := g.plainStep
		if accelerated {
			g.stage = single
			step = newPlaneSearch(g).step
		}
		value := g.expect()
		for {
			gradient, err := g.gradient()
			if err == nil && g.stage < double && gradient < max(singleGradient, 10*mon.o.Tolerance) {
				g.stage = double
				value = g.expect()
				mon.status.Evaluations++
				gradient, err = g.gradient()
			}
			if err != nil {
				return nil, gmmError(err)
			}
			if mon.done(nil, -value, gradient, 1) {
				r := mon.result(nil, 0)
				g.plain()
				r.Certificate, r.HessianProducts = g.certificate()
				return g.outcome(r), nil
			}
			if value, err = step(&mon.status); err != nil {
				return nil, gmmError(err)
			}
			mon.step(gradient)
		}
	}
}

// plainStep is the step of EM.
func (g *mixture) plainStep(status *solve.Status) (float64, error) {
	if err := g.maximize(); err != nil {
		return 0, err
	}
	status.Evaluations++
	return g.expect(), nil
}
