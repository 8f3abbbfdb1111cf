// Package iteration applies the stopping criteria of package solve to iterations that are no solvers of that package.
package iteration

import (
	"fmt"
	"time"

	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// Monitor keeps the counters of a run and says when it is over.
type Monitor struct {
	Options *solve.Options // with their defaults
	Began   time.Time
	Status  solve.Status
	Reason  solve.Reason // why the run is over
}

// NewMonitor starts the clock of a run over vectors of the given length whose start has been, or is about to be, evaluated once.
func NewMonitor(o *solve.Options, vectorLen int) *Monitor {
	d := o.WithDefaults(vectorLen)
	return &Monitor{Options: &d, Began: time.Now(), Status: solve.Status{Evaluations: 1, NaturalScale: true}}
}

// Done records where the run is and says whether it is over. scale is what a relative gradient refers to.
func (m *Monitor) Done(p manifold.Point, cost, gradient, scale float64) bool {
	s := &m.Status
	s.Point, s.Cost, s.GradientNorm, s.GradientScale, s.Elapsed = p, cost, gradient, scale, time.Since(m.Began)
	s.Note()
	var stop bool
	m.Reason, stop = m.Options.Done(s)
	return stop
}

// Target returns the gradient norm at which the run has converged.
func (m *Monitor) Target() float64 {
	return m.Options.Tolerance * m.Status.GradientScale
}

// Step counts an accepted step.
func (m *Monitor) Step(length float64) {
	m.Status.Iteration++
	m.Status.StepNorm = length
}

// Stalled names the reason of runs that end because no step improves their point.
const Stalled = "stalled"

// Stall records that no step improves the point.
func (m *Monitor) Stall() {
	m.Reason = solve.Reason{Name: Stalled, Detail: fmt.Sprintf("no step lowers the gradient norm %.3g", m.Status.GradientNorm),
		Advice: "a small relative gradient here is the rounding level of the problem: loosen the tolerance"}
}

// Result closes the run at p.
func (m *Monitor) Result(p manifold.Point, products int) *solve.Result {
	s := &m.Status
	r := &solve.Result{Point: p, Converged: m.Reason.Converged, Reason: m.Reason, Iterations: s.Iteration, Evaluations: s.Evaluations,
		HessianProducts: products, Objective: s.Cost, GradientNorm: s.GradientNorm, Elapsed: time.Since(m.Began)}
	r.RelativeGradient = s.RelativeGradient()
	return r
}
