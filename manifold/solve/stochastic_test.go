package solve

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/manifold"
)

// sampleLogdet is the mean over samples x of log det S + x' S^-1 x.
type sampleLogdet struct {
	m       *manifold.Affine
	samples [][]float64
	u       []float64
	all     []int
	batches int
	fail    func(batch int) (float64, error) // if not nil, may spoil a batch gradient
}

func newSampleLogdet(m *manifold.Affine, count int, seed byte) *sampleLogdet {
	rng := rand.New(rand.NewChaCha8([32]byte{seed}))
	s := &sampleLogdet{m: m, u: make([]float64, m.Dim())}
	for k := range count {
		x := make([]float64, m.Dim())
		for i := range x {
			x[i] = rng.NormFloat64() * (1 + 0.3*float64(i))
		}
		s.samples, s.all = append(s.samples, x), append(s.all, k)
	}
	return s
}

func (s *sampleLogdet) Terms() int { return len(s.samples) }

// gradient writes the mean gradient of the terms and returns the mean of |F^-1 x|^2.
func (s *sampleLogdet) gradient(grad []float64, p manifold.Point, terms []int) float64 {
	inv, n := p.(*manifold.Frame).Inverse(), s.m.Dim()
	var mean float64
	clear(grad)
	for i := range n {
		grad[i*n+i] = 1
	}
	for _, k := range terms {
		for i := range n {
			s.u[i] = 0
			for j, x := range s.samples[k] {
				s.u[i] += inv.At(i, j) * x
			}
		}
		for i, a := range s.u {
			mean += a * a / float64(len(terms))
			for j, b := range s.u {
				grad[i*n+j] -= a * b / float64(len(terms))
			}
		}
	}
	s.m.FromWhitened(p.(*manifold.Frame), grad)
	return mean
}

func (s *sampleLogdet) BatchGradient(grad []float64, p manifold.Point, terms []int) error {
	s.gradient(grad, p, terms)
	if s.batches++; s.fail != nil {
		v, err := s.fail(s.batches)
		grad[0] += v
		return err
	}
	return nil
}

func (s *sampleLogdet) Evaluate(p manifold.Point, grad []float64, _ Memo) (float64, error) {
	return p.(*manifold.Frame).LogDet() + s.gradient(grad, p, s.all), nil
}

// rotatedSum hides that transport is free, see embedded.
type rotatedSum struct {
	*sampleLogdet
	e embedded
}

func (r rotatedSum) Evaluate(p manifold.Point, grad []float64, m Memo) (float64, error) {
	c, err := r.sampleLogdet.Evaluate(p, grad, m)
	r.e.rotate(grad, r.e.angle(p))
	return c, err
}

func (r rotatedSum) BatchGradient(grad []float64, p manifold.Point, terms []int) error {
	err := r.sampleLogdet.BatchGradient(grad, p, terms)
	r.e.rotate(grad, r.e.angle(p))
	return err
}

// stochasticSolvers lists the solvers for a Sum with the tolerance that a falling or constant rate can reach in a short test.
var stochasticSolvers = []struct {
	Solver
	tolerance float64
}{{sgd, 0.02}, {adam, 0.02}, {svrg, 1e-9}}

func (s *sampleLogdet) options(tolerance float64) *Options {
	return &Options{Tolerance: tolerance, Stochastic: StochasticOptions{Source: rand.NewChaCha8([32]byte{52}), Batch: 5}}
}

// TestStochastic: each solver reaches its tolerance, with the same bits for any GOMAXPROCS, and the same epochs where vectors are carried.
func TestStochastic(t *testing.T) {
	m := affine(t, 4, manifold.AffineOptions{})
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, s := range stochasticSolvers {
		var want []any
		var plain *Result
		for _, threads := range []int{1, 4} {
			runtime.GOMAXPROCS(threads)
			f := newSampleLogdet(m, 61, 51)
			r, err := s.Run(m, f, manifold.IdentityFrame(4, 1), f.options(s.tolerance))
			if err != nil || !r.Converged || r.RelativeGradient > s.tolerance || r.Evaluations != r.Iterations+1 {
				t.Fatalf("%s: %+v %v", s.Name, r, err)
			}
			plain = r
			if got := outcome(t, r); want == nil {
				want = got
			} else if !sameOutcome(want, got) {
				t.Errorf("%s: other bits with %d threads", s.Name, threads)
			}
		}
		f, e := newSampleLogdet(m, 61, 51), embedded{m}
		r, err := s.Run(e, rotatedSum{f, e}, manifold.IdentityFrame(4, 1), f.options(s.tolerance))
		if err != nil || !r.Converged || r.Iterations != plain.Iterations ||
			math.Abs(r.GradientNorm-plain.GradientNorm) > 1e-10 {
			t.Errorf("%s with transport: %+v %v, without %+v", s.Name, r, err, plain)
		}
	}
}

// TestVarianceReducedIsExact: with one batch of all terms SVRG is gradient descent, since the correction vanishes.
func TestVarianceReducedIsExact(t *testing.T) {
	m := affine(t, 3, manifold.AffineOptions{})
	var ends [2][]any
	for i, s := range []Minimize{VarianceReduced, StochasticGradient} {
		f := newSampleLogdet(m, 20, 53)
		o := f.options(1e-6)
		o.MaxIterations, o.Stochastic.Batch, o.Stochastic.Decay = 1, 20, 1e-300
		r, err := s(m, f, manifold.IdentityFrame(3, 1), o)
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = []any{r.Objective}
	}
	if d := ends[0][0].(float64) - ends[1][0].(float64); math.Abs(d) > 1e-13 {
		t.Errorf("the costs after an epoch differ by %g", d)
	}
}

func TestStochasticResumes(t *testing.T) {
	m := affine(t, 3, manifold.AffineOptions{})
	for _, s := range stochasticSolvers {
		checkResume(t, s.Name, 7, func(o *Options) (*Result, error) {
			f := newSampleLogdet(m, 30, 54)
			full := f.options(s.tolerance)
			full.Checkpoint, full.Restore = o.Checkpoint, o.Restore
			if o.Restore != nil {
				full.Stochastic.Source = rand.NewChaCha8([32]byte{99})
			}
			return s.Run(m, f, manifold.IdentityFrame(3, 1), full)
		})
	}
}

// TestStochasticFailures: a missing source, an objective that is no sum, a rate that is too large, a broken or non-finite batch gradient.
func TestStochasticFailures(t *testing.T) {
	m, start := affine(t, 3, manifold.AffineOptions{}), manifold.IdentityFrame(3, 1)
	broken := errors.New("disk full")
	for _, s := range stochasticSolvers {
		f := newSampleLogdet(m, 20, 55)
		if _, err := s.Run(m, f, start, nil); err == nil || !strings.Contains(err.Error(), "Source") {
			t.Errorf("%s without source: %v", s.Name, err)
		}
		if _, err := s.Run(m, newLogdet(3, 10, 1), start, f.options(0.1)); err == nil || !strings.Contains(err.Error(), "Sum") {
			t.Errorf("%s without terms: %v", s.Name, err)
		}
		o := f.options(1e-3)
		o.Stochastic.Rate = 1e4
		if _, err := s.Run(m, f, start, o); err == nil || !strings.Contains(err.Error(), "Rate") || !strings.Contains(err.Error(), "epoch") {
			t.Errorf("%s with a huge rate: %v", s.Name, err)
		}
		f.fail = func(k int) (float64, error) {
			if k == 6 {
				return math.NaN(), nil
			}
			return 0, nil
		}
		if _, err := s.Run(m, f, start, f.options(1e-8)); err == nil || !strings.Contains(err.Error(), "epoch") || !strings.Contains(err.Error(), "terms [") {
			t.Errorf("%s with NaN in a batch: %v", s.Name, err)
		}
		f = newSampleLogdet(m, 20, 55)
		f.fail = func(k int) (float64, error) {
			if k == 2 {
				return 0, broken
			}
			return 0, nil
		}
		if _, err := s.Run(m, f, start, f.options(1e-8)); !errors.Is(err, broken) {
			t.Errorf("%s: error %v, want the objective's", s.Name, err)
		}
	}
	for _, o := range []StochasticOptions{{Batch: -1}, {Rate: -1}, {Rate: math.Inf(1)}, {Decay: math.NaN()}, {FirstMoment: 1}, {SecondMoment: 1.5}} {
		if o.Validate() == nil || (&Options{Stochastic: o}).Validate() == nil {
			t.Errorf("options %+v accepted", o)
		}
	}
}

func TestStochasticAllocatesNothing(t *testing.T) {
	m := affine(t, 4, manifold.AffineOptions{})
	f := newSampleLogdet(m, 30, 56)
	for _, s := range stochasticSolvers {
		run := func(epochs int) func() {
			return func() {
				o := f.options(1e-15)
				o.MaxIterations = epochs
				if _, err := s.Run(m, f, manifold.IdentityFrame(4, 1), o); err != nil {
					t.Fatal(err)
				}
			}
		}
		if more := allocs.Growth(3, run(3), run(9)); more >= 5 { // a pool of the kernels may refill
			t.Errorf("%s: %v allocations more in 9 epochs than in 3", s.Name, more)
		}
	}
}
