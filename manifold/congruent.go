package manifold

import (
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

// Congruent sets dst to the frame T F of T S T^T for a regular T, given with its inverse and log |det T|. S -> T S T^T is an isometry of the affine-invariant metric that keeps
// whitened coordinates. Two products, one if p is Lower, half of that if T is nil: dst then computes its frame from the inverse when it is asked for. It panics if dst is p or
// sizes differ.
func (p *Frame) Congruent(dst *Frame, t, inverse *mat.Dense, logDet float64) {
	asFrame(dst, p.Dim())
	if dst == p {
		panic(Error("Congruent: dst is the frame itself"))
	}
	p.mulRight(dst.inverse(), inverse)
	if dst.stale = t == nil; !dst.stale {
		p.mulLeft(dense.Of(dst.f.RawMatrix()), t)
	}
	dst.lower, dst.spectral = false, false
	dst.logDet = p.logDet + 2*logDet
}

// mulLeft sets dst = T F.
func (p *Frame) mulLeft(dst dense.Matrix[float64], t *mat.Dense) {
	a := square(t, p.Dim())
	if p.lower {
		dense.MulLowerRight(dense.NoTrans, p.matrix(), a, dst)
	} else {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, a, p.matrix(), 0, dst)
	}
}

// mulRight sets dst = F^-1 T.
func (p *Frame) mulRight(dst dense.Matrix[float64], t *mat.Dense) {
	b := square(t, p.Dim())
	if p.lower {
		dense.MulLower(dense.NoTrans, p.inverse(), b, dst)
	} else {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, p.inverse(), b, 0, dst)
	}
}

// square returns the elements of t, or panics.
func square(t *mat.Dense, n int) dense.Matrix[float64] {
	if r, c := t.Dims(); r != n || c != n {
		panic(Error("Congruent: T or its inverse is not of the size of the frame"))
	}
	return dense.Of(t.RawMatrix())
}
