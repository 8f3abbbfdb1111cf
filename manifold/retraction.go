package manifold

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// Retraction names a way to move a frame along a whitened tangent vector eta. All but SweepStep and TriangularStep set F+ = F R
// with R = r(eta) symmetric positive definite.
type Retraction int

const (
	// DefaultStep is RationalStep, but in package problem what the problem prefers.
	DefaultStep Retraction = iota
	// RationalStep takes the [2/2] Pade approximant of exp(eta/2): R = (I + eta/4 + eta^2/48)(I - eta/4 + eta^2/48)^-1. It agrees with the
	// geodesic to fourth order, is positive definite for every eta, commutes with inversion of S (r(-eta) = r(eta)^-1) as the geodesic
	// does, and costs about 3 products and no decomposition.
	RationalStep
	// SecondOrderStep takes R = I + eta/2 + eta^2/8, the retraction S + xi + xi S^-1 xi/2 up to third order; every eigenvalue of R is at least
	// 1/2, so a step shrinks no eigenvalue of S by more than 4. About 2 products.
	SecondOrderStep
	// GeodesicStep takes R = exp(eta/2) by an eigendecomposition.
	GeodesicStep
	// SweepStep moves the factor S = B diag(d) B^T itself: one bounded-angle sweep towards S + xi with d_i exp(eta_ii), so that the point
	// stays spectral and powers of S cost two products. It agrees with the geodesic to first order. The frame turns with the eigenbasis:
	// keeping eta is isometric, but it is not close to parallel transport where eigenvalues are nearly equal. About 4 products; SpectralFrame
	// points only.
	SweepStep
	// TriangularStep makes the steps of RationalStep in frames that stay lower triangular: F+ = F C with the Cholesky factor C of r(eta)^2, taken from
	// the series of exp(eta) for short steps. Under one product, up to 2.5 for long steps, and products with F^-1 and F^-T cost half (see Frame.Lower).
	// The frame turns by an angle of the order of the step against that of the other retractions: keeping eta is isometric, but parallel transport only
	// in the limit of short steps.
	TriangularStep
)

// retractions lists the moves in the order of the constants.
var retractions = [...]struct {
	name  string
	order int // R(t eta) agrees with the geodesic up to and including this power of t
	move  func(dst, p *Frame, eta dense.Matrix[float64]) error
}{
	DefaultStep:     {"default", 4, retractRational},
	RationalStep:    {"rational", 4, retractRational},
	SecondOrderStep: {"second-order", 2, retractSecondOrder},
	GeodesicStep:    {"geodesic", math.MaxInt, retractGeodesic},
	SweepStep:       {"sweep", 1, retractSweep},
	TriangularStep:  {"triangular", 2, retractTriangular},
}

// String returns the name of the retraction.
func (r Retraction) String() string {
	if r < 0 || int(r) >= len(retractions) {
		return "unknown"
	}
	return retractions[r].name
}

// Order returns the largest k such that the retraction agrees with the geodesic up to and including order k in the step length.
func (r Retraction) Order() int { return retractions[r].order }

func retractSecondOrder(dst, p *Frame, eta dense.Matrix[float64]) error {
	r := dst.scratch(1)[0]
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, 0.125, eta, eta, 0, r)
	dense.Mirror(r)
	dense.Axpy(0.5, eta.Data, r.Data)
	addIdentity(r)
	if dense.Cholesky(r) >= 0 {
		return &PointError{What: "the step left the cone: I + eta/2 + eta^2/8 is not positive definite in floating point"}
	}
	dst.inv.Copy(p.inv)
	solveCholesky(r, dst.inverse())
	dst.logDet = p.logDet + 4*sumLogDiagonal(r)
	return nil
}

func retractRational(dst, p *Frame, eta dense.Matrix[float64]) error {
	w := dst.scratch(2)
	num, den := w[0], w[1]
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, 1.0/48, eta, eta, 0, num)
	dense.Mirror(num)
	addIdentity(num)
	den.Copy(num)
	dense.Axpy(0.25, eta.Data, num.Data)
	dense.Axpy(-0.25, eta.Data, den.Data)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, den, p.inverse(), 0, dst.inverse())
	if dense.Cholesky(num) >= 0 || dense.Cholesky(den) >= 0 {
		return &PointError{What: "the step left the cone: a factor of the rational retraction is not positive definite in floating point"}
	}
	solveCholesky(num, dst.inverse())
	dst.logDet = p.logDet + 4*(sumLogDiagonal(num)-sumLogDiagonal(den))
	return nil
}

func retractGeodesic(dst, p *Frame, eta dense.Matrix[float64]) error {
	w := dst.scratch(3)
	q, r := w[0], w[1]
	q.Copy(eta)
	if !dst.solver.Sym(q, dst.values) {
		return &StepError{Norm: math.NaN()}
	}
	var trace float64
	for i, l := range dst.values {
		trace += l
		dst.values[i] = math.Exp(-l / 2)
	}
	spectralSum(r, q, dst.values, w[2])
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, r, p.inverse(), 0, dst.inverse())
	dst.logDet = p.logDet + trace
	return nil
}

func addIdentity(m dense.Matrix[float64]) {
	for i := range m.Rows {
		m.Set(i, i, m.At(i, i)+1)
	}
}

// solveCholesky overwrites b with (l l^T)^-1 b.
func solveCholesky(l, b dense.Matrix[float64]) {
	dense.SolveLower(dense.NoTrans, l, b)
	dense.SolveLower(dense.Transposed, l, b)
}

// sumLogDiagonal returns the sum of the logarithms of the diagonal, which is positive, as that of a product whose exponent is kept apart.
func sumLogDiagonal(m dense.Matrix[float64]) float64 {
	product, exponent := 1.0, 0
	for i := range m.Rows {
		fraction, e := math.Frexp(m.At(i, i))
		product *= fraction
		exponent += e
		if product < 0x1p-500 {
			product, e = math.Frexp(product)
			exponent += e
		}
	}
	return math.Log(product) + float64(exponent)*math.Ln2
}
