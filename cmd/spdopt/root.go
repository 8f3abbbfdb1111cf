package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/roots"
)

type rootFlags struct {
	fileFlags
	power, method, outH string
	device, precision   string
	tol, cutoff         float64
	maxIterations       int
	verify              bool
}

// rootOutput is the JSON object of "root". Residual, bound and condition are the worst over all matrices.
type rootOutput struct {
	Schema    int             `json:"schema"`
	Kind      string          `json:"kind"`
	Power     *num            `json:"power,omitempty"`
	Method    string          `json:"method"`
	N         int             `json:"n"`
	Count     int             `json:"count"`
	Residual  num             `json:"residual"`
	Equation  string          `json:"residual_of"`
	Bound     num             `json:"error_bound"`
	Condition num             `json:"condition"`
	Seconds   num             `json:"seconds"`
	Matrices  []rootReport    `json:"matrices"`
	Checked   *bool           `json:"check_passed,omitempty"`
	Out       string          `json:"out,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	OutH      string          `json:"out_h,omitempty"`
	ResultH   json.RawMessage `json:"result_h,omitempty"`
}

// rootReport is what happened to one matrix.
type rootReport struct {
	File       string `json:"file"`
	Matrix     string `json:"matrix"`
	Method     string `json:"method"`
	N          int    `json:"n"`
	Residual   num    `json:"residual"`
	Bound      num    `json:"error_bound"`
	Smallest   num    `json:"smallest_eigenvalue"`
	Largest    num    `json:"largest_eigenvalue"`
	Iterations int    `json:"iterations"`
	Reason     string `json:"reason"`
	Products   num    `json:"products"` // GEMM-equivalents
	Seconds    num    `json:"seconds"`
	Rows       int    `json:"rows,omitempty"` // of a polar factor
	Dropped    []num  `json:"dropped_eigenvalues,omitempty"`
	// Check is what --check found.
	Check *rootCheck `json:"check,omitempty"`
}

// rootCheck compares a result with the same function computed on another road.
type rootCheck struct {
	Road       string `json:"road"`
	Difference num    `json:"difference"`
	Allowed    num    `json:"allowed"`
	Passed     bool   `json:"passed"`
}

func rootKinds() []string {
	var names []string
	for _, k := range roots.Kinds() {
		names = append(names, k.String())
	}
	return names
}

func (a *app) rootCommand() *cobra.Command {
	f := &rootFlags{}
	cmd := &cobra.Command{
		Use:   "root KIND --in FILES",
		Short: "Compute powers, roots, logarithms and polar factors of matrices",
		Long: `Compute functions of SPD matrices: ` + strings.Join(rootKinds(), ", ") + `. pow needs --power; sqrt and inv are pow with 1/2 and -1. exp and
non-negative integer powers take any symmetric matrix, other powers above 0 semi-definite ones, and powers below 0 too under --cutoff. polar takes
any matrix of full column rank with at least as many rows as columns: A = U H; --out takes U and --out-h takes H.

The input is one array, a stack of them, or several files, taken one matrix at a time; --out X.npy writes an array for one result and a stack for
many. Every result comes with the residual of its defining equation and a bound on its error; --check computes it once more on another road and
makes the exit code 4 where the two differ by more than the bounds, or by more than --tol, allow.`,
		Example: `  spdopt root pow --in a.npy --power -0.25 --out b.npy
  spdopt root sqrt --in stack.npy --method eigen --json --check
  spdopt root polar --in a.csv --out u.csv --out-h h.csv
  spdopt root inv --in a.mtx --out -  --format csv`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("root: name a kind: %s", strings.Join(rootKinds(), ", "))
			}
			return nil
		},
		ValidArgs: rootKinds(),
		RunE:      func(cmd *cobra.Command, args []string) error { return a.root(cmd, f, args[0], args[1:]) },
	}
	f.register(cmd, "in", "matrices")
	flags := cmd.Flags()
	flags.StringVar(&f.power, "power", "", "exponent of pow: a number or a fraction, such as -0.25 or -1/4")
	flags.StringVar(&f.method, "method", "auto", "auto or one of spdopt list roots")
	flags.StringVar(&f.device, "device", "", "where products are computed: cpu, cuda, cuda:1; the default is cpu")
	flags.StringVar(&f.precision, "precision", "double", "double, or single: products in float32, to --tol 1e-3 unless it is given")
	flags.Float64Var(&f.tol, "tol", 0, "wanted bound on the relative error; exit with code 4 if it cannot be promised; 0 is the best possible")
	flags.Float64Var(&f.cutoff, "cutoff", 0, "drop eigenvalues up to this part of the largest (pseudo-inverse); they are listed")
	flags.BoolVar(&f.verify, "check", false, "compute each result on another road as well; exit with code 4 where they disagree")
	flags.StringVar(&f.outH, "out-h", "", "write the factor H of root polar to this file")
	flags.IntVar(&f.maxIterations, "max-iterations", 0, "limit of an iterative method; 0 is the method's own")
	return cmd
}

// query checks the flags that need no data.
func (f *rootFlags) query(cmd *cobra.Command, name string) (q roots.Query, o *roots.Options, err error) {
	if !slices.Contains(rootKinds(), name) {
		return q, nil, unknown("kind", name, "root", rootKinds(), "spdopt root --help")
	}
	if q.Kind, err = roots.ParseKind(name); err != nil {
		return q, nil, usagef("%v", err)
	}
	switch given := cmd.Flags().Changed("power"); {
	case q.Kind == roots.KindPow && !given:
		return q, nil, usagef("root pow needs --power, such as --power -0.25")
	case q.Kind == roots.KindPow:
		if q.Power, err = parsePower(f.power); err != nil {
			return q, nil, err
		}
	case given:
		return q, nil, usagef("--power has no effect on root %s; use root pow", name)
	}
	methods := []string{"auto"}
	for _, m := range roots.Methods() {
		methods = append(methods, m.Name)
	}
	if !slices.Contains(methods, f.method) {
		return q, nil, unknown("method", f.method, "root "+name, methods, "spdopt list roots")
	}
	o = &roots.Options{Method: f.method, Tol: f.tol, MaxIterations: f.maxIterations, Cutoff: f.cutoff, Device: f.device}
	if err := o.Validate(); err != nil {
		return q, nil, usagef("--tol, --cutoff or --max-iterations: %v", err)
	}
	if err := oneOf("--precision", f.precision, "double", "single"); err != nil {
		return q, nil, err
	}
	switch polar := q.Kind == roots.KindPolar; {
	case polar && f.precision == "single":
		return q, nil, usagef("--precision single has no effect on root polar")
	case !polar && f.outH != "":
		return q, nil, usagef("--out-h has no effect on root %s; it takes the factor H of root polar", name)
	case polar && (f.cutoff > 0 || f.jitter != 0 || f.nearestSPD):
		return q, nil, usagef("--cutoff, --jitter and --nearest-spd have no effect on root polar")
	case f.verify && f.cutoff > 0:
		return q, nil, usagef("--check has no second road to a pseudo-inverse (--cutoff)")
	}
	return q, o, apart("--out", f.out, "--out-h", f.outH)
}

// demand is what is asked of the input before its function is computed. Definiteness is left to the computation, which knows which functions need
// it, unless a matrix is to be repaired.
func (f *rootFlags) demand(kind roots.Kind) (matio.Check, error) {
	switch {
	case kind == roots.KindPolar:
		return f.check(matio.General)
	case kind != roots.KindExp && (f.jitter != 0 || f.nearestSPD):
		return f.check(matio.SPD)
	}
	return f.check(matio.Symmetric)
}

func (a *app) root(cmd *cobra.Command, f *rootFlags, name string, more []string) error {
	q, o, err := f.query(cmd, name)
	if err != nil {
		return err
	}
	check, err := f.demand(q.Kind)
	if err != nil {
		return err
	}
	src, err := f.source(a, more)
	if err != nil {
		return err
	}
	sink := &rootSink{keep: a.json && f.out == "", show: !a.json && f.out == ""}
	defer sink.abort()
	job := &rootJob{f: f, q: q, o: o, check: check, sink: sink, named: len(src.Paths) == 1, progress: a.newProgress()}
	err = unlessInterrupted(a.ctx, func(g *guard) error { return a.rootEach(src, job, g) })
	job.progress.clear()
	if err != nil {
		return err
	}
	if err := sink.commit(); err != nil {
		return err
	}
	if err := a.reportRoot(f, sink); err != nil {
		return err
	}
	return job.missed
}

// rootJob is what is done to every matrix. missed is the first accuracy that could not be promised, or the first check that failed.
type rootJob struct {
	f        *rootFlags
	q        roots.Query
	o        *roots.Options
	check    matio.Check
	sink     *rootSink
	named    bool
	progress *progressLine
	missed   error
}

// rootEach computes one matrix after the other.
func (a *app) rootEach(src matio.Source, job *rootJob, g *guard) error {
	s, err := matio.Open(src)
	if err != nil {
		return err
	}
	defer s.Close()
	g.touch(func() { err = job.sink.open(a, job.f, s.Many()) })
	if err != nil {
		return err
	}
	for m, err := range s.All() {
		if err == nil {
			err = job.check.Apply(&m)
		}
		if err != nil {
			return err
		}
		if a.ctx.Err() != nil {
			return context.Cause(a.ctx)
		}
		g.touch(func() { job.progress.show("matrix %d", len(job.sink.reports)) })
		r, err := job.compute(&m)
		if err != nil {
			return err
		}
		if job.named {
			r.name = resultName(&m)
		}
		g.touch(func() {
			a.debug("%s of %s: method %s, condition %.3g, %.3g products, %.3f s", m.Subject(), m.File, r.rep.Method, r.rep.Cond(), r.rep.Work, r.took.Seconds())
			err = job.sink.add(&m, r)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// resultName is the name that a result keeps from a file of several arrays.
func resultName(m *matio.Matrix) string {
	if m.Name != "" && m.Index >= 0 {
		return m.Name + "_" + strconv.Itoa(m.Index)
	}
	return m.Name
}

// output sums up all matrices.
func (s *rootSink) output(out string) *rootOutput {
	o := &rootOutput{Schema: schema, Kind: s.first.Kind.String(), N: s.first.N, Count: len(s.reports), Equation: s.first.ResidualOf, Matrices: s.reports, Out: out}
	if s.first.Power != 0 || s.first.Kind == roots.KindPow {
		p := num(s.first.Power)
		o.Power = &p
	}
	if s.first.Kind == roots.KindPolar {
		o.Power = nil
	}
	var methods []string
	for _, r := range s.reports {
		if r.Check != nil {
			passed := r.Check.Passed && (o.Checked == nil || *o.Checked)
			o.Checked = &passed
		}
		if !slices.Contains(methods, r.Method) {
			methods = append(methods, r.Method)
		}
		o.Residual, o.Bound = max(o.Residual, r.Residual), max(o.Bound, r.Bound)
		if r.Smallest > 0 {
			o.Condition = max(o.Condition, r.Largest/r.Smallest)
		}
		o.Seconds += r.Seconds
	}
	o.Method = strings.Join(methods, ",")
	if s.keep {
		o.Result = s.array(&s.text)
		if s.wH == nil && s.textH.Len() > 0 {
			o.ResultH = s.array(&s.textH)
		}
	}
	return o
}

func (a *app) reportRoot(f *rootFlags, s *rootSink) error {
	o := s.output(f.out)
	o.OutH = f.outH
	if a.json {
		return a.printJSON(o)
	}
	if f.out == "-" {
		return nil
	}
	kind, where, condition := o.Kind, f.out, ""
	if o.Condition > 0 {
		condition = fmt.Sprintf("%.3g", float64(o.Condition))
	}
	if o.Power != nil {
		kind = fmt.Sprintf("%s, power %.6g", kind, float64(*o.Power))
	}
	if where == "" {
		where = "not written (use --out FILE)"
	}
	a.pairs(
		[2]string{"kind", kind},
		[2]string{"matrices", fmt.Sprintf("%d, %s", o.Count, s.shape(o.N))},
		[2]string{"method", o.Method},
		[2]string{"residual", fmt.Sprintf("%.3g (%s)", float64(o.Residual), o.Equation)},
		[2]string{"error", fmt.Sprintf("at most %.3g relative", float64(o.Bound))},
		[2]string{"check", s.checkLine()},
		[2]string{"dropped", s.droppedLine()},
		[2]string{"condition", condition},
		[2]string{"time", fmt.Sprintf("%.3g s", float64(o.Seconds))},
		[2]string{"result", where},
	)
	if s.last != nil && o.Count == 1 && o.N <= printable {
		a.printMatrix(*s.last)
		if s.lastH != nil {
			fmt.Fprintln(a.out, "H")
			a.printMatrix(*s.lastH)
		}
	}
	return nil
}
