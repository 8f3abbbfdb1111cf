package solve

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/manifold"
)

var (
	sgd = Solver{
		Name:  "sgd",
		What:  "stochastic gradient descent with a falling rate",
		Needs: "a Sum; Options.Stochastic.Source",
		Run:   StochasticGradient,
	}
	adam = Solver{
		Name:  "adam",
		What:  "Riemannian Adam: momentum and a running scale of the stochastic gradient, with a falling rate",
		Needs: "a Sum; Options.Stochastic.Source",
		Run:   Adam,
	}
	svrg = Solver{
		Name:  "svrg",
		What:  "variance-reduced stochastic gradient: converges linearly at a constant rate",
		Needs: "a Sum; Options.Stochastic.Source",
		Run:   VarianceReduced,
	}
)

// Sum is implemented by objectives that are the mean of terms, such as the samples of a data set.
type Sum interface {
	Objective
	// Terms returns the number of terms.
	Terms() int
	// BatchGradient writes to grad the mean of the Riemannian gradients at p of the given terms, which are not empty.
	BatchGradient(grad []float64, p manifold.Point, terms []int) error
}

// StochasticOptions configures the solvers for a Sum; all but Source have a default.
type StochasticOptions struct {
	// Source draws the order of the terms; required. It is part of the state: a restored run overwrites it.
	Source *rand.ChaCha8
	// Batch is the number of terms per step; default 16, at most all.
	Batch int
	// Rate multiplies the gradient (for Adam: the gradient over its running norm, so that it is about the length of a step); default 0.1,
	// for Adam 0.05.
	Rate float64
	// Decay makes Rate/(1 + Decay k) the rate of epoch k; default 0.1. VarianceReduced keeps the rate constant.
	Decay float64
	// FirstMoment and SecondMoment are the weights of the past in the averages of Adam; default 0.9 and 0.999.
	FirstMoment, SecondMoment float64
}

// Validate returns an error that names the first field that is out of range.
func (o *StochasticOptions) Validate() error {
	switch {
	case o.Batch < 0:
		return fmt.Errorf("solve: Stochastic.Batch is %d, want >= 0", o.Batch)
	case !(o.Rate >= 0) || math.IsInf(o.Rate, 1):
		return fmt.Errorf("solve: Stochastic.Rate is %v, want a finite number >= 0", o.Rate)
	case !(o.Decay >= 0) || math.IsInf(o.Decay, 1):
		return fmt.Errorf("solve: Stochastic.Decay is %v, want a finite number >= 0", o.Decay)
	case !(o.FirstMoment >= 0 && o.FirstMoment < 1):
		return fmt.Errorf("solve: Stochastic.FirstMoment is %v, want a number in [0, 1)", o.FirstMoment)
	case !(o.SecondMoment >= 0 && o.SecondMoment < 1):
		return fmt.Errorf("solve: Stochastic.SecondMoment is %v, want a number in [0, 1)", o.SecondMoment)
	}
	return nil
}

// StochasticGradient runs Riemannian stochastic gradient descent (Bonnabel, IEEE Trans. Automat. Contr. 58 (2013) 2217-2229) on a Sum. An
// iteration is one pass over the terms in random order, followed by one full evaluation for the stopping criteria. With a falling rate the
// error falls like that rate: do not expect small tolerances. The Result holds the last point.
func StochasticGradient(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error) {
	return stochastic("sgd", m, f, start, o, 0.1, func(e *epochs) error {
		rate := e.falling()
		for i, g := range e.grad {
			e.d[i] = -rate * g
		}
		return nil
	})
}

// adamFloor keeps Adam from dividing by a vanished gradient.
const adamFloor = 1e-12

// Adam runs Riemannian Adam on a Sum (Becigneul and Ganea, ICLR 2019, with the manifold as the only factor): the direction is an average of
// carried gradients over the root of an average of their squared norms, both corrected for their start at zero. Epochs as in StochasticGradient.
func Adam(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error) {
	return stochastic("adam", m, f, start, o, 0.05, func(e *epochs) error {
		b1, b2 := e.o.FirstMoment, e.o.SecondMoment
		e.count++
		for i, g := range e.grad {
			e.moment[i] = b1*e.moment[i] + (1-b1)*g
		}
		e.square = b2*e.square + (1-b2)*e.r.m.Inner(e.r.x.point, e.grad, e.grad)
		k := float64(e.count)
		scale := math.Sqrt(e.square/(1-math.Pow(b2, k))) + adamFloor
		rate := e.falling() / ((1 - math.Pow(b1, k)) * scale)
		for i, v := range e.moment {
			e.d[i] = -rate * v
		}
		return nil
	})
}

// VarianceReduced runs Riemannian SVRG on a Sum (Zhang, Reddi and Sra, NIPS 2016, algorithm 1): each batch gradient is corrected by the
// difference between the batch and the full gradient at the start of the epoch. Where transport is not free it must carry vectors from
// that point to any later one of the epoch. Epochs as in StochasticGradient; two batch gradients a step.
func VarianceReduced(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error) {
	return stochastic("svrg", m, f, start, o, 0.1, func(e *epochs) error {
		if err := e.f.BatchGradient(e.old, e.snapshot, e.batch); err != nil {
			return err
		}
		for i, g := range e.full {
			e.old[i] -= g
		}
		if !e.r.free {
			e.r.m.Transport(e.snapshot, e.r.x.point, e.old)
		}
		for i, g := range e.grad {
			e.d[i] = -e.o.Rate * (g - e.old[i])
		}
		return nil
	})
}

// epochs is what the stochastic solvers work on.
type epochs struct {
	r         *run
	f         Sum
	o         StochasticOptions
	rng       *rand.Rand
	order     []int
	batch     []int
	grad, d   []float64 // batch gradient and step
	moment    []float64 // Adam
	square    float64   // Adam
	count     int       // steps, for Adam
	snapshot  manifold.Point
	full, old []float64 // gradient at the snapshot; batch gradient there
}

// stochastic runs epochs of steps; rate is the default of StochasticOptions.Rate, direction sets e.d from e.grad, the gradient of e.batch at x.
func stochastic(name string, m manifold.Manifold, f Objective, start manifold.Point, o *Options, rate float64, direction func(*epochs) error) (*Result, error) {
	sum, ok := f.(Sum)
	if !ok {
		return nil, fmt.Errorf("solve: %s needs an objective that is a Sum, not %T", name, f)
	}
	r, err := begin(name, m, f, start, o)
	if err != nil {
		return nil, err
	}
	e, err := newEpochs(r, sum, rate)
	if err != nil {
		return nil, err
	}
	if err := r.keep(e.fields); err != nil {
		return nil, err
	}
	for !r.done() {
		if err := e.pass(direction); err != nil {
			return nil, err
		}
	}
	return r.result()
}

// newEpochs fills in the defaults; rate is that of the method.
func newEpochs(r *run, f Sum, rate float64) (*epochs, error) {
	o, n := r.o.Stochastic, len(r.x.grad)
	if o.Source == nil {
		return nil, errors.New("solve: " + r.name + " needs Options.Stochastic.Source, for example rand.NewChaCha8 of a seed")
	}
	if f.Terms() < 1 {
		return nil, fmt.Errorf("solve: the objective has %d terms, want at least 1", f.Terms())
	}
	if o.Batch == 0 {
		o.Batch = 16
	}
	o.Batch = min(o.Batch, f.Terms())
	if o.Rate == 0 {
		o.Rate = rate
	}
	if o.Decay == 0 {
		o.Decay = 0.1
	}
	if o.FirstMoment == 0 {
		o.FirstMoment = 0.9
	}
	if o.SecondMoment == 0 {
		o.SecondMoment = 0.999
	}
	e := &epochs{r: r, f: f, o: o, rng: rand.New(o.Source), order: make([]int, f.Terms()), snapshot: r.x.point.Clone()}
	for _, v := range []*[]float64{&e.grad, &e.d, &e.moment, &e.full, &e.old} {
		*v = make([]float64, n)
	}
	return e, nil
}

func (e *epochs) fields(c *codec) {
	c.opaque("a random source", e.o.Source)
	c.vector(e.moment)
	c.float(&e.square)
	c.integer(&e.count)
}

// falling returns the rate of the current epoch.
func (e *epochs) falling() float64 { return e.o.Rate / (1 + e.o.Decay*float64(e.r.status.Iteration)) }

// pass takes one epoch: every term once, in random order, then a full evaluation.
func (e *epochs) pass(direction func(*epochs) error) error {
	r := e.r
	for i := range e.order {
		e.order[i] = i
	}
	e.rng.Shuffle(len(e.order), func(i, j int) { e.order[i], e.order[j] = e.order[j], e.order[i] })
	e.snapshot.CopyFrom(r.x.point)
	copy(e.full, r.x.grad)
	var length float64
	for at := 0; at < len(e.order); at += e.o.Batch {
		e.batch = e.order[at:min(at+e.o.Batch, len(e.order))]
		err := e.gradient()
		if err == nil {
			err = direction(e)
		}
		if err != nil {
			return fmt.Errorf("solve: epoch %d, terms %v: %w", r.status.Iteration+1, e.batch, err)
		}
		step, err := e.move()
		if err != nil {
			return fmt.Errorf("solve: epoch %d, terms %v: %w (Stochastic.Rate is %.3g: lower it, or look at these terms)", r.status.Iteration+1, e.batch, err, e.o.Rate)
		}
		length += step
	}
	if err := r.evaluate(&r.x); err != nil {
		return fmt.Errorf("solve: after epoch %d: %w", r.status.Iteration+1, err)
	}
	if !finite(r.x.cost) || !finite(r.norm(&r.x)) {
		return fmt.Errorf("solve: after epoch %d the cost is %v and the gradient norm %v; lower Stochastic.Rate, %.3g", r.status.Iteration+1,
			r.x.cost, r.norm(&r.x), e.o.Rate)
	}
	r.status.Iteration++
	r.status.StepNorm = length
	r.refresh()
	return nil
}

// gradient sets grad to that of the batch at x.
func (e *epochs) gradient() (err error) {
	defer e.r.singular(e.r.x.point, &err)
	return e.f.BatchGradient(e.grad, e.r.x.point, e.batch)
}

// move takes the step d, carries what is kept, and returns the length of the step.
func (e *epochs) move() (float64, error) {
	r := e.r
	norm := math.Sqrt(r.m.Inner(r.x.point, e.d, e.d))
	if err := r.m.Retract(r.y.point, r.x.point, e.d); err != nil {
		return 0, err
	}
	if r.check != nil {
		if err := r.check.Check(r.y.point); err != nil {
			return 0, err
		}
	}
	r.x.point, r.y.point = r.y.point, r.x.point
	r.carry(e.moment)
	return norm, nil
}
