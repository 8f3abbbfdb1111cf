package algoperf

import (
	"fmt"

	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
)

// Submission is a training algorithm in the five hooks of AlgoPerf. A value serves one trial. The clock runs during all hooks.
type Submission interface {
	// BatchSize returns the number of examples in a step, given the workload's own choice.
	BatchSize(standard int) int
	// Init prepares for the trial; the parameters hold their initial values.
	Init(s *Start) error
	// Select returns the examples of the next step; it may draw several batches and choose.
	Select(q *Queue) *net.Batch[float32]
	// Update changes the parameters once. An error ends the trial; a *DivergedError says that numbers overflowed.
	Update(u *Update) error
	// PrepareEval brings the parameters to be evaluated into the blocks. The next Update has to undo it where training goes on from others.
	PrepareEval(blocks []nnopt.Block[float32]) error
}

// Start is what a submission knows at the beginning of a trial.
type Start struct {
	Net      *net.Net[float32]
	Blocks   []nnopt.Block[float32]
	StepHint int  // the steps that AdamW would take in the budget
	Higher   bool // a larger metric is better
	Seed     uint64
}

// Update is what a submission knows in a step.
type Update struct {
	Step   int // 0, 1, ...
	Batch  *net.Batch[float32]
	Net    *net.Net[float32]
	Blocks []nnopt.Block[float32]
	Evals  []Evaluation // so far
}

// Queue deals out the batches of a workload.
type Queue struct {
	task *Task
	next int
}

// Next returns the next batch; it is valid until the next call.
func (q *Queue) Next() *net.Batch[float32] {
	q.next++
	return q.task.Batch(q.next - 1)
}

// Evaluation is the outcome of one evaluation.
type Evaluation struct {
	Step    int     `json:"step"`
	Seconds float64 `json:"seconds"` // on the clock
	Loss    float64 `json:"loss"`
	Metric  float64 `json:"metric"`
}

// DivergedError says that numbers stopped being finite.
type DivergedError struct {
	Step int
	What string
}

// Error names the step.
func (e *DivergedError) Error() string { return fmt.Sprintf("step %d: %s", e.Step, e.What) }

// Entry is a submission that takes part in comparisons.
type Entry struct {
	Name string
	What string
	// Space tunes it in the external ruleset, Self are its fixed hyperparameters in the self-tuning ruleset, nil if it does not take part there.
	Space Space
	Self  Point
	// Settings describes everything but the point; logs hold it, so that results of different settings are told apart.
	Settings string
	// Work describes what a step computes, whose cost is stated: Settings without a schedule.
	Work string
	New  func(p Point) (Submission, error)
}

// checkEntries reports the first submission that cannot be tried.
func checkEntries(all []Entry) error {
	for i := range all {
		e := &all[i]
		if e.New == nil {
			return fmt.Errorf("submission %d, %q: New is nil", i+1, e.Name)
		}
		if err := e.Space.Validate(); err != nil {
			return fmt.Errorf("submission %d, %q: %w", i+1, e.Name, err)
		}
	}
	return nil
}
