package solve

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/manifold"
)

// logdet is log det X + tr(X^-1 S) without Hessian: the smallest real problem. With S = L L' and V = F^-1 L the gradient is I - V V'.
type logdet struct {
	chol, v, m dense.Matrix[float64]
	fail       func(evaluation int) (float64, error) // if not nil, may replace the answer
	count      int
}

func newLogdet(n int, kappa float64, seed uint64) *logdet {
	rng := rand.New(rand.NewChaCha8([32]byte{byte(seed)}))
	l := &logdet{chol: dense.New[float64](n, n), v: dense.New[float64](n, n), m: dense.New[float64](n, n)}
	for i := range n {
		for j := range i {
			l.chol.Set(i, j, 0.3*rng.NormFloat64()/math.Sqrt(float64(n)))
		}
		l.chol.Set(i, i, 1)
		for j := range i + 1 {
			l.chol.Set(i, j, l.chol.At(i, j)*math.Pow(kappa, 0.5*(float64(i)/float64(n)-0.5)))
		}
	}
	return l
}

func (l *logdet) Evaluate(p manifold.Point, grad []float64, _ Memo) (float64, error) {
	l.count++
	if l.fail != nil {
		if c, err := l.fail(l.count); err != nil || c != 0 {
			return c, err
		}
	}
	f := p.(*manifold.Frame)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, dense.Of(f.Inverse().RawMatrix()), l.chol, 0, l.v)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, l.v, l.v, 0, l.m)
	dense.Mirror(l.m)
	cost := f.LogDet()
	for i, v := range l.m.Data {
		grad[i] = -v
	}
	for i := range l.m.Rows {
		cost += l.m.At(i, i)
		grad[i*l.m.Cols+i]++
	}
	return cost, nil
}

func affine(t testing.TB, n int, o manifold.AffineOptions) *manifold.Affine {
	t.Helper()
	m, err := manifold.NewAffine(n, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestReachesRounding: the line search does not stall at 1e-8 where the decrease of the cost is below its rounding.
func TestReachesRounding(t *testing.T) {
	for _, s := range Solvers() {
		for _, kappa := range []float64{10, 1e6} {
			l := newLogdet(12, kappa, 1)
			tol := 1e-12
			r, err := s.Run(affine(t, 12, manifold.AffineOptions{}), l, manifold.IdentityFrame(12, 1), &Options{Tolerance: tol})
			if err != nil || !r.Converged || r.RelativeGradient > tol {
				t.Errorf("%s at condition %g: %+v %v", s.Name, kappa, r, err)
			}
		}
	}
}

// embedded hides that transport is free, and keeps vectors in coordinates that change with the point: v = Q eta Q' for a rotation Q that
// depends on log det S. The solvers must then carry every vector that they keep.
type embedded struct{ *manifold.Affine }

func (e embedded) FreeTransport() bool { return false }

func (e embedded) angle(p manifold.Point) float64 { return p.(*manifold.Frame).LogDet() }

// rotate overwrites v by the coordinates rotated by the angle in the plane of the first two axes.
func (e embedded) rotate(v []float64, angle float64) {
	n := e.Dim()
	c, s := math.Cos(angle), math.Sin(angle)
	for k := range n {
		a, b := v[k], v[n+k]
		v[k], v[n+k] = c*a-s*b, s*a+c*b
	}
	for k := range n {
		a, b := v[k*n], v[k*n+1]
		v[k*n], v[k*n+1] = c*a-s*b, s*a+c*b
	}
}

func (e embedded) Transport(from, to manifold.Point, v []float64) {
	e.rotate(v, e.angle(to)-e.angle(from))
}

func (e embedded) Retract(dst, p manifold.Point, v []float64) error {
	w := append([]float64(nil), v...)
	e.rotate(w, -e.angle(p))
	return e.Affine.Retract(dst, p, w)
}

type rotated struct {
	*logdet
	e embedded
}

func (r rotated) Evaluate(p manifold.Point, grad []float64, m Memo) (float64, error) {
	c, err := r.logdet.Evaluate(p, grad, m)
	r.e.rotate(grad, r.e.angle(p))
	return c, err
}

// TestTransport: the run is the same in coordinates that have to be transported.
func TestTransport(t *testing.T) {
	m := affine(t, 6, manifold.AffineOptions{})
	for _, s := range Solvers() {
		want, err1 := s.Run(m, newLogdet(6, 100, 2), manifold.IdentityFrame(6, 1), nil)
		e := embedded{m}
		got, err2 := s.Run(e, rotated{newLogdet(6, 100, 2), e}, manifold.IdentityFrame(6, 1), nil)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if !got.Converged || got.Iterations != want.Iterations || got.Evaluations != want.Evaluations {
			t.Errorf("%s: %d iterations, %d evaluations with transport; %d, %d without", s.Name, got.Iterations, got.Evaluations, want.Iterations, want.Evaluations)
		}
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	m := affine(t, 10, manifold.AffineOptions{Retraction: manifold.SecondOrderStep})
	for _, s := range Solvers() {
		run := func(iterations int) func() {
			return func() {
				l := newLogdet(10, 1e4, 3)
				if _, err := s.Run(m, l, manifold.IdentityFrame(10, 1), &Options{MaxIterations: iterations, Tolerance: 1e-15, Memory: 2}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if more := allocs.Growth(3, run(3), run(6)); more >= 3 { // a pool of the kernels may refill once
			t.Errorf("%s: %v allocations more in 6 iterations than in 3", s.Name, more)
		}
	}
}

// TestOutsideTheDomain: a cost of +Inf, NaN or a point error in the line search shortens the step; any other error ends the run.
func TestOutsideTheDomain(t *testing.T) {
	for _, s := range Solvers() {
		for what, answer := range map[string]func() (float64, error){
			"Inf": func() (float64, error) { return math.Inf(1), nil }, "NaN": func() (float64, error) { return math.NaN(), nil },
			"point": func() (float64, error) { return 0, &manifold.PointError{What: "outside"} },
		} {
			l := newLogdet(5, 10, 4)
			l.fail = func(k int) (float64, error) {
				if k == 3 {
					return answer()
				}
				return 0, nil
			}
			r, err := s.Run(affine(t, 5, manifold.AffineOptions{}), l, manifold.IdentityFrame(5, 1), nil)
			if err != nil || !r.Converged {
				t.Errorf("%s, %s: %+v %v", s.Name, what, r, err)
			}
		}
		l := newLogdet(5, 10, 4)
		broken := errors.New("disk full")
		l.fail = func(k int) (float64, error) {
			if k == 3 {
				return 0, broken
			}
			return 0, nil
		}
		if _, err := s.Run(affine(t, 5, manifold.AffineOptions{}), l, manifold.IdentityFrame(5, 1), nil); !errors.Is(err, broken) || !strings.Contains(err.Error(), "iteration") {
			t.Errorf("%s: error %v, want the objective's with the iteration", s.Name, err)
		}
		l = newLogdet(5, 10, 4)
		l.fail = func(k int) (float64, error) {
			if k > 1 {
				return math.NaN(), nil
			}
			return 0, nil
		}
		if r, err := s.Run(affine(t, 5, manifold.AffineOptions{}), l, manifold.IdentityFrame(5, 1), nil); err == nil && (r.Converged || r.Reason.Advice == "") {
			t.Errorf("%s with NaN around the start: %+v", s.Name, r)
		}
		l.fail = func(int) (float64, error) { return math.NaN(), nil }
		if _, err := s.Run(affine(t, 5, manifold.AffineOptions{}), l, manifold.IdentityFrame(5, 1), nil); err == nil {
			t.Errorf("%s accepted a start with cost NaN", s.Name)
		}
	}
}

// TestStartAtMinimizer: nothing to do is not a failure.
func TestStartAtMinimizer(t *testing.T) {
	l := newLogdet(4, 1, 5)
	l.chol.Identity()
	for _, s := range Solvers() {
		r, err := s.Run(affine(t, 4, manifold.AffineOptions{}), l, manifold.IdentityFrame(4, 1), nil)
		if err != nil || !r.Converged || r.Iterations != 0 {
			t.Errorf("%s: %+v %v", s.Name, r, err)
		}
	}
}

// TestWrongGradientStalls: a gradient that points uphill is reported, not followed, also by runs that end at a limit.
func TestWrongGradientStalls(t *testing.T) {
	m := affine(t, 4, manifold.AffineOptions{})
	for _, s := range append(Solvers(), bfgs) {
		r, err := s.Run(m, uphill{newLogdet(4, 10, 6)}, manifold.IdentityFrame(4, 1), &Options{MaxIterations: 50})
		if err != nil || r.Converged || !strings.Contains(r.Reason.Advice, "check the gradient") {
			t.Errorf("%s: %+v %v", s.Name, r, err)
		}
	}
}

type uphill struct{ *logdet }

func (u uphill) Evaluate(p manifold.Point, grad []float64, m Memo) (float64, error) {
	c, err := u.logdet.Evaluate(p, grad, m)
	for i := range grad {
		grad[i] = -grad[i]
	}
	return c, err
}

// scaledLogdet knows its Hessian eta -> (eta M + M eta)/2; preconditionedLogdet also the inverse, in the eigenbasis of M = V V'.
type scaledLogdet struct{ *logdet }

type scaledMemo struct {
	m, basis dense.Matrix[float64]
	values   []float64
}

func (s *scaledLogdet) NewMemo() Memo {
	n := s.chol.Rows
	return &scaledMemo{dense.New[float64](n, n), dense.New[float64](n, n), make([]float64, n)}
}

func (s *scaledLogdet) Evaluate(p manifold.Point, grad []float64, memo Memo) (float64, error) {
	c, err := s.logdet.Evaluate(p, grad, nil)
	m := memo.(*scaledMemo)
	m.m.Copy(s.m)
	m.basis.Copy(s.m)
	if !eigen.Sym(m.basis, m.values) {
		return 0, errors.New("eigendecomposition failed")
	}
	return c, err
}

func (s *scaledLogdet) HessianVec(dst []float64, _ manifold.Point, v []float64, memo Memo) error {
	m := memo.(*scaledMemo)
	n := m.m.Rows
	out, eta := dense.Wrap(n, n, dst), dense.Wrap(n, n, v)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 0.5, eta, m.m, 0, out)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 0.5, m.m, eta, 1, out)
	return nil
}

type preconditionedLogdet struct{ *scaledLogdet }

func (s preconditionedLogdet) Precondition(dst []float64, _ manifold.Point, v []float64, memo Memo) error {
	m := memo.(*scaledMemo)
	n := m.m.Rows
	out, eta, t := dense.Wrap(n, n, dst), dense.Wrap(n, n, v), dense.New[float64](n, n)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, eta, m.basis, 0, t)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, m.basis, t, 0, out)
	for i := range n {
		for j := range n {
			out.Set(i, j, 2*out.At(i, j)/(m.values[i]+m.values[j]))
		}
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, m.basis, out, 0, t)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, t, m.basis, 0, out)
	return nil
}

// TestPreconditioner: with the exact inverse Hessian the inner iterations of Trust and CubicRegularization need fewer products, Steepest
// fewer iterations; LBFGS accepts it as its first metric.
func TestPreconditioner(t *testing.T) {
	m := affine(t, 10, manifold.AffineOptions{})
	run := func(s Minimize, f Objective) *Result {
		r, err := s(m, f, manifold.IdentityFrame(10, 1), nil)
		if err != nil || !r.Converged {
			t.Fatalf("%+v %v", r, err)
		}
		return r
	}
	both := func(s Minimize) (plain, better *Result) {
		return run(s, &scaledLogdet{newLogdet(10, 1e4, 8)}), run(s, preconditionedLogdet{&scaledLogdet{newLogdet(10, 1e4, 8)}})
	}
	for name, solver := range map[string]Minimize{"trust": Trust, "arc": CubicRegularization} {
		if plain, better := both(solver); better.HessianProducts >= plain.HessianProducts || better.HessianProducts > 3*better.Iterations {
			t.Errorf("%s: %d products with, %d without preconditioner", name, better.HessianProducts, plain.HessianProducts)
		}
	}
	if plain, better := both(Steepest); better.Iterations >= plain.Iterations {
		t.Errorf("steepest: %d iterations with, %d without preconditioner", better.Iterations, plain.Iterations)
	}
	run(LBFGS, preconditionedLogdet{&scaledLogdet{newLogdet(10, 1e4, 8)}})
}

type brokenPreconditioner struct {
	*scaledLogdet
	factor float64
}

func (s brokenPreconditioner) Precondition(dst []float64, _ manifold.Point, v []float64, _ Memo) error {
	for i, x := range v {
		dst[i] = s.factor * x
	}
	return nil
}

// TestBrokenPreconditioner: one that is not positive definite is an error that says so, never an endless loop.
func TestBrokenPreconditioner(t *testing.T) {
	m := affine(t, 4, manifold.AffineOptions{})
	for name, run := range map[string]Minimize{"lbfgs": LBFGS, "cg": ConjugateGradient, "trust": Trust, "steepest": Steepest, "arc": CubicRegularization} {
		for _, factor := range []float64{-1, 0, math.NaN()} {
			_, err := run(m, brokenPreconditioner{&scaledLogdet{newLogdet(4, 10, 3)}, factor}, manifold.IdentityFrame(4, 1), &Options{MaxIterations: 50})
			if err == nil || !strings.Contains(err.Error(), "not positive definite") {
				t.Errorf("%s with a preconditioner %v I: error %v", name, factor, err)
			}
		}
	}
}

func TestCriteria(t *testing.T) {
	s := &Status{Iteration: 5, Evaluations: 7, Cost: 2, GradientNorm: 1e-3, GradientScale: 1, StepNorm: 0.1, Elapsed: time.Second}
	for _, c := range []struct {
		name      string
		k         Criterion
		stop      bool
		converged bool
	}{
		{"gradient", GradientBelow(1e-3), true, true}, {"gradient above", GradientBelow(1e-4), false, false},
		{"relative", RelativeGradientBelow(1e-2), true, true}, {"relative above", RelativeGradientBelow(1e-4), false, false},
		{"cost", CostBelow(2), true, false}, {"cost above", CostBelow(1), false, false},
		{"step", StepBelow(0.2), true, false}, {"step above", StepBelow(0.01), false, false},
		{"iterations", IterationLimit(5), true, false}, {"iterations left", IterationLimit(6), false, false},
		{"evaluations", EvaluationLimit(7), true, false}, {"evaluations left", EvaluationLimit(8), false, false},
		{"time", TimeLimit(time.Second), true, false}, {"time left", TimeLimit(time.Minute), false, false},
		{"any", Any{CostBelow(1), GradientBelow(1)}, true, true}, {"any of none", Any{}, false, false},
		{"all", All{CostBelow(3), GradientBelow(1)}, true, true}, {"all but one", All{CostBelow(1), GradientBelow(1)}, false, false},
		{"all without convergence", All{CostBelow(3), StepBelow(1)}, true, false}, {"all of none", All{}, false, false},
	} {
		r, stop := c.k.Check(s)
		if stop != c.stop || r.Converged != c.converged || stop && (r.Name == "" || r.Detail == "") || (r.Advice == "") != (r.Converged || !stop) {
			t.Errorf("%s: %+v %v", c.name, r, stop)
		}
	}
	quiet := []Criterion{GradientBelow(1e-9), Any{CostBelow(1)}, All{GradientBelow(0), CostBelow(3)}}
	stopped := false
	if n := allocs.PerRun(10, func() {
		for _, k := range quiet {
			_, stop := k.Check(s)
			stopped = stopped || stop
		}
	}); n != 0 || stopped {
		t.Errorf("criteria that do not fire allocate %v times", n)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{Tolerance: -1}, {Tolerance: 2}, {Tolerance: math.NaN()}, {AbsoluteTolerance: -1}, {MaxIterations: -1}, {MaxTime: -1},
		{Memory: -1}, {FirstStep: math.Inf(1)}} {
		if o.Validate() == nil {
			t.Errorf("options %+v accepted", o)
		}
		if _, err := Steepest(affine(t, 2, manifold.AffineOptions{}), newLogdet(2, 1, 1), manifold.IdentityFrame(2, 1), &o); err == nil {
			t.Errorf("Steepest ran with options %+v", o)
		}
	}
	if _, err := ByName("nonsense"); err == nil {
		t.Error("unknown solver accepted")
	}
	for _, s := range Solvers() {
		if got, err := ByName(s.Name); err != nil || got.What == "" {
			t.Errorf("%s: %v", s.Name, err)
		}
	}
}

// TestCallback: the callback sees every iteration once, also where steps are rejected, and stops the run.
func TestCallback(t *testing.T) {
	for _, s := range Solvers() {
		var seen []int
		r, err := s.Run(affine(t, 5, manifold.AffineOptions{}), newLogdet(5, 100, 7), manifold.IdentityFrame(5, 1), &Options{FirstStep: 50,
			Callback: func(s *Status) bool { seen = append(seen, s.Iteration); return s.Iteration == 3 }})
		if err != nil || r.Converged || r.Reason.Name != "callback" || !slices.Equal(seen, []int{1, 2, 3}) {
			t.Errorf("%s: %v %+v %v", s.Name, seen, r, err)
		}
	}
}
