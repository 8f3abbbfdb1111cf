package serve

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spdopt/spdopt/esadapt"
	"github.com/spdopt/spdopt/internal/atomicfile"
	"github.com/spdopt/spdopt/internal/jsonfloat"
)

// Session is one caller's conversation: at most one problem at a time, any number after each other.
type Session struct {
	problem problem // nil when nothing is open
	out     []byte
	// NoFiles refuses the operations save and load, for callers from elsewhere.
	NoFiles bool
	maxDim  int // 0 means that of the protocol
}

// longestLine bounds one line of input.
const longestLine = 1 << 28

// Serve answers the lines of r on w until r ends, which is no error.
func Serve(r io.Reader, w io.Writer) error {
	in := bufio.NewReaderSize(r, 1<<16)
	var s Session
	for {
		line, err := readLine(in)
		if len(line) > 0 {
			if _, err := w.Write(append(s.Handle(line), '\n')); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readLine returns the next line without its end; white space alone is an empty line.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if line == nil && err == nil {
			line = part
		} else {
			line = append(line[:len(line):len(line)], part...)
		}
		if len(line) > longestLine {
			return nil, fmt.Errorf("serve: a line of more than %d bytes", longestLine)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return []byte(strings.TrimSpace(string(line))), err
		}
	}
}

// Handle answers one line. The answer is valid until the next call.
func (s *Session) Handle(line []byte) []byte {
	answer, err := s.handle(line, "")
	if err != nil {
		quoted, _ := json.Marshal(plain(err))
		s.out = append(append(append(s.out[:0], `{"error":`...), quoted...), '}')
		return s.out
	}
	return answer
}

// plain is the text of an error without the name of a package.
func plain(err error) string { return strings.TrimPrefix(err.Error(), "esadapt: ") }

// handle answers one object; op is the operation that it must ask for, and may leave out, if that is known from elsewhere.
func (s *Session) handle(line []byte, op string) ([]byte, error) {
	s.out = s.out[:0]
	v, err := parse(line)
	if err != nil {
		return nil, err
	}
	if v.kind != object {
		return nil, fmt.Errorf("%s where an object with \"op\" belongs", kindNames[v.kind])
	}
	named, ok := v.get("op")
	switch {
	case ok && named.kind != text || !ok && op == "":
		return nil, errors.New(`the object has no "op"`)
	case ok && op != "" && named.text != op:
		return nil, fmt.Errorf("op %q sent to where %q is", named.text, op)
	case ok:
		op = named.text
	}
	if err := s.dispatch(op, &v); err != nil {
		return nil, err
	}
	return s.out, nil
}

var errNothingOpen = errors.New(`no problem is open: send {"op":"open","dim":..} first`)

func (s *Session) dispatch(op string, v *value) error {
	switch op {
	case "open":
		return s.open(v)
	case "load":
		return s.load(v)
	case "close":
		s.problem = nil
		return s.ok()
	case "ask", "tell", "best", "save":
		if s.problem == nil {
			return errNothingOpen
		}
		return s.withProblem(op, v)
	}
	return fmt.Errorf("unknown op %q: there are open, ask, tell, best, save, load, close", op)
}

// withProblem answers the operations on the open problem.
func (s *Session) withProblem(op string, v *value) error {
	switch op {
	case "tell":
		return s.tell(v)
	case "best":
		return s.best()
	case "save":
		return s.save(v)
	}
	return s.batch()
}

func (s *Session) ok() error {
	s.out = append(s.out, `{"ok":true}`...)
	return nil
}

func (s *Session) open(v *value) error {
	o, objectives, err := options(v)
	if err != nil {
		return err
	}
	if s.maxDim > 0 && max(o.Dim, o.PopSize, o.Constraints) > s.maxDim {
		return fmt.Errorf("open: %d variables, a population of %d, %d constraints: here %d are the most of each", o.Dim, o.PopSize, o.Constraints, s.maxDim)
	}
	if objectives > 1 {
		p, err := esadapt.NewPareto(objectives, o)
		if err != nil {
			return invalid(err)
		}
		s.problem = &several{Pareto: p}
		return s.batch()
	}
	search, err := esadapt.New(o)
	if err != nil {
		return invalid(err)
	}
	s.problem = &single{Search: search}
	return s.batch()
}

// batch answers with the candidates that wait, or with the reason to stop.
func (s *Session) batch() error {
	if reasons := s.problem.Stop(); reasons != nil {
		var why []string
		for _, r := range reasons {
			why = append(why, r.String())
		}
		quoted, err := json.Marshal(strings.Join(why, "; "))
		if err != nil {
			return err
		}
		s.out = append(append(append(s.out, `{"stop":`...), quoted...), '}')
		return nil
	}
	s.out = append(s.out, `{"x":[`...)
	for i, x := range s.problem.Ask() {
		if i > 0 {
			s.out = append(s.out, ',')
		}
		s.out = jsonfloat.AppendList(s.out, x)
	}
	s.out = fmt.Appendf(s.out, `],"restarts":%d}`, s.problem.Restarts())
	return nil
}

func (s *Session) tell(v *value) error {
	f, ok := v.get("f")
	if !ok {
		return errors.New(`tell: "f" is missing`)
	}
	g, _ := v.get("g")
	if err := s.problem.tell(f, g); err != nil {
		return err
	}
	return s.batch()
}

func (s *Session) best() error {
	if s.problem.Evaluations() == 0 {
		return errors.New("best: no value has been told yet")
	}
	s.out = s.problem.best(s.out)
	return nil
}

// path returns the field "path"; inline says that there is none and the state travels in the message.
func (s *Session) path(v *value) (path string, inline bool, err error) {
	p, ok := v.get("path")
	switch {
	case !ok:
		return "", true, nil
	case s.NoFiles:
		return "", false, errors.New(`files are out of reach here: leave out "path" and keep "state"`)
	case p.kind != text || p.text == "":
		return "", false, errors.New(`"path" is no name`)
	}
	return p.text, false, nil
}

func (s *Session) save(v *value) error {
	path, inline, err := s.path(v)
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	data, err := s.problem.MarshalBinary()
	if err != nil {
		return err
	}
	if inline {
		s.out = append(s.out, `{"ok":true,"state":"`...)
		s.out = append(base64.StdEncoding.AppendEncode(s.out, data), `"}`...)
		return nil
	}
	file, err := atomicfile.Create(path)
	if err != nil {
		return fmt.Errorf("save: %s: %w", path, err)
	}
	defer file.Abort()
	if _, err := file.Write(data); err != nil {
		return fmt.Errorf("save: %s: %w", path, err)
	}
	if err := file.Commit(); err != nil {
		return fmt.Errorf("save: %s: %w", path, err)
	}
	return s.ok()
}

func (s *Session) load(v *value) error {
	path, inline, err := s.path(v)
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	var data []byte
	if inline {
		state, ok := v.get("state")
		if !ok || state.kind != text {
			return errors.New(`load: neither "path" nor "state" is given`)
		}
		if data, err = base64.StdEncoding.DecodeString(state.text); err != nil {
			return errors.New(`load: "state" is damaged`)
		}
	} else if data, err = os.ReadFile(path); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	p, err := restore(data)
	if err != nil {
		return fmt.Errorf("load: %s%w", prefix(path), err)
	}
	s.problem = p
	return s.ok()
}

func prefix(path string) string {
	if path == "" {
		return ""
	}
	return path + ": "
}
