package solve

import (
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/manifold"
)

// starts are the allocations of an iteration that starts another solver, which the methods for constraints do, or lets points improve that never did: a
// frame gets its scratch when it is first needed.
var starts = map[string]float64{augmented.Name: 120, exactPenalty.Name: 160, barrier.Name: 160, swarm.Name: 20}

// TestEverySolverAllocatesNothing: twice the iterations allocate no more, for every solver of both registries, apart
// from those that are starts of another.
func TestEverySolverAllocatesNothing(t *testing.T) {
	for _, s := range append(Solvers(), Special()...) {
		c := contractOf(t, s.Name)
		start := manifold.IdentityFrame(c.m.Dim(), 1)
		run := func(iterations int) func() {
			return func() {
				o := c.options()
				o.MaxIterations, o.Tolerance, o.AbsoluteTolerance = iterations, 1e-15, 1e-300
				o.Memory = 2 // pairs are made as they are needed: two in either run
				r, err := s.Run(c.m, c.objective(), start, o)
				if err != nil {
					t.Fatal(s.Name, err)
				}
				if r.Iterations < iterations {
					t.Fatalf("%s: %+v", s.Name, r)
				}
			}
		}
		limit := 3 + 3*starts[s.Name] // a pool of the kernels may refill once
		if more := allocs.Growth(3, run(3), run(6)); more >= limit {
			t.Errorf("%s: %v allocations more in 6 iterations than in 3", s.Name, more)
		}
	}
}
