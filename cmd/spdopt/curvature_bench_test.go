package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/cputime"
	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/net"
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

// benchBatches is the number of batches, about a thousand examples or more.
func benchBatches(workload string) int {
	switch workload {
	case "mnist-mlp":
		return 32
	case "mnist-cnn":
		return 8
	}
	return 2
}

// BenchmarkCurvature reports processor time in units of a gradient of the same risk: batches of a workload in float32. Every round runs all
// of them one after the other, and the smallest time of each counts, so that other programs disturb the ratios little. SPDOPT_DIGITS names a folder with
// MNIST files; without it the images are generated.
func BenchmarkCurvature(b *testing.B) {
	for _, workload := range []string{"mnist-mlp", "mnist-cnn", "char-transformer"} {
		b.Run(workload, func(b *testing.B) {
			o := train.Options{Workload: workload, Steps: 1, Out: b.TempDir(), Seed: 1}
			if workload != "char-transformer" {
				o.Data = os.Getenv("SPDOPT_DIGITS")
			}
			if _, err := train.Run(o); err != nil {
				b.Fatal(err)
			}
			model, err := os.ReadFile(filepath.Join(o.Out, "model.safetensors"))
			if err != nil {
				b.Fatal(err)
			}
			t, err := train.LoadTrained(o, model)
			if err != nil {
				b.Fatal(err)
			}
			var batches []*net.Batch[float32]
			for batch := range t.Batches(benchBatches(workload)) {
				copied := *batch
				copied.X, copied.Target.Classes = batch.X.Clone(), slices.Clone(batch.Target.Classes)
				batches = append(batches, &copied)
			}
			r, err := curvature.NewRisk(t.Net, slices.Values(batches), curvature.RiskOptions{})
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
