package algoperf

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"
)

// Status says how a trial ended.
type Status string

// The ends of trials. Only Met has a time to the target.
const (
	Met      Status = "met"           // an evaluation met the target
	Spent    Status = "out of budget" // the clock, or the most steps
	Beaten   Status = "beaten"        // an earlier trial of the study took less time; the rest of this one cannot matter
	Diverged Status = "diverged"      // the loss or the metric is not a finite number
	Hung     Status = "hung"          // a step or an evaluation took longer than Config.Limit
	Failed   Status = "failed"        // the submission returned an error
)

// ClockKind says what time is.
type ClockKind string

// The clocks.
const (
	StepTime ClockKind = "steps" // a step takes what is stated for it
	RealTime ClockKind = "real"  // the clock on the wall
)

// Terms are the rules of the race on one workload. Times are in seconds on the clock.
type Terms struct {
	Workload  string  `json:"workload"`
	Base      string  `json:"base,omitempty"` // of a held-out variant
	Metric    string  `json:"metric"`
	Higher    bool    `json:"higher,omitempty"`
	Target    float64 `json:"target"`
	Budget    float64 `json:"budget"`
	Period    float64 `json:"period"` // of evaluations
	StepHint  int     `json:"step_hint"`
	MostSteps int     `json:"most_steps,omitempty"` // besides the budget; 0 is no bound
}

// Record is what a log holds of a trial.
type Record struct {
	Submission string       `json:"submission"`
	Workload   string       `json:"workload"`
	Study      int          `json:"study"`
	Trial      int          `json:"trial"`
	Status     Status       `json:"status"`
	Seconds    float64      `json:"seconds"` // on the clock, to the target or to the end
	Steps      int          `json:"steps"`
	Best       *float64     `json:"best,omitempty"` // metric; absent without an evaluation
	BestStep   int          `json:"best_step,omitempty"`
	Message    string       `json:"message,omitempty"`
	Point      Point        `json:"point,omitempty"`
	Settings   string       `json:"settings,omitempty"`
	Wall       float64      `json:"wall,omitempty"` // seconds in all, evaluations included
	Evals      []Evaluation `json:"evals,omitempty"`
}

// Time returns the time to the target, infinite if it was not met.
func (r *Record) Time() float64 {
	if r.Status == Met {
		return r.Seconds
	}
	return math.Inf(1)
}

// trial is one trial in progress.
type trial struct {
	terms    Terms
	workload *Workload
	data     *Data
	new      func() (Submission, error)
	seed     uint64
	stated   float64 // seconds of a step; 0 measures
	most     float64 // seconds after which the trial is beaten
	curves   bool    // keep the evaluations in the record
	now      func() time.Time

	record  Record
	clock   float64
	sub     Submission
	task    *Task
	queue   Queue
	evals   []Evaluation
	last    float64 // evaluation on the clock
	beat    chan struct{}
	stopped atomic.Bool
}

// errStopped says that the comparison was interrupted.
var errStopped = errors.New("interrupted")

// watch runs the trial and gives it up when a step, or an evaluation, takes longer than the limit. What hangs cannot be ended; it is left alone.
func (t *trial) watch(ctx context.Context, limit time.Duration) (Record, error) {
	t.beat = make(chan struct{}, 1)
	done := make(chan error, 1)
	began := time.Now()
	id := t.record
	go func() { done <- t.run() }()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	interrupted := ctx.Done()
	for {
		select {
		case err := <-done:
			t.record.Wall = time.Since(began).Seconds()
			return t.record, err
		case <-t.beat:
			timer.Reset(limit)
		case <-interrupted:
			t.stopped.Store(true)
			interrupted = nil
		case <-timer.C:
			t.stopped.Store(true)
			if ctx.Err() != nil {
				return id, errStopped
			}
			id.Status, id.Wall = Hung, time.Since(began).Seconds()
			id.Message = fmt.Sprintf("no step ended within %v", limit)
			return id, nil
		}
	}
}

// run takes steps until the trial ends, and fills the record. A panic of the submission is its failure.
func (t *trial) run() (err error) {
	defer func() {
		if r := recover(); r != nil {
			t.end(Failed, fmt.Sprintf("panic: %v", r))
			err = nil
		}
	}()
	if err := t.start(); err != nil {
		return err
	}
	for t.record.Status == "" {
		if t.stopped.Load() {
			return errStopped
		}
		t.advance()
		select {
		case t.beat <- struct{}{}:
		default:
		}
	}
	return nil
}

// start builds the task. Errors of the workload end the comparison, those of the submission only the trial.
func (t *trial) start() error {
	sub, err := t.new()
	if err != nil {
		return err
	}
	t.sub = sub
	batch := sub.BatchSize(t.workload.Batch)
	if t.stated > 0 {
		t.stated *= float64(batch) / float64(t.workload.Batch)
	}
	if t.task, err = t.workload.Build(t.data, batch, t.seed); err != nil {
		return err
	}
	t.queue.task = t.task
	err = t.timed(func() error {
		return sub.Init(&Start{t.task.Net, t.task.Net.Blocks(), t.terms.StepHint, t.terms.Higher, t.seed})
	})
	if err != nil {
		t.end(Failed, err.Error())
	}
	return nil
}

// timed calls f while the real clock runs.
func (t *trial) timed(f func() error) error {
	if t.stated > 0 {
		return f()
	}
	began := t.now()
	err := f()
	t.clock += t.now().Sub(began).Seconds()
	return err
}

// slack forgives rounding where times are compared.
const slack = 1e-9

// advance takes one step, evaluates where it is time to, and ends the trial where it is over.
func (t *trial) advance() {
	if t.stated > 0 && t.clock+t.stated > t.terms.Budget*(1+slack) || t.terms.MostSteps > 0 && t.record.Steps >= t.terms.MostSteps {
		t.finish()
		return
	}
	before := t.clock
	err := t.timed(func() error {
		b := t.sub.Select(&t.queue)
		return t.sub.Update(&Update{t.record.Steps, b, t.task.Net, t.task.Net.Blocks(), t.evals})
	})
	t.clock += t.stated
	if err != nil {
		t.fail(err)
		return
	}
	if t.clock > t.terms.Budget*(1+slack) {
		t.clock = before
		t.end(Spent, "")
		return
	}
	t.record.Steps++
	if t.most > 0 && t.clock >= t.most {
		t.end(Beaten, "")
		return
	}
	if t.clock-t.last >= t.terms.Period*(1-slack) {
		t.evaluate()
	}
}

// finish evaluates the last steps before it ends a trial whose budget is spent.
func (t *trial) finish() {
	if n := len(t.evals); t.record.Steps > 0 && (n == 0 || t.evals[n-1].Step < t.record.Steps) {
		t.evaluate()
	}
	t.end(Spent, "")
}

func (t *trial) fail(err error) {
	var diverged *DivergedError
	if errors.As(err, &diverged) {
		t.end(Diverged, err.Error())
		return
	}
	t.end(Failed, err.Error())
}

// evaluate measures the metric with the clock at rest. A metric that is not a number ends the trial.
func (t *trial) evaluate() {
	if err := t.timed(func() error { return t.sub.PrepareEval(t.task.Net.Blocks()) }); err != nil {
		t.fail(err)
		return
	}
	if t.clock > t.terms.Budget*(1+slack) {
		t.clock = t.terms.Budget
		t.end(Spent, "")
		return
	}
	e := Evaluation{Step: t.record.Steps, Seconds: t.clock}
	e.Loss, e.Metric = t.task.Evaluate()
	t.last = t.clock
	if e.Metric-e.Metric != 0 || e.Loss-e.Loss != 0 {
		t.end(Diverged, fmt.Sprintf("step %d: the loss is %v and the %s %v", e.Step, e.Loss, t.terms.Metric, e.Metric))
		return
	}
	t.evals = append(t.evals, e)
	if t.record.Best == nil || t.workload.Better(e.Metric, *t.record.Best) {
		best := e.Metric
		t.record.Best, t.record.BestStep = &best, e.Step
	}
	if t.workload.Meets(e.Metric, t.terms.Target) {
		t.end(Met, "")
	}
}

// end closes the record, unless something ended the trial before.
func (t *trial) end(s Status, message string) {
	if t.record.Status != "" {
		return
	}
	t.record.Status, t.record.Message, t.record.Seconds = s, message, t.clock
	if t.curves {
		t.record.Evals = t.evals
	}
}
