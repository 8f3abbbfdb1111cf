package nnopt

import (
	"cmp"
	"errors"
	"math"

	"github.com/spdopt/spdopt/internal/engine"
)

// ScheduleFreeForm is one of the published forms of schedule-free AdamW.
type ScheduleFreeForm string

// The forms; the empty one is SFPackage.
const (
	SFPackage  ScheduleFreeForm = "package"  // the authors' package: decay at y, step lr, bias correction in the denominator
	SFPaper    ScheduleFreeForm = "paper"    // Algorithm 1 of the paper: bias correction sqrt(1-Beta2^t) in the step, also for decay and weights
	SFAlgoPerf ScheduleFreeForm = "algoperf" // the winner of AlgoPerf v0.5: as the paper, with decay at x and weights from lr alone
)

// ScheduleFree are the options of schedule-free AdamW (Defazio et al., arXiv:2405.15682), which needs no schedule: gradients are taken at y, z takes
// the steps, and x, the weighted mean of all z with weights t^R lr^Power, is the result. It wants no decay of the learning rate, but a warm-up.
//
// The blocks hold y; Averager.Eval exchanges them for x.
type ScheduleFree struct {
	Settings                       // LR defaults to 0.0025
	Beta1         float64          `json:"beta1,omitempty"`          // y = Beta1 x + (1-Beta1) z; default 0.9
	Beta2         float64          `json:"beta2,omitempty"`          // default 0.999
	Eps           float64          `json:"eps,omitempty"`            // default 1e-8
	Warmup        int              `json:"warmup,omitempty"`         // steps of linear warm-up inside of the rule, on top of StepInfo.LRScale
	R             float64          `json:"r,omitempty"`              // default 0
	Power         float64          `json:"power,omitempty"`          // default 2
	PlainMean     bool             `json:"plain_mean,omitempty"`     // Power 0: all z weigh the same up to t^R
	InnerMomentum float64          `json:"inner_momentum,omitempty"` // moving average of g in the numerator; default 0, none
	Form          ScheduleFreeForm `json:"form,omitempty"`           // default SFPackage
}

// Validate reports the first option that has a value that it cannot have.
func (o *ScheduleFree) Validate() error {
	if err := o.Settings.Validate(); err != nil {
		return err
	}
	if !(o.Beta1 >= 0 && o.Beta1 <= 1) {
		return option("beta1", "must lie between 0 and 1, not %v", o.Beta1)
	}
	if err := validateBetas(0, o.Beta2, o.Eps); err != nil {
		return err
	}
	switch o.Form {
	case "", SFPackage, SFPaper, SFAlgoPerf:
	default:
		return option("form", "must be package, paper or algoperf, not %q", o.Form)
	}
	if o.PlainMean && o.Power != 0 {
		return option("plain_mean", "contradicts power")
	}
	if o.Warmup < 0 {
		return option("warmup", "must not be negative")
	}
	for name, v := range map[string]float64{"r": o.R, "power": o.Power} {
		if err := notNegative(name, v); err != nil {
			return err
		}
	}
	return below("inner_momentum", o.InnerMomentum)
}

// NewScheduleFree returns schedule-free AdamW. It keeps three numbers per parameter, four with InnerMomentum; the result implements Averager.
func NewScheduleFree[T Float](o ScheduleFree) (Optimizer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.LR = cmp.Or(o.LR, 0.0025)
	r := &scheduleFreeRule[T]{warmup: o.Warmup, r: o.R, power: cmp.Or(o.Power, 2), formula: o.Form}
	if o.PlainMean {
		r.power = 0
	}
	r.form = engine.ScheduleFree{
		Beta1: cmp.Or(o.Beta1, 0.9), Beta2: cmp.Or(o.Beta2, 0.999), Eps: cmp.Or(o.Eps, 1e-8), Inner: o.InnerMomentum,
		DecayAverage: o.Form == SFAlgoPerf,
	}
	s, err := newStepper("schedule-free-adamw", o.Settings, rule[T](r))
	if err != nil {
		return nil, err
	}
	return &averaging[T]{s}, nil
}

type scheduleFreeRule[T Float] struct {
	form       engine.ScheduleFree
	formula    ScheduleFreeForm
	warmup     int
	r, power   float64
	stepFactor float64 // of this step on learning rate and decay

	largest, weightSum float64
}

// The slots of a block.
const (
	sfV = iota
	sfZ
	sfX
	sfM
)

func (r *scheduleFreeRule[T]) slots(b *Block[T]) []slotShape {
	if r.form.Inner > 0 {
		return like(b, "v", "z", "x", "m")
	}
	return like(b, "v", "z", "x")
}

func (r *scheduleFreeRule[T]) start(b *Block[T], slots []Slot[T]) {
	copy(slots[sfZ].Data, b.Value)
	copy(slots[sfX].Data, b.Value)
}

func (r *scheduleFreeRule[T]) counters() []counter {
	return []counter{{"largest", &r.largest}, {"weight_sum", &r.weightSum}}
}

func (r *scheduleFreeRule[T]) begin(t int, lr float64, _ int) {
	r.stepFactor = 1
	if t < r.warmup {
		r.stepFactor = float64(t) / float64(r.warmup)
	}
	correction := 1 - math.Pow(r.form.Beta2, float64(t))
	weight := lr * r.stepFactor
	r.form.C = 1 / correction
	if r.formula == SFPaper || r.formula == SFAlgoPerf {
		r.form.C = 1
		r.stepFactor *= math.Sqrt(correction)
	}
	if r.formula == SFPaper {
		weight *= math.Sqrt(correction)
	}
	r.largest = max(r.largest, weight)
	w := math.Pow(float64(t), r.r) * math.Pow(r.largest, r.power)
	r.form.Mix = 0
	if r.weightSum += w; r.weightSum > 0 {
		r.form.Mix = w / r.weightSum
	}
	r.form.A, r.form.B = 0, 1
	if r.form.Inner > 0 {
		r.form.A, r.form.B = 1/(1-math.Pow(r.form.Inner, float64(t))), 0
	}
}

func (r *scheduleFreeRule[T]) mover(*Block[T], []Slot[T]) mover[T] { return r }

func (r *scheduleFreeRule[T]) move(e engine.Backend[T], b *Block[T], slots []Slot[T], u engine.Update) {
	form := r.form
	form.Update = u
	form.LR *= r.stepFactor
	form.Decay *= r.stepFactor
	var m []T
	if form.Inner > 0 {
		m = slots[sfM].Data
	}
	e.ScheduleFree(form, b.Value, b.Grad, m, slots[sfV].Data, slots[sfZ].Data, slots[sfX].Data)
}

// averaging adds Averager to a stepper whose rule keeps the averaged values in slot sfX.
type averaging[T Float] struct{ *stepper[T] }

var (
	_ Optimizer[float32] = (*averaging[float32])(nil)
	_ Averager[float32]  = (*averaging[float32])(nil)
)

// Eval implements Averager.
func (a *averaging[T]) Eval(blocks []Block[T]) error { return a.exchange(blocks, true) }

// Train implements Averager.
func (a *averaging[T]) Train(blocks []Block[T]) error { return a.exchange(blocks, false) }

func (a *averaging[T]) exchange(blocks []Block[T], averaged bool) error {
	if err := a.checkAll(blocks); err != nil {
		return err
	}
	if a.averaged == averaged {
		return errors.New("nnopt: the blocks hold these values already")
	}
	a.averaged = averaged
	for k := range blocks {
		x := a.blocks[k].slots[sfX].Data
		for i, v := range blocks[k].Value {
			blocks[k].Value[i], x[i] = x[i], v
		}
	}
	return nil
}

func (*scheduleFreeRule[T]) deferring() {}
