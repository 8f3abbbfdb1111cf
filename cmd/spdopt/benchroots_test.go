package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/roots/bench"
)

func TestBenchRoots(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.json")
	args := []string{"bench", "roots", "--sizes", "6", "--conds", "1e3", "--powers=-0.5", "--tols", "1e-6,1e-13", "--budget", "1ms"}
	var o rootBenchOutput
	if r := succeed(t, append(args, "--json", "--limit", "1e9", "--out", file)...); json.Unmarshal([]byte(r.stdout), &o) != nil ||
		len(o.Cases) != 2 || o.Count != 2 || o.Within != 2 || o.Worst <= 0 || o.Suite != "roots" {
		t.Errorf("%+v", r)
	}
	text, err := os.ReadFile(file)
	var again rootBenchOutput
	if err != nil || json.Unmarshal(text, &again) != nil || again.Worst != o.Worst {
		t.Errorf("%s, %v", text, err)
	}
	if r := succeed(t, append(args, "--limit", "1e9")...); !strings.Contains(r.stdout, "2 of 2 within") {
		t.Errorf("%+v", r)
	}
	for _, c := range []struct {
		code int
		part string
		args []string
	}{
		{exitUsage, "--limit", []string{"--limit", "0.5"}},
		{exitUsage, "size 0", []string{"--sizes", "0"}},
		{exitUsage, "tolerance 2", []string{"--tols", "2"}},
		{exitInput, "cannot write", []string{"--out", filepath.Join(file, "x")}},
		{exitFailure, "no method promises", []string{"--sizes", "4", "--powers=-0.5", "--conds", "1e3", "--tols", "1e-17", "--budget", "1ms"}},
	} {
		if r := invoke(append([]string{"bench", "roots"}, c.args...)...); r.code != c.code || !strings.Contains(r.stderr, c.part) {
			t.Errorf("%v: %+v", c.args, r)
		}
	}
}

// TestBenchRootsOverTheLimit checks the exit code with a case that is over the limit.
func TestBenchRootsOverTheLimit(t *testing.T) {
	if err := overLimit(bench.Case{Ratio: 1.3, Best: "eigen"}, 1.2); exitCode(err) != exitUnmet {
		t.Error(err)
	}
	if err := overLimit(bench.Case{Ratio: 1.1}, 1.2); err != nil {
		t.Error(err)
	}
}
