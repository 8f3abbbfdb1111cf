package problem

import (
	"fmt"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/gallery"
)

// BenchmarkCatalogue runs the default method of every problem of the catalogue on its trial data, n = 50.
func BenchmarkCatalogue(b *testing.B) {
	const n = 50
	all := trials(n)
	for name, cases := range catalogueCases(n, 1e2) {
		all[name] = trial{data: cases[0]}
	}
	for _, p := range List() {
		c, ok := all[p.Name]
		if !ok {
			continue
		}
		b.Run(p.Name, func(b *testing.B) {
			for b.Loop() {
				r, err := p.Solve(c.data, &c.options)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(r.Iterations), "iterations")
			}
		})
	}
}

// BenchmarkPeers are the sizes that the documentation compares with other programs.
func BenchmarkPeers(b *testing.B) {
	for _, n := range []int{50, 100, 200} {
		samples := Data{Samples: dataOf(gallery.NewStream(21).Normals(2*n, n))}
		run := func(name, problem string, d Data, o *Options) {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					r, err := Solve(problem, d, o)
					if err != nil || !r.Converged {
						b.Fatalf("%+v %v", r, err)
					}
					b.ReportMetric(float64(r.Iterations), "iterations")
					b.ReportMetric(r.Certificate.Value, "distance")
				}
			})
		}
		run("glasso-sparse", "glasso", samples, &Options{Parameters: Parameters{Rho: 0.15}})
		run("glasso-dense", "glasso", samples, &Options{Parameters: Parameters{Rho: 0.05}})
		run("nearest-correlation", "nearest-correlation", Data{Matrices: []mat.Symmetric{indefinite(n)}}, nil)
		run("huber", "huber", Data{Samples: heavyTailed(n, 1e6)}, nil)
		run("student", "student", Data{Samples: heavyTailed(n, 1e6)}, nil)
		run("nearness", "nearness", nearnessData(n), &Options{Method: "trust"})
		run("barycenter", "barycenter", Data{Matrices: scattered(n, 20, 1e2)}, nil)
		run("median", "median", Data{Matrices: scattered(n, 20, 1e2)}, nil)
	}
}

func nearnessData(n int) Data {
	q, x := gallery.Nearness(n, 1e6)
	c := mat.NewSymDense(n, nil)
	c.SymOuterK(1/float64(x.Rows), dataOf(x).T())
	return Data{Matrices: []mat.Symmetric{symmetric(q), c}}
}
