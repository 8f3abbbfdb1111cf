package algoperf

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// csvColumns are the columns of a log as a table, in their order. Each row repeats the rules of its trial, so that rows can be sorted and put together.
var csvColumns = []string{
	"version", "ruleset", "clock", "trials", "studies", "seed", "data", "workload", "base", "metric", "higher", "target", "budget", "period", "step_hint", "most_steps",
	"submission", "study", "trial", "status", "seconds", "steps", "best", "best_step", "message",
}

// WriteCSV writes a row for each trial, without hyperparameters and evaluations.
func (l *Log) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write(csvColumns); err != nil {
		return err
	}
	for i, r := range l.Records {
		k := slices.IndexFunc(l.Terms, func(t Terms) bool { return t.Workload == r.Workload })
		if k < 0 {
			return fmt.Errorf("trial %d: the log has no terms of its workload %q", i+1, r.Workload)
		}
		t := l.Terms[k]
		best := ""
		if r.Best != nil {
			best = number(*r.Best)
		}
		row := []string{
			strconv.Itoa(l.Version), string(l.Ruleset), string(l.Clock), strconv.Itoa(l.Trials), strconv.Itoa(l.Studies), strconv.FormatUint(l.Seed, 10), l.Data,
			t.Workload, t.Base, t.Metric, strconv.FormatBool(t.Higher), number(t.Target), number(t.Budget), number(t.Period), strconv.Itoa(t.StepHint), strconv.Itoa(t.MostSteps),
			r.Submission, strconv.Itoa(r.Study), strconv.Itoa(r.Trial), string(r.Status), number(r.Seconds), strconv.Itoa(r.Steps), best, strconv.Itoa(r.BestStep), r.Message,
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// ReadCSV reads what WriteCSV wrote. The columns may come in any order; those that may be left out are base, metric, higher, period, step_hint, most_steps, data, seed,
// steps, best, best_step and message.
func ReadCSV(r io.Reader) (*Log, error) {
	in := csv.NewReader(r)
	names, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("is not a table of trials: %v", err)
	}
	for _, c := range []string{"version", "ruleset", "clock", "trials", "studies", "workload", "target", "budget", "submission", "study", "trial", "status", "seconds"} {
		if !slices.Contains(names, c) {
			return nil, fmt.Errorf("column %q is missing; the columns are %s", c, strings.Join(names, ", "))
		}
	}
	var l *Log
	for number := 2; ; number++ {
		cells, err := in.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		row := &csvRow{names: names, cells: cells}
		h, t, record := row.header(), row.terms(), row.record()
		if row.err != nil {
			return nil, fmt.Errorf("line %d: %w", number, row.err)
		}
		h.Terms = []Terms{t}
		if err := h.check(); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if l == nil {
			l = &Log{Header: h}
		}
		if what := differences(&l.Header, &h); what != "" {
			return nil, fmt.Errorf("line %d belongs to another comparison: %s", number, what)
		}
		if !slices.Contains(l.Terms, t) {
			l.Terms = append(l.Terms, t)
		}
		l.Records = append(l.Records, record)
	}
	if l == nil {
		return nil, fmt.Errorf("holds no trial")
	}
	return l, l.checkRecords()
}

// csvRow reads cells by the names of their columns and remembers the first that cannot be read.
type csvRow struct {
	names, cells []string
	err          error
}

func (r *csvRow) text(name string) string {
	if i := slices.Index(r.names, name); i >= 0 {
		return r.cells[i]
	}
	return ""
}

func (r *csvRow) float(name string) float64 {
	text := r.text(name)
	if text == "" {
		return 0
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%s: %q is not a number", name, text)
	}
	return v
}

func (r *csvRow) int(name string) int {
	text := r.text(name)
	if text == "" {
		return 0
	}
	v, err := strconv.Atoi(text)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%s: %q is not a whole number", name, text)
	}
	return v
}

func (r *csvRow) bool(name string) bool {
	text := r.text(name)
	if text == "" {
		return false
	}
	v, err := strconv.ParseBool(text)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%s: %q is neither true nor false", name, text)
	}
	return v
}

func (r *csvRow) header() Header {
	h := Header{
		Format: logFormat, Version: r.int("version"), Ruleset: Ruleset(r.text("ruleset")), Clock: ClockKind(r.text("clock")),
		Trials: r.int("trials"), Studies: r.int("studies"), Data: r.text("data"),
	}
	seed := r.text("seed")
	if seed == "" {
		return h
	}
	var err error
	if h.Seed, err = strconv.ParseUint(seed, 10, 64); err != nil && r.err == nil {
		r.err = fmt.Errorf("seed: %q is not a whole number", seed)
	}
	return h
}

func (r *csvRow) terms() Terms {
	return Terms{
		Workload: r.text("workload"), Base: r.text("base"), Metric: r.text("metric"), Higher: r.bool("higher"), Target: r.float("target"),
		Budget: r.float("budget"), Period: r.float("period"), StepHint: r.int("step_hint"), MostSteps: r.int("most_steps"),
	}
}

func (r *csvRow) record() Record {
	out := Record{
		Submission: r.text("submission"), Workload: r.text("workload"), Study: r.int("study"), Trial: r.int("trial"), Status: Status(r.text("status")),
		Seconds: r.float("seconds"), Steps: r.int("steps"), BestStep: r.int("best_step"), Message: r.text("message"),
	}
	if r.text("best") != "" {
		best := r.float("best")
		out.Best = &best
	}
	return out
}
