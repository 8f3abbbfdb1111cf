package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem"
	"github.com/spdopt/spdopt/manifold/solve"
)

type solveFlags struct {
	fileFlags
	parameterFlags
	method, metric, weights, start, normalize, as string
	device, precision                             string
	tol                                           float64
	kappa, maxIterations                          int
	limit                                         seconds
	center, requireConverged                      bool
	seed                                          uint64
	keep                                          keepFlags
	kept                                          string // directory of the run
}

// solveOutput is the JSON object of "solve".
type solveOutput struct {
	Schema           int             `json:"schema"`
	Problem          string          `json:"problem"`
	Method           string          `json:"method"`
	N                int             `json:"n"`
	Count            int             `json:"count"`
	Converged        bool            `json:"converged"`
	Reason           string          `json:"reason"`
	Advice           string          `json:"advice,omitempty"`
	Iterations       int             `json:"iterations"`
	Evaluations      int             `json:"evaluations"`
	HessianProducts  int             `json:"hessian_products"`
	Objective        num             `json:"objective"`
	GradientNorm     num             `json:"gradient_norm"`
	RelativeGradient num             `json:"relative_gradient"`
	Certificate      certificate     `json:"certificate"`
	Seconds          num             `json:"seconds"`
	Seed             *uint64         `json:"seed,omitempty"`
	Out              string          `json:"out,omitempty"`
	Run              string          `json:"run,omitempty"`
	Solution         json.RawMessage `json:"solution,omitempty"`
	Parts            map[string]any  `json:"parts,omitempty"`
}

type certificate struct {
	Kind  string `json:"kind"`
	Value num    `json:"value"`
	Bound bool   `json:"bound"`
}

func (a *app) solveCommand() *cobra.Command {
	f := &solveFlags{}
	cmd := &cobra.Command{
		Use:   "solve PROBLEM --data FILES",
		Short: "Solve a named problem over SPD matrices",
		Long: `Solve a named problem over SPD matrices: ` + strings.Join(problemNames(), ", ") + ` (spdopt list problems says more).

Matrices are an n x n array, an m x n x n stack, or several files; samples are an N x n array, one sample a row, or several, one below the other. Where
a problem takes either, a square array counts as a matrix unless --as samples is given. What a problem finds besides its solution (weights, means, labels, a duality gap)
is printed, is "parts" in the JSON, and goes to a .npz or .safetensors file with --parts.

On a device (--device cuda) a problem is solved in matrix products by the method "products"; spdopt list problems shows which problems have the flag.`,
		Example: `  spdopt solve mean --data covariances.npy --out mean.npy
  spdopt solve mean --data a.mtx b.mtx --weights 2,1 --json
  spdopt solve tyler --data samples.csv --center --tol 1e-10 --require-converged
  spdopt solve nearest-correlation --data c.csv --floor 1e-6 --out x.csv
  spdopt solve glasso --data samples.npy --center --rho 0.1 --json
  spdopt solve classify --data covariances.npy --labels labels.csv --parts found.npz`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("solve: name a problem: %s", strings.Join(problemNames(), ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.solve(cmd, f, args[0], args[1:]) },
	}
	f.fileFlags.register(cmd, "data", "matrices or samples")
	f.parameterFlags.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.parts, "parts", "", "write the solution and what was found besides to this .npz or .safetensors file")
	flags.StringVar(&f.method, "method", "", "method (spdopt list problems); the default is the problem's own")
	flags.StringVar(&f.metric, "metric", "", "geometry (spdopt list problems): for means, medians and sets of matrices that of the distances, otherwise that of the steps")
	flags.Float64Var(&f.tol, "tol", 1e-8, "relative gradient norm at which the run has converged; where rounding is larger, its level counts")
	flags.IntVar(&f.maxIterations, "max-iterations", 1000, "stop after this many iterations")
	maxSecondsFlag(cmd, &f.limit)
	flags.StringVar(&f.weights, "weights", "", "weights of the matrices: 1,2,1 or a file (mean, median, barycenter, tangent)")
	flags.StringVar(&f.start, "start", "", "first point: a file with an SPD matrix, or random; the default is the problem's own")
	flags.Uint64Var(&f.seed, "seed", 0, "seed of --start random (default: a random one, which is printed), and of gmm, cluster, itml and cma (default: 0)")
	flags.IntVar(&f.kappa, "kappa", 1, "metric tr(S^-1 X S^-1 Y)/kappa: 1 affine-invariant, 2 Fisher-Rao")
	flags.StringVar(&f.normalize, "normalize", "trace", "what fixes the scale: trace (= n) or det (= 1) (tyler, kron-mle)")
	flags.StringVar(&f.as, "as", "auto", "what the data is: auto, matrix or samples (logdet, glasso)")
	flags.StringVar(&f.device, "device", "", "where products are computed: cpu, cuda, cuda:1; the default is cpu (spdopt list problems says which problems can)")
	flags.StringVar(&f.precision, "precision", "double", "on a device: double, or single, with --tol 1e-4 unless it is given")
	flags.BoolVar(&f.center, "center", false, "subtract the mean of the samples first")
	flags.BoolVar(&f.requireConverged, "require-converged", false, "exit with code 4 if the run did not converge")
	f.keep.register(cmd, "run", `directory to keep the run in, so that it can be resumed; "auto" is one below --runs; the default is none`)
	return cmd
}

// methodNames are the methods of a problem as the command line knows them.
func methodNames(p problem.Problem) []string {
	names := p.Methods()
	if p.TakesSampler() {
		names = append(names, samplerMethod)
	}
	return names
}

func problemNames() (names []string) {
	for _, p := range problem.List() {
		names = append(names, p.Name)
	}
	return names
}

func (a *app) solve(cmd *cobra.Command, f *solveFlags, name string, more []string) (err error) {
	p, err := problem.ByName(name)
	if err != nil {
		return unknown("problem", name, "", problemNames(), "spdopt list problems")
	}
	o, err := f.options(p)
	if err == nil {
		err = f.place(cmd, p, o)
	}
	if err != nil {
		return err
	}
	if err := applicable(cmd, p); err != nil {
		return err
	}
	src, err := f.source(a, more)
	if err != nil {
		return err
	}
	files, err := f.openFiles(a)
	if err != nil {
		return err
	}
	defer files.abort()
	var data problem.Data
	var n int
	if err := beside(a.ctx, func(*guard) (err error) { data, n, err = f.read(p, src); return err }); err != nil {
		return err
	}
	f.noteSymmetric(a, data)
	seed, err := f.firstPoint(cmd, a, o, n)
	if err != nil {
		return err
	}
	f.debug(a, p, data, n)
	k, err := a.keepSolve(cmd, f, p, o, more)
	if err != nil {
		return err
	}
	defer k.end(a.ctx, &err)
	f.kept = k.dir()
	progress := a.newProgress()
	var r *problem.Result
	err = unlessInterrupted(a.ctx, func(g *guard) (err error) {
		k.attach(o, g, progress)
		r, err = p.Solve(data, o)
		return cmp.Or(err, k.failed())
	})
	progress.clear()
	if err != nil {
		return withFile(err, src)
	}
	f.debugMethod(a, r)
	if err := files.write(r); err != nil {
		return err
	}
	if err := k.finishSolve(newSolveOutput(f, r, seed)); err != nil {
		return err
	}
	return a.reportSolve(f, r, dataWord(data), seed)
}

// debug tells what is solved, from which point. The method is told with the result, because the data may decide it.
func (f *solveFlags) debug(a *app, p problem.Problem, d problem.Data, n int) {
	a.debug("%s: %s, n = %d, start: %s, tolerance %g", p.Name, dataWord(d), n, cmp.Or(f.start, "the problem's own"), f.tol)
}

// debugMethod tells by which method it was solved, and whose choice that was.
func (f *solveFlags) debugMethod(a *app, r *problem.Result) {
	choice := "asked for"
	if f.method == "" {
		choice = "the problem's own choice"
	}
	a.debug("method %s, %s: %s, %.3f s", r.Method, choice, counted(r.Iterations, "iteration"), r.Seconds)
}

// solveFiles are the files of --out and --parts; nil means that none was asked for.
type solveFiles struct{ solution, parts *matio.Writer }

// openFiles opens both, so that they are known to be writable before anything is computed.
func (f *solveFlags) openFiles(a *app) (files solveFiles, err error) {
	if err := apart("--out", f.out, "--parts", f.parts); err != nil {
		return files, err
	}
	if files.solution, err = f.create(a, false); err != nil {
		return files, err
	}
	if files.parts, err = f.createParts(); err != nil {
		files.abort()
	}
	return files, err
}

func (s solveFiles) abort() {
	for _, w := range []*matio.Writer{s.solution, s.parts} {
		if w != nil {
			w.Abort()
		}
	}
}

func (s solveFiles) write(r *problem.Result) error {
	if s.solution != nil {
		if err := s.solution.Add("", full(r.Solution)); err != nil {
			return err
		}
		if err := s.solution.Commit(); err != nil {
			return err
		}
	}
	if s.parts == nil {
		return nil
	}
	return writeParts(s.parts, r)
}

// options checks the flags that need no data.
func (f *solveFlags) options(p problem.Problem) (*problem.Options, error) {
	known := methodNames(p)
	if f.method != "" && !slices.Contains(known, f.method) {
		return nil, unknown("method", f.method, "solve "+p.Name, known, "spdopt list problems")
	}
	if metrics := p.Metrics(); f.metric != "" && !slices.Contains(metrics, f.metric) {
		if metrics == nil {
			return nil, noEffect("metric", p)
		}
		return nil, unknown("metric", f.metric, "solve "+p.Name, metrics, "spdopt list problems")
	}
	if !(f.tol > 0) || math.IsInf(f.tol, 1) {
		return nil, usagef("--tol must be a positive number, not %v", f.tol)
	}
	if f.tol < 1e-100 || f.tol >= 1 {
		return nil, usagef("--tol must be below 1 and at least 1e-100, not %v", f.tol)
	}
	if f.maxIterations < 1 {
		return nil, usagef("--max-iterations must be at least 1, not %d", f.maxIterations)
	}
	if err := f.limit.check(); err != nil {
		return nil, err
	}
	if f.kappa != 1 && f.kappa != 2 {
		return nil, usagef("--kappa must be 1 or 2, not %d", f.kappa)
	}
	if err := oneOf("--normalize", f.normalize, "trace", "det"); err != nil {
		return nil, err
	}
	parameters, err := f.parameterFlags.parameters(f.seed)
	if err != nil {
		return nil, err
	}
	if power := f.power; power != 0 && f.metric != "power-euclidean" && f.metric != "power" {
		return nil, usagef("--power belongs to --metric power or power-euclidean")
	} else if f.metric == "power" && math.Abs(power) > 1 {
		return nil, usagef("--power of the power mean must be from -1 to 1, not %v", power)
	} else if err := (manifold.PowerOptions{Alpha: power}).Validate(); f.metric == "power-euclidean" && err != nil {
		return nil, usagef("--power of the metric power-euclidean must be from 1e-3 to 2 in magnitude, not %v; the limit 0 is log-euclidean", power)
	}
	if err := oneOf("--as", f.as, "auto", "matrix", "samples"); err != nil {
		return nil, err
	}
	o := &problem.Options{Method: f.method, Metric: f.metric, Parameters: parameters}
	if f.metric == "" {
		o.Kappa = f.kappa
	} else if f.kappa != 1 {
		return nil, usagef("--kappa and --metric both name a metric; give one of them")
	}
	if f.normalize == "det" {
		o.Normalization = problem.DetOne
	}
	o.Solver = solve.Options{Tolerance: f.tol, MaxIterations: f.maxIterations, MaxTime: f.limit.duration()}
	if f.method == samplerMethod {
		o.Solver.Sampler = newSampler(f.seed)
	}
	return o, nil
}

// place sets where and how the problem is computed, and refuses what cannot be done there.
func (f *solveFlags) place(cmd *cobra.Command, p problem.Problem, o *problem.Options) error {
	if err := oneOf("--precision", f.precision, "double", "single"); err != nil {
		return err
	}
	o.Device, o.Single = f.device, f.precision == "single"
	if f.device == "" || f.device == "cpu" {
		if o.Single {
			return usagef("--precision single needs a --device")
		}
		return nil
	}
	if o.Single && !cmd.Flags().Changed("tol") {
		o.Solver.Tolerance = 0
	}
	if f.start != "" {
		return usagef("--start has no effect on a device")
	}
	if err := p.CheckDevice(o); err != nil {
		return err
	}
	_, err := engine.Open[float64](f.device)
	return err
}

// applicable refuses flags that would have no effect on the problem.
func applicable(cmd *cobra.Command, p problem.Problem) error {
	for flag, needs := range map[string]problem.Takes{
		"jitter": problem.Matrices, "nearest-spd": problem.Matrices, "weights": problem.Weights, "center": problem.Samples, "labels": problem.Labels,
	} {
		repair := flag == "jitter" || flag == "nearest-spd"
		if cmd.Flags().Changed(flag) && (p.Takes&needs == 0 || repair && p.Takes&problem.Indefinite != 0) {
			return noEffect(flag, p)
		}
	}
	for _, flag := range parameterNames {
		if cmd.Flags().Changed(flag) && !slices.Contains(p.Uses, flag) {
			return noEffect(flag, p)
		}
	}
	if as, both := cmd.Flag("as").Value.String(), problem.Matrices|problem.Samples; p.Takes&both != both {
		if as == "matrix" && p.Takes&problem.Matrices == 0 {
			return usagef("--as matrix: solve %s takes samples only (spdopt list problems)", p.Name)
		}
		if as == "samples" && p.Takes&problem.Samples == 0 {
			return usagef("--as samples: solve %s takes matrices only (spdopt list problems)", p.Name)
		}
	}
	if f := cmd.Flags(); f.Changed("start") && !p.TakesStart() {
		return noEffect("start", p)
	}
	return nil
}

func noEffect(flag string, p problem.Problem) error {
	return usagef("--%s has no effect on solve %s (spdopt list problems)", flag, p.Name)
}

// read loads the data that the problem takes; n is the size of its solution. Where both matrices and samples will do, a square array is a
// matrix.
func (f *solveFlags) read(p problem.Problem, src matio.Source) (data problem.Data, n int, err error) {
	kind := matio.SPD
	if p.Takes&problem.Indefinite != 0 {
		kind = matio.Symmetric
	}
	check, err := f.check(kind)
	if err != nil {
		return data, 0, err
	}
	check.Missing = p.Takes&problem.Missing != 0
	src.Missing = check.Missing
	all, many, err := matio.Load(src)
	if err != nil {
		return data, 0, err
	}
	if p.Takes&problem.Labels != 0 {
		if data.Labels, err = f.readLabels(src); err != nil {
			return data, 0, err
		}
	}
	if f.takesSamples(p, all) {
		n, err = f.samples(p, all, many, &data)
		return data, n, err
	}
	if f.center {
		return data, 0, usagef("--center applies to samples, but %s holds a matrix (use --as samples)", all[0].File)
	}
	if err := check.ApplyAll(all); err != nil {
		return data, 0, err
	}
	data.Matrices = symmetric(all)
	data.Weights, err = f.readWeights(src)
	return data, all[0].Rows, err
}

func (f *solveFlags) readWeights(src matio.Source) ([]float64, error) {
	if f.weights == "" {
		return nil, nil
	}
	if w, ok := parseNumbers(f.weights); ok {
		return w, nil
	}
	return readNumbers(f.weights, src)
}

// firstPoint sets o.Start as --start says, and returns the seed if one was used.
func (f *solveFlags) firstPoint(cmd *cobra.Command, a *app, o *problem.Options, n int) (*uint64, error) {
	switch f.start {
	case "":
		return nil, nil
	case "random":
		a.drawSeed(cmd)
		start, err := randomPoint(n, f.seed)
		o.Start = start
		return &f.seed, err
	}
	all, many, err := a.readStart(f.start)
	if err != nil {
		return nil, err
	}
	if many {
		return nil, &matio.Error{File: f.start, What: "holds more than one matrix", Try: "--start takes one"}
	}
	o.Start = symmetric(all)[0]
	return nil, nil
}

// readStart reads the file of --start.
func (a *app) readStart(path string) (all []matio.Matrix, many bool, err error) {
	err = beside(a.ctx, func(*guard) (err error) {
		all, many, err = matio.ReadAll(a.source(path), matio.Check{Kind: matio.SPD})
		return err
	})
	return all, many, err
}

func randomPoint(n int, seed uint64) (mat.Symmetric, error) {
	m, err := manifold.NewAffine(n, manifold.AffineOptions{})
	if err != nil {
		return nil, err
	}
	return m.RandomPoint(seeded(seed)).(*manifold.Frame).Sym(), nil
}

// withFile names the files in an error about data, unless it is about something else that was given.
func withFile(err error, src matio.Source) error {
	var data *problem.DataError
	if !errors.As(err, &data) || data.Where == "weights" || data.Where == "start" || data.Where == "labels" {
		return err
	}
	data.Remedy = strings.Replace(data.Remedy, "(Rows)", "(--rows)", 1)
	return fmt.Errorf("%s: %w", strings.Join(src.Paths, ", "), err)
}

// dataWord says in a word what the data are.
func dataWord(d problem.Data) string {
	switch {
	case d.Samples != nil:
		return "samples"
	case len(d.Matrices) == 1:
		return "matrix"
	}
	return "matrices"
}

// reportSolve prints the result, and returns an error if it misses what was asked for.
func (a *app) reportSolve(f *solveFlags, r *problem.Result, data string, seed *uint64) error {
	if a.json {
		if err := a.printJSON(newSolveOutput(f, r, seed)); err != nil {
			return err
		}
	} else if f.out != "-" {
		a.printSolve(f, r, data, seed)
	}
	if r.Converged {
		return nil
	}
	text := "did not converge: " + r.Reason
	if r.Advice != "" {
		text += "; " + r.Advice
	}
	if f.requireConverged {
		return &unmetError{text}
	}
	a.note("%s", text)
	return nil
}

func newSolveOutput(f *solveFlags, r *problem.Result, seed *uint64) *solveOutput {
	out := &solveOutput{
		Schema: schema, Problem: r.Problem, Method: r.Method, N: r.N, Count: r.Count, Converged: r.Converged, Reason: r.Reason,
		Advice: r.Advice, Iterations: r.Iterations, Evaluations: r.Evaluations, HessianProducts: r.HessianProducts,
		Objective: num(r.Objective), GradientNorm: num(r.GradientNorm), RelativeGradient: num(r.RelativeGradient),
		Certificate: certificate{r.Certificate.Kind, num(r.Certificate.Value), r.Certificate.Bound},
		Seconds:     num(r.Seconds), Seed: seed, Out: f.out, Run: f.kept,
	}
	if f.out == "" {
		out.Solution = rows(r.Solution)
	}
	if f.parts == "" {
		out.Parts = partsObject(r)
	}
	return out
}

func (a *app) printSolve(f *solveFlags, r *problem.Result, data string, seed *uint64) {
	converged, relation, where := "yes", "about", f.out
	if !r.Converged {
		converged = "no"
	}
	if r.Certificate.Bound {
		relation = "at most"
	}
	if where == "" {
		where = "not written (use --out FILE)"
	}
	lines := [][2]string{
		{"problem", fmt.Sprintf("%s of %d %s, n = %d", r.Problem, r.Count, data, r.N)},
		{"method", r.Method},
		{"converged", converged + ": " + r.Reason},
		{"iterations", fmt.Sprintf("%d (%d evaluations)", r.Iterations, r.Evaluations)},
		{"objective", fmt.Sprintf("%.12g", r.Objective)},
		{"gradient", fmt.Sprintf("%.3g (relative %.3g)", r.GradientNorm, r.RelativeGradient)},
	}
	if r.Certificate.Kind != "none" {
		lines = append(lines, [2]string{"distance to optimum", fmt.Sprintf("%s %.3g (%s)", relation, r.Certificate.Value, r.Certificate.Kind)})
	}
	lines = append(lines, partLines(r)...)
	if seed != nil {
		lines = append(lines, [2]string{"seed", fmt.Sprint(*seed)})
	}
	lines = append(lines, [2]string{"time", fmt.Sprintf("%.3g s", r.Seconds)}, [2]string{"solution", where}, [2]string{"run", f.kept})
	a.pairs(lines...)
	if f.out == "" && r.N <= printable {
		a.printMatrix(full(r.Solution))
	}
}
