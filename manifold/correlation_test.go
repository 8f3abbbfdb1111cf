package manifold

import (
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// unitRowImage is the chart of the Euclidean-Cholesky metric, by gonum: the Cholesky factor with unit diagonal.
func unitRowImage(s mat.Symmetric) *mat.Dense {
	l := choleskyImage(same)(s)
	n, _ := l.Dims()
	for i := range n {
		d := l.At(i, i)
		for j := range i + 1 {
			l.Set(i, j, l.At(i, j)/d)
		}
	}
	return l
}

// unitRowMatrix maps back.
func unitRowMatrix(y *mat.Dense) *mat.SymDense {
	var g mat.Dense
	g.Mul(y, y.T())
	c, err := CorrelationOf(sym(&g))
	if err != nil {
		panic(err)
	}
	return c
}

// TestCorrelationAgainstChart: distance, exponential, logarithm, inner product and mean are those of the chart, differentiated numerically.
func TestCorrelationAgainstChart(t *testing.T) {
	m, err := NewCorrelation(4)
	if err != nil {
		t.Fatal(err)
	}
	rng := source(93)
	chart := chart{image: unitRowImage, matrix: unitRowMatrix}
	p, q := m.RandomPoint(rng), m.RandomPoint(rng)
	a, b := matrixOf(m, p), matrixOf(m, q)
	if d, err := m.Distance(p, q); err != nil || math.Abs(d-mat.Norm(combine(1, unitRowImage(a), -1, unitRowImage(b)), 2)) > 1e-11 {
		t.Errorf("distance %v (%v)", d, err)
	}
	u, v := make([]float64, 6), make([]float64, 6)
	m.RandomTangent(u, p, rng)
	m.RandomTangent(v, p, rng)
	var x, y mat.SymDense
	m.Embed(&x, p, u)
	m.Embed(&y, p, v)
	for i := range 4 {
		if d := x.At(i, i); math.Abs(d) > 1e-14 {
			t.Errorf("a tangent matrix has %v on its diagonal", d)
		}
	}
	o := chart.oracle()
	if got, want := m.Inner(p, u, v), o.inner(a, &x, &y); math.Abs(got-want) > 1e-8 {
		t.Errorf("inner product %v, want %v", got, want)
	}
	moved := p.Clone()
	if err := m.Exp(moved, p, u); err != nil {
		t.Fatal(err)
	}
	c := matrixOf(m, moved)
	if e := relative(c, o.exp(a, &x)); e > 1e-8 {
		t.Errorf("exponential off by %.2e", e)
	}
	for i := range 4 {
		if c.At(i, i) != 1 {
			t.Errorf("diagonal element %d is %v", i, c.At(i, i))
		}
	}
	points := []Point{p, q, moved}
	mean, _, err := Mean(m, points, []float64{1, 2, 3}, MeanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sum := combine(1.0/6, unitRowImage(a), 2.0/6, unitRowImage(b))
	if e := relative(matrixOf(m, mean), unitRowMatrix(combine(1, sum, 0.5, unitRowImage(c)))); e > 1e-10 {
		t.Errorf("mean off by %.2e", e)
	}
}

func TestCorrelationBadInput(t *testing.T) {
	m, err := NewCorrelation(2)
	if err != nil {
		t.Fatal(err)
	}
	for want, s := range map[string]*mat.SymDense{
		"diagonal element 1 is 2": mat.NewSymDense(2, []float64{1, 0, 0, 2}),
		"not positive definite":   mat.NewSymDense(2, []float64{1, 1.5, 1.5, 1}),
		"has 1 rows":              mat.NewSymDense(1, []float64{1}),
	} {
		if _, err := m.PointOf(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if _, err := CorrelationOf(mat.NewSymDense(2, []float64{1, 2, 2, 1})); err == nil {
		t.Error("an indefinite matrix has correlations")
	}
	if _, err := NewCorrelation(1); err == nil {
		t.Error("n = 1 was accepted")
	}
}

// TestGeneralizedBures: inner product, distance and exponential are those of the paper's formulas for S L M + M L S = U, by a linear system.
func TestGeneralizedBures(t *testing.T) {
	rng := source(94)
	const n = 3
	mass := randomSPD(rng, n, 20)
	g, err := NewGeneralizedBures(mass, BuresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a, b := randomSPD(rng, n, 5), randomSPD(rng, n, 5)
	p, err1 := g.PointOf(a)
	q, err2 := g.PointOf(b)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if e := relative(matrixOf(g, p), a); e > 1e-12 {
		t.Errorf("the matrix comes back %.2e off", e)
	}
	solve := func(u mat.Symmetric) *mat.SymDense { // L with A L M + M L A = U, row by row
		var k1, k2, k mat.Dense
		k1.Kronecker(a, mass)
		k2.Kronecker(mass, a)
		k.Add(&k1, &k2)
		var x mat.VecDense
		if err := x.SolveVec(&k, mat.NewVecDense(n*n, mat.DenseCopyOf(u).RawMatrix().Data)); err != nil {
			t.Fatal(err)
		}
		return sym(mat.NewDense(n, n, x.RawVector().Data))
	}
	u, v := make([]float64, n*n), make([]float64, n*n)
	g.RandomTangent(u, p, rng)
	g.RandomTangent(v, p, rng)
	for i := range u {
		u[i] *= 0.1
	}
	var x, y mat.SymDense
	g.Embed(&x, p, u)
	g.Embed(&y, p, v)
	l := solve(&x)
	var lv mat.Dense
	lv.Mul(l, &y)
	if got, want := g.Inner(p, u, v), mat.Trace(&lv)/2; math.Abs(got-want) > 1e-11 {
		t.Errorf("inner product %v, want %v", got, want)
	}
	moved := p.Clone()
	if err := g.Exp(moved, p, u); err != nil {
		t.Fatal(err)
	}
	var ml mat.Dense
	ml.Mul(mass, l)
	want := combine(1, combine(1, a, 1, &x), 1, congruent(&ml, a))
	if e := relative(matrixOf(g, moved), want); e > 1e-11 {
		t.Errorf("exponential off by %.2e", e)
	}
	var ma, mb, product mat.Dense
	if err := ma.Solve(mass, a); err != nil {
		t.Fatal(err)
	}
	if err := mb.Solve(mass, b); err != nil {
		t.Fatal(err)
	}
	product.Mul(&ma, &mb)
	var e mat.Eigen
	if !e.Factorize(&product, mat.EigenNone) {
		t.Fatal("no eigenvalues")
	}
	square := mat.Trace(&ma) + mat.Trace(&mb)
	for _, w := range e.Values(nil) {
		square -= 2 * math.Sqrt(real(w))
	}
	if d, err := g.Distance(p, q); err != nil || math.Abs(d-math.Sqrt(square)) > 1e-9 {
		t.Errorf("distance %v, want %v (%v)", d, math.Sqrt(square), err)
	}
	if _, err := NewGeneralizedBures(mat.NewSymDense(2, []float64{1, 2, 2, 1}), BuresOptions{}); err == nil {
		t.Error("an indefinite M was accepted")
	}
	if _, err := g.PointOf(mat.NewSymDense(3, nil)); err == nil {
		t.Error("the zero matrix was accepted")
	}
}

// TestGeneralizedBuresWithoutMass: M = I is the Bures-Wasserstein metric.
func TestGeneralizedBuresWithoutMass(t *testing.T) {
	rng := source(95)
	g, err := NewGeneralizedBures(IdentityFrame(4, 1).Sym(), BuresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a, b := randomSPD(rng, 4, 9), randomSPD(rng, 4, 9)
	p, _ := g.PointOf(a)
	q, _ := g.PointOf(b)
	d, err := g.Distance(p, q)
	if want, err2 := buresWasserstein.Distance(a, b); err != nil || err2 != nil || math.Abs(d-want) > 1e-12 {
		t.Errorf("distance %v, want %v (%v, %v)", d, want, err, err2)
	}
}
