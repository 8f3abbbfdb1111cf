package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// singlePencil is a pencil in single precision, in which products take half the time. What it makes of R is symmetric and positive definite like the exact inverse, whatever
// the rounding of T and the weights.
type singlePencil struct {
	shared *singleWeights
	t      dense.Matrix[float32]
	scale  float64 // of the result of solve
	length float64 // of T T'
	lower  bool    // as of the pencil
	noise  float64 // A Y B for the rounding of a Y of length 1
}

// singleWeights is what pencils of the same eigenvalues share: the weights, over the largest of them, and scratch.
type singleWeights struct {
	*lender
	weights []float32
	s, w    dense.Matrix[float32]
}

const (
	// singleNoise is how much of R the rounding of Y may make, multiplied by A and B.
	singleNoise = 0.02
	// hopeless is the factor by which an R that is nothing special may exceed that: gradients have little where the inverse is large.
	hopeless = 1e3
	// singlePencilRows is the number of rows of a pencil from which on single precision saves more than it takes to convert and to look at the noise.
	singlePencilRows = 48
)

func newSingleWeights(p *pencil, l *lender) *singleWeights {
	n := len(p.mu)
	c := &singleWeights{lender: l, weights: l.single(n, n).Data, s: l.single(n, n), w: l.single(n, n)}
	dense.ScaleSingle(p.mu[0], p.weights, c.weights)
	return c
}

// set makes q the pencil p of A and B, given |A| |B|, and returns false where that is of no use: the noise of Y is its rounding times |A| |B|/n, the root of the mean square of
// the eigenvalues of what is inverted, and the mean of those of the inverse is tr A^-1 tr B^-1/n^2.
func (q *singlePencil) set(p *pencil, norms float64) bool {
	n := float64(len(p.mu))
	var plain, weighted float64
	for i := range p.t.Rows {
		u, v := dense.WeightedSquares(p.t.Row(i), p.roots)
		plain += u
		weighted += v
	}
	q.noise = singleRounding * norms / n
	if !(q.noise*plain*weighted/(n*n) <= hopeless*singleNoise) {
		return false
	}
	if q.t.Rows == 0 {
		q.t = q.shared.single(len(p.mu), len(p.mu))
	}
	dense.ScaleSingle(1/math.Sqrt(plain), p.t.Data, q.t.Data)
	q.scale, q.length, q.lower = plain*plain/p.mu[0], plain, p.lower
	return true
}

// solve writes Y to dst, which may not be r, and returns false where its noise is more than singleNoise of R.
func (q *singlePencil) solve(dst, r dense.Matrix[float64]) bool {
	size := math.Sqrt(dense.Dot(r.Data, r.Data))
	if !(size > 0) {
		clear(dst.Data)
		return true
	}
	c := q.shared
	dense.ScaleSingle(1/size, r.Data, c.s.Data)
	project(c.s, c.s, q.t, q.lower, c.w)
	dense.Multiply(c.weights, c.s.Data, c.s.Data)
	return q.write(dst, q.scale, size)
}

// finish writes the Y that is y in the basis, Y = T y T', to dst, and returns false where its noise is more than singleNoise of an R of the given length.
func (q *singlePencil) finish(dst, y dense.Matrix[float64], length float64) bool {
	size := math.Sqrt(dense.Dot(y.Data, y.Data))
	if !(size > 0 && length > 0) {
		clear(dst.Data)
		return true
	}
	dense.ScaleSingle(1/size, y.Data, q.shared.s.Data)
	return q.write(dst, q.length*size/length, length)
}

// write writes Y = T s T' scale size to dst, and returns false where its noise is more than singleNoise of an R of length size.
func (q *singlePencil) write(dst dense.Matrix[float64], scale, size float64) bool {
	c := q.shared
	expand(c.s, c.s, q.t, q.lower, c.w)
	longer := math.Sqrt(float64(dense.Dot(c.s.Data, c.s.Data))) * scale
	if !(longer*q.noise <= singleNoise) {
		return false
	}
	dense.ToDouble(c.s.Data, dst.Data)
	dense.Scale(size*scale, dst.Data, dst.Data)
	return true
}
