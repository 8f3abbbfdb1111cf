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
		{exitUsage, "unknown field", []string{"graph", "--set", `{"momentums":1}`}},
		{exitUsage, "--batch", []string{"mnist-mlp", "--batch", "100000"}},
		{exitUsage, "--eval-every", []string{"graph", "--eval-every", "-1"}},
		{exitUsage, "--resume needs", []string{"graph", "--resume"}},
		{exitUsage, "needs --target", []string{"graph", "--require-target"}},
		{exitUsage, "--merges", []string{"graph", "--merges", "5"}},
		{exitInput, "empty", []string{"char-transformer", "--data", empty}},
		{exitInput, "no run to resume", []string{"graph", "--resume", "--out", t.TempDir()}},
		{exitUnmet, "the target is 1.5", []string{"graph", "--steps", "20", "--target", "1.5", "--require-target"}},
		{exitDevice, `no device "abacus"`, []string{"graph", "--device", "abacus"}},
	} {
		o := invoke(append([]string{"train"}, c.args...)...)
		if o.code != c.code || !strings.Contains(o.stderr, c.part) {
			t.Errorf("%q: exit code %d, %q; want %d with %q", c.args, o.code, o.stderr, c.code, c.part)
		}
	}
}

// TestTrainInterrupted: a run that is interrupted leaves a checkpoint, and goes on from it to the same end as one that is not.
func TestTrainInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(interrupted{syscall.SIGTERM})
	out := filepath.Join(t.TempDir(), "run")
	args := []string{"train", "graph", "--steps", "30", "--json", "--out", out}
	o := invokeWith(ctx, "", args...)
	if o.code != 143 || !strings.Contains(o.stderr, "a checkpoint is in "+out) {
		t.Fatalf("exit code %d, %q", o.code, o.stderr)
	}
	resumed := fields(t, succeed(t, append(args, "--resume")...))
	whole := fields(t, succeed(t, "train", "graph", "--steps", "30", "--json"))
	if resumed["final_loss"] != whole["final_loss"] || resumed["steps"] != whole["steps"] {
		t.Errorf("resumed %v, whole %v", resumed["final_loss"], whole["final_loss"])
	}
	other := invoke(append(args, "--resume", "--opt", "sgd")...)
	if other.code != exitUsage || !strings.Contains(other.stderr, `--opt is "sgd", but the run began with "adamw"`) {
		t.Errorf("resumed with another optimizer: exit code %d, %q", other.code, other.stderr)
	}
	if err := os.Remove(filepath.Join(out, "latest.json")); err != nil {
		t.Fatal(err)
	}
	again := fields(t, succeed(t, append(args, "--resume")...))
	if again["final_loss"] != whole["final_loss"] {
		t.Errorf("a run without a checkpoint started again with another end: %v", again["final_loss"])
	}
	bare := invokeWith(ctx, "", "train", "graph")
	if bare.code != 143 || !strings.Contains(bare.stderr, "nothing was written") {
		t.Errorf("without --out: exit code %d, %q", bare.code, bare.stderr)
	}
}
