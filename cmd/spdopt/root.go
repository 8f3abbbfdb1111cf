package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/roots"
)

type rootFlags struct {
	fileFlags
	power, method string
	tol           float64
	maxIterations int
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
	Out       string          `json:"out,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
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
}

func rootKinds() []string {
	var names []string
	for _, k := range roots.Kinds() {
		if k != roots.KindPolar {
			names = append(names, k.String())
		}
	}
	return names
}

func (a *app) rootCommand() *cobra.Command {
	f := &rootFlags{}
	cmd := &cobra.Command{
		Use:   "root KIND --in FILES",
		Short: "Compute powers, roots and inverses of SPD matrices",
		Long: `Compute functions of SPD matrices: ` + strings.Join(rootKinds(), ", ") + `. pow needs --power; sqrt and inv are pow with 1/2 and -1. exp takes
any symmetric matrix.

The input is an n x n array, an m x n x n stack, or several files, taken one matrix at a time; --out X.npy writes an n x n array for one result
and an m x n x n stack for many.`,
		Example: `  spdopt root pow --in a.npy --power -0.25 --out b.npy
  spdopt root sqrt --in stack.npy --method eigen --json
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
	flags.Float64Var(&f.tol, "tol", 0, "wanted bound on the relative error; exit with code 4 if it cannot be promised; 0 is the best possible")
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
	o = &roots.Options{Method: f.method, Tol: f.tol, MaxIterations: f.maxIterations}
	if err := o.Validate(); err != nil {
		return q, nil, usagef("--tol or --max-iterations: %v", err)
	}
	return q, o, nil
}

func (a *app) root(cmd *cobra.Command, f *rootFlags, name string, more []string) error {
	q, o, err := f.query(cmd, name)
	if err != nil {
		return err
	}
	kind := matio.SPD
	if q.Kind == roots.KindExp {
		kind = matio.Symmetric
	}
	check, err := f.check(kind)
	if err != nil {
		return err
	}
	src, err := f.source(a, more)
	if err != nil {
		return err
	}
	s, err := matio.Open(src)
	if err != nil {
		return err
	}
	defer s.Close()
	w, err := f.create(a, s.Many())
	if err != nil {
		return err
	}
	sink := &rootSink{w: w, stack: s.Many(), keep: a.json && f.out == "", show: !a.json && f.out == ""}
	defer sink.abort()
	missed, err := a.rootEach(s, check, q, o, sink, len(src.Paths) == 1)
	if err != nil {
		return err
	}
	if w != nil {
		if err := w.Commit(); err != nil {
			return err
		}
	}
	if err := a.reportRoot(f, sink); err != nil {
		return err
	}
	return missed
}

// rootEach computes one matrix after the other. missed is the first accuracy that could not be promised.
func (a *app) rootEach(s *matio.Stream, check matio.Check, q roots.Query, o *roots.Options, sink *rootSink, named bool) (missed, err error) {
	progress := a.newProgress()
	defer progress.clear()
	for m, err := range s.All() {
		if err == nil {
			err = check.Apply(&m)
		}
		if err != nil {
			return nil, err
		}
		if a.ctx.Err() != nil {
			return nil, context.Cause(a.ctx)
		}
		progress.show("matrix %d", len(sink.reports))
		began := time.Now()
		var dst mat.SymDense
		rep, err := roots.Compute(&dst, mat.NewSymDense(m.Rows, m.Data), q, o)
		var accuracy *roots.AccuracyError
		if err != nil {
			err = fmt.Errorf("%s: %s: %w", m.File, m.Subject(), err)
			if !errors.As(err, &accuracy) {
				return nil, err
			}
			if missed == nil {
				missed = err
			}
		}
		label := ""
		if named {
			label = resultName(&m)
		}
		if err := sink.add(&m, label, &dst, rep, time.Since(began)); err != nil {
			return nil, err
		}
	}
	return missed, nil
}

// resultName is the name that a result keeps from its npz archive.
func resultName(m *matio.Matrix) string {
	if m.Name != "" && m.Index >= 0 {
		return m.Name + "_" + strconv.Itoa(m.Index)
	}
	return m.Name
}

// rootSink takes the results as they come: to the output file, into the JSON text, or to be shown.
type rootSink struct {
	w          *matio.Writer
	stack      bool
	keep, show bool
	text       bytes.Buffer
	last       *mat.SymDense
	reports    []rootReport
	first      roots.Report
}

func (s *rootSink) abort() {
	if s.w != nil {
		s.w.Abort()
	}
}

func (s *rootSink) add(m *matio.Matrix, name string, result *mat.SymDense, rep roots.Report, took time.Duration) error {
	if len(s.reports) == 0 {
		s.first = rep
	}
	s.reports = append(s.reports, rootReport{
		File: m.File, Matrix: m.Subject(), Method: rep.Method, N: rep.N, Residual: num(rep.Residual), Bound: num(rep.Bound),
		Smallest: num(rep.LambdaMin), Largest: num(rep.LambdaMax), Iterations: rep.Iterations, Reason: rep.Reason,
		Products: num(rep.Work), Seconds: num(took.Seconds()),
	})
	if s.show {
		s.last = result
	}
	if s.keep {
		if s.text.Len() > 0 {
			s.text.WriteByte(',')
		}
		s.text.Write(rows(result))
	}
	if s.w == nil {
		return nil
	}
	return s.w.Add(name, full(result))
}

// output sums up all matrices.
func (s *rootSink) output(out string) *rootOutput {
	o := &rootOutput{Schema: schema, Kind: s.first.Kind.String(), N: s.first.N, Count: len(s.reports), Equation: s.first.ResidualOf, Matrices: s.reports, Out: out}
	if s.first.Power != 0 || s.first.Kind == roots.KindPow {
		p := num(s.first.Power)
		o.Power = &p
	}
	var methods []string
	for _, r := range s.reports {
		if !slices.Contains(methods, r.Method) {
			methods = append(methods, r.Method)
		}
		o.Residual, o.Bound = max(o.Residual, r.Residual), max(o.Bound, r.Bound)
		o.Condition = max(o.Condition, r.Largest/r.Smallest)
		o.Seconds += r.Seconds
	}
	o.Method = strings.Join(methods, ",")
	if s.keep {
		o.Result = s.text.Bytes()
		if s.stack {
			o.Result = slices.Concat([]byte("["), o.Result, []byte("]"))
		}
	}
	return o
}

func (a *app) reportRoot(f *rootFlags, s *rootSink) error {
	o := s.output(f.out)
	if a.json {
		return a.printJSON(o)
	}
	if f.out == "-" {
		return nil
	}
	kind, where := o.Kind, f.out
	if o.Power != nil {
		kind = fmt.Sprintf("%s, power %.6g", kind, float64(*o.Power))
	}
	if where == "" {
		where = "not written (use --out FILE)"
	}
	a.pairs(
		[2]string{"kind", kind},
		[2]string{"matrices", fmt.Sprintf("%d, n = %d", o.Count, o.N)},
		[2]string{"method", o.Method},
		[2]string{"residual", fmt.Sprintf("%.3g (%s)", float64(o.Residual), o.Equation)},
		[2]string{"error", fmt.Sprintf("at most %.3g relative", float64(o.Bound))},
		[2]string{"condition", fmt.Sprintf("%.3g", float64(o.Condition))},
		[2]string{"time", fmt.Sprintf("%.3g s", float64(o.Seconds))},
		[2]string{"result", where},
	)
	if s.last != nil && o.Count == 1 && o.N <= printable {
		a.printMatrix(full(s.last))
	}
	return nil
}
