package algoperf

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/spdopt/spdopt/internal/jsonfloat"
)

// Targets holds the targets of the workloads with what they rest on.
type Targets struct {
	Version   int        `json:"version"`
	Evidence  string     `json:"evidence"` // how and where they were found
	Data      string     `json:"data"`     // digest of the files that they belong to
	Workloads []Evidence `json:"workloads"`
}

// Evidence is how a target was found.
type Evidence struct {
	Workload string    `json:"workload"`
	Target   float64   `json:"target"`
	Fixed    bool      `json:"fixed,omitempty"` // by the authors of the workload; the rest says what the procedure would give
	Median   float64   `json:"median"`          // of the best values of the repeated runs
	Values   []float64 `json:"values"`          // of the repeated runs
	Winner   string    `json:"winner"`
	Point    Point     `json:"point"`
	Tried    []Tried   `json:"tried"` // the best tuning of each submission
}

// Tried is the best of the trials of a submission in the search.
type Tried struct {
	Submission string  `json:"submission"`
	Trials     int     `json:"trials"`
	Best       float64 `json:"best"`
	Point      Point   `json:"point"`
}

const targetVersion = 1

//go:embed targets.json
var statedTargets []byte

// StatedTargets returns the targets that belong to this version of the program.
func StatedTargets() (*Targets, error) {
	var t Targets
	return &t, t.read(statedTargets)
}

// ReadTargets reads targets as FindTargets and WriteJSON make them.
func ReadTargets(r io.Reader) (*Targets, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var t Targets
	return &t, t.read(text)
}

func (t *Targets) read(text []byte) error {
	if err := json.Unmarshal(text, t); err != nil {
		return fmt.Errorf("is not a list of targets: %w", jsonfloat.Fault(err))
	}
	if t.Version != targetVersion {
		return fmt.Errorf("is a list of targets of version %d; this program reads version %d", t.Version, targetVersion)
	}
	return nil
}

// WriteJSON writes the targets with their evidence.
func (t *Targets) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(t)
}

// TargetError says why a comparison has no target.
type TargetError struct{ What string }

// Error says what to do.
func (e *TargetError) Error() string { return e.What }

func (t *Targets) of(w *Workload) (float64, error) {
	for _, e := range t.Workloads {
		if e.Workload == w.Name {
			return e.Target, nil
		}
	}
	return 0, &TargetError{w.Name + " has no target; find it with bench target"}
}

// fits demands that the targets were found on the same files.
func (t *Targets) fits(ws []Workload, d *Data) error {
	digest, err := d.Digest(ws)
	if err != nil {
		return err
	}
	for _, part := range strings.Fields(digest) {
		if !slices.Contains(strings.Fields(t.Data), part) {
			return &TargetError{fmt.Sprintf("the targets belong to other data (%s, not %s); find targets for yours with bench target", t.Data, part)}
		}
	}
	return nil
}

// Procedure is the search for targets that AlgoPerf published (arXiv:2306.07179, section 4.3): each of the submissions is tuned with quasi-random search over
// the whole budget in steps, the best tuning of all is repeated with other seeds, and the target is the median of its best values.
type Procedure struct {
	Entries []Entry // default: AdamW, NadamW, Nesterov, heavy ball with the defaults of nnopt
	Trials  int     // of each; default 200
	Repeats int     // default 20
	Seed    uint64  // default 1
	Data    *Data

	Progress func(workload, submission string, trial, trials int) // may be nil
}

// resolve fills in defaults.
func (p *Procedure) resolve() error {
	if p.Entries == nil {
		p.Entries = tuners()
	}
	if p.Trials == 0 {
		p.Trials = 200
	}
	if p.Repeats == 0 {
		p.Repeats = 20
	}
	if p.Seed == 0 {
		p.Seed = 1
	}
	if p.Trials < 1 || p.Repeats < 1 {
		return fmt.Errorf("%d trials and %d repeats", p.Trials, p.Repeats)
	}
	if err := checkEntries(p.Entries); err != nil {
		return err
	}
	if p.Progress == nil {
		p.Progress = func(string, string, int, int) {}
	}
	return nil
}

// FindTargets finds the target of each workload and adds it to t, in the place of an earlier one.
func FindTargets(ctx context.Context, t *Targets, p Procedure, ws []Workload) error {
	if t == nil {
		return errors.New("there are no targets to add to")
	}
	if err := p.resolve(); err != nil {
		return err
	}
	digest, err := p.Data.Digest(ws)
	if err != nil {
		return err
	}
	t.Version = targetVersion
	t.Data = joinData(t.Data, digest)
	for _, w := range ws {
		e, err := p.find(ctx, &w)
		if err != nil {
			return err
		}
		t.Workloads = slices.DeleteFunc(t.Workloads, func(old Evidence) bool { return old.Workload == w.Name })
		t.Workloads = append(t.Workloads, e)
	}
	return nil
}

func (p *Procedure) find(ctx context.Context, w *Workload) (Evidence, error) {
	e := Evidence{Workload: w.Name}
	best := math.NaN()
	var winner *Entry
	for k := range p.Entries {
		s := &p.Entries[k]
		tried := Tried{Submission: s.Name, Trials: p.Trials, Best: math.NaN()}
		for n := range p.Trials {
			p.Progress(w.Name, s.Name, n, p.Trials)
			point := s.Space.At(0, n, p.Trials)
			v, err := p.value(ctx, w, s, point, p.Seed<<32+uint64(n))
			if err != nil {
				return e, err
			}
			if math.IsNaN(tried.Best) || w.Better(v, tried.Best) {
				tried.Best, tried.Point = v, point
			}
		}
		if math.IsNaN(tried.Best) {
			continue
		}
		e.Tried = append(e.Tried, tried)
		if math.IsNaN(best) || w.Better(tried.Best, best) {
			best, winner, e.Winner, e.Point = tried.Best, s, s.Name, tried.Point
		}
	}
	if winner == nil {
		return e, fmt.Errorf("%s: no trial of the target-setting procedure evaluated to a number", w.Name)
	}
	for n := range p.Repeats {
		p.Progress(w.Name, "repeats of "+winner.Name, n, p.Repeats)
		v, err := p.value(ctx, w, winner, e.Point, (p.Seed+1)<<32+uint64(n))
		if err != nil {
			return e, err
		}
		if math.IsNaN(v) {
			return e, fmt.Errorf("%s: a repeat of the best tuning (%s, %v) diverged", w.Name, winner.Name, e.Point)
		}
		e.Values = append(e.Values, v)
	}
	e.Median = Median(e.Values)
	e.Target = e.Median
	if w.Target != 0 {
		e.Target, e.Fixed = w.Target, true
	}
	return e, nil
}

// value trains for the step hint and returns the best metric of all evaluations, NaN when there was none.
func (p *Procedure) value(ctx context.Context, w *Workload, s *Entry, point Point, seed uint64) (float64, error) {
	never := math.Inf(1)
	if !w.Higher {
		never = math.Inf(-1)
	}
	t := &trial{workload: w, data: p.Data, seed: seed, stated: 1, new: func() (Submission, error) { return s.New(point) }}
	t.terms = Terms{Workload: w.Name, Metric: w.Metric, Higher: w.Higher, Target: never, Budget: float64(w.StepHint), Period: float64(w.EvalEvery), StepHint: w.StepHint}
	if err := t.start(); err != nil {
		return 0, err
	}
	for t.record.Status == "" {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		t.advance()
	}
	if t.record.Best == nil || t.record.Status == Failed {
		return math.NaN(), nil
	}
	return *t.record.Best, nil
}
