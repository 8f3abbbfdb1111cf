package problem

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// TestEveryProblemInEveryMetric: the general solvers reach the same solution whatever geometry they move in.
func TestEveryProblemInEveryMetric(t *testing.T) {
	for _, p := range riemannian() {
		if p.Name == "mean" || p.Name == "median" {
			continue
		}
		d := cases(4, 10)[p.Name][0]
		want := solved(t, p.Name, d, nil)
		for _, metric := range p.Metrics() {
			for _, method := range []string{"trust", "lbfgs"} {
				r, err := p.Solve(d, &Options{Metric: metric, Method: method})
				if err != nil || !r.Converged || r.Method != method {
					t.Errorf("%s in %s by %s: %+v %v", p.Name, metric, method, r, err)
					continue
				}
				if e, err := manifold.Distance(r.Solution, want.Solution); err != nil || e > 1e-6 || r.Certificate.Kind == "none" {
					t.Errorf("%s in %s by %s: distance %v to the solution by %s, certificate %+v (%v)", p.Name, metric, method, e, want.Method, r.Certificate, err)
				}
			}
		}
	}
}

// TestMeansInEveryMetric: mean and median minimize the distances of the metric that is named: costs at points around the result are not lower.
func TestMeansInEveryMetric(t *testing.T) {
	ms := scattered(3, 5, 10)
	w := []float64{1, 2, 1, 0.5, 1}
	for _, name := range []string{"mean", "median"} {
		p, err := ByName(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, metric := range p.Metrics() {
			distance := manifold.SteinDistance
			if g, err := manifold.MetricByName(metric); err == nil {
				distance = g.Distance
			} else if metric != steinName {
				continue // it minimizes no sum of distances: TestMeansByEquation
			}
			cost := func(x mat.Symmetric) float64 {
				var sum float64
				for k, a := range ms {
					d, err := distance(x, a)
					if err != nil {
						t.Fatal(err)
					}
					if name == "mean" {
						d = d * d
					}
					sum += w[k] * d
				}
				return sum
			}
			r := solved(t, name, Data{Matrices: ms, Weights: w}, &Options{Metric: metric, Solver: solve.Options{Tolerance: 1e-10}})
			at := cost(r.Solution)
			for i := range 3 {
				for j := i; j < 3; j++ {
					for _, h := range []float64{1e-3, -1e-3} {
						x := mat.NewSymDense(3, nil)
						x.CopySym(r.Solution)
						x.SetSym(i, j, x.At(i, j)*(1+h))
						if c := cost(x); c < at {
							t.Errorf("%s in %s: entry (%d,%d) times %v lowers the cost by %g", name, metric, i, j, 1+h, at-c)
						}
					}
				}
			}
			scale := 5.5 // of the weights; the cost of mean is half the sum of squares
			if name == "mean" && metric != steinName {
				scale = 11
			}
			if math.Abs(r.Objective*scale-at) > 1e-8*at {
				t.Errorf("%s in %s: objective %v, cost %v", name, metric, r.Objective, at/scale)
			}
		}
	}
}

// TestMeansByEquation: every mean of manifold.Averages is that of the library, whatever the method is called, and says how far it went; Power reaches the two
// metrics that have one.
func TestMeansByEquation(t *testing.T) {
	d := Data{Matrices: scattered(4, 4, 10)}
	for _, a := range manifold.Averages() {
		want, _, err := a.Mean(d.Matrices, nil, manifold.AverageOptions{})
		if err != nil {
			t.Fatal(err)
		}
		r := solved(t, "mean", d, &Options{Metric: a.Name, Solver: solve.Options{Tolerance: 1e-10}})
		if e, err := manifold.Distance(r.Solution, want); err != nil || e > 1e-8 || r.Method != a.Name || r.Certificate.Kind == "none" || !(r.Objective > 0) {
			t.Errorf("%s: distance %v, %+v (%v)", a.Name, e, r, err)
		}
	}
	for _, power := range []float64{-0.5, 0.25, 1} {
		want, err := manifold.PowerMean(d.Matrices, nil, power, manifold.MeanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		r := solved(t, "mean", d, &Options{Metric: "power", Parameters: Parameters{Power: power}})
		if e, err := manifold.Distance(r.Solution, want); err != nil || e > 1e-7 {
			t.Errorf("power %v: distance %v (%v)", power, e, err)
		}
	}
	harmonic := solved(t, "mean", d, &Options{Metric: "power-euclidean", Parameters: Parameters{Power: -1}})
	if e, err := manifold.Distance(harmonic.Solution, solved(t, "mean", d, &Options{Metric: "inverse-euclidean"}).Solution); err != nil || e > 1e-9 {
		t.Errorf("power -1: distance %v from the harmonic mean (%v)", e, err)
	}
}

// TestMeansElsewhereStop: the callback, the criterion and the limits end a mean or median in any metric that needs more than one iteration; the result says why.
func TestMeansElsewhereStop(t *testing.T) {
	d := Data{Matrices: scattered(5, 4, 1e4)}
	for _, name := range []string{"mean", "median"} {
		p, err := ByName(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, metric := range p.Metrics()[2:] {
			full := solved(t, name, d, &Options{Metric: metric})
			if full.Iterations < 2 {
				continue
			}
			for what, o := range map[string]solve.Options{
				"callback":  {Callback: func(s *solve.Status) bool { return s.Iteration >= 1 }},
				"criterion": {Stop: solve.EvaluationLimit(2)}, "iterations": {MaxIterations: 1},
			} {
				r, err := p.Solve(d, &Options{Metric: metric, Solver: o})
				if err != nil || r.Converged || r.Iterations >= full.Iterations || r.Reason == "" || manifold.CheckSPD(r.Solution) != nil {
					t.Errorf("%s in %s stopped by %s: %+v %v", name, metric, what, r, err)
				}
			}
		}
	}
}

func TestMetricRefused(t *testing.T) {
	ms := Data{Matrices: scattered(3, 3, 10)}
	var unknown *UnknownError
	if _, err := Solve("mean", ms, &Options{Metric: "euclid"}); !errors.As(err, &unknown) || unknown.Kind != "metric" || !slices.Contains(unknown.Known, "stein") {
		t.Errorf("%v", err)
	}
	for _, c := range []struct {
		problem string
		o       Options
		want    string
	}{
		{"mean", Options{Metric: "log-euclidean", Method: "newton"}, "name none"},
		{"logdet", Options{Metric: "log-euclidean", Method: "closed-form"}, "affine-invariant metric only"},
		{"logdet", Options{Metric: "log-euclidean", Kappa: 2}, "Kappa is 2"},
		{"mve", Options{Metric: "log-euclidean"}, "unknown metric"},
		{"median", Options{Metric: "bmp"}, "unknown metric"},
		{"mean", Options{Parameters: Parameters{Power: 0.5}}, "only the metrics power-euclidean and, of mean, power have one"},
		{"mean", Options{Metric: "stein", Parameters: Parameters{Power: 0.5}}, "only the metrics"},
		{"mean", Options{Metric: "power", Parameters: Parameters{Power: 1.5}}, "1.5, want a number from -1 to 1"},
		{"mean", Options{Metric: "power", Parameters: Parameters{Power: 3}}, "Power is 3"},
		{"mean", Options{Metric: "power-euclidean", Parameters: Parameters{Power: 1e-5}}, "1e-3 to 2"},
	} {
		d := ms
		if c.problem == "logdet" {
			d = Data{Matrices: ms.Matrices[:1]}
		}
		if _, err := Solve(c.problem, d, &c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %+v: %v", c.problem, c.o, err)
		}
	}
	if r := solved(t, "logdet", Data{Matrices: ms.Matrices[:1]}, &Options{Metric: "fisher-rao", Method: "trust"}); r.Certificate.Value > 1e-6 {
		t.Errorf("%+v", r)
	}
}

// TestNoFalseSuccessInMetricsWithUnits: where the squares of a gradient leave the range of float64 it is 0, which is no success far from the minimizer.
func TestNoFalseSuccessInMetricsWithUnits(t *testing.T) {
	for _, name := range []string{"logdet", "student", "huber", "tyler"} {
		p, err := ByName(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, metric := range p.Metrics() {
			for _, unit := range []float64{0x1p-332, 0x1p-200, 1, 0x1p200, 0x1p332} {
				r, err := p.Solve(inUnits(example(p, 3), unit), &Options{Metric: metric})
				if err == nil && r.Converged && !(r.Certificate.Value <= 1e-4) {
					t.Errorf("%s in the metric %s in units of %g: %s, %+v", name, metric, unit, r.Reason, r.Certificate)
				}
			}
		}
	}
}
