package algoperf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func record(submission, workload string, study, trial int, status Status, seconds float64) Record {
	return Record{Submission: submission, Workload: workload, Study: study, Trial: trial, Status: status, Seconds: seconds}
}

func testLog() *Log {
	l := &Log{Header: Header{
		Format: logFormat, Version: logVersion, Ruleset: External, Clock: StepTime, Trials: 2, Studies: 3, Seed: 1, Data: "digits:12345678",
		Terms: []Terms{
			{Workload: "x", Metric: "loss", Target: 0.1, Budget: 10, Period: 1, StepHint: 100},
			{Workload: "x-wide", Base: "x", Metric: "loss", Target: 0.2, Budget: 20, Period: 1, StepHint: 100},
		},
	}}
	best := 0.30000000000000004
	for study := range 3 {
		for trial := range 2 {
			l.Records = append(l.Records, record("adamw", "x", study, trial, Met, float64(1+study+3*trial)), record("other, \"o\"", "x", study, trial, Spent, 10))
		}
	}
	l.Records[1].Best, l.Records[1].BestStep, l.Records[1].Steps, l.Records[1].Message = &best, 7, 9, "line\nbreak"
	l.Records[3].Status, l.Records[3].Seconds = Diverged, 0
	return l
}

// TestMedianOfMinima: the time is the median over studies of the fastest trial.
func TestMedianOfMinima(t *testing.T) {
	l := testLog()
	table := l.Tabulate()
	if got := fmt.Sprint(table.Submissions, table.Seconds); got != `[adamw other, "o"] [[2 NaN] [+Inf NaN]]` {
		t.Errorf("times %s", got)
	}
	l.Records = slices.DeleteFunc(l.Records, func(r Record) bool { return r.Study == 1 })
	if got := l.Tabulate().Seconds[0][0]; got != 3 {
		t.Errorf("one study of three not made (1, +Inf, 3): median %v", got)
	}
	l.Records = slices.DeleteFunc(l.Records, func(r Record) bool { return r.Study == 2 })
	if got := l.Tabulate().Seconds[0][0]; !math.IsInf(got, 1) {
		t.Errorf("two studies of three not made: median %v", got)
	}
}

func TestLogRoundTrips(t *testing.T) {
	l := testLog()
	var asJSON, asCSV bytes.Buffer
	if err := l.WriteJSON(&asJSON); err != nil {
		t.Fatal(err)
	}
	if err := l.WriteCSV(&asCSV); err != nil {
		t.Fatal(err)
	}
	back, _, err := ReadJSON(&asJSON)
	if err != nil || !reflect.DeepEqual(back, l) {
		t.Errorf("JSON: %+v, %v", back, err)
	}
	back, err = ReadCSV(&asCSV)
	l.Terms = l.Terms[:1] // no trial on the other
	if err != nil || !reflect.DeepEqual(back, l) {
		t.Errorf("CSV: %+v, %v", back, err)
	}
}

// TestPublishedScoresFromCSV takes the published times through the table of trials and back.
func TestPublishedScoresFromCSV(t *testing.T) {
	for ruleset, g := range publishedTables(t) {
		l := &Log{Header: Header{Format: logFormat, Version: logVersion, Ruleset: ruleset, Clock: RealTime, Trials: 1, Studies: 1}}
		for j, w := range g.table.Workloads {
			budget := g.table.Budget[w]
			if budget == 0 {
				budget = 1e6 // of variants, which no number depends on
			}
			l.Terms = append(l.Terms, Terms{Workload: w, Base: g.table.Base[w], Budget: budget})
			for i, s := range g.table.Submissions {
				switch v := g.table.Seconds[i][j]; {
				case math.IsInf(v, 1):
					l.Records = append(l.Records, record(s, w, 0, 0, Spent, budget))
				case v == v:
					l.Records = append(l.Records, record(s, w, 0, 0, Met, v))
				}
			}
		}
		var b bytes.Buffer
		if err := l.WriteCSV(&b); err != nil {
			t.Fatal(err)
		}
		back, err := ReadCSV(&b)
		if err != nil {
			t.Fatal(err)
		}
		scores, err := V05().Compute(back.Tabulate(), "baseline")
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range scores.Rows {
			if s := row.Submission; !near(row.Score, g.Grid[s], 1e-12) || !near(row.Speed, g.Speed[s], 1e-12) {
				t.Errorf("%s: score %v, speed %v; published %v and %v", s, row.Score, row.Speed, g.Grid[s], g.Speed[s])
			}
		}
	}
}

func TestMergeRefusesOtherRules(t *testing.T) {
	names := []string{"one.jsonl", "two.jsonl"}
	for what, change := range map[string]func(*Log){
		"the targets of x are 0.1 and 0.11":                  func(l *Log) { l.Terms[0].Target = 0.11 },
		"the budgets of x-wide are 20 and 21 s":              func(l *Log) { l.Terms[1].Budget = 21 },
		"the rules of x are":                                 func(l *Log) { l.Terms[0].Period = 2 },
		"clock steps and real":                               func(l *Log) { l.Clock = RealTime },
		"ruleset external and self-tuning":                   func(l *Log) { l.Ruleset = SelfTuning },
		"studies 3 and 2":                                    func(l *Log) { l.Studies = 2 },
		"data digits:12345678 and digits:87654321":           func(l *Log) { l.Data = "text:1 digits:87654321" },
		"adamw on x, study 0, trial 0 is there twice":        func(l *Log) {},
		"two.jsonl: trial 13: adamw on x, study 0, trial 0 ": func(l *Log) {},
	} {
		other := testLog()
		change(other)
		if _, err := Merge([]*Log{testLog(), other}, names); err == nil || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), "two.jsonl") {
			t.Errorf("want %q, got %v", what, err)
		}
	}
	other := testLog()
	other.Data = "text:1"
	other.Terms = []Terms{{Workload: "y", Metric: "loss", Target: 1, Budget: 5}, other.Terms[0]}
	other.Records = []Record{record("adamw", "y", 0, 0, Met, 1), record("muon", "x", 0, 0, Met, 2)}
	l, err := Merge([]*Log{testLog(), other}, names)
	if err != nil {
		t.Fatal(err)
	}
	if l.Data != "digits:12345678 text:1" || len(l.Terms) != 3 || len(l.Records) != 14 || l.Records[13].Workload != "y" {
		t.Errorf("%+v", l)
	}
	for what, logs := range map[string][]*Log{"no log": {}, "1 is nil": {testLog(), nil}, "2 names for 1 logs": {testLog()}} {
		if _, err := Merge(logs, names); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("want %q, got %v", what, err)
		}
	}
	lost := testLog()
	lost.Terms = nil
	if err := lost.WriteCSV(io.Discard); err == nil || !strings.Contains(err.Error(), "no terms") {
		t.Errorf("a log without terms: %v", err)
	}
}

func TestBadLogs(t *testing.T) {
	header := `{"format":"spdopt algoperf log","version":1,"ruleset":"external","clock":"steps","trials":2,"studies":3,"seed":1,"terms":[{"workload":"x","metric":"loss","target":0.1,"budget":10,"period":1,"step_hint":9}]}`
	line := `{"submission":"a","workload":"x","study":0,"trial":0,"status":"met","seconds":2,"steps":3}`
	with := func(text, old, new string) string {
		if !strings.Contains(text, old) {
			t.Fatalf("%q is not in %q", old, text)
		}
		return strings.Replace(text, old, new, 1)
	}
	for content, want := range map[string]string{
		"":      "is not a log of trials",
		"hello": "is not a log of trials",
		"{}":    "its format is",
		with(header, `"version":1`, `"version":2`):                              "is a log of version 2; this program reads version 1",
		with(header, `"external"`, `"mine"`):                                    "ruleset",
		with(header, `"steps"`, `"moon"`):                                       "clock",
		with(header, `"trials":2`, `"trials":0`):                                "studies of 0 trials",
		with(header, `"budget":10`, `"budget":-1`):                              "the budget -1",
		header + "\n" + with(line, `"x"`, `"y"`) + "\n":                         `workload "y" is not in the header`,
		header + "\n" + with(line, `"a"`, `""`) + "\n":                          "without the name",
		header + "\n" + with(line, `"study":0`, `"study":3`) + "\n":             "trial 0 of study 3",
		header + "\n" + with(line, `"met"`, `"won"`) + "\n":                     "status",
		header + "\n" + with(line, `"seconds":2`, `"seconds":11`) + "\n":        "ended at 11 s; the budget is 10 s",
		header + "\n" + with(line, `"seconds":2`, `"seconds":0`) + "\n":         "in no time",
		header + "\n" + line + "\n" + line + "\n":                               "is there twice",
		header + "\n" + with(line, `"steps"`, `steps`) + "\n":                   "line 2",
		with(header, `"terms":[{`, `"terms":[{"workload":"x","budget":1},{`):    "two targets",
		header + "\n" + with(line, `"trial":0`, `"trial":-1`) + "\n" + line[:9]: "trial -1",
	} {
		if _, _, err := ReadJSON(strings.NewReader(content)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.150q: %v, want %q", content, err, want)
		}
	}
	var v *VersionError
	if _, _, err := ReadJSON(strings.NewReader(with(header, `"version":1`, `"version":7`))); !errors.As(err, &v) || v.Version != 7 {
		t.Errorf("another version: %v", err)
	}
	l, whole, err := ReadJSON(strings.NewReader(header + "\n" + line + "\n" + line[:20]))
	if err != nil || len(l.Records) != 1 || whole != int64(len(header)+len(line)+2) {
		t.Errorf("a line cut off: %+v, %d, %v", l, whole, err)
	}
}

func TestBadCSV(t *testing.T) {
	var b bytes.Buffer
	l := testLog()
	l.Records = l.Records[:1]
	if err := l.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	good := b.String()
	for _, c := range []struct{ old, new, want string }{
		{"target", "goal", `column "target" is missing`},
		{"\n1,", "\n2,", "line 2: is a log of version 2"},
		{",met,", ",Met,", "status"},
		{",10,", ",ten,", `budget: "ten" is not a number`},
		{",met,1,", ",met,1,9,", "wrong number of fields"},
		{"external", "extern", "ruleset"},
		{",0,0,met", ",0,x,met", `trial: "x" is not a whole number`},
		{",false,", ",no,", `higher: "no" is neither true nor false`},
		{",3,1,digits", ",3,-1,digits", `seed: "-1" is not`},
		{good[strings.Index(good, "\n")+1:], "", "holds no trial"},
		{good, "", "is not a table of trials"},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		if _, err := ReadCSV(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q for %q: %v, want %q", c.new, c.old, err, c.want)
		}
	}
	two := good + strings.Replace(good[strings.Index(good, "\n")+1:], ",0.1,", ",0.2,", 1)
	if _, err := ReadCSV(strings.NewReader(two)); err == nil || !strings.Contains(err.Error(), "line 3 belongs to another comparison: the targets of x are 0.1 and 0.2") {
		t.Errorf("two targets: %v", err)
	}
}

// FuzzReadLog: no content makes the readers panic, and what they accept they write and read again.
func FuzzReadLog(f *testing.F) {
	var asJSON, asCSV bytes.Buffer
	if err := errors.Join(testLog().WriteJSON(&asJSON), testLog().WriteCSV(&asCSV)); err != nil {
		f.Fatal(err)
	}
	f.Add(asJSON.Bytes())
	f.Add(asCSV.Bytes())
	f.Add([]byte("{}\n{}\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		l, whole, err := ReadJSON(bytes.NewReader(content))
		if err == nil {
			if whole > int64(len(content)) {
				t.Errorf("%d of %d bytes are whole", whole, len(content))
			}
			again(t, l)
		}
		if l, err := ReadCSV(bytes.NewReader(content)); err == nil {
			again(t, l)
		}
	})
}

func again(t *testing.T, l *Log) {
	l.Tabulate()
	var b bytes.Buffer
	if err := l.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ReadJSON(&b); err != nil {
		t.Errorf("what was accepted is refused: %v", err)
	}
}

// A log is that of one comparison at a time; it is free again when that ends.
func TestLogInUse(t *testing.T) {
	c := toyConfig(t)
	c.Log = filepath.Join(t.TempDir(), "log.jsonl")
	l := mustRun(t, c)
	first, err := openLog(c.Log, l.Header)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "another comparison appends to it") {
		t.Errorf("a log in use: %v", err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	if again := mustRun(t, c); text(t, again) != text(t, l) {
		t.Error("the log changed")
	}
}
