package problem

import (
	"errors"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/gallery"
)

func solved(t *testing.T, name string, d Data, o *Options) *Result {
	t.Helper()
	r, err := Solve(name, d, o)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Converged {
		t.Fatalf("%s did not converge: %+v", name, r)
	}
	return r
}

func eigenvalues(s *mat.SymDense) []float64 {
	var e mat.EigenSym
	if !e.Factorize(s, false) {
		panic("no eigenvalues")
	}
	return e.Values(nil)
}

// TestHighamsCorrelationMatrix: the example of Higham (2002), with its published solution.
func TestHighamsCorrelationMatrix(t *testing.T) {
	c := mat.NewSymDense(3, []float64{1, 1, 0, 1, 1, 1, 0, 1, 1})
	for _, method := range []string{"newton", "alternating"} {
		r := solved(t, "nearest-correlation", Data{Matrices: []mat.Symmetric{c}}, &Options{Method: method})
		if math.Abs(r.Solution.At(0, 1)-0.76068985) > 1e-7 || math.Abs(r.Solution.At(0, 2)-0.15729811) > 1e-7 || r.Solution.At(1, 1) != 1 {
			t.Errorf("%s: %v", method, mat.Formatted(r.Solution))
		}
		if !r.Certificate.Bound || r.Certificate.Value > 1e-6 {
			t.Errorf("%s: certificate %+v", method, r.Certificate)
		}
	}
}

// TestNearestCorrelationOptimality checks the conditions of optimality with gonum's eigenvalues: X >= floor, unit diagonal, and X - C - Diag y
// positive semidefinite and orthogonal to X - floor I.
func TestNearestCorrelationOptimality(t *testing.T) {
	for _, n := range []int{1, 2, 5, 40} {
		for _, floor := range []float64{0, 0.05} {
			c := indefinite(n)
			for i := range n {
				c.SetSym(i, i, 1+0.3*float64(i%3)) // the diagonal of the data is free
			}
			r := solved(t, "nearest-correlation", Data{Matrices: []mat.Symmetric{c}}, &Options{Parameters: Parameters{Floor: floor}})
			slack := mat.NewSymDense(n, nil)
			slack.ScaleSym(-1, c)
			slack.AddSym(slack, r.Solution)
			var product float64
			for i := range n {
				if r.Solution.At(i, i) != 1 {
					t.Errorf("n = %d: diagonal %v", n, r.Solution.At(i, i))
				}
				slack.SetSym(i, i, slack.At(i, i)-r.Part("multipliers").At(i, 0))
			}
			for i := range n {
				for j := range n {
					product += slack.At(i, j) * r.Solution.At(i, j)
				}
				product -= floor * slack.At(i, i)
			}
			if w := eigenvalues(r.Solution)[0]; w < floor-1e-10 {
				t.Errorf("n = %d, floor %v: smallest eigenvalue %v", n, floor, w)
			}
			if w := eigenvalues(slack)[0]; w < -1e-7 || math.Abs(product) > 1e-6 {
				t.Errorf("n = %d: multiplier with eigenvalue %v, complementarity %v", n, w, product)
			}
			if r.Iterations > 20 {
				t.Errorf("n = %d: %d Newton iterations", n, r.Iterations)
			}
		}
	}
}

// TestNearestCorrelationKeepsCorrelations: a correlation matrix is its own answer; zero variances give no NaN.
func TestNearestCorrelationKeepsCorrelations(t *testing.T) {
	c := mat.NewSymDense(2, []float64{1, 0.3, 0.3, 1})
	r := solved(t, "nearest-correlation", Data{Matrices: []mat.Symmetric{c}}, nil)
	if distanceRelative(r.Solution, c) > 1e-12 || r.Iterations > 1 {
		t.Errorf("%v after %d iterations", mat.Formatted(r.Solution), r.Iterations)
	}
	r = solved(t, "nearest-correlation", Data{Matrices: []mat.Symmetric{mat.NewSymDense(2, nil)}}, nil)
	if distanceRelative(r.Solution, identity(2)) > 1e-10 {
		t.Errorf("nearest to zero: %v", mat.Formatted(r.Solution))
	}
}

// TestNearestCorrelationCertificate: the bound holds for runs that were cut short.
func TestNearestCorrelationCertificate(t *testing.T) {
	d := Data{Matrices: []mat.Symmetric{indefinite(12)}}
	best := solved(t, "nearest-correlation", d, nil)
	for _, method := range []string{"newton", "alternating"} {
		for limit := 1; limit < 5; limit++ {
			o := &Options{Method: method}
			o.Solver.MaxIterations = limit
			r, err := Solve("nearest-correlation", d, o)
			if err != nil {
				t.Fatal(err)
			}
			var e mat.Dense
			e.Sub(r.Solution, best.Solution)
			if dist := mat.Norm(&e, 2); dist > r.Certificate.Value+1e-8 || !(r.Certificate.Value > 0) {
				t.Errorf("%s after %d: distance %v, certified %v", method, limit, dist, r.Certificate.Value)
			}
		}
	}
}

// TestNearestSPD: the solution has the eigenvectors of the data and its eigenvalues, raised; definite data stay as they are.
func TestNearestSPD(t *testing.T) {
	w := []float64{-3, -1e-3, 0, 1e-12, 0.5, 4}
	a := symmetric(gallery.Compose(gallery.Orthogonal(5, 6), w))
	want := symmetric(gallery.Compose(gallery.Orthogonal(5, 6), []float64{4e-8, 4e-8, 4e-8, 4e-8, 0.5, 4}))
	for _, method := range []string{"eigen", "polar"} {
		r := solved(t, "nearest-spd", Data{Matrices: []mat.Symmetric{a}}, &Options{Method: method})
		if d := distanceRelative(r.Solution, want); d > 1e-9 {
			t.Errorf("%s: %g off", method, d)
		}
		if d := r.Part("distance").At(0, 0); math.Abs(d-math.Sqrt(9+1e-6)) > 1e-6 {
			t.Errorf("%s: distance %v", method, d)
		}
	}
	r := solved(t, "nearest-spd", Data{Matrices: []mat.Symmetric{identity(4)}}, nil)
	if distanceRelative(r.Solution, identity(4)) != 0 || r.Objective != 0 {
		t.Errorf("an SPD matrix changed: %v", mat.Formatted(r.Solution))
	}
	r = solved(t, "nearest-spd", Data{Matrices: []mat.Symmetric{a}}, &Options{Parameters: Parameters{Floor: 0.1}})
	if w := eigenvalues(r.Solution)[0]; math.Abs(w-0.4) > 1e-12 {
		t.Errorf("floor of 0.1: smallest eigenvalue %v", w)
	}
}

// refused demands a *DataError with the text.
func refused(t *testing.T, name string, d Data, o *Options, want string) {
	t.Helper()
	_, err := Solve(name, d, o)
	var de *DataError
	if err == nil || !errors.As(err, &de) || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: error %v, want a DataError with %q", name, err, want)
	}
}

func TestNearestBadInput(t *testing.T) {
	two := Data{Matrices: []mat.Symmetric{identity(2), identity(2)}}
	nan := Data{Matrices: []mat.Symmetric{mat.NewSymDense(2, []float64{1, math.NaN(), 0, 1})}}
	negative := Data{Matrices: []mat.Symmetric{mat.NewSymDense(1, []float64{-1})}}
	for _, name := range []string{"nearest-correlation", "nearest-spd"} {
		refused(t, name, Data{}, nil, "0 matrices given, want one")
		refused(t, name, two, nil, "one at a time")
		refused(t, name, nan, nil, "matrix 0: entry (0,1) is NaN")
	}
	refused(t, "nearest-spd", negative, nil, "no positive eigenvalue")
	diagonal := []mat.Symmetric{mat.NewSymDense(2, []float64{1, 0, 0, 1e-8})}
	if _, err := Solve("nearest-spd", Data{Matrices: diagonal}, &Options{Method: "polar"}); err == nil || !strings.Contains(err.Error(), "take the method eigen") {
		t.Errorf("polar factor of a singular matrix: %v", err)
	}
	if _, err := Solve("nearest-spd", two, &Options{Parameters: Parameters{Floor: 1}}); err == nil || !strings.Contains(err.Error(), "Floor") {
		t.Errorf("floor of 1: %v", err)
	}
}
