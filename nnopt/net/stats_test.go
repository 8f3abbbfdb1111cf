package net

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
)

// TestSampledGradient: for the cross-entropy of three classes the vectors at the outputs are (p - e_c)/R with drawn classes c, zero at a row
// without a class, and over many draws their second moment is the Hessian diag(p) - p p^T.
func TestSampledGradient(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	n := New[float64](NewLinear[float64](r, 2, 3, LinearOptions{}), &CrossEntropy[float64]{}, 1)
	b := &Batch[float64]{X: dense.New[float64](3, 2), N: 3, Target: Target[float64]{Classes: []int32{0, -1, 2}}}
	for i := range b.X.Data {
		b.X.Data[i] = r.NormFloat64()
	}
	_, out := n.Evaluate(b)
	var p [3]float64
	var total float64
	for j, v := range out.Row(0) {
		p[j] = math.Exp(v)
		total += p[j]
	}
	const draws = 20000
	var second [3][3]float64
	for range draws {
		n.SampledGradient(b, r)
		s := n.Stats(nil)
		if l := n.Layers(); len(l) != 1 || len(s) != 1 || l[0].Weight != s[0].Weight || l[0].Bias != s[0].Bias || s[0].Bias == "" {
			t.Fatalf("layers %v, statistics of %q and %q", l, s[0].Weight, s[0].Bias)
		}
		for _, v := range s[0].Out.Row(1) {
			if v != 0 {
				t.Fatalf("a row without a class has the vector %v", s[0].Out.Row(1))
			}
		}
		row := s[0].Out.Row(0)
		for i := range 3 {
			for j := range 3 {
				second[i][j] += 4 * row[i] * row[j] / draws // two rows count
			}
		}
	}
	for i := range 3 {
		for j := range 3 {
			want := -p[i] * p[j] / (total * total)
			if i == j {
				want += p[i] / total
			}
			near(t, "second moment", second[i][j], want, 0.01)
		}
	}
}

// TestStatsTerms: Terms times the second moments of an averaged loss is R times those of its terms, which the pass of the summed loss has, also where
// rows do not count; a pass that starts from no loss says nothing.
func TestStatsTerms(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 1))
	const examples, positions = 3, 4
	layer := NewLinear[float64](r, 2, 3, LinearOptions{})
	b := &Batch[float64]{X: dense.New[float64](examples*positions, 2), N: examples, Target: Target[float64]{Classes: make([]int32, examples*positions)}}
	for i := range b.X.Data {
		b.X.Data[i] = r.NormFloat64()
	}
	for i := range b.Target.Classes {
		b.Target.Classes[i] = int32(i%4) - 1
	}
	const counted = 9
	second := func(sum bool) (moment dense.Matrix[float64]) {
		n := New[float64](layer, &CrossEntropy[float64]{Sum: sum}, 1)
		n.Gradient(b)
		s := n.Stats(nil)[0]
		want := 1.0
		if !sum {
			want = counted
		}
		if near(t, "terms", s.Terms, want, 1e-12); s.Reps != positions {
			t.Errorf("%d positions", s.Reps)
		}
		moment = dense.New[float64](3, 3)
		dense.Gemm(dense.Transposed, dense.NoTrans, s.Terms, s.Out, s.Out, 0, moment)
		n.SampledGradient(b, r)
		near(t, "terms of a sampled pass", n.Stats(nil)[0].Terms, want, 1e-12)
		n.PullBack(n.Outputs())
		near(t, "terms of a pulled vector", n.Stats(nil)[0].Terms, 0, 0)
		return moment
	}
	mean, sum := second(false), second(true)
	for i, v := range sum.Data {
		near(t, "second moment", mean.Data[i], v/counted, 1e-12)
	}
}
