// Package design finds D-optimal designs: the weights of points whose second moment has the largest determinant, from which also follows the smallest ellipsoid around points.
package design

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

// Design maximizes log det M(u), M(u) = sum u_i y_i y_i', over the simplex. With g_i = y_i' M^-1 y_i the Kiefer-Wolfowitz theorem says that u is optimal
// if and only if max g_i = d, and the optimum is at most d log(max g_i/d) above.
type Design struct {
	y    dense.Matrix[float64] // points as rows, N x d
	u, g []float64
	inv  dense.Matrix[float64] // M^-1
	w, p [2][]float64
	t    [2]float64            // what the last exchange subtracts from M^-1 is the sum of t w w'
	rest dense.Matrix[float64] // scratch as y
	z    []float64             // scratch of the size of y
	free []int                 // scratch of newtonStep
	gram []float64             // scratch of squares, as large as the largest asked for
	unit float64               // log det M of I in the coordinates that the points came in

	parts            dense.RowParts
	multiply, change func(part, from, to int) // passes of exchange
	active           *Design                  // the promising points
	index            []int                    // of points that are copied
}

// exchanges is the number of exchanges that make an iteration; M^-1 and g are computed afresh after each.
const exchanges = 100

// promisingShare is the share of d that g of a point without weight must reach to be among the promising ones.
const promisingShare = 0.98

// New returns the design of the rows y, which are whitened and of which it keeps hold, with equal weights on as many as span them. logDet is log det M of I in the coordinates that
// the points came in.
func New(y dense.Matrix[float64], logDet float64) *Design {
	N, d := y.Rows, y.Cols
	s := &Design{y: y, u: make([]float64, N), g: make([]float64, N), inv: dense.New[float64](d, d), rest: dense.New[float64](N, d), z: make([]float64, N*d), unit: logDet}
	for k := range s.w {
		s.w[k], s.p[k] = make([]float64, d), make([]float64, N)
	}
	s.active = &Design{inv: s.inv, w: s.w, u: make([]float64, N), g: make([]float64, N)}
	s.active.multiply, s.active.change = s.active.multiplyPart, s.active.changePart
	s.span()
	return s
}

// span gives equal weights to as many points as there are dimensions, each the one that reaches farthest out of the span of those before: that saves dropping all
// others one by one (Kumar and Yildirim, J. Optim. Theory Appl. 126 (2005)). The points are whitened, so that their mean square outside of a subspace is its codimension,
// and the largest is no difference of much larger ones.
func (s *Design) span() {
	d := s.y.Cols
	outside, along, basis := s.p[0], s.p[1], dense.New[float64](d, d)
	dense.RowDots(s.y, s.y, outside)
	var axis []float64
	project := func(_, from, to int) {
		dense.Gemv(dense.NoTrans, 1, s.y.View(from, 0, to-from, d), axis, 0, along[from:to])
		for i, p := range along[from:to] {
			outside[from+i] -= p * p
		}
	}
	for k := range d {
		best, farthest := 0, 0.0
		for i, q := range outside {
			if q > farthest && s.u[i] == 0 {
				best, farthest = i, q
			}
		}
		s.u[best] += 1 / float64(d)
		axis = basis.Row(k)
		copy(axis, s.y.Row(best))
		before, parts := basis.View(0, 0, k, d), s.w[0][:k]
		for range 2 { // rounding
			dense.Gemv(dense.NoTrans, 1, before, axis, 0, parts)
			dense.Gemv(dense.Transposed, -1, before, parts, 1, axis)
			dense.Scale(1/math.Sqrt(dense.Dot(axis, axis)), axis, axis)
		}
		s.parts.Run(s.y.Rows, passRows(d), project)
	}
}

// Moment returns M(u), complete.
func (s *Design) Moment() dense.Matrix[float64] {
	d := s.y.Cols
	s.index = s.index[:0]
	for i, u := range s.u {
		if u > 0 {
			s.index = append(s.index, i)
		}
	}
	k := len(s.index)
	scaled, plain, m := dense.Wrap(k, d, s.z), s.rest.View(0, 0, k, d), dense.New[float64](d, d)
	s.parts.Run(k, passRows(d), func(_, from, to int) {
		for j, i := range s.index[from:to] {
			dense.Scale(s.u[i], s.y.Row(i), scaled.Row(from+j))
			copy(plain.Row(from+j), s.y.Row(i))
		}
	})
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, scaled, plain, 0, m)
	dense.Mirror(m)
	return m
}

// SingularError says that the points with weight lie nearly in a subspace.
type SingularError struct{ Err error }

// Error says which matrix is singular.
func (e *SingularError) Error() string { return "moment matrix: " + e.Err.Error() }

// Unwrap returns what is wrong with it.
func (e *SingularError) Unwrap() error { return e.Err }

// Weights returns those of the points.
func (s *Design) Weights() []float64 { return s.u }

// refresh computes M^-1 and g from u and returns log det M in the coordinates that the points came in.
func (s *Design) refresh() (float64, error) {
	f, err := manifold.NewFrame(mat.NewSymDense(s.y.Cols, s.Moment().Data))
	if err != nil {
		return 0, &SingularError{err}
	}
	d, inverse := s.y.Cols, dense.Of(f.Inverse().RawMatrix())
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, inverse, inverse, 0, s.inv)
	dense.Mirror(s.inv)
	all := dense.Wrap(s.y.Rows, d, s.z)
	s.parts.Run(s.y.Rows, productRows(s.y.Rows, d), func(_, from, to int) {
		z := all.View(from, 0, to-from, d)
		dense.MulLowerRight(dense.Transposed, inverse, s.y.View(from, 0, to-from, d), z) // F is a Cholesky factor
		dense.RowDots(z, z, s.g[from:to])
	})
	return f.LogDet() + s.unit, nil
}

// extremes returns the point with the largest g, that with the smallest g among those with weight, and by how much they miss d, relative to d. They are the
// same where rounding has left weight on no other point.
func (s *Design) extremes() (most, least int, above, below float64) {
	least = -1
	for i, g := range s.g {
		if g > s.g[most] {
			most = i
		}
		if s.u[i] > 0 && (least < 0 || g < s.g[least]) {
			least = i
		}
	}
	if least < 0 {
		least = most
	}
	d := float64(s.y.Cols)
	return most, least, s.g[most]/d - 1, 1 - s.g[least]/d
}

// Longest puts all weight on the longest of one-dimensional points, which is the optimum.
func (s *Design) Longest() {
	best := 0
	for i := range s.u {
		s.u[i] = 0
		if math.Abs(s.y.At(i, 0)) > math.Abs(s.y.At(best, 0)) {
			best = i
		}
	}
	s.u[best] = 1
}
