package manifold

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/spectral"
)

func TestFunctionsAgainstOracles(t *testing.T) {
	for _, n := range []int{1, 2, 5, 20, 61} {
		for _, kappa := range []float64{1, 1e2, 1e4} {
			seed := uint64(n) * 7
			rng := source(seed)
			a, b, xi := randomSPD(rng, n, kappa), randomSPD(rng, n, kappa), randomSym(rng, n)
			tol := 1e-15 * kappa * kappa * float64(10+n) // the pencil of a and b has condition up to kappa^2
			check := func(what string, got, want mat.Matrix, err error) {
				t.Helper()
				if err != nil {
					t.Fatalf("n %d kappa %g: %s: %v", n, kappa, what, err)
				}
				if e := relative(got, want); !(e <= tol) {
					t.Errorf("n %d kappa %g seed %d: %s off by %.2e, allowed %.2e", n, kappa, seed, what, e, tol)
				}
			}
			d, err := Distance(a, b)
			check("Distance", mat.NewDense(1, 1, []float64{1 + d}), mat.NewDense(1, 1, []float64{1 + distanceOracle(a, b)}), err)
			l, err := Log(a, b)
			check("Log", l, logOracle(a, b), err)
			short := mat.NewSymDense(n, nil)
			short.ScaleSym(0.3/mat.Norm(congruent(inverseRoot(a), xi), 2), xi)
			e, err := Exp(a, short)
			check("Exp", e, expOracle(a, short), err)
			for _, s := range []float64{-0.5, 0, 0.25, 0.5, 1, 1.5} {
				g, err := Geodesic(a, b, s)
				check(fmt.Sprintf("Geodesic(%g)", s), g, geodesicOracle(a, b, s), err)
			}
			p, err := Transport(a, b, xi)
			check("Transport", p, transportOracle(a, b, xi), err)
		}
	}
}

// TestInvariance: distances do not change under congruence and inversion; geodesics are mapped to geodesics and run at constant speed.
func TestInvariance(t *testing.T) {
	const n, seed = 12, 3
	rng := source(seed)
	a, b := randomSPD(rng, n, 100), randomSPD(rng, n, 100)
	g := mat.NewDense(n, n, nil)
	for i := range n {
		for j := range n {
			g.Set(i, j, rng.NormFloat64())
		}
		g.Set(i, i, g.At(i, i)+8)
	}
	inv := func(s mat.Symmetric) *mat.SymDense { return function(s, func(x float64) float64 { return 1 / x }) }
	d, _ := Distance(a, b)
	for what, pair := range map[string][2]mat.Symmetric{
		"congruence": {congruent(g, a), congruent(g, b)}, "inversion": {inv(a), inv(b)}, "exchange": {b, a},
	} {
		if e, err := Distance(pair[0], pair[1]); err != nil || math.Abs(e-d) > 1e-11*d {
			t.Errorf("seed %d: %s: distance %v, was %v (%v)", seed, what, e, d, err)
		}
	}
	m1, _ := Geodesic(a, b, 0.3)
	m2, _ := Geodesic(congruent(g, a), congruent(g, b), 0.3)
	if e := relative(m2, congruent(g, m1)); e > 1e-11 {
		t.Errorf("seed %d: the geodesic is not equivariant under congruence: %.2e", seed, e)
	}
	m3, _ := Geodesic(inv(a), inv(b), 0.3)
	if e := relative(m3, inv(m1)); e > 1e-11 {
		t.Errorf("seed %d: the geodesic is not equivariant under inversion: %.2e", seed, e)
	}
	for _, s := range []float64{0.1, 0.5, 0.9} {
		x, _ := Geodesic(a, b, s)
		if e, _ := Distance(a, x); math.Abs(e-s*d) > 1e-11*d {
			t.Errorf("seed %d: distance %v along the geodesic at %g, want %v", seed, e, s, s*d)
		}
	}
}

func TestLogInvertsExp(t *testing.T) {
	for _, kappa := range []int{1, 2} {
		rng := source(4)
		m := mustAffine(t, 17, AffineOptions{Kappa: kappa})
		p := mustFrame(t, randomSPD(rng, 17, 1e4))
		v, w := make([]float64, m.VectorLen()), make([]float64, m.VectorLen())
		m.RandomTangent(v, p, rng)
		for i := range v {
			v[i] *= 3
		}
		q := p.Clone()
		if err := errors.Join(m.Exp(q, p, v), m.Log(w, p, q)); err != nil {
			t.Fatal(err)
		}
		if e := relative(mat.NewVecDense(len(w), w), mat.NewVecDense(len(v), v)); e > 1e-10 {
			t.Errorf("kappa %d: Log does not invert Exp: %.2e", kappa, e)
		}
		d, err := m.Distance(p, q)
		if err != nil || math.Abs(d-3) > 1e-10 {
			t.Errorf("kappa %d: distance %v after a step of norm 3 (%v)", kappa, d, err)
		}
		if got, want := q.(*Frame).LogDet(), mat.LogDet; true {
			l, _ := want(q.(*Frame).Sym())
			if math.Abs(got-l) > 1e-9 {
				t.Errorf("kappa %d: LogDet %v, want %v", kappa, got, l)
			}
		}
	}
}

// TestContract runs every metric of the registry through the numeric checks.
func TestContract(t *testing.T) {
	for _, metric := range Metrics() {
		t.Run(metric.Name, func(t *testing.T) {
			rng := source(5)
			m, err := metric.New(6)
			if err != nil {
				t.Fatal(err)
			}
			p := m.RandomPoint(rng)
			v := make([]float64, m.VectorLen())
			m.(RandomTangenter).RandomTangent(v, p, rng)
			if n := m.Inner(p, v, v); math.Abs(n-1) > 1e-12 {
				t.Errorf("a random tangent vector has squared norm %v", n)
			}
			if r, err := CheckRetraction(m, p, 4, rng); err != nil || !r.OK {
				t.Errorf("%v %v", r, err)
			}
			if r, err := CheckTransport(m, p, rng); err != nil || !r.OK {
				t.Errorf("%v %v", r, err)
			}
			if _, err := metric.New(0); err == nil {
				t.Error("n = 0 was accepted")
			}
		})
	}
}

func TestRetractions(t *testing.T) {
	for r := range Retraction(len(retractions)) {
		t.Run(r.String(), func(t *testing.T) {
			rng := source(uint64(5 + r))
			m := mustAffine(t, 7, AffineOptions{Retraction: r})
			f, err := spectral.FromSym(randomSPD(rng, 7, 50))
			if err != nil {
				t.Fatal(err)
			}
			p := SpectralFrame(f)
			order := min(r.Order(), 8)
			rep, err := CheckRetraction(m, p, order, rng)
			if err != nil || !rep.OK || (!rep.Exact && math.Abs(rep.Slope-float64(order+1)) > 0.2) {
				t.Errorf("%v %v", rep, err)
			}
			if rep, err := CheckTransport(m, p, rng); err != nil || !rep.OK {
				t.Errorf("%v %v", rep, err)
			}
			// Long steps stay in the cone, and F, F^-1 and log det stay together.
			v := make([]float64, m.VectorLen())
			m.RandomTangent(v, p, rng)
			for i := range v {
				v[i] *= 20
			}
			q := p.Clone().(*Frame)
			if err := errors.Join(m.Retract(q, p, v), m.Check(q)); err != nil {
				t.Fatal(err)
			}
			var id mat.Dense
			id.Mul(q.F(), q.Inverse())
			for i := range 7 {
				id.Set(i, i, id.At(i, i)-1)
			}
			if d := mat.Norm(&id, 2); d > 1e-7 {
				t.Errorf("||F F^-1 - I|| = %.2e", d)
			}
			if l, s := mat.LogDet(q.Sym()); s < 0 || math.Abs(l-q.LogDet()) > 1e-6 {
				t.Errorf("LogDet %v, want %v", q.LogDet(), l)
			}
			if (r == SweepStep) != (q.Factor() != nil) {
				t.Errorf("Factor() = %v after %v", q.Factor(), r)
			}
			if n := allocs.PerRun(20, func() {
				if m.Retract(q, p, v) != nil {
					t.Fatal("failed")
				}
			}); n != 0 && r != GeodesicStep { // the eigendecomposition has its own workspace
				t.Errorf("%v allocations per step", n)
			}
		})
	}
}

// TestRationalInversion: the rational retraction commutes with inversion of S, as the geodesic does.
func TestRationalInversion(t *testing.T) {
	rng := source(8)
	m := mustAffine(t, 9, AffineOptions{})
	p := mustFrame(t, randomSPD(rng, 9, 100))
	v := make([]float64, m.VectorLen())
	m.RandomTangent(v, p, rng)
	for i := range v {
		v[i] *= 4
	}
	q := p.Clone().(*Frame)
	if err := m.Retract(q, p, v); err != nil {
		t.Fatal(err)
	}
	q.Invert()
	p.Invert()
	for i := range v {
		v[i] = -v[i]
	}
	r := p.Clone().(*Frame)
	if err := m.Retract(r, p, v); err != nil {
		t.Fatal(err)
	}
	if e := relative(r.Sym(), q.Sym()); e > 1e-12 {
		t.Errorf("inverting before and after the step differs by %.2e", e)
	}
}

// TestChecksFindMistakes: a wrong gradient, Hessian, retraction order or transport is reported as wrong.
func TestChecksFindMistakes(t *testing.T) {
	rng := source(9)
	m := mustAffine(t, 5, AffineOptions{Retraction: SecondOrderStep})
	p := mustFrame(t, randomSPD(rng, 5, 10))
	target := randomSPD(rng, 5, 10)
	cost := func(q Point) (float64, error) { // tr(X T)
		var c mat.Dense
		c.Mul(q.(*Frame).Sym(), target)
		return mat.Trace(&c), nil
	}
	grad := make([]float64, m.VectorLen())
	m.Gradient(grad, p, target)
	hess := func(dst, v []float64) error { // (eta M + M eta)/2 for M = F^T T F
		var a, b mat.Dense
		e, g := mat.NewDense(5, 5, v), mat.NewDense(5, 5, grad)
		a.Mul(e, g)
		b.Mul(g, e)
		for i := range 5 {
			for j := range 5 {
				dst[5*i+j] = (a.At(i, j) + b.At(i, j)) / 2
			}
		}
		return nil
	}
	right := func(r SlopeReport, err error, want bool) {
		t.Helper()
		if err != nil || r.OK != want {
			t.Errorf("got %v (%v), want OK = %v", r, err, want)
		}
		if !strings.Contains(r.String(), map[bool]string{true: "correct", false: "wrong"}[want]) {
			t.Errorf("report reads %q", r)
		}
	}
	r, err := CheckGradient(m, p, cost, grad, rng)
	right(r, err, true)
	r, err = CheckHessian(m, p, cost, grad, hess, rng)
	right(r, err, true)
	r, err = CheckHessian(m, p, cost, grad, func(dst, v []float64) error {
		copy(dst, v)
		return nil
	}, rng)
	right(r, err, false)
	r, err = CheckRetraction(m, p, 3, rng)
	right(r, err, false)
	grad[0] *= 1.01
	grad[1] += 0.1
	r, err = CheckGradient(m, p, cost, grad, rng)
	right(r, err, false)
	r, err = CheckTransport(stretching{m}, p, rng)
	right(r, err, false)
	if _, err := CheckGradient(m, p, func(Point) (float64, error) { return 0, errors.New("broken cost") }, grad, rng); err == nil {
		t.Error("the error of the cost was swallowed")
	}
}

// stretching is a manifold whose transport is not isometric.
type stretching struct{ *Affine }

func (s stretching) Transport(_, _ Point, v []float64) {
	for i := range v {
		v[i] *= 1.1
	}
}

func TestBadInput(t *testing.T) {
	nan := mat.NewSymDense(2, []float64{1, math.NaN(), math.NaN(), 1})
	indefinite := mat.NewSymDense(2, []float64{1, 2, 2, 1})
	id := mat.NewSymDense(2, []float64{1, 0, 0, 1})
	for _, c := range []struct {
		a    mat.Symmetric
		want string
	}{{nan, "NaN"}, {indefinite, "smallest eigenvalue -1 (largest 3)"}, {&mat.SymDense{}, "empty"}} {
		err := CheckSPD(c.a)
		var pe *PointError
		if !errors.As(err, &pe) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("CheckSPD: %v, want %q", err, c.want)
		}
		if _, err := Distance(id, c.a); err == nil {
			t.Errorf("Distance accepted a matrix that is %s", c.want)
		}
	}
	if _, err := Distance(id, mat.NewSymDense(3, nil)); err == nil || !strings.Contains(err.Error(), "2 and 3 rows") {
		t.Errorf("sizes: %v", err)
	}
	if _, err := Exp(id, nan); err == nil || !strings.Contains(err.Error(), "not finite") {
		t.Errorf("NaN velocity: %v", err)
	}
	long := mat.NewSymDense(2, []float64{1e4, 0, 0, 1})
	var se *StepError
	if _, err := Exp(id, long); !errors.As(err, &se) || !strings.Contains(err.Error(), "too long") {
		t.Errorf("long velocity: %v", err)
	}
	for _, o := range []AffineOptions{{Kappa: 3}, {Kappa: -1}, {Retraction: 9}, {MaxStep: -1}, {MaxStep: math.NaN()}} {
		if _, err := NewAffine(3, o); err == nil {
			t.Errorf("options %+v accepted", o)
		}
	}
}

func TestFrameOfInverse(t *testing.T) {
	rng := source(10)
	want := mustFrame(t, randomSPD(rng, 9, 1e4))
	got, err := FrameOfInverse(want.Inverse())
	if err != nil {
		t.Fatal(err)
	}
	if e := relative(got.Sym(), want.Sym()); e > 1e-11 || math.Abs(got.LogDet()-want.LogDet()) > 1e-10 {
		t.Errorf("off by %.1e, log det %v, want %v", e, got.LogDet(), want.LogDet())
	}
	for _, bad := range [][]float64{{1, 0, 1, 0}, {1, 0, math.NaN(), 1}, {-1, 0, 0, 1}} {
		if _, err := FrameOfInverse(mat.NewDense(2, 2, bad)); err == nil {
			t.Errorf("accepted %v", bad)
		}
	}
}

func TestCheckFindsBrokenPoints(t *testing.T) {
	m := mustAffine(t, 3, AffineOptions{})
	p := IdentityFrame(3, 2)
	p.f.Set(1, 1, 0)
	if err := m.Check(p); err == nil || !strings.Contains(err.Error(), "singular") {
		t.Errorf("singular frame: %v", err)
	}
	p.f.Set(1, 1, math.Inf(1))
	if err := m.Check(p); err == nil || !strings.Contains(err.Error(), "NaN or Inf") {
		t.Errorf("infinite frame: %v", err)
	}
	q := IdentityFrame(3, 2)
	q.inv.Set(0, 1, 1e-7)
	if err := m.Check(q); err != nil || math.Abs(q.inv.At(0, 1)) > 1e-13 {
		t.Errorf("drift of the inverse was not repaired: %v, %v", err, q.inv.At(0, 1))
	}
}

func TestMisusePanics(t *testing.T) {
	m := mustAffine(t, 3, AffineOptions{})
	p := IdentityFrame(3, 1)
	for what, f := range map[string]func(){
		"size of a point":  func() { m.Transport(p, p, nil); _ = m.Retract(IdentityFrame(2, 1), p, make([]float64, 9)) },
		"aliased step":     func() { _ = m.Retract(p, p, make([]float64, 9)) },
		"size of gradient": func() { m.Gradient(make([]float64, 9), p, mat.NewDense(2, 2, nil)) },
		"size of dst":      func() { p.ToSym(mat.NewSymDense(2, nil)) },
		"scale":            func() { IdentityFrame(3, -1) },
	} {
		func() {
			defer func() {
				if _, ok := recover().(Error); !ok {
					t.Errorf("%s: no panic with manifold.Error", what)
				}
			}()
			f()
		}()
	}
}

// TestChecksDoNotFitRounding: what is right passes whatever part of the errors is rounding, and where a unit tangent vector leads out of the cone.
func TestChecksDoNotFitRounding(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 42))
	for range 60 {
		for _, create := range []func() (Manifold, error){
			func() (Manifold, error) { return NewAffine(1+rng.IntN(3), AffineOptions{}) },
			func() (Manifold, error) { return NewKronecker([]int{2, 2}, AffineOptions{}) },
			func() (Manifold, error) { return NewPowerEuclidean(1, PowerOptions{Alpha: 1}) },
			func() (Manifold, error) { return NewPowerEuclidean(2, PowerOptions{Alpha: -1}) },
		} {
			m, err := create()
			if err != nil {
				t.Fatal(err)
			}
			p := m.RandomPoint(rng)
			if r, err := CheckRetraction(m, p, 1, rng); err != nil || !r.OK {
				t.Errorf("%T: %v %v", m, r, err)
			}
			if r, err := CheckTransport(m, p, rng); err != nil || !r.OK {
				t.Errorf("%T: %v %v", m, r, err)
			}
		}
		a, err := NewAffine(2, AffineOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, offset := range []float64{0, 1e5, 1e8} { // the cost tr S, of Riemannian gradient F'F, beside a constant
			p := a.RandomPoint(rng).(*Frame)
			var g mat.Dense
			g.Mul(p.F().T(), p.F())
			cost := func(q Point) (float64, error) { return offset + mat.Trace(q.(*Frame).Sym()), nil }
			if r, err := CheckGradient(a, p, cost, g.RawMatrix().Data, rng); err != nil || !r.OK {
				t.Errorf("offset %g: %v %v", offset, r, err)
			}
		}
	}
}

// nowhere is a manifold whose geodesics lead nowhere.
type nowhere struct {
	*Affine
	err error
}

func (n nowhere) Exp(Point, Point, []float64) error { return n.err }

// TestCheckTransportEnds: geodesics that fail however short they are end the check with their error.
func TestCheckTransportEnds(t *testing.T) {
	rng := rand.New(rand.NewPCG(43, 44))
	a, err := NewAffine(2, AffineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []error{errors.New("there is no geodesic"), &PointError{What: "not definite"}} {
		if _, err := CheckTransport(nowhere{a, want}, a.RandomPoint(rng), rng); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
}

// TestCheckFitsWhatIsAboveRounding: the last errors are the window where those before are rounding, whatever one of these is.
func TestCheckFitsWhatIsAboveRounding(t *testing.T) {
	for _, stray := range []float64{1, 100} {
		var r SlopeReport
		r.Expected = 2
		var rounding []float64
		for k := range ladderSteps {
			step := math.Pow(10, -8+8*float64(k)/(ladderSteps-1))
			r.Steps, rounding = append(r.Steps, step), append(rounding, 1e-12)
			r.Errors = append(r.Errors, max(2.5e-11*step*step, 1e-13))
		}
		r.Errors[20] *= stray
		if r.fit(rounding); !r.OK || r.Exact || math.Abs(r.Slope-2) > 1e-9 || r.Window[1] != 1 || r.Window[0] < 0.4 {
			t.Errorf("an error times %g: %v, window %v", stray, r, r.Window)
		}
	}
}
