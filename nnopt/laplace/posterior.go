package laplace

import (
	"iter"
	"slices"

	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/net"
)

// Likelihood is the distribution of the targets whose negative logarithm the loss is, up to a factor and a constant.
type Likelihood string

// The likelihoods.
const (
	Regression     Likelihood = "regression"     // squared error: independent normal distributions of one standard deviation, the noise
	Classification Likelihood = "classification" // cross-entropy: one of the classes
	Binary         Likelihood = "binary"         // binary cross-entropy: independent yes or no
)

// Posterior is a normal distribution of the parameters of a network around their values at Fit. It is used by one goroutine at a time, which also leaves
// the network alone meanwhile.
type Posterior[T nnopt.Float] struct {
	net        *net.Net[T]
	o          Options
	likelihood Likelihood
	places     []int // of its parameters among all
	groups     []string
	group      []int // of each parameter
	values     []T   // of all parameters at Fit
	mode       []float64
	mean       []float64 // of the prior

	h         structure
	collector *curvature.Collector[T] // of Kronecker that is not corrected
	terms     float64                 // sum of c
	outputs   int
	examples  int
	fast      []curvature.Factors // blocks for the variance of outputs without Jacobians; none if that cannot be

	hyper     Hyper
	prior     []float64 // precision of each parameter
	precision precision
}

// Fit returns the posterior for the data at the present parameters of the network, which should be near a minimum of the loss. Derivatives are those of
// evaluation (dropout off). Data and parameters that are not finite and losses without a likelihood are *curvature.DataError, layers without Kronecker
// factors *curvature.SupportError; others are *OptionError and *SingularError. Kronecker costs what the factors cost (curvature.CollectKFAC) and their
// decomposition, Diagonal the gradients of as many vectors as outputs, Full a backward pass of one example for each output
// and d^2 flops for each output and vector.
func Fit[T nnopt.Float](n *net.Net[T], data iter.Seq[*net.Batch[T]], o Options) (*Posterior[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if n == nil {
		return nil, optionError("network", "is nil")
	}
	likelihood, err := likelihoodOf(n.Loss)
	if err != nil {
		return nil, err
	}
	p := &Posterior[T]{net: n, o: o, likelihood: likelihood}
	p.o.Curvature.Convention = curvature.Even
	if err := p.selectParameters(); err != nil {
		return nil, err
	}
	if p.mean, err = p.spread("prior mean", o.Mean, 0); err != nil {
		return nil, err
	}
	p.hyper = o.Hyper.filled()
	return p, p.Refit(data)
}

// Refit forgets the data and starts again at the present parameters of the network, with the same hyperparameters.
func (p *Posterior[T]) Refit(data iter.Seq[*net.Batch[T]]) error {
	p.values = p.values[:0]
	for _, b := range p.net.Blocks() {
		p.values = append(p.values, b.Value...)
	}
	p.mode = make([]float64, len(p.places))
	for i, at := range p.places {
		p.mode[i] = float64(p.values[at])
	}
	p.h, p.collector, p.terms, p.outputs, p.examples = nil, nil, 0, 0, 0
	return p.add(data)
}

// Update adds more data at the same parameters: the posterior becomes that of Refit with all data. It is an *OptionError for Corrected, whose eigenvalues
// depend on the bases of all data, and if the parameters have changed since. Data that
// cannot be used leave the posterior without any, and Refit is needed: methods that return an error say so, the others panic.
func (p *Posterior[T]) Update(data iter.Seq[*net.Batch[T]]) error {
	if p.o.Corrected {
		return optionError("corrected", "cannot be updated; use Refit with all data")
	}
	if err := p.unchanged(); err != nil {
		return err
	}
	return p.add(data)
}

func (p *Posterior[T]) add(data iter.Seq[*net.Batch[T]]) (err error) {
	defer func() {
		if err != nil {
			p.h, p.precision = nil, nil
		}
	}()
	defer p.enter()()
	r, err := curvature.NewRisk(p.net, data, curvature.RiskOptions{})
	if err != nil {
		return err
	}
	if p.o.LastLayer {
		for b := range data {
			if err := p.checkOutputLayer(b); err != nil {
				return err
			}
			break
		}
	}
	if err := p.addCurvature(r); err != nil {
		return err
	}
	p.terms += r.Loss() / r.Factor()
	p.outputs += r.Outputs()
	p.examples += r.Examples()
	if p.fast == nil {
		p.fast = p.fastBlocks(r)
	}
	return p.SetHyper(p.hyper)
}

// enter puts the network into the mode of evaluation and returns what puts it back.
func (p *Posterior[T]) enter() func() {
	before := p.net.Inference
	p.net.Inference = true
	return func() { p.net.Inference = before }
}

// fitted demands data.
func (p *Posterior[T]) fitted() error {
	if p.h == nil {
		return optionError("posterior", "has no data since an update failed; use Refit")
	}
	return nil
}

// unchanged demands data, and the parameters of Fit.
func (p *Posterior[T]) unchanged() error {
	if err := p.fitted(); err != nil {
		return err
	}
	at := p.values
	for _, b := range p.net.Blocks() {
		if len(at) < len(b.Value) || !slices.Equal(at[:len(b.Value)], b.Value) {
			return optionError("network", "is not the one that the posterior was fitted to: block %s has changed; use Refit", b.Name)
		}
		at = at[len(b.Value):]
	}
	return nil
}

func likelihoodOf[T nnopt.Float](loss net.Loss[T]) (Likelihood, error) {
	if _, ok := loss.(*net.CrossEntropy[T]); ok {
		return Classification, nil
	}
	if curved, ok := loss.(net.Curved[T]); ok {
		at := func(v T) T {
			one := func(v T) net.Matrix[T] { return net.Matrix[T]{Rows: 1, Cols: 1, Stride: 1, Data: []T{v}} }
			root := one(0)
			curved.Root(one(v), &net.Target[T]{Values: one(0)}, 0, root)
			return root.Data[0] * root.Data[0]
		}
		switch zero, two := at(0), at(2); {
		case zero == 1 && two == 1:
			return Regression, nil
		case zero == 0.25 && two > 0 && two < 0.25:
			return Binary, nil
		}
	}
	return "", &curvature.DataError{What: "loss", Why: "has no curvature or is no negative log-likelihood; use squared error, cross-entropy or binary cross-entropy"}
}

// Likelihood returns that of the loss.
func (p *Posterior[T]) Likelihood() Likelihood { return p.likelihood }

// Dim returns the number of parameters that the posterior is about, Indices their places among all.
func (p *Posterior[T]) Dim() int { return len(p.places) }

// Indices returns the places of the parameters of the posterior in vectors of all parameters.
func (p *Posterior[T]) Indices() []int { return slices.Clone(p.places) }

// Groups names the groups of parameters that can have prior precisions of their own, by their weights: the layers, and single blocks otherwise.
func (p *Posterior[T]) Groups() []string { return slices.Clone(p.groups) }

// Examples returns the number of examples so far.
func (p *Posterior[T]) Examples() int { return p.examples }

// Hyper returns the hyperparameters.
func (p *Posterior[T]) Hyper() Hyper { return p.hyper.filled() }

// SetHyper changes the hyperparameters; Prior may change its length. After an error nothing has changed. Full costs d^3/3 flops, the others as many as
// there are parameters.
func (p *Posterior[T]) SetHyper(h Hyper) error {
	prior, precision, err := p.at(h)
	if err != nil {
		return err
	}
	p.hyper, p.prior, p.precision = h.filled(), prior, precision
	return nil
}

// at returns the precision for hyperparameters, with the prior's.
func (p *Posterior[T]) at(h Hyper) ([]float64, precision, error) {
	if err := h.Validate(); err != nil {
		return nil, nil, err
	}
	if err := p.fitted(); err != nil {
		return nil, nil, err
	}
	h = h.filled()
	prior, err := p.spread("prior precision", h.Prior, 1)
	if err != nil {
		return nil, nil, err
	}
	precision, err := p.h.at(p.scale(h), prior)
	return prior, precision, err
}

// scale returns the factor on H.
func (p *Posterior[T]) scale(h Hyper) float64 {
	s := 1 / h.Temperature
	if p.likelihood == Regression {
		s /= h.Noise * h.Noise
	}
	return s
}

// spread returns a number for each parameter from one for all, for each group or for each parameter.
func (p *Posterior[T]) spread(what string, v []float64, zero float64) ([]float64, error) {
	all := make([]float64, len(p.places))
	if len(v) == 0 {
		v = []float64{zero}
	}
	index := p.indexer(len(v))
	if index == nil {
		return nil, optionError(what, "has %d numbers; there can be 1, %d (groups) or %d (parameters)", len(v), len(p.groups), len(all))
	}
	for i := range all {
		all[i] = v[index[i]]
		if all[i]-all[i] != 0 {
			return nil, optionError(what, "number %d is %v", index[i], all[i])
		}
	}
	return all, nil
}

// indexer returns which of count numbers each parameter has, nil if there cannot be so many.
func (p *Posterior[T]) indexer(count int) []int {
	switch count {
	case 1:
		return make([]int, len(p.places))
	case len(p.groups):
		return p.group
	case len(p.places):
		own := make([]int, count)
		for i := range own {
			own[i] = i
		}
		return own
	}
	return nil
}

// Mode returns the parameters of the posterior as they were at Fit: its mean.
func (p *Posterior[T]) Mode() []float64 { return slices.Clone(p.mode) }
