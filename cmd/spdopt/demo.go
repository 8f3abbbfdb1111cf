package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/cmd/spdopt/internal/demo"
	"github.com/spdopt/spdopt/cmd/spdopt/internal/selftest"
	"github.com/spdopt/spdopt/internal/report"
)

// demoOutput is the JSON object of "demo".
type demoOutput struct {
	Schema    int           `json:"schema"`
	Passed    bool          `json:"passed"`
	Seed      uint64        `json:"seed"`
	Mean      *solveOutput  `json:"mean"`
	Root      rootSummary   `json:"root"`
	Distances [][]num       `json:"distances"`
	ToMean    []num         `json:"distances_to_mean"`
	Checks    []checkOutput `json:"checks"`
	Seconds   num           `json:"seconds"`
	Report    string        `json:"report,omitempty"`
}

type rootSummary struct {
	Power    num    `json:"power"`
	Method   string `json:"method"`
	Residual num    `json:"residual"`
	Bound    num    `json:"error_bound"`
}

func (a *app) demoCommand() *cobra.Command {
	var out string
	var seed uint64
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Mean, inverse fourth root and distances of ten digit covariances, with checks",
		Long: `Compute the Karcher mean of the covariance matrices of the handwritten digits 0 to 9 (n = 196, shipped with the program), its inverse
fourth root, and the affine-invariant distances between the digits. Every result is held against an identity that it must satisfy; if one fails,
the exit code is 4. A report is written to runs/demo/report.html.`,
		Example: "  spdopt demo\n  spdopt demo --json --out /tmp/demo",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.drawSeed(cmd)
			return a.demo(seed, out)
		},
	}
	cmd.Flags().StringVar(&out, "out", filepath.Join("runs", "demo"), `folder of the report; "" writes none`)
	cmd.Flags().Uint64Var(&seed, "seed", 0, "seed of the random congruence in the checks (default: a random one, which is printed)")
	return cmd
}

func (a *app) demo(seed uint64, out string) error {
	path := ""
	if out != "" {
		path = filepath.Join(out, "report.html")
		if err := os.MkdirAll(out, 0o777); err != nil {
			return cannotWrite(path, err)
		}
	}
	progress := a.newProgress()
	r, err := demo.Run(seed, func(what string) error {
		progress.force("%s ...", what)
		return context.Cause(a.ctx)
	})
	progress.clear()
	if err != nil {
		return err
	}
	if path != "" {
		if err := writeWith(path, func(w io.Writer) error { return report.Write(w, demoPage(r)) }); err != nil {
			return err
		}
	}
	if a.json {
		err = a.printJSON(newDemoOutput(r, path))
	} else {
		a.printDemo(r, path)
	}
	if err == nil && !r.Passed() {
		err = &unmetError{"demo: a check failed"}
	}
	return err
}

func newDemoOutput(r *demo.Result, path string) *demoOutput {
	o := &demoOutput{Schema: schema, Passed: r.Passed(), Seed: r.Seed, Mean: newSolveOutput(&solveFlags{}, r.Mean, nil),
		Root:    rootSummary{-0.25, r.RootWork.Method, num(r.RootWork.Residual), num(r.RootWork.Bound)},
		Checks:  checkOutputs(r.Checks),
		Seconds: num(r.Elapsed.Seconds()), Report: path}
	o.Mean.Solution = nil
	for i, row := range r.Distances {
		o.Distances = append(o.Distances, nums(row))
		o.ToMean = append(o.ToMean, num(r.ToMean[i]))
	}
	return o
}

func (a *app) printDemo(r *demo.Result, path string) {
	fmt.Fprintf(a.out, "Covariance matrices of the handwritten digits 0 to 9 (14 x 14 pixels, n = %d)\n\n", r.Mean.N)
	a.pairs(
		[2]string{"Karcher mean", fmt.Sprintf("%s, %d iterations, relative gradient %.2g, %.2g s", r.Mean.Method, r.Mean.Iterations, r.Mean.RelativeGradient, r.Mean.Seconds)},
		[2]string{"its -1/4 power", fmt.Sprintf("%s, relative residual %.2g", r.RootWork.Method, r.RootWork.Residual)},
	)
	fmt.Fprintf(a.out, "\nAffine-invariant distances between the digits\n\n")
	w := tabwriter.NewWriter(a.out, 6, 0, 1, ' ', tabwriter.AlignRight)
	for j := range r.Distances {
		fmt.Fprintf(w, "\t%d", j)
	}
	fmt.Fprintln(w, "\t")
	for i, row := range append(r.Distances, r.ToMean) {
		if i == len(r.Distances) {
			fmt.Fprint(w, "mean")
		} else {
			fmt.Fprint(w, i)
		}
		for j, d := range row {
			if i == j {
				fmt.Fprint(w, "\t-")
			} else {
				fmt.Fprintf(w, "\t%.2f", d)
			}
		}
		fmt.Fprintln(w, "\t")
	}
	w.Flush()
	near, far := r.Extremes()
	fmt.Fprintf(a.out, "\nMost alike: %d and %d. Most different: %d and %d.\n\n", near[0], near[1], far[0], far[1])
	a.printChecks(r.Checks)
	fmt.Fprintf(a.out, "\n%.2g s, seed %d", r.Elapsed.Seconds(), r.Seed)
	if path != "" {
		fmt.Fprintf(a.out, ", report in %s", path)
	}
	fmt.Fprintln(a.out)
}

// demoPage lays out the report.
func demoPage(r *demo.Result) *report.Page {
	labels := make([]string, len(r.Distances))
	toMean := &report.Table{Header: []string{"digit", "distance to the mean"}}
	for i := range labels {
		labels[i] = strconv.Itoa(i)
		toMean.Rows = append(toMean.Rows, []string{labels[i], fmt.Sprintf("%.3f", r.ToMean[i])})
	}
	checks := &report.Table{Header: []string{"check", "value", "limit", "result"}}
	for _, c := range checkOutputs(r.Checks) {
		checks.Rows = append(checks.Rows, []string{c.Name, c.value(), fmt.Sprintf("%.2g", float64(c.Limit)), c.word()})
		checks.Bad = append(checks.Bad, !c.Passed)
	}
	near, far := r.Extremes()
	return &report.Page{
		Title: "spdopt demo",
		Intro: fmt.Sprintf("The covariance matrices of the handwritten digits 0 to 9 (MNIST test images averaged to 14 x 14 pixels, n = %d).", r.Mean.N),
		Sections: []report.Section{
			{Title: "Distances between the digits", Heat: &report.Heat{Labels: labels, Values: r.Distances, Format: "%.1f"},
				Text: fmt.Sprintf("Affine-invariant distance. Most alike: %d and %d. Most different: %d and %d.", near[0], near[1], far[0], far[1])},
			{Title: "Karcher mean", Table: toMean, Text: fmt.Sprintf("Method %s, %d iterations, relative gradient %.2g. Its -1/4 power by %s: relative residual %.2g.",
				r.Mean.Method, r.Mean.Iterations, r.Mean.RelativeGradient, r.RootWork.Method, r.RootWork.Residual)},
			{Title: "Checks", Table: checks, Text: fmt.Sprintf("%.2g s in all, seed %d.", r.Elapsed.Seconds(), r.Seed)},
		},
	}
}

// checkOutput is one check in JSON.
type checkOutput struct {
	Name   string `json:"name"`
	Value  num    `json:"value"`
	Limit  num    `json:"limit"`
	Passed bool   `json:"passed"`
	Error  string `json:"error,omitempty"`
}

func checkOutputs(checks []selftest.Check) []checkOutput {
	out := make([]checkOutput, len(checks))
	for k, c := range checks {
		out[k] = checkOutput{Name: c.Name, Value: num(c.Value), Limit: num(c.Limit), Passed: c.Passed()}
		if c.Err != nil {
			out[k].Error = c.Err.Error()
		}
	}
	return out
}

func (c checkOutput) word() string {
	if c.Passed {
		return "ok"
	}
	return "FAILED"
}

func (c checkOutput) value() string {
	if c.Error != "" {
		return c.Error
	}
	return fmt.Sprintf("%.2g", float64(c.Value))
}
