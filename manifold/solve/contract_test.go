package solve

import (
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/manifold"
)

// TestSameBitsForAnyThreads: the bits of a run do not depend on GOMAXPROCS.
func TestSameBitsForAnyThreads(t *testing.T) {
	const n = 40
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, s := range Solvers() {
		var want []any
		for _, threads := range []int{1, 2, 5} {
			runtime.GOMAXPROCS(threads)
			r, err := s.Run(affine(t, n, manifold.AffineOptions{}), newLogdet(n, 1e3, 11), manifold.IdentityFrame(n, 1), nil)
			if err != nil || !r.Converged {
				t.Fatalf("%s: %+v %v", s.Name, r, err)
			}
			if got := outcome(t, r); want == nil {
				want = got
			} else if !sameOutcome(want, got) {
				t.Errorf("%s: other bits with %d threads", s.Name, threads)
			}
		}
	}
}

// holed has a gradient with NaN beyond a distance from the identity, where the cost is still fine.
type holed struct {
	*logdet
	hole bool
}

func (h *holed) Evaluate(p manifold.Point, grad []float64, m Memo) (float64, error) {
	c, err := h.logdet.Evaluate(p, grad, m)
	if h.hole && math.Abs(p.(*manifold.Frame).LogDet()) > 1e-2 {
		grad[len(grad)-1] = math.NaN()
	}
	return c, err
}

// TestGradientNotFinite: a gradient with NaN is an error of the iteration that met it, whatever the cost says.
func TestGradientNotFinite(t *testing.T) {
	for _, s := range Solvers() {
		var iterations int
		h := &holed{logdet: newLogdet(5, 10, 4)}
		_, err := s.Run(affine(t, 5, manifold.AffineOptions{}), h, manifold.IdentityFrame(5, 1), &Options{Tolerance: 1e-12, Callback: func(s *Status) bool {
			iterations = s.Iteration
			h.hole = iterations == 2
			return false
		}})
		if err == nil || iterations != 2 || !strings.Contains(err.Error(), "iteration 3") || !strings.Contains(err.Error(), "gradient") {
			t.Errorf("%s after %d iterations: %v", s.Name, iterations, err)
		}
	}
}
