package run

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spdopt/spdopt/internal/jsonfloat"
)

// The files of a run.
const (
	manifestFile = "run.json"
	journalFile  = "events.jsonl"
	resultFile   = "result.json"
	logFile      = "log.txt"
	lockFile     = "lock"
)

// Options say how a run is written. The zero value is the default.
type Options struct {
	Durable bool // force the journal to the disk with every Tell, so that not even a loss of power takes a result away
}

// Run is a run that this process has open. Its methods may be called from several goroutines.
type Run struct {
	dir      string
	manifest Manifest
	o        Options
	lock     *os.File
	log      *os.File
	state    *State
	from     place // of the journal, after the state
	resumed  bool
	now      func() time.Time // the wall clock; tests set another

	mu      sync.Mutex
	journal journal
	told    bool // anything but asks was written
	closed  bool
}

// Asked is an evaluation that is handed out.
type Asked struct {
	ID        uint64
	Candidate uint64 // the caller's own name for it
	X         []float64
}

// Told is the outcome of an evaluation.
type Told struct {
	ID      uint64
	F       float64
	G       []float64
	Failed  bool
	Error   string  // why it failed, on one line
	Seconds float64 // that it took
	Attempt int     // 0 and 1 are the first
	Worker  string  // who evaluated
}

// WriteError says that a run could not be written. What was told before is safe.
type WriteError struct {
	Dir, File string
	Err       error
}

// Error says what to do.
func (e *WriteError) Error() string {
	return fmt.Sprintf("%s: cannot write %s: %v; what was told before is safe: make room or give permission, then resume", e.Dir, e.File, e.Err)
}

// Unwrap returns the cause.
func (e *WriteError) Unwrap() error { return e.Err }

// ExistsError says that a directory holds a run, or something else, already.
type ExistsError struct{ Dir, What string }

// Error says what to do.
func (e *ExistsError) Error() string { return fmt.Sprintf("%s: %s", e.Dir, e.What) }

// NewID returns an identifier for a run: eight random hexadecimal digits.
func NewID() string {
	var b [4]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// DefaultDir returns the directory of a new run below root: <root>/<date>-<name>-<id>, with what does not belong into a name left out.
func DefaultDir(root, name, id string, now time.Time) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9') })
	clean := strings.Join(words, "-")
	clean = strings.Trim(clean[:min(40, len(clean))], "-")
	if clean == "" {
		clean = "run"
	}
	return filepath.Join(root, strings.Join([]string{now.Format("20060102"), clean, id}, "-"))
}

// Create makes the directory of a new run, with all folders above it, and writes its manifest. A directory that exists must be empty.
func Create(dir string, m Manifest, o Options) (*Run, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		switch {
		case errors.Is(err, syscall.ENOTDIR):
			return nil, &ExistsError{dir, "a file stands where the directory of the run should be; name another"}
		case errors.Is(err, syscall.ENAMETOOLONG):
			return nil, &NotRunError{dir, "the name is too long for a directory"}
		}
		var cause *fs.PathError
		if errors.As(err, &cause) {
			err = cause.Err
		}
		return nil, &NotRunError{dir, fmt.Sprintf("the directory cannot be made: %v; name another", err)}
	}
	held, err := lock(dir)
	if err != nil {
		return nil, err
	}
	if err := vacant(dir); err != nil {
		held.Close()
		return nil, err
	}
	m.Schema, m.Created = Schema, time.Now().UTC().Truncate(time.Millisecond)
	if m.ID == "" {
		m.ID = NewID()
	}
	r := &Run{dir: dir, manifest: m, o: o, lock: held, now: time.Now}
	text, err := json.MarshalIndent(m, "", "  ")
	if err == nil {
		err = writeFile(filepath.Join(dir, manifestFile), text, []byte{'\n'})
	}
	if err != nil {
		held.Close()
		return nil, &WriteError{dir, manifestFile, err}
	}
	if err := r.start(place{}); err != nil {
		held.Close()
		return nil, err
	}
	return r, nil
}

// vacant demands that a directory holds nothing but what a process leaves that was killed before it wrote the manifest.
func vacant(dir string) error {
	if err := removeTemporaries(dir); err != nil {
		return &WriteError{dir, manifestFile, err}
	}
	if _, err := os.Lstat(filepath.Join(dir, manifestFile)); err == nil {
		return &ExistsError{dir, "holds a run already; resume it or name another directory"}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return &WriteError{dir, manifestFile, err}
	}
	for _, e := range entries {
		if e.Name() != lockFile {
			return &ExistsError{dir, "is not empty (" + e.Name() + "); name another directory"}
		}
	}
	return nil
}

// Open opens a run to go on with it. It checks the journal and loads the newest intact state, to which the journal must lead.
func Open(dir string, o Options) (*Run, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	r := &Run{dir: dir, manifest: *m, o: o, resumed: true, now: time.Now}
	if r.lock, err = lock(dir); err != nil {
		return nil, err
	}
	end, err := r.load()
	if err == nil {
		err = removeTemporaries(dir)
	}
	if err == nil {
		err = r.start(end)
	}
	if err != nil {
		r.lock.Close()
		return nil, err
	}
	return r, nil
}

// load reads states and journal; end is the last whole line.
func (r *Run) load() (end place, err error) {
	path := filepath.Join(r.dir, journalFile)
	found, err := loadStates(r.dir)
	if err != nil {
		return end, err
	}
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && len(found) == 0:
		return end, nil // the process died before the first line
	case err != nil:
		return end, &DamageError{path, 1, err.Error()}
	}
	defer f.Close()
	end, err = verify(path, f, func(p place) {
		for i := range found {
			found[i].fits = found[i].fits || found[i].at == p
		}
	})
	if err != nil || len(found) == 0 {
		return end, err
	}
	newest := found[0]
	switch {
	case newest.at.Line > end.Line:
		return end, &DamageError{path, end.Line + 1, fmt.Sprintf("it is missing, %s was written after line %d: the file was truncated", newest.name, newest.at.Line)}
	case !newest.fits:
		return end, &DamageError{path, max(1, newest.at.Line), newest.name + " was written after another line: the file was replaced"}
	}
	r.state, r.from = newest.state, newest.at
	return end, nil
}

// start opens journal and log for writing.
func (r *Run) start(end place) error {
	f, err := os.OpenFile(filepath.Join(r.dir, journalFile), os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return &WriteError{r.dir, journalFile, err}
	}
	if err = f.Truncate(end.Offset); err == nil {
		_, err = f.Seek(end.Offset, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return &WriteError{r.dir, journalFile, err}
	}
	r.journal = journal{f: f, end: end, next: end}
	if r.log, err = os.OpenFile(filepath.Join(r.dir, logFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666); err != nil {
		f.Close()
		return &WriteError{r.dir, logFile, err}
	}
	return nil
}

// Dir returns the directory.
func (r *Run) Dir() string { return r.dir }

// Manifest returns what the run is.
func (r *Run) Manifest() *Manifest { return &r.manifest }

// Resumed says whether the run was opened, not created.
func (r *Run) Resumed() bool { return r.resumed }

// State returns the state that Open found, nil if there is none: then Tail is the whole journal.
func (r *Run) State() *State { return r.state }

// Tail yields the events of the journal after State, in order, as they were when the run was opened; kinds, if any, are the ones wanted. An error ends it.
func (r *Run) Tail(kinds ...string) iter.Seq2[Event, error] {
	return (&Reader{filepath.Join(r.dir, journalFile), r.from}).New(kinds...)
}

// Log is where notes and the error output of workers go.
func (r *Run) Log() io.Writer { return r.log }

// append adds a line that fill completes.
func (r *Run) append(kind string, fill func(b []byte) []byte, write, force bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	j := &r.journal
	if j.err == nil {
		r.told = r.told || kind != "ask"
		j.open(kind, r.now())
		j.pending = fill(j.pending)
		j.close()
		switch {
		case force:
			_ = j.sync()
		case write || len(j.pending) > 1<<20:
			_ = j.flush()
		}
	}
	return r.failed()
}

// failed wraps what went wrong with the journal.
func (r *Run) failed() error {
	if r.journal.err == nil {
		return nil
	}
	return &WriteError{r.dir, journalFile, r.journal.err}
}

// Ask notes that an evaluation is handed out. The line is written together with the next Tell, Event, Flush or Checkpoint.
func (r *Run) Ask(a Asked) error {
	return r.append("ask", func(b []byte) []byte {
		b = strconv.AppendUint(append(b, `,"id":`...), a.ID, 10)
		b = strconv.AppendUint(append(b, `,"c":`...), a.Candidate, 10)
		return jsonfloat.AppendList(append(b, `,"x":`...), a.X)
	}, false, false)
}

// Tell notes the outcome of an evaluation. When it returns the line survives the death of the process, and with Durable the loss of power.
func (r *Run) Tell(t Told) error {
	return r.append("tell", func(b []byte) []byte {
		b = strconv.AppendUint(append(b, `,"id":`...), t.ID, 10)
		b = jsonfloat.Append(append(b, `,"f":`...), t.F)
		if t.G != nil {
			b = jsonfloat.AppendList(append(b, `,"g":`...), t.G)
		}
		if t.Seconds > 0 {
			b = strconv.AppendFloat(append(b, `,"s":`...), t.Seconds, 'g', 4, 64)
		}
		if t.Failed {
			b = append(b, `,"status":"failed"`...)
		}
		if t.Error != "" {
			b = appendString(append(b, `,"error":`...), t.Error)
		}
		if t.Attempt > 1 {
			b = strconv.AppendInt(append(b, `,"attempt":`...), int64(t.Attempt), 10)
		}
		if t.Worker != "" {
			b = appendString(append(b, `,"worker":`...), t.Worker)
		}
		return b
	}, true, r.o.Durable)
}

func appendString(b []byte, s string) []byte {
	quoted, _ := json.Marshal(s) // strings always marshal
	return append(b, quoted...)
}

// Event writes an event of another kind, such as iter, warn or stop. fields must marshal to a JSON object, or be nil; the names n, t, ev and crc are taken.
func (r *Run) Event(kind string, fields any) error {
	extra := []byte("{}")
	if fields != nil {
		var err error
		if extra, err = json.Marshal(fields); err != nil {
			return fmt.Errorf("run: event %s: %w", kind, err)
		}
		if len(extra) < 2 || extra[0] != '{' {
			return fmt.Errorf("run: event %s: the fields are no object: %s", kind, extra)
		}
	}
	return r.append(kind, func(b []byte) []byte {
		if len(extra) > 2 {
			b = append(append(b, ','), extra[1:len(extra)-1]...)
		}
		return b
	}, true, false)
}

// Flush hands all lines to the operating system.
func (r *Run) Flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.journal.flush()
	return r.failed()
}

// Sync forces the journal to the disk.
func (r *Run) Sync() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.journal.sync()
	return r.failed()
}

// Checkpoint forces the journal to the disk and stores the state of the computation after all that was asked and told. The caller sees to it that nothing is
// asked or told meanwhile that the state does not hold.
func (r *Run) Checkpoint(s State) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	j := &r.journal
	if j.err != nil {
		return r.failed()
	}
	r.told = true
	j.open("checkpoint", r.now())
	j.pending = fmt.Appendf(j.pending, `,"state":"%s"`, stateName(j.next.Line+1))
	j.close()
	if err := j.sync(); err != nil {
		return r.failed()
	}
	if err := writeState(r.dir, r.manifest.Version, j.end, &s); err != nil {
		return &WriteError{r.dir, stateName(j.end.Line), err}
	}
	if err := pruneStates(r.dir); err != nil {
		return &WriteError{r.dir, stateFile + "*", err}
	}
	return nil
}

// Finish writes the result: the run is over. value is the verb's own result and must marshal to JSON.
func (r *Run) Finish(res Result, value any) error {
	if err := r.Event("stop", map[string]any{"status": res.Status, "reason": res.Reason}); err != nil {
		return err
	}
	if err := r.Sync(); err != nil {
		return err
	}
	var err error
	if res.Value, err = json.Marshal(value); err != nil {
		return fmt.Errorf("run: result: %w", err)
	}
	r.mu.Lock()
	res.Lines = r.journal.end.Line
	r.mu.Unlock()
	res.Schema, res.Ended = Schema, r.now().UTC().Truncate(time.Millisecond)
	text, err := json.MarshalIndent(res, "", "  ")
	if err != nil {
		return fmt.Errorf("run: result: %w", err)
	}
	if err := writeFile(filepath.Join(r.dir, resultFile), text, []byte{'\n'}); err != nil {
		return &WriteError{r.dir, resultFile, err}
	}
	return nil
}

// Finished says whether the result is written.
func (r *Run) Finished() bool {
	_, err := os.Stat(filepath.Join(r.dir, resultFile))
	return err == nil
}

// Close writes what is still in memory and gives the run free. Closing again does nothing.
func (r *Run) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	_ = r.journal.flush()
	err := r.failed()
	err = errors.Join(err, r.journal.f.Close(), r.log.Close())
	return errors.Join(err, r.lock.Close())
}

// Discard closes a run that came to nothing and deletes its directory: one that this process created and in which nothing was written but asks. Any other it only closes.
func (r *Run) Discard() (discarded bool, err error) {
	if err := r.Close(); err != nil || r.resumed || r.told {
		return false, err
	}
	return true, Remove(r.dir)
}
