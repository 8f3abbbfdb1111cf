package algoperf

import (
	"context"
	"fmt"
	"maps"
	"math"
	"sync"
	"time"
)

// Config says what to compare. What is zero has its default.
type Config struct {
	Entries   []Entry
	Workloads []Workload
	Data      *Data
	Targets   *Targets
	Costs     *Costs

	Ruleset Ruleset       // default External
	Clock   ClockKind     // default StepTime
	Rules   Rules         // default V06
	Trials  int           // in a study; default 5, always 1 in the self-tuning ruleset
	Studies int           // default that of the rules
	Seed    uint64        // default 1
	Budget  float64       // factor on the budgets; default 1
	Jobs    int           // studies at a time; default 1; more only with StepTime
	Limit   time.Duration // for one step or evaluation; default two minutes
	Log     string        // file that trials are appended to, and whose trials are not made again; default none
	Curves  bool          // keep all evaluations in the log

	Progress func(done, all int, last *Record) // called after each trial, one at a time; may be nil

	now func() time.Time // of the real clock
}

// budgetSteps bounds the steps of a trial, in step hints, whatever the clock says.
const budgetSteps = 20

// resolve fills in defaults and reports the first setting that cannot be.
func (c *Config) resolve() error {
	if c.Ruleset == "" {
		c.Ruleset = External
	}
	if c.Clock == "" {
		c.Clock = StepTime
	}
	if c.Rules.Name == "" {
		c.Rules = V06()
	}
	if c.Trials == 0 {
		c.Trials = 5
	}
	if c.Ruleset == SelfTuning {
		c.Trials = 1
	}
	if c.Studies == 0 {
		c.Studies = c.Rules.Studies
	}
	if c.Seed == 0 {
		c.Seed = 1
	}
	if c.Budget == 0 {
		c.Budget = 1
	}
	c.Jobs = max(c.Jobs, 1)
	if c.Limit == 0 {
		c.Limit = 2 * time.Minute
	}
	if c.now == nil {
		c.now = time.Now
	}
	switch {
	case c.Trials < 0 || c.Studies < 0:
		return fmt.Errorf("%d studies of %d trials", c.Studies, c.Trials)
	case !(c.Budget > 0) || math.IsInf(c.Budget, 1):
		return fmt.Errorf("a budget of %v times the stated one; it must be a positive finite number", c.Budget)
	case c.Clock == RealTime && c.Jobs > 1:
		return fmt.Errorf("%d trials at a time would disturb each other's real clocks; use one job, or steps as clock", c.Jobs)
	}
	if c.Costs == nil {
		var err error
		if c.Costs, err = StatedCosts(); err != nil {
			return err
		}
	}
	if c.Targets == nil {
		var err error
		if c.Targets, err = StatedTargets(); err != nil {
			return err
		}
	}
	return checkEntries(c.Entries)
}

// header collects the rules of the comparison.
func (c *Config) header() (Header, error) {
	h := Header{Format: logFormat, Version: logVersion, Ruleset: c.Ruleset, Clock: c.Clock, Trials: c.Trials, Studies: c.Studies, Seed: c.Seed}
	var err error
	if h.Data, err = c.Data.Digest(c.Workloads); err != nil {
		return h, err
	}
	factor := c.Budget
	if c.Ruleset == SelfTuning {
		factor *= c.Rules.SelfBudget
	}
	for _, w := range c.Workloads {
		t, err := c.terms(&w, factor)
		if err != nil {
			return h, err
		}
		h.Terms = append(h.Terms, t)
	}
	if err := h.check(); err != nil {
		return h, err
	}
	return h, c.Targets.fits(c.Workloads, c.Data)
}

// terms returns the rules of a workload with the budget multiplied by a factor.
func (c *Config) terms(w *Workload, factor float64) (Terms, error) {
	target, err := c.Targets.of(w)
	if err != nil {
		return Terms{}, err
	}
	step, ok := c.Costs.Step[w.Name]
	if !ok {
		return Terms{}, &CostError{"adamw", w.Name}
	}
	return Terms{
		Workload: w.Name, Base: w.Base, Metric: w.Metric, Higher: w.Higher, Target: target,
		Budget: float64(w.StepHint) * step * factor, Period: float64(w.EvalEvery) * step,
		StepHint: w.StepHint, MostSteps: int(budgetSteps * factor * float64(w.StepHint)),
	}, nil
}

// study is a unit of work: the trials of one study of a submission on a workload, one after the other.
type study struct {
	entry    *Entry
	workload *Workload
	terms    Terms
	number   int
	done     []Record // trials that the log has
}

// comparison is a Run in progress.
type comparison struct {
	Config
	mu   sync.Mutex
	log  *logFile
	made int
	all  int
}

// Run makes the trials that the log does not have yet, and returns the whole log. An interrupted context ends it after the running steps; with Log it can
// go on later. The outcome of a trial with StepTime does not depend on Jobs, and neither does the order of the records that Run returns.
func Run(ctx context.Context, config Config) (*Log, error) {
	c := &comparison{Config: config}
	if err := c.resolve(); err != nil {
		return nil, err
	}
	h, err := c.header()
	if err != nil {
		return nil, err
	}
	if c.log, err = openLog(c.Log, h); err != nil {
		return nil, err
	}
	studies, err := c.studies(h)
	if err != nil {
		c.log.close()
		return nil, err
	}
	err = c.work(ctx, studies)
	if closed := c.log.close(); err == nil {
		err = closed
	}
	sortRecords(c.log.Log)
	return c.log.Log, err
}

// studies lists the work in the order workload by workload, so that an interrupted log holds whole columns.
func (c *comparison) studies(h Header) (all []study, err error) {
	for i := range c.Workloads {
		for k := range c.Entries {
			for n := range c.Studies {
				s := study{entry: &c.Entries[k], workload: &c.Workloads[i], terms: h.Terms[i], number: n}
				if c.Ruleset == SelfTuning && s.entry.Self == nil {
					return nil, fmt.Errorf("%s does not take part in the self-tuning ruleset", s.entry.Name)
				}
				if c.Clock == StepTime {
					if _, err := c.Costs.seconds(s.entry, s.workload.Name); err != nil {
						return nil, err
					}
				}
				for _, r := range c.log.Records {
					if r.Submission == s.entry.Name && r.Workload == s.workload.Name && r.Study == n {
						s.done = append(s.done, r)
					}
				}
				c.all += c.Trials
				all = append(all, s)
			}
		}
	}
	return all, nil
}

// work hands the studies to the workers. The first error ends all of them.
func (c *comparison) work(parent context.Context, studies []study) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	queue := make(chan *study)
	var workers sync.WaitGroup
	for range min(c.Jobs, len(studies)) {
		workers.Go(func() {
			for s := range queue {
				if err := c.study(ctx, s); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range studies {
		select {
		case queue <- &studies[i]:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(queue)
	workers.Wait()
	if parent.Err() != nil {
		return context.Cause(parent)
	}
	return context.Cause(ctx)
}

// study makes the trials of a study. A trial ends when it has taken as long as the fastest one before it.
func (c *comparison) study(ctx context.Context, s *study) error {
	most := 0.0
	for n := range c.Trials {
		point := s.entry.Self
		if c.Ruleset == External {
			point = s.entry.Space.At(s.number, n, c.Trials)
		}
		r, known := findTrial(s.done, n)
		if known {
			if !maps.Equal(r.Point, point) || r.Settings != s.entry.Settings {
				return fmt.Errorf("the log holds a trial of %s with other settings (%v %s, now %v %s); use another log", s.entry.Name, r.Point, r.Settings, point, s.entry.Settings)
			}
		} else {
			var err error
			if r, err = c.trial(ctx, s, n, point, most); err != nil {
				return err
			}
		}
		if r.Status == Met && (most == 0 || r.Seconds < most) {
			most = r.Seconds
		}
		if err := c.report(&r, known); err != nil {
			return err
		}
	}
	return nil
}

func findTrial(done []Record, n int) (Record, bool) {
	for _, r := range done {
		if r.Trial == n {
			return r, true
		}
	}
	return Record{}, false
}

func (c *comparison) trial(ctx context.Context, s *study, n int, point Point, most float64) (Record, error) {
	if ctx.Err() != nil {
		return Record{}, context.Cause(ctx)
	}
	t := &trial{
		terms: s.terms, workload: s.workload, data: c.Data, most: most, curves: c.Curves, now: c.now,
		new:  func() (Submission, error) { return s.entry.New(point) },
		seed: c.Seed<<32 + uint64(s.number)<<16 + uint64(n),
		record: Record{
			Submission: s.entry.Name, Workload: s.workload.Name, Study: s.number, Trial: n, Point: point, Settings: s.entry.Settings,
		},
	}
	if c.Clock == StepTime {
		var err error
		if t.stated, err = c.Costs.seconds(s.entry, s.workload.Name); err != nil {
			return Record{}, err
		}
	}
	return t.watch(ctx, c.Limit)
}

// report appends a new record to the log and tells about the progress.
func (c *comparison) report(r *Record, known bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made++
	if !known {
		if err := c.log.add(*r); err != nil {
			return fmt.Errorf("cannot write the log: %w", err)
		}
	}
	if c.Progress != nil {
		c.Progress(c.made, c.all, r)
	}
	return nil
}
