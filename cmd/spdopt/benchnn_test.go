package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// raceFiles finds targets of two small workloads and makes up costs for three submissions, and returns flags that use them.
func raceFiles(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	targets, costs := filepath.Join(dir, "targets.json"), filepath.Join(dir, "costs.json")
	o := succeed(t, "bench", "target", "--workloads", "graph-sbm", "--trials", "1", "--repeats", "1", "--generated", "--out", targets)
	if !strings.Contains(o.stdout, "graph-sbm") {
		t.Errorf("%+v", o)
	}
	before, err := os.ReadFile(targets)
	if err != nil {
		t.Fatal(err)
	}
	succeed(t, "bench", "target", "--workloads", "graph-sbm", "--trials", "1", "--repeats", "1", "--generated", "--out", targets, "--json")
	if after, err := os.ReadFile(targets); err != nil || string(after) != string(before) {
		t.Errorf("a second search changed the targets: %v", err)
	}
	succeed(t, "bench", "cost", "--workloads", "graph-sbm", "--opts", "adamw,spectral", "--generated", "--out", costs, "--json")
	return []string{"--workloads", "graph-sbm", "--generated", "--targets", targets, "--costs", costs, "--trials", "2", "--studies", "1", "--budget", "0.6"}
}

func TestBenchTraining(t *testing.T) {
	files := raceFiles(t)
	dir := t.TempDir()
	log, svg, table := filepath.Join(dir, "log.jsonl"), filepath.Join(dir, "p.svg"), filepath.Join(dir, "t.csv")
	common := append([]string{"bench", "nn", "--opts", "adamw,spectral", "--log", log, "--svg", svg, "--out", table}, files...)
	first := succeed(t, common...)
	if !strings.Contains(first.stdout, "| spectral |") || !strings.Contains(first.stdout, "time / adamw") {
		t.Errorf("%+v", first)
	}
	size := func() int64 {
		info, err := os.Stat(log)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	if again := succeed(t, common...); again.stdout != first.stdout || size() != before {
		t.Errorf("the second run made trials that the log had: %s", again.stdout)
	}
	for _, path := range []string{log, table} {
		if o := succeed(t, "bench", "score", path); o.stdout != first.stdout {
			t.Errorf("scored from %s:\n%s, want\n%s", path, o.stdout, first.stdout)
		}
	}
	if alone := succeed(t, "bench", "score", log, "--opts", "adamw"); strings.Contains(alone.stdout, "spectral") || !strings.Contains(alone.stdout, "| adamw |") {
		t.Errorf("one submission alone:\n%s", alone.stdout)
	}
	var o raceOutput
	decode(t, succeed(t, "bench", "score", log, "--rules", "v0.5", "--json"), &o)
	if o.Rules != "v0.5" || len(o.Scores) != 2 || len(o.Scores[0].Seconds) != 1 || o.Reference != "adamw" {
		t.Errorf("%+v", o)
	}
	if picture, err := os.ReadFile(svg); err != nil || !strings.HasPrefix(string(picture), "<svg") {
		t.Errorf("picture: %v", err)
	}
	interruptedRace(t, files)
	refusals(t, log, table)
}

// interruptedRace: a cancelled comparison says how it goes on.
func interruptedRace(t *testing.T, files []string) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(interrupted{os.Interrupt})
	log := filepath.Join(t.TempDir(), "log.jsonl")
	o := invokeWith(ctx, "", append([]string{"bench", "nn", "--opts", "adamw", "--log", log}, files...)...)
	if o.code != 130 || !strings.Contains(o.stderr, "the same command goes on") {
		t.Errorf("%+v", o)
	}
}

// refusals: logs that cannot be scored together, and broken ones.
func refusals(t *testing.T, log, table string) {
	content, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	header, rest, _ := strings.Cut(string(content), "\n")
	var h map[string]any
	if err := json.Unmarshal([]byte(header), &h); err != nil {
		t.Fatal(err)
	}
	spoiled := func(name string, change func()) string {
		change()
		text, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		return writeText(t, name, string(text)+"\n"+rest)
	}
	terms := h["terms"].([]any)[0].(map[string]any)
	target := spoiled("other.jsonl", func() { terms["target"] = 0.123 })
	version := spoiled("future.jsonl", func() { h["version"] = 9 })
	for _, c := range []struct {
		args []string
		part string
	}{
		{[]string{log, target}, "the targets of graph-sbm are"},
		{[]string{log, table}, "is there twice"},
		{[]string{version}, "is a log of version 9; this program reads version 1"},
		{[]string{writeText(t, "x.csv", "a,b\n1,2\n")}, "column"},
		{[]string{log + "x"}, "no such file"},
	} {
		if o := invoke(append([]string{"bench", "score"}, c.args...)...); o.code != exitInput || !strings.Contains(o.stderr, c.part) {
			t.Errorf("%q: %+v", c.args, o)
		}
	}
	if o := invoke("bench", "score", log, "--opts", "adamw,spectre"); o.code != exitUsage || !strings.Contains(o.stderr, `did you mean "spectral"`) {
		t.Errorf("%+v", o)
	}
	if o := invoke("bench", "score", log, "--reference", "adamv"); o.code != exitUsage || !strings.Contains(o.stderr, `did you mean "adamw"`) {
		t.Errorf("%+v", o)
	}
}

func TestBenchTrainingMistakes(t *testing.T) {
	empty := t.TempDir()
	for _, c := range []struct {
		args []string
		code int
		part string
	}{
		{[]string{"nn", "--suite", "large"}, exitUsage, "--suite must be small, full"},
		{[]string{"nn", "--opts", "spectre"}, exitUsage, `did you mean "spectral"`},
		{[]string{"nn", "--workloads", "mnist"}, exitUsage, "unknown workload"},
		{[]string{"nn", "--ruleset", "internal"}, exitUsage, "--ruleset"},
		{[]string{"nn", "--clock", "sun"}, exitUsage, "--clock"},
		{[]string{"nn", "--clock", "real", "--jobs", "2"}, exitUsage, "disturb the clock"},
		{[]string{"nn", "--rules", "v1"}, exitUsage, "--rules"},
		{[]string{"nn", "--trials", "0"}, exitUsage, "--trials"},
		{[]string{"nn", "--out", "x.txt"}, exitUsage, ".json or .csv"},
		{[]string{"nn", "--targets", filepath.Join(empty, "t.json")}, exitInput, "no such file"},
		{[]string{"nn", "--costs", writeText(t, "c.json", `{"version":5}`)}, exitInput, "version 5"},
		{[]string{"nn", "--workloads", "mnist-mlp", "--data", empty}, exitInput, filepath.Join(empty, "mnist") + ": no such file; put the IDX files"},
		{[]string{"nn", "--workloads", "char-lm", "--data", empty}, exitInput, filepath.Join(empty, "text.txt") + ": no such file; put a text"},
		{[]string{"nn", "--workloads", "mnist-mlp", "--generated"}, exitUsage, "other data"},
		{[]string{"nn", "--workloads", "graph-sbm", "--targets", writeText(t, "t.json", `{"version":1}`)}, exitUsage, "graph-sbm has no target"},
		{[]string{"score"}, exitUsage, "name a log"},
		{[]string{"target"}, exitUsage, "--out"},
		{[]string{"target", "--out", "x", "--trials", "-1"}, exitUsage, "positive"},
		{[]string{"cost"}, exitUsage, "--out"},
	} {
		if o := invoke(append([]string{"bench"}, c.args...)...); o.code != c.code || !strings.Contains(o.stderr, c.part) {
			t.Errorf("%q: %+v", c.args, o)
		}
	}
}
