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
			distance := func(a, b mat.Symmetric) (float64, error) { return manifold.SteinDistance(a, b) }
			if metric != steinName {
				g, err := manifold.MetricByName(metric)
				if err != nil {
					t.Fatal(err)
				}
				distance = g.Distance
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

func TestMetricRefused(t *testing.T) {
	ms := Data{Matrices: scattered(3, 3, 10)}
	var unknown *UnknownError
	if _, err := Solve("mean", ms, &Options{Metric: "euclidean"}); !errors.As(err, &unknown) || unknown.Kind != "metric" || !slices.Contains(unknown.Known, "stein") {
		t.Errorf("%v", err)
	}
	for _, c := range []struct {
		problem string
		o       Options
		want    string
	}{
		{"mean", Options{Metric: "log-euclidean", Method: "newton"}, "leave Method empty"},
		{"logdet", Options{Metric: "log-euclidean", Method: "closed-form"}, "affine-invariant metric only"},
		{"logdet", Options{Metric: "log-euclidean", Kappa: 2}, "Kappa is 2"},
		{"mve", Options{Metric: "log-euclidean"}, "unknown metric"},
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
