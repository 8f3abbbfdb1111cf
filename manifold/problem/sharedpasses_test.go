package problem

import (
	"runtime"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/gallery"
)

// TestSharedPasses: the same bits for any number of threads where passes over samples have several parts.
func TestSharedPasses(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	stream := gallery.NewStream(31)
	samples, matrices := Data{Samples: dataOf(stream.Normals(2700, 30))}, Data{Samples: dataOf(stream.Normals(150, 70*100)), Rows: 70}
	for _, c := range []struct {
		problem, method string
		data            Data
	}{
		{"dopt", "exchange", samples}, {"dopt", "trust", samples}, {"mve", "exchange", samples},
		{"tyler", "fixed-point", samples}, {"tyler", "trust", samples}, {"student", "fixed-point", samples}, {"huber", "newton", samples},
		{"kron-mle", "flip-flop", matrices}, {"kron-mle", "trust", matrices},
	} {
		var want []float64
		for _, threads := range []int{1, 2, 4} {
			runtime.GOMAXPROCS(threads)
			r, err := Solve(c.problem, c.data, &Options{Method: c.method})
			if err != nil || !r.Converged {
				t.Fatalf("%s by %s: %+v %v", c.problem, c.method, r, err)
			}
			got := append(slices.Clone(r.Solution.RawSymmetric().Data), r.Objective, r.RelativeGradient, r.Certificate.Value)
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s by %s: other bits with %d threads", c.problem, c.method, threads)
			}
		}
	}
}
