package roots

import (
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/gonum/mat"
)

// Kind is the function of the matrix that is wanted.
type Kind int

// The kinds. Sqrt and Inv are Pow with exponents 1/2 and -1.
const (
	KindPow Kind = iota
	KindSqrt
	KindInv
	KindLog
	KindExp
	KindPolar
)

var kindNames = [...]string{"pow", "sqrt", "inv", "log", "exp", "polar"}

// Kinds lists all kinds in the order of their values.
func Kinds() []Kind {
	k := make([]Kind, len(kindNames))
	for i := range k {
		k[i] = Kind(i)
	}
	return k
}

// String returns the name of the kind as ParseKind reads it.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return kindNames[k]
}

// ParseKind returns the kind called name: pow, sqrt, inv, log, exp or polar.
func ParseKind(name string) (Kind, error) {
	for i, s := range kindNames {
		if s == name {
			return Kind(i), nil
		}
	}
	return 0, fmt.Errorf("roots: unknown kind %q; known: %s", name, strings.Join(kindNames[:], ", "))
}

// Options are the choices of a call. The zero value (or a nil pointer) is the documented default.
type Options struct {
	// Method names a registered method; "" or "auto" chooses the cheapest one whose bound meets Tol.
	Method string
	// Tol is the wanted bound on the relative forward error (Frobenius norm). 0 asks for what the arithmetic allows and never fails for
	// accuracy: that is method refined where it applies, whose error hardly grows with the condition number, for 1.5 (n = 100) to 2.5
	// (n = 1000) times the time of a decomposition; a tolerance lets auto take what is faster, and Method "eigen" is the decomposition alone, whose
	// error grows like eps Cond as that of numpy.linalg.eigh and its like does. A positive Tol that the method's bound cannot
	// promise returns an AccuracyError together with the result.
	Tol float64
	// Ridge is added to the diagonal of A first; RelativeRidge times the largest eigenvalue is added as well.
	Ridge, RelativeRidge float64
	// Cutoff > 0 asks for the pseudo-inverse form: eigenvalues at or below Cutoff times the largest are dropped (their part of the result is
	// zero, whatever the power) and Report.Rank counts what is left. Only methods that see the eigenvalues can do it.
	Cutoff float64
	// Start is an orthogonal n x n basis near the eigenbasis of A (spectral.Factor.Basis of yesterday's factor, say), for the warm-started
	// methods spectral and warm-qr. It is read only.
	Start *mat.Dense
	// Lower is a known lower bound on the eigenvalues of A after the ridge; with it the bound of the Krylov method is rigorous. 0: estimated.
	Lower float64
	// Device is where the products are computed: "" or "cpu", or a device such as "cuda" or "cuda:1". There run jacobi, which does every function, the
	// iterations newton-schulz, newton, order3 and polar-express, and series for log and exp; auto takes the one with the least work. Estimates of the
	// spectrum, which jacobi does without, stay on the processor.
	Device string
	// MaxIterations bounds the steps of an iterative method. 0: the method's own limit.
	MaxIterations int
	// NoResidual skips the residual of the defining equation (one to three products; a decomposition for powers that are not 1/integer).
	NoResidual bool
	// KeepSingle makes the float32 functions fail with a PrecisionError where they would otherwise go on in float64.
	KeepSingle bool
}

// Validate reports the first field that is out of range or names an unknown method.
func (o *Options) Validate() error {
	if o == nil {
		return nil
	}
	for _, f := range []struct {
		name string
		v    float64
	}{{"Tol", o.Tol}, {"Ridge", o.Ridge}, {"RelativeRidge", o.RelativeRidge}, {"Cutoff", o.Cutoff}, {"Lower", o.Lower}} {
		if math.IsNaN(f.v) || math.IsInf(f.v, 0) || f.v < 0 {
			return fmt.Errorf("roots: option %s = %v must be finite and not negative", f.name, f.v)
		}
	}
	if o.Cutoff >= 1 {
		return fmt.Errorf("roots: option Cutoff = %v must be below 1", o.Cutoff)
	}
	if o.MaxIterations < 0 {
		return fmt.Errorf("roots: option MaxIterations = %d must not be negative", o.MaxIterations)
	}
	if o.Method != "" && o.Method != auto {
		if _, err := ByName(o.Method); err != nil {
			return err
		}
	}
	return nil
}

// Report says what a call did and how far its result can be trusted.
type Report struct {
	Kind   Kind
	Power  float64 // the exponent of pow, sqrt and inv; 0 for the others
	N      int
	Method string
	// LambdaMin and LambdaMax are the extreme eigenvalues of A after the ridge (singular values for polar): exact to rounding for methods
	// that decompose, otherwise estimates from a few Lanczos steps (LambdaMin from above, LambdaMax from below).
	LambdaMin, LambdaMax float64
	// Residual is the relative residual of the defining equation that ResidualOf spells out; -1 if it was not asked for.
	Residual   float64
	ResidualOf string
	// Bound is the promised bound on the relative forward error in the Frobenius norm; see the package comment.
	Bound float64
	// Work counts GEMM-equivalents (2n^3 flops), the residual included.
	Work       float64
	Iterations int
	// Reason is why an iterative method stopped: "converged" or "stagnated"; "direct" for the others.
	Reason string
	// Ridge is what was added to the diagonal in all.
	Ridge float64
	// Rank is n, less the eigenvalues that Options.Cutoff dropped: Dropped holds them in ascending order, DroppedMax bounds their magnitude.
	Rank       int
	DroppedMax float64
	Dropped    []float64
	// Promoted is set where a float32 call went on in float64, with the reason.
	Promoted string
}

// Cond returns LambdaMax/LambdaMin, or +Inf where LambdaMin is not positive.
func (r *Report) Cond() float64 {
	if r.LambdaMin <= 0 {
		return math.Inf(1)
	}
	return r.LambdaMax / r.LambdaMin
}
