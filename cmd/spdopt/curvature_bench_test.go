package main

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/spdopt/spdopt/internal/cputime"
	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/train"
)

// curvatureWork is what BenchmarkCurvature measures, each beside the gradient of the same risk.
func curvatureWork(b *testing.B, r *curvature.Risk[float32]) map[string]func() {
	x, y := make([]float64, r.Dim()), make([]float64, r.Dim())
	for i := range x {
		x[i] = math.Sin(float64(i))
	}
	mc, err := curvature.NewMonteCarloGGN(r, 1, 1)
	if err != nil {
		b.Fatal(err)
	}
	hessian, ggn, fisher := curvature.NewHessian(r), curvature.NewGGN(r), curvature.NewEmpiricalFisher(r)
	collect := func(s curvature.Settings) func() {
		s.Flavour, s.Skip = curvature.MonteCarlo, true
		return func() {
			if _, err := curvature.CollectKFAC(r, s); err != nil {
				b.Fatal(err)
			}
		}
	}
	return map[string]func(){
		"gradient": func() { r.Gradient(y) }, "hessian": func() { hessian.MulTo(y, x) }, "ggn": func() { ggn.MulTo(y, x) },
		"mc": func() { mc.MulTo(y, x) }, "fisher": func() { fisher.MulTo(y, x) },
		"kfac-expand": collect(curvature.Settings{}), "kfac-reduce": collect(curvature.Settings{Sharing: curvature.Reduce}),
	}
}

// BenchmarkCurvature reports processor time in units of a gradient of the same risk: eight batches of a workload in float32. Every round runs all
// of them one after the other, and the smallest time of each counts, so that other programs disturb the ratios little.
func BenchmarkCurvature(b *testing.B) {
	for _, workload := range []string{"mnist-mlp", "mnist-cnn", "char-transformer"} {
		b.Run(workload, func(b *testing.B) {
			folder := filepath.Join(b.TempDir(), "run")
			if _, err := train.Run(train.Options{Workload: workload, Steps: 1, Out: folder, Seed: 1}); err != nil {
				b.Fatal(err)
			}
			t, err := train.LoadTrained(folder)
			if err != nil {
				b.Fatal(err)
			}
			r, err := curvature.NewRisk(t.Net, t.Batches(8), curvature.RiskOptions{})
			if err != nil {
				b.Fatal(err)
			}
			work, best := curvatureWork(b, r), map[string]float64{}
			for b.Loop() {
				for name, f := range work {
					start, _ := cputime.Seconds()
					f()
					end, _ := cputime.Seconds()
					if s, ok := best[name]; !ok || end-start < s {
						best[name] = end - start
					}
				}
			}
			b.ReportMetric(best["gradient"]*1e3, "gradient-ms")
			for name := range work {
				if name != "gradient" {
					b.ReportMetric(best[name]/best["gradient"], name+"/gradient")
				}
			}
		})
	}
}
