package problem

import (
	"math"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
)

// TestSinglePencil: multiplied back by A and B a solution in single precision is as near to the right-hand side as singleNoise says, in any units, and ill-conditioned
// pencils are left to double precision.
func TestSinglePencil(t *testing.T) {
	const n = 40
	r, y, back, work := dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n)
	taken := map[float64]bool{}
	for _, condition := range []float64{1, 1e2, 1e4, 1e6, 1e10} {
		for _, unit := range []float64{1, 1e-25, 1e25} {
			a, b := gallery.SPD(3, n, condition), gallery.SPD(4, n, 10)
			dense.Scale(unit, a.Data, a.Data)
			p := newPencil(n, new(lender))
			if err := p.set(a, b); err != nil {
				t.Fatal(err)
			}
			q := &singlePencil{shared: newSingleWeights(p, new(lender))}
			r.Copy(gallery.SPD(5, n, 1e3))
			dense.Scale(1e-12, r.Data, r.Data)
			if !q.set(p, math.Sqrt(dense.Dot(a.Data, a.Data)*dense.Dot(b.Data, b.Data))) || !q.solve(y, r) {
				continue
			}
			taken[condition] = true
			dense.Gemm(dense.NoTrans, dense.NoTrans, 1, a, y, 0, work)
			dense.Gemm(dense.NoTrans, dense.NoTrans, 0.5, work, b, 0, back)
			addTransposed(work, back)
			dense.Axpy(-1, r.Data, work.Data)
			if e := math.Sqrt(dense.Dot(work.Data, work.Data) / dense.Dot(r.Data, r.Data)); !(e < 2*singleNoise) {
				t.Errorf("condition %g, unit %g: residual %g", condition, unit, e)
			}
			clear(r.Data)
			if !q.solve(y, r) || dense.Dot(y.Data, y.Data) != 0 {
				t.Errorf("condition %g: zero is not solved", condition)
			}
		}
	}
	if !taken[1] || !taken[1e4] || taken[1e10] {
		t.Errorf("single precision taken at the conditions %v", taken)
	}
}
