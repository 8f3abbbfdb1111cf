package curvature

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/net"
	"github.com/spdopt/spdopt/spectral"
)

func mustKFAC(t testing.TB, r *Risk[float64], s Settings) *KFAC {
	t.Helper()
	k, err := CollectKFAC(r, s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestConventions: R and the counts may stand in either factor; the products agree, the factors differ by the stated scales, for shared positions too.
func TestConventions(t *testing.T) {
	m := models()[5] // 3 examples of 2 positions
	r := m.risk(t)
	for _, sharing := range []Sharing{Expand, Reduce} {
		var reference *KFAC
		for _, convention := range []Convention{InInput, InOutput, Even} {
			for _, separate := range []bool{false, true} {
				k := mustKFAC(t, r, Settings{Sharing: sharing, Convention: convention, SeparateBias: separate})
				if reference == nil {
					reference = k
				}
				if !separate {
					matrixNear(t, "product", Form(k), Form(reference), 1e-12)
				} else {
					checkSeparate(t, k, reference)
				}
			}
		}
		in, out := mustKFAC(t, r, Settings{Sharing: sharing}), mustKFAC(t, r, Settings{Sharing: sharing, Convention: InOutput})
		n, s := 3.0, 2.0
		count := n * s
		if sharing == Reduce {
			count *= s
		}
		for i := range in.Blocks {
			a, b := in.Blocks[i].A.Clone(), in.Blocks[i].B.Clone()
			dense.Scale(1/(r.Factor()*count), a.Data, a.Data)
			dense.Scale(r.Factor()*count, b.Data, b.Data)
			matrixNear(t, "A", out.Blocks[i].A, a, 1e-12)
			matrixNear(t, "B", out.Blocks[i].B, b, 1e-12)
		}
	}
}

// checkSeparate: weights and bias on their own are the diagonal blocks of the joint curvature.
func checkSeparate(t *testing.T, separate, joint *KFAC) {
	t.Helper()
	if len(separate.Blocks) != 2*len(joint.Blocks) {
		t.Fatalf("%d blocks", len(separate.Blocks))
	}
	full, apart := Form(joint), Form(separate)
	for i := range apart.Rows {
		for j := range apart.Cols {
			want := full.At(i, j)
			for k := range joint.Blocks {
				w := joint.Blocks[k].Weight
				inside := func(p int) bool { return p >= w.Start && p < w.End() }
				if inside(i) != inside(j) {
					want = 0
				}
			}
			near(t, "separate bias", apart.At(i, j), want, 1e-12)
		}
	}
}

// TestKroneckerIsRowMajor: on row-major weights the block is B (x) A, on column-major ones A (x) B, and both are the product B V A.
func TestKroneckerIsRowMajor(t *testing.T) {
	m := models()[0]
	k := mustKFAC(t, m.risk(t), Settings{})
	f := &k.Blocks[0]
	out, in := f.Dims()
	full := block(k, f)
	matrixNear(t, "row-major", full, kroneckerOf(f.B, f.A), 1e-15)
	columnMajor := dense.New[float64](full.Rows, full.Cols)
	place := func(i int) int { return i%out*in + i/out } // of element i of the column-major vector in the row-major one
	for i := range full.Rows {
		for j := range full.Cols {
			columnMajor.Set(i, j, full.At(place(i), place(j)))
		}
	}
	matrixNear(t, "column-major", columnMajor, kroneckerOf(f.A, f.B), 1e-15)
	v := randomMatrix(3, out, in)
	x, y := make([]float64, k.dim), make([]float64, k.dim)
	f.Scatter(v, x)
	k.MulTo(y, x)
	got := dense.New[float64](out, in)
	f.Gather(y, got)
	matrixNear(t, "product", got, gemm(gemm(f.B, v), f.A), 1e-14)
}

// TestReduceScaleIsNotSquared: the mistake found in public code, factors of the reduce setting with both inputs and gradients summed, shows as S^2.
func TestReduceScaleIsNotSquared(t *testing.T) {
	cases := goldenCases(t)
	c := cases[slices.IndexFunc(cases, func(c goldenCase) bool { return c.Name == "reduce_setting_S5_meanpool" })]
	r := c.risk(t, 0)
	k := mustKFAC(t, r, Settings{Sharing: Reduce})
	ggn := block(NewGGN(r), &k.Blocks[0])
	near(t, "error", relativeError(block(k, &k.Blocks[0]), ggn), 0, 1e-12)
	wrong := Scaled(25, k)
	if e := relativeError(block(wrong, &k.Blocks[0]), ggn); math.Abs(e-24) > 1e-9 {
		t.Errorf("the error of S^2 shows as %g", e)
	}
}

// TestExactnessLadder walks the cases of arXiv:2507.05127 and arXiv:2311.00636 where theory gives equality, and those where it denies it.
func TestExactnessLadder(t *testing.T) {
	type rung struct {
		name    string
		layers  []net.Layer[float64]
		loss    net.Loss[float64]
		n, s    int // examples and positions
		pooled  bool
		sharing Sharing
		flavour Flavour
		exact   bool
	}
	mse := func() net.Loss[float64] { return net.NewSquare[float64](false) }
	deep := func(pool ...net.Layer[float64]) []net.Layer[float64] {
		return append([]net.Layer[float64]{linear(1, 3, 4), linear(2, 4, 2)}, pool...)
	}
	curved := func() []net.Layer[float64] { return []net.Layer[float64]{linear(1, 3, 4), tanh(), linear(2, 4, 2)} }
	mean, sum := net.NewGlobalPool[float64](net.Mean), net.NewGlobalPool[float64](net.Sum)
	for _, c := range []rung{
		{"one datum, type-2", curved(), mse(), 1, 1, false, Expand, Type2, true},
		{"one datum, cross-entropy", curved(), &net.CrossEntropy[float64]{}, 1, 1, false, Expand, Type2, true},
		{"one datum, binary", curved(), net.NewBinaryCrossEntropy[float64](true), 1, 1, false, Expand, Type2, true},
		{"one datum, empirical", curved(), mse(), 1, 1, false, Expand, Empirical, true},
		{"two data, not linear", curved(), &net.CrossEntropy[float64]{}, 2, 1, false, Expand, Type2, false},
		{"two data, empirical", deep(), mse(), 3, 1, false, Expand, Empirical, false},
		{"deep linear", deep(), mse(), 4, 1, false, Expand, Type2, true},
		{"deep linear, reduce is the same", deep(), mse(), 4, 1, false, Reduce, Type2, true},
		{"positions, expand", deep(), mse(), 3, 4, false, Expand, Type2, true},
		{"positions, reduce", deep(), mse(), 3, 4, false, Reduce, Type2, false},
		{"mean pool, reduce", deep(mean), mse(), 3, 4, true, Reduce, Type2, true},
		{"mean pool, expand", deep(mean), mse(), 3, 4, true, Expand, Type2, false},
		{"sum pool, reduce", deep(sum), mse(), 3, 4, true, Reduce, Type2, true},
		{"sum pool, expand", deep(sum), mse(), 3, 4, true, Expand, Type2, false},
	} {
		n := net.New[float64](net.Chain(c.layers...), c.loss, 1)
		rows := c.n * c.s
		if c.pooled {
			rows = c.n
		}
		b := &net.Batch[float64]{N: c.n, X: randomMatrix(3, c.n*c.s, 3)}
		if _, ok := c.loss.(*net.CrossEntropy[float64]); ok {
			b.Target.Classes = classes(4, rows, 2)
		} else {
			b.Target.Values = randomMatrix(4, rows, 2)
		}
		r, err := NewRisk(n, slices.Values([]*net.Batch[float64]{b}), RiskOptions{})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		var want Operator = NewGGN(r)
		if c.flavour == Empirical {
			want = NewEmpiricalFisher(r)
		}
		for _, size := range []int{c.n, 1} {
			k := mustKFAC(t, r.cut(t, b, size), Settings{Sharing: c.sharing, Flavour: c.flavour})
			for i := range k.Blocks {
				e := relativeError(block(k, &k.Blocks[i]), block(want, &k.Blocks[i]))
				if c.exact && e > 1e-12 || !c.exact && e < 0.01 {
					t.Errorf("%s, layer %d: relative error %g", c.name, i, e)
				}
			}
		}
		mixed := Settings{Sharing: Expand, PerLayer: map[string]Sharing{"0.weight": Reduce}, Flavour: c.flavour}
		if c.pooled { // chosen per layer: the first is exact by reduce, the last is not by expand
			k := mustKFAC(t, r, mixed)
			if e := relativeError(block(k, &k.Blocks[0]), block(want, &k.Blocks[0])); e > 1e-12 {
				t.Errorf("%s: reduce for layer 0 alone is off by %g", c.name, e)
			}
			if e := relativeError(block(k, &k.Blocks[1]), block(want, &k.Blocks[1])); e < 0.01 {
				t.Errorf("%s: layer 1 became exact", c.name)
			}
		}
	}
}

// TestMonteCarloKFAC: factors of many samples tend to the type-2 ones where these are exact, within the tolerance that upstream uses.
func TestMonteCarloKFAC(t *testing.T) {
	for _, m := range models()[:2] {
		r := m.risk(t)
		r = r.cut(t, m.batch, 1)
		exact := mustKFAC(t, r, Settings{})
		k := mustKFAC(t, r, Settings{Flavour: MonteCarlo, Samples: 3000})
		a, b := Form(exact), Form(k)
		for i, v := range a.Data {
			near(t, m.name, b.Data[i], v, 5e-3+0.05*math.Abs(v))
		}
		again := mustKFAC(t, r, Settings{Flavour: MonteCarlo, Samples: 3, Seed: 4})
		one := mustKFAC(t, m.risk(t), Settings{Flavour: MonteCarlo, Samples: 3, Seed: 4})
		matrixNear(t, m.name+": the same samples for any split", Form(again), Form(one), 1e-13)
		other := mustKFAC(t, r, Settings{Flavour: MonteCarlo, Samples: 3, Seed: 5})
		if relativeError(Form(other), Form(one)) < 1e-3 {
			t.Errorf("%s: another seed gives the same samples", m.name)
		}
	}
}

// TestSplits: every collected quantity is the same for one batch and for uneven ones.
func TestSplits(t *testing.T) {
	for _, m := range models() {
		whole := m.risk(t)
		for _, s := range []Settings{{Skip: true}, {Sharing: Reduce, Skip: true}, {Flavour: Empirical, Skip: true}, {Flavour: ForwardOnly, Skip: true}, {SeparateBias: true, Skip: true}} {
			if m.name == "transformer" {
				s.Flavour = Empirical // 48 pull-backs otherwise
			}
			k := mustKFAC(t, whole, s)
			parts := whole.cut(t, m.batch, 2)
			matrixNear(t, m.name, Form(mustKFAC(t, parts, s)), Form(k), 1e-12)
			if s.Flavour == ForwardOnly {
				continue
			}
			one, err := CollectEKFAC(whole, s)
			if err != nil {
				t.Fatal(err)
			}
			many, err := CollectEKFAC(parts, s)
			if err != nil {
				t.Fatal(err)
			}
			near(t, m.name+": trace of EKFAC", many.Trace(), one.Trace(), 1e-10)
			if strings.HasPrefix(m.name, "mlp cross") { // elsewhere a factor has a multiple eigenvalue, and EKFAC depends on the basis that rounding picks
				matrixNear(t, m.name+": EKFAC", Form(many), Form(one), 1e-10)
			}
		}
	}
}

// TestForwardOnly: summed squares give GGN = 2 N (S) times the curvlinops form of the forward-only curvature, and the in-input form is the GGN itself.
func TestForwardOnly(t *testing.T) {
	for _, positions := range []int{1, 3} {
		n := net.New[float64](net.Chain(linear(1, 3, 2)), net.NewSquare[float64](true), 1)
		b := &net.Batch[float64]{N: 4, X: randomMatrix(2, 4*positions, 3), Target: net.Target[float64]{Values: randomMatrix(3, 4*positions, 2)}}
		r, err := NewRisk(n, slices.Values([]*net.Batch[float64]{b}), RiskOptions{})
		if err != nil {
			t.Fatal(err)
		}
		k := mustKFAC(t, r, Settings{Flavour: ForwardOnly, Convention: InOutput})
		ggn := block(NewGGN(r), &k.Blocks[0])
		matrixNear(t, "forward only", block(Scaled(2*4*float64(positions), k), &k.Blocks[0]), ggn, 1e-12)
		matrixNear(t, "forward only, R in A", block(mustKFAC(t, r, Settings{Flavour: ForwardOnly}), &k.Blocks[0]), ggn, 1e-12)
	}
}

// TestTiedWeights: two layers share a weight matrix. Their uses are positions of one block: A adds up the inputs of both, and squares of per-example
// gradients are taken after the sum over the uses.
func TestTiedWeights(t *testing.T) {
	first := net.NewLinear[float64](source(1), 3, 3, net.LinearOptions{NoBias: true})
	second := &net.Linear[float64]{Weight: first.Weight}
	n := net.New[float64](net.Chain[float64](first, tanh(), second), net.NewSquare[float64](true), 1)
	if n.Dim() != 9 {
		t.Fatalf("%d parameters", n.Dim())
	}
	b := &net.Batch[float64]{N: 3, X: randomMatrix(2, 3, 3), Target: net.Target[float64]{Values: randomMatrix(3, 3, 3)}}
	r, err := NewRisk[float64](n, slices.Values([]*net.Batch[float64]{b}), RiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	k := mustKFAC(t, r, Settings{})
	if len(k.Blocks) != 1 {
		t.Fatalf("%d blocks", len(k.Blocks))
	}
	n.Linearize(b)
	want := dense.New[float64](3, 3)
	for _, s := range n.Stats(nil) {
		dense.Gemm(dense.Transposed, dense.NoTrans, r.Factor(), s.In, s.In, 1, want)
	}
	matrixNear(t, "A", k.Blocks[0].A, want, 1e-12)
	ggn := Form(NewGGN(r))
	d, err := GGNDiagonal(r, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range d {
		near(t, "diagonal", v, ggn.At(i, i), 1e-12)
	}
	for _, sharing := range []Sharing{Expand, Reduce} {
		e, err := CollectEKFAC(r, Settings{Sharing: sharing})
		if err != nil {
			t.Fatal(err)
		}
		near(t, "trace of EKFAC", e.Trace(), trace(ggn), 1e-12)
	}
}

// TestSupport: blocks without statistics are named, and skipped only when asked; the operator is zero there.
func TestSupport(t *testing.T) {
	m := models()[8]
	r := m.risk(t)
	_, err := CollectKFAC(r, Settings{Flavour: Empirical})
	var s *SupportError
	if !errors.As(err, &s) || !slices.Contains(s.Blocks, "0.table") || !strings.Contains(err.Error(), "Skip") {
		t.Fatalf("%v", err)
	}
	k := mustKFAC(t, r, Settings{Flavour: Empirical, Skip: true})
	if !slices.Equal(k.Skipped, s.Blocks) || len(k.Blocks) != 3 {
		t.Errorf("skipped %v, %d blocks", k.Skipped, len(k.Blocks))
	}
	index, err := Indices(Layout(m.net), k.Skipped...)
	if err != nil {
		t.Fatal(err)
	}
	x := gaussian(source(1), k.dim)
	inverse, err := k.Inverse(Damping{Pi, 0.1})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []Operator{k, inverse} {
		y := make([]float64, k.dim)
		a.MulTo(y, x)
		for _, i := range index {
			if y[i] != 0 {
				t.Fatalf("element %d of a skipped block is %v", i, y[i])
			}
		}
	}
	tied := net.NewEmbedding[float64](source(1), 5, 3)
	n := net.New[float64](net.Chain[float64](tied, net.NewTied(tied)), &net.CrossEntropy[float64]{}, 1)
	if _, err := NewCollector(n, Settings{}); !errors.As(err, &s) {
		t.Errorf("an embedding that shares its table with a linear layer: %v", err)
	}
	if c, err := NewCollector(n, Settings{Skip: true}); err != nil || len(c.layers) != 0 {
		t.Errorf("the shared table has factors: %v", err)
	}
}

// TestSubsets: the curvature of some blocks is that of all, rows and columns left out, in any order.
func TestSubsets(t *testing.T) {
	m := models()[0]
	r := m.risk(t)
	index, err := Indices(Layout(m.net), "2.bias", "0.weight")
	if err != nil {
		t.Fatal(err)
	}
	whole, part := Form(NewGGN(r)), Form(Submatrix(NewGGN(r), index, index))
	for a, i := range index {
		for b, j := range index {
			near(t, "subset", part.At(a, b), whole.At(i, j), 1e-14)
		}
	}
	if _, err := Indices(Layout(m.net), "3.weight"); err == nil {
		t.Error("a block that is not there was found")
	}
}

// TestInverseIdentities: exact damping inverts C + d I, the power functions compose, and log-determinants and diagonals are those of the dense matrices.
func TestInverseIdentities(t *testing.T) {
	m := models()[0]
	r := m.risk(t)
	k := mustKFAC(t, r, Settings{SeparateBias: true})
	e, err := CollectEKFAC(r, Settings{SeparateBias: true})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := k.Decompose()
	if err != nil {
		t.Fatal(err)
	}
	matrixNear(t, "decomposed", Form(plain), Form(k), 1e-13)
	identity := dense.New[float64](k.dim, k.dim)
	identity.Identity()
	const d = 0.03
	exact, err := k.Inverse(Damping{Value: d})
	if err != nil {
		t.Fatal(err)
	}
	matrixNear(t, "exact inverse of KFAC", Form(Chain(exact, Damped(k, d))), identity, 1e-10)
	corrected, err := e.Inverse(d)
	if err != nil {
		t.Fatal(err)
	}
	matrixNear(t, "inverse of EKFAC", Form(Chain(corrected, Damped(e, d))), identity, 1e-10)
	root, err := e.Power(-0.5, d)
	if err != nil {
		t.Fatal(err)
	}
	matrixNear(t, "root of the inverse", Form(Chain(root, root)), Form(corrected), 1e-10)
	tracked, err := NewTrackedInverse(k, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	matrixNear(t, "tracked inverse", Form(tracked), Form(exact), 1e-8)

	for name, a := range map[string]struct {
		op     Operator
		trace  float64
		norm   float64
		logDet func() float64
	}{
		"KFAC":  {k, k.Trace(), k.Frobenius(), func() float64 { v, _ := k.LogDet(d); return v }},
		"EKFAC": {e, e.Trace(), e.Frobenius(), func() float64 { return e.LogDet(d) }},
	} {
		full := Form(a.op)
		near(t, name+": trace", a.trace, trace(full), 1e-12)
		near(t, name+": norm", a.norm, norm(full.Data), 1e-12)
		det, sign := mat.LogDet(ToGonum(Damped(a.op, d)))
		if sign != 1 {
			t.Errorf("%s: sign %v", name, sign)
		}
		near(t, name+": log-determinant", a.logDet(), det, 1e-9)
	}
	diag := make([]float64, k.dim)
	e.Diag(diag)
	full := Form(e)
	for i, v := range diag {
		near(t, "diagonal of EKFAC", v, full.At(i, i), 1e-13)
	}
	ggn, err := GGNDiagonal(r, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, v := range ggn {
		sum += v
	}
	near(t, "trace of EKFAC and of the Gauss-Newton matrix", e.Trace(), sum, 1e-12)
}

// TestPreconditionedRegression: one Newton step with the KFAC inverse solves a linear regression.
func TestPreconditionedRegression(t *testing.T) {
	n := net.New[float64](net.Chain(linear(1, 3, 2)), net.NewSquare[float64](false), 1)
	b := &net.Batch[float64]{N: 10, X: randomMatrix(2, 10, 3), Target: net.Target[float64]{Values: randomMatrix(3, 10, 2)}}
	r, err := NewRisk(n, slices.Values([]*net.Batch[float64]{b}), RiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, flavour := range []Flavour{Type2, ForwardOnly} {
		inverse, err := mustKFAC(t, r, Settings{Flavour: flavour}).Inverse(Damping{})
		if err != nil {
			t.Fatal(err)
		}
		g, step := make([]float64, r.Dim()), make([]float64, r.Dim())
		r.Gradient(g)
		inverse.MulTo(step, g)
		hs := make([]float64, r.Dim())
		NewHessian(r).MulTo(hs, step)
		vectorNear(t, "gradient after the step", hs, g, 1e-12)
	}
}

// TestKFOCIsOptimal: no scaling or perturbation of the factors comes closer, and it is at least as close as KFAC and EKFAC cannot be ordered.
func TestKFOCIsOptimal(t *testing.T) {
	for _, m := range []model{models()[0], models()[6]} {
		r := m.risk(t)
		k := mustKFAC(t, r, Settings{})
		best, err := CollectKFOC(r, Settings{}, KFOCOptions{})
		if err != nil {
			t.Fatal(err)
		}
		e, err := CollectEKFAC(r, Settings{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range k.Blocks {
			f := &k.Blocks[i]
			ggn := block(NewGGN(r), f)
			closest := relativeError(block(best, f), ggn)
			if kfac := relativeError(block(k, f), ggn); closest > kfac || relativeError(block(e, f), ggn) > kfac {
				t.Errorf("%s, layer %d: KFOC %g, KFAC %g", m.name, i, closest, kfac)
			}
			for seed := range uint64(10) {
				other := best.Blocks[i]
				other.A, other.B = other.A.Clone(), other.B.Clone()
				for _, side := range []dense.Matrix[float64]{other.A, other.B} {
					change := randomMatrix(seed, side.Rows, side.Cols)
					for p := range side.Rows {
						for q := range side.Cols {
							side.Set(p, q, side.At(p, q)+1e-3*(change.At(p, q)+change.At(q, p)))
						}
					}
				}
				if near := relativeError(block(NewKFAC([]Factors{other}, k.dim), f), ggn); near < closest {
					t.Errorf("%s, layer %d: a perturbation comes closer: %g < %g", m.name, i, near, closest)
				}
			}
		}
	}
}

// TestTrackedInverseFollows: factors that drift are followed by one sweep a step, without a decomposition, to the exact inverse.
func TestTrackedInverseFollows(t *testing.T) {
	start, end := mustKFAC(t, models()[0].risk(t), Settings{}), mustKFAC(t, models()[1].risk(t), Settings{Flavour: Empirical})
	blend := func(w float64) *KFAC {
		var blocks []Factors
		for i := range start.Blocks {
			f := start.Blocks[i]
			f.A, f.B = f.A.Clone(), f.B.Clone()
			for k, v := range end.Blocks[i].A.Data {
				f.A.Data[k] = (1-w)*f.A.Data[k] + w*v
			}
			for k, v := range end.Blocks[i].B.Data {
				f.B.Data[k] = (1-w)*f.B.Data[k] + w*v
			}
			blocks = append(blocks, f)
		}
		return NewKFAC(blocks, start.dim)
	}
	const d = 0.1
	tracked, err := NewTrackedInverse(start, d, &spectral.Step{MaxSweeps: 2})
	if err != nil {
		t.Fatal(err)
	}
	for step := 1; step <= 40; step++ {
		k := blend(float64(min(step, 30)) / 30)
		tr, err := tracked.Update(k)
		if err != nil {
			t.Fatal(err)
		}
		exact, err := k.Inverse(Damping{Value: d})
		if err != nil {
			t.Fatal(err)
		}
		got, want := Form(tracked), Form(exact)
		limit := 0.05
		if step == 40 {
			limit = 1e-9
		}
		if e := relativeError(got, want); e > limit {
			t.Errorf("step %d: the inverse is off by %g, %+v", step, e, tr)
		}
	}
	if _, err := NewTrackedInverse(start, 0, nil); err == nil {
		t.Error("damping 0 was accepted")
	}
	bad := blend(0)
	bad.Blocks[0].A.Data[0] = math.NaN()
	var de *DataError
	if _, err := tracked.Update(bad); !errors.As(err, &de) {
		t.Errorf("NaN in a factor: %v", err)
	}
}

// TestConvolutionOptions: a single convolution with squared error is exact by expand, and by reduce in front of a pool over all positions, whatever stride,
// padding, dilation and kernel; with groups where all groups see the same input.
func TestConvolutionOptions(t *testing.T) {
	for _, o := range []net.ConvOptions{
		{Kernel: 3}, {Kernel: 2, Stride: 2}, {Kernel: 3, Padding: 1}, {Kernel: 2, Dilation: 2, Padding: 2}, {Kernel: 3, KernelWidth: 1, StrideWidth: 2, PaddingWidth: 1},
		{Kernel: 2, Groups: 2}, {Kernel: 2, Groups: 4, Stride: 2, NoBias: true},
	} {
		o.In, o.Out, o.Height, o.Width = 4, 4, 5, 6
		for _, pooled := range []bool{false, true} {
			conv := net.NewConv2d[float64](source(3), o)
			layers := []net.Layer[float64]{conv}
			height, width := conv.OutputSize()
			rows, sharing, other := 3*height*width, Expand, Reduce
			if pooled {
				layers, rows, sharing, other = append(layers, net.NewGlobalPool[float64](net.Mean)), 3, Reduce, Expand
			}
			x := randomMatrix(4, 3*30, 4)
			if groups := max(1, o.Groups); groups > 1 {
				for i := range x.Rows {
					for j := range 4 {
						x.Set(i, j, x.At(i, j%(4/groups)))
					}
				}
			}
			n := net.New[float64](net.Chain(layers...), net.NewSquare[float64](false), 1)
			b := &net.Batch[float64]{N: 3, X: x, Target: net.Target[float64]{Values: randomMatrix(5, rows, 4)}}
			r, err := NewRisk(n, slices.Values([]*net.Batch[float64]{b}), RiskOptions{})
			if err != nil {
				t.Fatal(err)
			}
			ggn := Form(NewGGN(r))
			if e := relativeError(Form(mustKFAC(t, r, Settings{Sharing: sharing})), ggn); e > 1e-12 {
				t.Errorf("%+v, pooled %v: %s is off by %g", o, pooled, sharing, e)
			}
			if e := relativeError(Form(mustKFAC(t, r, Settings{Sharing: other})), ggn); e < 1e-2 {
				t.Errorf("%+v, pooled %v: %s is exact", o, pooled, other)
			}
		}
	}
}
