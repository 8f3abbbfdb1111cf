package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/influence"
	"github.com/spdopt/spdopt/nnopt/net"
	"github.com/spdopt/spdopt/nnopt/train"
)

// influenceFlags are what all verbs of "influence" share.
type influenceFlags struct {
	damping      float64
	scale        string
	trakDamping  float64
	measurement  string
	flavour      string
	samples      int
	queries      []int
	count        int
	fromTraining bool
	draws, batch int
	seed         uint64
	skip, reduce bool
}

func (a *app) influenceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "influence",
		Short: "Which training examples made a trained network predict what it does",
		Long: `Score every training example of a trained network, the folder of a run of "spdopt train" on images or points, by how much a measurement of a query would grow if the
example had been left out (influence functions with Kronecker-factored curvature), and check such scores by training again on random subsets. A positive score for
the loss means that the example helps the query.`,
		Example: `  spdopt influence score runs/mlp --queries 0,3,7 --svg digits.svg
  spdopt influence score runs/mlp --self --top 20
  spdopt influence lds runs/mlp --subsets 20 --repeats 2
  spdopt influence remove runs/mlp --count 2 --remove 20`,
		Args: oneVerb("verb"),
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	cmd.AddCommand(a.influenceScore(), a.influenceLDS(), a.influenceRemove())
	return cmd
}

// verb returns a command of "influence" for one run. compute returns how to report what it found.
func (f *influenceFlags) verb(a *app, use, short string, compute func(g *guard, folder string) (report func() error, err error)) *cobra.Command {
	cmd := &cobra.Command{
		Use:   use + " RUN",
		Short: short,
		Args:  oneRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			if f.damping == 0 && cmd.Flags().Changed("damping") && f.scale != string(influence.Absolute) {
				return usagef("--damping 0 needs --damping-scale %s; left out it has the default of the scale", influence.Absolute)
			}
			return curvatureError(a.reportWhenDone(func(g *guard) (func() error, error) { return compute(g, args[0]) }))
		},
	}
	flags := cmd.Flags()
	flags.Float64Var(&f.damping, "damping", 0, "added to the eigenvalues of the curvature, times --damping-scale; the default is 0.003 of weighted, 0.1 of module")
	flags.StringVar(&f.scale, "damping-scale", string(influence.Weighted), "weighted (the mean of all eigenvalues weighted by themselves), module (the mean of those of a module) or absolute (1)")
	flags.Float64Var(&f.trakDamping, "trak-damping", 1, "added to the eigenvalues of the Gram matrix of trak, times their mean")
	flags.StringVar(&f.measurement, "measurement", "loss", "what is measured of the queries: loss, margin (log-odds of the class) or output (mean square)")
	flags.StringVar(&f.flavour, "flavour", "mc", "of the curvature: type-2 (exact), mc (sampled targets) or empirical")
	flags.IntVar(&f.samples, "samples", 4, "sampled targets for each output, of mc")
	flags.IntSliceVar(&f.queries, "queries", nil, "numbers of the queries among the validation examples; default the first --count")
	flags.IntVar(&f.count, "count", 10, "queries, unless --queries names them")
	flags.BoolVar(&f.fromTraining, "training-queries", false, "queries are training examples")
	flags.IntVar(&f.draws, "draws", 0, "draws of the noise or the shifts of training over which gradients are averaged; 0 is images as they are, and 8 for noise")
	flags.IntVar(&f.batch, "batch", 100, "examples at a time")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of what is sampled")
	flags.BoolVar(&f.reduce, "reduce", false, "positions of an example collapse before the factors are formed")
	flags.BoolVar(&f.skip, "skip", false, "leave out the blocks of layers without factors")
	return cmd
}

func (f *influenceFlags) check() error {
	if err := oneOf("--measurement", f.measurement, "loss", "margin", "output"); err != nil {
		return err
	}
	if err := oneOf("--flavour", f.flavour, string(curvature.Type2), string(curvature.MonteCarlo), string(curvature.Empirical)); err != nil {
		return err
	}
	if f.batch < 1 || f.count < 1 || f.draws < 0 || f.samples < 1 {
		return usagef("--batch, --count and --samples must be positive, --draws not negative")
	}
	var scales []string
	for _, s := range influence.Scales() {
		scales = append(scales, string(s))
	}
	if f.damping < 0 {
		return usagef("--damping must not be negative, it is %v", f.damping)
	}
	return oneOf("--damping-scale", f.scale, scales...)
}

// subject is a trained run with its examples and queries.
type subject struct {
	f       *influenceFlags
	t       *train.Trained
	train   influence.Examples[float32]
	queries influence.Examples[float32]
	numbers []int // of the queries
	count   int   // training examples
}

// open loads a run and numbers its examples.
func (f *influenceFlags) open(a *app, folder string) (*subject, error) {
	t, err := a.trained(folder)
	if err != nil {
		return nil, trainError(err)
	}
	training, validation := t.Sizes()
	if training == 0 {
		return nil, usagef("%s: the examples of %s depend on each other, so that none can be left out; use a run on images or points", folder, t.Workload.Name)
	}
	s := &subject{f: f, t: t, numbers: f.queries, count: training}
	if f.fromTraining {
		validation = training
	}
	if s.numbers == nil {
		s.numbers = upTo(min(f.count, validation))
	}
	for _, q := range s.numbers {
		if q < 0 || q >= validation {
			return nil, usagef("--queries: there is no example %d; there are 0 to %d", q, validation-1)
		}
	}
	s.train = s.examples(upTo(training), false, f.draws)
	draws := 0
	if _, _, channels := t.ImageSize(); channels == 0 {
		draws = f.draws
	}
	s.queries = s.examples(s.numbers, !f.fromTraining, draws)
	return s, nil
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// noiseDraws is the number of draws for losses that are nothing without noise.
const noiseDraws = 8

// examples cuts numbered examples into batches.
func (s *subject) examples(numbers []int, valid bool, draws int) influence.Examples[float32] {
	_, _, channels := s.t.ImageSize()
	asIs := draws == 0 && channels > 0
	if draws == 0 {
		draws = 1
		if channels == 0 {
			draws = noiseDraws
		}
	}
	return influence.Examples[float32]{
		Count: (len(numbers) + s.f.batch - 1) / s.f.batch, Draws: draws,
		Batch: func(i, draw int) *net.Batch[float32] {
			part := numbers[i*s.f.batch : min((i+1)*s.f.batch, len(numbers))]
			if asIs {
				draw = train.AsIs
			}
			get := s.t.Training
			if valid {
				get = s.t.Validating
			}
			b, err := get(part, draw)
			if err != nil {
				panic(err) // the numbers were checked
			}
			return b
		},
	}
}

func (s *subject) measure() influence.Measurement[float32] {
	switch s.f.measurement {
	case "margin":
		return influence.Margin[float32]{}
	case "output":
		return influence.SquaredOutput[float32]{}
	}
	return &influence.LossMeasurement[float32]{}
}

func (s *subject) asked() influence.Side[float32] {
	return influence.Side[float32]{Examples: s.queries, Measurement: s.measure()}
}

func (s *subject) trained() influence.Side[float32] {
	return influence.Side[float32]{Examples: s.train}
}

// estimator approximates the curvature, or reads it from the folder of a cache.
func (s *subject) estimator(g *guard, kind influence.Preconditioner, cache string) (*influence.Estimator[float32], error) {
	f := s.f
	o := influence.Options{Preconditioner: kind, Damping: influence.Damping{Scale: influence.Scale(f.scale), Value: f.damping}}
	o.Curvature = curvature.Settings{Flavour: curvature.Flavour(f.flavour), Seed: f.seed, Skip: f.skip}
	if o.Curvature.Flavour == curvature.MonteCarlo {
		o.Curvature.Samples = f.samples
	}
	if f.reduce {
		o.Curvature.Sharing = curvature.Reduce
	}
	if cache == "" {
		return influence.New(s.t.Net, s.train, o)
	}
	name := fmt.Sprintf("%s-%s-%d-%d-%v-%v-%v-%d.safetensors", kind, f.flavour, f.samples, f.seed, f.scale, f.damping, f.reduce, f.draws)
	path := filepath.Join(cache, name)
	if file, err := os.Open(path); err == nil {
		defer file.Close()
		e, err := influence.Read(s.t.Net, file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return e, nil
	}
	e, err := influence.New(s.t.Net, s.train, o)
	if err != nil {
		return nil, err
	}
	g.touch(func() { err = keepEstimator(e, cache, path) })
	return e, err
}

func keepEstimator(e *influence.Estimator[float32], folder, path string) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return fmt.Errorf("%s: cannot make the folder: %w", folder, err)
	}
	return writeWith(path, e.Write)
}

// scores returns those of a method: a preconditioner, or trak.
func (s *subject) scores(method string, features int) (*influence.Scores, error) {
	if method == "trak" {
		o := influence.TRAKOptions[float32]{Features: features, Seed: s.f.seed, Damping: s.f.trakDamping, Skip: s.f.skip}
		if _, ok := s.t.Net.Loss.(*net.CrossEntropy[float32]); !ok {
			o.Output = &influence.LossMeasurement[float32]{}
		}
		return influence.TRAK(s.t.Net, s.asked(), s.trained(), o)
	}
	e, err := s.estimator(nil, influence.Preconditioner(method), "")
	if err != nil {
		return nil, err
	}
	return e.Pairwise(s.asked(), s.trained(), influence.ScoreOptions{})
}

// retrain trains on a subset with a seed and measures the queries.
func (s *subject) retrain(subset []int, seed uint64) ([]float64, error) {
	t, err := s.t.Retrained(subset, seed)
	if err != nil {
		return nil, trainError(err)
	}
	return influence.Values(t.Net, s.asked())
}

// influenceHead is what every JSON object of "influence" begins with.
type influenceHead struct {
	Schema      int    `json:"schema"`
	Run         string `json:"run"`
	Workload    string `json:"workload"`
	Measurement string `json:"measurement"`
	Examples    int    `json:"examples"`
	Queries     []int  `json:"queries"`
}

func (s *subject) head(folder string) influenceHead {
	return influenceHead{schema, folder, s.t.Workload.Name, s.f.measurement, s.count, s.numbers}
}

func (a *app) printInfluenceHead(h *influenceHead, more ...[2]string) {
	of := fmt.Sprintf("%d queries", len(h.Queries))
	if len(h.Queries) == 0 {
		of = "the training examples themselves"
	}
	a.pairs(append([][2]string{
		{"run", fmt.Sprintf("%s (%s, %d training examples)", h.Run, h.Workload, h.Examples)},
		{"measurement", h.Measurement + " of " + of},
	}, more...)...)
}
