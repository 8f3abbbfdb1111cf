package curvature

import (
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/kronecker"
	"github.com/spdopt/spdopt/spectral"
)

// TrackedInverse is the damped inverse (B (x) A + damping I)^-1 of KFAC for factors that change slowly: the eigenbases of all factors follow them by
// bounded-angle sweeps, products only, so that no update decomposes or factorises a matrix. It is zero on the parameters without factors.
type TrackedInverse struct {
	layerwise
	a, b    []*spectral.Eigenbasis
	damping float64
	step    spectral.Step
}

// Tracking says how well the eigenbases fit the factors after an update.
type Tracking struct {
	Residual  float64 // largest norm of the off-diagonal part of a factor in its basis over the norm of the factor: its relative error
	Converged bool    // every basis reached the tolerance of the step
	Sweeps    int     // over all factors
}

// NewTrackedInverse returns the inverse for the factors of k with exact damping > 0. step bounds the sweeps of an update (MaxSweeps, Tol); a nil step makes
// one sweep, except that the first update sweeps until the bases are found.
func NewTrackedInverse(k *KFAC, damping float64, step *spectral.Step) (*TrackedInverse, error) {
	if !(damping > 0) || damping-damping != 0 {
		return nil, dataError("damping", "must be a positive finite number, not %v; a basis that only follows can miss a singular factor", damping)
	}
	if k == nil {
		return nil, errNoOperator
	}
	if step != nil {
		if err := step.Validate(); err != nil {
			return nil, err
		}
	}
	t := &TrackedInverse{layerwise: newLayerwise(k.Blocks, k.dim), damping: damping, step: spectral.Step{MaxSweeps: 1}}
	if step != nil {
		t.step = *step
	}
	for i := range k.Blocks {
		out, in := k.Blocks[i].Dims()
		t.b, t.a = append(t.b, spectral.NewEigenbasis(out)), append(t.a, spectral.NewEigenbasis(in))
	}
	t.apply = t.invert
	first := t.step
	first.MaxSweeps = max(first.MaxSweeps, 30)
	_, err := t.follow(k, &first)
	return t, err
}

// Update turns the bases towards the factors of k, which must have the blocks of the first ones, and takes their eigenvalues. A *DataError for factors that
// are not finite leaves bases of earlier blocks updated.
func (t *TrackedInverse) Update(k *KFAC) (Tracking, error) { return t.follow(k, &t.step) }

func (t *TrackedInverse) follow(k *KFAC, step *spectral.Step) (Tracking, error) {
	if k == nil {
		return Tracking{}, errNoOperator
	}
	sameSize := func(f, g Factors) bool { return f.Weight == g.Weight && f.Bias == g.Bias }
	if !slices.EqualFunc(k.Blocks, t.Blocks, sameSize) {
		return Tracking{}, dataError("factors", "%d blocks, not the %d that the bases were made for", len(k.Blocks), len(t.Blocks))
	}
	all := Tracking{Converged: true}
	for i := range k.Blocks {
		f := &k.Blocks[i]
		for _, side := range []struct {
			basis  *spectral.Eigenbasis
			factor dense.Matrix[float64]
		}{{t.b[i], f.B}, {t.a[i], f.A}} {
			n := side.factor.Rows
			rep := side.basis.Follow(mat.NewSymDense(n, side.factor.Data), step)
			if rep.Err != nil {
				return all, dataError("factors of "+f.Name(), "%v", rep.Err)
			}
			all.Residual = max(all.Residual, rep.Residual)
			all.Converged = all.Converged && rep.Converged
			all.Sweeps += rep.Sweeps
		}
	}
	return all, nil
}

func (t *TrackedInverse) invert(k int, v, w dense.Matrix[float64]) {
	qb, qa := basisOf(t.b[k]), basisOf(t.a[k])
	lb, la := t.b[k].Values(), t.a[k].Values()
	kronecker.Rotate(dense.Transposed, qb, qa, v, w)
	for i := range v.Rows {
		row := v.Row(i)
		for j := range row {
			row[j] /= max(lb[i], 0)*max(la[j], 0) + t.damping
		}
	}
	kronecker.Rotate(dense.NoTrans, qb, qa, v, w)
}

func basisOf(e *spectral.Eigenbasis) dense.Matrix[float64] {
	raw := e.Basis().RawMatrix()
	return dense.Matrix[float64]{Rows: raw.Rows, Cols: raw.Cols, Stride: raw.Stride, Data: raw.Data}
}
