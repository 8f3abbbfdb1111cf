package serve

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spdopt/spdopt/esadapt"
)

// maxDim bounds the number of variables.
const maxDim = 1 << 20

// setter reads one field of "open" or of its "options".
type setter func(o *esadapt.Options, v value) error

func integer(p func(o *esadapt.Options) *int) setter {
	return func(o *esadapt.Options, v value) (err error) {
		*p(o), err = v.whole()
		return err
	}
}

func real(p func(o *esadapt.Options) *float64) setter {
	return func(o *esadapt.Options, v value) (err error) {
		*p(o), err = v.float()
		return err
	}
}

func vector(p func(o *esadapt.Options) *[]float64) setter {
	return func(o *esadapt.Options, v value) (err error) {
		if v.kind == null {
			return nil
		}
		*p(o), err = v.floats(nil)
		return err
	}
}

// bound is vector with null elements for "no bound here".
func bound(p func(o *esadapt.Options) *[]float64, none float64) setter {
	read := vector(p)
	return func(o *esadapt.Options, v value) error {
		for i, e := range v.list {
			if e.kind == null {
				v.list[i] = value{kind: number, number: none}
			}
		}
		return read(o, v)
	}
}

func flag(p func(o *esadapt.Options) *bool) setter {
	return func(o *esadapt.Options, v value) error {
		if v.kind != boolean {
			return fmt.Errorf("%s is not true or false", kindNames[v.kind])
		}
		*p(o) = v.truth
		return nil
	}
}

func indices(p func(o *esadapt.Options) *[]int) setter {
	return func(o *esadapt.Options, v value) error {
		for i, e := range v.list {
			k, err := e.whole()
			if err != nil {
				return fmt.Errorf("element %d: %w", i, err)
			}
			*p(o) = append(*p(o), k)
		}
		if v.kind != list {
			return fmt.Errorf("%s is not a list of indices", kindNames[v.kind])
		}
		return nil
	}
}

// choice reads one of the names of an enumeration.
func choice[T ~int](p func(o *esadapt.Options) *T, names ...string) setter {
	return func(o *esadapt.Options, v value) error {
		k := slices.Index(names, v.text)
		if v.kind != text || k < 0 {
			return fmt.Errorf("it is one of %s", strings.Join(names, ", "))
		}
		*p(o) = T(k)
		return nil
	}
}

var openFields = map[string]setter{
	"dim": integer(func(o *esadapt.Options) *int { return &o.Dim }),
	"x0":  vector(func(o *esadapt.Options) *[]float64 { return &o.X0 }),
	"sigma0": func(o *esadapt.Options, v value) (err error) {
		if o.Sigma0, err = v.float(); err == nil && o.Sigma0 == 0 {
			return fmt.Errorf("it must be positive, not 0; leave it out for the default")
		}
		return err
	},
	"scale":       vector(func(o *esadapt.Options) *[]float64 { return &o.Scale }),
	"lower":       bound(func(o *esadapt.Options) *[]float64 { return &o.Lower }, math.Inf(-1)),
	"upper":       bound(func(o *esadapt.Options) *[]float64 { return &o.Upper }, math.Inf(1)),
	"budget":      integer(func(o *esadapt.Options) *int { return &o.MaxEvaluations }),
	"constraints": integer(func(o *esadapt.Options) *int { return &o.Constraints }),
	"seed": func(o *esadapt.Options, v value) error {
		k, err := v.whole()
		o.Seed = uint64(k)
		return err
	},
	"integers": func(o *esadapt.Options, v value) error {
		k, err := v.whole()
		if err != nil {
			return err
		}
		if k < 0 || k > maxDim {
			return fmt.Errorf("%d is not a number of variables", k)
		}
		for i := range k {
			o.Integers = append(o.Integers, i)
		}
		return nil
	},
}

var moreOptions = map[string]setter{
	"strategy": func(o *esadapt.Options, v value) error {
		if v.kind != text {
			return fmt.Errorf("%s is not a name", kindNames[v.kind])
		}
		o.Strategy = v.text
		return nil
	},
	"popsize":          integer(func(o *esadapt.Options) *int { return &o.PopSize }),
	"restarts":         choice(func(o *esadapt.Options) *esadapt.Restarts { return &o.Restarts }, "auto", "none", "ipop", "bipop"),
	"max_restarts":     integer(func(o *esadapt.Options) *int { return &o.MaxRestarts }),
	"step_size":        choice(func(o *esadapt.Options) *esadapt.StepSize { return &o.Tuning.StepSize }, "csa", "tpa", "msr"),
	"bounds":           choice(func(o *esadapt.Options) *esadapt.BoundRule { return &o.Bounds }, "transform", "penalty"),
	"on_failure":       choice(func(o *esadapt.Options) *esadapt.OnFailure { return &o.OnFailure }, "worst", "resample", "abort"),
	"max_failure_rate": real(func(o *esadapt.Options) *float64 { return &o.MaxFailureRate }),
	"noise":            flag(func(o *esadapt.Options) *bool { return &o.Noise }),
	"surrogate":        flag(func(o *esadapt.Options) *bool { return &o.Surrogate }),
	"max_repeats":      integer(func(o *esadapt.Options) *int { return &o.MaxRepeats }),
	"learn_rate":       flag(func(o *esadapt.Options) *bool { return &o.Tuning.LearnRate }),
	"no_active":        flag(func(o *esadapt.Options) *bool { return &o.Tuning.NoActive }),
	"fixed":            indices(func(o *esadapt.Options) *[]int { return &o.Fixed }),
	"integer_indices":  indices(func(o *esadapt.Options) *[]int { return &o.Integers }),
	"equalities":       indices(func(o *esadapt.Options) *[]int { return &o.Equalities }),
	"start_lower":      vector(func(o *esadapt.Options) *[]float64 { return &o.StartLower }),
	"start_upper":      vector(func(o *esadapt.Options) *[]float64 { return &o.StartUpper }),
	"target": func(o *esadapt.Options, v value) error {
		f, err := v.float()
		o.Target = &f
		return err
	},
	"tol_x":   real(func(o *esadapt.Options) *float64 { return &o.Tuning.Tolerances.X }),
	"tol_fun": real(func(o *esadapt.Options) *float64 { return &o.Tuning.Tolerances.Fun }),
}

// protocolWords turns the names of options in messages into those of fields.
var protocolWords = strings.NewReplacer("esadapt: ", "", "Fixed", "fixed", "X0", "x0", "Sigma0", "sigma0", "StartLower", "start_lower", "StartUpper", "start_upper", "Lower", "lower", "Upper", "upper",
	"Scale", "scale", "Integers", "integers", "Equalities", "equalities", "Surrogate", "surrogate", "Noise", "noise", "BoundPenalty", "bounds penalty", "PopSize", "popsize", "MaxEvaluations", "budget",
	"MaxRestarts", "max_restarts", "MaxRepeats", "max_repeats", "MaxFailureRate", "max_failure_rate", "Constraints", "constraints", "Target", "target", "Tolerances.X", "tol_x", "Tolerances.Fun", "tol_fun", "; use New for one", "")

// invalid is the error of options that do not go together.
func invalid(err error) error { return fmt.Errorf("open: %s", protocolWords.Replace(err.Error())) }

// options reads the fields of an "open" and the number of objectives.
func options(v *value) (o esadapt.Options, objectives int, err error) {
	objectives = 1
	if k, ok := v.get("objectives"); ok && k.kind != null {
		if objectives, err = k.whole(); err != nil || objectives < 1 {
			return o, 0, fmt.Errorf("open: objectives: it must be a whole number, 1 or more")
		}
	}
	if dim, ok := v.get("dim"); !ok || dim.kind != number {
		return o, 0, fmt.Errorf(`open: "dim" is missing`)
	}
	for _, f := range v.fields {
		if f.name == "op" || f.name == "options" || f.name == "objectives" || f.value.kind == null {
			continue
		}
		set, ok := openFields[f.name]
		if !ok {
			return o, 0, unknown("field", f.name, openFields, "objectives", "options")
		}
		if err := set(&o, f.value); err != nil {
			return o, 0, fmt.Errorf("open: %s: %w", f.name, err)
		}
	}
	if more, ok := v.get("options"); ok && more.kind != null {
		if more.kind != object {
			return o, 0, fmt.Errorf("open: options: %s is not an object", kindNames[more.kind])
		}
		for _, f := range more.fields {
			set, ok := moreOptions[f.name]
			if !ok {
				return o, 0, unknown("option", f.name, moreOptions)
			}
			if err := set(&o, f.value); err != nil {
				return o, 0, fmt.Errorf("open: options: %s: %w", f.name, err)
			}
		}
	}
	if o.Dim < 1 || o.Dim > maxDim {
		return o, 0, fmt.Errorf("open: dim is %d: it must be between 1 and %d", o.Dim, maxDim)
	}
	return o, objectives, nil
}

func unknown(what, name string, known map[string]setter, others ...string) error {
	names := others
	for n := range known {
		names = append(names, n)
	}
	slices.Sort(names)
	return fmt.Errorf("open: unknown %s %q: there are %s", what, name, strings.Join(names, ", "))
}
