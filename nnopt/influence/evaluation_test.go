package influence

import (
	"errors"
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/net"
)

// additive is a "training" whose measurement is what leaving examples out raises it by, exactly.
func additive(effects Matrix[float64]) Retrain {
	return func(subset []int, _ uint64) ([]float64, error) {
		out := make([]float64, effects.Rows)
		for q := range out {
			for i, v := range effects.Row(q) {
				if !slices.Contains(subset, i) {
					out[q] += v
				}
			}
		}
		return out, nil
	}
}

// TestLDSIdentities: true additive effects score 1, their negatives -1, and a constant for a query does not matter for subsets of one size.
func TestLDSIdentities(t *testing.T) {
	effects := random(2, 3, 20)
	subsets, err := Subsets(20, 15, 0.5, source(1))
	if err != nil {
		t.Fatal(err)
	}
	measured, err := Measure(subsets, []uint64{1, 2}, additive(effects))
	if err != nil {
		t.Fatal(err)
	}
	lds := func(change func(q int, v float64) float64) *LDSResult {
		s := effects.Clone()
		for q := range s.Rows {
			for i, v := range s.Row(q) {
				s.Set(q, i, change(q, v))
			}
		}
		r, err := LDS(s, subsets, measured)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := lds(func(_ int, v float64) float64 { return v }); r.Mean.Value != 1 || r.Mean.StdErr != 0 {
		t.Errorf("true effects: %+v", r)
	}
	if r := lds(func(_ int, v float64) float64 { return -v }); r.Mean.Value != -1 {
		t.Errorf("negative effects: %+v", r)
	}
	if r := lds(func(q int, v float64) float64 { return 3*v + float64(10*q) }); math.Abs(r.Mean.Value-1) > 1e-12 {
		t.Errorf("constant: %+v", r)
	}
	c, err := CeilingOf(measured)
	if err != nil || c.Pairs.Value != 1 || c.Others.Value != 1 {
		t.Errorf("ceiling without noise: %+v, %v", c, err)
	}
}

// TestCeiling: with noise in the measurements the ceiling is below 1, and the mean of the other seeds predicts better than one of them.
func TestCeiling(t *testing.T) {
	effects, noise := random(2, 6, 30), source(3)
	subsets, err := Subsets(30, 40, 0.5, source(1))
	if err != nil {
		t.Fatal(err)
	}
	exact := additive(effects)
	measured, err := Measure(subsets, []uint64{1, 2, 3, 4}, func(subset []int, seed uint64) ([]float64, error) {
		m, err := exact(subset, seed)
		for q := range m {
			m[q] += 3 * noise.NormFloat64()
		}
		return m, err
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := CeilingOf(measured)
	if err != nil {
		t.Fatal(err)
	}
	if !(c.Pairs.Value > 0.2 && c.Others.Value > c.Pairs.Value && c.Others.Value < 0.95 && c.Pairs.StdErr > 0) {
		t.Errorf("ceiling %+v", c)
	}
}

func TestSubsets(t *testing.T) {
	subsets, err := Subsets(9, 4, 0.5, source(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range subsets {
		if len(s) != 5 || !slices.IsSorted(s) || s[0] < 0 || s[4] > 8 || len(slices.Compact(slices.Clone(s))) != 5 {
			t.Errorf("subset %v", s)
		}
	}
	if slices.Equal(subsets[0], subsets[1]) {
		t.Error("two subsets are equal")
	}
}

// TestSpearman against values by hand, with ties.
func TestSpearman(t *testing.T) {
	for _, c := range []struct {
		a, b []float64
		want float64
	}{
		{[]float64{1, 2, 3, 4}, []float64{10, 20, 25, 900}, 1},
		{[]float64{1, 2, 3, 4}, []float64{4, 3, 2, 1}, -1},
		{[]float64{1, 2, 3}, []float64{1, 3, 2}, 0.5},
		{[]float64{1, 1, 2}, []float64{1, 2, 3}, math.Sqrt(3) / 2},
	} {
		got, err := Spearman(c.a, c.b)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "rank correlation", got, c.want, 1e-14)
	}
}

// TestWithoutTop: with additive effects removing the top k raises a measurement by the sum of their scores, more than removing any others.
func TestWithoutTop(t *testing.T) {
	effects := random(2, 3, 20)
	r, err := WithoutTop(effects, []int{1, 5}, []uint64{1, 2}, additive(effects))
	if err != nil {
		t.Fatal(err)
	}
	for _, removal := range r {
		var changes []float64
		for q := range effects.Rows {
			sorted := slices.Clone(effects.Row(q))
			slices.Sort(sorted)
			var want float64
			for _, v := range sorted[len(sorted)-removal.Removed:] {
				want += v
			}
			near(t, "change", removal.Changes[q], want, 1e-12)
			changes = append(changes, want)
		}
		near(t, "mean change", removal.Change.Value, meanOf(changes).Value, 1e-12)
	}
	if top := Top([]float64{1, 5, 5, 7}, 3); !slices.Equal(top, []int{3, 1, 2}) {
		t.Errorf("top %v", top)
	}
}

// TestTRAK against the formula with the projection as a matrix, the Gram matrix inverted by gonum, and gradients from whole backward passes.
func TestTRAK(t *testing.T) {
	const features, damp = 9, 0.2
	m := models()[0]
	s, err := TRAK(m.net, Side[float64]{Examples: m.queries()}, Side[float64]{Examples: m.train()}, TRAKOptions[float64]{Features: features, Seed: 3, Damping: damp})
	if err != nil {
		t.Fatal(err)
	}
	e, err := plain(m.net, false)
	if err != nil {
		t.Fatal(err)
	}
	projected := func(b *net.Batch[float64], i int) *mat.VecDense {
		g := gradientOf(m.net, b, i)
		sum := dense.New[float64](1, features)
		for k := range e.modules {
			f := &e.modules[k]
			v := dense.New[float64](f.Dims())
			f.Gather(g, v)
			project(dense.Wrap(1, len(v.Data), v.Data), sum, 3, k)
		}
		return mat.NewVecDense(features, sum.Data)
	}
	gram := mat.NewSymDense(features, nil)
	var losses []*mat.VecDense
	train := m.train()
	for b := range train.all() {
		for i := range b.N {
			loss := projected(b, i)
			p := math.Exp(-m.net.Loss.Evaluate(net.Dual[float64]{V: m.net.Forward(b).View(i, 0, 1, 3)}, &net.Target[float64]{Classes: b.Target.Classes[i : i+1]}, net.Dual[float64]{}))
			gram.SymRankOne(gram, 1/((1-p)*(1-p)), loss) // the gradient of the margin is that of the loss over -(1-p)
			losses = append(losses, loss)
		}
	}
	trace := mat.Trace(gram)
	for i := range features {
		gram.SetSym(i, i, gram.At(i, i)+damp*trace/features)
	}
	last := m.batches[len(m.batches)-1]
	for q := range last.N {
		var solved mat.VecDense
		if err := solved.SolveVec(gram, projected(last, q)); err != nil {
			t.Fatal(err)
		}
		for i, l := range losses {
			near(t, "score", s.Values.At(q, i), mat.Dot(&solved, l), 1e-10)
		}
	}
}

// TestProjection keeps inner products on average: the elements have mean square 1/features, and rows of different modules differ.
func TestProjection(t *testing.T) {
	const features, dim = 256, 1100
	rows := dense.New[float64](2, dim)
	copy(rows.Row(0), random(1, 1, dim).Data)
	copy(rows.Row(1), random(2, 1, dim).Data)
	sums, other := dense.New[float64](2, features), dense.New[float64](2, features)
	project(rows, sums, 1, 0)
	project(rows, other, 1, 1)
	if ratio := dense.Dot(sums.Row(0), sums.Row(0)) / dense.Dot(rows.Row(0), rows.Row(0)); ratio < 0.7 || ratio > 1.3 {
		t.Errorf("squared length changes by %v", ratio)
	}
	if slices.Equal(sums.Data, other.Data) {
		t.Error("two modules have the same projection")
	}
}

// TestDataErrors: every mistake in data is an error that says what it is.
func TestDataErrors(t *testing.T) {
	nan, effects := math.NaN(), random(2, 2, 6)
	bad := effects.Clone()
	bad.Data[3] = nan
	subsets := [][]int{{0, 1, 2}, {3, 4, 5}}
	ok := [][][]float64{{{1, 2}}, {{3, 4}}}
	broken := func([]int, uint64) ([]float64, error) { return nil, errors.New("no training") }
	short := func([]int, uint64) ([]float64, error) { return []float64{1}, nil }
	for name, f := range map[string]func() error{
		"subsets to hold": func() error { _, err := Subsets(10, 1<<40, 0.5, source(1)); return err },
		"no source":       func() error { _, err := Subsets(10, 3, 0.5, nil); return err },
		"no training":     func() error { _, err := Measure(subsets, []uint64{1}, nil); return err },
		"shape":           func() error { _, err := Predict(Matrix[float64]{Rows: 2, Cols: 6, Stride: 6}, subsets); return err },
		"shape of removals": func() error {
			_, err := WithoutTop(Matrix[float64]{Rows: 1, Cols: -1}, []int{1}, []uint64{1}, short)
			return err
		},
		"no subsets":         func() error { _, err := Subsets(10, 0, 0.5, source(1)); return err },
		"empty subset":       func() error { _, err := Subsets(10, 3, 0.01, source(1)); return err },
		"whole subset":       func() error { _, err := Subsets(10, 3, 0.99, source(1)); return err },
		"share":              func() error { _, err := Subsets(10, 3, nan, source(1)); return err },
		"measure nothing":    func() error { _, err := Measure(nil, []uint64{1}, broken); return err },
		"measure no subset":  func() error { _, err := Measure([][]int{{}}, []uint64{1}, broken); return err },
		"training":           func() error { _, err := Measure(subsets, []uint64{1}, broken); return err },
		"predict empty":      func() error { _, err := Predict(effects, [][]int{{}}); return err },
		"predict outside":    func() error { _, err := Predict(effects, [][]int{{6}}); return err },
		"predict twice":      func() error { _, err := Predict(effects, [][]int{{1, 1}}); return err },
		"scores":             func() error { _, err := LDS(bad, subsets, ok); return err },
		"measurements":       func() error { _, err := LDS(effects, subsets, ok[:1]); return err },
		"queries":            func() error { _, err := LDS(effects, subsets, [][][]float64{{{1}}, {{2}}}); return err },
		"seeds":              func() error { _, err := LDS(effects, subsets, [][][]float64{{{1, 2}}, {{2, 3}, {1, 2}}}); return err },
		"not finite":         func() error { _, err := LDS(effects, subsets, [][][]float64{{{1, nan}}, {{2, 3}}}); return err },
		"no ranks":           func() error { _, err := LDS(effects, subsets, [][][]float64{{{1, 2}}, {{1, 2}}}); return err },
		"ceiling":            func() error { _, err := CeilingOf(ok); return err },
		"lengths":            func() error { _, err := Spearman([]float64{1}, []float64{1, 2}); return err },
		"removal of all":     func() error { _, err := WithoutTop(effects, []int{6}, []uint64{1}, additive(effects)); return err },
		"removal of none":    func() error { _, err := WithoutTop(effects, []int{0}, []uint64{1}, additive(effects)); return err },
		"removal by nan":     func() error { _, err := WithoutTop(bad, []int{1}, []uint64{1}, additive(effects)); return err },
		"removal queries":    func() error { _, err := WithoutTop(effects, []int{1}, []uint64{1}, short); return err },
		"removal seeds":      func() error { _, err := WithoutTop(effects, []int{1}, nil, additive(effects)); return err },
		"regression targets": func() error { _, err := NewRidge(effects, []float64{1}, 0.1); return err },
		"regression nan":     func() error { _, err := NewRidge(bad, []float64{1, 2}, 0.1); return err },
		"regression rank":    func() error { _, err := NewRidge(effects, []float64{1, 2}, 0); return err },
	} {
		if err := f(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
