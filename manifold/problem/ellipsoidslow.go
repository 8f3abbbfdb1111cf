package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

const (
	// quadricDirect is the number of unknowns up to which normal equations are solved directly where conjugate gradients in low precision fail: d unknowns take as long as
	// d/4 products in double precision, and memory for d^2 numbers.
	quadricDirect = 2500
	// quadricSlow bounds the steps in double precision, of each of two right sides.
	quadricSlow = 1000
	// quadricSlowShare is what is left of a random right side of regular equations: a direction of the null space has a smaller share with a probability of 1e-5 sqrt d.
	quadricSlowShare = 1e-5
)

// quadricVerdict is what a solution in double precision ends with.
type quadricVerdict uint8

const (
	quadricUndecided quadricVerdict = iota
	quadricSolved
	quadricSingular
)

// slowly returns the best quadric to a whitened differential of the target by so many steps at most in double precision, for equations that are too ill-conditioned for low
// precision, or singular.
func (s *quadricSystem) slowly(target float64, steps int) (dense.Matrix[float64], quadricVerdict) {
	n := s.x.Cols
	if v := s.slowProbe(steps); v != quadricSolved {
		return dense.Matrix[float64]{}, v
	}
	r, y := newQuadricResiduals(s), dense.New[float64](n, n)
	y.Identity()
	for range 3 { // what the steps have left is computed anew, and improved
		s.doubleProduct(y, r.image)
		r.rest.Identity()
		dense.Axpy(-1, r.image.Data, r.rest.Data)
		if r.whitenedBound(y) <= target {
			return s.original(y), quadricSolved
		}
		r.start()
		for ; steps > 0 && r.whitenedBound(y) > target/2; steps-- {
			if !r.step(y) {
				return y, quadricUndecided
			}
		}
	}
	return y, quadricUndecided
}

// slowProbe is regular in double precision. The residual becomes what a random right side has in the null space, if there is one: a quadric V of norm one whose w'Vw
// vanish. The bound for the root of their mean square, 2^-25/n for whitened points, is less than what the direct solution calls singular by a factor of about n.
func (s *quadricSystem) slowProbe(steps int) quadricVerdict {
	n := s.x.Cols
	r, x := newQuadricResiduals(s), dense.New[float64](n, n)
	dense.FillNormal(r.rest.Data, [2]uint64{1, 2}, 0)
	for i := range n {
		r.rest.Set(i, i, math.Sqrt2*r.rest.At(i, i))
	}
	dense.Mirror(r.rest)
	end := quadricSlowShare * quadricSlowShare * dense.Dot(r.rest.Data, r.rest.Data)
	r.start()
	for range steps {
		square := dense.Dot(r.rest.Data, r.rest.Data)
		switch {
		case square <= end:
			return quadricSolved
		case math.Abs(r.product) <= square*0x1p-50/float64(n*n):
			return quadricSingular
		case !r.step(x):
			return quadricUndecided
		}
	}
	return quadricUndecided
}

// quadricResiduals is the method of conjugate residuals for A(Y) = B in double precision: of what is left of B, each step leaves as little as can be, so that what is
// in the null space of A remains.
type quadricResiduals struct {
	system                            *quadricSystem
	rest, restImage, direction, image dense.Matrix[float64]
	work                              dense.Matrix[float64]
	product                           float64 // of what is left with its image
}

func newQuadricResiduals(s *quadricSystem) *quadricResiduals {
	n := s.x.Cols
	matrix := func() dense.Matrix[float64] { return dense.New[float64](n, n) }
	return &quadricResiduals{system: s, rest: matrix(), restImage: matrix(), direction: matrix(), image: matrix(), work: matrix()}
}

// whitenedBound returns the norm of RY for what is left R, which is at least that of F'RF where Y = F F', and no less meaningful where Y is no such product.
func (r *quadricResiduals) whitenedBound(y dense.Matrix[float64]) float64 {
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, r.rest, y, 0, r.work)
	return math.Sqrt(dense.Dot(r.work.Data, r.work.Data))
}

// start makes what is left the first direction.
func (r *quadricResiduals) start() {
	r.system.doubleProduct(r.rest, r.restImage)
	r.product = dense.Dot(r.rest.Data, r.restImage.Data)
	r.direction.Copy(r.rest)
	r.image.Copy(r.restImage)
}

// step moves y along the direction to where least is left. It is false where the direction has no curvature.
func (r *quadricResiduals) step(y dense.Matrix[float64]) bool {
	square, before := dense.Dot(r.image.Data, r.image.Data), r.product
	if !(before > 0 && square > 0) {
		return false
	}
	dense.Axpy(before/square, r.direction.Data, y.Data)
	dense.Axpy(-before/square, r.image.Data, r.rest.Data)
	r.system.doubleProduct(r.rest, r.restImage)
	r.product = dense.Dot(r.rest.Data, r.restImage.Data)
	dense.Blend(1, r.rest.Data, r.product/before, r.direction.Data, r.direction.Data)
	dense.Blend(1, r.restImage.Data, r.product/before, r.image.Data, r.image.Data)
	return true
}
