package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/spdopt/spdopt/internal/jsonfloat"
)

// File is what a run is stored as.
type File struct {
	Schema int     `json:"schema"`
	Suite  string  `json:"suite"`
	Solver string  `json:"solver"`
	Trials []Trial `json:"trials"`
}

// schema is the version of File; fields are only ever added.
const schema = 1

// Write stores the trials of a suite ("" is "bbob") as JSON.
func Write(w io.Writer, suite, solver string, trials []Trial) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(File{Schema: schema, Suite: cmp.Or(suite, "bbob"), Solver: solver, Trials: trials})
}

// Read is the inverse of Write. It refuses what is not such a file.
func Read(r io.Reader) (File, error) {
	var f File
	if err := json.NewDecoder(r).Decode(&f); err != nil {
		return f, fmt.Errorf("bench: not a result file: %w", jsonfloat.Fault(err))
	}
	if _, err := lookupSuite(f.Suite); err != nil || f.Suite == "" || f.Schema != schema || len(f.Trials) == 0 {
		return f, fmt.Errorf("bench: schema %d, suite %q, %d trials: want schema %d, a known suite and some trials", f.Schema, f.Suite, len(f.Trials), schema)
	}
	return f, check(f.Trials)
}

func check(trials []Trial) error {
	for i, t := range trials {
		if len(t.Hits) != len(Targets()) || t.Dim < 1 || t.Budget < 1 {
			return fmt.Errorf("bench: trial %d (%s) has %d targets, dimension %d, budget %d", i, t.Function, len(t.Hits), t.Dim, t.Budget)
		}
	}
	return nil
}

// Dims returns the dimensions of the trials in ascending order.
func Dims(trials []Trial) (d []int) {
	for _, t := range trials {
		if !slices.Contains(d, t.Dim) {
			d = append(d, t.Dim)
		}
	}
	slices.Sort(d)
	return d
}

// functions returns the functions of the trials in order of appearance.
func functions(trials []Trial) (f []string) {
	for _, t := range trials {
		if !slices.Contains(f, t.Function) {
			f = append(f, t.Function)
		}
	}
	return f
}

// factor is the largest budget per variable of the trials of a dimension.
func factor(trials []Trial, dim int) int {
	b := 2
	for _, t := range trials {
		if t.Dim == dim {
			b = max(b, t.Budget/dim)
		}
	}
	return b
}

// Table prints one line for each dimension (area, functions solved, success) and one for each function (expected running time to 1e-8 by dimension).
func Table(w io.Writer, trials []Trial) error {
	if err := check(trials); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	last := len(Targets()) - 1
	fmt.Fprintln(t, "dim\tbudget\tarea\tsolved to 1e-8\tsuccess\t")
	for _, n := range Dims(trials) {
		of := Select(trials, n, "")
		b := factor(trials, n)
		solved, rate := Solved(of, last)
		fmt.Fprintf(t, "%d\t%d n\t%.3f\t%d of %d\t%.3f\t\n", n, b, Area(of, b), solved, len(functions(of)), rate)
	}
	fmt.Fprint(t, "\nERT\t")
	for _, n := range Dims(trials) {
		fmt.Fprintf(t, "%d\t", n)
	}
	fmt.Fprintln(t)
	for _, f := range functions(trials) {
		fmt.Fprintf(t, "%s\t", f)
		for _, n := range Dims(trials) {
			fmt.Fprintf(t, "%s\t", cell(Select(trials, n, f), last))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// cell is an expected running time with the number of successes where some trials failed.
func cell(trials []Trial, target int) string {
	ert, n := ERT(trials, target)
	switch {
	case len(trials) == 0 || n == 0:
		return "-"
	case n < len(trials):
		return fmt.Sprintf("%s (%d/%d)", strconv.FormatFloat(ert, 'f', 0, 64), n, len(trials))
	}
	return strconv.FormatFloat(ert, 'f', 0, 64)
}
