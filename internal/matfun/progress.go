package matfun

import "math"

// Progress decides when an iteration stops: at the target, or when its residual no longer falls (rounding has taken over). Running on would
// not improve the result and drives float32 iterates into subnormal numbers.
type Progress struct {
	Target  float64
	best    float64
	stalled int
}

// Done takes the residual of the latest step and returns "", "converged" or "stagnated".
func (p *Progress) Done(residual float64) string {
	if residual <= p.Target {
		return "converged"
	}
	if p.best == 0 || residual < 0.7*p.best {
		p.best, p.stalled = residual, 0
		return ""
	}
	// While far from convergence the residual of a coupled iteration is flat: small eigenvalues grow unseen. Only near it is a flat residual
	// the sign of rounding.
	if p.stalled++; p.stalled >= 2 && residual < 0.1 {
		return "stagnated"
	}
	return ""
}

// Broken reports whether a residual shows that an iteration left its domain of convergence.
func Broken(residual float64) bool { return math.IsNaN(residual) || residual > 1e6 }
