package algoperf

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/data"
	"github.com/spdopt/spdopt/nnopt/net"
)

// Course says how an optimizer of nnopt is run as a submission.
type Course struct {
	Optimizer string          `json:"optimizer"`         // a name of nnopt's registry
	Options   json.RawMessage `json:"options,omitempty"` // its options, beside the point
	Shape     nnopt.Shape     `json:"shape,omitempty"`   // of the learning rate after a warm-up; default cosine
	Horizon   float64         `json:"horizon,omitempty"` // steps of the schedule, in step hints; default 1
	Warmup    float64         `json:"warmup,omitempty"`  // steps of linear warm-up, as a share of the step hint, unless the point has "warmup"
	Restart   bool            `json:"restart,omitempty"` // begin again with half the learning rate after a stall
}

// Of returns the submission of an optimizer: its hyperparameters are those of the point, by their names in JSON, with "warmup" for the schedule's.
func Of(name, what string, c Course, space Space, self Point) Entry {
	text := func(c Course) string {
		settings, err := json.Marshal(c)
		if err != nil {
			panic(fmt.Sprintf("algoperf: options of %s: %v", name, err))
		}
		return string(settings)
	}
	return Entry{
		Name: name, What: what, Space: space, Self: self, Settings: text(c), Work: text(Course{Optimizer: c.Optimizer, Options: c.Options}),
		New: func(p Point) (Submission, error) { return newOptimizer(c, p) },
	}
}

// optimizer is a Submission around an optimizer of nnopt.
type optimizer struct {
	course   Course
	warmup   float64
	opt      nnopt.Optimizer[float32]
	schedule nnopt.Schedule
	seed     uint64
	averaged bool // the blocks hold the averaged values
	stall    *stall
	feed     *net.Feed[float32]
}

func newOptimizer(c Course, p Point) (*optimizer, error) {
	options := map[string]any{}
	if len(c.Options) > 0 {
		if err := json.Unmarshal(c.Options, &options); err != nil {
			return nil, fmt.Errorf("options of %s: %w", c.Optimizer, err)
		}
	}
	s := &optimizer{course: c, warmup: c.Warmup}
	point := maps.Clone(p)
	if w, ok := point["warmup"]; ok {
		s.warmup = w
		delete(point, "warmup")
	}
	for k, v := range point {
		options[k] = v
	}
	text, err := json.Marshal(options)
	if err != nil {
		return nil, err
	}
	s.opt, err = nnopt.New[float32](c.Optimizer, text)
	return s, err
}

// BatchSize implements Submission.
func (s *optimizer) BatchSize(standard int) int { return standard }

// Init implements Submission.
func (s *optimizer) Init(t *Start) error {
	s.seed = t.Seed
	s.feed = net.NewFeed(t.Net, s.opt)
	shape, horizon := s.course.Shape, s.course.Horizon
	if shape == "" {
		shape = nnopt.Cosine
	}
	if horizon == 0 {
		horizon = 1
	}
	steps := max(2, int(math.Round(horizon*float64(t.StepHint))))
	s.schedule = nnopt.Schedule{Shape: shape, Steps: steps, Warmup: min(int(math.Round(s.warmup*float64(t.StepHint))), steps-1)}
	if err := s.schedule.Validate(); err != nil {
		return err
	}
	if s.course.Restart {
		s.stall = newStall(t)
	}
	return s.opt.Init(t.Blocks)
}

// Select implements Submission.
func (s *optimizer) Select(q *Queue) *net.Batch[float32] { return q.Next() }

// Update implements Submission.
func (s *optimizer) Update(u *Update) error {
	if err := s.toTraining(u.Blocks); err != nil {
		return err
	}
	if s.stall != nil && s.stall.again(u) {
		s.stall.reset(u)
		if err := s.opt.Init(u.Blocks); err != nil {
			return err
		}
	}
	loss, err := s.feed.Gradient(u.Batch, func() *rand.Rand { return data.Stream(s.seed, "sampled targets", u.Step) })
	if err != nil {
		return err
	}
	if loss-loss != 0 {
		return &DivergedError{u.Step + 1, fmt.Sprintf("the loss is %v", loss)}
	}
	info := nnopt.StepInfo{LRScale: s.schedule.At(u.Step), BatchSize: u.Batch.N}
	if s.stall != nil {
		info.LRScale = s.stall.factor * s.schedule.At(u.Step-s.stall.since)
	}
	_, err = s.opt.Step(u.Blocks, info)
	var gradient *nnopt.GradientError
	if errors.As(err, &gradient) {
		return &DivergedError{u.Step + 1, gradient.Error()}
	}
	return err
}

// PrepareEval implements Submission.
func (s *optimizer) PrepareEval(blocks []nnopt.Block[float32]) error {
	a, ok := s.opt.(nnopt.Averager[float32])
	if !ok || s.averaged {
		return nil
	}
	s.averaged = true
	return a.Eval(blocks)
}

func (s *optimizer) toTraining(blocks []nnopt.Block[float32]) error {
	if !s.averaged {
		return nil
	}
	s.averaged = false
	return s.opt.(nnopt.Averager[float32]).Train(blocks)
}

// stall notices, as the winner of the self-tuning ruleset of v0.5 does, that nothing is learned: if after a tenth of the step hint four evaluations have
// improved the metric by less than 1 %, the parameters go back to their initial values and the learning rate is halved.
type stall struct {
	initial []float32
	higher  bool
	from    int // steps before the first look
	since   int // step of the last restart
	seen    int // evaluations before it
	factor  float64
}

// stallWindow and stallGain are the evaluations to look at and the relative improvement to expect of them.
const stallWindow, stallGain = 4, 0.01

func newStall(t *Start) *stall {
	s := &stall{higher: t.Higher, from: max(1, t.StepHint/10), factor: 1}
	for _, b := range t.Blocks {
		s.initial = append(s.initial, b.Value...)
	}
	return s
}

// again reports whether it is time to begin again. It looks once after each start, at the first four evaluations after a tenth of the step hint.
func (s *stall) again(u *Update) bool {
	var late []Evaluation
	for _, e := range u.Evals[s.seen:] {
		if e.Step-s.since >= s.from {
			late = append(late, e)
		}
	}
	if len(late) != stallWindow {
		return false
	}
	first, last := late[0].Metric, late[0].Metric
	for _, e := range late[1:] {
		if s.higher {
			last = max(last, e.Metric)
		} else {
			last = min(last, e.Metric)
		}
	}
	return math.Abs(last-first) < stallGain*math.Abs(first)
}

func (s *stall) reset(u *Update) {
	rest := s.initial
	for _, b := range u.Blocks {
		rest = rest[copy(b.Value, rest):]
	}
	s.since, s.seen = u.Step, len(u.Evals)
	s.factor /= 2
}
