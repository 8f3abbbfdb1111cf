package solve

import (
	"bytes"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/manifold"
)

// contract is a convex problem that suits a solver, with the tolerance that it can reach in a short run.
type contract struct {
	m         *manifold.Affine
	objective func() Objective
	options   func() *Options
}

// contractOf returns the problem for the solver of that name: the log-determinant fit, or one with the structure that the solver needs.
func contractOf(t testing.TB, name string) contract {
	m := affine(t, 5, manifold.AffineOptions{})
	c := contract{m: m, objective: func() Objective { return newLogdet(5, 1e3, 11) }, options: func() *Options { return &Options{} }}
	sum := func(tolerance float64) {
		c.objective = func() Objective { return newSampleLogdet(m, 61, 51) }
		c.options = func() *Options { return newSampleLogdet(m, 61, 51).options(tolerance) }
	}
	switch name {
	case sgd.Name, adam.Name:
		sum(0.03)
	case svrg.Name:
		sum(1e-8)
	case nelderMead.Name:
		c.m = affine(t, 2, manifold.AffineOptions{})
		c.objective = func() Objective { return squaredDistance(c.m, newTug(c.m, 1, 12).a) }
	case blackBox.Name:
		c.m = affine(t, 2, manifold.AffineOptions{})
		c.objective = func() Objective { return squaredDistance(c.m, newTug(c.m, 1, 12).a) }
		c.options = func() *Options { return &Options{Sampler: newClimber} }
	case proximal.Name:
		c.objective = func() Objective { return newTug(m, 0.5, 12) }
	case gaussNewton.Name:
		c.objective = func() Objective { f, _ := newEllipsoid(m, 40, 0.05, 12); return f }
	case augmented.Name:
		c.objective = func() Objective { return &bounded{tug: newTug(m, 0, 12), equal: []float64{2}} }
	case exactPenalty.Name:
		c.objective = func() Objective { return &bounded{tug: newTug(m, 0, 12), equal: []float64{2}} }
	case barrier.Name:
		c.objective = func() Objective { return &bounded{tug: newTug(m, 0, 12), most: []float64{0.5, 0.3}} }
	case bfgs.Name:
		c.objective = func() Objective { return newLogdet(5, 1e3, 11) }
	case swarm.Name:
		c.m = affine(t, 2, manifold.AffineOptions{})
		c.objective = func() Objective { return squaredDistance(c.m, newTug(c.m, 1, 12).a) }
		c.options = func() *Options { return &Options{Stochastic: StochasticOptions{Source: rand.NewChaCha8([32]byte{12})}} }
	case frankWolfe.Name:
		c.objective = func() Objective { return newBox(newTug(m, 0, 12), 3) }
		c.options = func() *Options { return &Options{Tolerance: 1e-4} }
	default:
		if _, err := ByName(name); err != nil || slices.ContainsFunc(Special(), func(s Solver) bool { return s.Name == name }) {
			t.Fatalf("%s has no problem in the contract test", name)
		}
	}
	return c
}

// TestContract: every solver of both registries converges on a convex problem with a reason, has the same bits for any GOMAXPROCS, leaves the
// start alone, resumes, obeys the callback and the iteration limit with advice, and refuses a start that cannot be evaluated.
func TestContract(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, s := range append(Solvers(), Special()...) {
		c := contractOf(t, s.Name)
		n := c.m.Dim()
		start := manifold.IdentityFrame(n, 1)
		before, _ := start.MarshalBinary()
		run := func(change func(*Options)) *Result {
			o := c.options()
			change(o)
			r, err := s.Run(c.m, c.objective(), start, o)
			if err != nil {
				t.Fatalf("%s: %v", s.Name, err)
			}
			if after, _ := start.MarshalBinary(); !bytes.Equal(before, after) {
				t.Fatalf("%s changed the start", s.Name)
			}
			return r
		}
		want := run(func(*Options) {})
		if !want.Converged || want.Reason.Detail == "" || want.Reason.Advice != "" || want.Solver != s.Name || want.Evaluations == 0 || s.What == "" {
			t.Errorf("%s: %+v", s.Name, want)
		}
		for _, threads := range []int{2, 5} {
			runtime.GOMAXPROCS(threads)
			if !sameOutcome(outcome(t, want), outcome(t, run(func(*Options) {}))) {
				t.Errorf("%s: other bits with %d threads", s.Name, threads)
			}
		}
		if r := run(func(o *Options) { o.Callback = func(s *Status) bool { return s.Iteration == 1 } }); r.Iterations != 1 || r.Converged ||
			r.Reason.Name != "callback" {
			t.Errorf("%s with a callback that stops: %+v", s.Name, r)
		}
		if r := run(func(o *Options) { o.MaxIterations, o.Tolerance = 1, 1e-14 }); r.Iterations != 1 || r.Converged || r.Reason.Name != "iterations" ||
			r.Reason.Advice == "" {
			t.Errorf("%s with one iteration: %+v", s.Name, r)
		}
		checkResume(t, s.Name, max(1, want.Iterations/5), func(o *Options) (*Result, error) {
			full := c.options()
			full.Checkpoint, full.Restore = o.Checkpoint, o.Restore
			return s.Run(c.m, c.objective(), start, full)
		})
		bad := manifold.IdentityFrame(n, 1)
		bad.Inverse().Set(0, 0, math.NaN())
		if _, err := s.Run(c.m, c.objective(), bad, c.options()); err == nil || !strings.Contains(err.Error(), "start") {
			t.Errorf("%s from a point with NaN: %v", s.Name, err)
		}
		if _, err := s.Run(c.m, c.objective(), start, &Options{Tolerance: -1}); err == nil {
			t.Errorf("%s ran with a negative tolerance", s.Name)
		}
		if s.Needs != "" && !strings.HasPrefix(s.Needs, "nothing but") {
			if _, err := s.Run(c.m, newLogdet(n, 10, 1), start, c.options()); err == nil || !strings.Contains(err.Error(), s.Name) {
				t.Errorf("%s without what it needs: %v", s.Name, err)
			}
		}
	}
}

// TestSameBitsLarge: the same at a size at which the kernels use several threads.
func TestSameBitsLarge(t *testing.T) {
	const n = 40
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, s := range Solvers() {
		var want []any
		for _, threads := range []int{1, 4} {
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

// torn has a Hessian product with NaN once it is told to.
type torn struct {
	scaledLogdet
	tear bool
}

func (h *torn) HessianVec(dst []float64, p manifold.Point, v []float64, m Memo) error {
	err := h.scaledLogdet.HessianVec(dst, p, v, m)
	if h.tear {
		dst[0] = math.NaN()
	}
	return err
}

// TestStepNotFinite: a Hessian product with NaN is an error of the iteration whose step it spoils, not an endless run.
func TestStepNotFinite(t *testing.T) {
	for _, s := range []Solver{trust, arc} {
		h := &torn{scaledLogdet: scaledLogdet{newLogdet(5, 10, 4)}}
		_, err := s.Run(affine(t, 5, manifold.AffineOptions{}), h, manifold.IdentityFrame(5, 1), &Options{Tolerance: 1e-12, Callback: func(s *Status) bool {
			h.tear = s.Iteration == 2
			return false
		}})
		if err == nil || !strings.Contains(err.Error(), "iteration 3") || !strings.Contains(err.Error(), "Hessian product") {
			t.Errorf("%s: %v", s.Name, err)
		}
	}
}
