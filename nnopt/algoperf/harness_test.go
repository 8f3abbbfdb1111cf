package algoperf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/data"
	"github.com/spdopt/spdopt/nnopt/net"
)

// toyTarget is within reach of momentum in the budget of the toy workload.
const toyTarget = 0.09

// toy is a workload of a fraction of a millisecond a step: a linear map to be found. evaluated is called in every evaluation.
func toy(evaluated func()) Workload {
	return Workload{
		Name: "toy", Metric: "loss", Batch: 8, StepHint: 60, EvalEvery: 4,
		build: func(s *setup) (*Task, error) {
			all := data.Teacher[float32](120, 4, 6, 1, data.Stream(1, "toy", 0))
			train, valid, err := all.Split(0.2)
			if err != nil {
				return nil, err
			}
			n := net.New[float32](net.NewLinear[float32](s.random(), 4, 1, net.LinearOptions{}), net.NewSquare[float32](false), s.seed)
			order, err := data.NewOrder(train.N, s.batch, s.seed)
			if err != nil {
				return nil, err
			}
			var part data.Set[float32]
			return &Task{
				Net: n, Examples: train.N,
				Batch: func(step int) *net.Batch[float32] {
					train.Gather(order.Batch(step), &part)
					return &net.Batch[float32]{X: part.X, N: part.N, Target: net.Target[float32]{Values: part.Values}}
				},
				Evaluate: func() (float64, float64) {
					if evaluated != nil {
						evaluated()
					}
					loss, _ := n.Evaluate(&net.Batch[float32]{X: valid.X, N: valid.N, Target: net.Target[float32]{Values: valid.Values}})
					return loss, loss
				},
			}, nil
		},
	}
}

// toyTargets and toyCosts are those of toy workloads: a step of AdamW takes a second.
func toyTargets(target float64, ws ...Workload) *Targets {
	t := &Targets{Version: targetVersion}
	for _, w := range ws {
		t.Workloads = append(t.Workloads, Evidence{Workload: w.Name, Target: target})
	}
	return t
}

func toyCosts(es []Entry, ws ...Workload) *Costs {
	c := &Costs{Version: costVersion, Step: map[string]float64{}, Ratio: map[string]map[string]float64{}, Work: map[string]string{}}
	for _, w := range ws {
		c.Step[w.Name] = 1
	}
	for _, e := range es {
		c.Work[e.Name], c.Ratio[e.Name] = e.Work, map[string]float64{}
		for _, w := range ws {
			c.Ratio[e.Name][w.Name] = 1.5
		}
	}
	return c
}

func named(t *testing.T, names ...string) (all []Entry) {
	t.Helper()
	for _, n := range names {
		e, err := EntryByName(n)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// toyConfig compares three optimizers on the toy workload.
func toyConfig(t *testing.T) Config {
	es := named(t, "adamw", "nesterov", "spectral")
	return Config{
		Entries: es, Workloads: []Workload{toy(nil)}, Data: OpenData(""), Targets: toyTargets(toyTarget, toy(nil)), Costs: toyCosts(es, toy(nil)),
		Trials: 3, Studies: 2, Limit: time.Minute,
	}
}

func mustRun(t *testing.T, c Config) *Log {
	t.Helper()
	l, err := Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// text returns the log without the seconds on the wall.
func text(t *testing.T, l *Log) string {
	t.Helper()
	c := *l
	c.Records = slices.Clone(l.Records)
	for i := range c.Records {
		c.Records[i].Wall = 0
	}
	var b strings.Builder
	if err := c.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestStepTimeIsDeterministic: equal logs for any number of jobs and threads; some trials meet the target, at a multiple of the cost of a step.
func TestStepTimeIsDeterministic(t *testing.T) {
	c := toyConfig(t)
	c.Curves = true
	first := mustRun(t, c)
	for _, jobs := range []int{2, 5} {
		old := runtime.GOMAXPROCS(jobs)
		c.Jobs = jobs
		again := mustRun(t, c)
		runtime.GOMAXPROCS(old)
		if text(t, again) != text(t, first) {
			t.Errorf("%d jobs give another log", jobs)
		}
	}
	met := 0
	for _, r := range first.Records {
		cost := 1.5
		if r.Submission == "adamw" {
			cost = 1
		}
		if math.Abs(r.Seconds-float64(r.Steps)*cost) > 1e-9 {
			t.Errorf("%s: %d steps in %v s", r.Submission, r.Steps, r.Seconds)
		}
		if r.Status == Met {
			met++
			last := r.Evals[len(r.Evals)-1]
			if last.Metric > toyTarget || last.Seconds != r.Seconds || *r.Best != last.Metric || len(r.Evals) > 1 && r.Evals[len(r.Evals)-2].Metric <= toyTarget {
				t.Errorf("%s did not stop at the first evaluation below the target: %+v", r.Submission, r.Evals)
			}
		}
	}
	if met == 0 || len(first.Records) != 18 {
		t.Errorf("%d of %d trials met the target", met, len(first.Records))
	}
}

// TestBeatenTrialsDoNotMatter: the times of a table are the same if no trial is ended by a faster one.
func TestBeatenTrialsDoNotMatter(t *testing.T) {
	c := toyConfig(t)
	l := mustRun(t, c)
	beaten := 0
	whole := &Log{Header: l.Header}
	for _, r := range l.Records {
		if r.Status == Beaten {
			beaten++
		}
		e := named(t, r.Submission)[0]
		s := &study{entry: &e, workload: &c.Workloads[0], terms: l.Terms[0], number: r.Study}
		run := &comparison{Config: c}
		if err := run.resolve(); err != nil {
			t.Fatal(err)
		}
		full, err := run.trial(context.Background(), s, r.Trial, r.Point, 0)
		if err != nil {
			t.Fatal(err)
		}
		whole.Records = append(whole.Records, full)
	}
	if beaten == 0 {
		t.Fatal("no trial was beaten; the test shows nothing")
	}
	if a, b := fmt.Sprint(l.Tabulate().Seconds), fmt.Sprint(whole.Tabulate().Seconds); a != b {
		t.Errorf("times %s, without ending trials early %s", a, b)
	}
}

// TestResume: a comparison that is interrupted after every few trials, with its last line cut off, ends with the log of one that is not.
func TestResume(t *testing.T) {
	c := toyConfig(t)
	straight := mustRun(t, c)
	c.Log = filepath.Join(t.TempDir(), "log.jsonl")
	rounds := 0
	for ; ; rounds++ {
		if rounds > 20 {
			t.Fatal("no end")
		}
		ctx, cancel := context.WithCancel(context.Background())
		made := 0
		known := 0
		if old, err := os.ReadFile(c.Log); err == nil {
			known = bytes.Count(old, []byte("\n")) - 1
		}
		c.Progress = func(done, all int, last *Record) {
			if made++; made == known+4 {
				cancel()
			}
		}
		l, err := Run(ctx, c)
		cancel()
		if err == nil {
			if text(t, l) != text(t, straight) {
				t.Error("the resumed log differs")
			}
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		f, err := os.OpenFile(c.Log, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(`{"submission":"adamw","workl`); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if rounds < 2 {
		t.Errorf("%d interruptions", rounds)
	}
	c.Progress = nil
	c.Seed = 2
	var fe *matio.Error
	if _, err := Run(context.Background(), c); !errors.As(err, &fe) || !strings.Contains(err.Error(), "seed 1 and 2") {
		t.Errorf("another seed in the same log: %v", err)
	}
	c.Seed = 1
	c.Entries = slices.Clone(c.Entries)
	c.Entries[0].Space.Dims = slices.Clone(c.Entries[0].Space.Dims)
	c.Entries[0].Space.Dims[0].High *= 2
	if _, err := Run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "other settings") {
		t.Errorf("another search space in the same log: %v", err)
	}
}

// odd is a submission that calls f in its updates.
type odd struct {
	f       func(u *Update) error
	prepare func(blocks []nnopt.Block[float32]) error
	batch   int
}

func (o *odd) BatchSize(standard int) int          { return max(o.batch, standard) }
func (o *odd) Init(*Start) error                   { return nil }
func (o *odd) Select(q *Queue) *net.Batch[float32] { return q.Next() }
func (o *odd) Update(u *Update) error              { return o.f(u) }
func (o *odd) PrepareEval(blocks []nnopt.Block[float32]) error {
	if o.prepare == nil {
		return nil
	}
	return o.prepare(blocks)
}

// oddRecord makes one trial of an odd submission on the toy workload.
func oddRecord(t *testing.T, c Config, o *odd) Record {
	t.Helper()
	c.Entries = []Entry{{Name: "odd", New: func(Point) (Submission, error) { return o, nil }}}
	c.Costs = toyCosts(c.Entries, toy(nil))
	c.Trials, c.Studies = 1, 1
	return mustRun(t, c).Records[0]
}

func TestBadTrials(t *testing.T) {
	c := toyConfig(t)
	still := func(*Update) error { return nil }
	forever := make(chan int)
	for name, k := range map[string]struct {
		odd
		status  Status
		message string
	}{
		"budget":  {odd{f: still}, Spent, ""},
		"error":   {odd{f: func(*Update) error { return errors.New("no memory") }}, Failed, "no memory"},
		"panic":   {odd{f: func(*Update) error { panic("a bug") }}, Failed, "a bug"},
		"prepare": {odd{f: still, prepare: func([]nnopt.Block[float32]) error { return errors.New("not ready") }}, Failed, "not ready"},
		"hangs":   {odd{f: func(*Update) error { <-forever; return nil }}, Hung, "no step ended within 300ms"},
		"metric": {odd{f: func(u *Update) error {
			u.Blocks[0].Value[0] = float32(math.NaN())
			return nil
		}}, Diverged, "loss is NaN and the loss NaN"},
		"diverged": {odd{f: func(u *Update) error { return &DivergedError{u.Step + 1, "too large"} }}, Diverged, "step 1: too large"},
	} {
		c.Limit = time.Minute
		if k.status == Hung {
			c.Limit = 300 * time.Millisecond
		}
		r := oddRecord(t, c, &k.odd)
		if r.Status != k.status || !strings.Contains(r.Message, k.message) || !math.IsInf(r.Time(), 1) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	close(forever)
	c = toyConfig(t)
	c.Entries = []Entry{Of("wild", "", plain("sgd", ""), Space{Fixed: []Point{{"lr": 1e30}}}, nil)}
	c.Costs = toyCosts(c.Entries, toy(nil))
	r := mustRun(t, c).Records[0]
	if r.Status != Diverged || r.Steps > 10 {
		t.Errorf("a learning rate of 1e30: %+v", r)
	}
}

// TestNothingToTry: comparisons, targets and costs without what they need are errors that name it.
func TestNothingToTry(t *testing.T) {
	ctx, d := context.Background(), OpenData("")
	c := toyConfig(t)
	none := []Entry{{Name: "none"}}
	wide := []Entry{named(t, "adamw")[0]}
	wide[0].Space = Space{Dims: make([]Dim, 9)}
	for what, f := range map[string]func() error{
		"data are not open":       func() error { c := c; c.Data = nil; _, err := Run(ctx, c); return err },
		"OpenData":                func() error { _, err := new(Data).Digest(nil); return err },
		"none of Workloads":       func() error { _, err := new(Workload).Build(d, 1, 1); return err },
		`"none": New is nil`:      func() error { c := c; c.Entries = none; _, err := Run(ctx, c); return err },
		"9 dimensions":            func() error { return FindTargets(ctx, &Targets{}, Procedure{Entries: wide, Data: d}, nil) },
		"no targets to add to":    func() error { return FindTargets(ctx, nil, Procedure{Data: d}, nil) },
		"no costs to add to":      func() error { return MeasureCosts(ctx, nil, wide, nil, d, nil) },
		`submission 1, "none": N`: func() error { return MeasureCosts(ctx, &Costs{}, none, nil, d, nil) },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("want %q, got %v", what, err)
		}
	}
}

// TestRealClock drives the clock by hand: a step takes 1 s, preparing an evaluation 0.25 s, and an evaluation 1000 s, which do not count.
func TestRealClock(t *testing.T) {
	now := time.Unix(0, 0)
	pass := func(s float64) { now = now.Add(time.Duration(s * float64(time.Second))) }
	w := toy(func() { pass(1000) })
	c := toyConfig(t)
	c.Workloads, c.Clock, c.now = []Workload{w}, RealTime, func() time.Time { return now }
	c.Targets, c.Curves = toyTargets(0, w), true
	seen := 0
	o := &odd{
		f:       func(u *Update) error { pass(1); seen = max(seen, len(u.Evals)); return nil },
		prepare: func([]nnopt.Block[float32]) error { pass(0.25); return nil },
	}
	r := oddRecord(t, c, o)
	// evaluations after 4 steps each, at 4.25, 8.5, ...: 14 of them and 56 steps end at 59.5 s of 60, one step more would be too late
	if r.Status != Spent || r.Steps != 56 || len(r.Evals) != 14 || r.Evals[0].Seconds != 4.25 || r.Seconds != 59.5 || seen != 14 {
		t.Errorf("%+v, %d evaluations seen", r, seen)
	}
	c.Targets = toyTargets(100, w)
	if r := oddRecord(t, c, o); r.Status != Met || r.Seconds != 4.25 || r.Steps != 4 {
		t.Errorf("%+v", r)
	}
	c.Jobs = 2
	if _, err := Run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "disturb") {
		t.Errorf("two jobs with the real clock: %v", err)
	}
}

// TestBudgets: the larger budget of the self-tuning ruleset, the bound on steps, and the cost of larger batches.
func TestBudgets(t *testing.T) {
	c := toyConfig(t)
	c.Targets = toyTargets(0, toy(nil))
	still := &odd{f: func(*Update) error { return nil }}
	if r := oddRecord(t, c, still); r.Steps != 40 || r.Seconds != 60 || r.BestStep == 0 {
		t.Errorf("60 s of steps of 1.5 s: %+v", r)
	}
	if r := oddRecord(t, c, &odd{f: still.f, batch: 16}); r.Steps != 20 {
		t.Errorf("batches of twice the size: %+v", r)
	}
	c.Budget = 0.5
	if r := oddRecord(t, c, still); r.Steps != 20 {
		t.Errorf("half of the budget: %+v", r)
	}
	c = toyConfig(t)
	c.Clock, c.Targets, c.now = RealTime, toyTargets(0, toy(nil)), func() time.Time { return time.Time{} }
	if r := oddRecord(t, c, still); r.Steps != budgetSteps*60 || r.Status != Spent {
		t.Errorf("a clock that stands still: %+v", r)
	}
	c = toyConfig(t)
	c.Ruleset, c.Rules, c.Studies, c.Targets = SelfTuning, V05(), 1, toyTargets(0, toy(nil))
	l := mustRun(t, c)
	if len(l.Records) != 3 || l.Terms[0].Budget != 180 || l.Records[0].Steps != 180 || l.Records[0].Point["lr"] != named(t, "adamw")[0].Self["lr"] {
		t.Errorf("self-tuning: %+v", l.Records)
	}
	c.Entries = []Entry{Of("odd", "", plain("sgd", ""), aroundLR(1), nil)}
	if _, err := Run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "does not take part") {
		t.Errorf("without hyperparameters of its own: %v", err)
	}
	c = toyConfig(t)
	c.Entries = []Entry{{Name: "odd", New: func(Point) (Submission, error) { return still, nil }}}
	var ce *CostError
	if _, err := Run(context.Background(), c); !errors.As(err, &ce) || ce.Submission != "odd" {
		t.Errorf("no cost stated: %v", err)
	}
	c = toyConfig(t)
	c.Costs.Work["spectral"] = "others"
	if _, err := Run(context.Background(), c); !errors.As(err, &ce) || ce.Submission != "spectral" {
		t.Errorf("a cost of other settings: %v", err)
	}
}

// TestSettingsThatCannotBe: budgets without an end and more trials than there are seeds are refused before anything runs.
func TestSettingsThatCannotBe(t *testing.T) {
	for want, change := range map[string]func(c *Config){
		"positive finite number":  func(c *Config) { c.Budget = math.Inf(1) },
		"both must be from 1 to":  func(c *Config) { c.Trials = mostTrials + 1 },
		"studies of 3 trials":     func(c *Config) { c.Studies = -1 },
		"neither external nor":    func(c *Config) { c.Ruleset = "free" },
		"neither steps nor real":  func(c *Config) { c.Clock = "sun" },
		"each other's real clock": func(c *Config) { c.Clock, c.Jobs = RealTime, 2 },
	} {
		c := toyConfig(t)
		change(&c)
		if _, err := Run(context.Background(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
