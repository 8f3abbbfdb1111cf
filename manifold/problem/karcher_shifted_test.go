package problem

import (
	"errors"
	"math"
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// shiftedOf returns the objective without decompositions, the one with them, and the first point.
func shiftedOf(t *testing.T, d Data, tolerance float64) (*shiftedMean, *karcherObjective, *manifold.Frame) {
	t.Helper()
	k := karcherOf(t, d)
	p := k.start()
	s := newShiftedMean(k, &Options{Solver: solve.Options{Tolerance: tolerance}})
	if s == nil {
		t.Fatal("no objective without decompositions")
	}
	return s, k, p
}

// TestShiftedMean: cost and gradient are those by decompositions, to the error that is stated, at the first point and at one near it; the Hessian product is
// near.
func TestShiftedMean(t *testing.T) {
	for name, d := range map[string]Data{
		"three":   {Matrices: scattered(24, 3, 1e2)},
		"many":    {Matrices: scattered(37, 20, 1e2)},
		"weights": {Matrices: scattered(50, 6, 30), Weights: []float64{1, 0, 5, 2, 1, 1}},
		"wide":    {Matrices: scattered(26, 9, 1e3)},
	} {
		for _, tolerance := range []float64{1e-6, 1e-9} {
			s, k, p := shiftedOf(t, d, tolerance)
			n := k.n
			v := symmetricNormals(3, n)
			step := slices.Clone(v)
			for i := range step {
				step[i] *= 1e-7
			}
			q := p.Clone().(*manifold.Frame)
			if err := k.m.Retract(q, p, step); err != nil {
				t.Fatal(err)
			}
			memo, exact := s.NewMemo(), k.NewMemo()
			got, want := make([]float64, n*n), make([]float64, n*n)
			for i, at := range []*manifold.Frame{p, q} {
				cost, err := s.Evaluate(at, got, memo)
				if err != nil {
					t.Fatal(name, err)
				}
				truth, err := k.Evaluate(at, want, exact)
				if err != nil {
					t.Fatal(err)
				}
				if slack := s.slackAt(memo); !(slack <= 0.25*tolerance*k.single.width*math.Sqrt(float64(n)/3)) {
					t.Errorf("%s: an error of %.3g for the tolerance %g", name, slack, tolerance)
				}
				if e := mat.Norm(difference(n, got, want), 2); e > s.slackAt(memo)+1e-12 {
					t.Errorf("%s, point %d: the gradient is off by %.3g, stated %.3g", name, i, e, s.slackAt(memo))
				}
				if e := math.Abs(cost - truth); e > 2*s.log.err*k.single.width*float64(n) {
					t.Errorf("%s, point %d: cost %v, want %v", name, i, cost, truth)
				}
			}
			if err := k.HessianVec(want, q, v, exact); err != nil {
				t.Fatal(err)
			}
			s.target = 0 // as accurate as it can be
			s.hessianVec32(got, v, nil, q, memo)
			if e := differenceRelative(got, want); !(e < 5e-3) {
				t.Errorf("%s: the Hessian product is %.3g away", name, e)
			}
		}
	}
}

func difference(n int, a, b []float64) *mat.Dense {
	d := mat.NewDense(n, n, nil)
	d.Sub(mat.NewDense(n, n, a), mat.NewDense(n, n, b))
	return d
}

// TestShiftedMeanProves: where the interval is narrow, each matrix gets one in which its spectrum is proved to lie, if that is not far too narrow, and a matrix far from the others is
// left to decompositions.
func TestShiftedMeanProves(t *testing.T) {
	for name, d := range map[string]Data{
		"fours":  {Matrices: append(scattered(24, 5, 1e2), scattered(24, 4, 10)...)},
		"single": {Matrices: append(scattered(largestFour+4, 2, 1e2), scattered(largestFour+4, 1, 10)...)},
	} {
		s, k, p := shiftedOf(t, d, 1e-8)
		got, want, memo := make([]float64, s.n*s.n), make([]float64, s.n*s.n), s.NewMemo()
		if _, err := k.Evaluate(p, want, k.NewMemo()); err != nil {
			t.Fatal(err)
		}
		whole := s.log.width
		for _, part := range []float64{0.85, 0.3} {
			s.within(part * whole)
			if _, err := s.Evaluate(p, got, memo); err != nil || s.logs.widest() == 0 || slices.Min(s.logs.used[:2]) == s.logs.widest() {
				t.Errorf("%s: intervals %v of %v of %v: %v", name, s.logs.used, part, whole, err)
			}
			if e := mat.Norm(difference(s.n, got, want), 2); e > s.slackAt(memo)+1e-12 || s.slackAt(memo) > s.err {
				t.Errorf("%s: the gradient is off by %.3g, stated %.3g", name, e, s.slackAt(memo))
			}
		}
		s.within(0.1 * whole)
		if _, err := s.Evaluate(p, got, memo); !errors.Is(err, errOutside) {
			t.Errorf("%s: gradient from an interval of %v: %v", name, s.log.width, err)
		}
	}
	ms := scattered(24, 6, 10)
	var far mat.SymDense
	far.ScaleSym(2e3, ms[5])
	ms[5] = &far
	d := Data{Matrices: ms}
	got, want := solved(t, "mean", d, nil), solved(t, "mean", d, &Options{Method: "richardson"})
	if e, err := manifold.Distance(got.Solution, want.Solution); err != nil || e > got.Certificate.Value+want.Certificate.Value {
		t.Errorf("distance %v (%v), certified %v", e, err, got.Certificate)
	}
}

// TestProductErrors: what errors of Hessian products add to the gradient is taken off what conjugate gradients may leave, down to half of it.
func TestProductErrors(t *testing.T) {
	s, k, p := shiftedOf(t, Data{Matrices: scattered(30, 4, 1e2)}, 1e-8)
	memo, v, grad := s.NewMemo(), symmetricNormals(3, s.n), make([]float64, s.n*s.n)
	if _, err := s.Evaluate(p, grad, memo); err != nil {
		t.Fatal(err)
	}
	length, sum := math.Sqrt(dense.Dot(v, v)), 0.0
	for range 2 {
		s.hessianVec32(grad, v, nil, p, memo)
		sum += math.Pow(length*s.hessian.error(), 2)
		if e := s.productError(); math.Abs(e*e-sum) > 1e-9*sum || !(s.hessian.error() >= probeError) {
			t.Errorf("an error of %v, want %v", e, math.Sqrt(sum))
		}
	}
	r, error := followedRun{k: s}, s.productError()
	for _, target := range []float64{1.01 * error, 2 * error, 1e6 * error} {
		left := r.remainder(target)
		if both := math.Hypot(left, error); left < target/2 || left > target || both > target*(1+1e-9) && left > target/2 {
			t.Errorf("%v may be left of %v where products add %v", left, target, error)
		}
	}
	if left := (&followedRun{k: k}).remainder(3); left != 3 {
		t.Errorf("%v of 3 may be left by products that are exact", left)
	}
	if _, err := s.Evaluate(p, grad, memo); err != nil {
		t.Fatal(err)
	}
	if s.hessianVec32(grad, v, nil, p, memo); s.productError() > 0.8*error {
		t.Error("errors of products at the last point count")
	}
}

// TestShiftedMeanCertified: the result lies within the certified distance of the mean, its gradient norm is that of the point to the slack, and its bits do
// not depend on threads.
func TestShiftedMeanCertified(t *testing.T) {
	old := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(old)
	for seed, d := range []Data{
		{Matrices: scattered(24, 3, 50)},
		{Matrices: scattered(30, 13, 300), Weights: []float64{1, 2, 3, 4, 5, 6, 7, 6, 5, 4, 3, 2, 1}},
		{Matrices: scattered(45, 20, 1e2)},
	} {
		k := karcherOf(t, d)
		truth, err := followedIterate(k, &Options{Solver: solve.Options{Tolerance: 1e-13}}, newtonDirection)
		if err != nil || !truth.Converged {
			t.Fatal(err, truth)
		}
		var first *Result
		for _, procs := range []int{1, 3} {
			runtime.GOMAXPROCS(procs)
			r := solved(t, "mean", d, nil)
			e, err := manifold.Distance(r.Solution, truth.Point.(*manifold.Frame).Sym())
			if err != nil || e > r.Certificate.Value+1e-11 || !r.Certificate.Bound {
				t.Errorf("data %d: distance %.3g, certified %+v (%v)", seed, e, r.Certificate, err)
			}
			if e := math.Abs(r.Objective - truth.Objective); e > 1e-8*truth.Objective {
				t.Errorf("data %d: objective %v, want %v", seed, r.Objective, truth.Objective)
			}
			if first == nil {
				first = r
			} else if !slices.Equal(first.Solution.RawSymmetric().Data, r.Solution.RawSymmetric().Data) || first.GradientNorm != r.GradientNorm {
				t.Errorf("data %d: other bits on %d threads", seed, procs)
			}
		}
	}
}

// TestShiftedAllocatesNothing: evaluations after the first and Hessian products take no memory.
func TestShiftedAllocatesNothing(t *testing.T) {
	old := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(old)
	data := Data{Matrices: scattered(24, 4, 1e2)}
	mean, _, at := shiftedOf(t, data, 1e-8)
	k := medianOf(t, data, 1)
	start := k.start()
	for name, c := range map[string]struct {
		s followedObjective
		p *manifold.Frame
	}{"mean": {mean, at}, "median": {newShiftedMedian(k, &Options{}), start}} {
		n := c.p.Dim()
		grad, memo, v := make([]float64, n*n), c.s.NewMemo(), symmetricNormals(1, n)
		if _, err := c.s.Evaluate(c.p, grad, memo); err != nil {
			t.Fatal(name, err)
		}
		if got := allocs.PerRun(3, func() {
			if _, err := c.s.Evaluate(c.p, grad, memo); err != nil {
				t.Error(name, err)
			}
			if m, ok := c.s.(*shiftedMedian); ok && m.Precondition(grad, c.p, v, memo) != nil {
				t.Error(name)
			}
			c.s.hessianVec32(grad, v, nil, c.p, memo)
		}); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}
