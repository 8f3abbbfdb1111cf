package nnopt

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spdopt/spdopt/internal/jsonfloat"
)

// AveragedKind says which average of the iterates is the result.
type AveragedKind string

// The kinds; the empty one is AverageEMA. z are the iterates of the inner optimizer, x the result, y the point at which gradients are taken.
const (
	AverageEMA          AveragedKind = "ema"           // x <- e x + (1-e) z with e = min(Eval, t/(t+9)) in step t, y = z
	AverageGPA          AveragedKind = "gpa"           // generalised primal averaging: x likewise, y <- Train x + (1-Train) z
	AverageScheduleFree AveragedKind = "schedule-free" // x the mean of all z with weights (max lr so far)^2, y as for gpa (Defazio et al., arXiv:2405.15682)
	AverageMomentum     AveragedKind = "momentum"      // no average: b <- Momentum b + (1-Dampening) u of the inner steps -lr u, y <- y - lr b; the result is y
)

// Averaged are the options of an average of the iterates, or of the steps, around any optimizer of the registry. The blocks hold y; Averager.Eval exchanges
// them for x.
// Weight decay of the inner optimizer acts on z with y held, as in facebookresearch/optimizers, so that x moves away from z a little: by the same amount
// as z, times (1-Train)/Train.
//
// With Train 1, Eval m and the learning rate divided by 1-m, gpa around plain descent is the heavy ball; with Train = Eval = m it is Nesterov's method.
type Averaged struct {
	Settings                 // the inner optimizer's
	Kind     AveragedKind    `json:"kind,omitempty"`
	Inner    string          `json:"inner,omitempty"`   // a name of the registry, default "sgd"
	Options  json.RawMessage `json:"options,omitempty"` // of the inner optimizer, beside Settings
	Eval     float64         `json:"eval,omitempty"`    // default 0.999 for ema, 0.9 for gpa
	Train    float64         `json:"train,omitempty"`   // default 0.8 for gpa, 0.9 for schedule-free

	Momentum  float64 `json:"momentum,omitempty"`  // default 0.9 for momentum
	Dampening float64 `json:"dampening,omitempty"` // for momentum, default 0
	Nesterov  bool    `json:"nesterov,omitempty"`  // y <- y - lr ((1-Dampening) u + Momentum b)
}

// Validate reports the first option that has a value that it cannot have.
func (o *Averaged) Validate() error {
	if err := o.Settings.Validate(); err != nil {
		return err
	}
	switch o.Kind {
	case "", AverageEMA, AverageGPA, AverageScheduleFree:
		if o.Momentum != 0 || o.Dampening != 0 || o.Nesterov {
			return option("momentum, dampening and nesterov", "are for the kind momentum")
		}
	case AverageMomentum:
		if o.Eval != 0 || o.Train != 0 {
			return option("eval and train", "mean nothing for the kind momentum")
		}
	default:
		return option("kind", "must be ema, gpa, schedule-free or momentum, not %q", o.Kind)
	}
	if err := below("momentum", o.Momentum); err != nil {
		return err
	}
	if err := below("dampening", o.Dampening); err != nil {
		return err
	}
	if !(o.Train >= 0 && o.Train <= 1) {
		return option("train", "must lie between 0 and 1, not %v", o.Train)
	}
	return below("eval", o.Eval)
}

// NewAveraged returns the average around the inner optimizer, which must neither average itself nor evaluate the loss (kfac). It keeps two numbers per parameter beside those of the inner
// optimizer; the result implements Averager.
func NewAveraged[T Float](o Averaged) (Optimizer[T], error) { return newAveraged[T]("averaged", o) }

// NewScheduleFreeSGD returns schedule-free SGD (arXiv:2405.15682): Averaged of the kind schedule-free around SGD without momentum.
func NewScheduleFreeSGD[T Float](o Averaged) (Optimizer[T], error) {
	if o.Kind != "" && o.Kind != AverageScheduleFree || o.Inner != "" || o.Options != nil {
		return nil, option("kind, inner and options", "are fixed; use the optimizer \"averaged\"")
	}
	o.Kind, o.Inner, o.Options = AverageScheduleFree, "sgd", json.RawMessage(`{"no_momentum":true}`)
	return newAveraged[T]("schedule-free-sgd", o)
}

func newAveraged[T Float](name string, o Averaged) (Optimizer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Inner == "" {
		o.Inner = "sgd"
	}
	eval, train := 0.999, 0.0
	switch o.Kind {
	case AverageGPA:
		eval, train = 0.9, 0.8
	case AverageScheduleFree:
		train = 0.9
	}
	options := map[string]json.RawMessage{}
	for _, part := range [][]byte{must1(json.Marshal(o.Settings)), o.Options} {
		if len(part) == 0 {
			continue
		}
		if err := json.Unmarshal(part, &options); err != nil {
			return nil, option("options", "cannot be read: %v", jsonfloat.Fault(err))
		}
	}
	inner, err := New[T](o.Inner, must1(json.Marshal(options)))
	if err != nil {
		return nil, err
	}
	plain, ok := inner.(*stepper[T])
	if !ok {
		why := "evaluates the loss at points of its own"
		if _, averages := inner.(Averager[T]); averages {
			why = "averages by itself"
		}
		return nil, option("inner", "must be another optimizer: %q %s", o.Inner, why)
	}
	return &averaged[T]{
		name: name, kind: o.Kind, eval: cmp.Or(o.Eval, eval), train: cmp.Or(o.Train, train), inner: plain,
		momentum: cmp.Or(o.Momentum, 0.9), dampening: o.Dampening, nesterov: o.Nesterov,
	}, nil
}

// must1 returns the JSON of a value that always has one.
func must1(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}

// averaged is an Optimizer around another one.
type averaged[T Float] struct {
	name        string
	kind        AveragedKind
	eval, train float64
	inner       *stepper[T]

	momentum, dampening float64
	nesterov            bool

	z         []Block[T] // the blocks of the inner optimizer
	x         [][]T      // the averages, or the momentum
	weightSum float64
	largest   float64 // learning rate so far
	evaluated bool    // the blocks hold x, and the slots x hold y
}

var _ Averager[float64] = (*averaged[float64])(nil)

// Init implements Optimizer.
func (a *averaged[T]) Init(blocks []Block[T]) error {
	if err := a.inner.Init(blocks); err != nil {
		return err
	}
	a.z, a.x = make([]Block[T], len(blocks)), make([][]T, len(blocks))
	copy(a.z, blocks)
	for k := range blocks {
		a.z[k].Value = append([]T(nil), blocks[k].Value...)
		a.x[k] = append([]T(nil), blocks[k].Value...)
		if a.kind == AverageMomentum {
			clear(a.x[k])
		}
	}
	a.weightSum, a.largest, a.evaluated = 0, 0, false
	return nil
}

func (a *averaged[T]) check(blocks []Block[T]) error {
	if a.z == nil {
		return errors.New("nnopt: Init has not been called")
	}
	if len(blocks) != len(a.z) {
		return fmt.Errorf("nnopt: %d blocks where Init saw %d", len(blocks), len(a.z))
	}
	for k := range blocks {
		z := &a.z[k]
		t := tracked[T]{name: z.Name, rows: z.Rows, cols: z.Cols}
		if err := t.check(&blocks[k]); err != nil {
			return err
		}
	}
	return nil
}

// Step implements Optimizer.
func (a *averaged[T]) Step(blocks []Block[T], info StepInfo) (Report, error) {
	if err := a.check(blocks); err != nil {
		return Report{}, err
	}
	if a.evaluated {
		return Report{}, errors.New("nnopt: the blocks hold the averaged values; call Train before Step")
	}
	for k := range blocks {
		a.z[k].Grad = blocks[k].Grad
		if a.kind == AverageMomentum {
			copy(a.z[k].Value, blocks[k].Value)
		}
	}
	r, err := a.inner.Step(a.z, info)
	if err != nil || r.Skipped || r.LR == 0 {
		return r, err
	}
	if a.kind == AverageMomentum {
		a.accumulate(blocks, T(r.LR))
		return r, nil
	}
	keep := a.eval
	switch a.kind {
	case "", AverageEMA:
		keep = min(keep, float64(r.Step)/float64(r.Step+9))
	case AverageScheduleFree:
		a.largest = max(a.largest, r.LR)
		a.weightSum += a.largest * a.largest
		keep = 1 - a.largest*a.largest/a.weightSum
	}
	if math.IsNaN(keep) {
		keep = 1
	}
	old, train := T(keep), T(a.train)
	for k := range blocks {
		x, z, y := a.x[k], a.z[k].Value, blocks[k].Value
		if decay := a.inner.update(k).Decay; decay != 0 && a.train > 0 && !a.inner.blocks[k].own.frozen {
			for i, v := range y {
				x[i] += T(decay) * (v/train - x[i])
			}
		}
		for i, v := range z {
			x[i] = old*x[i] + (1-old)*v
			y[i] = v + train*(x[i]-v)
		}
	}
	return r, nil
}

// accumulate takes the step from the blocks to z into the momentum and moves the blocks by that.
func (a *averaged[T]) accumulate(blocks []Block[T], lr T) {
	mu, take := T(a.momentum), T(1-a.dampening)
	for k := range blocks {
		b, z := a.x[k], a.z[k].Value
		for i, y := range blocks[k].Value {
			u := take * (z[i] - y) / lr
			b[i] = mu*b[i] + u
			if a.nesterov {
				blocks[k].Value[i] = y + lr*(u+mu*b[i])
			} else {
				blocks[k].Value[i] = y + lr*b[i]
			}
		}
	}
}

// Eval implements Averager.
func (a *averaged[T]) Eval(blocks []Block[T]) error { return a.exchange(blocks, true) }

// Train implements Averager.
func (a *averaged[T]) Train(blocks []Block[T]) error { return a.exchange(blocks, false) }

func (a *averaged[T]) exchange(blocks []Block[T], evaluated bool) error {
	if err := a.check(blocks); err != nil {
		return err
	}
	if a.evaluated == evaluated {
		return errors.New("nnopt: the blocks hold these values already")
	}
	a.evaluated = evaluated
	if a.kind == AverageMomentum {
		return nil
	}
	for k := range blocks {
		x := a.x[k]
		for i, v := range blocks[k].Value {
			blocks[k].Value[i], x[i] = x[i], v
		}
	}
	return nil
}

// State implements Optimizer: that of the inner optimizer, and z and x of every block.
func (a *averaged[T]) State() State[T] {
	st := a.inner.State()
	st.Optimizer, st.Averaged = a.name+"/"+st.Optimizer, a.evaluated
	st.Counters = append(st.Counters, Counter{"average_weight", a.weightSum}, Counter{"average_largest", a.largest})
	for k, z := range a.z {
		slot := func(name string, v []T) Slot[T] {
			return Slot[T]{Block: z.Name, Name: name, Rows: z.Rows, Cols: z.Cols, Data: slices.Clone(v)}
		}
		st.Slots = append(st.Slots, slot("average_z", z.Value), slot("average_x", a.x[k]))
	}
	return st
}

// SetState implements Optimizer.
func (a *averaged[T]) SetState(st State[T]) error {
	if a.z == nil {
		return errors.New("nnopt: Init has not been called")
	}
	name, ok := strings.CutPrefix(st.Optimizer, a.name+"/")
	slots, counters := len(st.Slots)-2*len(a.z), len(st.Counters)-2
	if !ok || slots < 0 || counters < 0 || st.Counters[counters].Name != "average_weight" {
		return fmt.Errorf("nnopt: state of optimizer %q with %d slots does not belong to %q around another one", st.Optimizer, len(st.Slots), a.name)
	}
	own := st.Slots[slots:]
	for k, z := range a.z {
		for j, what := range []string{"average_z", "average_x"} {
			s := own[2*k+j]
			if s.Block != z.Name || s.Name != what || s.Rows != z.Rows || s.Cols != z.Cols || len(s.Data) != z.Len() {
				return &BlockError{s.Block, fmt.Sprintf("state has slot %q of %d x %d where %s of block %q, %d x %d, belongs", s.Name, s.Rows, s.Cols, what, z.Name, z.Rows, z.Cols)}
			}
		}
	}
	inner := st
	inner.Optimizer, inner.Averaged = name, false
	inner.Slots, inner.Counters = st.Slots[:slots], st.Counters[:counters]
	if err := a.inner.SetState(inner); err != nil {
		return err
	}
	for k := range a.z {
		copy(a.z[k].Value, own[2*k].Data)
		copy(a.x[k], own[2*k+1].Data)
	}
	a.weightSum, a.largest, a.evaluated = st.Counters[counters].Value, st.Counters[counters+1].Value, st.Averaged
	return nil
}

// SetLayers implements StatsObserver for the inner optimizer.
func (a *averaged[T]) SetLayers(layers []Layer) { a.inner.SetLayers(layers) }

// WantsStats implements StatsObserver for the inner optimizer.
func (a *averaged[T]) WantsStats() Flavour { return a.inner.WantsStats() }

// Observe implements StatsObserver for the inner optimizer.
func (a *averaged[T]) Observe(stats []Stats[T]) error { return a.inner.Observe(stats) }
