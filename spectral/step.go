package spectral

import (
	"fmt"
	"math"
)

// RotationRule chooses the generator N of the rotation B <- B (I+N)(I-N)^-1.
type RotationRule int

// The rotation rules. With T the increment in the eigenbasis, X_ij = T_ij/sqrt(d_i d_j) and x_i = X_ii,
//
//	phi_ij   = (d_j - d_i)/sqrt(d_i d_j) + x_j - x_i,
//	theta_ij = 1/2 atan(2 X_ij/phi_ij), and pi/4 sign(X_ij) where phi_ij = 0.
const (
	// BoundedAngle uses N_ij = tan(theta_ij/2): exactly the rotation by theta_ij in each plane. |theta| <= pi/4 whatever the gap, no tie test.
	BoundedAngle RotationRule = iota
	// HalfAngle uses N_ij = theta_ij/2, which agrees with BoundedAngle up to theta^3/24.
	HalfAngle
	// TiesToZero is the published rule N_ij = T_ij/(2 (d_j - d_i)), zero where d_i = d_j. It needs FrobeniusCap or MaxNorm when the
	// Cayley map is truncated, and it never rotates out of an exact tie.
	TiesToZero
)

// EigenvalueRule chooses how d moves.
type EigenvalueRule int

// The eigenvalue rules.
const (
	// RotatedDiagonal sets d_i = (Q^T M Q)_ii for the target M in the old basis: the Rayleigh quotients of the new basis, positive for every
	// SPD target. An entry that is not positive (possible only for an indefinite target) moves by Exponential instead.
	RotatedDiagonal EigenvalueRule = iota
	// Exponential sets d_i = d_i exp(T_ii/d_i), positive for every increment, and makes the step exactly invariant under S -> S^-1.
	Exponential
)

// Step holds the options of Update and Follow. The zero value, or a nil *Step, is the default: one bounded-angle sweep with the norm bound
// 0.7, the exact Cayley map and eigenvalues from the rotated diagonal.
type Step struct {
	// Rotation is the rule of the generator. Follow always uses BoundedAngle.
	Rotation RotationRule
	// Eigenvalues is the rule for d. Follow always uses RotatedDiagonal.
	Eigenvalues EigenvalueRule
	// MaxNorm scales N by min(1, MaxNorm/||N||_2). Nothing is scaled while nu = min(||N||_F, sqrt(||N||_1 ||N||_inf)) >= ||N||_2 is within it;
	// beyond, ||N||_2 is estimated by a few products with a vector, because nu exceeds it by about 0.4 sqrt(n) for a generator without structure and
	// would slow every rotation by as much. 0 means 0.7. A value above 1000, +Inf among them, means 1000: ||N||_2 = 1000 is a rotation by 179.9
	// degrees, and beyond it the exact Cayley map loses its accuracy.
	MaxNorm float64
	// GuaranteedNorm uses nu itself instead of the estimate, so that MaxNorm is a strict bound of ||N||_2; the truncated product always does.
	GuaranteedNorm bool
	// FrobeniusCap scales N further, to ||N||_F <= FrobeniusCap. 0 means no cap.
	FrobeniusCap float64
	// MaxExponent clips T_ii/d_i to [-MaxExponent, MaxExponent]. 0 means 1 under Exponential and no clip under RotatedDiagonal (whose
	// positivity guard then uses 1); +Inf switches it off.
	MaxExponent float64
	// PreRotate first turns each group of exactly equal eigenvalues to the eigenvectors of the increment within it, which leaves S as it is
	// and restores first-order accuracy at exact ties of any multiplicity. It costs an eigendecomposition of the tied block.
	PreRotate bool
	// Factors > 0 replaces the exact Cayley map by its truncated product (I+N)^2 (I+N^2) ... (I+N^(2^(Factors-1))), at most 8.
	Factors int
	// Tol > 0 makes the number of sweeps adaptive: a sweep is made only while max |M_ij|/sqrt(M_ii M_jj) > Tol for the target M in the
	// current basis. For Follow 0 means 1e-12; for Update 0 means that every one of MaxSweeps sweeps is made.
	Tol float64
	// MaxSweeps bounds the number of sweeps. 0 means 1 for Update without Tol, 10 for Update with Tol, and 30 for Follow.
	MaxSweeps int
	// Decompose lets Follow decompose a afresh where that costs less than the sweeps that the first generator foretells. The eigenpairs are then
	// in ascending order, and memory is allocated. Update ignores it.
	Decompose bool
}

// Validate reports the first option that is out of range.
func (s Step) Validate() error {
	bad := func(field string, v any, want string) error {
		return &DataError{"Step." + field, fmt.Sprintf("%v is not %s", v, want)}
	}
	switch {
	case s.Rotation < BoundedAngle || s.Rotation > TiesToZero:
		return bad("Rotation", int(s.Rotation), "one of BoundedAngle, HalfAngle, TiesToZero")
	case s.Eigenvalues < RotatedDiagonal || s.Eigenvalues > Exponential:
		return bad("Eigenvalues", int(s.Eigenvalues), "one of RotatedDiagonal, Exponential")
	case !(s.MaxNorm >= 0):
		return bad("MaxNorm", s.MaxNorm, ">= 0")
	case !(s.FrobeniusCap >= 0):
		return bad("FrobeniusCap", s.FrobeniusCap, ">= 0")
	case !(s.MaxExponent >= 0):
		return bad("MaxExponent", s.MaxExponent, ">= 0")
	case s.Factors < 0 || s.Factors > 8:
		return bad("Factors", s.Factors, "in 0..8")
	case s.Factors > 0 && s.MaxNorm >= 1 && !(s.FrobeniusCap > 0 && s.FrobeniusCap < math.Sqrt2):
		return bad("MaxNorm", s.MaxNorm, "< 1, which the truncated product needs")
	case !(s.Tol >= 0) || math.IsInf(s.Tol, 1):
		return bad("Tol", s.Tol, "finite and >= 0")
	case s.MaxSweeps < 0:
		return bad("MaxSweeps", s.MaxSweeps, ">= 0")
	}
	return nil
}

// resolve returns the options with every default filled in, for the operation whose own defaults are tol and sweeps.
func (s *Step) resolve(tol float64, sweeps int) Step {
	var r Step
	if s != nil {
		r = *s
		if err := r.Validate(); err != nil {
			mistake("%v", err)
		}
	}
	if r.MaxNorm == 0 {
		r.MaxNorm = 0.7
	}
	r.MaxNorm = min(r.MaxNorm, 1000)
	if r.MaxExponent == 0 {
		r.MaxExponent = 1
		if r.Eigenvalues == RotatedDiagonal {
			r.MaxExponent = math.Inf(1)
		}
	}
	if r.MaxSweeps == 0 {
		r.MaxSweeps = sweeps
		if r.Tol > 0 && sweeps == 1 {
			r.MaxSweeps = 10
		}
	}
	if r.Tol == 0 {
		r.Tol = tol
	}
	return r
}

// Report says what an update did.
type Report struct {
	// Sweeps is the number of rotations made.
	Sweeps int
	// Scaling is the smallest factor in (0, 1] that MaxNorm and FrobeniusCap applied to a generator; 1 when they did not act.
	Scaling float64
	// Residual is ||offdiag(B^T M B)||_F/||M||_F for the target M in the new basis: 0 when B diagonalises the target. It comes from the norms of
	// M and d, so that values below about 1e-8 are rounding, unless Follow or Tol > 0 measured the off-diagonal itself.
	Residual float64
	// Coupling is max |M_ij|/sqrt(|M_ii M_jj|) of the target, measured (only by Follow and with Tol > 0) in the last basis in which it was formed.
	Coupling float64
	// Converged says that Coupling <= Tol in the basis returned (Follow, and Update with Tol > 0).
	Converged bool
	// Guarded counts the eigenvalues that a guard moved: not positive as a Rayleigh quotient, or outside the range kept, 2^-1000 to 2^1000.
	Guarded int
	// Decomposed says that Follow used an eigendecomposition, which Step.Decompose allows; Coupling and Residual are then those of its rounding,
	// reported as 0.
	Decomposed bool
	// Defect is the estimate of ||B^T B - I||_2 last measured, see Factor.Defect.
	Defect float64
	// Reorthogonalized says that the defect triggered a re-orthogonalisation.
	Reorthogonalized bool
	// Err is ErrNotFinite or ErrRange if the increment could not be used and the factor was left as it was; otherwise nil.
	Err error
}
