package solve

import (
	"errors"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
)

// box is d(S, B)^2/2 on the diagonal matrices with logarithms from -size to size, a flat convex set.
type box struct {
	*tug
	size     float64
	vertices []*manifold.Frame
}

func newBox(b *tug, size float64) *box {
	f := &box{tug: b, size: size}
	n := b.m.Dim()
	for code := range 1 << n {
		s := mat.NewSymDense(n, nil)
		for i := range n {
			s.SetSym(i, i, math.Exp(size*float64(2*(code>>i&1)-1)))
		}
		p, err := manifold.NewFrame(s)
		if err != nil {
			panic(err)
		}
		f.vertices = append(f.vertices, p)
	}
	return f
}

func (f *box) Extreme(dst, _ manifold.Point, grad []float64) error {
	code, n := 0, f.m.Dim()
	for i := range n {
		if grad[i*n+i] < 0 {
			code |= 1 << i
		}
	}
	dst.CopyFrom(f.vertices[code])
	return nil
}

func (f *box) Modulus() float64 { return 1 }

// TestFrankWolfeInABox: the minimizer is the point of the box at which the logarithms of B have no part along the box that leads inside; gap and certificate
// bound how far the run is from it.
func TestFrankWolfeInABox(t *testing.T) {
	m := affine(t, 3, manifold.AffineOptions{})
	for _, size := range []float64{3, 0.3} { // inside, and at the edge
		f := newBox(newTug(m, 0, 14), size)
		start := manifold.IdentityFrame(3, 1)
		best, err := FrankWolfe(m, f, start, &Options{Tolerance: 1e-7, MaxIterations: 20000})
		if err != nil || !best.Converged {
			t.Fatalf("size %g: %+v %v", size, best, err)
		}
		v := make([]float64, 9)
		if err := m.Log(v, best.Point, f.b); err != nil {
			t.Fatal(err)
		}
		d := best.Point.(*manifold.Frame).Sym()
		for i := range 3 {
			x, pull := math.Log(d.At(i, i)), v[3*i+i]
			if at := math.Abs(x) > size-1e-3; !at && math.Abs(pull) > 1e-3 || at && pull*x < -1e-3 || math.Abs(x) > size+1e-12 {
				t.Errorf("size %g: coordinate %d is %v and drawn by %v", size, i, x, pull)
			}
		}
		for _, tolerance := range []float64{1e-1, 1e-2, 1e-3} {
			r, err := FrankWolfe(m, f, start, &Options{Tolerance: tolerance, MaxIterations: 20000})
			if err != nil || !r.Converged || r.Certificate.Kind != "gap" || !r.Certificate.Bound {
				t.Fatalf("size %g to %g: %+v %v", size, tolerance, r, err)
			}
			away, err := m.Distance(r.Point, best.Point)
			if err != nil || r.Objective-best.Objective > r.GradientNorm+1e-12 || away > r.Certificate.Value+best.Certificate.Value {
				t.Errorf("size %g to %g: cost %g above, gap %g; distance %g, certified %g (%v)", size, tolerance, r.Objective-best.Objective, r.GradientNorm, away,
					r.Certificate.Value, err)
			}
		}
	}
}

// clipped is |S - A|^2/2 on an order interval in the Euclidean metric.
type clipped struct {
	m manifold.Matrices
	*manifold.Interval
	a manifold.Point
}

func (f clipped) Evaluate(p manifold.Point, grad []float64, memo Memo) (float64, error) {
	return attraction{f.m, f.a}.Evaluate(p, grad, memo)
}

func (f clipped) Extreme(dst, _ manifold.Point, grad []float64) error {
	return f.Interval.Extreme(dst, grad)
}

// TestFrankWolfeClips: the nearest matrix to A with eigenvalues between bounds clips those of A.
func TestFrankWolfeClips(t *testing.T) {
	m, err := manifold.NewPowerEuclidean(4, manifold.PowerOptions{Alpha: 1})
	if err != nil {
		t.Fatal(err)
	}
	scaled := func(x float64) mat.Symmetric { return manifold.IdentityFrame(4, x).Sym() }
	interval, err := manifold.NewInterval(m, scaled(0.5), scaled(2))
	if err != nil {
		t.Fatal(err)
	}
	composed := func(q mat.Matrix, w ...float64) *mat.SymDense {
		var t, x mat.Dense
		t.Mul(q, mat.NewDiagDense(4, w))
		x.Mul(&t, q.T())
		s := mat.NewSymDense(4, nil)
		for i := range 4 {
			for j := range i + 1 {
				s.SetSym(i, j, (x.At(i, j)+x.At(j, i))/2)
			}
		}
		return s
	}
	basis := m.RandomPoint(newRand(41)).(*manifold.EigenPoint).Basis()
	a, err := m.PointOf(composed(basis, 0.1, 0.8, 1.5, 6))
	if err != nil {
		t.Fatal(err)
	}
	start, err := m.PointOf(scaled(1))
	if err != nil {
		t.Fatal(err)
	}
	r, err := FrankWolfe(m, clipped{m, interval, a}, start, &Options{Tolerance: 1e-4, MaxIterations: 20000})
	if err != nil || !r.Converged {
		t.Fatalf("%+v %v", r, err)
	}
	var off mat.Dense
	off.Sub(r.Point.(*manifold.EigenPoint).Sym(), composed(basis, 0.5, 0.8, 1.5, 2))
	if e := mat.Norm(&off, 2); e > math.Sqrt(2*r.GradientNorm)+1e-12 || r.Iterations < 5 {
		t.Errorf("%g from the clipped matrix, gap %g after %d iterations", e, r.GradientNorm, r.Iterations)
	}
}

func TestFrankWolfeFailures(t *testing.T) {
	m, start := affine(t, 3, manifold.AffineOptions{}), manifold.IdentityFrame(3, 1)
	f := newBox(newTug(m, 0, 14), 1)
	broken := errors.New("no oracle today")
	if _, err := FrankWolfe(m, mute{f, broken}, start, nil); !errors.Is(err, broken) || !strings.Contains(err.Error(), "extreme point") {
		t.Errorf("error %v, want the oracle's", err)
	}
	if _, err := FrankWolfe(m, newLogdet(3, 10, 1), start, nil); err == nil || !strings.Contains(err.Error(), "Oracle") {
		t.Errorf("without an oracle: %v", err)
	}
	r, err := FrankWolfe(m, f, start, &Options{MaxIterations: 2, Tolerance: 1e-12})
	if err != nil || r.Converged || r.Reason.Name != "iterations" || r.Iterations != 2 {
		t.Errorf("%+v %v", r, err)
	}
}

type mute struct {
	*box
	err error
}

func (m mute) Extreme(manifold.Point, manifold.Point, []float64) error { return m.err }
