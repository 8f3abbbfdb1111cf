package laplace

import (
	"fmt"
	"slices"

	"github.com/spdopt/spdopt/nnopt/curvature"
)

// Structure is the form of the curvature H in the posterior precision.
type Structure string

// The structures.
const (
	Kronecker Structure = "kronecker" // block-diagonal by layer, B (x) A in each block
	Diagonal  Structure = "diagonal"
	Full      Structure = "full" // d^2 numbers and d^3/3 flops for d parameters
)

// Structures lists the structures.
func Structures() []Structure { return []Structure{Kronecker, Diagonal, Full} }

// Options say which posterior Fit forms. The zero value is that of all parameters with Kronecker-factored Gauss-Newton curvature, prior precision 1,
// noise 1 and temperature 1.
type Options struct {
	Structure Structure // default Kronecker

	// Curvature are the settings of H: Flavour, Samples and Seed of all structures, Sharing, PerLayer and Skip of Kronecker; SeparateBias makes the bias
	// of a layer a block and a group of its own. Convention is not used: factors are balanced (curvature.Even).
	Curvature curvature.Settings
	// Corrected replaces the eigenvalues of Kronecker by those of EKFAC.
	Corrected bool
	// Damped adds the prior to the factors instead: l_i l_j + d becomes (l_i + sqrt d)(l_j + sqrt d); blocks of a bias alone keep l + d.
	Damped bool

	// At most one of the following selects parameters; the others keep their values and are certain.
	LastLayer bool     // those of the linear layer that the network ends with
	Blocks    []string // those of named blocks
	Indices   []int    // any, in ascending order, by their place in vectors of all parameters; not of Kronecker

	Hyper
	// Mean is the mean of the prior: empty for 0, one number for all, or one for each parameter of the posterior.
	Mean []float64
}

// Hyper are the hyperparameters: the precision of the posterior is H/(Noise^2 Temperature) + diag(Prior), H the curvature of the negative log-likelihood
// with noise 1 summed over the data.
type Hyper struct {
	Prior       []float64 // precision of the prior: one for all, one for each group (Posterior.Groups), or one for each parameter of the posterior; default 1
	Noise       float64   // standard deviation of the targets, of regression only; default 1
	Temperature float64   // divides the log-likelihood; default 1
}

// OptionError says which option has a value that it cannot have.
type OptionError struct{ Option, What string }

// Error returns "laplace: OPTION what".
func (e *OptionError) Error() string { return "laplace: " + e.Option + " " + e.What }

func optionError(option, format string, args ...any) error {
	return &OptionError{option, fmt.Sprintf(format, args...)}
}

// Validate reports the first option that has a value that it cannot have, as far as that can be said without the network.
func (o *Options) Validate() error {
	if o.Structure != "" && !slices.Contains(Structures(), o.Structure) {
		return optionError("structure", "must be one of %v, not %q", Structures(), o.Structure)
	}
	if err := o.Curvature.Validate(); err != nil {
		return err
	}
	if o.Curvature.Flavour == curvature.ForwardOnly {
		return optionError("flavour", "forward-only is no curvature of the likelihood")
	}
	kron := o.structure() == Kronecker
	switch {
	case o.Curvature.Only != nil:
		return optionError("only", "is not a choice of parameters; use Blocks, Indices or LastLayer")
	case (o.Corrected || o.Damped) && !kron:
		return optionError("structure", "must be kronecker for corrected or damped, not %q", o.Structure)
	case o.Corrected && o.Damped:
		return optionError("damped", "does not go with corrected: EKFAC has no eigenvalues of single factors")
	case kron && o.Indices != nil:
		return optionError("indices", "need the structure full or diagonal; kronecker takes blocks")
	}
	chosen := 0
	for _, set := range []bool{o.LastLayer, o.Blocks != nil, o.Indices != nil} {
		if set {
			chosen++
		}
	}
	if chosen > 1 {
		return optionError("subset", "at most one of last layer, blocks and indices can be set")
	}
	return o.Hyper.Validate()
}

func (o *Options) structure() Structure {
	if o.Structure == "" {
		return Kronecker
	}
	return o.Structure
}

// Validate reports the first hyperparameter that is not positive and finite; a Noise or Temperature of 0 is the default.
func (h *Hyper) Validate() error {
	for i, v := range h.Prior {
		if !(v > 0) || v-v != 0 {
			return optionError("prior precision", "number %d is %v; it must be positive and finite", i, v)
		}
	}
	for _, c := range []struct {
		name  string
		value float64
	}{{"noise", h.Noise}, {"temperature", h.Temperature}} {
		if !(c.value >= 0) || c.value-c.value != 0 {
			return optionError(c.name, "is %v; it must be positive and finite", c.value)
		}
	}
	return nil
}

// filled returns a copy with the defaults in place.
func (h Hyper) filled() Hyper {
	h.Prior = slices.Clone(h.Prior)
	if len(h.Prior) == 0 {
		h.Prior = []float64{1}
	}
	if h.Noise == 0 {
		h.Noise = 1
	}
	if h.Temperature == 0 {
		h.Temperature = 1
	}
	return h
}
