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
