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

// TestNewInverseFrame: the frame is triangular, one of the inverse, and stays one when it is reversed.
func TestNewInverseFrame(t *testing.T) {
	for _, n := range []int{1, 2, 3, 8, 33} {
		r := rand.New(rand.NewPCG(uint64(n), 3))
		x := mat.NewDense(n, n, nil)
		for i := range n {
			for j := range n {
				x.Set(i, j, r.NormFloat64())
			}
			x.Set(i, i, x.At(i, i)+3)
		}
		s := mat.NewSymDense(n, nil)
		s.SymOuterK(1, x)
		p, err := NewInverseFrame(s)
		if err != nil {
			t.Fatal(err)
		}
		q, _ := NewFrame(s)
		if !p.Lower() || math.Abs(p.LogDet()+q.LogDet()) > 1e-10 {
			t.Errorf("n = %d: lower %v, log det %g, of the inverse %g", n, p.Lower(), p.LogDet(), q.LogDet())
		}
		for _, reversed := range []bool{false, true} {
			if reversed {
				p.Reverse()
			}
			var product, back mat.Dense
			product.Mul(p.Inverse(), p.F())
			back.Mul(p.Inverse().T(), p.Inverse())
			for i := range n {
				for j := range n {
					one := 0.0
					if i == j {
						one = 1
					}
					if math.Abs(product.At(i, j)-one) > 1e-9 || math.Abs(back.At(i, j)-s.At(i, j)) > 1e-12*s.Trace() {
						t.Fatalf("n = %d, reversed %v: F^-1 F has %g, L'L %g for %g at (%d,%d)", n, reversed, product.At(i, j), back.At(i, j), s.At(i, j), i, j)
					}
					if !reversed && j > i && (p.F().At(i, j) != 0 || p.Inverse().At(i, j) != 0) {
						t.Fatalf("n = %d: not triangular at (%d,%d)", n, i, j)
					}
				}
			}
		}
	}
	if _, err := NewInverseFrame(mat.NewSymDense(2, []float64{1, 2, 2, 1})); err == nil {
		t.Error("an indefinite matrix has a frame")
	}
}

// TestRegular: a triangular frame that is regular can be completed, and one that cannot be is not.
func TestRegular(t *testing.T) {
	for _, n := range []int{1, 2, 5, 40} {
		m, _ := NewAffine(n, AffineOptions{Retraction: TriangularStep})
		for exponent := 0; exponent < 40; exponent++ {
			r := rand.New(rand.NewPCG(uint64(exponent), 8))
			p := IdentityFrame(n, 1)
			for i := range n {
				for j := range i {
					p.inv.Set(i, j, r.NormFloat64()/float64(n))
				}
			}
			p.inv.Set(n-1, n-1, math.Exp2(-float64(exponent)))
			p.inv.Set(0, 0, math.Exp2(float64(exponent)))
			p.stale = true
			regular, complete := p.Regular(), p.Clone().(*Frame).complete()
			if regular == nil && complete != nil {
				t.Errorf("n = %d, exponent %d: regular, but %v", n, exponent, complete)
			}
			if n > 1 && exponent < 10 && regular != nil {
				t.Errorf("n = %d, exponent %d: %v", n, exponent, regular)
			}
			if n > 1 && exponent > 30 && !errors.As(regular, new(*PointError)) {
				t.Errorf("n = %d, exponent %d: %v", n, exponent, regular)
			}
			if regular == nil && m.Complete(p) != nil {
				t.Errorf("n = %d, exponent %d: not complete", n, exponent)
			}
		}
	}
}
