package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/internal/run"
)

// scalar is a field of a result that is one number, word or truth value.
type scalar struct{ name, text string }

// scalars returns the fields of an object that are scalars, in their order; schema and run are left out.
func scalars(object json.RawMessage) (all []scalar) {
	for _, f := range run.Fields(object) {
		if text, ok := f.Scalar(); ok && f.Name != "schema" && f.Name != "run" {
			all = append(all, scalar{f.Name, text})
		}
	}
	return all
}

// compareRow is a line of "runs compare": one setting or result, for each run; "" where a run has none.
type compareRow struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// runsCompareOutput is the JSON object of "runs compare".
type runsCompareOutput struct {
	Schema   int          `json:"schema"`
	Runs     []string     `json:"runs"`
	Settings []compareRow `json:"settings"` // those that differ
	Results  []compareRow `json:"results"`
}

func (a *app) runsCompareCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "compare RUN RUN...",
		Short:   "Compare settings and results of runs",
		Long:    "Print the settings in which runs differ, and their results side by side.",
		Example: "  spdopt runs compare 7f3a0c21 8a11b0ee",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usagef("runs compare needs two runs or more, got %d", len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.compareRuns(args) },
	}
}

func (a *app) compareRuns(names []string) error {
	o := runsCompareOutput{Schema: schema, Settings: []compareRow{}, Results: []compareRow{}}
	var settings, results [][]scalar
	for _, name := range names {
		i, err := a.inspect(name)
		if err != nil {
			return err
		}
		o.Runs = append(o.Runs, i.Dir)
		m := &i.Manifest
		own := []scalar{{"command", strings.TrimSpace(m.Verb + " " + strings.Join(m.Args, " "))}}
		for _, s := range m.Settings {
			own = append(own, scalar{"--" + s.Name, s.Value})
		}
		settings = append(settings, append(own, scalar{"version", m.Version}, scalar{"host", m.Host.Name}))
		found := []scalar{{"status", string(i.Status)}}
		if i.Result != nil {
			found = append(found, scalars(i.Result.Value)...)
		}
		results = append(results, found)
	}
	for _, r := range sideBySide(settings) {
		if slices.ContainsFunc(r.Values, func(v string) bool { return v != r.Values[0] }) {
			o.Settings = append(o.Settings, r)
		}
	}
	o.Results = append(o.Results, sideBySide(results)...)
	if a.json {
		return a.printJSON(o)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	head := make([]string, len(o.Runs))
	for i, dir := range o.Runs {
		head[i] = filepath.Base(dir)
	}
	for _, r := range slices.Concat([]compareRow{{"run", head}}, o.Settings, o.Results) {
		fmt.Fprintf(w, "%s\t%s\n", r.Name, strings.Join(r.Values, "\t"))
	}
	return w.Flush()
}

// sideBySide makes a row for each name, in the order in which they come up.
func sideBySide(columns [][]scalar) (rows []compareRow) {
	at := map[string]int{}
	for c, column := range columns {
		for _, s := range column {
			i, seen := at[s.name]
			if !seen {
				i = len(rows)
				at[s.name] = i
				rows = append(rows, compareRow{s.name, make([]string, len(columns))})
			}
			rows[i].Values[c] = s.text
		}
	}
	return rows
}

func (a *app) runsExportCommand() *cobra.Command {
	out := "-"
	cmd := &cobra.Command{
		Use:   "export RUN",
		Short: "Write the evaluations of a run as a table",
		Long: `Write the evaluations of a run of minimize, in the order in which their results came, as a table with the columns id, f, status, seconds, x0, x1, ..., g0, g1, ... (.csv), or as JSON lines (.jsonl). Standard output, "-",
gets CSV, with --jsonl JSON lines, and with --json one object with all "evaluations".`,
		Example: "  spdopt runs export 7f3a0c21 --out evaluations.csv",
		Args:    oneRun,
		RunE: func(_ *cobra.Command, args []string) error {
			i, err := a.inspect(args[0])
			if err != nil {
				return err
			}
			return a.exportRun(i, out)
		},
	}
	cmd.Flags().StringVar(&out, "out", "-", `file to write, .csv or .jsonl; "-" is standard output`)
	return cmd
}

// evaluation is one line of an export.
type evaluation struct {
	ID      uint64 `json:"id"`
	F       *num   `json:"f"` // null if it failed
	Status  string `json:"status"`
	Seconds num    `json:"seconds"`
	X       []num  `json:"x"`
	G       []num  `json:"g,omitempty"`
	Error   string `json:"error,omitempty"`
}

func (a *app) exportRun(i *run.Info, out string) error {
	dir, lines := i.Dir, a.jsonl
	switch ext := filepath.Ext(out); {
	case out == "-":
	case ext == ".csv", ext == ".jsonl":
		lines = ext == ".jsonl"
	default:
		return usagef("--out %s: the name must end in .csv or .jsonl", out)
	}
	if err := evaluated(i); err != nil {
		return err
	}
	switch {
	case out == "-" && a.json && !lines:
		return a.exportObject(dir)
	case out == "-":
		return exportEvaluations(a.out, dir, lines)
	}
	if err := writeWith(out, func(w io.Writer) error { return exportEvaluations(w, dir, lines) }); err != nil || !a.json {
		return err
	}
	return a.written(out)
}

// evaluated refuses runs that have no evaluations, and says where to find what they have.
func evaluated(i *run.Info) error {
	for _, err := range run.Events(i.Dir, "tell") {
		return err
	}
	if verb := i.Manifest.Verb; verb != "minimize" {
		return usagef("%s is a run of %s: runs export writes the evaluations of runs of minimize; its curves are in spdopt report %[1]s --html FILE, its result in spdopt runs show %[1]s --json", i.Dir, verb)
	}
	return &matio.Error{File: i.Dir, What: "the run has no evaluations yet (spdopt runs show)"}
}

// runsExportOutput is the JSON object of "runs export".
type runsExportOutput struct {
	Schema      int          `json:"schema"`
	Run         string       `json:"run"`
	Evaluations []evaluation `json:"evaluations"`
}

func (a *app) exportObject(dir string) error {
	o := runsExportOutput{Schema: schema, Run: dir, Evaluations: []evaluation{}}
	for one, err := range evaluations(dir) {
		if err != nil {
			return err
		}
		o.Evaluations = append(o.Evaluations, one)
	}
	return a.printJSON(o)
}

// evaluations yields what was told to a run, in that order, with the points that it was about.
func evaluations(dir string) iter.Seq2[evaluation, error] {
	return func(yield func(evaluation, error) bool) {
		points := map[uint64][]float64{}
		for e, err := range run.Events(dir, "ask", "tell") {
			switch {
			case err != nil:
				yield(evaluation{}, err)
				return
			case e.Kind == "ask":
				points[e.ID] = e.X
			case !yield(newEvaluation(&e, points), nil):
				return
			}
		}
	}
}

// newEvaluation is a line of an export; it takes the point out of points.
func newEvaluation(e *run.Event, points map[uint64][]float64) evaluation {
	one := evaluation{ID: e.ID, Status: e.Status, Seconds: num(e.Seconds), X: nums(points[e.ID]), G: nums(e.G), Error: e.Error}
	delete(points, e.ID)
	if one.Status == "" {
		f := num(e.F)
		one.F, one.Status = &f, "ok"
	}
	return one
}

func exportEvaluations(w io.Writer, dir string, lines bool) error {
	table := csv.NewWriter(w)
	encoder := json.NewEncoder(w)
	columns, constraints := 0, 0
	for e, err := range run.Events(dir, "tell") {
		if err != nil {
			return err
		}
		constraints = max(constraints, len(e.G))
	}
	for one, err := range evaluations(dir) {
		if err != nil {
			return err
		}
		if lines {
			if err := encoder.Encode(one); err != nil {
				return err
			}
			continue
		}
		if columns == 0 {
			head := header(len(one.X), constraints)
			columns = len(head)
			if err := table.Write(head); err != nil {
				return err
			}
		}
		if err := table.Write(row(&one, columns)); err != nil {
			return err
		}
	}
	table.Flush()
	return table.Error()
}

func header(x, g int) []string {
	head := []string{"id", "f", "status", "seconds"}
	for i := range x {
		head = append(head, "x"+strconv.Itoa(i))
	}
	for i := range g {
		head = append(head, "g"+strconv.Itoa(i))
	}
	return head
}

// row is an evaluation as cells, filled up to the columns of the table: one that failed has no constraint values.
func row(e *evaluation, columns int) []string {
	text := func(v num) string { return strconv.FormatFloat(float64(v), 'g', -1, 64) }
	f := ""
	if e.F != nil {
		f = text(*e.F)
	}
	cells := []string{strconv.FormatUint(e.ID, 10), f, e.Status, text(e.Seconds)}
	for _, v := range append(e.X, e.G...) {
		cells = append(cells, text(v))
	}
	for len(cells) < columns {
		cells = append(cells, "")
	}
	return cells[:columns]
}
