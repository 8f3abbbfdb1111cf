package nnopt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spdopt/spdopt/internal/jsonfloat"
)

// Entry is an optimizer of the registry.
type Entry struct {
	Name string
	What string
	new  func(options []byte, single bool) (any, error)
}

// Optimizers lists the optimizers that New knows.
func Optimizers() []Entry {
	return []Entry{
		entry("spectral", "Kronecker-factored preconditioner kept as eigenbases and eigenvalues, by matrix products only", NewSpectral[float32], NewSpectral[float64]),
		entry("eshampoo", "Shampoo with second moments corrected in its eigenbases", NewEShampoo[float32], NewEShampoo[float64]),
		entry("soap", "eshampoo with orthogonal iterations instead of eigendecompositions", NewSOAP[float32], NewSOAP[float64]),
		entry("shampoo", "Shampoo: roots of the second moments along each dimension, with grafting", NewShampoo[float32], NewShampoo[float64]),
		entry("sirf-shampoo", "inverse-free root-free Shampoo with structured factors", NewSIRFShampoo[float32], NewSIRFShampoo[float64]),
		entry("singd", "structured inverse-free natural gradient from the statistics of layers", NewSINGD[float32], NewSINGD[float64]),
		entry("ikfac", "inverse-free KFAC: singd with factors that do not see each other", NewIKFAC[float32], NewIKFAC[float64]),
		entry("kfac", "natural gradient with Kronecker-factored curvature; learning rate, momentum and damping from a quadratic model", NewKFAC[float32], NewKFAC[float64]),
		entry("muon", "orthogonalised momentum for matrices, AdamW for vectors", NewMuon[float32], NewMuon[float64]),
		entry("lion", "sign of an interpolated average of the gradient", NewLion[float32], NewLion[float64]),
		entry("sign", "sign of the averaged gradient", NewSignDescent[float32], NewSignDescent[float64]),
		entry("root-free-rmsprop", "RMSProp without the root: diagonal natural gradient", NewRootFreeRMSProp[float32], NewRootFreeRMSProp[float64]),
		entry("root-free-adamw", "AdamW without the root", NewRootFreeAdamW[float32], NewRootFreeAdamW[float64]),
		entry("sgd", "stochastic gradient descent with heavy-ball or Nesterov momentum", NewSGD[float32], NewSGD[float64]),
		entry("adagrad", "steps divided by the root of the sum of squared gradients", NewAdaGrad[float32], NewAdaGrad[float64]),
		entry("adamw", "Adam with decoupled weight decay", NewAdamW[float32], NewAdamW[float64]),
		entry("nadamw", "AdamW with a Nesterov numerator, the AlgoPerf baseline", NewNadamW[float32], NewNadamW[float64]),
		entry("averaged", "averages of the iterates of another optimizer: moving, primal or schedule-free", NewAveraged[float32], NewAveraged[float64]),
		entry("schedule-free-sgd", "stochastic gradient descent with averaged iterates instead of a schedule", NewScheduleFreeSGD[float32], NewScheduleFreeSGD[float64]),
		entry("schedule-free-adamw", "AdamW with averaged iterates instead of a schedule", NewScheduleFree[float32], NewScheduleFree[float64]),
	}
}

// entry makes a registry entry of the two instances of a constructor with options O.
func entry[O any](name, what string, single func(O) (Optimizer[float32], error), double func(O) (Optimizer[float64], error)) Entry {
	return Entry{name, what, func(options []byte, wantSingle bool) (any, error) {
		var o O
		if len(options) > 0 {
			d := json.NewDecoder(bytes.NewReader(options))
			d.DisallowUnknownFields()
			if err := d.Decode(&o); err != nil {
				return nil, &OptionError{"options of " + name, "cannot be read: " + jsonfloat.Fault(err).Error()}
			}
			if _, err := d.Token(); err != io.EOF {
				return nil, &OptionError{"options of " + name, "cannot be read: more follows the object"}
			}
		}
		if wantSingle {
			return single(o)
		}
		return double(o)
	}}
}

// UnknownError says that there is no optimizer of a name.
type UnknownError struct{ Name string }

// Error lists the known names.
func (e *UnknownError) Error() string {
	var known []string
	for _, o := range Optimizers() {
		known = append(known, o.Name)
	}
	return fmt.Sprintf("unknown optimizer %q, want one of %s", e.Name, strings.Join(known, ", "))
}

// New returns the optimizer of the registry called name. options is the JSON form of its options struct, such as {"lr":0.01,"beta1":0.95}; nil
// is all defaults. A number that is 0 is the same as one that is left out: it stands for the default that the struct names. What can be switched off has an
// option of its own, such as no_momentum.
func New[T Float](name string, options []byte) (Optimizer[T], error) {
	for _, e := range Optimizers() {
		if e.Name != name {
			continue
		}
		_, single := any(T(0)).(float32)
		made, err := e.new(options, single)
		if err != nil {
			return nil, err
		}
		return made.(Optimizer[T]), nil
	}
	return nil, &UnknownError{name}
}
