package problem

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// powers tells by which power of its units the solution of a problem changes with those of the data; the others depend on the units.
var powers = map[string]float64{"mean": 1, "median": 1, "barycenter": 1, "masked-mean": 1, "logdet": 1, "nearest-spd": 1, "procrustes": 1, "classify": 1, "tangent": 1,
	"cluster": 1, "outliers": 1, "csp": 1, "student": 2, "huber": 2, "shrinkage": 2, "dopt": 2, "gmm": 2, "tyler": 0, "kron-mle": 0, "recenter": 0, "lyapunov": 0,
	"riccati": 0, "metric-learning": 0, "nearness": -1, "glasso": -2, "mve": -2, "ellipsoid": -2}

// example returns data for a problem.
func example(p Problem, n int) Data {
	if d, ok := cases(n, 10)[p.Name]; ok {
		return d[0]
	}
	return trials(n)[p.Name].data
}

func inUnits(d Data, unit float64) Data {
	all := d.Matrices
	d.Matrices = nil
	for _, a := range all {
		var s mat.SymDense
		s.ScaleSym(unit, a)
		d.Matrices = append(d.Matrices, &s)
	}
	if x := d.Samples; x != nil {
		d.Samples = new(mat.Dense)
		d.Samples.Scale(unit, x)
	}
	return d
}

// TestUnits: in other units every problem that has any converges by its default to the same solution, and does so too, or says that it did not, by the cross-checks
// whose gradients have the unit of the data.
func TestUnits(t *testing.T) {
	for _, p := range List() {
		power, ok := powers[p.Name]
		if !ok {
			continue
		}
		d := example(p, 5)
		methods := []string{""}
		if slices.Contains([]string{"barycenter", "nearest-spd", "glasso"}, p.Name) {
			methods = p.Methods()
		}
		for _, method := range methods {
			want, err := p.Solve(d, &Options{Method: method})
			if err != nil || !want.Converged {
				t.Fatalf("%s by %s: %+v %v", p.Name, method, want, err)
			}
			for _, unit := range []float64{0x1p-40, 0x1p40} {
				r, err := p.Solve(inUnits(d, unit), &Options{Method: method})
				if err != nil {
					t.Errorf("%s by %s in units of %g: %v", p.Name, method, unit, err)
					continue
				}
				var s mat.SymDense
				s.ScaleSym(math.Pow(unit, -power), r.Solution)
				if off := distanceRelative(&s, want.Solution); r.Converged && !(off < 1e-6) || !r.Converged && method == "" {
					t.Errorf("%s by %s in units of %g: off by %g, %s (converged %v), distance %+v", p.Name, method, unit, off, r.Reason, r.Converged, r.Certificate)
				}
			}
		}
	}
}

// TestEndOfRange: where powers of the numbers leave the range of float64 the answer is right, or says to scale the data.
func TestEndOfRange(t *testing.T) {
	for _, p := range List() {
		for _, unit := range []float64{0x1p-600, 0x1p600} {
			r, err := p.Solve(inUnits(example(p, 3), unit), nil)
			var fault *DataError
			switch {
			case err != nil && !(errors.As(err, &fault) && strings.Contains(err.Error(), "scale the")):
				t.Errorf("%s in units of %g: %v", p.Name, unit, err)
			case err != nil && strings.Count(err.Error(), "scale the data") > 1:
				t.Errorf("%s says it twice: %v", p.Name, err)
			case err == nil && !(r.Certificate.Value >= 0 && r.RelativeGradient >= 0 && !math.IsInf(r.Objective, 0)):
				t.Errorf("%s in units of %g: %+v", p.Name, unit, r)
			}
		}
	}
	// A matrix that is indefinite in any units, and an option, are not the fault of the units.
	bad := []mat.Symmetric{mat.NewSymDense(2, []float64{1e200, 2e200, 2e200, 1e200})}
	if _, err := Solve("mean", Data{Matrices: bad}, nil); err == nil || !strings.Contains(err.Error(), "jitter") {
		t.Errorf("%v", err)
	}
	if _, err := Solve("mean", Data{Matrices: bad}, &Options{Method: "newt"}); err == nil || strings.Contains(err.Error(), "scale") {
		t.Errorf("%v", err)
	}
}

// TestFarFromTheMinimizer: where the distance to the minimizer is too large to be computed no gradient means convergence; a run that arrives all the same has it.
func TestFarFromTheMinimizer(t *testing.T) {
	tiny := inUnits(Data{Matrices: []mat.Symmetric{symmetric(gallery.SPD(3, 2, 1e12)), symmetric(gallery.SPD(4, 2, 1e12))}}, 1e-10)
	p, _ := ByName("nearness")
	for _, method := range p.Methods()[1:] {
		o := &Options{Method: method}
		o.Solver.MaxIterations = 200
		r, err := p.Solve(tiny, o)
		if err != nil {
			t.Fatal(err)
		}
		if r.Converged && !(r.Certificate.Bound && r.Certificate.Value <= nearEnough) {
			t.Errorf("%s: converged (%s), with the certificate %+v", method, r.Reason, r.Certificate)
		}
	}
}

// TestBarycenterBeyondPrecision: data so ill-conditioned that the gradient says nothing about the small eigenvalues give no error and no success.
func TestBarycenterBeyondPrecision(t *testing.T) {
	for _, kappa := range []float64{1e10, 1e12, 1e14} {
		for _, count := range []int{2, 3, 5} {
			var d Data
			for k := range count {
				d.Matrices = append(d.Matrices, symmetric(gallery.SPD(uint64(70+k), 2, kappa)))
			}
			for _, tolerance := range []float64{0, 1e-60} {
				o := &Options{}
				o.Solver.MaxIterations, o.Solver.Tolerance = 300, tolerance
				r, err := Solve("barycenter", d, o)
				if err != nil || r.Converged && !(r.Certificate.Kind == "newton-step" && r.Certificate.Value <= 1e-3) || !r.Converged && r.Advice == "" {
					t.Errorf("condition %g, %d matrices, tolerance %g: %+v %v", kappa, count, tolerance, r, err)
				}
			}
		}
	}
}

// TestBarycenterBelowRounding: a tolerance below rounding is met at the rounding level, which is what the reason names.
func TestBarycenterBelowRounding(t *testing.T) {
	for _, n := range []int{2, 5, 20} {
		for _, tolerance := range []float64{1e-17, 1e-30, 1e-94} {
			o := &Options{}
			o.Solver.Tolerance = tolerance
			r, err := Solve("barycenter", Data{Matrices: scattered(n, 4, 100)}, o)
			if err != nil || !r.Converged || !strings.Contains(r.Reason, "the rounding level") || r.Certificate.Value > 1e-11 {
				t.Errorf("n = %d, tolerance %g: %+v %v", n, tolerance, r, err)
			}
		}
	}
}

// TestEqualMatrices: the mean of matrices that only rounding sets apart is one of them, at any condition; a start far away gets there.
func TestEqualMatrices(t *testing.T) {
	a := symmetric(gallery.SPD(9, 6, 1e12))
	for _, count := range []int{1, 2, 4} {
		r, err := Solve("mean", Data{Matrices: slices.Repeat([]mat.Symmetric{a}, count)}, nil)
		if err != nil || !r.Converged || !(r.Certificate.Value <= 1e-8) {
			t.Errorf("%d equal matrices: %+v %v", count, r, err)
		}
	}
	var far mat.SymDense
	far.ScaleSym(1e-290, identity(3))
	r, err := Solve("mean", Data{Matrices: scattered(3, 4, 10)}, &Options{Start: &far})
	if err != nil || !r.Converged {
		t.Errorf("from far away: %+v %v", r, err)
	}
}

// TestNearbyMatrices: the mean of well-conditioned matrices that are near to each other is certified relative to how near they are.
func TestNearbyMatrices(t *testing.T) {
	for _, n := range []int{6, 60} {
		base := scattered(n, 1, 100)
		k := karcherOf(t, Data{Matrices: base})
		var near []mat.Symmetric
		for i := range uint64(5) {
			eta := symmetricNormals(i, n)
			for j := range eta {
				eta[j] *= 0.01 / float64(n)
			}
			q := k.factors()[0].Clone().(*manifold.Frame)
			if err := k.m.Retract(q, k.factors()[0], eta); err != nil {
				t.Fatal(err)
			}
			near = append(near, q.Sym())
		}
		r := solved(t, "mean", Data{Matrices: near}, nil)
		if scatter := math.Sqrt(2 * r.Objective); !(r.Certificate.Value <= 1.1e-8*scatter) {
			t.Errorf("n = %d: scatter %.3g, distance %+v", n, scatter, r.Certificate)
		}
	}
}

// TestDesignBeyondPrecision: weights that rounding takes away are an error about the data, not a crash.
func TestDesignBeyondPrecision(t *testing.T) {
	for _, kappa := range []float64{1e10, 1e12, 1e14, 1e16} {
		for seed := range uint64(6) {
			l, err := manifold.NewFrame(symmetric(gallery.SPD(seed, 2, kappa)))
			if err != nil {
				continue
			}
			var x mat.Dense
			x.Mul(dataOf(gallery.NewStream(seed).Normals(9, 2)), l.F().T())
			for _, name := range []string{"dopt", "mve"} {
				o := &Options{}
				o.Solver.MaxIterations = 50
				r, err := Solve(name, Data{Samples: &x}, o)
				var fault *DataError
				if err != nil && !errors.As(err, &fault) || err == nil && !r.Converged && r.Advice == "" {
					t.Errorf("%s, condition %g: %+v %v", name, kappa, r, err)
				}
			}
		}
	}
}

// TestStartOutOfReach: a start, or a parameter, whose cost is no number is an error about the data, with a remedy.
func TestStartOutOfReach(t *testing.T) {
	far := new(mat.SymDense)
	far.ScaleSym(1e250, identity(3))
	d := Data{Matrices: scattered(3, 1, 10)}
	_, err := Solve("nearness", d, &Options{Method: "trust", Start: far})
	var fault *DataError
	var start *solve.StartError
	if !errors.As(err, &fault) || !errors.As(err, &start) || !strings.Contains(err.Error(), "another start") {
		t.Errorf("%v", err)
	}
	if err := (&Options{Parameters: Parameters{Quantile: 1e-300}}).Validate(); err == nil {
		t.Error("a quantile of 1e-300 is accepted")
	}
}
