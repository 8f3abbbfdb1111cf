package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/laplace"
	"github.com/spdopt/spdopt/nnopt/train"
)

// laplaceFlags are those of "laplace".
type laplaceFlags struct {
	laplace.Options
	structure, flavour, link, tune, svg string
	prior                               []float64
	batches                             int
	reduce, layerwise, noScore          bool
	steps                               int
	grid                                laplace.GridOptions
}

func (a *app) laplaceCommand() *cobra.Command {
	f := &laplaceFlags{}
	cmd := &cobra.Command{
		Use:   "laplace RUN",
		Short: "Laplace posterior of a trained network: evidence, prior, calibrated predictions",
		Long: `Fit a normal posterior around the parameters of a trained network, the folder of a run of "spdopt train", on batches of its training data: the logarithm of the marginal
likelihood with its parts, the prior precision tuned by it or on the validation data, and how well the network predicts the validation data with and without the
uncertainty of its parameters. --structure is kronecker, diagonal or full (few parameters: with --last-layer or --blocks).`,
		Example: `  spdopt laplace runs/mlp
  spdopt laplace runs/mlp --layerwise --svg evidence.svg
  spdopt laplace runs/mlp --tune grid --link bridge
  spdopt laplace runs/cnn --last-layer --structure full --batches 10 --json`,
		Args: oneRun,
		RunE: func(cmd *cobra.Command, args []string) error { return a.laplace(cmd, f, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.structure, "structure", "kronecker", "kronecker, diagonal or full")
	flags.BoolVar(&f.LastLayer, "last-layer", false, "only the parameters of the last layer are uncertain")
	flags.StringSliceVar(&f.Blocks, "blocks", nil, "only the parameters of these blocks are uncertain")
	flags.IntVar(&f.batches, "batches", 0, "batches of the training data; 0 is one pass over them")
	flags.StringVar(&f.flavour, "flavour", "type-2", "of the curvature: type-2 (exact), mc (sampled targets) or empirical")
	flags.IntVar(&f.Curvature.Samples, "samples", 1, "sampled targets per output, of mc")
	flags.Uint64Var(&f.Curvature.Seed, "seed", 1, "seed of what is sampled")
	flags.BoolVar(&f.reduce, "reduce", false, "of kronecker: positions of an example collapse before the factors are formed")
	flags.BoolVar(&f.Curvature.Skip, "skip", false, "of kronecker: layers without factors are certain")
	flags.BoolVar(&f.Curvature.SeparateBias, "separate-bias", false, "a bias has a block and a prior of its own")
	flags.BoolVar(&f.Corrected, "corrected", false, "of kronecker: eigenvalues of EKFAC")
	flags.BoolVar(&f.Damped, "damped", false, "of kronecker: the prior is added to the factors")
	flags.Float64SliceVar(&f.prior, "prior", nil, "precision of the prior, where tuning begins: one number, or one for each layer; default 1")
	flags.BoolVar(&f.layerwise, "layerwise", false, "a prior precision for each layer")
	flags.Float64Var(&f.Noise, "noise", 1, "standard deviation of the targets (regression)")
	flags.Float64Var(&f.Temperature, "temperature", 1, "divides the log-likelihood")
	flags.StringVar(&f.tune, "tune", "evidence", "the prior, and the noise of regression, by evidence; the prior by grid (validation loss); or none")
	flags.IntVar(&f.steps, "steps", 100, "steps of Adam, of --tune evidence")
	flags.Float64Var(&f.grid.From, "from", 1e-4, "smallest prior precision of the grid and the picture")
	flags.Float64Var(&f.grid.To, "to", 1e4, "largest prior precision of the grid and the picture")
	flags.IntVar(&f.grid.Points, "points", 41, "prior precisions of the grid and the picture")
	flags.StringVar(&f.link, "link", "probit", "how outputs with variances become probabilities: probit, bridge, bridge-norm or mc")
	flags.BoolVar(&f.noScore, "no-score", false, "do not predict the validation data")
	pictureFlag(cmd, &f.svg, "the evidence over the prior precision")
	return cmd
}

// options checks the flags that need no network.
func (f *laplaceFlags) options() error {
	if err := oneOf("--tune", f.tune, "evidence", "grid", "none"); err != nil {
		return err
	}
	if err := oneOf("--link", f.link, "probit", "bridge", "bridge-norm", "mc"); err != nil {
		return err
	}
	if err := oneOf("--flavour", f.flavour, string(curvature.Type2), string(curvature.MonteCarlo), string(curvature.Empirical)); err != nil {
		return err
	}
	if f.batches < 0 || f.steps < 1 {
		return usagef("--batches must not be negative, --steps must be positive")
	}
	if f.tune == "grid" && (f.layerwise || len(f.prior) > 1) {
		return usagef("--tune grid has one prior precision for all layers; leave out --layerwise")
	}
	if !(f.Noise > 0) || !(f.Temperature > 0) {
		return usagef("--noise and --temperature must be positive")
	}
	f.Structure, f.Curvature.Flavour, f.grid.Link = laplace.Structure(f.structure), curvature.Flavour(f.flavour), laplace.Link(f.link)
	f.grid.Seed = f.Curvature.Seed
	if f.reduce {
		f.Curvature.Sharing = curvature.Reduce
	}
	f.Prior = f.prior
	if err := f.grid.Validate(); err != nil {
		return err
	}
	return f.Options.Validate()
}

func (a *app) laplace(cmd *cobra.Command, f *laplaceFlags, folder string) error {
	if err := f.options(); err != nil {
		return laplaceError(err)
	}
	t, err := a.trained(folder)
	if err != nil {
		return trainError(err)
	}
	count := f.batches
	if count == 0 {
		count = t.PerEpoch
	}
	var out *laplaceOutput
	err = unlessInterrupted(a.ctx, func(*guard) error {
		p, err := laplace.Fit(t.Net, t.Batches(count), f.Options)
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("noise") && p.Likelihood() != laplace.Regression {
			return usagef("--noise is that of regression; the targets of %s are classes", t.Workload.Name)
		}
		out, err = f.compute(p, t)
		return err
	})
	if err != nil {
		return laplaceError(err)
	}
	out.Run = folder
	if f.svg != "" {
		if err := writeWhole(f.svg, []byte(out.curves(f.tune == "grid").SVG())); err != nil {
			return err
		}
		out.Picture = f.svg
	}
	if a.json {
		return a.printJSON(out)
	}
	a.printLaplace(out)
	return nil
}

// compute tunes the prior, and measures.
func (f *laplaceFlags) compute(p *laplace.Posterior[float32], t *train.Trained) (*laplaceOutput, error) {
	out := &laplaceOutput{
		Schema: schema, Workload: t.Workload.Name, Structure: f.structure, Parameters: p.Dim(), Examples: p.Examples(), Likelihood: string(p.Likelihood()),
		Tune: f.tune, Groups: p.Groups(), Before: num(p.Evidence().Value),
	}
	if err := f.widen(p); err != nil {
		return nil, err
	}
	switch f.tune {
	case "grid":
		points, err := p.TuneGrid(t.Validation(), f.grid)
		if err != nil {
			return nil, err
		}
		out.Curve = points
	case "evidence":
		if _, err := p.TuneEvidence(laplace.TuneOptions{Steps: f.steps, Noise: p.Likelihood() == laplace.Regression}); err != nil {
			return nil, err
		}
	}
	if out.Curve == nil {
		for _, prior := range f.grid.Grid() {
			h := p.Hyper()
			h.Prior = []float64{prior}
			e, err := p.EvidenceAt(h)
			if err != nil {
				return nil, err
			}
			out.Curve = append(out.Curve, laplace.GridPoint{Prior: prior, Evidence: e.Value})
		}
	}
	out.evidence(p)
	if f.noScore {
		return out, nil
	}
	return out, out.score(p, t, f.grid.Scoring)
}

// widen gives each layer a prior precision of its own.
func (f *laplaceFlags) widen(p *laplace.Posterior[float32]) error {
	h := p.Hyper()
	if !f.layerwise || len(h.Prior) > 1 {
		return nil
	}
	for len(h.Prior) < len(p.Groups()) {
		h.Prior = append(h.Prior, h.Prior[0])
	}
	return p.SetHyper(h)
}

// laplaceError turns mistakes in options into errors of usage.
func laplaceError(err error) error {
	var option *laplace.OptionError
	if errors.As(err, &option) {
		if slices.Contains([]string{"structure", "damped", "corrected", "flavour"}, option.Option) {
			return usagef("--%s %s", option.Option, option.What)
		}
		return usagef("%s", strings.Replace(err.Error(), "laplace: ", "", 1))
	}
	return curvatureError(err)
}

func short(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// printLaplace prints the results for reading.
func (a *app) printLaplace(o *laplaceOutput) {
	prior := short(float64(o.Prior[0]))
	if len(o.Prior) == len(o.Groups) && len(o.Prior) > 1 {
		var parts []string
		for k, v := range o.Prior {
			parts = append(parts, o.Groups[k]+" "+short(float64(v)))
		}
		prior = strings.Join(parts, ", ")
	}
	lines := [][2]string{
		{"run", fmt.Sprintf("%s (%s)", o.Run, o.Workload)},
		{"posterior", fmt.Sprintf("%s, %d parameters, %d examples, %s", o.Structure, o.Parameters, o.Examples, o.Likelihood)},
		{"prior precision", fmt.Sprintf("%s (%s)", prior, map[string]string{"evidence": "by evidence", "grid": "by validation loss", "none": "not tuned"}[o.Tune])},
		{"log evidence", fmt.Sprintf("%.6g (before tuning %.6g)", float64(o.Evidence), float64(o.Before))},
		{"log-likelihood", fmt.Sprintf("%.6g", float64(o.LogLikelihood))},
		{"effective", fmt.Sprintf("%.1f parameters", float64(o.Effective))},
	}
	if o.Likelihood == string(laplace.Regression) {
		lines = append(lines, [2]string{"noise", short(float64(o.Noise))})
	}
	for _, s := range o.Scores {
		text := fmt.Sprintf("loss %.4f", float64(s.Loss))
		if o.Likelihood == string(laplace.Regression) {
			text += fmt.Sprintf("  root mean square %.4g", float64(s.RMSE))
		} else {
			text += fmt.Sprintf("  accuracy %.4f", float64(s.Accuracy))
		}
		lines = append(lines, [2]string{"validation, " + s.Link, text})
	}
	a.pairs(append(lines, [2]string{"picture", o.Picture})...)
}
