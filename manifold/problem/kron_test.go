package problem

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
)

// flipFlop is the plain iteration with gonum.
func flipFlop(x *mat.Dense, p, q, steps int) (a, b *mat.SymDense) {
	N, _ := x.Dims()
	a, b = identity(p), identity(q)
	for range steps {
		var inverse, t, sum mat.Dense
		inverse.Inverse(b)
		sum.ReuseAs(p, p)
		for i := range N {
			y := mat.NewDense(p, q, x.RawRowView(i))
			t.Reset()
			t.Mul(y, &inverse)
			var s mat.Dense
			s.Mul(&t, y.T())
			sum.Add(&sum, &s)
		}
		sum.Scale(1/float64(N*q), &sum)
		a = mat.NewSymDense(p, sum.RawMatrix().Data)
		inverse.Reset()
		inverse.Inverse(a)
		next := mat.NewDense(q, q, nil)
		for i := range N {
			y := mat.NewDense(p, q, x.RawRowView(i))
			var u, s mat.Dense
			u.Mul(&inverse, y)
			s.Mul(y.T(), &u)
			next.Add(next, &s)
		}
		next.Scale(1/float64(N*p), next)
		b = mat.NewSymDense(q, next.RawMatrix().Data)
	}
	return a, b
}

// TestKronAgainstThePlainIteration, with correlated rows and columns.
func TestKronAgainstThePlainIteration(t *testing.T) {
	const N, p, q = 12, 4, 3
	x := dataOf(gallery.NewStream(64).Normals(N, p*q))
	left, right := symmetric(gallery.SPD(65, p, 50)), symmetric(gallery.SPD(66, q, 20))
	for i := range N {
		y := mat.NewDense(p, q, x.RawRowView(i))
		y.Mul(left, y)
		y.Mul(y, right)
	}
	a, b := flipFlop(x, p, q, 500)
	for _, method := range []string{"flip-flop", "trust"} {
		for _, normalization := range []Normalization{TraceN, DetOne} {
			o := &Options{Method: method, Normalization: normalization}
			o.Solver.Tolerance = 1e-11
			r := solved(t, "kron-mle", Data{Samples: x, Rows: p}, o)
			var got, want mat.Dense
			got.Kronecker(r.Solution, r.Part("columns"))
			want.Kronecker(a, b)
			if d := distanceRelative(&got, &want); d > 1e-9 {
				t.Errorf("%s: A x B is %g away", method, d)
			}
			if scale := mat.Trace(r.Solution); normalization == TraceN && (scale < p-1e-9 || scale > p+1e-9) {
				t.Errorf("%s: trace %v", method, scale)
			}
			if scale := mat.Det(r.Solution); normalization == DetOne && (scale < 1-1e-9 || scale > 1+1e-9) {
				t.Errorf("%s: determinant %v", method, scale)
			}
		}
	}
}

// TestKronWithOneRow: the column covariance is the sample covariance.
func TestKronWithOneRow(t *testing.T) {
	x := dataOf(gallery.NewStream(67).Normals(20, 3))
	r := solved(t, "kron-mle", Data{Samples: x, Rows: 1}, nil)
	s := mat.NewSymDense(3, nil)
	s.SymOuterK(1.0/20, x.T())
	if d := distanceRelative(r.Part("columns"), s); d > 1e-12 || r.Solution.At(0, 0) != 1 {
		t.Errorf("%g away, A = %v", d, r.Solution.At(0, 0))
	}
}

func TestKronBadInput(t *testing.T) {
	x := dataOf(gallery.NewStream(68).Normals(4, 6))
	refused(t, "kron-mle", Data{Samples: x}, nil, "not said how many rows the samples of 6 numbers have")
	refused(t, "kron-mle", Data{Samples: x, Rows: 4}, nil, "no matrices of 4 rows")
	refused(t, "kron-mle", Data{Samples: x, Rows: 6}, nil, "needs more than max(p/q, q/p)")
}

// TestKronFromSinglePrecision: the result is that of tight tolerances, and where the rounding of samples allows it no step in double precision is needed.
func TestKronFromSinglePrecision(t *testing.T) {
	for _, c := range []struct {
		count, p, q int
		condition   float64
		tolerance   float64
		verified    bool
	}{
		{60, 24, 24, 10, 1e-4, true},
		{60, 24, 24, 10, 1e-9, false},
		{1500, 12, 8, 2, 1e-8, true},
		{1500, 8, 12, 1e3, 1e-8, false},
	} {
		if c.count*c.p*c.q < kronSingleSize {
			t.Fatalf("%+v has no steps in single precision", c)
		}
		x := dataOf(gallery.NewStream(69).Normals(c.count, c.p*c.q))
		left, right := symmetric(gallery.SPD(70, c.p, c.condition)), symmetric(gallery.SPD(71, c.q, c.condition))
		for i := range c.count {
			y := mat.NewDense(c.p, c.q, x.RawRowView(i))
			y.Mul(left, y)
			y.Mul(y, right)
		}
		o := &Options{}
		o.Solver.Tolerance = c.tolerance
		r := solved(t, "kron-mle", Data{Samples: x, Rows: c.p}, o)
		if c.verified != (r.Iterations == 0) {
			t.Errorf("%+v: %d steps in double precision", c, r.Iterations)
		}
		if !(r.RelativeGradient <= c.tolerance) {
			t.Errorf("%+v: relative gradient %g", c, r.RelativeGradient)
		}
		a, b := flipFlop(x, c.p, c.q, 12)
		var got, want mat.Dense
		got.Kronecker(r.Solution, r.Part("columns"))
		want.Kronecker(a, b)
		if d := distanceRelative(&got, &want); d > 20*c.tolerance {
			t.Errorf("%+v: A x B is %g away", c, d)
		}
	}
}

// TestKronRounded: a first pass in bfloat16, where the processor has it and the condition of the factors allows it, does not change the result.
func TestKronRounded(t *testing.T) {
	const N, n = 40, 70
	for _, condition := range []float64{1, 10, 1e3} {
		x := dataOf(gallery.NewStream(72).Normals(N, n*n))
		left, right := symmetric(gallery.SPD(73, n, condition)), symmetric(gallery.SPD(74, n, condition))
		for i := range N {
			y := mat.NewDense(n, n, x.RawRowView(i))
			y.Mul(left, y)
			y.Mul(y, right)
		}
		r := solved(t, "kron-mle", Data{Samples: x, Rows: n}, nil)
		if !(r.RelativeGradient <= 1e-8) || r.Iterations > 3 {
			t.Errorf("condition %g: relative gradient %g after %d steps", condition, r.RelativeGradient, r.Iterations)
		}
		o := &Options{}
		o.Solver.Tolerance = 1e-10
		exact := solved(t, "kron-mle", Data{Samples: x, Rows: n}, o)
		if d := distanceRelative(r.Solution, exact.Solution); d > 1e-6 {
			t.Errorf("condition %g: A is %g away", condition, d)
		}
	}
}

var _, _ stretcher = (*kronObjective)(nil), (*tylerObjective)(nil)

// TestStretchOfShapes: diag(1, d) and diag(e^t, d e^-t) are 2^1/2 t apart, and scaled to trace 2 up to 2^1/2 times as far.
func TestStretchOfShapes(t *testing.T) {
	const step = 1e-4
	for _, d := range []float64{1, 0.5, 1e-2, 1e-6} {
		s := mat.NewSymDense(2, []float64{1, 0, 0, d})
		near := mat.NewSymDense(2, []float64{math.Exp(step), 0, 0, d * math.Exp(-step)})
		near.ScaleSym(mat.Trace(s)/mat.Trace(near), near)
		distance, err := manifold.Distance(s, near)
		if err != nil {
			t.Fatal(err)
		}
		if want := distance / (math.Sqrt2 * step); math.Abs(TraceN.stretch(s)-want) > 1e-3 {
			t.Errorf("d = %g: %g, want %g", d, TraceN.stretch(s), want)
		}
		if DetOne.stretch(s) != 1 {
			t.Errorf("d = %g: %g with determinant 1", d, DetOne.stretch(s))
		}
	}
}

// TestKronCertificateOfIllConditionedSamples: the scale, on which the cost does not depend and whose gradient and curvature are rounding, has no part in the Newton
// step, which was longer than 1 for it or, where the curvature was not positive, none.
func TestKronCertificateOfIllConditionedSamples(t *testing.T) {
	for _, kappa := range []float64{1e4, 1e6, 1e8} { // of both covariances
		for seed := range uint64(4) {
			p, q := int(2+seed), int(1+seed)
			n := p + q + 4
			stream := gallery.NewStream(seed)
			rows, columns := gallery.SPD(10+seed, p, math.Sqrt(kappa)), gallery.SPD(20+seed, q, math.Sqrt(kappa))
			x := mat.NewDense(n, p*q, nil)
			for k := range n {
				white := dense.New[float64](p, q)
				for i := range white.Data {
					white.Data[i] = stream.Normal()
				}
				left, out := dense.New[float64](p, q), dense.Wrap(p, q, x.RawRowView(k))
				dense.Gemm(dense.NoTrans, dense.NoTrans, 1, rows, white, 0, left)
				dense.Gemm(dense.NoTrans, dense.NoTrans, 1, left, columns, 0, out)
			}
			for _, method := range []string{"flip-flop", "trust", "lbfgs"} {
				r := solved(t, "kron-mle", Data{Samples: x, Rows: p}, &Options{Method: method})
				if c := r.Certificate; c.Kind == "none" || !(c.Value < 1e-6) {
					t.Errorf("%s, %d x %d, condition %g: %+v at gradient norm %.3g", method, p, q, kappa, c, r.GradientNorm)
				}
			}
		}
	}
}
