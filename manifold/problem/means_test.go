package problem

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// commuting returns matrices with the given rows of eigenvalues in one eigenbasis.
func commuting(rows ...[]float64) []mat.Symmetric {
	q := gallery.Orthogonal(6, len(rows[0]))
	out := make([]mat.Symmetric, len(rows))
	for k, w := range rows {
		out[k] = symmetric(gallery.Compose(q, w))
	}
	return out
}

// TestBarycenterOfCommutingMatrices: the square root of the barycenter is the mean of the square roots.
func TestBarycenterOfCommutingMatrices(t *testing.T) {
	rows, weights := [][]float64{{1, 2, 300, 4}, {0.01, 5, 1, 7}, {3, 3, 1e-3, 9}}, []float64{0.5, 0.2, 0.3}
	want := make([]float64, 4)
	for i := range want {
		for k, w := range weights {
			want[i] += w * math.Sqrt(rows[k][i])
		}
		want[i] *= want[i]
	}
	for _, method := range []string{"fixed-point", "trust"} {
		r := solved(t, "barycenter", Data{Matrices: commuting(rows...), Weights: weights}, &Options{Method: method})
		if d := distanceRelative(r.Solution, symmetric(gallery.Compose(gallery.Orthogonal(6, 4), want))); d > 1e-7 {
			t.Errorf("%s: %g away", method, d)
		}
	}
}

// TestBarycenterOfGaussians in one dimension has the mean of the standard deviations; the objective is the variance of these.
func TestBarycenterOfGaussians(t *testing.T) {
	var ms []mat.Symmetric
	for _, s := range []float64{1, 2, 6} {
		ms = append(ms, mat.NewSymDense(1, []float64{s * s}))
	}
	r := solved(t, "barycenter", Data{Matrices: ms}, nil)
	if math.Abs(r.Solution.At(0, 0)-9) > 1e-7 || math.Abs(r.Objective-14.0/3) > 1e-9 {
		t.Errorf("%v, objective %v", r.Solution.At(0, 0), r.Objective)
	}
}

// TestBarycenterPreconditioner: where every matrix is the point itself it is the inverse of the Hessian; elsewhere it is symmetric and positive, and the trust
// region needs few Hessian products at condition 1e6.
func TestBarycenterPreconditioner(t *testing.T) {
	same := scattered(6, 1, 1e4)[0]
	p, _ := ByName("barycenter")
	in, m, err := p.instance(&Data{Matrices: []mat.Symmetric{same, same, same}}, &Options{})
	if err != nil {
		t.Fatal(err)
	}
	f, memo, grad := in.start(), in.(solve.Memoizer).NewMemo(), make([]float64, m.VectorLen())
	if _, err := in.Evaluate(f, grad, memo); err != nil {
		t.Fatal(err)
	}
	v, hv, back := make([]float64, m.VectorLen()), make([]float64, m.VectorLen()), make([]float64, m.VectorLen())
	for i := range 6 {
		for j := range 6 {
			v[6*i+j] = math.Cos(float64((i + 1) * (j + 1)))
		}
	}
	if err := in.HessianVec(hv, f, v, memo); err != nil {
		t.Fatal(err)
	}
	if err := in.(solve.Preconditioner).Precondition(back, f, hv, memo); err != nil {
		t.Fatal(err)
	}
	for i := range v {
		if math.Abs(back[i]-v[i]) > 1e-6 {
			t.Errorf("entry %d: %v, want %v", i, back[i], v[i])
		}
	}
	r := solved(t, "barycenter", Data{Matrices: scattered(20, 6, 1e6)}, nil)
	if r.HessianProducts > 12*r.Iterations {
		t.Errorf("%d Hessian products in %d iterations", r.HessianProducts, r.Iterations)
	}
}

// euclideanMedian is Weiszfeld's iteration on vectors.
func euclideanMedian(points [][]float64, w []float64) []float64 {
	x := make([]float64, len(points[0]))
	for range 20000 {
		next, sum := make([]float64, len(x)), 0.0
		for k, p := range points {
			var d float64
			for i := range x {
				d += (p[i] - x[i]) * (p[i] - x[i])
			}
			c := w[k] / math.Sqrt(d)
			sum += c
			dense.Axpy(c, p, next)
		}
		dense.Scale(1/sum, next, x)
	}
	return x
}

// TestMedianOfCommutingMatrices: it is the median of the vectors of logarithms.
func TestMedianOfCommutingMatrices(t *testing.T) {
	rows, weights := [][]float64{{1, 2, 300}, {0.01, 5, 1}, {3, 3, 1e-3}, {50, 0.1, 2}}, []float64{0.25, 0.22, 0.28, 0.25}
	points := make([][]float64, len(rows))
	for k, w := range rows {
		points[k] = make([]float64, len(w))
		dense.Log(points[k], w)
	}
	want := euclideanMedian(points, weights)
	dense.Exp(want, want)
	for _, method := range []string{"newton", "weiszfeld", "trust", "lbfgs"} {
		r := solved(t, "median", Data{Matrices: commuting(rows...), Weights: weights}, &Options{Method: method})
		if d := distanceRelative(r.Solution, symmetric(gallery.Compose(gallery.Orthogonal(6, 3), want))); d > 1e-6 {
			t.Errorf("%s: %g away", method, d)
		}
	}
}

// TestMedianAtAMatrix: a matrix with more than half of the weight is the median, as is one in the middle of a geodesic.
func TestMedianAtAMatrix(t *testing.T) {
	ms := scattered(5, 4, 1e3)
	r := solved(t, "median", Data{Matrices: ms, Weights: []float64{1, 5, 1, 1}}, nil)
	if d := distanceRelative(r.Solution, ms[1]); d > 1e-12 || r.Certificate.Kind != "data-point" {
		t.Errorf("%g away, certificate %+v", d, r.Certificate)
	}
	line := commuting([]float64{1, 1}, []float64{8, 1.0 / 8}, []float64{2, 0.5})
	r = solved(t, "median", Data{Matrices: line}, nil)
	if d := distanceRelative(r.Solution, line[2]); d > 1e-9 {
		t.Errorf("middle of three: %g away", d)
	}
	r = solved(t, "median", Data{Matrices: ms[:1]}, nil)
	if d := distanceRelative(r.Solution, ms[0]); d > 1e-12 {
		t.Errorf("one matrix: %g away", d)
	}
	if r = solved(t, "median", Data{Matrices: ms[:2]}, nil); r.Objective > 1e3 {
		t.Errorf("two matrices: %+v", r)
	}
}

// TestMedianResistsAnOutlier: one matrix far away moves the mean without bound and the median a little.
func TestMedianResistsAnOutlier(t *testing.T) {
	ms := []mat.Symmetric{}
	for k := range 9 {
		ms = append(ms, symmetric(gallery.SPD(uint64(k), 4, 2)))
	}
	before := solved(t, "median", Data{Matrices: ms}, nil).Solution
	var far mat.SymDense
	far.ScaleSym(1e8, ms[0])
	ms[0] = &far
	if d := distanceRelative(solved(t, "median", Data{Matrices: ms}, nil).Solution, before); d > 0.3 {
		t.Errorf("the median moved by %g", d)
	}
	if d := distanceRelative(solved(t, "mean", Data{Matrices: ms}, nil).Solution, before); d < 3 {
		t.Errorf("the mean moved by %g only", d)
	}
}

// TestBarycenterOfFewMatrices: Newton's method takes few iterations where the minimizer is far from the arithmetic mean, at any condition.
func TestBarycenterOfFewMatrices(t *testing.T) {
	for seed := range uint64(12) {
		n, kappa := int(4+seed%5*7), math.Pow(10, float64(2+seed%4*2))
		var ms []mat.Symmetric
		for k := range 2 + seed%3 {
			ms = append(ms, symmetric(gallery.SPD(50*seed+k, n, kappa)))
		}
		if r := solved(t, "barycenter", Data{Matrices: ms}, nil); r.Iterations > 8 || !(r.Certificate.Value < 1e-5) {
			t.Errorf("n = %d, condition %g, %d matrices: %d iterations, %+v", n, kappa, len(ms), r.Iterations, r.Certificate)
		}
	}
}

// TestBarycenterCertificateOfIllConditionedMatrices: the estimate holds what rounding leaves of the gradient. The reference has small relative errors in the small
// roots too.
func TestBarycenterCertificateOfIllConditionedMatrices(t *testing.T) {
	p, _ := ByName("barycenter")
	for seed := range uint64(8) {
		n := int(2 + seed%2)
		var ms []mat.Symmetric
		for k := range uint64(3) {
			ms = append(ms, symmetric(gallery.SPD(10*seed+k, n, 1e6)))
		}
		in, m, err := p.instance(&Data{Matrices: ms}, &Options{})
		if err != nil {
			t.Fatal(err)
		}
		in.(*barycenterObjective).graded = true
		exact, err := solve.Trust(m, in, in.start(), &solve.Options{Tolerance: 1e-14})
		if err != nil || exact.Certificate.Value > 1e-9 {
			t.Fatal(exact.Certificate, err)
		}
		for _, method := range []string{"newton", "steepest", "lbfgs", "cg", "trust", "arc"} {
			r, err := Solve("barycenter", Data{Matrices: ms}, &Options{Method: method})
			if err != nil {
				t.Fatal(err)
			}
			if d, err := manifold.Distance(r.Solution, exact.Point.(*manifold.Frame).Sym()); err != nil || !(d <= 1.2*r.Certificate.Value+1e-9) {
				t.Errorf("%s, %d: %g away, %+v, %v", method, n, d, r.Certificate, err)
			}
		}
	}
}

// TestBarycenterCertificateAtLooseTolerances: estimates hold what followed eigenbases leave of the gradient, and runs whose Newton step is too long to say anything have
// not converged.
func TestBarycenterCertificateAtLooseTolerances(t *testing.T) {
	for seed := range uint64(60) {
		n, kappa := int(2+seed%3), math.Pow(10, float64(1+seed%6))
		var ms []mat.Symmetric
		for k := range uint64(4) {
			ms = append(ms, symmetric(gallery.SPD(10*seed+k, n, kappa)))
		}
		data := Data{Matrices: ms}
		var exact *Result
		if kappa <= 1e4 {
			exact = solved(t, "barycenter", data, &Options{Solver: solve.Options{Tolerance: 1e-11}})
		}
		for _, method := range []string{"newton", "fixed-point", "trust", "lbfgs"} {
			for _, tolerance := range []float64{1e-2, 1e-4} {
				r, err := Solve("barycenter", data, &Options{Method: method, Solver: solve.Options{Tolerance: tolerance}})
				if err != nil {
					t.Fatal(err)
				}
				if r.Converged && r.Certificate.Value > 0.3 {
					t.Errorf("%s, condition %g, tolerance %g: converged, %+v", method, kappa, tolerance, r.Certificate)
				}
				if exact == nil || r.Certificate.Value > 0.3 {
					continue
				}
				if d, err := manifold.Distance(r.Solution, exact.Solution); err != nil || !(d <= 1.2*r.Certificate.Value+1e-9) {
					t.Errorf("%s, condition %g, tolerance %g: %g away, %+v, %v", method, kappa, tolerance, d, r.Certificate, err)
				}
			}
		}
	}
}

// TestMeanOfMatricesEqualToRounding: what differs by rounding alone has a mean and a median by their own methods, also where matrices are taken side by side.
func TestMeanOfMatricesEqualToRounding(t *testing.T) {
	const n = 12
	rng := rand.New(rand.NewPCG(91, 92))
	for range 100 {
		var ms []mat.Symmetric
		for range 5 {
			a := mat.NewSymDense(n, nil)
			for i := range n {
				a.SetSym(i, i, 1+float64(rng.IntN(7)-3)*0x1p-53)
			}
			ms = append(ms, a)
		}
		for _, name := range []string{"mean", "median"} {
			if r := solved(t, name, Data{Matrices: ms, Weights: []float64{0, 1e-8, 1e-8, 1e-8, 1}}, nil); !r.Converged {
				t.Errorf("%s: %s", name, r.Reason)
			}
		}
	}
}
