package distribute

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spdopt/spdopt/internal/jsonfloat"
	"github.com/spdopt/spdopt/internal/objective"
	"github.com/spdopt/spdopt/internal/run"
)

// Spec is what workers must know of a run.
type Spec struct {
	Run         string        `json:"run"`     // identifier of letters and digits
	Version     string        `json:"version"` // of the objective; a worker with another is refused
	Dim         int           `json:"dim"`
	Constraints int           `json:"constraints,omitempty"`
	Seed        uint64        `json:"seed"`
	Lower       []run.Num     `json:"lower,omitempty"`
	Upper       []run.Num     `json:"upper,omitempty"`
	AckWait     time.Duration `json:"ack_wait"`             // silence after which an evaluation is given to another worker; 0 means 30 s
	MaxDeliver  int           `json:"max_deliver"`          // how often an evaluation is given out before it counts as failed; 0 means 5
	Replicated  bool          `json:"replicated,omitempty"` // the queue has copies, so that after a change of leader it may have forgotten a delivery; Start sets it
}

// Validate reports the first thing that does not fit.
func (s *Spec) Validate() error {
	switch {
	case s.Run == "" || len(s.Run) > 64 || strings.IndexFunc(s.Run, func(c rune) bool { return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') }) >= 0:
		return fmt.Errorf("distribute: %q is no identifier of a run: use up to 64 letters and digits", s.Run)
	case s.Dim < 1 || s.Constraints < 0 || len(s.Lower) != 0 && len(s.Lower) != s.Dim || len(s.Upper) != 0 && len(s.Upper) != s.Dim:
		return fmt.Errorf("distribute: %d variables, %d constraints, %d lower and %d upper bounds do not fit together", s.Dim, s.Constraints, len(s.Lower), len(s.Upper))
	case len(s.Version) > 128:
		return errors.New("distribute: the version of the objective is longer than 128 bytes")
	case s.AckWait != 0 && s.AckWait < minAckWait:
		return fmt.Errorf("distribute: an acknowledgement wait of %v; use %v or more", s.AckWait, minAckWait)
	case s.MaxDeliver < 0:
		return errors.New("distribute: the number of deliveries must not be negative")
	}
	return nil
}

const minAckWait = 100 * time.Millisecond

func (s *Spec) fill() {
	if s.AckWait == 0 {
		s.AckWait = 30 * time.Second
	}
	if s.MaxDeliver == 0 {
		s.MaxDeliver = 5
	}
}

// Names in JetStream.
const (
	prefix      = "spdopt"
	workersName = "workers"     // the consumer that workers share
	keeperName  = "coordinator" // the consumer of the results
	metadataKey = "spdopt"
)

func (s *Spec) tasks() string   { return prefix + "-" + s.Run + "-tasks" }
func (s *Spec) results() string { return prefix + "-" + s.Run + "-results" }
func (s *Spec) over() string    { return prefix + "." + s.Run + ".over" }
func (s *Spec) subject(kind string, id uint64) string {
	return prefix + "." + s.Run + "." + kind + "." + strconv.FormatUint(id, 10)
}

// longestText bounds texts in results: failures, names of workers.
const longestText = 2000

// resultBytes bounds a result: numbers of at most 26 bytes, and texts that JSON may write with 6 bytes a character.
func (s *Spec) resultBytes() int { return 1024 + 32*s.Constraints + 6*(3*longestText) }

// taskBytes bounds a task.
func (s *Spec) taskBytes() int { return 1024 + 11*s.Dim }

// task is the message of an evaluation. X holds the bits of the numbers, 8 bytes each, the lowest byte first, which JSON writes in base 64: for a thousand variables decimal numbers would cost more
// than all the rest.
type task struct {
	Run string `json:"run"`
	ID  uint64 `json:"id"`
	X   []byte `json:"x"`
}

func encodeTask(runID string, id uint64, x []float64) []byte {
	bits := make([]byte, 0, 8*len(x))
	for _, v := range x {
		bits = binary.LittleEndian.AppendUint64(bits, math.Float64bits(v))
	}
	b := fmt.Appendf(make([]byte, 0, 64+len(runID)+11*len(x)), `{"run":"%s","id":%d,"x":"`, runID, id)
	return append(base64.StdEncoding.AppendEncode(b, bits), `"}`...)
}

// decodeTask reads a task, which must fit the run.
func decodeTask(data []byte, s *Spec) (id uint64, x []float64, err error) {
	var t task
	if err := json.Unmarshal(data, &t); err != nil {
		return 0, nil, err
	}
	if t.Run != s.Run || len(t.X) != 8*s.Dim {
		return t.ID, nil, fmt.Errorf("distribute: a task of run %q with %d bytes, want %q with %d variables", clip(t.Run), len(t.X), s.Run, s.Dim)
	}
	x = make([]float64, s.Dim)
	for i := range x {
		x[i] = math.Float64frombits(binary.LittleEndian.Uint64(t.X[8*i:]))
	}
	return t.ID, x, nil
}

// Result is the outcome of an evaluation. Err is nil, or how it failed.
type Result struct {
	ID      uint64
	Value   objective.Value
	Err     *objective.Error
	Seconds float64
	Attempt int // which delivery of the evaluation led to it, from 1
	Worker  string
}

// envelope holds the fields of a result that are not those of an answer of a program.
type envelope struct {
	Run     string  `json:"run"`
	ID      uint64  `json:"id"`
	Attempt int     `json:"attempt"`
	Version string  `json:"v"`
	Worker  string  `json:"worker"`
	Seconds float64 `json:"s"`
	Status  string  `json:"status,omitempty"`
	Kind    string  `json:"kind,omitempty"`
	Error   string  `json:"error,omitempty"`
	Stderr  string  `json:"stderr,omitempty"`
}

// encode writes a result as an answer of a program with more fields.
func (r *Result) encode(s *Spec) []byte {
	e := envelope{Run: s.Run, ID: r.ID, Attempt: r.Attempt, Version: s.Version, Worker: clip(r.Worker), Seconds: r.Seconds}
	if r.Err != nil {
		e.Status, e.Kind, e.Error, e.Stderr = "failed", string(r.Err.Kind), clip(r.Err.What), clip(r.Err.Stderr)
	}
	b, err := json.Marshal(e)
	if err != nil {
		panic("distribute: " + err.Error()) // texts and finite numbers always marshal
	}
	if r.Err != nil {
		return b
	}
	b = jsonfloat.Append(append(b[:len(b)-1], `,"f":`...), r.Value.F)
	if len(r.Value.G) > 0 {
		b = jsonfloat.AppendList(append(b, `,"g":`...), r.Value.G)
	}
	return append(b, '}')
}

// decodeResult reads a result and checks all that can be checked without knowing what is open.
func decodeResult(data []byte, s *Spec) (*Result, error) {
	if len(data) > s.resultBytes() {
		return nil, fmt.Errorf("%d bytes, at most %d belong", len(data), s.resultBytes())
	}
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("it can't be read: %w", err)
	}
	switch {
	case e.Run != s.Run:
		return nil, fmt.Errorf("it is of run %q", clip(e.Run))
	case e.Version != s.Version:
		return nil, fmt.Errorf("worker %q evaluates version %q of the objective, not %q", clip(e.Worker), clip(e.Version), s.Version)
	case e.Attempt < 1 || e.Attempt > 1<<30 || !(e.Seconds >= 0 && e.Seconds <= math.MaxInt32):
		return nil, fmt.Errorf("attempt %d after %v s", e.Attempt, e.Seconds)
	}
	a, err := objective.ParseResult(data, s.Constraints)
	if err != nil {
		return nil, err
	}
	r := &Result{ID: e.ID, Value: a.Value, Seconds: e.Seconds, Attempt: e.Attempt, Worker: clip(e.Worker)}
	if a.Failed {
		kind := objective.NoValue // a protocol error would end the run: that is not for a worker to decide
		if k := objective.Kind(e.Kind); k == objective.Timeout || k == objective.Crash {
			kind = k
		}
		r.Value, r.Err = objective.Value{}, &objective.Error{Kind: kind, ID: e.ID, What: fmt.Sprintf("%s, says worker %s", clip(a.Error), r.Worker), Stderr: clip(e.Stderr)}
	}
	return r, nil
}

// clip makes a text of unknown origin one line of bounded length without control characters.
func clip(text string) string {
	if len(text) > longestText {
		text = strings.ToValidUTF8(text[:longestText], "")
	}
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return ' '
	}, text)
}
