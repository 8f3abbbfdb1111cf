package problem

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
)

// referenceScatter iterates X <- (1/N) sum u(x' X^-1 x) x x' with gonum, a thousand times.
func referenceScatter(x *mat.Dense, u func(q float64) float64) *mat.SymDense {
	N, n := x.Dims()
	s := identity(n)
	for range 1000 {
		var c mat.Cholesky
		c.Factorize(s)
		next := mat.NewSymDense(n, nil)
		var z mat.VecDense
		for i := range N {
			row := x.RowView(i)
			if err := c.SolveVecTo(&z, row); err != nil {
				panic(err)
			}
			next.SymRankOne(next, u(mat.Dot(row, &z))/float64(N), row)
		}
		s = next
	}
	return s
}

func TestScatterAgainstThePlainIteration(t *testing.T) {
	x := heavyTailed(5, 100)
	h := readGolden(t).Huber
	c2, b := h[0], h[1]
	for name, c := range map[string]struct {
		p Parameters
		u func(q float64) float64
	}{
		"student": {Parameters{Nu: 2}, func(q float64) float64 { return 7 / (2 + q) }},
		"huber": {Parameters{}, func(q float64) float64 {
			if q <= c2 {
				return 1 / b
			}
			return c2 / (b * q)
		}},
	} {
		o := &Options{Parameters: c.p}
		o.Solver.Tolerance = 1e-12
		r := solved(t, name, Data{Samples: x}, o)
		if d := distanceRelative(r.Solution, referenceScatter(x, c.u)); d > 1e-10 {
			t.Errorf("%s: %g away from the plain iteration", name, d)
		}
	}
}

// TestScatterEquivariance: the estimate of the samples A x is A X A'.
func TestScatterEquivariance(t *testing.T) {
	x := heavyTailed(4, 30)
	a := mat.NewDense(4, 4, []float64{1, 2, 0, 0, 0, 1, 1, 0, 3, 0, 1, 0, 0, 0, 1, 1})
	var y, want mat.Dense
	y.Mul(x, a.T())
	for _, name := range []string{"student", "huber"} {
		o := &Options{}
		o.Solver.Tolerance = 1e-12
		want.Mul(a, solved(t, name, Data{Samples: x}, o).Solution)
		want.Mul(&want, a.T())
		if d := distanceRelative(solved(t, name, Data{Samples: &y}, o).Solution, &want); d > 1e-10 {
			t.Errorf("%s: %g", name, d)
		}
	}
}

// TestScatterLimits: many degrees of freedom, or a quantile near one, give the covariance.
func TestScatterLimits(t *testing.T) {
	x := dataOf(gallery.NewStream(3).Normals(60, 3))
	cov := solved(t, "logdet", Data{Samples: x}, nil).Solution
	r := solved(t, "student", Data{Samples: x}, &Options{Parameters: Parameters{Nu: 1e9}})
	if d := distanceRelative(r.Solution, cov); d > 1e-6 {
		t.Errorf("student: %g", d)
	}
	r = solved(t, "huber", Data{Samples: x}, &Options{Parameters: Parameters{Quantile: 1 - 1e-12}})
	if d := distanceRelative(r.Solution, cov); d > 1e-6 {
		t.Errorf("huber: %g", d)
	}
}

// TestOutlier: one sample far away moves the covariance, not the robust estimates.
func TestOutlier(t *testing.T) {
	x := dataOf(gallery.NewStream(4).Normals(100, 2))
	clean := map[string]*mat.SymDense{}
	for _, name := range []string{"student", "huber", "logdet"} {
		clean[name] = solved(t, name, Data{Samples: x}, nil).Solution
	}
	x.SetRow(0, []float64{1e4, 1e4})
	for name, limit := range map[string]float64{"student": 0.1, "huber": 0.1} {
		if d := distanceRelative(solved(t, name, Data{Samples: x}, nil).Solution, clean[name]); d > limit {
			t.Errorf("%s moved by %g", name, d)
		}
	}
	if d := distanceRelative(solved(t, "logdet", Data{Samples: x}, nil).Solution, clean["logdet"]); d < 100 {
		t.Errorf("the covariance moved by %g only", d)
	}
}

func TestScatterBadInput(t *testing.T) {
	few := Data{Samples: mat.NewDense(2, 3, []float64{1, 2, 3, 4, 5, 7})}
	flat := Data{Samples: mat.NewDense(4, 2, []float64{1, 1, 2, 2, 3, 3, -1, -1})}
	zeros := Data{Samples: mat.NewDense(6, 2, []float64{1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})}
	for _, name := range []string{"student", "huber"} {
		refused(t, name, Data{}, nil, "no samples")
		refused(t, name, few, nil, "at least as many samples as dimensions; give more samples, reduce the dimension, or solve shrinkage")
		refused(t, name, flat, nil, "subspace")
	}
	refused(t, "student", zeros, &Options{Parameters: Parameters{Nu: 1}}, "4 of 6 samples are zero")
	for _, p := range []Parameters{{Nu: -1}, {Nu: math.Inf(1)}, {Quantile: 1}} {
		if _, err := Solve("student", few, &Options{Parameters: p}); err == nil {
			t.Errorf("%+v accepted", p)
		}
	}
}

// TestShrinkage against scikit-learn and the published formula.
func TestShrinkage(t *testing.T) {
	g := readGolden(t)
	x := dataOf(gallery.NewStream(9).Normals(6, 8))
	for method, want := range map[string]float64{"oas": g.OAS, "ledoit-wolf": g.LedoitWolf} {
		r := solved(t, "shrinkage", Data{Samples: x}, &Options{Method: method})
		if d := r.Part("share").At(0, 0); math.Abs(d-want) > 1e-12 {
			t.Errorf("%s: share %.17g, want %.17g", method, d, want)
		}
		if mat.Trace(r.Solution) <= 0 || eigenvalues(r.Solution)[0] <= 0 {
			t.Errorf("%s: not positive definite", method)
		}
	}
}

// TestShrinkageAsPosterior: the trust region finds the matrix of the formula, with fewer and with more samples than dimensions, and knows how far it is.
func TestShrinkageAsPosterior(t *testing.T) {
	for _, N := range []int{5, 60} {
		graded := gallery.NewStream(12).Normals(N, 9)
		for i := range N {
			graded.Row(i)[0] *= 10
		}
		x := Data{Samples: dataOf(graded)}
		want, got := solved(t, "shrinkage", x, nil), solved(t, "shrinkage", x, &Options{Method: "trust"})
		if d, err := manifold.Distance(got.Solution, want.Solution); err != nil || d > 1e-7 || math.Abs(d-got.Certificate.Value) > 1e-9 {
			t.Errorf("%d samples: distance %v, certified %v (%v)", N, d, got.Certificate.Value, err)
		}
		if got.Iterations == 0 || got.Part("share").At(0, 0) != want.Part("share").At(0, 0) {
			t.Errorf("%d samples: %+v", N, got)
		}
	}
}

// TestShrinkageLimits: many samples are trusted, samples of a sphere are shrunk entirely, the trace is kept.
func TestShrinkageLimits(t *testing.T) {
	graded := gallery.NewStream(10).Normals(4000, 3)
	for i := range graded.Rows {
		graded.Row(i)[0] *= 10
	}
	even := mat.NewDense(4, 2, []float64{1, 0, 0, 1, -1, 0, 0, -1})
	for _, method := range []string{"oas", "ledoit-wolf", "rblw"} {
		o := &Options{Method: method}
		if s := solved(t, "shrinkage", Data{Samples: dataOf(graded)}, o).Part("share").At(0, 0); s > 0.01 {
			t.Errorf("%s: share %v for 4000 samples", method, s)
		}
		r := solved(t, "shrinkage", Data{Samples: even}, o)
		if s := r.Part("share").At(0, 0); s != 1 || math.Abs(mat.Trace(r.Solution)-1) > 1e-15 {
			t.Errorf("%s: share %v, trace %v", method, s, mat.Trace(r.Solution))
		}
	}
	refused(t, "shrinkage", Data{Samples: mat.NewDense(1, 2, []float64{1, 2})}, nil, "at least two samples")
	refused(t, "shrinkage", Data{Samples: mat.NewDense(3, 2, nil)}, nil, "must be positive")
}

// TestStudentPreconditioner: it knows the curvature along multiples of X, and leaves vectors without trace alone.
func TestStudentPreconditioner(t *testing.T) {
	x := heavyTailed(6, 100)
	p, _ := ByName("student")
	for _, kappa := range []int{1, 2} {
		in, m, err := p.instance(&Data{Samples: x}, &Options{Kappa: kappa, Parameters: Parameters{Nu: 2}})
		if err != nil {
			t.Fatal(err)
		}
		s := in.(studentObjective)
		memo, grad, h, z := s.NewMemo(), make([]float64, 36), make([]float64, 36), make([]float64, 36)
		if _, err := s.Evaluate(s.start(), grad, memo); err != nil {
			t.Fatal(err)
		}
		one, other := make([]float64, 36), make([]float64, 36)
		for i := range 6 {
			one[7*i], other[7*i] = 1, float64(2*i-5)
		}
		if err := s.HessianVec(h, s.start(), one, memo); err != nil {
			t.Fatal(err)
		}
		if err := s.Precondition(z, s.start(), one, memo); err != nil {
			t.Fatal(err)
		}
		if got := dense.Dot(h, z) / dense.Dot(one, one); math.Abs(got-1) > 1e-12 {
			t.Errorf("kappa %d: the preconditioner times the curvature is %v along multiples of X", kappa, got)
		}
		if err := s.Precondition(z, s.start(), other, memo); err != nil {
			t.Fatal(err)
		}
		dense.Axpy(-1/m.Kappa(), other, z)
		if d := dense.Dot(z, z); d > 1e-28 {
			t.Errorf("kappa %d: a vector without trace is changed by %g", kappa, d)
		}
	}
}
