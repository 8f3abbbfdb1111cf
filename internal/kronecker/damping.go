package kronecker

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// Kind says how damping enters the inverse of B (x) A.
type Kind string

// The kinds.
const (
	Exact Kind = "exact" // (B (x) A + d I)^-1, from the eigendecompositions of both factors
	Plain Kind = "plain" // (B + d I)^-1 (x) (A + d I)^-1
	Pi    Kind = "pi"    // (B + dB I)^-1 (x) (A + dA I)^-1 with dA dB = d and dB/dA the ratio of the mean eigenvalues of B and A
)

// floor is the smallest damping of a factor that Split returns.
const floor = 1e-8

// MeanTrace returns trace(m)/dim.
func MeanTrace(m dense.Matrix[float64]) float64 {
	var t float64
	for i := range m.Rows {
		t += m.At(i, i)
	}
	return t / float64(m.Rows)
}

// Split returns the dampings dB and dA of the factors for the damping d of the product (Martens and Grosse, arXiv:1503.05671, section 6.3). A factor of
// size 1 gets none, and the other one all of it. Where a mean eigenvalue is not positive both get the root of d.
func Split(kind Kind, b, a dense.Matrix[float64], d float64) (onB, onA float64) {
	return SplitMeans(kind, b.Rows, a.Rows, MeanTrace(b), MeanTrace(a), d)
}

// SplitMeans is Split for factors of which the sizes and the mean eigenvalues are known.
func SplitMeans(kind Kind, rowsB, rowsA int, b, a, d float64) (onB, onA float64) {
	switch {
	case rowsA == 1 && a > 0:
		return d / a, 0
	case rowsB == 1 && b > 0:
		return 0, d / b
	case kind == Plain:
		return d, d
	}
	ratio := b / a
	if !(ratio > 0) || math.IsInf(ratio, 1) {
		ratio = 1
	}
	onB, onA = math.Sqrt(d*ratio), math.Sqrt(d/ratio)
	if d > 0 {
		onB, onA = max(onB, floor), max(onA, floor)
	}
	return onB, onA
}

// SingularError says that a damped factor, or the whole, has no inverse in floating point.
type SingularError struct {
	Factor  string  // "A", "B" or "B (x) A"
	Damping float64 // that was added to it
}

// Error says what to do.
func (e *SingularError) Error() string {
	return fmt.Sprintf("factor %s with damping %g is singular to working precision; raise the damping", e.Factor, e.Damping)
}

// Inverse applies the damped inverse of B (x) A to matrices. Set prepares it; it may be set again for factors of the same sizes without allocation.
type Inverse struct {
	kind   Kind
	d      float64
	b, a   dense.Matrix[float64] // Cholesky factors, or eigenvectors as columns
	lb, la []float64             // eigenvalues of an exact inverse
	w      dense.Matrix[float64]
	solver eigen.Solver
}

// NewInverse returns an inverse for Dout x Din matrices; Set must follow.
func NewInverse(out, in int) *Inverse {
	return &Inverse{
		b: dense.New[float64](out, out), a: dense.New[float64](in, in), w: dense.New[float64](out, in),
		lb: make([]float64, out), la: make([]float64, in),
	}
}

// Set takes over symmetric positive semidefinite factors with damping d >= 0. A *SingularError says that the inverse does not exist; the
// state is then of no use until the next Set. Exact costs two eigendecompositions, the others two Cholesky factors.
func (v *Inverse) Set(kind Kind, b, a dense.Matrix[float64], d float64) error {
	v.kind, v.d = kind, d
	v.b.Copy(b)
	v.a.Copy(a)
	if kind == Exact {
		return v.decompose()
	}
	onB, onA := Split(kind, b, a, d)
	if err := factorise(v.b, onB, "B"); err != nil {
		return err
	}
	return factorise(v.a, onA, "A")
}

// factorise overwrites m + d I with its Cholesky factor.
func factorise(m dense.Matrix[float64], d float64, name string) error {
	top := 0.0
	for i := range m.Rows {
		m.Data[i*m.Stride+i] += d
		top = max(top, m.At(i, i))
	}
	if dense.Cholesky(m) >= 0 {
		return &SingularError{name, d}
	}
	for i := range m.Rows {
		if l := m.At(i, i); !(l*l > top*float64(m.Rows)*0x1p-52) {
			return &SingularError{name, d}
		}
	}
	return nil
}

// Invert overwrites the symmetric m with the inverse of m + d I, and w, of the same size, with scratch. name stands in the *SingularError.
func Invert(m dense.Matrix[float64], d float64, name string, w dense.Matrix[float64]) error {
	if err := factorise(m, d, name); err != nil {
		return err
	}
	dense.InvertLower(m)
	w.Copy(m)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, w, w, 0, m)
	dense.Mirror(m)
	return nil
}

func (v *Inverse) decompose() error {
	if !v.solver.Sym(v.b, v.lb) {
		return &SingularError{"B", 0}
	}
	if !v.solver.Sym(v.a, v.la) {
		return &SingularError{"A", 0}
	}
	clip(v.lb)
	clip(v.la)
	top := v.lb[len(v.lb)-1]*v.la[len(v.la)-1] + v.d
	if low := v.lb[0]*v.la[0] + v.d; !(low > top*float64(len(v.lb)*len(v.la))*0x1p-52) {
		return &SingularError{"B (x) A", v.d}
	}
	return nil
}

// clip replaces the negative eigenvalues that rounding leaves of a semidefinite matrix by 0.
func clip(values []float64) {
	for i, x := range values {
		values[i] = max(x, 0)
	}
}

// Apply sets x, Dout x Din, to the inverse applied to it. It allocates nothing.
func (v *Inverse) Apply(x dense.Matrix[float64]) {
	if v.kind != Exact {
		dense.SolveLower(dense.NoTrans, v.b, x)
		dense.SolveLower(dense.Transposed, v.b, x)
		dense.SolveLowerRight(dense.Transposed, v.a, x)
		dense.SolveLowerRight(dense.NoTrans, v.a, x)
		return
	}
	Rotate(dense.Transposed, v.b, v.a, x, v.w)
	for i, l := range v.lb {
		row := x.Row(i)
		for j, m := range v.la {
			row[j] /= l*m + v.d
		}
	}
	Rotate(dense.NoTrans, v.b, v.a, x, v.w)
}

// Rotate sets x to QB^T x QA for Transposed, to QB x QA^T for NoTrans, through the workspace w of the shape of x.
func Rotate(t dense.Trans, qb, qa, x, w dense.Matrix[float64]) {
	dense.Gemm(t, dense.NoTrans, 1, qb, x, 0, w)
	dense.Gemm(dense.NoTrans, !t, 1, w, qa, 0, x)
}
