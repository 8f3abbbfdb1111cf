package roots

import (
	"fmt"
	"math"
)

// RangeError says that the result does not fit the floating-point range.
type RangeError struct {
	Kind      Kind
	Power     float64
	Lambda    float64 // the eigenvalue with the largest image
	Log10     float64 // decimal logarithm of that image
	Underflow bool    // even the largest image is below the smallest normal number
	Usable    float64 // for powers, the exponent of largest magnitude and the same sign whose result fits
}

// Error names the eigenvalue, the size of its image and the largest usable exponent.
func (e *RangeError) Error() string {
	what := "overflows"
	if e.Underflow {
		what = "underflows"
	}
	image := fmt.Sprintf("%s: eigenvalue %.6g maps to 10^%.6g", what, e.Lambda, e.Log10)
	if e.Kind > KindInv {
		return fmt.Sprintf("roots: %v %s; scale the matrix", e.Kind, image)
	}
	return fmt.Sprintf("roots: power %g %s; the largest usable power of this sign is %.4g, or scale the matrix", e.Power, image, e.Usable)
}

// exponents returns the binary exponents between which results are representable in full precision.
func exponents(single bool) (low, high float64) {
	if single {
		return -126, 128
	}
	return -1022, 1024
}

// newRangeError describes the image of lambda, whose binary logarithm is image, in the range of the precision.
func newRangeError(kind Kind, p, lambda, image float64, single bool) *RangeError {
	e := &RangeError{Kind: kind, Power: p, Lambda: lambda, Log10: image * math.Log10(2), Underflow: image < 0}
	if kind > KindInv || p == 0 || image == 0 {
		return e
	}
	low, high := exponents(single)
	limit := high * (1 - 1e-9)
	if e.Underflow {
		limit = low
	}
	slope := image / p
	if math.IsInf(image, 0) {
		slope = math.Log2(lambda)
	}
	usable := limit / slope
	digits := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(usable))))
	e.Usable = math.Trunc(usable*digits) / digits
	return e
}

// image returns log2 |f(l)| for an eigenvalue l > 0 of the scaled matrix and the function without the scaling; any l for exp.
func (j *job[T]) image(l float64) float64 {
	if j.Kind == KindExp {
		return l / math.Ln2
	}
	return j.Power * (math.Log2(l) + float64(j.shift))
}

// fits refuses a function whose largest image, that of the eigenvalue l of the scaled matrix, leaves the range.
func (j *job[T]) fits(l float64) error {
	if j.Kind == KindLog || j.Kind != KindExp && (j.Power == 0 || l <= 0) {
		return nil
	}
	low, high := exponents(j.Single)
	v := j.image(l)
	if v < high && v >= low {
		return nil
	}
	return newRangeError(j.Kind, j.Power, math.Ldexp(l, j.shift), v, j.Single)
}

// overflow refuses, on the estimates at hand, what is certain to overflow.
func (j *job[T]) overflow() error {
	_, high := exponents(j.Single)
	l := j.lo
	switch {
	case j.Kind == KindLog || j.Kind != KindExp && j.Power == 0:
		return nil
	case j.Kind == KindExp || j.Power > 0:
		if j.image(j.hi) < high {
			return nil
		}
		l = largest(j.a)
	}
	if l <= 0 && j.Kind != KindExp {
		return nil
	}
	if v := j.image(l); v >= high {
		return newRangeError(j.Kind, j.Power, math.Ldexp(l, j.shift), v, j.Single)
	}
	return nil
}

// reach returns the binary exponent up to which a method that works on the scaled matrix may go.
func (j *job[T]) reach() float64 {
	_, high := exponents(j.Single)
	return 0.875 * high
}

// offsetFor returns the power of two to take out of the images of a scaled spectrum whose dominating eigenvalue is l, so that they stay in range.
func (j *job[T]) offsetFor(l float64) int {
	if j.Kind > KindInv || l <= 0 {
		return 0
	}
	if v := j.Power * math.Log2(l); math.Abs(v) > j.reach()/2 {
		return int(math.Floor(v))
	}
	return 0
}

// dominant returns the eigenvalue of the ascending w, of which the first drop are left out, with the largest image.
func (q *Query) dominant(w []float64, drop int) float64 {
	if drop >= len(w) {
		return 0
	}
	top := w[len(w)-1]
	switch {
	case q.Kind == KindExp:
		return top
	case q.Power < 0:
		return w[drop]
	}
	return max(top, -w[0])
}
