package algoperf

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"strconv"

	"github.com/spdopt/spdopt/internal/cputime"
	"github.com/spdopt/spdopt/internal/jsonfloat"
)

// Costs states what a step takes: seconds of AdamW on each workload, and for the other submissions the ratio to it, gradient included. They were
// measured once; results with steps as clock depend on them alone.
type Costs struct {
	Version  int                           `json:"version"`
	Evidence string                        `json:"evidence"` // how and where they were measured
	Step     map[string]float64            `json:"adamw_step_seconds"`
	Ratio    map[string]map[string]float64 `json:"ratio"`          // by submission and workload
	Work     map[string]string             `json:"work,omitempty"` // what a step of the submissions computed when they were measured
}

const costVersion = 1

//go:embed costs.json
var statedCosts []byte

// StatedCosts returns the costs that belong to this version of the program.
func StatedCosts() (*Costs, error) {
	var c Costs
	return &c, c.read(statedCosts)
}

// ReadCosts reads costs as MeasureCosts and WriteJSON make them.
func ReadCosts(r io.Reader) (*Costs, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var c Costs
	return &c, c.read(text)
}

func (c *Costs) read(text []byte) error {
	if err := json.Unmarshal(text, c); err != nil {
		return fmt.Errorf("is not a table of costs: %w", jsonfloat.Fault(err))
	}
	if c.Version != costVersion {
		return fmt.Errorf("is a table of costs of version %d; this program reads version %d", c.Version, costVersion)
	}
	for w, v := range c.Step {
		if !(v > 0) || math.IsInf(v, 0) {
			return fmt.Errorf("a step on %s costs %v s", w, v)
		}
	}
	for s, ratios := range c.Ratio {
		for w, v := range ratios {
			if !(v > 0) || math.IsInf(v, 0) {
				return fmt.Errorf("a step of %s on %s costs %v steps of AdamW", s, w, v)
			}
		}
	}
	return nil
}

// WriteJSON writes the costs.
func (c *Costs) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(c)
}

// CostError says that no cost is stated for a submission.
type CostError struct{ Submission, Workload string }

// Error says how to get one.
func (e *CostError) Error() string {
	return fmt.Sprintf("no cost of a step of %s on %s is stated; measure it with bench cost, or use the real clock", e.Submission, e.Workload)
}

// seconds returns what a step costs, if it computes what was measured.
func (c *Costs) seconds(e *Entry, workload string) (float64, error) {
	step, ok := c.Step[workload]
	ratio := 1.0
	if e.Name != "adamw" {
		var known bool
		ratio, known = c.Ratio[e.Name][workload]
		ok = ok && known && c.Work[e.Name] == e.Work
	}
	if !ok {
		return 0, &CostError{e.Name, workload}
	}
	return step * ratio, nil
}

// The plan of the measurement: the least of so many rounds of so many steps, after one that is not counted.
const costRounds, costSteps = 7, 20

// MeasureCosts measures the processor time of a step of the submissions on the workloads, in rounds in which AdamW and all of them take turns, and adds the
// results to c. The process should be bound to one thread (GOMAXPROCS=1). progress is called before each round of a submission; it may be nil.
func MeasureCosts(ctx context.Context, c *Costs, entries []Entry, ws []Workload, d *Data, progress func(submission, workload string)) error {
	if c == nil {
		return errors.New("there are no costs to add to")
	}
	if err := checkEntries(entries); err != nil {
		return err
	}
	if c.Step == nil {
		c.Step = map[string]float64{}
	}
	if c.Ratio == nil || c.Work == nil {
		c.Ratio, c.Work = map[string]map[string]float64{}, map[string]string{}
	}
	c.Version = costVersion
	reference, err := EntryByName("adamw")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if c.Work[e.Name] != e.Work {
			c.Ratio[e.Name], c.Work[e.Name] = map[string]float64{}, e.Work
		}
	}
	for _, w := range ws {
		step, err := measure(ctx, append([]Entry{reference}, entries...), &w, d, progress)
		if err != nil {
			return err
		}
		for i, e := range entries {
			if e.Name == reference.Name {
				c.Step[w.Name] = round3(min(step[0], step[1+i]))
				continue
			}
			c.Ratio[e.Name][w.Name] = round3(step[1+i] / step[0])
		}
	}
	return nil
}

// round3 keeps three digits: costs are not known better.
func round3(v float64) float64 {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64)
	if err != nil {
		return v
	}
	return rounded
}

// measure returns the least processor time of a step of each submission on a workload.
func measure(ctx context.Context, entries []Entry, w *Workload, d *Data, progress func(submission, workload string)) (least []float64, err error) {
	trials := make([]*trial, len(entries))
	for i := range entries {
		if trials[i], err = costTrial(&entries[i], w, d); err != nil {
			return nil, fmt.Errorf("%s on %s: %w", entries[i].Name, w.Name, err)
		}
		least = append(least, math.Inf(1))
	}
	for round := range costRounds + 1 {
		for i, t := range trials {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if progress != nil {
				progress(entries[i].Name, w.Name)
			}
			seconds, err := t.steps(costSteps)
			if err != nil {
				return nil, fmt.Errorf("%s on %s: %w", entries[i].Name, w.Name, err)
			}
			if round > 0 {
				least[i] = min(least[i], seconds/costSteps)
			}
		}
	}
	return least, nil
}

// steps returns the processor time of n steps.
func (t *trial) steps(n int) (float64, error) {
	start, known := cputime.Seconds()
	if !known {
		return 0, fmt.Errorf("processor time is not known on this system")
	}
	for range n {
		if t.advance(); t.record.Status != "" {
			return 0, fmt.Errorf("ended early: %s %s", t.record.Status, t.record.Message)
		}
	}
	end, _ := cputime.Seconds()
	return end - start, nil
}

// costTrial starts a trial that never evaluates, with the hyperparameters of the first trial of a study but a thousandth of the learning rate, so that none
// diverges.
func costTrial(e *Entry, w *Workload, d *Data) (*trial, error) {
	point := maps.Clone(e.Space.At(0, 0, 1))
	if lr, ok := point["lr"]; ok {
		point["lr"] = lr / 1000
	}
	t := &trial{workload: w, data: d, seed: 1, stated: 1, new: func() (Submission, error) { return e.New(point) }}
	t.terms = Terms{Workload: w.Name, Budget: math.MaxFloat64, Period: math.MaxFloat64, StepHint: w.StepHint, Higher: w.Higher}
	return t, t.start()
}
