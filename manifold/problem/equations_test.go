package problem

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
)

// TestNearnessAtConditionAMillion: every general solver reaches the known minimizer, with the preconditioner of the problem; no run that ends far away counts as
// converged.
func TestNearnessAtConditionAMillion(t *testing.T) {
	for _, n := range []int{10, 50} {
		d := nearnessData(n)
		for _, method := range []string{"trust", "arc", "lbfgs", "cg", "steepest", "closed-form"} {
			r := solved(t, "nearness", d, &Options{Method: method})
			var inverse mat.Dense
			if err := inverse.Inverse(d.Matrices[0]); err != nil {
				t.Log(err) // gonum warns about the condition
			}
			if d := distanceRelative(r.Solution, &inverse); d > 1e-8 || !(r.Certificate.Value < 1e-6) {
				t.Errorf("n = %d by %s: %g away, certificate %+v", n, method, d, r.Certificate)
			}
		}
		start := mat.NewDiagDense(n, nil)
		for i := range n {
			start.SetDiag(i, 1e-12)
		}
		r, err := Solve("nearness", d, &Options{Method: "steepest", Start: start})
		if err != nil || r.Converged || r.Certificate.Value < 1 || r.Advice == "" {
			t.Errorf("where gradients vanish far away: %+v %v", r, err)
		}
	}
}

// TestEquationsBySolvers: the general solvers come to the solutions of ill-conditioned equations.
func TestEquationsBySolvers(t *testing.T) {
	for _, n := range []int{6, 20} {
		d := Data{Matrices: []mat.Symmetric{symmetric(gallery.SPD(63, n, 1e5)), symmetric(gallery.SPD(64, n, 1e5))}}
		for _, name := range []string{"lyapunov", "riccati"} {
			for _, method := range []string{"trust", "arc", "lbfgs", "cg", "steepest"} {
				if r := solved(t, name, d, &Options{Method: method}); r.Iterations > 200 {
					t.Errorf("%s, n = %d by %s: %d iterations", name, n, method, r.Iterations)
				}
			}
		}
	}
}

// TestClosedFormsRefined: where rounding leaves an eigendecomposition of condition 1e20 far from the solution, Newton steps bring it to where the general solvers
// come from elsewhere.
func TestClosedFormsRefined(t *testing.T) {
	for name, methods := range map[string][]string{"riccati": {"trust", "lbfgs", "cg", "steepest"}, "lyapunov": {"trust"}} {
		for _, n := range []int{10, 50} {
			d := Data{Matrices: []mat.Symmetric{symmetric(gallery.SPD(65, n, 1e10)), symmetric(gallery.SPD(66, n, 1e10))}}
			exact := solved(t, name, d, nil)
			if !(exact.Certificate.Value < 1e-7*math.Sqrt(float64(n))) {
				t.Errorf("%s, n = %d: certificate %+v", name, n, exact.Certificate)
			}
			known, err := manifold.NewFrame(exact.Solution)
			if err != nil {
				t.Fatal(err)
			}
			for _, method := range methods {
				p, err := manifold.NewFrame(solved(t, name, d, &Options{Method: method}).Solution)
				if err != nil {
					t.Fatal(err)
				}
				m, err := manifold.NewAffine(n, manifold.AffineOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if d, err := m.Distance(p, known); err != nil || !(d < 1e-5) {
					t.Errorf("%s, n = %d by %s: %g from the closed form (%v)", name, n, method, d, err)
				}
			}
		}
	}
}

// TestArcFarFromConvex: cubic regularization keeps away from the boundary of the cone, where the cost falls in the directions in which the preconditioner knows no
// curvature.
func TestArcFarFromConvex(t *testing.T) {
	for _, n := range []int{8, 20, 50} {
		for seed := range uint64(2) {
			if r := solved(t, "lyapunov", scatteredPair(100+seed, n), &Options{Method: "arc"}); r.Iterations > 100 || r.HessianProducts > 200 {
				t.Errorf("n = %d, seed %d: %d iterations, %d Hessian products", n, 100+seed, r.Iterations, r.HessianProducts)
			}
		}
	}
}

// TestNearnessWithSecondMoment: with a second moment of condition 1e6, too, no general solver runs into the boundary of the cone, and what counts as converged is within
// 1e-6 of the minimizer.
func TestNearnessWithSecondMoment(t *testing.T) {
	for _, n := range []int{8, 20, 50} {
		for seed := range uint64(2) {
			d := scatteredPair(100+seed, n)
			exact, err := manifold.NewFrame(solved(t, "nearness", d, nil).Solution)
			if err != nil {
				t.Fatal(err)
			}
			m, err := manifold.NewAffine(n, manifold.AffineOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, method := range []string{"trust", "arc", "lbfgs", "cg", "steepest"} {
				p, err := manifold.NewFrame(solved(t, "nearness", d, &Options{Method: method}).Solution)
				if err != nil {
					t.Fatal(err)
				}
				if d, err := m.Distance(p, exact); err != nil || !(d < 1e-6) {
					t.Errorf("n = %d, seed %d by %s: %g from the closed form (%v)", n, 100+seed, method, d, err)
				}
			}
		}
	}
}

// TestNearnessKeepsSmallEigenvalues: the cost is quadratic, so that the preconditioned gradient leads to the minimizer from everywhere. It does although the pencil of
// Q^2 and C has a condition of 1e17.
func TestNearnessKeepsSmallEigenvalues(t *testing.T) {
	for _, n := range []int{8, 30} {
		d := scatteredPair(101, n)
		p, _ := ByName("nearness")
		in, _, err := p.instance(&d, &Options{})
		if err != nil {
			t.Fatal(err)
		}
		q, start := in.(*sandwich), manifold.IdentityFrame(n, 1)
		memo, grad, step := q.NewMemo(), make([]float64, n*n), make([]float64, n*n)
		if _, err := q.Evaluate(start, grad, memo); err != nil {
			t.Fatal(err)
		}
		if err := q.Precondition(step, start, grad, memo); err != nil {
			t.Fatal(err)
		}
		if s := q.constant.mu; !(s[n-1] > 1e16*s[0]) {
			t.Errorf("n = %d: the pencil has a condition of %g, no test", n, s[n-1]/s[0])
		}
		want := q.known.Sym()
		got := mat.NewDense(n, n, nil)
		for i := range n {
			for j := range n {
				got.Set(i, j, -step[i*n+j])
			}
			got.Set(i, i, got.At(i, i)+1)
		}
		if e := distanceRelative(got, want); !(e < 1e-4) {
			t.Errorf("n = %d: the step from I ends %g away", n, e)
		}
	}
}

// scatteredPair returns two matrices of condition 1e6 that have little in common.
func scatteredPair(seed uint64, n int) (d Data) {
	for _, m := range gallery.KarcherScatter(seed, n, 2, 1e6) {
		d.Matrices = append(d.Matrices, symmetric(m))
	}
	return d
}

// TestNearnessEndsAtRounding: with a second moment of condition 1e6 the rounding of the gradient lies above the tolerance and above what any run may stagnate at; runs
// that meet it end there, and have converged, because they are at the minimizer.
func TestNearnessEndsAtRounding(t *testing.T) {
	for _, n := range []int{12, 35} {
		r := solved(t, "nearness", scatteredPair(100, n), &Options{Method: "arc"})
		if r.Iterations > 300 || !strings.Contains(r.Reason, "at the rounding of the gradient") || !(r.Certificate.Value < 1e-9) {
			t.Errorf("n = %d: %d iterations, %s, certificate %+v", n, r.Iterations, r.Reason, r.Certificate)
		}
	}
}

// TestEquations: the residuals of the defining equations, computed by gonum, vanish.
func TestEquations(t *testing.T) {
	for _, n := range []int{1, 3, 20} {
		a, b := gallery.SPD(61, n, 1e4), gallery.SPD(62, n, 1e4)
		d := Data{Matrices: []mat.Symmetric{symmetric(a), symmetric(b)}}
		var left, right, zero mat.Dense
		x := solved(t, "lyapunov", d, nil).Solution
		left.Mul(d.Matrices[0], x)
		right.Mul(x, d.Matrices[0])
		left.Add(&left, &right)
		if e := distanceRelative(&left, d.Matrices[1]); e > 1e-12 {
			t.Errorf("n = %d: A X + X A is %g off", n, e)
		}
		x = solved(t, "riccati", d, nil).Solution
		zero.Mul(x, d.Matrices[1])
		zero.Mul(&zero, x)
		if e := distanceRelative(&zero, d.Matrices[0]); e > 1e-9 {
			t.Errorf("n = %d: X B X is %g off", n, e)
		}
	}
}

// TestSandwichPreconditioner: at any point, with a triangular frame or another, it undoes the first part of the Hessian, which is what remains of it without the differential:
// in single precision but for that, in double but for rounding.
func TestSandwichPreconditioner(t *testing.T) {
	const n = singlePencilRows
	a, b := symmetric(gallery.SPD(61, n, 1e2)), symmetric(gallery.SPD(62, n, 1e2))
	for name, ms := range map[string][]mat.Symmetric{"lyapunov": {a, b}, "nearness": {a, b}, "nearness with C = I": {a}} {
		p, _ := ByName(strings.Fields(name)[0])
		in, m, err := p.instance(&Data{Matrices: ms}, &Options{})
		if err != nil {
			t.Fatal(err)
		}
		q := in.(*sandwich)
		rng := rand.New(rand.NewPCG(1, 9))
		turned := m.RandomPoint(rng)
		lower, err := manifold.NewFrame(turned.(*manifold.Frame).Sym())
		if err != nil {
			t.Fatal(err)
		}
		v, h, back := make([]float64, n*n), make([]float64, n*n), make([]float64, n*n)
		for _, at := range []manifold.Point{turned, lower} {
			memo := q.NewMemo().(*sandwichMemo)
			if _, err := q.Evaluate(at, v, memo); err != nil {
				t.Fatal(err)
			}
			memo.w.Zero()
			m.RandomTangent(v, at, rng)
			if err := q.HessianVec(h, at, v, memo); err != nil {
				t.Fatal(err)
			}
			for _, narrow := range []bool{true, false} {
				if err := q.Precondition(back, at, h, memo); err != nil {
					t.Fatal(err)
				}
				near := 1e-9
				if narrow {
					near = singleNoise
				}
				dense.Axpy(-1, v, back)
				if d := math.Sqrt(dense.Dot(back, back)); memo.narrow != narrow || !(d < near) {
					t.Errorf("%s, single precision %t, want %t: %g from the vector of norm 1", name, memo.narrow, narrow, d)
				}
				memo.narrow = false
			}
		}
	}
}

func TestEquationsBadInput(t *testing.T) {
	bad := mat.NewSymDense(2, []float64{1, 2, 2, 1})
	for _, name := range []string{"lyapunov", "riccati"} {
		refused(t, name, Data{Matrices: []mat.Symmetric{identity(2)}}, nil, "1 matrices given, want two: ")
		refused(t, name, Data{Matrices: []mat.Symmetric{identity(2), bad}}, nil, "matrix 1: not positive definite")
		refused(t, name, Data{Matrices: []mat.Symmetric{identity(2), identity(3)}}, nil, "matrix 1: has 3 rows")
	}
	refused(t, "nearness", Data{}, nil, "0 matrices given, want one or two")
}

// TestPairsFromFarAway: the pairs of long steps, on which the curvature changes, do not lead L-BFGS astray where the preconditioner alone would do.
func TestPairsFromFarAway(t *testing.T) {
	for _, n := range []int{20, 100} {
		for _, kappa := range []float64{1e2, 1e4} {
			for seed := range uint64(3) {
				d := Data{Matrices: []mat.Symmetric{symmetric(gallery.SPD(70+seed, n, kappa)), symmetric(gallery.SPD(80+seed, n, 9))}}
				for _, name := range []string{"nearness", "riccati"} {
					if r := solved(t, name, d, &Options{Method: "lbfgs"}); r.Evaluations > 25 {
						t.Errorf("%s, n = %d, condition %g, seed %d: %d evaluations", name, n, kappa, seed, r.Evaluations)
					}
				}
			}
		}
	}
}
