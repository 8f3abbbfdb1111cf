package algoperf

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/spdopt/spdopt/internal/filelock"
	"github.com/spdopt/spdopt/internal/jsonfloat"
	"github.com/spdopt/spdopt/internal/matio"
)

// Ruleset says who chooses hyperparameters.
type Ruleset string

// The rulesets of AlgoPerf.
const (
	External   Ruleset = "external"    // several tunings in a study, of which the fastest counts
	SelfTuning Ruleset = "self-tuning" // one trial in a study, in a larger budget
)

// logFormat and logVersion stand in the first line of a log.
const (
	logFormat  = "spdopt algoperf log"
	logVersion = 1
)

// mostTrials bounds the trials of a study, and the studies: each trial has a seed of its own.
const mostTrials = 1 << 16

// Header is what all trials of a log have in common.
type Header struct {
	Format  string    `json:"format"`
	Version int       `json:"version"`
	Ruleset Ruleset   `json:"ruleset"`
	Clock   ClockKind `json:"clock"`
	Trials  int       `json:"trials"` // in a study
	Studies int       `json:"studies"`
	Seed    uint64    `json:"seed"`
	Data    string    `json:"data,omitempty"` // digest of the files
	Terms   []Terms   `json:"terms"`
}

// Log is the outcome of a comparison, or a part of it.
type Log struct {
	Header
	Records []Record `json:"records"`
}

// VersionError says that a log was written by a version of the program that this one does not understand.
type VersionError struct{ Version int }

// Error says what to do.
func (e *VersionError) Error() string {
	return fmt.Sprintf("is a log of version %d; this program reads version %d; score it with the program that wrote it, or run the comparison again", e.Version, logVersion)
}

// check demands a header that this program understands and rules that can be.
func (h *Header) check() error {
	if h.Format != logFormat {
		return fmt.Errorf("is not a log of trials (its format is %q)", h.Format)
	}
	if h.Version != logVersion {
		return &VersionError{h.Version}
	}
	if h.Ruleset != External && h.Ruleset != SelfTuning {
		return fmt.Errorf("ruleset %q is neither external nor self-tuning", h.Ruleset)
	}
	if h.Clock != StepTime && h.Clock != RealTime {
		return fmt.Errorf("clock %q is neither steps nor real", h.Clock)
	}
	if h.Trials < 1 || h.Studies < 1 || h.Trials > mostTrials || h.Studies > mostTrials {
		return fmt.Errorf("%d studies of %d trials; both must be from 1 to %d", h.Studies, h.Trials, mostTrials)
	}
	seen := map[string]bool{}
	for _, t := range h.Terms {
		if !(t.Budget > 0) || math.IsInf(t.Budget, 0) || t.Target-t.Target != 0 {
			return fmt.Errorf("workload %q has the target %v and the budget %v", t.Workload, t.Target, t.Budget)
		}
		if seen[t.Workload] {
			return fmt.Errorf("workload %q has two targets", t.Workload)
		}
		seen[t.Workload] = true
	}
	return nil
}

// check demands that a record can belong to the header.
func (r *Record) check(h *Header) error {
	i := slices.IndexFunc(h.Terms, func(t Terms) bool { return t.Workload == r.Workload })
	switch {
	case i < 0:
		return fmt.Errorf("workload %q is not in the header", r.Workload)
	case r.Submission == "":
		return fmt.Errorf("a trial without the name of a submission")
	case r.Study < 0 || r.Study >= h.Studies || r.Trial < 0 || r.Trial >= h.Trials:
		return fmt.Errorf("trial %d of study %d; there are %d studies of %d trials", r.Trial, r.Study, h.Studies, h.Trials)
	case !slices.Contains([]Status{Met, Spent, Beaten, Diverged, Hung, Failed}, r.Status):
		return fmt.Errorf("status %q is unknown", r.Status)
	case !(r.Seconds >= 0) || r.Seconds > h.Terms[i].Budget*(1+1e-6):
		return fmt.Errorf("%s on %s ended at %v s; the budget is %v s", r.Submission, r.Workload, r.Seconds, h.Terms[i].Budget)
	case r.Status == Met && r.Seconds == 0:
		return fmt.Errorf("%s met the target of %s in no time", r.Submission, r.Workload)
	}
	return nil
}

// ReadJSON reads a log: a line with the header and a line for each trial, as Run appends them, or one object as WriteJSON writes it. whole is the length up to
// the last complete line; what follows is a line that was cut off, and is left out.
func ReadJSON(r io.Reader) (l *Log, whole int64, err error) {
	content, err := io.ReadAll(r)
	if err != nil {
		return nil, 0, err
	}
	first, rest, lines := bytes.Cut(content, []byte("\n"))
	l = &Log{}
	if err := json.Unmarshal(first, l); err != nil {
		if err := json.Unmarshal(content, l); err != nil {
			return nil, 0, fmt.Errorf("is not a log of trials: %v", jsonfloat.Fault(err))
		}
		first, rest, lines = content, nil, false
	}
	if err := l.Header.check(); err != nil {
		return nil, 0, err
	}
	whole = int64(len(first))
	if lines {
		whole++
	}
	for number := 2; ; number++ {
		line, after, complete := bytes.Cut(rest, []byte("\n"))
		if !complete {
			break
		}
		rest, whole = after, whole+int64(len(line))+1
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var record Record
		if err := json.Unmarshal(line, &record); err != nil {
			return nil, 0, fmt.Errorf("line %d: %v", number, err)
		}
		l.Records = append(l.Records, record)
	}
	return l, whole, l.checkRecords()
}

func (l *Log) checkRecords() error {
	type key struct {
		submission, workload string
		study, trial         int
	}
	seen := map[key]bool{}
	for i := range l.Records {
		r := &l.Records[i]
		if err := r.check(&l.Header); err != nil {
			return fmt.Errorf("trial %d: %w", i+1, err)
		}
		k := key{r.Submission, r.Workload, r.Study, r.Trial}
		if seen[k] {
			return fmt.Errorf("trial %d: %s on %s, study %d, trial %d is there twice", i+1, r.Submission, r.Workload, r.Study, r.Trial)
		}
		seen[k] = true
	}
	return nil
}

// WriteJSON writes the log as one object.
func (l *Log) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(l)
}

// logFile is a log that grows while trials end.
type logFile struct {
	*Log
	file *os.File
	w    *bufio.Writer
}

// openLog begins the log of a file, or goes on with it: the header must be the same, and a last line that was cut off is removed. The path "" keeps the
// log in memory.
func openLog(path string, h Header) (*logFile, error) {
	f := &logFile{Log: &Log{Header: h}}
	if path == "" {
		return f, nil
	}
	var err error
	if f.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		return nil, matio.SystemError(path, "open", err)
	}
	f.w = bufio.NewWriter(f.file)
	if err = f.lock(path); err == nil {
		err = f.load(path, h)
	}
	if err != nil {
		f.file.Close()
		return nil, err
	}
	return f, nil
}

// lock refuses a file that another comparison appends to, and keeps others away until it is closed.
func (f *logFile) lock(path string) error {
	if info, err := f.file.Stat(); err != nil || !info.Mode().IsRegular() {
		return err
	}
	busy, err := filelock.Try(f.file)
	switch {
	case err != nil:
		return &matio.Error{File: path, What: "cannot be locked: " + err.Error(), Try: "a file system with locks"}
	case busy:
		return &matio.Error{File: path, What: "another comparison appends to it", Try: "another file, or wait for its end"}
	}
	return nil
}

func (f *logFile) load(path string, h Header) error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		return f.line(h)
	}
	old, whole, err := ReadJSON(f.file)
	if err != nil {
		return &matio.Error{File: path, What: err.Error()}
	}
	if what := differences(&old.Header, &h); what != "" {
		return &matio.Error{File: path, What: "belongs to another comparison: " + what, Try: "another file"}
	}
	f.Log = old
	if err := f.file.Truncate(whole); err != nil {
		return err
	}
	_, err = f.file.Seek(whole, io.SeekStart)
	return err
}

// line appends a value and forces it to the disk.
func (f *logFile) line(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := f.w.Write(append(text, '\n')); err != nil {
		return err
	}
	if err := f.w.Flush(); err != nil {
		return err
	}
	return f.file.Sync()
}

func (f *logFile) add(r Record) error {
	f.Records = append(f.Records, r)
	if f.file == nil {
		return nil
	}
	return f.line(r)
}

func (f *logFile) close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

// differences says in what two headers differ that makes their trials incomparable, or "". Workloads that only one has do not.
func differences(a, b *Header) string {
	for _, c := range []struct {
		what string
		x, y any
	}{{"ruleset", a.Ruleset, b.Ruleset}, {"clock", a.Clock, b.Clock}, {"trials in a study", a.Trials, b.Trials}, {"studies", a.Studies, b.Studies}, {"seed", a.Seed, b.Seed}} {
		if c.x != c.y {
			return fmt.Sprintf("%s %v and %v", c.what, c.x, c.y)
		}
	}
	for _, t := range a.Terms {
		for _, u := range b.Terms {
			if t.Workload == u.Workload && t != u {
				return termDifference(&t, &u)
			}
		}
	}
	for x := range strings.FieldsSeq(a.Data) {
		for y := range strings.FieldsSeq(b.Data) {
			kind, _, _ := strings.Cut(x, ":")
			if x != y && strings.HasPrefix(y, kind+":") {
				return fmt.Sprintf("data %s and %s", x, y)
			}
		}
	}
	return ""
}

// joinData returns the digests of both.
func joinData(a, b string) string {
	all := strings.Fields(a)
	for part := range strings.FieldsSeq(b) {
		if !slices.Contains(all, part) {
			all = append(all, part)
		}
	}
	return strings.Join(all, " ")
}

func termDifference(t, u *Terms) string {
	switch {
	case t.Target != u.Target:
		return fmt.Sprintf("the targets of %s are %v and %v", t.Workload, t.Target, u.Target)
	case t.Budget != u.Budget:
		return fmt.Sprintf("the budgets of %s are %v and %v s", t.Workload, t.Budget, u.Budget)
	}
	return fmt.Sprintf("the rules of %s are %+v and %+v", t.Workload, *t, *u)
}
