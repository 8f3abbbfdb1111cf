package manifold

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"gonum.org/v1/gonum/mat"
)

// TestMetricsAgainstOracles runs every metric x operation on matrices against its oracle.
func TestMetricsAgainstOracles(t *testing.T) {
	for _, g := range Metrics() {
		for _, n := range []int{1, 2, 5, 8} {
			for _, kappa := range []float64{3, 100} {
				t.Run(fmt.Sprintf("%s/%d/%g", g.Name, n, kappa), func(t *testing.T) { againstOracle(t, g, n, kappa) })
			}
		}
	}
}

func againstOracle(t *testing.T, g Metric, n int, kappa float64) {
	o, ok := oracles[g.Name]
	if !ok {
		t.Fatal("the metric has no oracle: add one to oracles")
	}
	seed := uint64(n)*31 + uint64(kappa)
	rng := source(seed)
	a, b := randomSPD(rng, n, kappa), randomSPD(rng, n, kappa)
	x, y := randomSym(rng, n), randomSym(rng, n)
	x.ScaleSym(0.3/math.Sqrt(kappa)/mat.Norm(x, 2), x) // inside the domain of every exponential
	const tol = 2e-8                                   // of the differences in the oracles, at condition 100
	number := func(what string, got, want float64, err error) {
		t.Helper()
		if err != nil || !(math.Abs(got-want) <= tol*(1+math.Abs(want))) {
			t.Errorf("seed %d: %s is %.12g, want %.12g (%v)", seed, what, got, want, err)
		}
	}
	matrix := func(what string, got *mat.SymDense, want mat.Matrix, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("seed %d: %s: %v", seed, what, err)
		} else if e := relative(got, want); !(e <= tol) {
			t.Errorf("seed %d: %s is off by %.2e", seed, what, e)
		}
	}
	inner, err := g.Inner(a, x, y)
	number("Inner", inner, o.inner(a, x, y), err)
	d, err := g.Distance(a, b)
	number("Distance", d, o.distance(a, b), err)
	l, err := g.Log(a, b)
	matrix("Log", l, o.log(a, b), err)
	e, err := g.Exp(a, x)
	matrix("Exp", e, o.exp(a, x), err)
	p, err := g.Transport(a, b, x)
	matrix("Transport", p, o.transport(a, b, x), err)
	for _, s := range []float64{0, 0.25, 0.5, 1, 1.05} {
		c, err := g.Geodesic(a, b, s)
		var outside *PointError
		if s > 1 && errors.As(err, &outside) && CheckSPD(o.geodesic(a, b, s)) != nil { // the cone has ended
			continue
		}
		matrix(fmt.Sprintf("Geodesic(%g)", s), c, o.geodesic(a, b, s), err)
	}
	identities(t, g, a, b, x, y)
}

// identities checks what must hold to rounding, whatever the metric.
func identities(t *testing.T, g Metric, a, b, x, y *mat.SymDense) {
	const tol = 1e-10
	l, err := g.Log(a, b)
	if err != nil {
		t.Fatal(err)
	}
	back, err1 := g.Exp(a, l)
	d, err2 := g.Distance(a, b)
	r, err3 := g.Distance(b, a)
	norm, err4 := g.Inner(a, l, l)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	if e := relative(back, b); e > tol {
		t.Errorf("Exp does not invert Log: %.2e", e)
	}
	if math.Abs(d-r) > tol*(1+d) || math.Abs(d-math.Sqrt(norm)) > tol*(1+d) {
		t.Errorf("distance %v, backwards %v, norm of the logarithm %v", d, r, math.Sqrt(norm))
	}
	if zero, err := g.Distance(a, a); err != nil || zero > tol {
		t.Errorf("distance of a point to itself is %v (%v)", zero, err)
	}
	before, _ := g.Inner(a, x, y)
	tx, err1 := g.Transport(a, b, x)
	ty, err2 := g.Transport(a, b, y)
	if errors.Join(err1, err2) != nil {
		t.Fatal(errors.Join(err1, err2))
	}
	if after, err := g.Inner(b, tx, ty); err != nil || math.Abs(after-before) > tol*(1+math.Abs(before)) {
		t.Errorf("transport is not isometric: %v before, %v after (%v)", before, after, err)
	}
	for _, s := range []float64{0.2, 0.7} {
		c, err := g.Geodesic(a, b, s)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := g.Distance(a, c); err != nil || math.Abs(e-s*d) > tol*(1+d) {
			t.Errorf("the geodesic runs at the wrong speed: distance %v at %v of %v (%v)", e, s, d, err)
		}
	}
}

// TestMetricMeans checks means and medians by the optimality condition, with logarithms and inner products of the oracles.
func TestMetricMeans(t *testing.T) {
	for _, g := range Metrics() {
		t.Run(g.Name, func(t *testing.T) {
			const n, seed = 4, 17
			rng := source(seed)
			var ms []mat.Symmetric
			w := []float64{1, 2, 0.5, 3, 1}
			for range w {
				ms = append(ms, randomSPD(rng, n, 20))
			}
			mean, err1 := g.Mean(ms, w)
			median, err2 := g.Median(ms, w)
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
			o := oracles[g.Name]
			r1, r2 := mat.NewSymDense(n, nil), mat.NewSymDense(n, nil)
			for k, a := range ms {
				l := o.log(mean, a)
				l.ScaleSym(w[k], l)
				r1.AddSym(r1, l)
				l = o.log(median, a)
				l.ScaleSym(w[k]/o.distance(median, a), l)
				r2.AddSym(r2, l)
			}
			if e := math.Sqrt(o.inner(mean, r1, r1)); e > 1e-7 {
				t.Errorf("seed %d: the weighted logarithms at the mean sum to %.2e", seed, e)
			}
			if e := math.Sqrt(o.inner(median, r2, r2)); e > 1e-7 {
				t.Errorf("seed %d: the weighted unit vectors at the median sum to %.2e", seed, e)
			}
			same, err := g.Mean([]mat.Symmetric{ms[0], ms[0]}, nil)
			if err != nil || relative(same, ms[0]) > 1e-12 {
				t.Errorf("the mean of equal matrices is another one (%v)", err)
			}
			heavy, err := g.Median(ms, []float64{0.1, 0.1, 9, 0.1, 0.1})
			if err != nil || relative(heavy, ms[2]) > 1e-8 {
				t.Errorf("a data point with most of the weight is not the median (%v)", err)
			}
		})
	}
}

// TestMetricGradients: the gradient of a cost in every metric has slope 2, through Matrices alone.
func TestMetricGradients(t *testing.T) {
	for _, g := range Metrics() {
		t.Run(g.Name, func(t *testing.T) {
			rng := source(23)
			m, err := g.New(6)
			if err != nil {
				t.Fatal(err)
			}
			checkMatrixGradient(t, m.(Matrices), rng)
			checkMatrixGradient(t, m.(Matrices), rng)
		})
	}
}

// checkMatrixGradient tests Gradient, Whiten and Embed at a random point with the cost tr(T S) - log det S.
func checkMatrixGradient(t *testing.T, m Matrices, rng *rand.Rand) {
	t.Helper()
	p := m.RandomPoint(rng)
	n := matrixOf(m, p).SymmetricDim()
	target := randomSPD(rng, n, 10)
	cost := func(q Point) (float64, error) {
		s := matrixOf(m, q)
		var c mat.Dense
		c.Mul(s, target)
		l, _ := mat.LogDet(s)
		return mat.Trace(&c) - l, nil
	}
	euclidean := combine(1, target, -1, function(matrixOf(m, p), func(x float64) float64 { return 1 / x }))
	v := make([]float64, m.VectorLen())
	m.Gradient(v, p, euclidean)
	if r, err := CheckGradient(m, p, cost, v, rng); err != nil || !r.OK {
		t.Errorf("%v %v", r, err)
	}
	u, back := make([]float64, len(v)), make([]float64, len(v))
	var whole mat.SymDense
	m.Embed(&whole, p, v)
	m.Whiten(back, p, &whole)
	if e := relative(mat.NewVecDense(len(v), back), mat.NewVecDense(len(v), v)); e > 1e-10 {
		t.Errorf("the gradient is not tangent: %.2e", e)
	}
	m.(RandomTangenter).RandomTangent(u, p, rng)
	var xi mat.SymDense
	m.Embed(&xi, p, u)
	m.Whiten(back, p, &xi)
	if e := relative(mat.NewVecDense(len(u), back), mat.NewVecDense(len(u), u)); e > 1e-11 {
		t.Errorf("Whiten does not invert Embed: %.2e", e)
	}
	var product mat.Dense
	product.Mul(euclidean, &xi)
	if got, want := m.Inner(p, v, u), mat.Trace(&product); math.Abs(got-want) > 1e-10*(1+math.Abs(want)) {
		t.Errorf("the gradient has inner product %v with a vector, want the derivative %v", got, want)
	}
}

// TestEigenMetricsAtTies: repeated eigenvalues are no special case.
func TestEigenMetricsAtTies(t *testing.T) {
	for _, g := range Metrics() {
		rng := source(29)
		x, y := randomSym(rng, 4), randomSym(rng, 4)
		s := mat.NewSymDense(4, nil)
		for i, d := range []float64{2, 2, 2 * (1 + 1e-15), 7} {
			s.SetSym(i, i, d)
		}
		got, err := g.Inner(s, x, y)
		if want := oracles[g.Name].inner(s, x, y); err != nil || math.Abs(got-want) > 1e-8*(1+math.Abs(want)) {
			t.Errorf("%s: inner product at ties is %v, want %v (%v)", g.Name, got, want, err)
		}
	}
}

// TestMetricInvariances: what each metric promises to leave unchanged, and that log-cholesky depends on the order of the variables.
func TestMetricInvariances(t *testing.T) {
	const seed, n = 61, 7
	rng := source(seed)
	a, b := randomSPD(rng, n, 50), randomSPD(rng, n, 50)
	turn, err := NewOrthogonal(n)
	if err != nil {
		t.Fatal(err)
	}
	q := turn.RandomPoint(rng).(*OrthogonalPoint).Q()
	g := randomSPD(rng, n, 20)
	inverse := func(s *mat.SymDense) *mat.SymDense { return function(s, func(x float64) float64 { return 1 / x }) }
	maps := map[string]func(*mat.SymDense) *mat.SymDense{
		"rotation":   func(s *mat.SymDense) *mat.SymDense { return congruent(q, s) },
		"scaling":    func(s *mat.SymDense) *mat.SymDense { return sym(combine(3, s, 0, s)) },
		"inversion":  inverse,
		"congruence": func(s *mat.SymDense) *mat.SymDense { return congruent(g, s) },
	}
	keeps := map[string]string{
		"affine-invariant": "rotation scaling inversion congruence", "fisher-rao": "rotation scaling inversion congruence",
		"log-euclidean": "rotation scaling inversion", "bures-wasserstein": "rotation", "power-euclidean": "rotation", "log-cholesky": "",
		"euclidean": "rotation", "inverse-euclidean": "rotation", "cholesky": "",
	}
	for _, metric := range Metrics() {
		d, err := metric.Distance(a, b)
		if err != nil {
			t.Fatal(err)
		}
		for what, f := range maps {
			e, err := metric.Distance(f(a), f(b))
			if err != nil {
				t.Fatal(err)
			}
			if same := math.Abs(e-d) < 1e-10*d; same != strings.Contains(keeps[metric.Name], what) {
				t.Errorf("seed %d: %s: %s takes the distance from %v to %v", seed, metric.Name, what, d, e)
			}
		}
	}
}

// illConditioned is how well Exp inverts Log on matrices of condition 1e6, in the median over draws: a tangent matrix of the metric of inverses at A is A Y A, in which the part of
// Y that A makes smallest keeps few digits, 0.02 in the median and five times as much in one draw out of ten.
var illConditioned = map[string]float64{"affine-invariant": 2e-9, "fisher-rao": 2e-9, "log-euclidean": 2e-9, "bures-wasserstein": 2e-9, "log-cholesky": 2e-9,
	"power-euclidean": 2e-9, "euclidean": 2e-9, "inverse-euclidean": 3e-2, "cholesky": 2e-9}

// TestMetricsIllConditioned: at condition 1e6 Exp still inverts Log, and means and medians converge.
func TestMetricsIllConditioned(t *testing.T) {
	const n, kappa, draws = 20, 1e6, 49
	for _, g := range Metrics() {
		var off [draws]float64
		for seed := range off {
			rng := source(uint64(seed))
			a, b := randomSPD(rng, n, kappa), randomSPD(rng, n, kappa)
			l, err1 := g.Log(a, b)
			if err1 != nil {
				t.Fatal(err1)
			}
			e, err2 := g.Exp(a, l)
			if err2 != nil {
				t.Fatalf("%s: seed %d: %v", g.Name, seed, err2)
			}
			off[seed] = relative(e, b)
		}
		slices.Sort(off[:])
		if d := off[draws/2]; d > illConditioned[g.Name] {
			t.Errorf("%s: Exp does not invert Log: %.2e", g.Name, d)
		}
		rng := source(59)
		ms := []mat.Symmetric{randomSPD(rng, n, kappa), randomSPD(rng, n, kappa), randomSPD(rng, n, kappa)}
		_, err3 := g.Mean(ms, nil)
		_, err4 := g.Median(ms, nil)
		if err := errors.Join(err3, err4); err != nil {
			t.Errorf("%s: %v", g.Name, err)
		}
	}
}

func TestMetricBadInput(t *testing.T) {
	id := mat.NewSymDense(2, []float64{1, 0, 0, 1})
	nan := mat.NewSymDense(2, []float64{1, math.NaN(), math.NaN(), 1})
	indefinite := mat.NewSymDense(2, []float64{1, 2, 2, 1})
	three := mat.NewSymDense(3, []float64{1, 0, 0, 0, 1, 0, 0, 0, 1})
	for _, g := range Metrics() {
		var pe *PointError
		if _, err := g.Distance(id, nan); !errors.As(err, &pe) || !strings.Contains(err.Error(), "matrix 1") {
			t.Errorf("%s: NaN in a matrix: %v", g.Name, err)
		}
		if _, err := g.Mean([]mat.Symmetric{id, indefinite}, nil); !errors.As(err, &pe) || !strings.Contains(err.Error(), "matrix 1: not positive definite") {
			t.Errorf("%s: mean of an indefinite matrix: %v", g.Name, err)
		}
		if _, err := g.Log(id, three); err == nil || !strings.Contains(err.Error(), "3 rows, want 2") {
			t.Errorf("%s: sizes: %v", g.Name, err)
		}
		var se *StepError
		if _, err := g.Exp(id, nan); !errors.As(err, &se) {
			t.Errorf("%s: NaN in a velocity: %v", g.Name, err)
		}
		if _, err := g.Inner(id, nan, id); err == nil {
			t.Errorf("%s: NaN in an inner product was accepted", g.Name)
		}
		if _, err := g.Mean(nil, nil); err == nil {
			t.Errorf("%s: mean of nothing", g.Name)
		}
		for _, w := range [][]float64{{1}, {1, -1}, {0, 0}, {1, math.NaN()}} {
			if _, err := g.Mean([]mat.Symmetric{id, id}, w); err == nil || !strings.Contains(err.Error(), "weight") {
				t.Errorf("%s: weights %v: %v", g.Name, w, err)
			}
		}
	}
	if _, err := MetricByName("euclid"); err == nil || !strings.Contains(err.Error(), "log-cholesky") {
		t.Errorf("unknown name: %v", err)
	}
	if g, err := MetricByName("log-cholesky"); err != nil || g.Name != "log-cholesky" {
		t.Errorf("known name: %v, %v", g, err)
	}
}

// TestDomainGuards: a step out of the cone is an error that names the domain, never a matrix that is not SPD.
func TestDomainGuards(t *testing.T) {
	id := mat.NewSymDense(2, []float64{1, 0, 0, 1})
	out := mat.NewSymDense(2, []float64{-4, 0, 0, 1})
	for name, want := range map[string]string{
		"bures-wasserstein": "I + L_S(U) is not positive definite; shorten it: smallest eigenvalue -1 (largest 1.5)",
		"power-euclidean":   "leaves the cone",
		"euclidean":         "leaves the cone",
		"cholesky":          "takes diagonal element 0 of the Cholesky factor to -1",
	} {
		g, err := MetricByName(name)
		if err != nil {
			t.Fatal(err)
		}
		var pe *PointError
		if _, err := g.Exp(id, out); !errors.As(err, &pe) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	out.SetSym(0, 0, 1e5)
	for _, name := range []string{"log-euclidean", "log-cholesky"} {
		g, err := MetricByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Exp(id, out); err == nil || !strings.Contains(err.Error(), "shorten it") {
			t.Errorf("%s: a step of 1e5: %v", name, err)
		}
	}
}

// TestFlatMeans: the mean on a flat metric is exact after one step.
func TestFlatMeans(t *testing.T) {
	for _, name := range []string{"log-euclidean", "log-cholesky", "power-euclidean", "euclidean", "inverse-euclidean", "cholesky"} {
		g, err := MetricByName(name)
		if err != nil {
			t.Fatal(err)
		}
		mf, err := g.New(5)
		if err != nil {
			t.Fatal(err)
		}
		rng := source(31)
		points := []Point{mf.RandomPoint(rng), mf.RandomPoint(rng), mf.RandomPoint(rng)}
		if _, r, err := Mean(mf, points, nil, MeanOptions{}); err != nil || r.Iterations > 1 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestMeanReportsNoConvergence(t *testing.T) {
	m := mustAffine(t, 5, AffineOptions{})
	rng := source(37)
	points := []Point{m.RandomPoint(rng), m.RandomPoint(rng), m.RandomPoint(rng)}
	x, r, err := Mean(m, points, nil, MeanOptions{MaxIterations: 1})
	var ce *ConvergenceError
	if !errors.As(err, &ce) || x == nil || r.Iterations != 1 || !strings.Contains(err.Error(), "after 1 iterations") {
		t.Errorf("%v after %+v", err, r)
	}
	_, _, err = Mean(stuck{m}, points, nil, MeanOptions{})
	var pe *PointError
	if !errors.As(err, &ce) || !errors.As(err, &pe) || !strings.Contains(err.Error(), "no step can be taken: stuck") {
		t.Errorf("a manifold that cannot move: %v", err)
	}
	if _, _, err := Mean(struct{ Manifold }{m}, points, nil, MeanOptions{}); err == nil || !strings.Contains(err.Error(), "Exp and Log") {
		t.Errorf("a manifold without Exp and Log: %v", err)
	}
	for _, o := range []MeanOptions{{Tolerance: -1}, {Tolerance: math.NaN()}, {MaxIterations: -1}} {
		if _, _, err := Mean(m, points, nil, o); err == nil {
			t.Errorf("options %+v accepted", o)
		}
	}
}

// stuck is a manifold whose exponential always fails.
type stuck struct{ *Affine }

func (stuck) Exp(_, _ Point, _ []float64) error { return &PointError{What: "stuck"} }

func TestPowerOptions(t *testing.T) {
	for _, alpha := range []float64{3, -3, 1e-4, math.NaN()} {
		if _, err := NewPowerEuclidean(3, PowerOptions{Alpha: alpha}); err == nil {
			t.Errorf("alpha %v accepted", alpha)
		}
	}
	rng := source(41)
	a, b := randomSPD(rng, 4, 10), randomSPD(rng, 4, 10)
	for _, alpha := range []float64{-1, -0.3, 0.25, 1, 2} { // the mean is a power mean; -1 the harmonic, 1 the arithmetic one
		m, err := NewPowerEuclidean(4, PowerOptions{Alpha: alpha})
		if err != nil || m.Alpha() != alpha {
			t.Fatal(err)
		}
		p, err1 := m.PointOf(a)
		q, err2 := m.PointOf(b)
		x, _, err3 := Mean(m, []Point{p, q}, nil, MeanOptions{})
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		power := func(e float64) func(float64) float64 { return func(x float64) float64 { return math.Pow(x, e) } }
		want := function(sym(combine(0.5, function(a, power(alpha)), 0.5, function(b, power(alpha)))), power(1/alpha))
		if e := relative(matrixOf(m, x), want); e > 1e-12 {
			t.Errorf("alpha %v: the mean is off by %.2e", alpha, e)
		}
		checkMatrixGradient(t, m, rng)
	}
}

// TestBuresSquare: the retraction that cannot leave the cone is of first order, and long steps stay inside.
func TestBuresSquare(t *testing.T) {
	rng := source(43)
	m, err := NewBures(5, BuresOptions{Retraction: BuresSquare})
	if err != nil {
		t.Fatal(err)
	}
	p := m.RandomPoint(rng)
	if r, err := CheckRetraction(m, p, 1, rng); err != nil || !r.OK || r.Slope > 2.2 {
		t.Errorf("%v %v", r, err)
	}
	v := make([]float64, m.VectorLen())
	for i := range m.n {
		v[i*m.n+i] = -100
	}
	q := p.Clone()
	if err := errors.Join(m.Retract(q, p, v), m.Check(q)); err != nil {
		t.Error(err)
	}
	if _, err := NewBures(5, BuresOptions{Retraction: 2}); err == nil {
		t.Error("an unknown retraction was accepted")
	}
}

// TestMetricSteps: a step allocates nothing; misuse panics with Error; a broken point is found.
func TestMetricSteps(t *testing.T) {
	for _, g := range Metrics()[2:] {
		m, err := g.New(9)
		if err != nil {
			t.Fatal(err)
		}
		rng := source(47)
		p, v := m.RandomPoint(rng), make([]float64, m.VectorLen())
		m.(RandomTangenter).RandomTangent(v, p, rng)
		q := p.Clone()
		if n := allocs.PerRun(10, func() {
			if m.Retract(q, p, v) != nil {
				t.Fatal("failed")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations per step", g.Name, n)
		}
		for what, f := range map[string]func(){
			"aliased step": func() { _ = m.Retract(p, p, v) },
			"wrong point":  func() { _ = m.Retract(IdentityFrame(2, 1), p, v) },
			"wrong copy":   func() { p.CopyFrom(IdentityFrame(2, 1)) },
		} {
			func() {
				defer func() {
					if _, ok := recover().(Error); !ok {
						t.Errorf("%s: %s: no panic with manifold.Error", g.Name, what)
					}
				}()
				f()
			}()
		}
		breakPoint(q)
		if err := m.(Checker).Check(q); err == nil {
			t.Errorf("%s: a broken point passed the check", g.Name)
		}
	}
}

func breakPoint(p Point) {
	switch p := p.(type) {
	case *EigenPoint:
		p.d[0] = -1
	case *CholeskyPoint:
		p.l.Set(0, 0, 0)
	}
}

// TestRandomPointsOfManyRows: the matrix of a random point is positive definite to rounding.
func TestRandomPointsOfManyRows(t *testing.T) {
	const n = 300
	for _, g := range Metrics() {
		m, err := g.New(n)
		if err != nil {
			t.Fatal(err)
		}
		var s mat.SymDense
		space := m.(Matrices)
		space.MatrixOf(&s, m.RandomPoint(rand.New(rand.NewPCG(3, 5))))
		if _, err := space.PointOf(&s); err != nil {
			t.Errorf("%s: %v", g.Name, err)
		}
	}
}
