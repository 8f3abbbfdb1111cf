package monitor

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spdopt/spdopt/internal/report"
	"github.com/spdopt/spdopt/internal/run"
)

// Name is the name of the folder of the run.
func (v *View) Name() string { return filepath.Base(v.Info.Dir) }

// Title says what the run is.
func (v *View) Title() string {
	m := &v.Info.Manifest
	return strings.Join(append(append([]string{m.Verb}, m.Args...), m.Name), " ")
}

// Age is how long ago the run last wrote, as a rounded duration.
func (v *View) Age(now time.Time) string {
	if v.Last.IsZero() {
		return "never"
	}
	d := max(0, now.Sub(v.Last))
	if d > time.Minute {
		return d.Round(time.Minute).String()
	}
	return d.Round(time.Second).String()
}

// Summary is the progress of the run in pairs of words.
func (v *View) Summary() [][2]string {
	pairs := [][2]string{{"status", string(v.Info.Status)}}
	if r := v.Info.Result; r != nil {
		pairs = append(pairs, [2]string{"reason", r.Reason}, [2]string{"seconds", fmt.Sprintf("%.4g", r.Seconds)})
	}
	if v.Told > 0 {
		pairs = append(pairs, [2]string{"evaluations", fmt.Sprintf("%d (%d failed, %d under way)", v.Told, v.Failed, v.Open)})
	}
	if !math.IsNaN(v.Best) {
		pairs = append(pairs, [2]string{"best f", number(v.Best)})
	}
	for _, n := range v.Latest {
		if n.Name != "best" && n.Name != "evaluations" {
			pairs = append(pairs, [2]string{words(n.Name), fmt.Sprintf("%.6g", n.Value)})
		}
	}
	return pairs
}

// words makes words of the name of a field.
func words(field string) string {
	if field == "axes" {
		return "lengths of the axes of the distribution (square roots of eigenvalues)"
	}
	return strings.ReplaceAll(field, "_", " ")
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 10, 64) }

// WorkerTable says who evaluated what; nil if nobody did.
func (v *View) WorkerTable() *report.Table {
	if len(v.Workers) == 0 {
		return nil
	}
	t := &report.Table{Header: []string{"worker", "evaluations", "failed", "seconds each", "last"}}
	for _, w := range v.Workers {
		name := w.Name
		if name == "" {
			name = "this process"
		}
		t.Rows = append(t.Rows, []string{name, strconv.Itoa(w.Told), strconv.Itoa(w.Failed), fmt.Sprintf("%.3g", w.Seconds/float64(w.Told)), w.Last.Format(time.DateTime)})
		t.Bad = append(t.Bad, w.Failed > 0 && 2*w.Failed > w.Told)
	}
	return t
}

// FailureTable lists the newest failures; nil if there are none.
func (v *View) FailureTable() *report.Table {
	if len(v.Failures) == 0 {
		return nil
	}
	t := &report.Table{Header: []string{"evaluation", "at", "error"}}
	for _, f := range v.Failures {
		t.Rows = append(t.Rows, []string{strconv.FormatUint(f.ID, 10), f.At.Format(time.DateTime), f.Error})
	}
	return t
}

// SettingTable lists the settings with where they come from; those that were left at their defaults come last.
func (v *View) SettingTable() *report.Table {
	t := &report.Table{Header: []string{"setting", "value", "from"}}
	for _, defaults := range []bool{false, true} {
		for _, s := range v.Info.Manifest.Settings {
			if (s.Origin == run.FromDefault) == defaults && s.Value != "" {
				t.Rows = append(t.Rows, []string{s.Name, s.Value, string(s.Origin)})
			}
		}
	}
	return t
}

// HostTable says where and with what the run was started.
func (v *View) HostTable() *report.Table {
	m := &v.Info.Manifest
	return &report.Table{Rows: [][]string{
		{"spdopt", m.Version}, {"go", m.Host.Go}, {"machine", fmt.Sprintf("%s, %s/%s, %d processors", m.Host.Name, m.Host.OS, m.Host.Arch, m.Host.Processors)},
		{"kernels", m.Host.Kernels}, {"seed", strconv.FormatUint(m.Seed, 10)}, {"started", m.Created.Format(time.DateTime)}, {"problem", m.Problem},
		{"command", strings.Join(m.Argv, " ")},
	}}
}

// ResultTable lists the plain values of the result; nil if there is none.
func (v *View) ResultTable() *report.Table {
	if v.Info.Result == nil {
		return nil
	}
	fields := run.Fields(v.Info.Result.Value)
	if len(fields) == 0 {
		return nil
	}
	t := &report.Table{}
	for _, f := range fields {
		value := strings.Join(strings.Fields(string(f.Value)), " ")
		if len(value) <= longestValue && f.Name != "schema" {
			t.Rows = append(t.Rows, []string{words(f.Name), plain(value)})
		}
	}
	return t
}

// plain writes a value of JSON for people: lists without brackets and quotes.
func plain(text string) string {
	var words []string
	if json.Unmarshal([]byte(text), &words) == nil {
		return strings.Join(words, "; ")
	}
	var all []run.Num
	if json.Unmarshal([]byte(text), &all) != nil {
		return strings.Trim(text, `"`)
	}
	words = words[:0]
	for _, v := range all {
		words = append(words, number(float64(v)))
	}
	return strings.Join(words, ", ")
}

// longestValue is as much of a value as a table shows; matrices belong into files.
const longestValue = 300

// Page is the report of one run, or of several side by side.
func Page(views []*View) *report.Page {
	if len(views) == 1 {
		v := views[0]
		p := &report.Page{Title: v.Name(), Intro: v.Title()}
		p.Sections = v.sections()
		return p
	}
	p := &report.Page{Title: "Comparison of runs"}
	t := &report.Table{Header: []string{"run", "what", "status", "evaluations", "best f", "seconds"}}
	for _, v := range views {
		row := []string{v.Name(), v.Title(), string(v.Info.Status), strconv.Itoa(v.Told), "", ""}
		if !math.IsNaN(v.Best) {
			row[4] = number(v.Best)
		}
		if r := v.Info.Result; r != nil {
			row[5] = fmt.Sprintf("%.4g", r.Seconds)
		}
		t.Rows = append(t.Rows, row)
	}
	p.Sections = append(p.Sections, report.Section{Title: "Runs", Table: t, Curves: Compare(views, "")})
	p.Sections = append(p.Sections, report.Section{Title: "Settings that differ", Table: differences(views)})
	for _, v := range views {
		own := v.sections()
		own[0].Title = v.Name() + ": " + strings.ToLower(own[0].Title)
		p.Sections = append(p.Sections, own...)
	}
	return p
}

func (v *View) sections() []report.Section {
	progress := &report.Table{}
	for _, pair := range v.Summary() {
		progress.Rows = append(progress.Rows, pair[:])
	}
	all := []report.Section{{Title: "Progress", Table: progress, Curves: v.Curves()}}
	for _, s := range []report.Section{
		{Title: "Result", Table: v.ResultTable()}, {Title: "Workers", Table: v.WorkerTable()}, {Title: "Failures", Table: v.FailureTable()},
		{Title: "Settings", Table: v.SettingTable()}, {Title: "Environment", Table: v.HostTable()},
	} {
		if s.Table != nil {
			all = append(all, s)
		}
	}
	return all
}

// differences lists the settings in which the runs differ.
func differences(views []*View) *report.Table {
	t := &report.Table{Header: []string{"setting"}}
	var names []string
	known := map[string]bool{}
	for _, v := range views {
		t.Header = append(t.Header, v.Name())
		for _, s := range v.Info.Manifest.Settings {
			if !known[s.Name] {
				known[s.Name] = true
				names = append(names, s.Name)
			}
		}
	}
	for _, name := range names {
		row, same := []string{name}, true
		for _, v := range views {
			row = append(row, v.Info.Manifest.Setting(name))
			same = same && row[len(row)-1] == row[1]
		}
		if !same {
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}
