package curvature

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/internal/golden"
)

type goldenEstimates struct {
	Trace     float64 `json:"hutchinson_trace_6"`
	HutchPP   float64 `json:"hutchpp_trace_6"`
	XTrace    float64 `json:"xtrace_6"`
	Diag      []float64
	Frobenius float64   `json:"hutchinson_squared_fro_6"`
	Diagonal  []float64 `json:"hutchinson_diag_6"`
	XDiag     []float64 `json:"xdiag_6"`
}

type goldenEstimators struct {
	A          [][]float64
	Rademacher [][]float64 `json:"rademacher_probes"`
	Normal     [][]float64 `json:"normal_probes"`
	Trace      float64
	Diag       []float64
	Fro2       float64
	ByR        goldenEstimates `json:"rademacher"`
	ByN        goldenEstimates `json:"normal"`
	Lanczos    struct {
		V0            []float64
		Steps         int       `json:"ncv"`
		Values        []float64 `json:"ritz_values"`
		Weights       []float64
		Boundaries    [2]float64
		Kappa, Margin float64
		Points        int `json:"num_points"`
		Grid, Density []float64
		Log           struct {
			Kappa, Epsilon float64
			Grid, Density  []float64
		}
	}
	Neumann struct {
		B             []float64
		Scale         float64
		Terms         int `json:"num_terms"`
		Result, Exact []float64
	}
}

func matrixOf(rows [][]float64) dense.Matrix[float64] {
	m := dense.New[float64](len(rows), len(rows[0]))
	for i, row := range rows {
		copy(m.Row(i), row)
	}
	return m
}

// TestGoldenEstimators compares every estimator on given probes with another implementation.
func TestGoldenEstimators(t *testing.T) {
	var g goldenEstimators
	golden.Load(t, "curvlinops_estimators.json", &g)
	a := NewDense(matrixOf(g.A))
	for name, c := range map[string]struct {
		probes [][]float64
		want   goldenEstimates
	}{"rademacher": {g.Rademacher, g.ByR}, "normal": {g.Normal, g.ByN}} {
		p := matrixOf(c.probes)
		third, half := p.View(0, 0, 2, p.Cols), p.View(0, 0, 3, p.Cols)
		check := func(what string, want float64, e Estimate, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			near(t, name+" "+what, e.Value, want, 1e-9*(1+math.Abs(want)))
		}
		e, err := hutchinsonTrace(a, p)
		check("Hutchinson", c.want.Trace, e, err)
		e, err = hutchPP(a, third, p.View(2, 0, 2, p.Cols))
		check("Hutch++", c.want.HutchPP, e, err)
		e, err = xtrace(a, half)
		check("XTrace", c.want.XTrace, e, err)
		e, err = squaredFrobenius(a, p)
		check("Frobenius", c.want.Frobenius, e, err)
		d, err := hutchinsonDiagonal(a, p)
		if err != nil {
			t.Fatal(err)
		}
		vectorNear(t, name+" diagonal", d, c.want.Diagonal, 1e-9)
		if len(c.want.XDiag) > 0 {
			if d, err = xdiag(a, half); err != nil {
				t.Fatal(err)
			}
			vectorNear(t, name+" XDiag", d, c.want.XDiag, 1e-9)
		}
	}
	g.lanczos(t, a)
	n, err := NewNeumann(a, NeumannOptions{Terms: g.Neumann.Terms, Scale: g.Neumann.Scale})
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float64, len(g.Neumann.B))
	if err := n.Solve(x, g.Neumann.B); err != nil {
		t.Fatal(err)
	}
	vectorNear(t, "Neumann series", x, g.Neumann.Result, 1e-9)
}

func (g *goldenEstimators) lanczos(t *testing.T, a Operator) {
	l := g.Lanczos
	q, err := lanczos(a, slices.Clone(l.V0), l.Steps)
	if err != nil {
		t.Fatal(err)
	}
	vectorNear(t, "Ritz values", q.values, l.Values, 1e-9)
	vectorNear(t, "weights", q.weights, l.Weights, 1e-9)
	o := DensityOptions{Steps: l.Steps, Points: l.Points, Kappa: l.Kappa, Margin: l.Margin, Boundaries: l.Boundaries, Epsilon: l.Log.Epsilon}
	s := newDensity(l.Boundaries, o)
	s.add(q.values, q.weights)
	d := s.result(1, func(x float64) (float64, float64) { return x, 1 })
	vectorNear(t, "grid", d.Grid, l.Grid, 1e-9)
	vectorNear(t, "density", d.Values, l.Density, 1e-9)
	o.Kappa = l.Log.Kappa
	s = newSizes(l.Boundaries, o)
	s.addSizes(q, o)
	d = s.result(1, backFromLog)
	vectorNear(t, "logarithmic grid", d.Grid, l.Log.Grid, 1e-9)
	vectorNear(t, "logarithmic density", d.Values, l.Log.Density, 1e-9)
}

// naiveXTrace is the definition of the estimator: for every probe Q comes from the products with all others.
func naiveXTrace(t *testing.T, a Operator, w dense.Matrix[float64]) float64 {
	var sum float64
	for i := range w.Rows {
		others := dense.New[float64](w.Rows-1, w.Cols)
		for k, row := 0, 0; k < w.Rows; k++ {
			if k != i {
				copy(others.Row(row), w.Row(k))
				row++
			}
		}
		e, err := hutchPP(a, others, w.View(i, 0, 1, w.Cols))
		if err != nil {
			t.Fatal(err)
		}
		sum += e.Value
	}
	return sum / float64(w.Rows)
}

// lowRank returns a symmetric matrix with the given nonzero eigenvalues in a random basis.
func lowRank(seed uint64, n int, values ...float64) dense.Matrix[float64] {
	q := randomMatrix(seed, len(values), n)
	eigen.Orthonormalise(q)
	m := dense.New[float64](n, n)
	for k, v := range values {
		dense.Ger(v, q.Row(k), q.Row(k), m)
	}
	return m
}

// TestXTraceIsLeaveOneOut: the estimator equals the loop that leaves one probe out at a time, for matrices that need not be symmetric.
func TestXTraceIsLeaveOneOut(t *testing.T) {
	for seed := range uint64(5) {
		a := NewDense(randomMatrix(seed, 12, 12))
		w := randomMatrix(seed+50, 4, 12)
		e, err := xtrace(a, w)
		if err != nil {
			t.Fatal(err)
		}
		want := naiveXTrace(t, a, w)
		near(t, "XTrace", e.Value, want, 1e-10*(1+math.Abs(want)))
	}
}

// TestExactAtLowRank: Hutch++, XTrace and XDiag are exact once their sketch holds the range of the operator.
func TestExactAtLowRank(t *testing.T) {
	m := lowRank(3, 20, 5, -2, 1)
	a := NewDense(m)
	for _, products := range []int{12, 18} {
		p := Probes{Products: products, Rand: source(4)}
		for name, f := range map[string]func(Operator, Probes) (Estimate, error){"Hutch++": HutchPP, "XTrace": XTrace} {
			e, err := f(a, p)
			if err != nil {
				t.Fatal(err)
			}
			near(t, name, e.Value, 4, 1e-9)
		}
		d, err := XDiag(a, p)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range d {
			near(t, "XDiag", v, m.At(i, i), 1e-9)
		}
	}
}

// TestConvergenceOfEstimators: over many runs the errors of Hutchinson fall like the inverse root of the number of products, those of Hutch++ and XTrace at
// least twice as fast on a spectrum that decays, and all are unbiased within their spread.
func TestConvergenceOfEstimators(t *testing.T) {
	values := make([]float64, 60)
	var trace float64
	for i := range values {
		values[i] = math.Pow(float64(i+1), -2)
		trace += values[i]
	}
	a := NewDense(lowRank(8, 60, values...))
	rms := func(f func(Operator, Probes) (Estimate, error), products int) (spread, bias float64) {
		const runs = 200
		r := source(17)
		for range runs {
			e, err := f(a, Probes{Products: products, Kind: Normal, Rand: r})
			if err != nil {
				t.Fatal(err)
			}
			d := e.Value - trace
			spread += d * d / runs
			bias += d / runs
		}
		return math.Sqrt(spread), bias
	}
	for name, c := range map[string]struct {
		f     func(Operator, Probes) (Estimate, error)
		slope float64 // of the error in the number of products, at most
	}{"Hutchinson": {HutchinsonTrace, -0.35}, "Hutch++": {HutchPP, -1}, "XTrace": {XTrace, -1}} {
		few, bias := rms(c.f, 12)
		many, _ := rms(c.f, 48)
		if slope := math.Log(many/few) / math.Log(4); slope > c.slope {
			t.Errorf("%s: errors %g and %g for 12 and 48 products, slope %.2f", name, few, many, slope)
		}
		if math.Abs(bias) > 4*few/math.Sqrt(200) {
			t.Errorf("%s: bias %g with an error of %g", name, bias, few)
		}
	}
}

// TestStandardErrors: a standard error is the spread of the estimate.
func TestStandardErrors(t *testing.T) {
	a := NewDense(lowRank(8, 30, 5, 4, 3, 2, 1, 1, 1, 1))
	r := source(2)
	const runs = 300
	var square, claimed float64
	for range runs {
		e, err := HutchinsonTrace(a, Probes{Products: 10, Rand: r})
		if err != nil {
			t.Fatal(err)
		}
		square += (e.Value - 18) * (e.Value - 18) / runs
		claimed += e.StdErr * e.StdErr / runs
	}
	if ratio := claimed / square; ratio < 0.7 || ratio > 1.4 {
		t.Errorf("the square of the standard error is %g, of the error %g", claimed, square)
	}
}

func TestFrobeniusOfWide(t *testing.T) {
	m := randomMatrix(5, 3, 40)
	e, err := SquaredFrobenius(NewDense(m), Probes{Products: 4000, Rand: source(1)})
	if err != nil {
		t.Fatal(err)
	}
	want := dense.Dot(m.Data, m.Data)
	near(t, "squared norm", e.Value, want, 0.05*want)
}

// TestDensity integrates to 1, finds the share of the eigenvalues on either side, and moves with the operator.
func TestDensity(t *testing.T) {
	values := make([]float64, 100)
	for i := range values {
		values[i] = 1 + 0.2*float64(i%10)
		if i >= 70 {
			values[i] = 10
		}
	}
	a := NewDense(lowRank(6, 100, values...))
	o := DensityOptions{Steps: 40, Repeats: 10}
	d, err := SpectralDensity(a, o, source(3))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "integral", d.integral(math.Inf(-1)), 1, 0.02)
	near(t, "share above 6", d.integral(6), 0.3, 0.06)
	moved, err := SpectralDensity(Damped(Scaled(2, a), 5), o, source(3))
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range d.Grid {
		near(t, "moved grid", moved.Grid[i], 2*x+5, 1e-6*(1+math.Abs(x)))
		near(t, "moved density", moved.Values[i], d.Values[i]/2, 1e-6)
	}
	l, err := LogSpectralDensity(a, DensityOptions{Steps: 40, Repeats: 10, Boundaries: [2]float64{0.5, 12}}, source(3))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "integral of the logarithmic density", l.integral(0), 1, 0.05)
	near(t, "share above 6 of the logarithmic density", l.integral(6), 0.3, 0.06)
	if _, err := LogSpectralDensity(a, DensityOptions{}, source(3)); err != nil {
		t.Error(err)
	}
}

// integral returns that over the grid from a point on, by the trapezoid rule.
func (d *Density) integral(from float64) (sum float64) {
	for i := 1; i < len(d.Grid); i++ {
		if d.Grid[i-1] >= from {
			sum += (d.Grid[i] - d.Grid[i-1]) * (d.Values[i] + d.Values[i-1]) / 2
		}
	}
	return sum
}

// TestTop compares both methods with the eigenvalues that the operator was made of, for all ends of the spectrum.
func TestTop(t *testing.T) {
	values := make([]float64, 60)
	for i := range values {
		values[i] = math.Pow(-1, float64(i)) * math.Pow(0.8, float64(i))
	}
	a := NewDense(lowRank(7, 60, values...))
	for _, k := range []int{1, 4} {
		for _, which := range []Which{Largest, Smallest, Magnitude} {
			want := make([]float64, k)
			for i, j := range which.order(values, k) {
				want[i] = values[j]
			}
			o := TopOptions{K: k, Which: which, Tol: 1e-9, Rand: source(3)}
			top, err := TopLanczos(a, o)
			checkTop(t, "Lanczos "+string(which), a, top, err, want)
			if which != Magnitude {
				o.Rand = source(4)
				top, err = TopLOBPCG(a, nil, o)
				checkTop(t, "LOBPCG "+string(which), a, top, err, want)
			}
		}
	}
	// a threefold eigenvalue: LOBPCG finds its three vectors
	triple := NewDense(lowRank(7, 30, 3, 3, 3, 2, 1))
	top, err := TopLOBPCG(triple, nil, TopOptions{K: 4, Tol: 1e-9, Rand: source(5)})
	checkTop(t, "multiple", triple, top, err, []float64{3, 3, 3, 2})
	// invariant subspaces, and a basis that is the whole space
	top, err = TopLanczos(Diagonal([]float64{2, 2, 2, 2}), TopOptions{K: 3, Rand: source(6)})
	checkTop(t, "identity", Diagonal([]float64{2, 2, 2, 2}), top, err, []float64{2, 2, 2})
	top, err = TopLOBPCG(Diagonal([]float64{1, 2, 3}), nil, TopOptions{K: 3, Rand: source(6)})
	checkTop(t, "all", Diagonal([]float64{1, 2, 3}), top, err, []float64{3, 2, 1})
}

func checkTop(t *testing.T, what string, a Operator, top *Top, err error, want []float64) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	vectorNear(t, what, top.Values, want, 1e-8)
	n := top.Vectors.Rows
	av := make([]float64, n)
	for j, v := range top.Values {
		x := make([]float64, n)
		for i := range x {
			x[i] = top.Vectors.At(i, j)
		}
		near(t, what+": norm", norm(x), 1, 1e-10)
		a.MulTo(av, x)
		dense.Axpy(-v, x, av)
		if r := norm(av); r > 1e-7 || math.Abs(r-top.Residuals[j]) > 1e-9 {
			t.Errorf("%s: residual %g, reported %g", what, r, top.Residuals[j])
		}
	}
	gram := dense.New[float64](len(want), len(want))
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, top.Vectors, top.Vectors, 0, gram)
	for i := range want {
		gram.Data[i*gram.Stride+i]--
	}
	if d := norm(gram.Data); d > 1e-8 {
		t.Errorf("%s: vectors are orthogonal to %g", what, d)
	}
}

// TestRestartsAndLimits: a small basis restarts and gets there; too few products are a ConvergenceError with what was reached.
func TestRestartsAndLimits(t *testing.T) {
	values := make([]float64, 80)
	for i := range values {
		values[i] = 1 + float64(i)/80
	}
	a := NewDense(lowRank(9, 80, values...))
	o := TopOptions{K: 2, Basis: 8, Tol: 1e-8, Rand: source(3), MaxProducts: 3000}
	top, err := TopLanczos(a, o)
	checkTop(t, "restarted", a, top, err, []float64{values[79], values[78]})
	if top.Products <= 8 {
		t.Errorf("%d products did not need a restart", top.Products)
	}
	var c *ConvergenceError
	o.MaxProducts = 12
	if top, err := TopLanczos(a, o); !errors.As(err, &c) || len(top.Values) != 2 {
		t.Errorf("12 products: %v", err)
	}
	if top, err := TopLOBPCG(a, nil, o); !errors.As(err, &c) || len(top.Values) != 2 {
		t.Errorf("12 products: %v", err)
	}
	low, high, err := Bounds(a, 1e-6, 80, source(4))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "low", low, 1, 1e-4)
	near(t, "high", high, values[79], 1e-4)
}

// TestPreconditionedLOBPCG: an approximate inverse makes it find the smallest eigenvalues in fewer products.
func TestPreconditionedLOBPCG(t *testing.T) {
	n := 200
	d := make([]float64, n)
	for i := range d {
		d[i] = math.Pow(1.03, float64(i))
	}
	a := Sum(Diagonal(d), NewDense(lowRank(9, n, 0.1, 0.1)))
	inverse := make([]float64, n)
	for i, v := range d {
		inverse[i] = 1 / v
	}
	o := TopOptions{K: 2, Which: Smallest, Tol: 1e-8, Rand: source(3), MaxProducts: 9000}
	plain, err := TopLOBPCG(a, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	o.Rand = source(3)
	faster, err := TopLOBPCG(a, Diagonal(inverse), o)
	if err != nil {
		t.Fatal(err)
	}
	vectorNear(t, "smallest", faster.Values, plain.Values, 1e-5)
	if faster.Products*2 > plain.Products {
		t.Errorf("%d products with the inverse, %d without", faster.Products, plain.Products)
	}
}

func TestEstimatorsRefuse(t *testing.T) {
	square, wide := NewDense(lowRank(1, 6, 1, 2)), NewDense(randomMatrix(1, 3, 6))
	bad := NewDense(randomMatrix(1, 6, 6))
	bad.(*denseOperator).m.Data[4] = math.NaN()
	r := source(1)
	for name, f := range map[string]func() error{
		"no products":   func() error { _, err := HutchinsonTrace(square, Probes{Rand: r}); return err },
		"no rand":       func() error { _, err := HutchinsonTrace(square, Probes{Products: 3}); return err },
		"kind":          func() error { _, err := HutchinsonTrace(square, Probes{Products: 3, Rand: r, Kind: "odd"}); return err },
		"wide trace":    func() error { _, err := HutchinsonTrace(wide, Probes{Products: 3, Rand: r}); return err },
		"wide diagonal": func() error { _, err := XDiag(wide, Probes{Products: 4, Rand: r}); return err },
		"NaN":           func() error { _, err := HutchinsonDiagonal(bad, Probes{Products: 3, Rand: r}); return err },
		"too large":     func() error { _, err := HutchinsonTrace(square, Probes{Products: 1 << 40, Rand: r}); return err },
		"grid":          func() error { _, err := SpectralDensity(square, DensityOptions{Points: 1 << 40}, r); return err },
		"samples":       func() error { s := Settings{Flavour: MonteCarlo, Samples: 1 << 40}; return s.Validate() },
		"not 3":         func() error { _, err := HutchPP(square, Probes{Products: 4, Rand: r}); return err },
		"not even":      func() error { _, err := XTrace(square, Probes{Products: 3, Rand: r}); return err },
		"too many":      func() error { _, err := XTrace(square, Probes{Products: 12, Rand: r}); return err },
		"too many ++":   func() error { _, err := HutchPP(square, Probes{Products: 18, Rand: r}); return err },
		"one step":      func() error { _, err := SpectralDensity(square, DensityOptions{Steps: 1}, r); return err },
		"kappa":         func() error { _, err := SpectralDensity(square, DensityOptions{Kappa: 1}, r); return err },
		"boundaries": func() error {
			_, err := SpectralDensity(square, DensityOptions{Boundaries: [2]float64{2, 1}}, r)
			return err
		},
		"endless": func() error {
			_, err := SpectralDensity(square, DensityOptions{Boundaries: [2]float64{0, math.Inf(1)}}, r)
			return err
		},
		"negative size": func() error {
			_, err := LogSpectralDensity(square, DensityOptions{Boundaries: [2]float64{-1, 1}}, r)
			return err
		},
		"density of NaN":  func() error { _, err := SpectralDensity(bad, DensityOptions{}, r); return err },
		"k":               func() error { _, err := TopLanczos(square, TopOptions{K: 7, Rand: r}); return err },
		"which":           func() error { _, err := TopLanczos(square, TopOptions{Which: "middle", Rand: r}); return err },
		"magnitude":       func() error { _, err := TopLOBPCG(square, nil, TopOptions{Which: Magnitude, Rand: r}); return err },
		"top of NaN":      func() error { _, err := TopLanczos(bad, TopOptions{Rand: r}); return err },
		"top of NaN, too": func() error { _, err := TopLOBPCG(bad, nil, TopOptions{Rand: r}); return err },
	} {
		var e *DataError
		if err := f(); !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLOBPCGEnds: where nothing new can be searched, since the preconditioner takes every residual away or the tolerance is below rounding, the pairs so far come with a
// *ConvergenceError.
func TestLOBPCGEnds(t *testing.T) {
	a := NewDense(lowRank(3, 7, 1, 2, 3, 4, 5, 6, 7))
	for what, p := range map[string]Operator{"zero": Diagonal(make([]float64, 7)), "of the other parameters": Diagonal([]float64{1, 0, 0, 0, 0, 0, 0}), "none": nil} {
		top, err := TopLOBPCG(a, p, TopOptions{K: 4, Tol: 1e-300, MaxProducts: 1 << 30, Rand: source(1)})
		var c *ConvergenceError
		if !errors.As(err, &c) || len(top.Values) != 4 {
			t.Errorf("preconditioner %s: %+v, %v", what, top, err)
		}
	}
}
