package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestTrainJSON(t *testing.T) {
	o := succeed(t, "train", "graph", "--steps", "40", "--json")
	m := fields(t, o, "final_loss", "final_metric", "best_metric", "steps", "seconds", "optimizer", "history", "reason", "settings")
	if m["steps"] != 40.0 || m["optimizer"] != "adamw" || len(m["history"].([]any)) != 2 {
		t.Errorf("%v", m)
	}
	again := succeed(t, "train", "graph", "--steps", "40", "--json", "--seed", "1")
	if fields(t, again)["final_loss"] != m["final_loss"] {
		t.Error("the default seed is not 1, or runs differ")
	}
}

func TestTrainText(t *testing.T) {
	o := succeed(t, "train", "graph", "--steps", "20", "--opt", "sgd", "--set", `{"nesterov":true}`)
	for _, part := range []string{"graph", "sgd", "accuracy", "all steps taken"} {
		if !strings.Contains(o.stdout, part) {
			t.Errorf("no %q in %q", part, o.stdout)
		}
	}
}

func TestTrainExitCodes(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.txt")
	if err := os.WriteFile(empty, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code int
		part string
		args []string
	}{
		{exitUsage, "name a workload", nil},
		{exitUsage, `did you mean "graph"`, []string{"grpah"}},
		{exitUsage, `did you mean "nadamw"`, []string{"graph", "--opt", "nadmw"}},
		{exitUsage, "--steps", []string{"graph", "--steps", "-5"}},
		{exitUsage, "--epochs contradicts", []string{"graph", "--steps", "5", "--epochs", "1"}},
		{exitUsage, "--set", []string{"graph", "--set", "{"}},
		{exitUsage, `--lr contradicts "lr"`, []string{"graph", "--lr", "0.1", "--set", `{"lr":0.2}`}},
		{exitUsage, "--schedule must be one of", []string{"graph", "--schedule", "zigzag"}},
		{exitUsage, `"lr" holds another kind`, []string{"graph", "--set", `{"lr":"x"}`}},
		{exitUsage, "unknown field", []string{"graph", "--set", `{"momentums":1}`}},
		{exitUsage, "--batch", []string{"mnist-mlp", "--batch", "100000"}},
		{exitUsage, "--eval-every", []string{"graph", "--eval-every", "-1"}},
		{exitUsage, "--resume needs", []string{"graph", "--resume"}},
		{exitUsage, "needs --target", []string{"graph", "--require-target"}},
		{exitUsage, "--merges", []string{"graph", "--merges", "5"}},
		{exitInput, "empty", []string{"char-transformer", "--data", empty}},
		{exitInput, "there is no run", []string{"graph", "--resume", "--out", t.TempDir()}},
		{exitUnmet, "the target is 1.5", []string{"graph", "--steps", "20", "--target", "1.5", "--require-target"}},
		{exitUsage, `unknown device "abacus"`, []string{"graph", "--device", "abacus"}},
	} {
		o := invoke(append([]string{"train"}, c.args...)...)
		if o.code != c.code || !strings.Contains(o.stderr, c.part) {
			t.Errorf("%q: exit code %d, %q; want %d with %q", c.args, o.code, o.stderr, c.code, c.part)
		}
	}
}

// TestTrainInterrupted: a run that is interrupted leaves its state, and goes on from it to the same end as one that is not.
func TestTrainInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(interrupted{syscall.SIGTERM})
	out := filepath.Join(t.TempDir(), "run")
	args := []string{"train", "graph", "--steps", "30", "--set", `{"beta1":0.8}`, "--json", "--out", out}
	o := invokeWith(ctx, "", args...)
	if o.code != 143 || !strings.Contains(o.stderr, "interrupted at step 1") || !strings.Contains(o.stderr, "spdopt runs resume "+out) {
		t.Fatalf("exit code %d, %q", o.code, o.stderr)
	}
	again := invoke(args...)
	if again.code != exitInput || !strings.Contains(again.stderr, "holds a run already") {
		t.Errorf("a second run in the same directory: exit code %d, %q", again.code, again.stderr)
	}
	other := invoke("train", "graph", "--resume", "--out", out, "--opt", "sgd")
	if other.code != exitUsage || !strings.Contains(other.stderr, `--opt is "sgd", but the run began with "adamw"`) {
		t.Errorf("resumed with another optimizer: exit code %d, %q", other.code, other.stderr)
	}
	resumed := fields(t, succeed(t, "train", "--resume", "--out", out, "--json"))
	whole := fields(t, succeed(t, append(args[:len(args)-1], "none")...))
	if resumed["final_loss"] != whole["final_loss"] || resumed["steps"] != whole["steps"] || whole["steps"] != 30.0 {
		t.Errorf("resumed %v, whole %v", resumed["final_loss"], whole["final_loss"])
	}
	plain := fields(t, succeed(t, "train", "graph", "--steps", "30", "--json", "--out", "none"))
	if plain["final_loss"] == whole["final_loss"] {
		t.Error("the options of the optimizer have no effect")
	}
	for _, name := range []string{"model.safetensors", "curve.svg", "result.json"} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			t.Error(err)
		}
	}
	bare := invokeWith(ctx, "", "train", "graph", "--out", "none")
	if bare.code != 143 || !strings.Contains(bare.stderr, "nothing was written") {
		t.Errorf("without a directory: exit code %d, %q", bare.code, bare.stderr)
	}
}

// A training whose states are all damaged begins anew, and says so.
func TestTrainDamagedStates(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(interrupted{syscall.SIGTERM})
	out := filepath.Join(t.TempDir(), "run")
	invokeWith(ctx, "", "train", "graph", "--steps", "30", "--out", out)
	states, err := filepath.Glob(filepath.Join(out, "state.*"))
	if err != nil || len(states) == 0 {
		t.Fatalf("states %v, %v", states, err)
	}
	for _, s := range states {
		if err := os.Truncate(s, 100); err != nil {
			t.Fatal(err)
		}
	}
	o := succeed(t, "train", "--resume", "--out", out, "--json")
	if !strings.Contains(o.stderr, "begins at its first step") {
		t.Errorf("standard error %q", o.stderr)
	}
	if whole := succeed(t, "train", "graph", "--steps", "30", "--json", "--out", "none"); fields(t, o)["final_loss"] != fields(t, whole)["final_loss"] {
		t.Error("the run that began anew ends elsewhere")
	}
}
