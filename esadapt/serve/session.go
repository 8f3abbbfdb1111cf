package serve

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spdopt/spdopt/esadapt"
	"github.com/spdopt/spdopt/internal/atomicfile"
)

// Session is one caller's conversation: at most one problem at a time, any number after each other.
type Session struct {
	problem problem // nil when nothing is open
	out     []byte
	// NoFiles refuses the operations save and load, for callers from elsewhere.
	NoFiles bool
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
	s.out = s.out[:0]
	if err := s.dispatch(line); err != nil {
		s.out = append(s.out[:0], `{"error":`...)
		quoted, _ := json.Marshal(strings.TrimPrefix(err.Error(), "esadapt: "))
		s.out = append(append(s.out, quoted...), '}')
	}
	return s.out
}

var errNothingOpen = errors.New(`no problem is open: send {"op":"open","dim":..} first`)

func (s *Session) dispatch(line []byte) error {
	v, err := parse(line)
	if err != nil {
		return err
	}
	if v.kind != object {
		return fmt.Errorf("%s where an object with \"op\" belongs", kindNames[v.kind])
	}
	op, ok := v.get("op")
	if !ok || op.kind != text {
		return errors.New(`the object has no "op"`)
	}
	switch op.text {
	case "open":
		return s.open(&v)
	case "load":
		return s.load(&v)
	case "close":
		s.problem = nil
		return s.ok()
	case "ask", "tell", "best", "save":
		if s.problem == nil {
			return errNothingOpen
		}
		return s.withProblem(op.text, &v)
	}
	return fmt.Errorf("unknown op %q: there are open, ask, tell, best, save, load, close", op.text)
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
	if objectives > 1 {
		p, err := esadapt.NewPareto(objectives, o)
		if err != nil {
			return err
		}
		s.problem = &several{Pareto: p}
		return s.batch()
	}
	search, err := esadapt.New(o)
	if err != nil {
		return err
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
		s.out = appendFloats(s.out, x)
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

func (s *Session) path(v *value) (string, error) {
	p, ok := v.get("path")
	switch {
	case s.NoFiles:
		return "", errors.New("save and load are switched off here")
	case !ok || p.kind != text || p.text == "":
		return "", errors.New(`"path" is missing`)
	}
	return p.text, nil
}

func (s *Session) save(v *value) error {
	path, err := s.path(v)
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	data, err := s.problem.MarshalBinary()
	if err != nil {
		return err
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
	path, err := s.path(v)
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	p, err := restore(data)
	if err != nil {
		return fmt.Errorf("load: %s: %w", path, err)
	}
	s.problem = p
	return s.ok()
}
