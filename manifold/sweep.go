package manifold

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/spectral"
)

// SpectralFrame returns the frame F = B diag(d)^(1/2) of a factor, which is copied. It is what SweepStep moves.
func SpectralFrame(f *spectral.Factor) *Frame {
	n := f.Dim()
	p := &Frame{f: mat.NewDense(n, n, nil), inv: mat.NewDense(n, n, nil)}
	p.factor, p.spectral = f.Clone(), true
	p.fromFactor()
	return p
}

// Factor returns the spectral factor of a frame that SpectralFrame made or SweepStep moved, and nil for any other; read only.
func (p *Frame) Factor() *spectral.Factor {
	if !p.spectral {
		return nil
	}
	return p.factor
}

// fromFactor sets F = B diag(d)^(1/2) and its inverse from the factor.
func (p *Frame) fromFactor() {
	p.stale = false
	b, d := dense.Of(p.factor.Basis().RawMatrix()), p.factor.Eigenvalues()
	f, inv := p.matrix(), p.inverse()
	p.logDet = 0
	for j, v := range d {
		r := math.Sqrt(v)
		for i := range f.Rows {
			f.Set(i, j, b.At(i, j)*r)
			inv.Set(j, i, b.At(i, j)/r)
		}
		p.logDet += math.Log(v)
	}
}

// sweepExponent bounds the change of a log-eigenvalue in one sweep.
const sweepExponent = 2

// retractSweep makes one bounded-angle sweep of the factor towards S + xi, with the exponential rule for the eigenvalues.
func retractSweep(dst, p *Frame, eta dense.Matrix[float64]) error {
	if !p.spectral {
		return &PointError{What: "the sweep moves spectral frames only: start from SpectralFrame"}
	}
	if dst.factor == nil {
		dst.factor = p.factor.Clone()
	} else {
		dst.factor.CopyFrom(p.factor)
	}
	if dst.increment == nil {
		dst.increment = mat.NewSymDense(p.Dim(), nil)
	}
	dst.spectral = true
	d := p.factor.Eigenvalues()
	raw := dst.increment.RawSymmetric()
	for i, a := range d {
		for j := i; j < len(d); j++ {
			raw.Data[i*raw.Stride+j] = eta.At(i, j) * math.Sqrt(a*d[j])
		}
	}
	dst.step = spectral.Step{Eigenvalues: spectral.Exponential, MaxExponent: sweepExponent}
	rep := dst.factor.Update(spectral.Increment{Dense: dst.increment, InBasis: true}, &dst.step)
	if rep.Err != nil {
		return &PointError{What: "the sweep failed: " + rep.Err.Error()}
	}
	dst.fromFactor()
	return nil
}
