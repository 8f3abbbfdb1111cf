package problem

import (
	"fmt"
	"time"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// monitor keeps the counters of a specialised iteration and applies the stopping criteria of solve.Options to it.
type monitor struct {
	o      *solve.Options
	began  time.Time
	status solve.Status
	reason solve.Reason
}

// newMonitor starts the clock of a run over vectors of the given length whose start has been, or is about to be, evaluated once.
func newMonitor(o *solve.Options, vectorLen int) *monitor {
	d := o.WithDefaults(vectorLen)
	return &monitor{o: &d, began: time.Now(), status: solve.Status{Evaluations: 1, NaturalScale: true}}
}

// done records where the run is and says whether it is over. scale is what a relative gradient refers to.
func (m *monitor) done(p manifold.Point, cost, gradient, scale float64) bool {
	s := &m.status
	s.Point, s.Cost, s.GradientNorm, s.GradientScale, s.Elapsed = p, cost, gradient, scale, time.Since(m.began)
	s.Note()
	var stop bool
	m.reason, stop = m.o.Done(s)
	return stop
}

// target returns the gradient norm at which the run has converged.
func (m *monitor) target() float64 {
	return m.o.Tolerance * m.status.GradientScale
}

// step counts an accepted step.
func (m *monitor) step(length float64) {
	m.status.Iteration++
	m.status.StepNorm = length
}

const stalledReason = "stalled"

// stalled records that no step improves the point.
func (m *monitor) stalled() {
	m.reason = solve.Reason{Name: stalledReason, Detail: fmt.Sprintf("no step lowers the gradient norm %.3g", m.status.GradientNorm),
		Advice: "a small relative gradient here is the rounding level of the problem: loosen the tolerance"}
}

// result closes the run at p.
func (m *monitor) result(p manifold.Point, products int) *solve.Result {
	s := &m.status
	r := &solve.Result{Point: p, Converged: m.reason.Converged, Reason: m.reason, Iterations: s.Iteration, Evaluations: s.Evaluations,
		HessianProducts: products, Objective: s.Cost, GradientNorm: s.GradientNorm, Elapsed: time.Since(m.began)}
	r.RelativeGradient = s.RelativeGradient()
	return r
}

// symmetric wraps the upper triangle of m as a gonum matrix.
func symmetric(m dense.Matrix[float64]) *mat.SymDense { return mat.NewSymDense(m.Rows, m.Data) }
