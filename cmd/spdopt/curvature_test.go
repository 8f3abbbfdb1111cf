package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// swapModel puts the model of another run into a run.
func swapModel(t *testing.T, run, from string) {
	t.Helper()
	model, err := os.ReadFile(filepath.Join(from, "model.safetensors"))
	if err == nil {
		err = os.WriteFile(filepath.Join(run, "model.safetensors"), model, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// trainedRun trains a workload for some steps into a folder.
func trainedRun(t *testing.T, args ...string) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "run")
	succeed(t, append([]string{"train", "--out", folder, "--json"}, args...)...)
	return folder
}

// TestCurvatureOfRun runs every verb and operator on a trained graph network; methods that estimate the same quantity agree.
func TestCurvatureOfRun(t *testing.T) {
	run := trainedRun(t, "graph", "--steps", "30")
	value := func(field string, args ...string) float64 {
		t.Helper()
		return fields(t, succeed(t, append([]string{"curvature"}, args...)...), "run", "workload", "operator", "parameters", "examples", "loss", field)[field].(float64)
	}
	exact := value("trace", "trace", run, "--json", "--batches", "1", "--operator", "ekfac", "--method", "exact")
	for _, method := range []string{"hutchinson", "hutch++", "xtrace"} {
		got := value("trace", "trace", run, "--json", "--batches", "1", "--operator", "ekfac", "--method", method, "--products", "300")
		if d := got - exact; d > 0.1*exact || d < -0.1*exact {
			t.Errorf("%s: trace %g, exact %g", method, got, exact)
		}
	}
	for _, operator := range curvatureOperators {
		o := succeed(t, "curvature", "check", run, "--json", "--batches", "1", "--operator", operator)
		if f := fields(t, o, "passed", "repeats", "adjoint", "linearity"); f["passed"] != true {
			t.Errorf("%s: %s", operator, o.stdout)
		}
	}
	var lanczos, lobpcg struct {
		Converged   bool
		Eigenvalues []float64
	}
	decode(t, succeed(t, "curvature", "topk", run, "--json", "--batches", "1", "--k", "3"), &lanczos)
	decode(t, succeed(t, "curvature", "topk", run, "--json", "--batches", "1", "--k", "3", "--method", "lobpcg"), &lobpcg)
	for i, v := range lanczos.Eigenvalues {
		if d := v - lobpcg.Eigenvalues[i]; !lanczos.Converged || d > 1e-3*v || d < -1e-3*v {
			t.Errorf("eigenvalues %v and %v", lanczos, lobpcg)
		}
	}
	for name, args := range map[string][]string{
		"spectrum": {"spectrum", run, "--batches", "1", "--operator", "hessian"}, "log": {"spectrum", run, "--batches", "1", "--log-grid"}, "factors": {"factors", run, "--batches", "1"},
	} {
		picture := filepath.Join(t.TempDir(), name+".svg")
		args = append([]string{"curvature"}, append(args, "--svg", picture)...)
		if o := succeed(t, args...); !strings.Contains(o.stdout, picture) {
			t.Errorf("%s prints %s", name, o.stdout)
		}
		svg, err := os.ReadFile(picture)
		if err != nil || !strings.HasPrefix(string(svg), "<svg") || strings.Contains(string(svg), "NaN") {
			t.Errorf("%s: %v, %.80s", name, err, svg)
		}
	}
	fields(t, succeed(t, "curvature", "spectrum", run, "--json", "--batches", "1"), "grid", "density", "log", "steps")
	fields(t, succeed(t, "curvature", "factors", run, "--json", "--batches", "1"), "layers")
}

// TestCurvatureRefuses: each mistake has its exit code and says what it is.
func TestCurvatureRefuses(t *testing.T) {
	run := trainedRun(t, "graph", "--steps", "2")
	text := trainedRun(t, "char-transformer", "--steps", "1", "--batch", "2")
	other := trainedRun(t, "graph", "--steps", "2")
	swapModel(t, other, text)
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"nothing":      {nil, exitUsage, "curvature what? check"},
		"verb":         {[]string{"spectra", run}, exitUsage, "spectrum"},
		"no run":       {[]string{"trace"}, exitUsage, "one run"},
		"no folder":    {[]string{"trace", filepath.Join(run, "none")}, exitInput, "no run"},
		"operator":     {[]string{"trace", run, "--operator", "fishy"}, exitUsage, "hessian"},
		"method":       {[]string{"trace", run, "--method", "guess"}, exitUsage, "xtrace"},
		"products":     {[]string{"trace", run, "--products", "4"}, exitUsage, "multiple of 3"},
		"exact":        {[]string{"trace", run, "--method", "exact"}, exitUsage, "kfac"},
		"k":            {[]string{"topk", run, "--k", "0"}, exitUsage, "positive"},
		"unfinished":   {[]string{"topk", run, "--k", "5", "--products", "7", "--tol", "1e-9"}, exitUnmet, "iterations"},
		"dropout":      {[]string{"check", run, "--training", "--batches", "1"}, exitUnmet, "dropout"},
		"dropout too":  {[]string{"trace", run, "--training", "--batches", "1"}, exitUnmet, "dropout"},
		"no factors":   {[]string{"factors", text, "--batches", "1"}, exitUsage, "--skip"},
		"layer":        {[]string{"factors", run, "--layer", "9.weight"}, exitUsage, "9.weight"},
		"architecture": {[]string{"trace", other}, exitInput, "another model"},
	} {
		o := invoke(append([]string{"curvature"}, c.args...)...)
		if o.code != c.code || !strings.Contains(o.stderr, c.says) {
			t.Errorf("%s: exit code %d, %s", name, o.code, o.stderr)
		}
	}
	o := succeed(t, "curvature", "factors", text, "--batches", "1", "--skip")
	if !strings.Contains(o.stdout, "no factors") || !strings.Contains(o.stdout, "3.weight") && !strings.Contains(o.stdout, "project") {
		t.Errorf("skipped blocks are not listed: %s", o.stdout)
	}
}

// TestCurvatureOfUnfinishedRun: of an interrupted run the newest state counts; a run without one, or of another verb, is an error.
func TestCurvatureOfUnfinishedRun(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(interrupted{syscall.SIGTERM})
	run := filepath.Join(t.TempDir(), "run")
	if o := invokeWith(ctx, "", "train", "graph", "--out", run); o.code != 143 {
		t.Fatalf("exit code %d, %s", o.code, o.stderr)
	}
	succeed(t, "curvature", "trace", run, "--batches", "1")
	states, err := filepath.Glob(filepath.Join(run, "state.*"))
	if err != nil || len(states) == 0 {
		t.Fatalf("states %v, %v", states, err)
	}
	for _, s := range states {
		if err := os.Remove(s); err != nil {
			t.Fatal(err)
		}
	}
	if o := invoke("curvature", "trace", run); o.code != exitInput || !strings.Contains(o.stderr, "neither a model nor a state") {
		t.Errorf("exit code %d, %s", o.code, o.stderr)
	}
	search := filepath.Join(t.TempDir(), "search")
	succeed(t, "minimize", "--fn", "sphere", "--dim", "2", "--max-evals", "50", "--out", search)
	if o := invoke("curvature", "trace", search); o.code != exitUsage || !strings.Contains(o.stderr, "run of minimize") {
		t.Errorf("exit code %d, %s", o.code, o.stderr)
	}
}
