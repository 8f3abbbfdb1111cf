package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/esadapt"
)

// searchFlags are the parts around a strategy that a search can be asked for.
type searchFlags struct {
	integers, fixed, equalities, bounds string
	noise, surrogate, learnRate         bool
}

func (f *searchFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.integers, "integers", "", `variables that take integer values: indices from 0 such as 0,3, or "all"`)
	flags.StringVar(&f.fixed, "fixed", "", "variables that stay where --x0 has them: indices from 0")
	flags.StringVar(&f.equalities, "equalities", "", "constraints that mean g = 0 instead of g <= 0: indices from 0")
	flags.StringVar(&f.bounds, "bounds", "transform", "how bounds are kept: transform (no point is outside) or penalty (points outside are moved in and pay for it)")
	flags.BoolVar(&f.noise, "noise", false, "the objective is noisy: some points are evaluated again, and repeated as often as it takes (UH-CMA-ES)")
	flags.BoolVar(&f.surrogate, "surrogate", false, "a quadratic model stands for part of the evaluations, where they are dear (lq-CMA-ES)")
	flags.BoolVar(&f.learnRate, "learn-rate", false, "adapt the learning rates of cma, for many optima or noise (LRA-CMA-ES); easy functions take longer")
}

// apply sets the options of a search in o.Dim variables.
func (f *searchFlags) apply(o *esadapt.Options) (err error) {
	if err := oneOf("--bounds", f.bounds, "transform", "penalty"); err != nil {
		return err
	}
	if f.bounds == "penalty" {
		o.Bounds = esadapt.BoundPenalty
	}
	o.Noise, o.Surrogate, o.Tuning.LearnRate = f.noise, f.surrogate, f.learnRate
	if f.integers == "all" {
		for i := range o.Dim {
			o.Integers = append(o.Integers, i)
		}
	} else if o.Integers, err = indices("--integers", f.integers, `, or "all"`, o.Dim); err != nil {
		return err
	}
	o.Fixed, err = indices("--fixed", f.fixed, "", o.Dim)
	return err
}

// applyConstraints sets the options that depend on bounds and constraints, which may be those of a built-in function.
func (f *searchFlags) applyConstraints(o *esadapt.Options) (err error) {
	if f.bounds == "penalty" && o.Lower == nil && o.Upper == nil {
		return usagef("--bounds penalty says how bounds are kept, but there are none; give --lower or --upper")
	}
	if f.equalities != "" && o.Constraints == 0 {
		return usagef("--equalities %s names constraints, but there are none; --constraints says how many", f.equalities)
	}
	o.Equalities, err = indices("--equalities", f.equalities, "", o.Constraints)
	return err
}

// indices reads numbers from 0 to n-1; or says what else a flag takes.
func indices(name, text, or string, n int) (list []int, err error) {
	if text == "" {
		return nil, nil
	}
	for field := range strings.SplitSeq(text, ",") {
		i, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || i < 0 || i >= n {
			return nil, usagef("%s must be indices from 0 to %d%s, not %q", name, n-1, or, field)
		}
		list = append(list, i)
	}
	return list, nil
}
