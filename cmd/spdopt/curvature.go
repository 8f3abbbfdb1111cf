package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/train"
)

// curvatureFlags are what all verbs of "curvature" share.
type curvatureFlags struct {
	operator string
	batches  int
	samples  int
	seed     uint64
	training bool
	reduce   bool
	skip     bool
}

// curvatureOperators are the names of --operator.
var curvatureOperators = []string{"hessian", "ggn", "mc", "fisher", "kfac", "ekfac"}

func (a *app) curvatureCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "curvature",
		Short: "Curvature of a trained network: traces, spectra, eigenpairs, Kronecker factors",
		Long: `Compute with the curvature of the loss of a trained network, the folder of a run of "spdopt train", on batches of its training data. --operator is
hessian, ggn (Gauss-Newton), mc (Gauss-Newton from sampled targets), fisher (empirical), kfac or ekfac (Kronecker-factored Gauss-Newton from sampled
targets; blocks of layers without factors are an error unless --skip leaves them out).`,
		Example: `  spdopt curvature trace runs/mlp --operator ggn --products 60
  spdopt curvature spectrum runs/mlp --operator hessian --svg spectrum.svg
  spdopt curvature topk runs/mlp --k 5
  spdopt curvature factors runs/mlp --svg factors.svg
  spdopt curvature check runs/mlp`,
		Args: oneVerb("quantity"),
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	cmd.AddCommand(a.curvatureTrace(), a.curvatureSpectrum(), a.curvatureTop(), a.curvatureFactors(), a.curvatureCheck())
	return cmd
}

// verb returns a command of "curvature" for one run. compute returns how to report what it found.
func (f *curvatureFlags) verb(a *app, use, short string, compute func(folder string) (report func() error, err error)) *cobra.Command {
	cmd := &cobra.Command{
		Use:   use + " RUN",
		Short: short,
		Args:  oneRun,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.reportWhenDone(func(*guard) (func() error, error) { return compute(args[0]) })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.operator, "operator", "ggn", "which curvature: "+strings.Join(curvatureOperators, ", "))
	flags.IntVar(&f.batches, "batches", 4, "batches of the training data; 0 is one pass over them")
	flags.IntVar(&f.samples, "samples", 1, "sampled targets per output, of mc, kfac and ekfac")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of the probes and the sampled targets")
	flags.BoolVar(&f.training, "training", false, "differentiate as in training: dropout on, batch normalisation with the batch")
	flags.BoolVar(&f.reduce, "reduce", false, "of kfac and ekfac: positions of an example collapse before the factors are formed")
	flags.BoolVar(&f.skip, "skip", false, "of kfac and ekfac: leave out the blocks of layers without factors")
	return cmd
}

// load returns the run and the risk of its network.
func (f *curvatureFlags) load(a *app, folder string) (*train.Trained, *curvature.Risk[float32], error) {
	if err := oneOf("--operator", f.operator, curvatureOperators...); err != nil {
		return nil, nil, err
	}
	if f.batches < 0 || f.samples < 1 {
		return nil, nil, usagef("--batches must not be negative, --samples must be positive")
	}
	t, err := a.trained(folder)
	if err != nil {
		return nil, nil, trainError(err)
	}
	count := f.batches
	if count == 0 {
		count = t.PerEpoch
	}
	r, err := curvature.NewRisk(t.Net, t.Batches(count), curvature.RiskOptions{Training: f.training})
	return t, r, err
}

// settings are those of the Kronecker-factored operators.
func (f *curvatureFlags) settings() curvature.Settings {
	s := curvature.Settings{Flavour: curvature.MonteCarlo, Samples: f.samples, Seed: f.seed, Skip: f.skip}
	if f.reduce {
		s.Sharing = curvature.Reduce
	}
	return s
}

// make returns the operator that the flags name.
func (f *curvatureFlags) make(r *curvature.Risk[float32]) (curvature.Operator, error) {
	switch f.operator {
	case "hessian":
		return curvature.NewHessian(r), nil
	case "mc":
		return curvature.NewMonteCarloGGN(r, f.samples, f.seed)
	case "fisher":
		return curvature.NewEmpiricalFisher(r), nil
	case "kfac":
		return curvature.CollectKFAC(r, f.settings())
	case "ekfac":
		return curvature.CollectEKFAC(r, f.settings())
	}
	return curvature.NewGGN(r), nil
}

// curvatureHead is what every JSON object of "curvature" begins with.
type curvatureHead struct {
	Schema     int    `json:"schema"`
	Run        string `json:"run"`
	Workload   string `json:"workload"`
	Operator   string `json:"operator"`
	Parameters int    `json:"parameters"`
	Examples   int    `json:"examples"`
	Loss       num    `json:"loss"`
}

func (f *curvatureFlags) head(folder string, t *train.Trained, r *curvature.Risk[float32]) curvatureHead {
	return curvatureHead{schema, folder, t.Workload.Name, f.operator, r.Dim(), r.Examples(), num(r.Loss())}
}

// printHead prints the first lines for reading.
func (a *app) printHead(h *curvatureHead, more ...[2]string) {
	a.pairs(append([][2]string{
		{"run", fmt.Sprintf("%s (%s, %d parameters)", h.Run, h.Workload, h.Parameters)},
		{"operator", fmt.Sprintf("%s on %d examples, loss %.6g", h.Operator, h.Examples, float64(h.Loss))},
	}, more...)...)
}

// curvatureError turns layers without factors into an error of usage.
func curvatureError(err error) error {
	var support *curvature.SupportError
	if errors.As(err, &support) {
		return usagef("no Kronecker factors for the blocks %s; add --skip to leave them out", strings.Join(support.Blocks, ", "))
	}
	return err
}
