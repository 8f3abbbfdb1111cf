// Package monitor turns the journals of runs into what people look at: numbers, series, tables and pictures. It only reads.
package monitor

import (
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/spdopt/spdopt/internal/run"
)

// View is what a run has come to. It is for one goroutine.
type View struct {
	Info   *run.Info
	Events int
	// Told counts the evaluations with an outcome, Failed those without a value, Open those that are under way.
	Told, Failed, Open int
	Best               float64 // smallest value told; NaN if there is none
	Last               time.Time
	Series             []*Series
	Workers            []*Worker
	Failures           []Failure // the newest last
	Latest             []Number  // numbers of the newest iteration

	reader *run.Reader
	asked  map[uint64]bool
}

// Number is a named number.
type Number struct {
	Name  string
	Value float64
}

// Series is a number, or several, over the course of a run.
type Series struct {
	Name string
	X    string // what the course is counted in
	// Lines holds one line of (x, y) for each number.
	Lines [][][2]float64
	skip  int // of the newest points only every 2^skip-th is kept
	seen  int
}

// Worker is somebody who evaluates.
type Worker struct {
	Name         string
	Told, Failed int
	Seconds      float64 // spent on evaluations
	Last         time.Time
}

// Failure is an evaluation without a value.
type Failure struct {
	ID    uint64
	At    time.Time
	Error string
}

const (
	mostPoints   = 1024 // of a line
	mostFailures = 20
	mostLines    = 16 // of a series
)

// Read returns the view of the run in dir.
func Read(dir string) (*View, error) {
	v := &View{Best: math.NaN(), reader: run.NewReader(dir), asked: map[uint64]bool{}}
	v.Info = &run.Info{Dir: dir}
	_, err := v.Refresh()
	return v, err
}

// Refresh takes in what is new and reports whether anything is.
func (v *View) Refresh() (bool, error) {
	info, err := run.Inspect(v.Info.Dir)
	if err != nil {
		return false, err
	}
	changed := info.Status != v.Info.Status
	v.Info = info
	for e, err := range v.reader.New() {
		if err != nil {
			return changed, err
		}
		v.take(&e)
		changed = true
	}
	v.Open = len(v.asked)
	return changed, nil
}

func (v *View) take(e *run.Event) {
	v.Events++
	v.Last = e.Time
	switch e.Kind {
	case "ask":
		v.asked[e.ID] = true
	case "tell":
		delete(v.asked, e.ID)
		v.told(e)
	case "iter":
		v.iteration(e.Raw)
	}
}

func (v *View) told(e *run.Event) {
	v.Told++
	w := v.worker(e.Worker)
	w.Told++
	w.Seconds += e.Seconds
	w.Last = e.Time
	if e.Status == "failed" {
		v.Failed++
		w.Failed++
		if len(v.Failures) == mostFailures {
			v.Failures = slices.Delete(v.Failures, 0, 1)
		}
		v.Failures = append(v.Failures, Failure{e.ID, e.Time, e.Error})
		return
	}
	if !(v.Best <= e.F) && !math.IsNaN(e.F) {
		v.Best = e.F
	}
}

func (v *View) worker(name string) *Worker {
	for _, w := range v.Workers {
		if w.Name == name {
			return w
		}
	}
	w := &Worker{Name: name}
	v.Workers = append(v.Workers, w)
	return w
}

// courses are the fields that the course of a run is counted in, the first one that an iteration has.
var courses = []string{"step", "iteration", "evaluations"}

// counts are fields that only say how far the run is; they make no series.
var counts = []string{"evaluations", "generations", "iteration", "step"}

// iteration takes the numbers of an iteration into the series.
func (v *View) iteration(raw []byte) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return
	}
	course := ""
	var x float64
	for _, name := range courses {
		if n := numbers(fields[name]); len(n) == 1 && course == "" {
			course, x = name, n[0]
		}
	}
	if course == "" {
		return
	}
	names := make([]string, 0, len(fields))
	for name := range fields {
		if !slices.Contains([]string{"n", "t", "ev", course}, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	v.Latest = append(v.Latest[:0], Number{course, x})
	for _, name := range names {
		y := numbers(fields[name])
		if len(y) == 0 {
			continue
		}
		if len(y) == 1 {
			v.Latest = append(v.Latest, Number{name, y[0]})
		}
		if !slices.Contains(counts, name) {
			v.series(name, course).add(x, y)
		}
	}
}

// numbers reads a number or a list of numbers; nil is something else.
func numbers(raw json.RawMessage) []float64 {
	if len(raw) == 0 || raw[0] == '{' || raw[0] == 't' || raw[0] == 'f' || raw[0] == 'n' {
		return nil
	}
	if raw[0] != '[' {
		var one run.Num
		if json.Unmarshal(raw, &one) != nil {
			return nil
		}
		return []float64{float64(one)}
	}
	var many []run.Num
	if json.Unmarshal(raw, &many) != nil {
		return nil
	}
	y := make([]float64, min(len(many), mostLines))
	for i := range y {
		y[i] = float64(many[i])
	}
	return y
}

func (v *View) series(name, course string) *Series {
	for _, s := range v.Series {
		if s.Name == name {
			return s
		}
	}
	s := &Series{Name: name, X: course}
	v.Series = append(v.Series, s)
	return s
}

// add appends a point to every line; of long lines every second point goes, so that a run of any length keeps its shape in bounded memory.
func (s *Series) add(x float64, y []float64) {
	s.seen++
	if s.seen%(1<<s.skip) != 0 {
		return
	}
	for len(s.Lines) < len(y) {
		s.Lines = append(s.Lines, nil)
	}
	for i, v := range y {
		s.Lines[i] = append(s.Lines[i], [2]float64{x, v})
	}
	if len(s.Lines[0]) < mostPoints {
		return
	}
	for i, line := range s.Lines {
		for k := range len(line) / 2 {
			line[k] = line[2*k+1]
		}
		s.Lines[i] = line[:len(line)/2]
	}
	s.skip++
}
