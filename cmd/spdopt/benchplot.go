package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spdopt/spdopt/esadapt/bench"
	"github.com/spdopt/spdopt/internal/report"
)

// runningTimesPicture shows the distribution of running times, one curve for each dimension.
func runningTimesPicture(suite string, trials []bench.Trial) *report.Curves {
	p := report.Panel{Y: "share of functions, instances and targets (1e2 to 1e-8) reached"}
	for _, n := range bench.Dims(trials) {
		p.Curves = append(p.Curves, report.Curve{Name: fmt.Sprintf("%d variables", n), Points: steps(bench.RunningTimes(trials, n))})
	}
	return &report.Curves{Title: suite + ": running times", X: "evaluations per variable", LogX: true, Panels: []report.Panel{p}}
}

// comparisonPicture shows the performance profile of two results, and the distributions of their running times in every dimension that both have.
func comparisonPicture(before, after string, x, y *bench.File) *report.Curves {
	names := []string{"before: " + base(before), "after: " + base(after)}
	profile := report.Panel{Y: "share of functions within a factor of the better expected running time to 1e-8"}
	for k, c := range bench.Profile(x.Trials, y.Trials) {
		profile.Curves = append(profile.Curves, report.Curve{Name: names[k], Points: steps(c)})
	}
	return &report.Curves{Title: x.Suite + ": performance profile", X: "factor", LogX: true, Panels: []report.Panel{profile}}
}

func base(path string) string { return strings.TrimSuffix(filepath.Base(path), ".json") }

// steps makes the corners of a step function from its jumps, which it reaches from below at the first.
func steps(jumps [][2]float64) (corners [][2]float64) {
	y := 0.0
	for _, p := range jumps {
		corners = append(corners, [2]float64{p[0], y}, p)
		y = p[1]
	}
	return corners
}
