package problem

import (
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// formOf returns a problem with well-conditioned data and its diagonal form.
func formOf(t *testing.T, name string, n, count, kappa int) (*sandwich, *diagonalForm) {
	t.Helper()
	d := Data{Matrices: []mat.Symmetric{symmetric(gallery.SPD(7, n, 50)), symmetric(gallery.SPD(8, n, 20))}[:count]}
	p, _ := ByName(name)
	in, _, err := p.instance(&d, &Options{Kappa: kappa})
	if err != nil {
		t.Fatal(err)
	}
	q := in.(*sandwich)
	c := newDiagonalForm(q)
	if c == nil {
		t.Fatal("no diagonal form")
	}
	return q, c
}

// TestDiagonalForm: cost, gradient, Hessian and preconditioner are those of the problem at the congruent frame, with triangular frames and others, in double and in single
// precision.
func TestDiagonalForm(t *testing.T) {
	for _, n := range []int{6, singlePencilRows + 3} {
		for _, data := range []struct {
			name  string
			count int
		}{{"nearness", 1}, {"nearness", 2}, {"lyapunov", 2}} {
			for kappa := 1; kappa <= 2; kappa++ {
				q, c := formOf(t, data.name, n, data.count, kappa)
				random := q.m.RandomPoint(source(4)).(*manifold.Frame)
				lower, err := manifold.NewFrame(random.Sym())
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range []*manifold.Frame{random, lower} {
					sameObjectives(t, q, c, p)
				}
			}
		}
	}
}

func sameObjectives(t *testing.T, q *sandwich, c *diagonalForm, p *manifold.Frame) {
	t.Helper()
	n := p.Dim()
	x := manifold.IdentityFrame(n, 1)
	p.Congruent(x, c.t, c.back, c.logDet)
	memo, other := c.NewMemo(), q.NewMemo()
	got, want, v := make([]float64, n*n), make([]float64, n*n), make([]float64, n*n)
	cost, err := c.Evaluate(p, got, memo)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := q.Evaluate(x, want, other)
	if err != nil || math.Abs(cost-plain) > 1e-10*math.Abs(plain) {
		t.Errorf("n = %d: cost %g, want %g (%v)", n, cost, plain, err)
	}
	near(t, "gradient", got, want, 1e-9)
	grad := slices.Clone(got)
	q.m.RandomTangent(v, x, source(5))
	if err := c.HessianVec(got, p, v, memo); err != nil {
		t.Fatal(err)
	}
	if err := q.HessianVec(want, x, v, other); err != nil {
		t.Fatal(err)
	}
	near(t, "Hessian product", got, want, 1e-9)
	for name, r := range map[string][]float64{"gradient": grad, "tangent": v} {
		if err := c.Precondition(got, p, r, memo); err != nil {
			t.Fatal(err)
		}
		if err := q.Precondition(want, x, r, other); err != nil {
			t.Fatal(err)
		}
		tolerance := 1e-9
		if n >= singlePencilRows {
			tolerance = singleNoise
		}
		near(t, "preconditioned "+name, got, want, tolerance)
	}
}

func near(t *testing.T, what string, got, want []float64, tolerance float64) {
	t.Helper()
	var difference, size float64
	for i, w := range want {
		difference += (got[i] - w) * (got[i] - w)
		size += w * w
	}
	if !(difference <= tolerance*tolerance*size) {
		t.Errorf("%s: off by %g", what, math.Sqrt(difference/size))
	}
}

// TestDiagonalFormShowsX: callbacks and criteria of a run in the basis of the pencil see the matrix of the problem, whatever the start is.
func TestDiagonalFormShowsX(t *testing.T) {
	for _, name := range []string{"nearness", "lyapunov"} {
		t.Run(name, func(t *testing.T) { showsX(t, name) })
	}
}

func showsX(t *testing.T, name string) {
	const n = 9
	q, _ := formOf(t, name, n, 2, 1)
	d := Data{Matrices: []mat.Symmetric{symmetric(gallery.SPD(7, n, 50)), symmetric(gallery.SPD(8, n, 20))}}
	memo, grad := q.NewMemo(), make([]float64, n*n)
	for _, method := range []string{"trust", "arc", "lbfgs", "cg", "steepest"} {
		for _, start := range []mat.Symmetric{nil, symmetric(gallery.SPD(9, n, 1e4))} {
			seen := 0
			check := func(s *solve.Status) {
				cost, err := q.Evaluate(s.Point, grad, memo)
				if norm := math.Sqrt(q.m.Inner(s.Point, grad, grad)); err != nil || math.Abs(cost-s.Cost) > 1e-9*(1+math.Abs(cost)) || math.Abs(norm-s.GradientNorm) > 1e-8*(1+norm) {
					t.Errorf("%s: cost %g and gradient norm %g, at the point %g and %g (%v)", method, s.Cost, s.GradientNorm, cost, norm, err)
				}
				seen++
			}
			o := &Options{Method: method, Start: start}
			o.Solver.Callback = func(s *solve.Status) bool { check(s); return false }
			o.Solver.Stop = criterion(check)
			r := solved(t, name, d, o)
			if seen < r.Iterations || !(r.Certificate.Value < 1e-6) {
				t.Errorf("%s: %d points seen in %d iterations, certificate %+v", method, seen, r.Iterations, r.Certificate)
			}
		}
	}
}

type criterion func(s *solve.Status)

func (c criterion) Check(s *solve.Status) (solve.Reason, bool) {
	c(s)
	return solve.Reason{}, false
}

// TestDiagonalFormAllocatesNothing: evaluations and Hessian products own their workspace.
func TestDiagonalFormAllocatesNothing(t *testing.T) {
	q, c := formOf(t, "nearness", 12, 2, 1)
	allocates(t, "diagonal form", q.m, c, q.m.RandomPoint(source(3)))
}

// TestNoDiagonalForm: where the pencil is too ill-conditioned for its basis, or the start for a triangular frame, solvers run without it.
func TestNoDiagonalForm(t *testing.T) {
	d := scatteredPair(101, 8)
	p, _ := ByName("nearness")
	in, _, err := p.instance(&d, &Options{})
	if err != nil {
		t.Fatal(err)
	}
	if newDiagonalForm(in.(*sandwich)) != nil {
		t.Error("a diagonal form at condition 1e17")
	}
	_, c := formOf(t, "nearness", 5, 2, 1)
	tiny := mat.NewDense(5, 5, nil)
	for i := range 5 {
		tiny.Set(i, i, math.Pow(10, float64(-4*i)))
	}
	f, err := manifold.FrameOf(tiny)
	if err != nil {
		t.Fatal(err)
	}
	if c.enter(f) != nil {
		t.Error("a triangular frame at condition 1e32")
	}
}
