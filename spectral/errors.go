package spectral

import "fmt"

// Error is what a call panics with when its arguments do not fit together: a mistake in the calling program, never in data.
type Error string

// Error returns the message.
func (e Error) Error() string { return "spectral: " + string(e) }

func mistake(format string, args ...any) {
	panic(Error(fmt.Sprintf(format, args...)))
}

// DataError says which input of a constructor, an update or a decoder cannot be used, and why.
type DataError struct {
	What   string // the input, for example "eigenvalue 3" or "increment"
	Reason string // what is wrong with it and what to do
}

// Error returns the message.
func (e *DataError) Error() string { return "spectral: " + e.What + ": " + e.Reason }

var errNil error = &DataError{"matrix", "is nil"}

// The outcomes of an update that leave the factor as it was. They are values, so that a hot loop can compare and need not allocate.
var (
	ErrNotFinite = &DataError{"increment", "holds NaN or Inf, or overflows in the eigenbasis; the factor was left as it was"}
	ErrRange     = &DataError{"increment", "its target is outside the range of float64; rescale S and the increment; the factor was left as it was"}
)
