package serve

import (
	"encoding"
	"fmt"

	"github.com/spdopt/spdopt/esadapt"
	"github.com/spdopt/spdopt/internal/jsonfloat"
)

// problem is what a session works on: a search with one objective or with several.
type problem interface {
	Ask() [][]float64
	Stop() []esadapt.Reason
	Evaluations() int
	Restarts() int
	tell(f, g value) error
	best(out []byte) []byte // appends the answer to "best"
	encoding.BinaryMarshaler
}

// restore reads either kind of state.
func restore(data []byte) (problem, error) {
	search, err := esadapt.Restore(data)
	if err == nil {
		return &single{Search: search}, nil
	}
	if p, err := esadapt.RestorePareto(data); err == nil {
		return &several{Pareto: p}, nil
	}
	return nil, err
}

// single is a problem with one objective, with constraints or without.
type single struct {
	*esadapt.Search
	f []float64
	g [][]float64
}

func (s *single) tell(f, g value) error {
	var err error
	if s.f, err = f.floats(s.f[:0]); err != nil {
		return fmt.Errorf("tell: f: %w", err)
	}
	if s.g, err = rows(g, s.g[:0]); err != nil {
		return fmt.Errorf("tell: g: %w", err)
	}
	if s.Stop() != nil {
		return nil
	}
	return s.Tell(s.f, s.g...)
}

// rows appends a list of lists of numbers to dst; null is an empty one.
func rows(v value, dst [][]float64) ([][]float64, error) {
	if v.kind == null {
		return dst, nil
	}
	if v.kind != list {
		return dst, fmt.Errorf("%s is not a list of lists", kindNames[v.kind])
	}
	for i, e := range v.list {
		row, err := e.floats(nil)
		if err != nil {
			return dst, fmt.Errorf("element %d: %w", i, err)
		}
		dst = append(dst, row)
	}
	return dst, nil
}

func (s *single) best(out []byte) []byte {
	b := s.Best()
	if b.Evaluation == 0 {
		return append(out, `{"x":null,"f":null,"evaluations":0}`...)
	}
	out = jsonfloat.AppendList(append(out, `{"x":`...), b.X)
	out = jsonfloat.Append(append(out, `,"f":`...), b.F)
	if len(b.G) > 0 {
		out = jsonfloat.AppendList(append(out, `,"g":`...), b.G)
		out = jsonfloat.Append(append(out, `,"violation":`...), b.Violation)
	}
	return fmt.Appendf(out, `,"evaluations":%d}`, s.Evaluations())
}

// several is a problem with more than one objective: f holds a list for each candidate, and the best is a front.
type several struct{ *esadapt.Pareto }

// Restarts is 0: there is one run.
func (s *several) Restarts() int { return 0 }

func (s *several) tell(f, _ value) error {
	values, err := rows(f, nil)
	if err != nil {
		return fmt.Errorf("tell: f: %w", err)
	}
	if s.Stop() != nil {
		return nil
	}
	return s.Tell(values)
}

func (s *several) best(out []byte) []byte {
	out = append(out, `{"front":[`...)
	for i, t := range s.Front() {
		if i > 0 {
			out = append(out, ',')
		}
		out = jsonfloat.AppendList(append(out, `{"x":`...), t.X)
		out = append(jsonfloat.AppendList(append(out, `,"f":`...), t.F), '}')
	}
	return fmt.Appendf(out, `],"evaluations":%d}`, s.Evaluations())
}
