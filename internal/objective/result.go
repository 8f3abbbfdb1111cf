package objective

import (
	"errors"
	"fmt"
	"math"
)

// Result is a result line that came from elsewhere than a Program: from a file, or from another machine.
type Result struct {
	ID     uint64
	Value  Value
	Failed bool   // the status is "failed", or f or one of g is NaN or null
	Error  string // what the line says about a failure
}

// ParseResult reads a line such as {"id":41,"f":3.25,"g":[0.5]}, in the form that programs answer in, and demands an id, constraints values g, and an f, unless it
// says that the evaluation failed. -Infinity is an error.
func ParseResult(line []byte, constraints int) (Result, error) {
	a, err := parseAnswer(line)
	switch {
	case err != nil:
		return Result{}, fmt.Errorf("it can't be read: %w: %s", err, clip(a.line))
	case a.ID == nil:
		return Result{}, fmt.Errorf("it has no id: %s", clip(a.line))
	}
	r := Result{ID: *a.ID, Failed: a.Status == "failed", Error: a.Error}
	switch {
	case r.Failed:
		return r, nil
	case !a.given:
		return r, fmt.Errorf("it has no f: %s", clip(a.line))
	case math.IsInf(a.f, -1):
		return r, errors.New("the value is -Infinity, below which there is nothing to find")
	case math.IsNaN(a.f):
		r.Failed, r.Error = true, "the value is NaN"
		return r, nil
	case len(a.g) != constraints:
		return r, fmt.Errorf("%d constraint values, want %d: %s", len(a.g), constraints, clip(a.line))
	}
	for _, g := range a.g {
		if math.IsNaN(g) {
			r.Failed, r.Error = true, "a constraint value is NaN"
			return r, nil
		}
	}
	r.Value = Value{F: a.f, G: a.g, Gradient: a.gradient}
	return r, nil
}
