package problem

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/cputime"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// recipe is one benchmark problem: the data, and the first point against whose gradient norm the peers measure convergence.
type recipe struct {
	name    string
	problem string
	largest int // n
	methods []string
	make    func(n int, kappa float64) (Data, *manifold.Frame)
}

func recipes() []recipe {
	frame := func(f *manifold.Frame, err error) *manifold.Frame {
		if err != nil {
			panic(err)
		}
		return f
	}
	return []recipe{
		{"karcher_pair", "mean", 200, []string{"newton", "newton from I", "trust", "lbfgs", "steepest", "richardson"}, func(n int, kappa float64) (Data, *manifold.Frame) {
			ms, _ := pairs(n, 20, kappa)
			return Data{Matrices: ms}, manifold.IdentityFrame(n, 1)
		}},
		{"karcher_scatter", "mean", 200, []string{"newton", "newton from A", "trust", "lbfgs", "steepest", "richardson"}, func(n int, kappa float64) (Data, *manifold.Frame) {
			ms := scattered(n, 20, kappa)
			return Data{Matrices: ms}, frame(manifold.NewFrame(arithmeticMean(ms)))
		}},
		{"karcher_two", "mean", 200, []string{"newton"}, func(n int, kappa float64) (Data, *manifold.Frame) {
			ms := scattered(n, 2, kappa)
			return Data{Matrices: ms}, frame(manifold.NewFrame(arithmeticMean(ms)))
		}},
		{"logdet_mle", "logdet", 500, []string{"closed-form", "steepest", "lbfgs", "trust"}, func(n int, kappa float64) (Data, *manifold.Frame) {
			return Data{Matrices: []mat.Symmetric{symmetric(gallery.LogDet(n, kappa))}}, manifold.IdentityFrame(n, 1)
		}},
		{"tyler", "tyler", 500, []string{"fixed-point", "steepest", "lbfgs", "trust"}, func(n int, kappa float64) (Data, *manifold.Frame) {
			return Data{Samples: heavyTailed(n, kappa)}, manifold.IdentityFrame(n, 1)
		}},
	}
}

// BenchmarkSolve runs every recipe at n = 10 ... 200 (500) and condition 1e2 and 1e6 to a gradient norm of 1e-8 times that at the recipe's
// first point, and reports the least process CPU time of a run, data checks included, its iterations and the gradient reached.
func BenchmarkSolve(b *testing.B) {
	for _, c := range recipes() {
		for _, kappa := range []float64{1e2, 1e6} {
			for _, n := range []int{10, 50, 100, 200, 500} {
				if n > c.largest {
					continue
				}
				d, x0 := c.make(n, kappa)
				g0 := gradientNorm(b, c.problem, d, x0)
				for _, method := range c.methods {
					b.Run(fmt.Sprintf("%s/kappa=%.0e/n=%d/%s", c.name, kappa, n, method), func(b *testing.B) {
						benchmark(b, c.problem, method, d, x0, g0)
					})
				}
			}
		}
	}
}

func benchmark(b *testing.B, problem, method string, d Data, x0 *manifold.Frame, g0 float64) {
	o := &Options{Method: method, Solver: solve.Options{Tolerance: 1e-15, AbsoluteTolerance: 1e-8 * g0}}
	if name, _, from := strings.Cut(method, " from "); from {
		o.Method, o.Start = name, x0.Sym()
	}
	least := math.Inf(1)
	var r *Result
	for b.Loop() {
		began, _ := cputime.Seconds()
		var err error
		if r, err = Solve(problem, d, o); err != nil {
			b.Fatal(err)
		}
		ended, _ := cputime.Seconds()
		least = min(least, ended-began)
	}
	if !r.Converged {
		b.Fatalf("did not converge: %s", r.Reason)
	}
	b.ReportMetric(1e3*least, "cpu-ms")
	b.ReportMetric(float64(r.Iterations), "iterations")
	b.ReportMetric(float64(r.Evaluations), "evaluations")
	b.ReportMetric(1e9*r.GradientNorm/g0, "relgrad/1e-9")
}

// gradientNorm returns the gradient norm of a problem at p.
func gradientNorm(b *testing.B, name string, d Data, p *manifold.Frame) float64 {
	problem, err := ByName(name)
	if err != nil {
		b.Fatal(err)
	}
	in, m, err := problem.instance(&d, &Options{})
	if err != nil {
		b.Fatal(err)
	}
	grad := make([]float64, m.VectorLen())
	if _, err := in.Evaluate(p, grad, in.(solve.Memoizer).NewMemo()); err != nil {
		b.Fatal(err)
	}
	return math.Sqrt(m.Inner(p, grad, grad))
}
