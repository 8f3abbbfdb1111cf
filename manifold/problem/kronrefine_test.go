package problem

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// kronSet is a data set for the refinement of Kronecker estimates.
type kronSet struct {
	count, p, q int
	rows, cols  float64 // conditions of the factors
	kind        string
	tolerance   float64
	products    int  // with the Hessian
	refined     bool // the last of them states the gradient
}

func (c kronSet) data() Data {
	s := gallery.NewStream(75)
	x := s.Normals(c.count, c.p*c.q)
	a, b := gallery.SPD(76, c.p, c.rows), gallery.SPD(77, c.q, c.cols)
	dense.Cholesky(a)
	dense.Cholesky(b)
	work := dense.New[float64](c.p, c.q)
	for i := range c.count {
		y := dense.Wrap(c.p, c.q, x.Row(i))
		scale := 1.0
		switch c.kind {
		case "levels": // few values, whose rounding to bfloat16 is the same everywhere
			for j, v := range y.Data {
				y.Data[j] = math.Copysign(1+0.37*math.Floor(math.Abs(v)), v)
			}
		case "mixed": // every other sample has another covariance
			if i%2 == 1 {
				dense.Scale(3, y.Data[:c.q*(c.p/2)], y.Data[:c.q*(c.p/2)])
			}
		case "heavy":
			scale = 1 / (0.05 + s.Uniform())
		case "small":
			scale = 1e-150
		}
		dense.MulLower(dense.NoTrans, a, y, work)
		dense.MulLowerRight(dense.Transposed, b, work, y)
		dense.Scale(scale, y.Data, y.Data)
	}
	return Data{Samples: mat.NewDense(c.count, c.p*c.q, x.Data), Rows: c.p}
}

// TestKronRefined: the gradient, the cost and the column covariance stated after a refined step agree with an evaluation at its end.
func TestKronRefined(t *testing.T) {
	for _, c := range []kronSet{
		{100, 64, 64, 1, 1, "", 1e-8, 1, true},
		{60, 70, 91, 1e2, 1e3, "", 1e-8, 1, true},
		{60, 70, 91, 1e6, 10, "", 1e-8, 1, true},
		{60, 91, 65, 1e8, 1e8, "", 1e-8, 1, true},
		{60, 91, 65, 1e3, 1e3, "", 1e-5, 1, true},
		{60, 91, 65, 1, 1, "", 1e-12, 0, false},
		{30, 64, 200, 1e2, 1e2, "", 1e-8, 1, true},
		{30, 200, 64, 1e2, 1e2, "", 1e-8, 1, true},
		{100, 64, 64, 1, 1, "levels", 1e-8, 1, true},
		{100, 64, 64, 1e2, 1e2, "mixed", 1e-8, 1, true},
		{100, 64, 64, 1e2, 1e2, "heavy", 1e-8, 1, true},
		{100, 64, 64, 1e2, 1e2, "small", 1e-8, 1, true},
		{10, 64, 64, 1e2, 1e2, "", 1e-8, 1, true},
		{8, 70, 70, 1e2, 1e2, "", 1e-3, 1, true},
		{8, 70, 70, 1e2, 1e2, "", 1e-8, 1, true},
		{8, 64, 80, 1e2, 1e2, "mixed", 1e-8, 1, true},
		{8, 64, 80, 1e2, 1e2, "mixed", 1e-5, 0, false},
		{3, 128, 128, 1e2, 1e2, "", 1e-8, 1, true},
		{3, 128, 128, 1e2, 1e2, "", 1e-4, 0, false},
		{5, 96, 80, 1, 1, "", 1e-5, 1, false},
		{8, 96, 80, 1, 1, "heavy", 1e-6, 2, false},
		{8, 96, 80, 1e3, 1e3, "heavy", 1e-6, 2, true},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) { kronRefined(t, c) })
	}
}

// run returns the result of the flip-flop, and its state.
func (c kronSet) run(t *testing.T, o *Options) (*solve.Result, *kronIteration) {
	t.Helper()
	m, err := manifold.NewAffine(c.p, manifold.AffineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d := c.data()
	o.Solver.Tolerance = c.tolerance
	in, err := kronMLE.prepare(&d, func(int) (*manifold.Affine, error) { return m, nil }, o)
	if err != nil {
		t.Fatal(err)
	}
	k := newKronIteration(in.(*kronObjective), m, o)
	r, err := k.run(m, o)
	if err != nil {
		t.Fatal(err)
	}
	return r, k
}

func kronRefined(t *testing.T, c kronSet) {
	r, k := c.run(t, &Options{})
	if !r.Converged || !(r.RelativeGradient <= c.tolerance) {
		t.Fatalf("%+v", r)
	}
	if dense.HasBFloat16() && (k.refine.products != c.products || k.refine.done != c.refined) {
		t.Errorf("refined %v, %d products", k.refine.done, k.refine.products)
	}
	if n := 1 + r.Iterations; k.refine.done && r.Evaluations != n-1 || !k.refine.done && r.Evaluations != n || r.HessianProducts != k.refine.products {
		t.Errorf("%d steps, %d evaluations, %d products", r.Iterations, r.Evaluations, r.HessianProducts)
	}
	m, plain := k.m, newKron(k.x, c.p, c.q)
	plain.m = m
	p, grad := r.Point.(*manifold.Frame), make([]float64, c.p*c.p)
	cost, err := plain.Evaluate(p, grad, plain.NewMemo())
	if err != nil {
		t.Fatal(err)
	}
	gradient := math.Sqrt(m.Inner(p, grad, grad)) / plain.GradientScale(cost)
	slack := 1e-14 + 1e-19*max(c.rows, c.cols)
	if !(gradient <= r.RelativeGradient+slack) || gradient < 0.4*r.RelativeGradient-slack {
		t.Errorf("stated %g, is %g", r.RelativeGradient, gradient)
	}
	if d := math.Abs(cost - r.Objective); !(d <= (1e-13+1e-18*max(c.rows, c.cols)+gradient*gradient)*math.Abs(cost)) {
		t.Errorf("cost %v, is %v", r.Objective, cost)
	}
	if !slices.Equal(k.at.Data, view(p.Inverse()).Data) {
		t.Error("the column covariance belongs to another point")
	}
	if d := relativeTo(k.b, plain.b); !(d <= gradient/2+slack) {
		t.Errorf("the column covariance is %g away", d)
	}
}

// relativeTo returns the distance of a from b in relative terms, as |L^-1 (a - b) L^-T| over the root of the size.
func relativeTo(a, b dense.Matrix[float64]) float64 {
	l, w, out := b.Clone(), dense.New[float64](b.Rows, b.Rows), dense.New[float64](b.Rows, b.Rows)
	dense.Cholesky(l)
	dense.InvertLower(l)
	dense.Blend(1, a.Data, -1, b.Data, w.Data)
	dense.MulLower(dense.NoTrans, l, w, out)
	dense.MulLowerRight(dense.Transposed, l, out, w)
	return norm(w.Data) / math.Sqrt(float64(b.Rows))
}

// TestKronRefinedEverywhere: the result depends neither on the number of threads nor on being watched, and what is watched is the step that is made.
func TestKronRefinedEverywhere(t *testing.T) {
	c := kronSet{100, 64, 64, 10, 10, "", 1e-8, 1, true}
	want, _ := c.run(t, &Options{})
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, threads := range []int{1, 2, 3} {
		runtime.GOMAXPROCS(threads)
		o, seen := &Options{}, 0
		o.Solver.Callback = func(s *solve.Status) bool {
			if seen++; s.Iteration != seen || s.GradientNorm > 10*want.GradientNorm {
				t.Errorf("step %d: %+v", seen, s)
			}
			return false
		}
		got, _ := c.run(t, o)
		if !mat.Equal(got.Point.(*manifold.Frame).Inverse(), want.Point.(*manifold.Frame).Inverse()) || got.GradientNorm != want.GradientNorm || seen != want.Iterations {
			t.Errorf("%d threads: gradient %v after %d steps, %v", threads, got.GradientNorm, seen, want.GradientNorm)
		}
	}
}

// TestKronCertifiedWithoutStep: a certificate that takes products with the Hessian is right although the samples were kept for a step that was not needed.
func TestKronCertifiedWithoutStep(t *testing.T) {
	if !dense.HasBFloat16() {
		t.Skip("no samples are kept")
	}
	for _, tolerance := range []float64{4.2e-4, 7e-4, 1e-3} {
		c := kronSet{100, 64, 64, 1e2, 1e2, "", tolerance, 0, false}
		r, k := c.run(t, &Options{})
		plain := newKron(k.x, c.p, c.q)
		plain.m = k.m
		p, grad, memo := r.Point.(*manifold.Frame), make([]float64, c.p*c.p), plain.NewMemo()
		if _, err := plain.Evaluate(p, grad, memo); err != nil {
			t.Fatal(err)
		}
		want, _ := solve.Certify(k.m, plain, p, grad, memo)
		if got := r.Certificate; r.Iterations > 0 || got.Kind != want.Kind || math.Abs(got.Value-want.Value) > 1e-6*want.Value {
			t.Errorf("tolerance %g: certificate %+v after %d steps, want %+v", tolerance, got, r.Iterations, want)
		}
	}
}
