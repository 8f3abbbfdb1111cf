package quadric

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

const (
	// slowSteps bounds the steps in double precision, of each of two right sides.
	slowSteps = 1000
	// slowShare is what is left of a random right side of regular equations: a direction of the null space has a smaller share with a probability of 1e-5 sqrt d.
	slowShare = 1e-5
)

// slowly returns the best quadric to a whitened differential of the target by so many steps at most in double precision, for equations that are too ill-conditioned for low
// precision, or singular.
func (s *System) slowly(target float64, steps int) (dense.Matrix[float64], Outcome) {
	n := s.x.Cols
	if v := s.slowProbe(steps); v != Solved {
		return dense.Matrix[float64]{}, v
	}
	r, y := newResiduals(s), dense.New[float64](n, n)
	y.Identity()
	for range 3 { // what the steps have left is computed anew, and improved
		s.doubleProduct(y, r.image)
		r.rest.Identity()
		dense.Axpy(-1, r.image.Data, r.rest.Data)
		if r.whitenedBound(y) <= target {
			return s.original(y), Solved
		}
		r.start()
		for ; steps > 0 && r.whitenedBound(y) > target/2; steps-- {
			if !r.step(y) {
				return y, Undecided
			}
		}
	}
	return y, Undecided
}

// slowProbe is regular in double precision. The residual becomes what a random right side has in the null space, if there is one: a quadric V of norm one whose w'Vw
// vanish. The bound for the root of their mean square, 2^-25/n for whitened points, is less than what the direct solution calls singular by a factor of about n.
func (s *System) slowProbe(steps int) Outcome {
	n := s.x.Cols
	r, x := newResiduals(s), dense.New[float64](n, n)
	dense.FillNormal(r.rest.Data, [2]uint64{1, 2}, 0)
	for i := range n {
		r.rest.Set(i, i, math.Sqrt2*r.rest.At(i, i))
	}
	dense.Mirror(r.rest)
	end := slowShare * slowShare * dense.Dot(r.rest.Data, r.rest.Data)
	r.start()
	for range steps {
		square := dense.Dot(r.rest.Data, r.rest.Data)
		switch {
		case square <= end:
			return Solved
		case math.Abs(r.product) <= square*0x1p-50/float64(n*n):
			return Singular
		case !r.step(x):
			return Undecided
		}
	}
	return Undecided
}

// residuals is the method of conjugate residuals for A(Y) = B in double precision: of what is left of B, each step leaves as little as can be, so that what is
// in the null space of A remains.
type residuals struct {
	system                            *System
	rest, restImage, direction, image dense.Matrix[float64]
	work                              dense.Matrix[float64]
	product                           float64 // of what is left with its image
}

func newResiduals(s *System) *residuals {
	n := s.x.Cols
	matrix := func() dense.Matrix[float64] { return dense.New[float64](n, n) }
	return &residuals{system: s, rest: matrix(), restImage: matrix(), direction: matrix(), image: matrix(), work: matrix()}
}

// whitenedBound returns the norm of RY for what is left R, which is at least that of F'RF where Y = F F', and no less meaningful where Y is no such product.
func (r *residuals) whitenedBound(y dense.Matrix[float64]) float64 {
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, r.rest, y, 0, r.work)
	return math.Sqrt(dense.Dot(r.work.Data, r.work.Data))
}

// start makes what is left the first direction.
func (r *residuals) start() {
	r.system.doubleProduct(r.rest, r.restImage)
	r.product = dense.Dot(r.rest.Data, r.restImage.Data)
	r.direction.Copy(r.rest)
	r.image.Copy(r.restImage)
}

// step moves y along the direction to where least is left. It is false where the direction has no curvature.
func (r *residuals) step(y dense.Matrix[float64]) bool {
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
