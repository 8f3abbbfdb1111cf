package iteration

import (
	"testing"

	"github.com/spdopt/spdopt/manifold/solve"
)

// TestMonitor: a run converges at its tolerance, ends at its limit of steps, and says that it has stalled.
func TestMonitor(t *testing.T) {
	m := NewMonitor(&solve.Options{Tolerance: 1e-3, MaxIterations: 2}, 1)
	if m.Done(nil, 5, 1, 10) || m.Target() != 1e-2 {
		t.Errorf("over at the start: %+v, target %g", m.Reason, m.Target())
	}
	m.Step(1)
	if !m.Done(nil, 4, 0.9e-2, 10) {
		t.Errorf("goes on below the tolerance: %+v", m.Status)
	}
	if r := m.Result(nil, 3); !r.Converged || r.Iterations != 1 || r.Evaluations != 1 || r.HessianProducts != 3 || r.Objective != 4 || r.GradientNorm != 0.9e-2 {
		t.Errorf("%+v", r)
	}
	m.Step(1)
	if !m.Done(nil, 4, 1, 10) || m.Reason.Converged {
		t.Errorf("after the last step: %+v", m.Reason)
	}
	if m.Stall(); m.Reason.Name != Stalled || m.Reason.Converged || m.Reason.Advice == "" {
		t.Errorf("stalled: %+v", m.Reason)
	}
}
