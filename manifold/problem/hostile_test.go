package problem

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// TestDependentSamplesAreRefused: samples in a subspace have no likelihood to maximize and enclose no volume, also where rounding makes their covariance definite.
// Samples of full rank, however ill-conditioned, are taken.
func TestDependentSamplesAreRefused(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 7))
	names := []string{"logdet", "student", "huber", "tyler", "mve", "dopt"}
	for range 40 {
		n := 2 + rng.IntN(10)
		N, rank := n+2+rng.IntN(200), 1+rng.IntN(n-1)
		var x mat.Dense
		x.Mul(normalDense(rng, N, rank, 0), normalDense(rng, rank, n, 0))
		full := normalDense(rng, N, n, 5)
		for _, name := range names {
			_, err := Solve(name, Data{Samples: &x}, nil)
			var fault *DataError
			if !errors.As(err, &fault) || fault.Remedy == "" {
				t.Errorf("seed %d: %s of rank %d in %d dimensions: %v", seed, name, rank, n, err)
			}
			if _, err := Solve(name, Data{Samples: full}, nil); err != nil {
				t.Errorf("seed %d: %s of full rank: %v", seed, name, err)
			}
		}
	}
}

// normalDense has normal entries; the columns differ in scale by up to so many powers of ten, and are mixed.
func normalDense(rng *rand.Rand, rows, cols int, powers float64) *mat.Dense {
	x := mat.NewDense(rows, cols, nil)
	for i := range rows {
		for j := range cols {
			x.Set(i, j, rng.NormFloat64()*math.Pow(10, powers*float64(j)/float64(cols)))
		}
	}
	if powers == 0 {
		return x
	}
	var qr mat.QR
	var q, mixed mat.Dense
	qr.Factorize(normalDense(rng, cols, cols, 0))
	qr.QTo(&q)
	mixed.Mul(x, &q)
	return &mixed
}

// TestExtremeUnits: what the largest and the smallest numbers make impossible is an error, and a wrong number of matrices is one whatever their units are.
func TestExtremeUnits(t *testing.T) {
	scaled := func(v float64) mat.Symmetric { return mat.NewDiagDense(2, []float64{v, v}) }
	for _, p := range List() {
		for _, method := range p.Methods() {
			for _, v := range []float64{1.7e308, 1e300, 1e-300, 1e-320} {
				r, err := Solve(p.Name, Data{Matrices: []mat.Symmetric{scaled(v)}}, &Options{Method: method})
				if err == nil && manifold.CheckSPD(r.Solution) != nil {
					t.Errorf("%s by %s of %g I: %v", p.Name, method, v, mat.Formatted(r.Solution))
				}
			}
		}
	}
	for _, metric := range []string{"cheap", "ale", "alm", "bmp", "stein", "thompson", "kullback"} {
		for _, v := range []float64{1.7e308, 1e-320} {
			_, _ = Solve("mean", Data{Matrices: []mat.Symmetric{scaled(v)}}, &Options{Metric: metric}) // an error or a mean, no panic
		}
	}
	_, err := Solve("logdet", Data{Matrices: []mat.Symmetric{scaled(1e300), scaled(1e300)}}, nil)
	if err == nil || !strings.Contains(err.Error(), "average them first") {
		t.Errorf("two matrices for logdet: %v", err)
	}
}

// TestNilMatrices: a matrix that is nil is an error that names it.
func TestNilMatrices(t *testing.T) {
	var none *mat.SymDense
	for _, p := range List() {
		for _, m := range []mat.Symmetric{nil, none} {
			_, err := Solve(p.Name, Data{Matrices: []mat.Symmetric{mat.NewDiagDense(1, []float64{1}), m}}, nil)
			if err == nil || !strings.Contains(err.Error(), "matrix 1: is nil") {
				t.Errorf("%s: %v", p.Name, err)
			}
		}
	}
}

// TestToleranceBelowRounding: a tolerance that rounding does not let a run reach is met at the rounding level, which is what is reported.
func TestToleranceBelowRounding(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	data := Data{Samples: normalDense(rng, 60, 4, 0)}
	for _, method := range []string{"fixed-point", "trust", "lbfgs"} {
		r, err := Solve("tyler", data, &Options{Method: method, Solver: solve.Options{Tolerance: 1e-60}})
		if err != nil {
			t.Fatal(err)
		}
		if !r.Converged || r.RelativeGradient < 1e-20 || r.RelativeGradient > 1e-12 || !strings.Contains(r.Reason, "rounding level") {
			t.Errorf("%s: converged %v, relative gradient %g: %s", method, r.Converged, r.RelativeGradient, r.Reason)
		}
	}
}

// TestRemediesInAnyUnits: what other units would not mend keeps its own remedy beside that of scaling the data, and what is singular to rounding has one that fits
// the data.
func TestRemediesInAnyUnits(t *testing.T) {
	zero := mat.NewDense(5, 2, []float64{1, 2, 0, 0, 3, 1, -1, 2, 2, 2})
	skew := mat.NewDense(9, 3, nil)
	rng := rand.New(rand.NewPCG(81, 82))
	for i := range 9 {
		skew.SetRow(i, []float64{1e9 * rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64()})
	}
	indefinite := []mat.Symmetric{mat.NewSymDense(2, []float64{1, 2, 2, 1})}
	same := []mat.Symmetric{mat.NewSymDense(1, []float64{1}), mat.NewSymDense(1, []float64{1})}
	for _, c := range []struct {
		name, method, want string
		d                  Data
	}{
		{"tyler", "", "remove it", Data{Samples: zero}},
		{"glasso", "", "solve nearest-spd first", Data{Matrices: indefinite}},
		{"student", "trust", "scale the variables", Data{Samples: skew}},
		{"huber", "lbfgs", "scale the variables", Data{Samples: skew}},
		{"outliers", "", "give matrices that differ", Data{Matrices: same}},
		{"tangent", "principal", "(method vectors)", Data{Matrices: same}},
		{"recenter", "center-scale", "(method center)", Data{Matrices: same}},
	} {
		for _, unit := range []float64{1, 0x1p-400} {
			_, err := Solve(c.name, inUnits(c.d, unit), &Options{Method: c.method})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), scaleRemedy+":") != (unit != 1) {
				t.Errorf("%s by %s in units of %g: %v", c.name, c.method, unit, err)
			}
		}
	}
}
