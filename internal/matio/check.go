package matio

import (
	"errors"
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// SymmetryTolerance bounds |a_ij - a_ji| relative to the largest element of a matrix that passes for symmetric.
const SymmetryTolerance = 1e-8

// clipFloor is the smallest eigenvalue that NearestSPD leaves, relative to the largest.
const clipFloor = 1e-8

// Kind is the property that a Check demands.
type Kind int

// The kinds of matrices, each demanding all that the one before it does.
const (
	General   Kind = iota // finite
	Square                // as many rows as columns
	Symmetric             // a_ij = a_ji up to SymmetryTolerance; then exactly symmetrised
	SPD                   // smallest eigenvalue > n eps times the largest
)

// Check demands a property of matrices and repairs those that miss positive definiteness, as far as it is told to.
type Check struct {
	Kind Kind
	// Jitter > 0 adds Jitter times the mean of the diagonal to the diagonal of every matrix (SPD only).
	Jitter float64
	// NearestSPD replaces a matrix that is still not positive definite by raising its eigenvalues to at least 1e-8 times the largest
	// (SPD only): for a floor of zero the nearest one in the Frobenius norm (Higham, 1988).
	NearestSPD bool
	// Missing takes a row and a column of NaN with one index for a variable that is not known: the check is of the rows and columns that are.
	Missing bool
}

// Validate reports a Jitter that is negative or not finite.
func (c Check) Validate() error {
	if !(c.Jitter >= 0) || math.IsInf(c.Jitter, 1) {
		return fmt.Errorf("jitter must be a finite number >= 0, not %v", c.Jitter)
	}
	return nil
}

// Apply checks m and symmetrises or repairs it in place. The error, an *Error, names the file, the matrix, the number and the remedy. Cost
// for SPD: one Cholesky factorisation and one triangular inverse; eigenvalues only in doubtful cases.
func (c Check) Apply(m *Matrix) error {
	if c.Missing && m.Rows == m.Cols {
		return c.applyToKnown(m)
	}
	if err := Finite(m); err != nil || c.Kind == General {
		return err
	}
	if m.Rows != m.Cols {
		e := badf(m.File, "%s is %d x %d, not square", m.Subject(), m.Rows, m.Cols)
		if m.Index < 0 && m.Rows > m.Cols {
			e = e.try("an n x n matrix or an m x n x n stack is needed here, not samples")
		}
		return e
	}
	if c.Kind == Square {
		return nil
	}
	if err := symmetrise(m); err != nil || c.Kind == Symmetric {
		return err
	}
	return c.definite(m)
}

// applyToKnown is Apply for the rows and columns whose diagonal element is known. The numbers in an error count these, and it says so.
func (c Check) applyToKnown(m *Matrix) error {
	c.Missing = false
	var known []int
	for i := range m.Rows {
		if !math.IsNaN(m.At(i, i)) {
			known = append(known, i)
			continue
		}
		for j := range m.Rows {
			if !math.IsNaN(m.At(i, j)) || !math.IsNaN(m.At(j, i)) {
				return badf(m.File, "%s has NaN at (%d,%d), but not in all of row and column %d (counting from 0)", m.Subject(), i, i, i).
					try("a missing variable is a row and a column of NaN")
			}
		}
	}
	if len(known) == m.Rows {
		return c.Apply(m)
	}
	if len(known) == 0 {
		return badf(m.File, "%s is all NaN", m.Subject())
	}
	part := *m
	part.Matrix = dense.New[float64](len(known), len(known))
	for i, r := range known {
		for j, k := range known {
			part.Set(i, j, m.At(r, k))
		}
	}
	if err := c.Apply(&part); err != nil {
		var e *Error
		if errors.As(err, &e) {
			e.What += fmt.Sprintf(" (rows and columns counted without the %d that are missing)", m.Rows-len(known))
		}
		return err
	}
	for i, r := range known {
		for j, k := range known {
			m.Set(r, k, part.At(i, j))
		}
	}
	return nil
}

// Finite demands that no element of m is NaN or infinite.
func Finite(m *Matrix) error {
	for i := range m.Rows {
		for j, v := range m.Row(i) {
			if v-v != 0 {
				return badf(m.File, "%s has %v at row %d, column %d (counting from 0)", m.Subject(), v, i, j)
			}
		}
	}
	return nil
}

func symmetrise(m *Matrix) error {
	var largest, worst float64
	var wi, wj int
	for i := range m.Rows {
		row := m.Row(i)
		for j, v := range row[:i] {
			u := m.At(j, i)
			largest = max(largest, math.Abs(u), math.Abs(v))
			if d := math.Abs(u - v); d > worst {
				worst, wi, wj = d, j, i
			}
		}
		largest = max(largest, math.Abs(row[i]))
	}
	if worst > SymmetryTolerance*largest {
		return badf(m.File, "%s is not symmetric: element (%d,%d) is %.10g but (%d,%d) is %.10g (counting from 0)",
			m.Subject(), wi, wj, m.At(wi, wj), wj, wi, m.At(wj, wi)).try("save (A + A^T)/2 if that is what you mean")
	}
	for i := range m.Rows {
		for j := range i {
			v := m.At(i, j)/2 + m.At(j, i)/2
			m.Set(i, j, v)
			m.Set(j, i, v)
		}
	}
	return nil
}

func (c Check) definite(m *Matrix) error {
	n := m.Rows
	mean := 0.0
	for i := range n {
		mean += m.At(i, i) / float64(n)
	}
	if c.Jitter > 0 {
		for i := range n {
			m.Set(i, i, m.At(i, i)+c.Jitter*max(mean, 0))
		}
	}
	if clearlyDefinite(m.Matrix) {
		return nil
	}
	w := make([]float64, n)
	scale := largestElement(m.Matrix)
	if scale == 0 {
		return badf(m.File, "%s is zero", m.Subject())
	}
	if !eigen.SymValues(scaled(m.Matrix, scale), w) {
		return badf(m.File, "the eigenvalues of %s cannot be computed", m.Subject())
	}
	smallest, largest := w[0]*scale, w[n-1]*scale
	if smallest > threshold(n)*largest {
		return nil
	}
	if !(largest > 0) {
		return badf(m.File, "%s is not positive definite: its largest eigenvalue is %.3g", m.Subject(), largest)
	}
	if c.NearestSPD {
		return clip(m, scale)
	}
	what := "not positive definite"
	if smallest > 0 {
		what = "not positive definite in float64"
	}
	return badf(m.File, "%s is %s: smallest eigenvalue %.2g (largest %.3g)", m.Subject(), what, smallest, largest).
		try("%s", c.remedy(smallest, mean))
}

// threshold is the smallest ratio of eigenvalues that float64 can tell from zero for an n x n matrix.
func threshold(n int) float64 { return float64(n) * 0x1p-52 }

// clearlyDefinite proves that the smallest eigenvalue lies above the threshold without computing it, by lambda_min >= 1/tr(A^-1) and
// tr(A^-1) = ||L^-1||_F^2; false means undecided. The factor 4 covers the rounding of the bound itself.
func clearlyDefinite(a dense.Matrix[float64]) bool {
	n := a.Rows
	scale := largestElement(a)
	if scale == 0 {
		return false
	}
	l := scaled(a, scale)
	if dense.Cholesky(l) >= 0 {
		return false
	}
	dense.InvertLower(l)
	trace, norm := 0.0, 0.0
	for i := range n {
		for _, v := range l.Row(i)[:i+1] {
			trace += v * v
		}
		for _, v := range a.Row(i) {
			norm += (v / scale) * (v / scale)
		}
	}
	return 1/trace > 4*threshold(n)*math.Sqrt(norm)
}

func largestElement(a dense.Matrix[float64]) float64 {
	largest := 0.0
	for i := range a.Rows {
		for _, v := range a.Row(i) {
			largest = max(largest, math.Abs(v))
		}
	}
	return largest
}

// scaled returns a / scale in memory of its own, so that nothing overflows on the way.
func scaled(a dense.Matrix[float64], scale float64) dense.Matrix[float64] {
	c := a.Clone()
	for i, v := range c.Data {
		c.Data[i] = v / scale
	}
	return c
}

// remedy names the flags that would repair a matrix: the smallest power of ten of jitter, in all, that clears its negative eigenvalues, unless
// that would change the matrix beyond recognition.
func (c Check) remedy(smallest, mean float64) string {
	need := c.Jitter - 2*smallest/mean
	for exponent := 8; exponent >= 3 && mean > 0; exponent-- {
		if math.Pow10(-exponent) >= need {
			return fmt.Sprintf("try --jitter 1e-%d or --nearest-spd", exponent)
		}
	}
	return "try --nearest-spd"
}

// clip raises the eigenvalues of m to at least clipFloor times the largest.
func clip(m *Matrix, scale float64) error {
	n := m.Rows
	v, w := scaled(m.Matrix, scale), make([]float64, n)
	if !eigen.Sym(v, w) {
		return badf(m.File, "the eigenvalues of %s cannot be computed", m.Subject())
	}
	x := v.Clone()
	for i := range n {
		row := x.Row(i)
		for j := range row {
			row[j] *= scale * max(w[j], clipFloor*w[n-1])
		}
	}
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, x, v, 0, m.Matrix)
	dense.Mirror(m.Matrix)
	return nil
}
