package influence

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/net"
)

const damping = 0.05

var absolute = Damping{Scale: Absolute, Value: damping}

func pairwise(t *testing.T, e *Estimator[float64], queries, train Side[float64], o ScoreOptions) *Scores {
	t.Helper()
	s, err := e.Pairwise(queries, train, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func lossOf(e Examples[float64]) Side[float64] {
	return Side[float64]{e, &LossMeasurement[float64]{}}
}

// inverse returns the damped inverse of a preconditioner by way of the operators of package curvature.
func inverse(t *testing.T, m *model, kind Preconditioner) func(dst, x []float64) {
	t.Helper()
	train := m.train()
	r, err := curvature.NewRisk(m.net, train.all(), curvature.RiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	settings := curvature.Settings{Skip: true}
	k, err := curvature.CollectKFAC(r, settings)
	if err != nil {
		t.Fatal(err)
	}
	var op curvature.Operator
	switch kind {
	case KFAC:
		op, err = k.Inverse(curvature.Damping{Value: damping})
	case EKFAC:
		var e *curvature.Eigen
		if e, err = curvature.CollectEKFAC(r, settings); err == nil {
			op, err = e.Inverse(damping)
		}
	default:
		d := make([]float64, r.Dim())
		mask := make([]float64, r.Dim())
		for _, f := range k.Blocks {
			v := ones[float64](f.Dims())
			f.Scatter(v, mask)
		}
		if kind == Diagonal {
			if d, err = curvature.GGNDiagonal(r, settings); err != nil {
				t.Fatal(err)
			}
		}
		return func(dst, x []float64) {
			for i, v := range x {
				dst[i] = v * mask[i]
				if kind == Diagonal {
					dst[i] /= d[i] + damping
				}
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return op.MulTo
}

// TestAgainstOperators: scores are g_q^T H^-1 g_i with gradients of single examples from whole backward passes and H^-1 from package curvature, for every
// preconditioner and kind of layer.
func TestAgainstOperators(t *testing.T) {
	for _, m := range models() {
		gradients := terms(t, &m)
		last := m.batches[len(m.batches)-1]
		for _, kind := range Preconditioners() {
			apply := inverse(t, &m, kind)
			want := dense.New[float64](last.N, len(gradients))
			for q := range last.N {
				solved := gradientOf(m.net, last, q)
				apply(solved, append([]float64(nil), solved...))
				for i, g := range gradients {
					want.Set(q, i, dense.Dot(solved, g))
				}
			}
			e := m.estimator(t, Options{Preconditioner: kind, Damping: absolute})
			s := pairwise(t, e, lossOf(m.queries()), Side[float64]{Examples: m.train()}, ScoreOptions{})
			nearMatrix(t, m.name+" "+string(kind), s.Values, want, 1e-11)
		}
	}
}

// TestDeepLinear: in a deep linear regression KFAC and EKFAC score as the blocks of the exact Gauss-Newton matrix do.
func TestDeepLinear(t *testing.T) {
	n := net.New[float64](net.Chain(linear(1, 3, 4), linear(2, 4, 2)), net.NewSquare[float64](false), 1)
	b := &net.Batch[float64]{N: 9, X: random(3, 9, 3), Target: net.Target[float64]{Values: random(4, 9, 2)}}
	data := Fixed(b)
	r, err := curvature.NewRisk(n, data.all(), curvature.RiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ggn := curvature.Form(curvature.NewGGN(r))
	layout := curvature.Layout(n)
	var blocks [][]int
	for k := 0; k < len(layout); k += 2 {
		block, err := curvature.Indices(layout, layout[k].Name, layout[k+1].Name)
		if err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, block)
	}
	m := model{name: "deep linear", net: n, batches: []*net.Batch[float64]{b, b}}
	gradients := terms(t, &m)
	want := dense.New[float64](b.N, b.N)
	for q := range b.N {
		query := gradientOf(n, b, q)
		for _, block := range blocks {
			h, right := mat.NewDense(len(block), len(block), nil), mat.NewVecDense(len(block), nil)
			for i, p := range block {
				right.SetVec(i, query[p])
				for j, s := range block {
					h.Set(i, j, ggn.At(p, s))
				}
				h.Set(i, i, h.At(i, i)+damping)
			}
			var solved mat.VecDense
			if err := solved.SolveVec(h, right); err != nil {
				t.Fatal(err)
			}
			for i, g := range gradients {
				for j, p := range block {
					want.Set(q, i, want.At(q, i)+solved.AtVec(j)*g[p])
				}
			}
		}
	}
	for _, kind := range []Preconditioner{KFAC, EKFAC} {
		e := m.estimator(t, Options{Preconditioner: kind, Damping: absolute})
		s := pairwise(t, e, lossOf(data), Side[float64]{Examples: data}, ScoreOptions{})
		nearMatrix(t, string(kind), s.Values, want, 1e-10)
	}
}

// TestSelf: with the same side as query and as training scores are symmetric, and their diagonal is positive and the self-scores.
func TestSelf(t *testing.T) {
	for _, m := range models() {
		for _, kind := range Preconditioners() {
			e := m.estimator(t, Options{Preconditioner: kind})
			side := lossOf(m.train())
			s := pairwise(t, e, side, side, ScoreOptions{PerModule: true})
			self, err := e.Self(side, true)
			if err != nil {
				t.Fatal(err)
			}
			for i := range s.Values.Rows {
				if s.Values.At(i, i) <= 0 {
					t.Errorf("%s %s: self-score %v", m.name, kind, s.Values.At(i, i))
				}
				near(t, "self-score", self.Values.At(0, i), s.Values.At(i, i), 1e-12)
				for k := range s.ByModule {
					near(t, "self-score of a module", self.ByModule[k].At(0, i), s.ByModule[k].At(i, i), 1e-12)
				}
				for j := range i {
					near(t, m.name+": symmetry", s.Values.At(i, j), s.Values.At(j, i), 1e-12)
				}
			}
		}
	}
}

// TestModulesAddUp: the scores of modules add up to those of the network, and are those of an estimator of the module alone.
func TestModulesAddUp(t *testing.T) {
	for _, m := range models() {
		e := m.estimator(t, Options{Damping: absolute})
		s := pairwise(t, e, lossOf(m.queries()), Side[float64]{Examples: m.train()}, ScoreOptions{PerModule: true})
		sum := dense.New[float64](s.Values.Rows, s.Values.Cols)
		for k, name := range s.Modules {
			dense.Axpy(1, s.ByModule[k].Data, sum.Data)
			alone := m.estimator(t, Options{Damping: absolute, Modules: []string{name}})
			one := pairwise(t, alone, lossOf(m.queries()), Side[float64]{Examples: m.train()}, ScoreOptions{})
			nearMatrix(t, m.name+" "+name, one.Values, s.ByModule[k], 1e-12)
		}
		nearMatrix(t, m.name, sum, s.Values, 1e-12)
	}
}

// TestTokensAddUp: the scores of the positions of an example add up to its score, and modules without positions are refused.
func TestTokensAddUp(t *testing.T) {
	for _, m := range models() {
		for _, first := range []bool{true, false} {
			e := m.estimator(t, Options{})
			g, err := e.Gradients(lossOf(m.queries()), GradientOptions{Precondition: first})
			if err != nil {
				t.Fatal(err)
			}
			side := Side[float64]{Examples: m.train()}
			tokens, err := e.PerToken(g, side)
			if m.name == "mlp" {
				m.tokens = true // one position each
			}
			if !m.tokens {
				if err == nil {
					t.Errorf("%s: scores by token", m.name)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v", m.name, err)
			}
			s, err := e.Score(g, side, false)
			if err != nil {
				t.Fatal(err)
			}
			per := tokens.Values.Cols / s.Values.Cols
			for q := range s.Values.Rows {
				for i, want := range s.Values.Row(q) {
					var sum float64
					for _, v := range tokens.Values.Row(q)[i*per : (i+1)*per] {
						sum += v
					}
					near(t, m.name, sum, want, 1e-12)
				}
			}
		}
	}
}

// TestPartitions: batches, queries and modules at a time, and the side that is preconditioned, change nothing.
func TestPartitions(t *testing.T) {
	for _, m := range models() {
		train := m.train()
		e := m.estimator(t, Options{})
		queries := lossOf(train) // two batches
		want := pairwise(t, e, queries, Side[float64]{Examples: train}, ScoreOptions{PerModule: true})
		for _, o := range []ScoreOptions{{QueryBatches: 1}, {ModuleCount: 1}, {QueryBatches: 1, ModuleCount: 1, PerModule: true}} {
			s := pairwise(t, e, queries, Side[float64]{Examples: train}, o)
			nearMatrix(t, m.name, s.Values, want.Values, 1e-13)
			if o.PerModule {
				for k := range want.ByModule {
					nearMatrix(t, m.name, s.ByModule[k], want.ByModule[k], 1e-13)
				}
			}
		}
		g, err := e.Gradients(Side[float64]{Examples: train}, GradientOptions{Precondition: true})
		if err != nil {
			t.Fatal(err)
		}
		s, err := e.Score(g, queries, false)
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.Values.Rows {
			for q, v := range s.Values.Row(i) {
				near(t, m.name+": the other side", v, want.Values.At(q, i), 1e-12)
			}
		}
		if m.name == "mlp" {
			testSplit(t, &m, want)
		}
	}
}

// testSplit cuts the training examples of a network with one row for each into batches of one.
func testSplit(t *testing.T, m *model, want *Scores) {
	var single []*net.Batch[float64]
	train := m.train()
	for b := range train.all() {
		for i := range b.N {
			single = append(single, &net.Batch[float64]{N: 1, X: b.X.View(i, 0, 1, b.X.Cols), Target: targetPart(&b.Target, i, i+1)})
		}
	}
	alone := Fixed(single...)
	e, err := New(m.net, alone, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := pairwise(t, e, lossOf(alone), Side[float64]{Examples: alone}, ScoreOptions{})
	nearMatrix(t, "batches of one", s.Values, want.Values, 1e-11)
}

// TestDampingLimit: much damping turns every preconditioner into the identity.
func TestDampingLimit(t *testing.T) {
	m := models()[0]
	side := Side[float64]{Examples: m.train()}
	want := pairwise(t, m.estimator(t, Options{Preconditioner: Identity}), lossOf(m.queries()), side, ScoreOptions{}).Values
	for _, kind := range []Preconditioner{Diagonal, KFAC, EKFAC} {
		s := pairwise(t, m.estimator(t, Options{Preconditioner: kind, Damping: Damping{Scale: Absolute, Value: 1e9}}), lossOf(m.queries()), side, ScoreOptions{})
		for i := range s.Values.Data {
			s.Values.Data[i] *= 1e9
		}
		nearMatrix(t, string(kind), s.Values, want, 1e-8)
	}
}

// TestDampingScales: the default is 0.003 of the weighted mean of all eigenvalues, which more directions without curvature leave as it is; that of a module
// is 0.1 of its mean.
func TestDampingScales(t *testing.T) {
	a, b := dense.Wrap(1, 3, []float64{4, 2, 0}), dense.Wrap(2, 1, []float64{1, 3})
	wide := dense.Wrap(1, 6, []float64{4, 0, 0, 0, 2, 0})
	const weighted = (16 + 4 + 1 + 9) / 10.0
	for _, c := range []struct {
		d    Damping
		all  []Matrix[float64]
		want [2]float64
	}{
		{Damping{}, []Matrix[float64]{a, b}, [2]float64{0.003 * weighted, 0.003 * weighted}},
		{Damping{Scale: Weighted, Value: 2}, []Matrix[float64]{wide, b}, [2]float64{2 * weighted, 2 * weighted}},
		{Damping{Scale: ByModule}, []Matrix[float64]{a, b}, [2]float64{0.2, 0.2}},
		{Damping{Scale: ByModule, Value: 1}, []Matrix[float64]{wide, b}, [2]float64{1, 2}},
		{Damping{Scale: Absolute}, []Matrix[float64]{a, b}, [2]float64{}},
		{Damping{Scale: Absolute, Value: 5}, []Matrix[float64]{a, b}, [2]float64{5, 5}},
		{Damping{}, []Matrix[float64]{dense.New[float64](1, 2), dense.New[float64](1, 1)}, [2]float64{}},
	} {
		for k, v := range c.d.of(c.all) {
			near(t, fmt.Sprint(c.d), v, c.want[k], 1e-15)
		}
	}
}

// TestFactorPartitions: modules whose factors are collected some at a time, and a choice of them, have the curvature that they have all at once.
func TestFactorPartitions(t *testing.T) {
	for _, m := range models() {
		for _, kind := range []Preconditioner{KFAC, EKFAC} {
			o := Options{Preconditioner: kind, Damping: absolute}
			side := Side[float64]{Examples: m.train()}
			want := pairwise(t, m.estimator(t, o), lossOf(m.queries()), side, ScoreOptions{PerModule: true})
			for o.ModuleCount = 1; o.ModuleCount <= 2; o.ModuleCount++ {
				s := pairwise(t, m.estimator(t, o), lossOf(m.queries()), side, ScoreOptions{PerModule: true})
				for k := range want.ByModule {
					nearMatrix(t, m.name, s.ByModule[k], want.ByModule[k], 0)
				}
			}
			last := len(want.Modules) - 1
			o.Modules = want.Modules[last:]
			s := pairwise(t, m.estimator(t, o), lossOf(m.queries()), side, ScoreOptions{})
			nearMatrix(t, m.name, s.Values, want.ByModule[last], 0)
		}
	}
}

// TestTotal: curvature of every example counted twice says of each half of what it says of all.
func TestTotal(t *testing.T) {
	m := models()[0]
	side := Side[float64]{Examples: m.train()}
	want := pairwise(t, m.estimator(t, Options{}), lossOf(m.queries()), side, ScoreOptions{}).Values
	s := pairwise(t, m.estimator(t, Options{Total: 14}), lossOf(m.queries()), side, ScoreOptions{}).Values
	for i := range s.Data {
		near(t, "total", 2*s.Data[i], want.Data[i], 1e-12)
	}
}

// TestCompression: a rank of the number of positions loses nothing of gradients that are not preconditioned, 8 bits keep the ranks of scores (0.98), rank 3
// nearly (0.9), and both take less memory.
func TestCompression(t *testing.T) {
	positions := map[string]int{"mlp": 1, "positions": 3, "transformer": 4}
	for _, m := range models() {
		e := m.estimator(t, Options{Preconditioner: KFAC})
		side := Side[float64]{Examples: m.train()}
		want := pairwise(t, e, lossOf(m.train()), side, ScoreOptions{}).Values
		for _, c := range []Compression{{Rank: 3}, {Bits: 8}, {Bits: 8, Rank: 3}} {
			s := pairwise(t, e, lossOf(m.train()), side, ScoreOptions{Compression: c}).Values
			rho, err := Spearman(s.Data, want.Data)
			if err != nil {
				t.Fatal(err)
			}
			if least := 0.98 - 0.08*float64(min(c.Rank, 1)); rho < least {
				t.Errorf("%s, %+v: rank correlation %v", m.name, c, rho)
			}
		}
		if rank := positions[m.name]; rank > 0 {
			g, err := e.Gradients(side, GradientOptions{Compression: Compression{Rank: rank}})
			if err != nil {
				t.Fatal(err)
			}
			s, err := e.Score(g, lossOf(m.train()), false)
			if err != nil {
				t.Fatal(err)
			}
			for i := range s.Values.Rows {
				for q, v := range s.Values.Row(i) {
					near(t, m.name+": full rank", v, want.At(q, i), 1e-12)
				}
			}
		}
		testBytes(t, e, side)
	}
}

func testBytes(t *testing.T, e *Estimator[float64], side Side[float64]) {
	t.Helper()
	var size [3]int
	for k, c := range []Compression{{}, {Bits: 8}, {Bits: 8, Rank: 1}} {
		g, err := e.Gradients(side, GradientOptions{Compression: c})
		if err != nil {
			t.Fatal(err)
		}
		size[k] = g.Bytes()
	}
	if size[1] >= size[0]/2 || size[0] >= size[1]*8 {
		t.Errorf("%d bytes, with 8 bits for each element %d, with rank 1 %d", size[0], size[1], size[2])
	}
}

// TestLowRankOfTall: matrices with more rows than columns are approximated from the other side.
func TestLowRankOfTall(t *testing.T) {
	for _, shape := range [][2]int{{7, 3}, {3, 7}, {4, 4}} {
		v := random(6, shape[0], shape[1])
		var svd mat.SVD
		if !svd.Factorize(mat.NewDense(v.Rows, v.Cols, v.Data), mat.SVDNone) {
			t.Fatal("no singular values")
		}
		values := svd.Values(nil)
		for rank := 1; rank < min(v.Rows, v.Cols); rank++ {
			left, right, err := splitRow(newSplitter(v.Rows, v.Cols, rank), v.Data)
			if err != nil {
				t.Fatal(err)
			}
			rest := v.Clone()
			dense.Gemm(dense.NoTrans, dense.NoTrans, -1, dense.Wrap(v.Rows, rank, left), dense.Wrap(rank, v.Cols, right), 1, rest)
			var want float64
			for _, s := range values[rank:] {
				want += s * s
			}
			near(t, "what is left out", dense.Dot(rest.Data, rest.Data), want, 1e-12)
		}
	}
}

// TestLowRankOfSmallSingularValues: a matrix of rank 2 is kept to rounding, though the square of its second singular value is below the rounding of the first's.
func TestLowRankOfSmallSingularValues(t *testing.T) {
	for _, shape := range [][2]int{{9, 6}, {6, 9}} {
		a, b := random(7, shape[0], 2), random(8, 2, shape[1])
		dense.Scale(1e-7, b.Row(1), b.Row(1))
		v := dense.New[float64](shape[0], shape[1])
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, a, b, 0, v)
		left, right, err := splitRow(newSplitter(v.Rows, v.Cols, 2), v.Data)
		if err != nil {
			t.Fatal(err)
		}
		dense.Gemm(dense.NoTrans, dense.NoTrans, -1, dense.Wrap(v.Rows, 2, left), dense.Wrap(2, v.Cols, right), 1, v)
		near(t, "what is left out", math.Sqrt(dense.Dot(v.Data, v.Data)), 0, 1e-14)
	}
}

// TestSum: scores against the sum of gradients are the sums of scores.
func TestSum(t *testing.T) {
	m := models()[0]
	e := m.estimator(t, Options{})
	g, err := e.Gradients(Side[float64]{Examples: m.train()}, GradientOptions{Compression: Compression{Rank: 2}})
	if err != nil {
		t.Fatal(err)
	}
	each, err := e.Score(g, lossOf(m.queries()), false)
	if err != nil {
		t.Fatal(err)
	}
	all, err := e.Score(g.Sum(), lossOf(m.queries()), false)
	if err != nil {
		t.Fatal(err)
	}
	for q := range all.Values.Cols {
		var sum float64
		for i := range each.Values.Rows {
			sum += each.Values.At(i, q)
		}
		near(t, "sum", all.Values.At(0, q), sum, 1e-12)
	}
}

// TestCache: gradients and estimators come back from files as they were, bit for bit, and those of other networks or damaged files are refused.
func TestCache(t *testing.T) {
	all := models()
	for i, m := range all {
		for _, kind := range Preconditioners() {
			e := m.estimator(t, Options{Preconditioner: kind})
			var file bytes.Buffer
			if err := e.Write(&file); err != nil {
				t.Fatal(err)
			}
			content := file.Bytes()
			back, err := Read(m.net, bytes.NewReader(content))
			if err != nil {
				t.Fatal(err)
			}
			if back.Kind() != kind || !slices.Equal(back.Skipped(), e.Skipped()) {
				t.Errorf("%s comes back as %s without %v", kind, back.Kind(), back.Skipped())
			}
			other := &all[(i+1)%len(all)]
			if _, err := Read(other.net, bytes.NewReader(content)); err == nil {
				t.Errorf("%s: estimator of %s", other.name, m.name)
			}
			if _, err := Read(m.net, bytes.NewReader(content[:len(content)-3])); err == nil {
				t.Error("a truncated estimator was read")
			}
			for _, c := range []Compression{{}, {Bits: 8}, {Rank: 2}, {Bits: 8, Rank: 1}} {
				testCachedGradients(t, &m, e, back, other, c)
			}
		}
	}
}

func testCachedGradients(t *testing.T, m *model, e, back *Estimator[float64], other *model, c Compression) {
	t.Helper()
	g, err := e.Gradients(lossOf(m.queries()), GradientOptions{Precondition: true, Compression: c})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := g.Write(&file); err != nil {
		t.Fatal(err)
	}
	content := file.Bytes()
	read, err := back.ReadGradients(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	want, err := e.Score(g, Side[float64]{Examples: m.train()}, false)
	if err != nil {
		t.Fatal(err)
	}
	got, err := back.Score(read, Side[float64]{Examples: m.train()}, false)
	if err != nil {
		t.Fatal(err)
	}
	nearMatrix(t, m.name, got.Values, want.Values, 0)
	stranger := other.estimator(t, Options{})
	if _, err := stranger.ReadGradients(bytes.NewReader(content)); err == nil {
		t.Errorf("gradients of %s in %s", m.name, other.name)
	}
	if _, err := stranger.Score(g, Side[float64]{Examples: other.train()}, false); err == nil {
		t.Errorf("scores of gradients of %s in %s", m.name, other.name)
	}
	if _, err := back.ReadGradients(bytes.NewReader(content[:len(content)/2])); err == nil {
		t.Error("truncated gradients were read")
	}
}

// TestSoftmax: for one softmax layer EKFAC scores as the exact Gauss-Newton matrix does within 30 %, with a rank correlation of 0.9, and nearer to it than KFAC,
// which is nearer than the diagonal.
func TestSoftmax(t *testing.T) {
	n := net.New[float64](linear(1, 4, 3), &net.CrossEntropy[float64]{}, 1)
	b := &net.Batch[float64]{N: 40, X: random(3, 40, 4), Target: net.Target[float64]{Classes: classes(4, 40, 3)}}
	data := Fixed(b)
	m := model{name: "softmax", net: n, batches: []*net.Batch[float64]{b, b}}
	r, err := curvature.NewRisk(n, data.all(), curvature.RiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ggn := curvature.Form(curvature.NewGGN(r))
	h := mat.NewDense(ggn.Rows, ggn.Cols, ggn.Data)
	for i := range ggn.Rows {
		h.Set(i, i, h.At(i, i)+damping)
	}
	gradients := terms(t, &m)
	var want []float64
	for q := range b.N {
		var solved mat.VecDense
		query := gradientOf(n, b, q)
		if err := solved.SolveVec(h, mat.NewVecDense(len(query), query)); err != nil {
			t.Fatal(err)
		}
		for _, g := range gradients {
			want = append(want, dense.Dot(solved.RawVector().Data, g))
		}
	}
	compare := func(kind Preconditioner) (relative, rank float64) {
		s := pairwise(t, m.estimator(t, Options{Preconditioner: kind, Damping: absolute}), lossOf(data), Side[float64]{Examples: data}, ScoreOptions{})
		var e, size float64
		for i, v := range s.Values.Data {
			e += (v - want[i]) * (v - want[i])
			size += want[i] * want[i]
		}
		rho, err := Spearman(s.Values.Data, want)
		if err != nil {
			t.Fatal(err)
		}
		return math.Sqrt(e / size), rho
	}
	ekfac, rank := compare(EKFAC)
	kfac, _ := compare(KFAC)
	diagonal, _ := compare(Diagonal)
	if ekfac > 0.3 || rank < 0.9 || ekfac > kfac || kfac > diagonal {
		t.Errorf("relative error of EKFAC %v (rank correlation %v), of KFAC %v, of the diagonal %v", ekfac, rank, kfac, diagonal)
	}
}
