package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type laplaceResult struct {
	Prior                      []float64
	Groups                     []string
	Noise, Evidence, Effective float64
	Before                     float64 `json:"evidence_before"`
	LogLikelihood              float64 `json:"log_likelihood"`
	Scatter                    float64
	Parameters, Examples       int
	Validation                 []struct {
		Link                 string
		Loss, Accuracy, RMSE float64
	}
	Curve []struct {
		Prior, Evidence float64
		Loss, Accuracy  *float64
	}
	LogDet   float64 `json:"log_det_posterior"`
	LogPrior float64 `json:"log_det_prior"`
}

func laplaceOf(t *testing.T, args ...string) (r laplaceResult) {
	t.Helper()
	decode(t, succeed(t, append([]string{"laplace", "--json"}, args...)...), &r)
	return r
}

// TestLaplaceOfRun: tuning raises the evidence, its parts add up, the grid has the chosen prior at its smallest loss, and the picture is drawn.
func TestLaplaceOfRun(t *testing.T) {
	run := trainedRun(t, "mnist-mlp", "--steps", "40", "--batch", "64")
	some := []string{run, "--batches", "4", "--last-layer"}
	r := laplaceOf(t, some...)
	if !(r.Evidence > r.Before) || r.Parameters != 1290 || r.Examples != 256 {
		t.Errorf("%+v", r)
	}
	if sum := r.LogLikelihood - (r.LogDet-r.LogPrior+r.Scatter)/2; math.Abs(sum-r.Evidence) > 1e-6*math.Abs(sum) {
		t.Errorf("the parts of the evidence add up to %v, not %v", sum, r.Evidence)
	}
	if v := r.Validation; len(v) != 2 || v[0].Link != "map" || v[1].Link != "probit" || v[0].Accuracy < 0.3 || v[1].Accuracy < v[0].Accuracy-0.05 {
		t.Errorf("validation %+v", v)
	}
	picture := filepath.Join(t.TempDir(), "evidence.svg")
	g := laplaceOf(t, append(some, "--tune", "grid", "--points", "5", "--from", "0.01", "--to", "100", "--svg", picture)...)
	best := 0
	for k, p := range g.Curve {
		if *p.Loss < *g.Curve[best].Loss {
			best = k
		}
	}
	if len(g.Curve) != 5 || g.Prior[0] != g.Curve[best].Prior || math.Abs(g.Validation[1].Loss-*g.Curve[best].Loss) > 1e-9 {
		t.Errorf("%+v", g)
	}
	svg, err := os.ReadFile(picture)
	if err != nil || !strings.HasPrefix(string(svg), "<svg") || strings.Contains(string(svg), "NaN") || !strings.Contains(string(svg), "log evidence") {
		t.Errorf("picture: %v", err)
	}
	l := laplaceOf(t, run, "--batches", "1", "--structure", "diagonal", "--layerwise", "--no-score")
	if len(l.Prior) != 2 || len(l.Groups) != 2 || l.Parameters != 101770 || l.Validation != nil {
		t.Errorf("%+v", l)
	}
	if o := succeed(t, "laplace", run, "--batches", "1", "--last-layer", "--tune", "none", "--link", "bridge"); !strings.Contains(o.stdout, "validation, bridge") ||
		!strings.Contains(o.stdout, "(not tuned)") {
		t.Errorf("prints %s", o.stdout)
	}
}

// TestLaplaceOfRegression: the noise moves with the prior.
func TestLaplaceOfRegression(t *testing.T) {
	run := trainedRun(t, "diffusion", "--steps", "30")
	r := laplaceOf(t, run, "--batches", "1", "--last-layer", "--structure", "full")
	if r.Noise == 1 || r.Noise <= 0 || len(r.Validation) != 1 || r.Validation[0].RMSE <= 0 || math.Abs(r.Noise-r.Validation[0].RMSE) > 0.3 {
		t.Errorf("%+v", r)
	}
}

func TestLaplaceBadInput(t *testing.T) {
	run := trainedRun(t, "graph", "--steps", "5")
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{exitUsage, "one run", nil},
		{exitUsage, "--structure must be", []string{run, "--structure", "banded"}},
		{exitUsage, "--tune", []string{run, "--tune", "luck"}},
		{exitUsage, "--link", []string{run, "--link", "cubic"}},
		{exitUsage, "must be positive", []string{run, "--prior", "0"}},
		{exitUsage, "must be positive", []string{run, "--prior", "-3"}},
		{exitUsage, "--noise", []string{run, "--noise", "0"}},
		{exitUsage, "--noise is that of regression", []string{run, "--noise", "2"}},
		{exitUsage, "grid", []string{run, "--from", "5", "--to", "1"}},
		{exitUsage, "layerwise", []string{run, "--tune", "grid", "--layerwise"}},
		{exitUsage, "can be 1", []string{run, "--no-score", "--prior", "1,1,1,1,1"}},
		{exitInput, "no such block", []string{run, "--blocks", "nowhere"}},
		{exitInput, "not independent", []string{run}},
		{exitInput, "", []string{t.TempDir()}},
	} {
		o := invoke(append([]string{"laplace"}, c.args...)...)
		if o.code != c.code || !strings.Contains(o.stderr, c.says) || strings.Contains(o.stderr, "panic") {
			t.Errorf("%v: code %d, says %s", c.args, o.code, o.stderr)
		}
	}
	succeed(t, "laplace", run, "--no-score")
}

// TestLaplaceOfAnotherNetwork: a model of another architecture in the folder of a run is bad input.
func TestLaplaceOfAnotherNetwork(t *testing.T) {
	run, other := trainedRun(t, "diffusion", "--steps", "2"), trainedRun(t, "graph", "--steps", "2")
	swapModel(t, run, other)
	if o := invoke("laplace", run); o.code != exitInput || !strings.Contains(o.stderr, "another model") {
		t.Errorf("code %d, says %s", o.code, o.stderr)
	}
}
