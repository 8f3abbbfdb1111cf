package quadric

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// iterate is an approximate solution and what is left, I - A(Y), up to an error.
type iterate struct {
	y, rest      dense.Matrix[float64]
	err          float64 // of the rest, relative to I
	measured     bool
	image        dense.Matrix[float64]
	low, lowRest dense.Matrix[float32]
}

// norm returns the norm of what is left relative to that of I.
func (q *iterate) norm() float64 {
	return math.Sqrt(dense.Dot(q.rest.Data, q.rest.Data) / float64(q.y.Rows))
}

// first is the multiple of I that fits best. What is left of I is small, so that low precision is not enough.
func (s *System) first() *iterate {
	n := s.x.Cols
	q := &iterate{y: dense.New[float64](n, n), rest: dense.New[float64](n, n), image: dense.New[float64](n, n),
		low: dense.New[float32](n, n), lowRest: dense.New[float32](n, n)}
	q.y.Identity()
	q.err = singleError
	dense.ToDouble(s.identityImage.Data, q.image.Data)
	scale := q.image.Trace() / dense.Dot(q.image.Data, q.image.Data)
	dense.Scale(scale, q.y.Data, q.y.Data)
	dense.Scale(scale, q.image.Data, q.image.Data)
	q.fromImage()
	return q
}

// fromImage sets what is left, given A(Y).
func (q *iterate) fromImage() {
	dense.Scale(-1, q.image.Data, q.rest.Data)
	for i := range q.y.Rows {
		q.rest.Set(i, i, q.rest.At(i, i)+1)
	}
}

// add adds size times the step.
func (q *iterate) add(size float64, step dense.Matrix[float32]) {
	for i, v := range step.Data {
		q.y.Data[i] += size * float64(v)
	}
	q.measured = false
}

// measured computes what is left in double precision from a measurement, if the quadric is an ellipsoid.
func (s *System) measured(q *iterate) bool {
	if s.measure == nil {
		return false
	}
	factor, differential, ok := s.measure(s.original(q.y))
	if !ok {
		return false
	}
	// With x = L w and F'L = G^-1 the differential is the mean of (w'Yw - 1) G^-1 w (G^-1 w)'.
	g, work := dense.New[float64](q.y.Rows, q.y.Rows), dense.New[float64](q.y.Rows, q.y.Rows)
	for i := range g.Rows {
		for j := range i + 1 {
			g.Set(j, i, s.inverse.At(i, j))
		}
	}
	dense.SolveLower(dense.NoTrans, factor, g)
	dense.Gemm(dense.NoTrans, dense.NoTrans, -1, differential, g, 0, work)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, g, work, 0, q.rest)
	q.err, q.measured = doubleError, true
	return true
}

// follow computes what is left after the step to the error asked for, in single precision if that will do: from the change if what was left before was known
// well enough.
func (s *System) follow(q *iterate, size float64, step dense.Matrix[float32], wanted float64) {
	switch change := q.err + singleError*size; {
	case change <= wanted:
		s.singleProduct(step, q.lowRest)
		for i, v := range q.lowRest.Data {
			q.rest.Data[i] -= size * float64(v)
		}
		q.err = change
	case singleError <= wanted:
		dense.ScaleSingle(1, q.y.Data, q.low.Data)
		s.singleProduct(q.low, q.lowRest)
		dense.ToDouble(q.lowRest.Data, q.image.Data)
		q.fromImage()
		q.err = singleError
	case s.measured(q):
	default:
		s.doubleProduct(q.y, q.image)
		q.fromImage()
		q.err = doubleError
	}
}

// refine solves from the multiple of I that fits best until the whitened differential is at the target.
func (s *System) refine(target float64) (q *iterate, outcome Outcome) {
	q = s.first()
	n := q.y.Rows
	r, step, work := dense.New[float32](n, n), dense.New[float32](n, n), [2]dense.Matrix[float64]{dense.New[float64](n, n), dense.New[float64](n, n)}
	for before, goal, there := math.Inf(1), 1.0, true; ; {
		norm, size := q.norm(), whitenedNorm(q.rest, q.y, work)
		if size*(1+q.err/norm) <= target || norm <= doubleError {
			if q.measured {
				return q, Measured
			}
			return q, Solved
		}
		if norm-norm != 0 || s.steps >= mostSteps {
			return q, Undecided
		}
		if q.measured && norm > before/2 {
			s.measure = nil // what is left is rounding: whitened points have less
		}
		if s.bytes != nil && (!there || norm > byteLoss*goal*before) {
			s.withoutBytes()
		}
		before = norm
		for i, v := range q.rest.Data {
			r.Data[i] = float32(v / norm) // of size one, far from the ends of the range
		}
		s.steps++ // so that there is an end
		total := max(target/size, doubleError/norm) / 1.5
		goal = nextGain(total, s.gain())
		there = s.conjugate(r, step, goal, s.limit())
		q.add(norm, step)
		if !(there && goal <= total && s.measured(q)) { // at the target a measurement is due in any case
			s.follow(q, norm, step, norm*max(goal*goal, total/2)) // so that the next solve can gain about as much, if there is one
		}
	}
}

// nextGain returns what the next of equal gains should be that reach the total, each of them not smaller than the least by much.
func nextGain(total, least float64) float64 {
	return math.Pow(min(total, 0.5), 1/max(1, math.Ceil(math.Log(total)/math.Log(least)-0.05)))
}

// whitenedNorm returns the norm of F'RF for symmetric R and Y = F F': the root of tr(RYRY).
func whitenedNorm(r, y dense.Matrix[float64], work [2]dense.Matrix[float64]) float64 {
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, r, y, 0, work[0])
	dense.Transpose(work[1], work[0])
	return math.Sqrt(max(0, dense.Dot(work[0].Data, work[1].Data)))
}
