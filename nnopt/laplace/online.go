package laplace

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/net"
)

// OnlineOptions say how Train moves parameters and hyperparameters. What is zero has its default.
type OnlineOptions[T nnopt.Float] struct {
	Options // Prior is the start; of length 1 it becomes one number for each group unless Scalar is set

	// Optimizer makes the optimizer, without weight decay: the prior takes its place.
	Optimizer func() (nnopt.Optimizer[T], error)
	Epochs    int     // default 300
	BurnIn    int     // epochs before the hyperparameters move; default 0
	Every     int     // epochs between their moves; default 1
	Steps     int     // of Adam in their logarithms each time; default 10
	LR        float64 // of Adam; default 0.1
	Scalar    bool    // one prior precision for all parameters
	FixPrior  bool    // the prior stays
	FixNoise  bool    // the noise of regression stays
	// Final keeps the last measured parameters instead of those with the best evidence. Away from a minimum of the loss the evidence may be high for
	// parameters that are not trained yet.
	Final bool
	// LRScale, if not nil, is what the learning rate of an epoch is multiplied by.
	LRScale func(epoch int) float64
	// Progress, if not nil, is called after every epoch.
	Progress func(OnlineEpoch)
}

// OnlineEpoch is what happened in one epoch.
type OnlineEpoch struct {
	Epoch    int
	Loss     float64 // mean over its batches, without the prior
	Evidence float64 // NaN in epochs that did not measure it
	Hyper
}

// Trained is what Train returns.
type Trained[T nnopt.Float] struct {
	Posterior *Posterior[T] // at the parameters that were kept, to which the network is set
	Best      int           // epoch of the parameters that were kept
	Evidence  float64
	History   []OnlineEpoch
}

// Train trains a network together with the hyperparameters of its prior and likelihood (Immer et al., arXiv:2104.04975): in every epoch the optimizer goes
// through the data once with the loss and R/s prior (theta - mean)^2/2, s the factor on the curvature, whose stationary points are those of the log joint
// density; then, after BurnIn and each Every epochs, the posterior is fitted and Steps steps of Adam raise the evidence. The parameters and hyperparameters
// with the best evidence are kept (or the last ones: Final), and the posterior fitted there. data must give the same batches in every pass. Parameters that are not of the posterior
// have no prior. Errors are those of Fit and of the optimizer.
func Train[T nnopt.Float](n *net.Net[T], data iter.Seq[*net.Batch[T]], o OnlineOptions[T]) (*Trained[T], error) {
	t, err := newTrainer(n, data, &o)
	if err != nil {
		return nil, err
	}
	for epoch := range cmp.Or(o.Epochs, 300) {
		if err := t.epoch(epoch); err != nil {
			return nil, fmt.Errorf("epoch %d: %w", epoch, err)
		}
	}
	if t.best == nil {
		return nil, optionError("burn-in", "leaves no epoch that measures the evidence: %d epochs, burn-in %d, every %d", cmp.Or(o.Epochs, 300), o.BurnIn, cmp.Or(o.Every, 1))
	}
	t.p.values = t.best
	t.p.restore()
	t.p.hyper = t.hyper
	t.result.Posterior = t.p
	return &t.result, t.p.Refit(data)
}

type trainer[T nnopt.Float] struct {
	o        *OnlineOptions[T]
	data     iter.Seq[*net.Batch[T]]
	p        *Posterior[T]
	opt      nnopt.Optimizer[T]
	observer nnopt.StatsObserver[T]
	stats    []nnopt.Stats[T]
	rand     *rand.Rand // of sampled statistics
	a        *ascent
	result   Trained[T]
	best     []T
	hyper    Hyper
}

// Validate reports the first option that cannot be.
func (o *OnlineOptions[T]) Validate() error {
	switch {
	case o.Optimizer == nil:
		return optionError("optimizer", "is missing")
	case o.Epochs < 0 || o.BurnIn < 0 || o.Every < 0 || o.Steps < 0:
		return optionError("epochs", "and the other counts must not be negative")
	case !(o.LR >= 0) || o.LR-o.LR != 0:
		return optionError("learning rate", "must be positive and finite, not %v", o.LR)
	}
	return o.Options.Validate()
}

func newTrainer[T nnopt.Float](n *net.Net[T], data iter.Seq[*net.Batch[T]], o *OnlineOptions[T]) (*trainer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if err := refuseDecay(o.Optimizer); err != nil {
		return nil, err
	}
	opt, err := o.Optimizer()
	if err != nil {
		return nil, err
	}
	if _, averages := opt.(nnopt.Averager[T]); averages {
		return nil, optionError("optimizer", "averages its iterates; take one that does not")
	}
	p, err := Fit(n, data, o.Options)
	if err != nil {
		return nil, err
	}
	if h := p.Hyper(); len(h.Prior) == 1 && !o.Scalar {
		for len(h.Prior) < len(p.groups) {
			h.Prior = append(h.Prior, h.Prior[0])
		}
		if err := p.SetHyper(h); err != nil {
			return nil, err
		}
	}
	t := &trainer[T]{o: o, data: data, p: p, opt: opt, rand: (&Scoring{Seed: o.Curvature.Seed}).rand(), a: newAscent(o.LR)}
	if t.observer, _ = opt.(nnopt.StatsObserver[T]); t.observer != nil {
		t.observer.SetLayers(n.Layers())
	}
	return t, opt.Init(n.Blocks())
}

// refuseDecay steps with a gradient of zero, in which only weight decay moves a parameter.
func refuseDecay[T nnopt.Float](make func() (nnopt.Optimizer[T], error)) error {
	opt, err := make()
	if err != nil {
		return err
	}
	if opt == nil {
		return optionError("optimizer", "is nil")
	}
	b := []nnopt.Block[T]{{Name: "probe", Rows: 1, Cols: 1, Value: []T{1}, Grad: []T{0}}}
	if err := opt.Init(b); err != nil {
		return err
	}
	if _, err := opt.Step(b, nnopt.StepInfo{LRScale: 1, BatchSize: 1}); err == nil && b[0].Value[0] != 1 {
		return optionError("optimizer", "has weight decay; set it to 0, the prior takes its place")
	}
	return nil
}

// epoch goes through the data once and, where it is due, moves the hyperparameters.
func (t *trainer[T]) epoch(epoch int) error {
	e := OnlineEpoch{Epoch: epoch, Evidence: math.NaN()}
	scale, batches := 1.0, 0
	if t.o.LRScale != nil {
		scale = t.o.LRScale(epoch)
	}
	for b := range t.data {
		loss, err := t.step(b, scale)
		if err != nil {
			return err
		}
		e.Loss += loss
		batches++
	}
	e.Loss /= float64(batches)
	if epoch >= t.o.BurnIn && (epoch+1-t.o.BurnIn)%cmp.Or(t.o.Every, 1) == 0 {
		if err := t.measure(&e); err != nil {
			return err
		}
	}
	e.Hyper = t.p.Hyper()
	t.result.History = append(t.result.History, e)
	if t.o.Progress != nil {
		t.o.Progress(e)
	}
	return nil
}

// measure fits the posterior and raises the evidence.
func (t *trainer[T]) measure(e *OnlineEpoch) error {
	if err := t.p.Refit(t.data); err != nil {
		return err
	}
	o := TuneOptions{FixPrior: t.o.FixPrior, Noise: t.p.likelihood == Regression && !t.o.FixNoise}
	steps := cmp.Or(t.o.Steps, 10)
	if o.FixPrior && !o.Noise {
		steps = 0
	}
	course, err := t.p.climb(t.a, o, steps)
	if err != nil {
		return err
	}
	e.Evidence = math.Inf(-1)
	for _, s := range course {
		e.Evidence = max(e.Evidence, s.Evidence)
	}
	if t.best == nil || t.o.Final || e.Evidence > t.result.Evidence {
		t.best = append(t.best[:0], t.p.values...)
		t.hyper = t.p.Hyper()
		t.result.Best, t.result.Evidence = e.Epoch, e.Evidence
	}
	return nil
}

// step moves the parameters by one batch.
func (t *trainer[T]) step(b *net.Batch[T], scale float64) (float64, error) {
	n := t.p.net
	loss, err := t.gradient(b)
	if err != nil {
		return 0, err
	}
	if loss-loss != 0 {
		return 0, &curvature.DataError{What: "training", Why: fmt.Sprintf("the loss is %v; try a smaller learning rate", loss)}
	}
	t.addPrior(b)
	_, err = t.opt.Step(n.Blocks(), nnopt.StepInfo{LRScale: scale, BatchSize: b.N})
	return loss, err
}

// gradient sets the gradients of the loss and shows the optimizer the statistics that it wants.
func (t *trainer[T]) gradient(b *net.Batch[T]) (float64, error) {
	flavour := nnopt.NoStats
	if t.observer != nil {
		flavour = t.observer.WantsStats()
	}
	if flavour == nnopt.SampledStats {
		t.p.net.SampledGradient(b, t.rand)
		if err := t.observe(); err != nil {
			return 0, err
		}
	}
	loss := t.p.net.Gradient(b)
	if flavour == nnopt.EmpiricalStats {
		return loss, t.observe()
	}
	return loss, nil
}

func (t *trainer[T]) observe() error {
	t.stats = t.p.net.Stats(t.stats[:0])
	return t.observer.Observe(t.stats)
}

// addPrior adds the gradient of the prior's term, weighted like the data of the batch.
func (t *trainer[T]) addPrior(b *net.Batch[T]) {
	p := t.p
	out := p.net.Outputs()
	w := p.net.Loss.Factor(out, &b.Target) * float64(b.N) / float64(p.examples) / p.scale(p.hyper)
	start, k := 0, 0
	for _, block := range p.net.Blocks() {
		for ; k < len(p.places) && p.places[k] < start+block.Len(); k++ {
			i := p.places[k] - start
			block.Grad[i] += T(w * p.prior[k] * (float64(block.Value[i]) - p.mean[k]))
		}
		start += block.Len()
	}
}
