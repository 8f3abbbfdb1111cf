package curvature

import (
	"fmt"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/kronecker"
)

// DampingKind says how damping enters the inverse of B (x) A.
type DampingKind = kronecker.Kind

// The kinds of damping.
const (
	Exact = kronecker.Exact // (B (x) A + d I)^-1, from the eigendecompositions of both factors
	Plain = kronecker.Plain // (B + d I)^-1 (x) (A + d I)^-1
	Pi    = kronecker.Pi    // (B + dB I)^-1 (x) (A + dA I)^-1 with dA dB = d and dB/dA the ratio of the mean eigenvalues of B and A
)

// Damping is what is added to a Kronecker product before it is inverted. The zero value is exact damping with 0.
type Damping struct {
	Kind  DampingKind // default Exact
	Value float64
}

// Validate reports what cannot be.
func (d *Damping) Validate() error {
	switch d.Kind {
	case "", Exact, Plain, Pi:
	default:
		return dataError("damping", "must be exact, plain or pi, not %q", d.Kind)
	}
	if !(d.Value >= 0) || d.Value-d.Value != 0 {
		return dataError("damping", "must be a finite number that is not negative, not %v", d.Value)
	}
	return nil
}

// SingularError says that a damped block has no inverse in floating point.
type SingularError struct {
	Block   string
	Damping float64
	Cause   error
}

// Error names the block and says what to do.
func (e *SingularError) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("curvature of block %q: %v", e.Block, e.Cause)
	}
	return fmt.Sprintf("curvature of block %q with damping %g is singular to working precision; raise the damping", e.Block, e.Damping)
}

// Unwrap returns the cause.
func (e *SingularError) Unwrap() error { return e.Cause }

// KroneckerInverse applies the damped inverse of KFAC; it is zero on the parameters without factors.
type KroneckerInverse struct {
	layerwise
	inverses []*kronecker.Inverse
}

// Inverse returns the damped inverse of k, a snapshot of its factors. A *SingularError names the block that has none.
func (k *KFAC) Inverse(d Damping) (*KroneckerInverse, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	if d.Kind == "" {
		d.Kind = Exact
	}
	inv := &KroneckerInverse{layerwise: newLayerwise(k.Blocks, k.dim)}
	for i := range k.Blocks {
		f := &k.Blocks[i]
		out, in := f.Dims()
		one := kronecker.NewInverse(out, in)
		if err := one.Set(d.Kind, f.B, f.A, d.Value); err != nil {
			return nil, &SingularError{f.Name(), d.Value, err}
		}
		inv.inverses = append(inv.inverses, one)
	}
	inv.apply = func(k int, v, _ dense.Matrix[float64]) { inv.inverses[k].Apply(v) }
	return inv, nil
}
