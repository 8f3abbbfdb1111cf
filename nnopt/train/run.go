package train

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/data"
	"github.com/spdopt/spdopt/nnopt/net"
)

// Point is one evaluation.
type Point struct {
	Step      int     `json:"step"`
	TrainLoss float64 `json:"train_loss"` // mean over the steps since the last evaluation
	Loss      float64 `json:"loss"`       // on the validation set
	Metric    float64 `json:"metric"`
	Seconds   float64 `json:"seconds"` // of training and evaluation so far
}

// Result is what a run gives.
type Result struct {
	Workload    string  `json:"workload"`
	Optimizer   string  `json:"optimizer"`
	Metric      string  `json:"metric"`
	Parameters  int     `json:"parameters"`
	Examples    int     `json:"examples"` // of training
	Steps       int     `json:"steps"`    // taken
	FinalLoss   float64 `json:"final_loss"`
	FinalMetric float64 `json:"final_metric"`
	BestMetric  float64 `json:"best_metric"`
	BestStep    int     `json:"best_step"`
	Reason      string  `json:"reason"` // why it ended
	TargetMet   bool    `json:"target_met"`
	Skips       int     `json:"skips"`
	Seconds     float64 `json:"seconds"`
	Settings    Options `json:"settings"`
	History     []Point `json:"history"`
}

// Stopped is the reason of a run that Options.Stop ended.
const Stopped = "stopped"

// LossError says that the loss stopped being a finite number.
type LossError struct {
	Step  int
	Loss  float64
	Where string
}

// Error names the step and the layer.
func (e *LossError) Error() string {
	text := fmt.Sprintf("step %d: the loss is %v", e.Step, e.Loss)
	if e.Where != "" {
		text += "; the first numbers that are not finite: " + e.Where
	}
	return text + "; try a smaller learning rate"
}

// run is a run in progress.
type run struct {
	o        *Options
	w        *Workload
	t        *task
	opt      nnopt.Optimizer[float32]
	schedule nnopt.Schedule
	blocks   []nnopt.Block[float32]
	feed     *net.Feed[float32]

	step    int
	lossSum float64 // since the last evaluation
	result  Result
	since   time.Time
	before  float64 // seconds before this process
}

// Run trains a workload. A run that Stop ended has the reason Stopped, and its Checkpoint was given the state.
func Run(o Options) (result *Result, err error) {
	defer engine.Recover(&err)
	r, err := begin(o)
	if err != nil {
		return nil, err
	}
	if err := r.train(); err != nil {
		return nil, err
	}
	return &r.result, r.finish()
}

// begin makes a run ready for its first step.
func begin(o Options) (*run, error) {
	w, err := ByName(o.Workload)
	if err != nil {
		return nil, err
	}
	if err := o.resolve(&w); err != nil {
		return nil, err
	}
	opt, err := o.optimizer()
	if err != nil {
		return nil, err
	}
	t, err := w.build(&o)
	if err != nil {
		return nil, err
	}
	if err := t.net.UseRounded(o.Device, o.Precision); err != nil {
		return nil, err
	}
	o.resolveSteps(&w, t.perEpoch)
	r := &run{o: &o, w: &w, t: t, opt: opt, blocks: t.net.Blocks()}
	r.schedule = nnopt.Schedule{Shape: o.Schedule, Warmup: o.Steps / 20, Steps: o.Steps}
	if err := r.schedule.Validate(); err != nil {
		return nil, err
	}
	r.result = Result{
		Workload: w.Name, Optimizer: o.Optimizer, Metric: w.Metric, Parameters: t.net.Dim(), Examples: t.examples, Settings: o, History: []Point{},
	}
	r.feed = net.NewFeed(t.net, opt)
	if err := opt.Init(r.blocks); err != nil {
		return nil, err
	}
	if err := r.prepare(); err != nil {
		return nil, err
	}
	r.since = time.Now()
	return r, nil
}

func (r *run) train() error {
	for r.result.Reason == "" {
		if r.step >= r.o.Steps {
			r.result.Reason = "all steps taken"
			break
		}
		if err := r.advance(); err != nil {
			return err
		}
		if r.step%r.o.EvalEvery == 0 || r.step == r.o.Steps {
			if err := r.evaluate(); err != nil {
				return err
			}
			if err := r.save(); err != nil {
				return err
			}
		}
		if r.o.Stop != nil && r.o.Stop() && r.result.Reason == "" {
			r.result.Reason = Stopped
			return r.save()
		}
	}
	return nil
}

// advance takes one step.
func (r *run) advance() error {
	b := r.t.batch(r.step)
	loss, err := r.feed.Gradient(b, func() *rand.Rand { return data.Stream(r.o.Seed, "sampled targets", r.step) })
	if err != nil {
		return err
	}
	if loss-loss != 0 {
		return &LossError{r.step + 1, loss, r.t.net.Suspect(b)}
	}
	report, err := r.opt.Step(r.blocks, nnopt.StepInfo{LRScale: r.schedule.At(r.step), BatchSize: b.N})
	if err != nil {
		return err
	}
	r.result.Skips = report.Skips
	r.lossSum += loss
	r.step++
	r.result.Steps = r.step
	if r.o.Progress != nil {
		r.o.Progress(r.step, r.o.Steps, loss)
	}
	return nil
}

// evaluate adds a point to the history and decides whether the run ends.
func (r *run) evaluate() error {
	loss, metric, err := r.validate()
	if err != nil {
		return err
	}
	if loss-loss != 0 {
		return &LossError{r.step, loss, r.t.net.Suspect(r.t.batch(r.step))}
	}
	taken := r.step
	if n := len(r.result.History); n > 0 {
		taken -= r.result.History[n-1].Step
	}
	r.result.Seconds = r.before + time.Since(r.since).Seconds()
	point := Point{r.step, r.lossSum / float64(taken), loss, metric, r.result.Seconds}
	r.result.History = append(r.result.History, point)
	r.lossSum = 0
	if r.o.Evaluated != nil {
		if err := r.o.Evaluated(point); err != nil {
			return err
		}
	}
	r.result.FinalLoss, r.result.FinalMetric = loss, metric
	if len(r.result.History) == 1 || r.w.better(metric, r.result.BestMetric) {
		r.result.BestMetric, r.result.BestStep = metric, r.step
	}
	if target := r.o.Target; target != nil && !r.w.better(*target, metric) {
		r.result.TargetMet = true
		r.result.Reason = "target reached"
	} else if p := r.o.Patience; p > 0 && r.evaluationsSinceBest() >= p {
		r.result.Reason = fmt.Sprintf("no better %s in %d evaluations", r.w.Metric, p)
	}
	return nil
}

func (r *run) evaluationsSinceBest() (n int) {
	for _, p := range r.result.History {
		if p.Step > r.result.BestStep {
			n++
		}
	}
	return n
}

// validate evaluates at the averaged parameters if the optimizer has them.
func (r *run) validate() (loss, metric float64, err error) {
	err = r.averaged(func() error { loss, metric = r.t.evaluate(); return nil })
	return loss, metric, err
}

// averaged calls f while the blocks hold the optimizer's result.
func (r *run) averaged(f func() error) error {
	a, ok := r.opt.(nnopt.Averager[float32])
	if !ok {
		return f()
	}
	if err := a.Eval(r.blocks); err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	return a.Train(r.blocks)
}
