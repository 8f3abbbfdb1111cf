package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// singleHessian multiplies with the Hessian of the mean's cost in single precision: with differences of gradients, whose logarithm is a rationalLog, over a step of a hundredth. The
// part of the sinh is known exactly from the means of the data and of their inverses.
type singleHessian struct {
	n                 int
	inverses          singleInverses
	log               *rationalLog
	weights           []float64
	f, inv, moved     dense.Matrix[float32] // the point is F F'; F^-1
	x, sum, y, z      dense.Matrix[float32]
	means             dense.Matrix[float32] // F^-1 A F^-T + F' H F, A and H the means
	base, probe, root dense.Matrix[float32]
}

// probeLength is the root mean square of the eigenvalues of a step over which gradients are compared: the quadratic terms and the rounding of single
// precision leave errors of 1e-3 and 1e-4 in a Hessian product.
const probeLength = 0.01

// hessianError is that of the logarithm, relative to the width of its interval, in the mean over the matrices. Measured, the product with a gradient that the search leaves is then off by 1e-3.
const hessianError = 1.2e-4

// newSingleHessian returns the products for the weights, of sum 1. It returns nil where no logarithm is accurate enough.
func newSingleHessian(n int, inverses singleInverses, width float64, weights []float64) *singleHessian {
	h := &singleHessian{n: n, inverses: inverses, weights: weights}
	h.log = logWithin(width, 1, hessianError*width/math.Sqrt(dense.Dot(weights, weights)))
	if h.log == nil {
		return nil
	}
	for _, m := range []*dense.Matrix[float32]{&h.f, &h.inv, &h.moved, &h.x, &h.sum, &h.y, &h.z, &h.means, &h.base, &h.probe, &h.root} {
		*m = dense.New[float32](n, n)
	}
	return h
}

// start takes the point F F', given F^-1 and the means with the weights.
func (h *singleHessian) start(f, inv dense.Matrix[float64], arithmetic, harmonic dense.Matrix[float32]) bool {
	narrow(h.f.Data, f.Data)
	narrow(h.inv.Data, inv.Data)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, h.inv, arithmetic, 0, h.z)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, h.z, h.inv, 0, h.means)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, harmonic, h.f, 0, h.z)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, h.f, h.z, 1, h.means)
	dense.Mirror(h.means)
	return h.gradient(h.base, h.f)
}

// gradient sets the upper triangle of dst to F' S F, S the sum of the inverses at F F'.
func (h *singleHessian) gradient(dst, f dense.Matrix[float32]) bool {
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, f, f, 0, h.x)
	dense.Mirror(h.x)
	if !h.inverses.sumTo(h.sum, h.x, h.log.shift, h.weights, h.log.weight) {
		return false
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, h.sum, f, 0, h.z)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, f, h.z, 0, dst)
	return true
}

// product sets dst to the product with v, of which the upper triangle is complete, at the point where start was.
func (h *singleHessian) product(dst, v []float64) bool {
	t := probeLength * math.Sqrt(float64(h.n)/dense.Dot(v, v))
	for i, x := range v {
		h.y.Data[i] = float32(t / 2 * x)
	}
	// moved = F (I + t v/2 + (t v)^2/8)
	h.root.Copy(h.y)
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, 0.5, h.y, h.y, 1, h.root)
	dense.Mirror(h.root)
	h.moved.Copy(h.f)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, h.f, h.root, 1, h.moved)
	if !h.gradient(h.probe, h.moved) {
		return false
	}
	half := float32(h.log.sinh / 2) // y is t v/2: sinh/2 (M v + v M)/2
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, half, h.means, h.y, 1, h.probe)
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, half, h.y, h.means, 1, h.probe)
	for i := range h.n {
		probe, base := h.probe.Row(i), h.base.Row(i)
		for j := i; j < h.n; j++ {
			d := float64(probe[j]-base[j]) / t
			dst[i*h.n+j], dst[j*h.n+i] = d, d
		}
	}
	return true
}
