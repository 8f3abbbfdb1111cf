package run

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Event is one line of the journal. The fields of asks and tells are filled in where the line has them; Raw is the line without its end, for other kinds.
type Event struct {
	Line      int
	Time      time.Time // wall clock when it was written; for people
	Kind      string
	ID        uint64
	Candidate uint64
	X         []float64
	F         float64
	G         []float64
	Seconds   float64
	Status    string // "" is a value, "failed" none
	Error     string
	Attempt   int
	Worker    string
	Raw       []byte
}

// DamageError says that a file of a run is not what was written.
type DamageError struct {
	File string
	Line int // of the journal; 0 for the other files
	What string
}

// Error names the line.
func (e *DamageError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s; bring back the file as it was", e.File, e.What)
	}
	return fmt.Sprintf("%s: line %d: %s; bring back the file as it was (a run cannot go on from a changed journal)", e.File, e.Line, e.What)
}

// longestEvent bounds a line of the journal.
const longestEvent = 1 << 28

// split cuts the sum off a line with its end, and checks that the line continues a chain.
func split(line []byte, before uint32) (body []byte, sum uint32, ok bool) {
	cut := len(line) - sumLen
	if cut < 0 || string(line[cut:cut+len(sumStart)]) != sumStart || string(line[len(line)-3:]) != "\"}\n" {
		return nil, 0, false
	}
	body = line[:cut]
	var raw [4]byte
	if _, err := hex.Decode(raw[:], line[cut+len(sumStart):cut+len(sumStart)+8]); err != nil {
		return nil, 0, false
	}
	sum = uint32(raw[0])<<24 | uint32(raw[1])<<16 | uint32(raw[2])<<8 | uint32(raw[3])
	return body, sum, chain(before, body) == sum
}

// scanner reads lines in order.
type scanner struct {
	name string
	in   *bufio.Reader
	at   place
	torn bool // the last line is not whole
}

// next returns the body of the next line, nil at the end, at which torn says whether something unfinished follows.
func (s *scanner) next() ([]byte, error) {
	line, err := s.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		long := append([]byte(nil), line...)
		for errors.Is(err, bufio.ErrBufferFull) && len(long) <= longestEvent {
			line, err = s.in.ReadSlice('\n')
			long = append(long, line...)
		}
		line = long
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: cannot read: %w", s.name, err)
	}
	if err != nil {
		s.torn = len(line) > 0
		return nil, nil
	}
	body, sum, ok := split(line, s.at.Sum)
	if !ok {
		return nil, s.damaged(line)
	}
	s.at = place{s.at.Line + 1, s.at.Offset + int64(len(line)), sum}
	return body, nil
}

// damaged tells a line that was never completely on the disk, after a loss of power, from one that was changed.
func (s *scanner) damaged(line []byte) error {
	if bytes.IndexByte(line, 0) >= 0 {
		if rest, err := io.ReadAll(io.LimitReader(s.in, longestEvent)); err == nil && len(bytes.Trim(rest, "\x00")) == 0 {
			s.torn = true
			return nil
		}
	}
	return &DamageError{s.name, s.at.Line + 1, "the checksum does not fit: this line or the one before it was changed, removed or put in"}
}

func newScanner(name string, r io.Reader, at place) *scanner {
	return &scanner{name: name, in: bufio.NewReaderSize(r, 1<<16), at: at}
}

// verify checks the journal from the start and returns where it ends. passed is called at the start and after every line.
func verify(name string, r io.Reader, passed func(place)) (end place, err error) {
	s := newScanner(name, r, place{})
	for {
		passed(s.at)
		body, err := s.next()
		if err != nil || body == nil {
			return s.at, err
		}
	}
}

// kindOf returns the kind of a line without parsing it.
func kindOf(body []byte) string {
	const mark = `"ev":"`
	i := bytes.Index(body, []byte(mark))
	if i < 0 {
		return ""
	}
	rest := body[i+len(mark):]
	return string(rest[:max(0, bytes.IndexByte(rest, '"'))])
}

// parseEvent reads a line without its sum.
func parseEvent(body []byte) (Event, error) {
	var v struct {
		N       int
		T       float64
		Ev      string
		ID      uint64
		C       uint64
		X, G    []Num
		F       *Num
		S       float64
		Status  string
		Error   string
		Attempt int
		Worker  string
	}
	raw := append(bytes.Clone(body), '}')
	if err := json.Unmarshal(raw, &v); err != nil {
		return Event{}, err
	}
	e := Event{
		Line: v.N, Time: time.UnixMicro(int64(v.T * 1e6)), Kind: v.Ev, ID: v.ID, Candidate: v.C, X: floats(v.X), G: floats(v.G),
		Seconds: v.S, Status: v.Status, Error: v.Error, Attempt: v.Attempt, Worker: v.Worker, Raw: raw,
	}
	if v.F != nil {
		e.F = float64(*v.F)
	}
	return e, nil
}

func floats(v []Num) []float64 {
	if v == nil {
		return nil
	}
	f := make([]float64, len(v))
	for i, x := range v {
		f[i] = float64(x)
	}
	return f
}

// Reader follows the journal of a run that another process may be writing. It is for one goroutine.
type Reader struct {
	path string
	at   place
}

// NewReader returns a reader that stands at the start of the journal of the run in dir.
func NewReader(dir string) *Reader { return &Reader{path: filepath.Join(dir, journalFile)} }

// New yields the events since the last call, as far as their lines are whole and checked; kinds, if any, are the ones wanted. After an error the reader stays where
// it was.
func (r *Reader) New(kinds ...string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		f, err := os.Open(r.path)
		if err == nil {
			defer f.Close()
			_, err = f.Seek(r.at.Offset, io.SeekStart)
		}
		if err != nil {
			yield(Event{}, fmt.Errorf("%s: cannot read: %w", r.path, err))
			return
		}
		s := newScanner(r.path, f, r.at)
		for {
			body, err := s.next()
			if err != nil {
				yield(Event{}, err)
				return
			}
			if body == nil {
				return
			}
			if !wanted(kindOf(body), kinds) {
				r.at = s.at
				continue
			}
			e, err := parseEvent(body)
			if err == nil && e.Line != s.at.Line {
				err = errors.New("it has the number " + strconv.Itoa(e.Line))
			}
			if err != nil {
				yield(e, &DamageError{r.path, s.at.Line, err.Error()})
				return
			}
			r.at = s.at
			if !yield(e, nil) {
				return
			}
		}
	}
}

func wanted(kind string, kinds []string) bool {
	for _, k := range kinds {
		if k == kind {
			return true
		}
	}
	return len(kinds) == 0
}
