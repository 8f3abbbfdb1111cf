package engine

import (
	"fmt"

	"github.com/spdopt/spdopt/internal/dense"
)

// Precision says in which type the operands of products of float32 numbers enter. The sums are float32 in all of them, and so are the arrays.
type Precision string

// The precisions.
const (
	FP32 Precision = "fp32" // as they are
	TF32 Precision = "tf32" // rounded to 10 bits behind the leading one
	BF16 Precision = "bf16" // rounded to 7
)

// PrecisionError says that products cannot be made in a precision.
type PrecisionError struct {
	Precision Precision
	What      string
}

// Error names the precision.
func (e *PrecisionError) Error() string {
	return fmt.Sprintf("products in %s: %s", e.Precision, e.What)
}

// Validate reports a precision that there is not. The empty one is the default of whoever is asked.
func (p Precision) Validate() error {
	switch p {
	case "", FP32, TF32, BF16:
		return nil
	}
	return &PrecisionError{p, "there are fp32, tf32 and bf16"}
}

// Rounding is implemented by backends that can round the operands of products. Their other products, and all that calls do inside, are made in TF32 or better.
type Rounding[T dense.Float] interface {
	// Rounded returns another backend of the same device and memory, whose Fast makes products in precision p and which itself makes them in the better of
	// p and TF32.
	Rounded(p Precision) (Backend[T], error)
	// Fast returns the backend, of the same memory and the same work in order, for products whose operands may be rounded as Rounded was told.
	Fast() Backend[T]
}

// Fast is that of a backend, or the backend itself where there is no other.
func Fast[T dense.Float](b Backend[T]) Backend[T] {
	if r, ok := b.(Rounding[T]); ok {
		return r.Fast()
	}
	return b
}

// OpenRounded is Open for a backend with products in precision p. The empty one is standard where the device has that, and FP32 where it has not. Numbers in
// float64, and what is computed on the processor, know no other precision than their own.
func OpenRounded[T dense.Float](name string, p, standard Precision) (Backend[T], error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	b, err := Open[T](name)
	if err != nil {
		return nil, err
	}
	single := isSingle[T]()
	r, rounds := b.(Rounding[T])
	switch {
	case p != "" && !single:
		return nil, &PrecisionError{p, "parameters in float64 have products in float64"}
	case !rounds && (p == "" || p == FP32) || !single:
		return b, nil
	case !rounds:
		return nil, &PrecisionError{p, "only devices round, not " + b.Name()}
	case p != "":
		fast, err := r.Rounded(p)
		if err != nil {
			return nil, &DeviceError{name, err}
		}
		return fast, nil
	}
	if fast, err := r.Rounded(standard); err == nil {
		return fast, nil
	}
	return b, nil
}
