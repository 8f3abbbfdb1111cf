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

// order is the order to which the default retraction of a space agrees with its geodesics, where it is not 4.
var order = map[string]int{"orthogonal": 2}

// TestSpaces runs every space through the numeric checks and the identities.
func TestSpaces(t *testing.T) {
	for _, s := range Spaces() {
		t.Run(s.Name, func(t *testing.T) {
			rng := source(61)
			m, err := s.New(4)
			if err != nil {
				t.Fatal(err)
			}
			k := order[s.Name]
			if k == 0 {
				k = 4
			}
			p := m.RandomPoint(rng)
			if r, err := CheckRetraction(m, p, k, rng); err != nil || !r.OK {
				t.Errorf("%v %v", r, err)
			}
			if r, err := CheckTransport(m, p, rng); err != nil || !r.OK {
				t.Errorf("%v %v", r, err)
			}
			spaceIdentities(t, m, p, rng)
			spaceMean(t, m, rng)
			spaceMisuse(t, m, p)
			if _, err := s.New(0); err == nil {
				t.Error("n = 0 was accepted")
			}
			if e, ok := m.(Matrices); ok {
				checkMatrixGradient(t, e, rng)
			}
		})
	}
}

func spaceIdentities(t *testing.T, m Manifold, p Point, rng *rand.Rand) {
	v, w := make([]float64, m.VectorLen()), make([]float64, m.VectorLen())
	m.(RandomTangenter).RandomTangent(v, p, rng)
	if e := m.Inner(p, v, v); math.Abs(e-1) > 1e-12 {
		t.Errorf("a random tangent vector has squared norm %v", e)
	}
	for i := range v {
		v[i] *= 1.5
	}
	q, r := p.Clone(), p.Clone()
	d := m.(Distancer)
	if err := errors.Join(m.(Exponential).Exp(q, p, v), m.(Logarithm).Log(w, p, q), m.(Checker).Check(q)); err != nil {
		t.Fatal(err)
	}
	if e := relative(mat.NewVecDense(len(w), w), mat.NewVecDense(len(v), v)); e > 1e-11 {
		t.Errorf("Log does not invert Exp: %.2e", e)
	}
	d1, err1 := d.Distance(p, q)
	d2, err2 := d.Distance(q, p)
	if err := errors.Join(err1, err2); err != nil || math.Abs(d1-1.5) > 1e-11 || math.Abs(d2-1.5) > 1e-11 {
		t.Errorf("distances %v and %v after a step of 1.5 (%v)", d1, d2, err)
	}
	for i := range w {
		w[i] = 0.3 * v[i]
	}
	if err := m.(Exponential).Exp(r, p, w); err != nil {
		t.Fatal(err)
	}
	if e, err := d.Distance(p, r); err != nil || math.Abs(e-0.45) > 1e-11 {
		t.Errorf("the geodesic runs at the wrong speed: %v (%v)", e, err)
	}
	r.CopyFrom(q)
	if e, err := d.Distance(r, q); err != nil || e > 1e-11 {
		t.Errorf("a copy has distance %v (%v)", e, err)
	}
	clear(w)
	if n := allocs.PerRun(10, func() {
		if err := m.Retract(r, p, w); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per step", n)
	}
	if e, err := d.Distance(p, r); err != nil || e > 1e-11 {
		t.Errorf("a zero step moves by %v (%v)", e, err)
	}
}

// spaceMean: the logarithms at the mean of a few close points sum to zero.
func spaceMean(t *testing.T, m Manifold, rng *rand.Rand) {
	center := m.RandomPoint(rng)
	v, sum := make([]float64, m.VectorLen()), make([]float64, m.VectorLen())
	var points []Point
	for range 4 {
		m.(RandomTangenter).RandomTangent(v, center, rng)
		p := center.Clone()
		if err := errors.Join(m.Retract(p, center, v), complete(m, p)); err != nil {
			t.Fatal(err)
		}
		points = append(points, p)
	}
	x, _, err := Mean(m, points, nil, MeanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range points {
		if err := m.(Logarithm).Log(v, x, p); err != nil {
			t.Fatal(err)
		}
		for i := range v {
			sum[i] += v[i]
		}
	}
	if e := math.Sqrt(m.Inner(x, sum, sum)); e > 1e-9 {
		t.Errorf("the logarithms at the mean sum to %.2e", e)
	}
	if _, _, err := Median(m, points, nil, MeanOptions{}); err != nil {
		t.Errorf("median: %v", err)
	}
}

func spaceMisuse(t *testing.T, m Manifold, p Point) {
	v, q := make([]float64, m.VectorLen()), p.Clone()
	v[0] = math.NaN()
	var se *StepError
	if err := m.Retract(q, p, v); !errors.As(err, &se) {
		t.Errorf("NaN in a step: %v", err)
	}
	v[0] = math.Inf(1)
	if err := m.(Exponential).Exp(q, p, v); !errors.As(err, &se) {
		t.Errorf("Inf in a step: %v", err)
	}
	v[0] = -1e9
	var pe *PointError
	if err := m.Retract(q, p, v); !errors.As(err, &se) && !errors.As(err, &pe) {
		t.Errorf("a step of -1e9: %v", err)
	}
	v[0] = 0
	for what, f := range map[string]func(){
		"aliased step": func() { _ = m.Retract(p, p, v) },
		"wrong point":  func() { _ = m.Retract(&EigenPoint{}, p, v) },
		"wrong copy":   func() { p.CopyFrom(&EigenPoint{}) },
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

// TestSubspaces: distances and geodesics of the spaces that claim to be totally geodesic are those of the whole matrices.
func TestSubspaces(t *testing.T) {
	fixed, err1 := NewFixedDet(5, FixedDetOptions{LogDet: 2})
	blocks, err2 := NewBlockDiagonal([]int{2, 1, 3}, AffineOptions{})
	three, err3 := NewKronecker([]int{2, 3, 2}, AffineOptions{})
	band, err4 := NewBanded(6, 2)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		m      Matrices
		metric Metric
	}{{fixed, affineInvariant}, {blocks, affineInvariant}, {three, affineInvariant}, {band, logCholesky}} {
		t.Run(fmt.Sprintf("%T", c.m), func(t *testing.T) {
			rng := source(67)
			p := c.m.RandomPoint(rng)
			v, w := make([]float64, c.m.VectorLen()), make([]float64, c.m.VectorLen())
			c.m.(RandomTangenter).RandomTangent(v, p, rng)
			c.m.(RandomTangenter).RandomTangent(w, p, rng)
			q := p.Clone()
			if err := c.m.(Exponential).Exp(q, p, v); err != nil {
				t.Fatal(err)
			}
			a, b := matrixOf(c.m, p), matrixOf(c.m, q)
			o := oracles[c.metric.Name]
			var x, y mat.SymDense
			c.m.Embed(&x, p, v)
			c.m.Embed(&y, p, w)
			if e := relative(b, o.exp(a, &x)); e > 1e-7 {
				t.Errorf("the geodesic leaves that of the whole matrices: %.2e", e)
			}
			if got, want := c.m.Inner(p, v, w), o.inner(a, &x, &y); math.Abs(got-want) > 1e-8 {
				t.Errorf("inner product %v, of the whole matrices %v", got, want)
			}
			if got, err := c.m.(Distancer).Distance(p, q); err != nil || math.Abs(got-o.distance(a, b)) > 1e-10 {
				t.Errorf("distance %v, of the whole matrices %v (%v)", got, o.distance(a, b), err)
			}
			back, err := c.m.PointOf(a)
			if err != nil || relative(matrixOf(c.m, back), a) > 1e-12 {
				t.Errorf("PointOf does not invert MatrixOf: %v", err)
			}
			if _, err := c.m.PointOf(randomSPD(rng, a.SymmetricDim(), 9)); err == nil {
				t.Error("a matrix without the structure was accepted")
			}
			if _, err := c.m.PointOf(mat.NewSymDense(1, []float64{1})); err == nil {
				t.Error("a matrix of the wrong size was accepted")
			}
			broken := mat.NewSymDense(a.SymmetricDim(), nil)
			if _, err := c.m.PointOf(broken); err == nil {
				t.Error("the zero matrix was accepted")
			}
		})
	}
}

func TestFixedDetKeepsDeterminant(t *testing.T) {
	for _, r := range []Retraction{RationalStep, SecondOrderStep, GeodesicStep, TriangularStep} {
		m, err := NewFixedDet(6, FixedDetOptions{LogDet: -3, Affine: AffineOptions{Retraction: r}})
		if err != nil {
			t.Fatal(err)
		}
		rng := source(71)
		p := m.RandomPoint(rng)
		v, q := make([]float64, m.VectorLen()), p.Clone()
		m.RandomTangent(v, p, rng)
		for range 10 {
			if err := m.Retract(q, p, v); err != nil {
				t.Fatal(err)
			}
			p, q = q, p
		}
		if l, _ := mat.LogDet(matrixOf(m, p)); math.Abs(l+3) > 1e-10 {
			t.Errorf("%v: log det %v after ten steps", r, l)
		}
	}
	for _, o := range []FixedDetOptions{{LogDet: math.NaN()}, {Affine: AffineOptions{Retraction: SweepStep}}, {Affine: AffineOptions{Kappa: 9}}} {
		if _, err := NewFixedDet(3, o); err == nil {
			t.Errorf("options %+v accepted", o)
		}
	}
	half, err := NewFixedDet(3, FixedDetOptions{Affine: AffineOptions{Kappa: 2}})
	if err != nil || half.LogDet() != 0 {
		t.Fatal(err)
	}
	w := []float64{5, 1, 0, 1, 2, 0, 0, 0, -1}
	half.FromWhitened(IdentityFrame(3, 1), w)
	for i, want := range []float64{6, 2, 0, 2, 0, 0, 0, 0, -6} { // twice the part of trace zero
		if w[i] != want {
			t.Errorf("FromWhitened: element %d is %v, want %v", i, w[i], want)
		}
	}
	id := mat.NewSymDense(2, []float64{1, 0, 0, 1})
	m, _ := NewFixedDet(2, FixedDetOptions{LogDet: 2})
	if _, err := m.PointOf(id); err == nil || !strings.Contains(err.Error(), "multiply the matrix by 2.718281828") {
		t.Errorf("wrong determinant: %v", err)
	}
}

func TestKroneckerConversions(t *testing.T) {
	rng := source(73)
	m, err := NewKronecker([]int{3, 2}, AffineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f1, err1 := spectral.FromSym(randomSPD(rng, 3, 9))
	f2, err2 := spectral.FromSym(randomSPD(rng, 2, 4))
	k, err3 := spectral.KronOf(1.7, f1, f2)
	p, err4 := m.PointOfKron(k)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	back, err := m.KronOf(p)
	if err != nil {
		t.Fatal(err)
	}
	var want, s1, s2 mat.SymDense
	k.ToSym(&want)
	back.ToSym(&s1)
	m.MatrixOf(&s2, p)
	if e := max(relative(&s1, &want), relative(&s2, &want)); e > 1e-13 {
		t.Errorf("conversion is off by %.2e", e)
	}
	if _, err := m.PointOfKron(spectral.NewKron(1, 2, 3)); err == nil {
		t.Error("factors of other sizes were accepted")
	}
	if _, err := m.PointOfKron(spectral.NewKron(1, 3)); err == nil {
		t.Error("another number of factors was accepted")
	}
	for _, sizes := range [][]int{nil, {3, 1}, {0}} {
		if _, err := NewKronecker(sizes, AffineOptions{}); err == nil {
			t.Errorf("sizes %v were accepted", sizes)
		}
	}
}

// TestBandedPattern: points and steps keep the band exactly, and the vectors have the length that is documented.
func TestBandedPattern(t *testing.T) {
	m, err := NewBanded(7, 2)
	if err != nil {
		t.Fatal(err)
	}
	if m.VectorLen() != 7*3-3 {
		t.Errorf("VectorLen is %d", m.VectorLen())
	}
	rng := source(79)
	p := m.RandomPoint(rng)
	v, q := make([]float64, m.VectorLen()), p.Clone()
	m.RandomTangent(v, p, rng)
	if err := m.Retract(q, p, v); err != nil {
		t.Fatal(err)
	}
	s := matrixOf(m, q)
	for i := range 7 {
		for j := i; j < 7; j++ {
			if (s.At(i, j) == 0) != (j-i > 2) {
				t.Errorf("element (%d,%d) is %v", i, j, s.At(i, j))
			}
		}
	}
	for _, width := range []int{-1, 7} {
		if _, err := NewBanded(7, width); err == nil {
			t.Errorf("width %d was accepted", width)
		}
	}
}

func TestProduct(t *testing.T) {
	a := mustAffine(t, 3, AffineOptions{})
	power, err := NewPower(a, 3)
	if err != nil || power.Parts() != 3 || power.VectorLen() != 27 || !power.FreeTransport() {
		t.Fatalf("power: %v", err)
	}
	if _, err := NewPower(a, 0); err == nil {
		t.Error("a power of 0 was accepted")
	}
	plain := struct{ Manifold }{a}
	m, err := NewProduct([]Manifold{a, plain}, ProductOptions{Weights: []float64{2, 3}})
	if err != nil || m.FreeTransport() {
		t.Fatalf("product with a plain part: %v", err)
	}
	if part, w := m.Part(1); part != plain || w != 3 {
		t.Errorf("part 1 has weight %v", w)
	}
	p := m.RandomPoint(source(83))
	v := make([]float64, m.VectorLen())
	v[0], v[9] = 1, 1
	if got := m.Inner(p, v, v); got != 5 {
		t.Errorf("weighted inner product %v, want 5", got)
	}
	if err := m.Exp(p.Clone(), p, v); err == nil || !strings.Contains(err.Error(), "part 1: the manifold has no exponential") {
		t.Errorf("Exp: %v", err)
	}
	if err := m.Log(v, p, p.Clone()); err == nil || !strings.Contains(err.Error(), "no logarithm") {
		t.Errorf("Log: %v", err)
	}
	if _, err := m.Distance(p, p.Clone()); err == nil || !strings.Contains(err.Error(), "no distance") {
		t.Errorf("Distance: %v", err)
	}
	for _, w := range [][]float64{{1}, {1, 0}, {1, math.Inf(1)}} {
		if _, err := NewProduct([]Manifold{a, a}, ProductOptions{Weights: w}); err == nil {
			t.Errorf("weights %v were accepted", w)
		}
	}
}

func TestPositive(t *testing.T) {
	for _, x := range [][]float64{nil, {1, 0}, {-1}, {math.NaN()}, {math.Inf(1)}} {
		if _, err := NewPositivePoint(x); err == nil {
			t.Errorf("%v was accepted", x)
		}
	}
	m, _ := NewPositive(3)
	rng := source(89)
	p := m.RandomPoint(rng).(*PositivePoint)
	g := make([]float64, 3)
	m.Gradient(g, p, []float64{2 * p.X[0], 1, -1 / p.X[2]})
	cost := func(q Point) (float64, error) {
		x := q.(*PositivePoint).X
		return x[0]*x[0] + x[1] - math.Log(x[2]), nil
	}
	if r, err := CheckGradient(m, p, cost, g, rng); err != nil || !r.OK {
		t.Errorf("%v %v", r, err)
	}
}

// TestOrthogonalGroup: exponentials are orthogonal rotations, against a series, and the gradient has slope 2.
func TestOrthogonalGroup(t *testing.T) {
	rng := source(97)
	for _, n := range []int{2, 3, 8, 20} {
		m, err := NewOrthogonal(n)
		if err != nil {
			t.Fatal(err)
		}
		p := m.RandomPoint(rng)
		v, q := make([]float64, m.VectorLen()), p.Clone()
		m.RandomTangent(v, p, rng)
		var qw, want, term mat.Dense
		m.Embed(&qw, p, v)
		w := mat.NewDense(n, n, nil)
		w.Mul(p.(*OrthogonalPoint).Q().T(), &qw)
		term.CloneFrom(p.(*OrthogonalPoint).Q())
		want.CloneFrom(&term)
		for k := 1; k < 25; k++ { // Q exp(W) by its Taylor series
			var next mat.Dense
			next.Mul(&term, w)
			term.Scale(1/float64(k), &next)
			want.Add(&want, &term)
		}
		if err := m.Exp(q, p, v); err != nil {
			t.Fatal(err)
		}
		if e := relative(q.(*OrthogonalPoint).Q(), &want); e > 1e-13*float64(n) {
			t.Errorf("n %d: Exp is off by %.2e", n, e)
		}
		for i := range v {
			v[i] *= 90
		}
		for what, move := range map[string]func(dst, p Point, v []float64) error{"Exp": m.Exp, "Retract": m.Retract} {
			if err := move(q, p, v); err != nil {
				t.Fatal(err)
			}
			if d := q.(*OrthogonalPoint).repair(); d > 1e-11*float64(n) {
				t.Errorf("n %d: %s by 90 leaves ||Q^T Q - I|| = %.2e", n, what, d)
			}
			if d := mat.Det(q.(*OrthogonalPoint).Q()); math.Abs(d-1) > 1e-10 {
				t.Errorf("n %d: %s has determinant %v", n, what, d)
			}
		}
		a := mat.NewDense(n, n, nil)
		for i := range n {
			for j := range n {
				a.Set(i, j, rng.NormFloat64())
			}
		}
		g := make([]float64, m.VectorLen())
		m.Gradient(g, p, a)
		r, err := CheckGradient(m, p, func(q Point) (float64, error) {
			var c mat.Dense
			c.Mul(a.T(), q.(*OrthogonalPoint).Q())
			return mat.Trace(&c), nil
		}, g, rng)
		if err != nil || !r.OK {
			t.Errorf("n %d: %v %v", n, r, err)
		}
	}
}

func TestOrthogonalLimits(t *testing.T) {
	m, _ := NewOrthogonal(3)
	point := func(d ...float64) Point {
		p, err := NewOrthogonalPoint(mat.NewDiagDense(3, d))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	v := make([]float64, 3)
	for _, q := range []Point{point(-1, -1, 1), point(1, 1, -1)} {
		if err := m.Log(v, point(1, 1, 1), q); err == nil || !strings.Contains(err.Error(), "half a turn") {
			t.Errorf("Log: %v", err)
		}
	}
	for what, q := range map[string]mat.Matrix{
		"stretched": mat.NewDiagDense(3, []float64{1, 1, 1.1}), "NaN": mat.NewDiagDense(3, []float64{1, 1, math.NaN()}),
		"oblong": mat.NewDense(3, 2, nil),
	} {
		if _, err := NewOrthogonalPoint(q); err == nil {
			t.Errorf("a %s matrix was accepted", what)
		}
	}
	p := point(1, 1, 1).(*OrthogonalPoint)
	p.q.Set(0, 1, 1e-6)
	if err := m.Check(p); err != nil || p.repair() > 1e-11 {
		t.Errorf("drift was not repaired: %v", err)
	}
	p.q.Set(0, 0, 2)
	if err := m.Check(p); err == nil {
		t.Error("a broken point passed the check")
	}
	for _, angle := range []float64{1e-9, 1e-3, 1.5, 2.5, 3.1, 3.139} {
		v := []float64{math.Sqrt2 * angle, 0, 0}
		q := point(1, 1, 1)
		if err := m.Exp(q, point(1, 1, 1), v); err != nil {
			t.Fatal(err)
		}
		w := make([]float64, 3)
		if err := m.Log(w, point(1, 1, 1), q); err != nil || math.Abs(w[0]-v[0]) > 1e-9*v[0] {
			t.Errorf("angle %v: Log returns %v of %v (%v)", angle, w, v[0], err)
		}
	}
}

// TestTangentSizes: a tangent matrix of another size panics with Error.
func TestTangentSizes(t *testing.T) {
	rng := source(103)
	for _, g := range Metrics() {
		m, err := g.New(3)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{2, 4} {
			func() {
				defer func() {
					if _, ok := recover().(Error); !ok {
						t.Errorf("%s: a tangent matrix of %d rows was taken", g.Name, n)
					}
				}()
				m.(Matrices).Whiten(make([]float64, m.VectorLen()), m.RandomPoint(rng), mat.NewSymDense(n, nil))
			}()
		}
	}
}
