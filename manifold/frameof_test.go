package manifold

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestFrameOf: F is kept as it is, its inverse and determinant are right to the condition of F with columns of one length, however much their lengths differ.
func TestFrameOf(t *testing.T) {
	for seed, n := range []int{1, 2, 7, 40} {
		for _, spread := range []float64{0, 8, 100} {
			r := rand.New(rand.NewPCG(uint64(seed), 5))
			f, q := mat.NewDense(n, n, nil), mat.NewDense(n, n, nil)
			for i := range n {
				for j := range n {
					f.Set(i, j, r.NormFloat64())
				}
			}
			var qr mat.QR
			qr.Factorize(f)
			qr.QTo(q)
			for j := range n {
				length := math.Pow(10, spread*(r.Float64()-0.5))
				for i := range n {
					f.Set(i, j, length*(q.At(i, j)+0.1*r.NormFloat64()/float64(n)))
				}
			}
			p, err := FrameOf(f)
			if err != nil {
				t.Fatal(err)
			}
			var lu mat.LU
			lu.Factorize(f)
			want, _ := lu.LogDet()
			if e := math.Abs(p.LogDet() - 2*want); !(e < 1e-10*float64(n)*(1+math.Abs(want))) {
				t.Errorf("n = %d, spread %g: log det %g, want %g", n, spread, p.LogDet(), 2*want)
			}
			if !mat.Equal(p.F(), f) {
				t.Errorf("n = %d: another F", n)
			}
			for i := range n {
				for j := range n {
					var e, size float64
					for k := range n {
						e += p.Inverse().At(i, k) * f.At(k, j)
						size += math.Abs(p.Inverse().At(i, k) * f.At(k, j))
					}
					if i == j {
						e--
					}
					if !(math.Abs(e) < 1e-13*(1+size)) {
						t.Errorf("n = %d, spread %g: entry (%d,%d) of F^-1 F - I is %g", n, spread, i, j, e)
					}
				}
			}
		}
	}
}

// TestFrameOfBadInput: everything that is no frame is an error that says so.
func TestFrameOfBadInput(t *testing.T) {
	nan := mat.NewDense(2, 2, []float64{1, 0, 0, math.NaN()})
	for name, f := range map[string]*mat.Dense{"nil": nil, "empty": {}, "rectangle": mat.NewDense(2, 3, nil), "zero": mat.NewDense(2, 2, nil),
		"singular": mat.NewDense(2, 2, []float64{1, 2, 2, 4}), "NaN": nan, "Inf": mat.NewDense(1, 1, []float64{math.Inf(-1)})} {
		if p, err := FrameOf(f); err == nil || p != nil {
			t.Errorf("%s: %v", name, p)
		} else if point := new(PointError); name != "nil" && !errors.As(err, &point) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
