package main

import (
	"context"
	"fmt"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/objective"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem"
)

type gradientFlags struct {
	solveFlags
	command        string
	dim            int
	env            []string
	shell, perEval bool
	limit          time.Duration
}

// gradientReport is the JSON object of "check gradient".
type gradientReport struct {
	Schema int             `json:"schema"`
	What   string          `json:"what"`
	Passed bool            `json:"passed"`
	N      int             `json:"n"`
	Seed   uint64          `json:"seed"`
	Checks []gradientCheck `json:"checks"`
}

type gradientCheck struct {
	Name     string `json:"name"`
	Passed   bool   `json:"passed"`
	Slope    num    `json:"slope"`
	Expected num    `json:"expected"`
	Exact    bool   `json:"exact,omitempty"`
	Defect   num    `json:"defect"`
	From     num    `json:"from"` // steps between which the slope was measured
	To       num    `json:"to"`
}

func (a *app) checkGradientCommand() *cobra.Command {
	f := &gradientFlags{}
	cmd := &cobra.Command{
		Use:   "gradient (PROBLEM --data FILES | --cmd COMMAND --dim N)",
		Short: "Tell a wrong gradient by its slope: of a problem on your data, or of your own program",
		Long: `Compare a cost with the model that its gradient makes, along a random curve of positive definite matrices: the error of a right gradient falls with the
square of the step (slope 2), that of a right Hessian with its cube. A wrong one has slope 1 or 2. The exit code is then 4.

--cmd is a program for a cost of an N x N matrix. It gets one JSON object a line, x being the N*N entries by rows, and answers with the value and the
derivatives by the entries, of which the symmetric part counts:
  {"spdopt":1,"type":"hello","dim":4,"seed":7}                        once
  {"type":"eval","id":1,"x":[2,0.1,0.1,1],"seed":981}                 answer: {"id":1,"f":3.25,"gradient":[1,0.5,0.5,-2]}
  {"type":"stop"}
It is asked about 70 times.`,
		Example: `  spdopt check gradient tyler --data samples.npy
  spdopt check gradient --cmd "python3 cost.py" --dim 5 --json
  spdopt check gradient --cmd ./cost --dim 3 --start point.csv`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case f.command == "" && len(args) == 0:
				return usagef("check gradient of what? name a problem, or a program with --cmd")
			case f.command != "" && (len(args) > 0 || len(f.paths) > 0):
				return usagef("check gradient takes a problem with --data or a program with --cmd, not both")
			case f.command == "" && f.dim != 0:
				return usagef("--dim goes with --cmd")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			a.drawSeed(cmd)
			if f.command != "" {
				return a.checkProgram(f)
			}
			return a.checkProblem(cmd, f, args[0], args[1:])
		},
	}
	f.inFlag, f.as, f.kappa, f.normalize, f.tol, f.maxIterations = "data", "auto", 1, "trace", 1e-8, 1
	f.parameterFlags.register(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&f.paths, "data", nil, "data of the problem, as for solve")
	flags.StringVar(&f.format, "format", "", formatUsage)
	flags.StringVar(&f.weights, "weights", "", "weights of the matrices, as for solve")
	flags.StringVar(&f.as, "as", "auto", "what the data is, as for solve")
	flags.BoolVar(&f.center, "center", false, "subtract the mean of the samples first")
	flags.StringVar(&f.command, "cmd", "", "program that gives cost and gradient")
	flags.IntVar(&f.dim, "dim", 0, "rows N of the matrices that the program takes")
	flags.BoolVar(&f.shell, "shell", false, "give --cmd to /bin/sh")
	flags.BoolVar(&f.perEval, "per-eval", false, "start --cmd for every evaluation")
	flags.StringArrayVar(&f.env, "env", nil, "variable of the environment for --cmd: NAME passes the one of this program on, NAME=VALUE sets it; repeat it")
	flags.DurationVar(&f.limit, "timeout", 0, "time for one evaluation by --cmd")
	flags.StringVar(&f.start, "start", "", "file with the matrix at which to check; the default is a random one")
	flags.Uint64Var(&f.seed, "seed", 0, "seed of the curve and the matrix (default: a random one, which is printed)")
	return cmd
}

func (a *app) checkProblem(cmd *cobra.Command, f *gradientFlags, name string, more []string) error {
	p, err := problem.ByName(name)
	if err != nil {
		return unknown("problem", name, "check gradient", problemNames(), "spdopt list problems")
	}
	if !p.TakesStart() {
		return usagef("check gradient: %s is solved directly and has no gradient to check (spdopt list problems)", name)
	}
	o, err := f.options(p)
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
	var data problem.Data
	var n int
	if err := beside(a.ctx, func(*guard) (err error) { data, n, err = f.read(p, src); return err }); err != nil {
		return err
	}
	if _, err := f.firstPoint(cmd, a, o, n); err != nil {
		return err
	}
	var all []manifold.SlopeReport
	if err := unlessInterrupted(a.ctx, func(*guard) (err error) { all, err = p.CheckDerivatives(data, o, seeded(f.seed)); return err }); err != nil {
		return withFile(err, src)
	}
	return a.reportGradient(name, n, f.seed, all)
}

// checkProgram checks a program of the user's.
func (a *app) checkProgram(f *gradientFlags) error {
	n := f.dim
	if n < 1 || n > 1000 {
		return usagef("--dim must be the number of rows, 1 to 1000, not %d", n)
	}
	s, err := f.place(a, n)
	if err != nil {
		return err
	}
	argv := objective.Shell(f.command)
	if !f.shell {
		if argv, err = objective.Split(f.command); err != nil {
			return usagef("--cmd: %v", err)
		}
	}
	env, err := objective.Environment(f.env)
	if err != nil {
		return usagef("--env: %v", err)
	}
	program, err := objective.New(objective.Options{Argv: argv, Env: env, Dim: n * n, Seed: f.seed, PerEval: f.perEval, Timeout: f.limit})
	if err != nil {
		return err
	}
	defer program.Close()
	e := &programCost{ctx: a.ctx, program: program, argv: argv, x: make([]float64, n*n)}
	all, err := problem.CheckEuclidean(problem.Euclidean{N: n, Cost: e.cost, Gradient: e.gradient}, s, seeded(f.seed))
	if a.ctx.Err() != nil {
		return context.Cause(a.ctx)
	}
	if e.err != nil {
		return e.err
	}
	if err != nil {
		return err
	}
	return a.reportGradient(f.command, n, f.seed, all)
}

// place reads or draws the matrix at which a program is checked.
func (f *gradientFlags) place(a *app, n int) (mat.Symmetric, error) {
	if f.start == "" {
		return randomPoint(n, f.seed)
	}
	all, many, err := a.readStart(f.start)
	if err != nil {
		return nil, err
	}
	if many || all[0].Rows != n {
		return nil, usagef("--start: %s must hold one matrix of %d rows", f.start, n)
	}
	return symmetric(all)[0], nil
}

// programCost asks a program for cost and gradient together and remembers the first failure.
type programCost struct {
	ctx     context.Context
	program *objective.Program
	argv    []string
	x       []float64
	last    []float64 // gradient at the last point
	count   uint64
	err     error
}

func (e *programCost) cost(s *mat.SymDense) float64 {
	n := s.SymmetricDim()
	for i := range n {
		for j := range n {
			e.x[i*n+j] = s.At(i, j)
		}
	}
	e.count++
	v, err := e.program.Evaluate(e.ctx, e.count, e.x)
	if err == nil && v.Gradient == nil {
		err = &objective.Error{Kind: objective.Protocol, ID: e.count, What: `the answer has no "gradient"`, Argv: e.argv}
	}
	if err != nil {
		if e.err == nil {
			e.err = err
		}
		return math.NaN()
	}
	e.last = v.Gradient
	return v.F
}

func (e *programCost) gradient(g, s *mat.SymDense) {
	n := s.SymmetricDim()
	for i := range n {
		for j := i; j < n; j++ {
			g.SetSym(i, j, (e.last[i*n+j]+e.last[j*n+i])/2)
		}
	}
}

// reportGradient prints the checks; one that failed makes the exit code 4.
func (a *app) reportGradient(what string, n int, seed uint64, all []manifold.SlopeReport) error {
	r := gradientReport{Schema: schema, What: what, Passed: true, N: n, Seed: seed}
	var failed []string
	for _, c := range all {
		name := strings.ToLower(c.What)
		r.Checks = append(r.Checks, gradientCheck{name, c.OK, num(c.Slope), num(c.Expected), c.Exact, num(c.Defect), num(c.Window[0]), num(c.Window[1])})
		if !c.OK {
			r.Passed = false
			failed = append(failed, fmt.Sprintf("the %s has slope %.2f where a right one has %g", name, c.Slope, c.Expected))
		}
	}
	if a.json {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else {
		w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "check\tslope\texpected\t")
		for _, c := range r.Checks {
			slope, verdict := fmt.Sprintf("%.2f", float64(c.Slope)), "wrong"
			if c.Exact {
				slope = "exact"
			}
			if c.Passed {
				verdict = "passed"
			}
			fmt.Fprintf(w, "%s\t%s\t>= %g\t%s\n", c.Name, slope, float64(c.Expected), verdict)
		}
		w.Flush()
		a.pairs([2]string{"seed", fmt.Sprint(seed)})
	}
	if r.Passed {
		return nil
	}
	return &unmetError{"check gradient: " + strings.Join(failed, "; ") + "\n  a common cause: entries off the diagonal counted twice, since both (i,j) and (j,i) are variables"}
}
