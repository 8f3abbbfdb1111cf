package algoperf

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/nnopt"
)

// TestEveryOptimizerIsASubmission: the registry of nnopt and the submissions name the same optimizers, and each makes a trial in both rulesets.
func TestEveryOptimizerIsASubmission(t *testing.T) {
	used := map[string]bool{}
	c := toyConfig(t)
	c.Entries = Entries()
	c.Costs = toyCosts(c.Entries, toy(nil))
	c.Trials, c.Studies, c.Budget, c.Targets = 1, 1, 0.2, toyTargets(0, toy(nil))
	for _, ruleset := range []Ruleset{External, SelfTuning} {
		c.Ruleset = ruleset
		for _, r := range mustRun(t, c).Records {
			if r.Status == Failed || r.Best == nil && r.Status != Diverged {
				t.Errorf("%s, %s: %+v", ruleset, r.Submission, r)
			}
		}
	}
	names := map[string]bool{}
	for _, e := range c.Entries {
		if names[e.Name] || e.What == "" || e.Self == nil {
			t.Errorf("%+v", e)
		}
		names[e.Name] = true
		if err := e.Space.Validate(); err != nil {
			t.Errorf("%s: %v", e.Name, err)
		}
		for _, o := range nnopt.Optimizers() {
			if strings.Contains(e.Settings, `"optimizer":"`+o.Name+`"`) {
				used[o.Name] = true
			}
		}
	}
	for _, o := range nnopt.Optimizers() {
		if !used[o.Name] {
			t.Errorf("optimizer %s is no submission; add a line to Entries", o.Name)
		}
	}
}

// TestAveragesAreEvaluated: a schedule-free submission is evaluated at the average, and goes on from where it was.
func TestAveragesAreEvaluated(t *testing.T) {
	w := toy(nil)
	task := start(t, &w, 1)
	sub, err := newOptimizer(scheduleFree("schedule-free-adamw", ""), Point{"lr": 0.05})
	if err != nil {
		t.Fatal(err)
	}
	blocks := task.Net.Blocks()
	if err := sub.Init(&Start{Net: task.Net, Blocks: blocks, StepHint: 100}); err != nil {
		t.Fatal(err)
	}
	queue := Queue{task: task}
	for step := range 5 {
		if err := sub.Update(&Update{Step: step, Batch: sub.Select(&queue), Net: task.Net, Blocks: blocks}); err != nil {
			t.Fatal(err)
		}
	}
	training := slices.Clone(blocks[0].Value)
	for range 2 { // two evaluations in a row see the same
		if err := sub.PrepareEval(blocks); err != nil {
			t.Fatal(err)
		}
		if slices.Equal(blocks[0].Value, training) {
			t.Error("the average is the last iterate")
		}
	}
	if err := sub.toTraining(blocks); err != nil || !slices.Equal(blocks[0].Value, training) {
		t.Errorf("training goes on from other values: %v", err)
	}
}

// TestStallRestarts: a submission whose metric stands still goes back to its initial values with half the learning rate, once for each four evaluations after
// a tenth of the step hint; one that learns does not.
func TestStallRestarts(t *testing.T) {
	w := toy(nil)
	task := start(t, &w, 1)
	blocks := task.Net.Blocks()
	initial := slices.Clone(blocks[0].Value)
	s := newStall(&Start{Blocks: blocks, StepHint: 100})
	var evals []Evaluation
	restarts := []int{}
	for step := range 60 {
		u := &Update{Step: step, Blocks: blocks, Evals: evals}
		if s.again(u) {
			s.reset(u)
			restarts = append(restarts, step)
			if !slices.Equal(blocks[0].Value, initial) {
				t.Error("the values are not the initial ones")
			}
		}
		blocks[0].Value[0]++
		if step%5 == 4 {
			evals = append(evals, Evaluation{Step: step + 1, Metric: 2 - 1e-4*float64(step)})
		}
	}
	// evaluations at 10, 15, 20 and 25 end the first start, those at 35, 40, 45 and 50 the second
	if !slices.Equal(restarts, []int{25, 50}) || s.factor != 0.25 {
		t.Errorf("restarts at %v, factor %v", restarts, s.factor)
	}
	for _, higher := range []bool{false, true} {
		s = newStall(&Start{Blocks: blocks, StepHint: 100, Higher: higher})
		metric := func(step int) float64 { return 2 - 0.002*float64(step) }
		if higher {
			metric = func(step int) float64 { return 0.5 + 0.002*float64(step) }
		}
		evals = nil
		for step := range 60 {
			if s.again(&Update{Step: step, Blocks: blocks, Evals: evals}) {
				t.Errorf("restart at step %d of a run that learns", step)
			}
			if step%5 == 4 {
				evals = append(evals, Evaluation{Step: step + 1, Metric: metric(step)})
			}
		}
	}
}

// TestHalton: the first points of the sequences in bases 2 and 3, and how evenly many fill the square.
func TestHalton(t *testing.T) {
	for base, want := range map[int][]float64{2: {0.5, 0.25, 0.75, 0.125, 0.625}, 3: {1. / 3, 2. / 3, 1. / 9, 4. / 9, 7. / 9}} {
		for i, v := range want {
			if got := halton(i+1, base); math.Abs(got-v) > 1e-15 {
				t.Errorf("element %d in base %d is %v, want %v", i+1, base, got, v)
			}
		}
	}
	var boxes [8][9]int
	for i := range 72 * 3 {
		boxes[int(8*halton(i, 2))][int(9*halton(i, 3)+1e-9)]++
	}
	for _, row := range boxes {
		for _, n := range row {
			if n != 3 {
				t.Fatalf("boxes of the square hold %v points, want 3 each", boxes)
			}
		}
	}
}

func TestSpaces(t *testing.T) {
	s := Space{Dims: []Dim{{Name: "lr", Low: 1e-4, High: 1, Log: true}, {Name: "x", Low: -1, High: 2}, {Name: "c", Choices: []float64{3, 4, 5}}}}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	seen := map[float64]int{}
	for study := range 4 {
		for trial := range 5 {
			p := s.At(study, trial, 5)
			if !(p["lr"] >= 1e-4 && p["lr"] < 1 && p["x"] >= -1 && p["x"] < 2) {
				t.Errorf("%v", p)
			}
			seen[p["c"]]++
			seen[p["lr"]]++
		}
	}
	if len(seen) != 23 || seen[3] == 0 || seen[4] == 0 || seen[5] == 0 {
		t.Errorf("%v: want 20 learning rates and 3 choices", seen)
	}
	if p := s.At(0, 0, 5); math.Abs(p["lr"]-1e-2) > 1e-15 || math.Abs(p["x"]) > 1e-15 {
		t.Errorf("the first point is %v", p)
	}
	fixed := Space{Fixed: []Point{{"lr": 1}, {"lr": 2}}}
	if fixed.At(3, 1, 2)["lr"] != 2 || fixed.At(0, 2, 3)["lr"] != 1 {
		t.Error("fixed points depend on the study, or do not repeat")
	}
	for part, bad := range map[string]Space{
		"not both":        {Dims: s.Dims, Fixed: fixed.Fixed},
		"from 2 to 1":     {Dims: []Dim{{Name: "lr", Low: 2, High: 1}}},
		"from 0 to 1":     {Dims: []Dim{{Name: "lr", Low: 0, High: 1, Log: true}}},
		"at most":         {Dims: make([]Dim, 9)},
		"from -Inf to +I": {Dims: []Dim{{Name: "lr", Low: math.Inf(-1), High: math.Inf(1)}}},
	} {
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("want %q, got %v", part, err)
		}
	}
}

// TestTargets: the target is the median of the repeats of the best tuning; targets of the authors are kept beside it; equal seeds give equal targets.
func TestTargets(t *testing.T) {
	p := Procedure{Trials: 3, Repeats: 4, Data: generated}
	fixed := toy(nil)
	fixed.Name, fixed.Target = "toy-fixed", 0.5
	var found, again Targets
	for _, into := range []*Targets{&found, &again} {
		if err := FindTargets(context.Background(), into, p, []Workload{toy(nil), fixed}); err != nil {
			t.Fatal(err)
		}
	}
	e := found.Workloads[0]
	if e.Target != Median(e.Values) || len(e.Values) != 4 || e.Fixed || len(e.Tried) != 4 {
		t.Errorf("%+v", e)
	}
	best := math.Inf(1)
	for _, tried := range e.Tried {
		if tried.Best < best {
			best = tried.Best
			if e.Winner != tried.Submission && tried.Best == best && e.Tried[len(e.Tried)-1].Best == best {
				t.Errorf("%s won with %v", e.Winner, e.Tried)
			}
		}
	}
	for _, tried := range e.Tried {
		if tried.Best < best || tried.Submission == e.Winner && tried.Best != best {
			t.Errorf("%s won, the best is %v of %+v", e.Winner, best, e.Tried)
		}
	}
	if f := found.Workloads[1]; f.Target != 0.5 || !f.Fixed || f.Median != e.Median {
		t.Errorf("%+v", f)
	}
	if again.Workloads[0].Target != e.Target {
		t.Errorf("targets %v and %v", e.Target, again.Workloads[0].Target)
	}
	var b strings.Builder
	if err := found.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	if back, err := ReadTargets(strings.NewReader(b.String())); err != nil || back.Workloads[0].Target != e.Target {
		t.Errorf("%+v, %v", back, err)
	}
	p.Entries = []Entry{Of("wild", "", plain("sgd", ""), Space{Fixed: []Point{{"lr": 1e30}}}, nil)}
	if err := FindTargets(context.Background(), &found, p, []Workload{toy(nil)}); err == nil || !strings.Contains(err.Error(), "no trial") {
		t.Errorf("nothing but diverged trials: %v", err)
	}
	p.Trials = -1
	if err := FindTargets(context.Background(), &found, p, nil); err == nil {
		t.Error("-1 trials")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := FindTargets(ctx, &found, Procedure{Data: generated}, []Workload{toy(nil)}); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
}

// TestStated: the targets that ship have their evidence, and with the costs that ship both suites run: a change of options asks for another measurement.
func TestStated(t *testing.T) {
	targets, err := StatedTargets()
	if err != nil {
		t.Fatal(err)
	}
	costs, err := StatedCosts()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range Workloads() {
		i := slices.IndexFunc(targets.Workloads, func(e Evidence) bool { return e.Workload == w.Name })
		if i < 0 {
			t.Errorf("%s has no target", w.Name)
			continue
		}
		e := targets.Workloads[i]
		if e.Median != Median(e.Values) || e.Fixed != (w.Target != 0) || e.Fixed && e.Target != w.Target || !e.Fixed && e.Target != e.Median {
			t.Errorf("target of %s: %+v", w.Name, e)
		}
		for k, s := range tuners() {
			if e.Tried[k].Submission != s.Name || e.Tried[k].Trials < 1 {
				t.Errorf("%s was tuned with %+v", w.Name, e.Tried)
			}
		}
		for _, e := range Entries() {
			if _, err := costs.seconds(&e, w.Name); err != nil {
				t.Errorf("%v (of %s)", err, e.Work)
			}
		}
	}
	if _, err := targets.of(&Workload{Name: "new"}); err == nil || !strings.Contains(err.Error(), "bench target") {
		t.Errorf("no target: %v", err)
	}
	other := OpenData("")
	if err := targets.fits([]Workload{{Needs: NeedDigits}}, other); err == nil || !strings.Contains(err.Error(), "other data") {
		t.Errorf("targets of other data: %v", err)
	}
}

func TestCosts(t *testing.T) {
	e := named(t, "adamw", "spectral")
	var c Costs
	seen := map[string]bool{}
	if err := MeasureCosts(context.Background(), &c, e, []Workload{toy(nil)}, generated, func(s, _ string) { seen[s] = true }); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 2 || !(c.Step["toy"] > 0) || !(c.Ratio["spectral"]["toy"] > 0) || c.Work["spectral"] != e[1].Work {
		t.Errorf("%+v after %v", c, seen)
	}
	var b strings.Builder
	if err := c.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	if back, err := ReadCosts(strings.NewReader(b.String())); err != nil || back.Step["toy"] != c.Step["toy"] {
		t.Errorf("%+v, %v", back, err)
	}
	for part, content := range map[string]string{
		"is not a table": "[]", "version 7": `{"version":7}`, "costs -1 s": `{"version":1,"adamw_step_seconds":{"x":-1}}`,
		"costs 0 steps": `{"version":1,"ratio":{"a":{"x":0}}}`,
	} {
		if _, err := ReadCosts(strings.NewReader(content)); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v, want %q", content, err, part)
		}
	}
	for part, content := range map[string]string{"is not a list": "[]", "version 0": "{}"} {
		if _, err := ReadTargets(strings.NewReader(content)); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v, want %q", content, err, part)
		}
	}
	if got := round3(0.00123456); got != 0.00123 {
		t.Errorf("three digits of 0.00123456: %v", got)
	}
}
