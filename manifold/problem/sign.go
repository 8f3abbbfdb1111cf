package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// signIteration solves Lyapunov's equation (H Y + Y H)/2 = R with symmetric positive definite H approximately, in products and inverses in single precision: by
// the scaled Newton iteration for the sign of [H R; 0 -H] (Roberts, Int. J. Control 32 (1980) 677-687; Kenney and Laub, SIAM J. Matrix Anal. Appl. 13 (1992)
// 688-706), with G = (c H)^-1
//
//	H+ = (c H + G)/2,  R+ = c/2 (R + G R G),
//
// which keeps Y and takes H to I: from the interval [a, b] with c = (a b)^-1/2 the eigenvalues go to [1, (q + 1/q)/2], q^2 = b/a. The last R, over the
// middle of that, is Y. Each step is a symmetric positive definite operator on R whatever the rounding, and they commute but for rounding.
type signIteration struct {
	*lender
	h, r, work dense.Matrix[float32]
	inverses   []dense.Matrix[float32] // G of every step, and space for more
	made       int                     // steps
	scratch    []float32
	x, y, z    []float32
	scale      float64 // H over this is the first h
	low        float64 // a lower bound of the eigenvalues of that
	gain       float64 // Y is the last R without the factors c/2, times this
	most       float64 // the estimated largest eigenvalue of the last h; the smallest is at least 1
}

const (
	// signError is how far the eigenvalues of the last h may be from the middle of them, relatively, where steps are short.
	signError = 0.02
	// signCondition is the condition of H up to which single precision is enough. Beyond it the preconditioned H differs from I by more than signError.
	signCondition = 5e4
	// hopelessCondition is that of an H after which the sign iteration is not even tried for the next one, where R is no longer.
	hopelessCondition = 2 * signCondition
	// normMargin is what estimates of norms may miss.
	normMargin = 1.2
	// loosest is the error that a solution may have if it is long, and looseShare that over its length, the root of the mean square of its eigenvalues.
	loosest, looseShare = 0.1, 0.1
	// looseCondition is the condition of H up to which single precision, but for the first inverse, is enough for an error of loosest.
	looseCondition = 3e6
)

func newSignIteration(n int, l *lender) *signIteration {
	return &signIteration{lender: l, h: l.single(n, n), r: l.single(n, n), work: l.single(n, n), scratch: make([]float32, dense.InverseWork(n)),
		x: make([]float32, n), y: make([]float32, n), z: make([]float32, n)}
}

// set prepares the solver for H, and returns false where single precision is not enough. If loose, the solution for R decides what is enough: the longer a step is, the less
// the equation itself is to be trusted.
func (s *signIteration) set(h, r dense.Matrix[float64], loose bool) bool {
	if s.scale = math.Sqrt(dense.Dot(h.Data, h.Data)); !(s.scale > 0) || math.IsInf(s.scale, 1) {
		return false
	}
	dense.ScaleSingle(1/s.scale, h.Data, s.h.Data)
	s.made = 0
	g, ok := s.invert()
	exact := !ok && loose && s.invertExactly(g, h)
	if !ok && !exact {
		return false
	}
	tolerance := signError
	if loose {
		tolerance = max(tolerance, min(loosest, looseShare*s.length(g, r)/math.Sqrt(float64(h.Rows))))
	}
	least, most := s.interval(g)
	if most > signCondition*least {
		if !(tolerance > signError) || !exact && !s.invertExactly(g, h) {
			return false
		}
		if least, most = s.interval(g); !(most <= looseCondition*tolerance/loosest*least) {
			return false
		}
	}
	return s.iterate(g, least, most, tolerance)
}

// interval returns the interval of the eigenvalues of h, with the inverse g, and sets low.
func (s *signIteration) interval(g dense.Matrix[float32]) (least, most float64) {
	s.low = 1 / math.Sqrt(float64(dense.Dot(g.Data, g.Data)))
	least = max(s.low, 1/(normMargin*spectralNorm(g, s.x, s.y)))
	return least, max(least, min(1, normMargin*spectralNorm(s.h, s.x, s.y)))
}

// invertExactly sets g to the inverse of h as it is before it is rounded to single precision, which loses the small eigenvalues.
func (s *signIteration) invertExactly(g dense.Matrix[float32], h dense.Matrix[float64]) bool {
	n := h.Rows
	memory, loan := dense.Borrow[float64](n*n + dense.InverseWork(n))
	defer loan.Return()
	inverse := dense.Wrap(n, n, memory[:n*n])
	inverse.Copy(h)
	if !dense.InvertUpper(inverse, memory[n*n:]) {
		return false
	}
	dense.Mirror(inverse)
	dense.ScaleSingle(s.scale, inverse.Data, g.Data)
	return true
}

// length estimates the length of the solution for R as that of G^1/2 R G^1/2, which is not shorter, G the inverse of H, from the images of one vector.
func (s *signIteration) length(g dense.Matrix[float32], r dense.Matrix[float64]) float64 {
	size := s.take(r)
	for i := range s.x {
		s.x[i] = 1 - 2*float32((i*i+i)>>1&1)
	}
	dense.Gemv(dense.NoTrans, 1, s.r, s.x, 0, s.y)
	dense.Gemv(dense.NoTrans, 1, g, s.y, 0, s.z)
	dense.Gemv(dense.NoTrans, 1, g, s.x, 0, s.y)
	dense.Gemv(dense.NoTrans, 1, s.r, s.y, 0, s.x)
	return size / s.scale * math.Sqrt(math.Abs(float64(dense.Dot(s.x, s.z))))
}

// iterate makes the steps for eigenvalues from least to most, g being the inverse of h, until they are near their middle.
func (s *signIteration) iterate(g dense.Matrix[float32], least, most float64, tolerance float64) bool {
	s.gain = 1 / s.scale
	for {
		c := 1 / math.Sqrt(least*most)
		dense.Scale(float32(1/c), g.Data, g.Data)
		s.gain *= c / 2
		s.made++
		q := math.Sqrt(most / least)
		least, most = 1, (q+1/q)/2
		if most-1 <= tolerance*(most+1) {
			s.gain *= 2 / (most + 1)
			s.most = most
			return true
		}
		dense.Blend(float32(c/2), s.h.Data, 0.5, g.Data, s.h.Data)
		var ok bool
		if g, ok = s.invert(); !ok {
			return false
		}
	}
}

// invert returns the inverse of h in the place of the next G.
func (s *signIteration) invert() (g dense.Matrix[float32], ok bool) {
	if s.made == len(s.inverses) {
		s.inverses = append(s.inverses, s.single(s.h.Rows, s.h.Rows))
	}
	g = s.inverses[s.made]
	g.Copy(s.h)
	if !dense.InvertUpper(g, s.scratch) {
		return g, false
	}
	dense.Mirror(g)
	return g, true
}

// normRounds is the number of rounds of the power method that estimate a norm.
const normRounds = 2

// spectralNorm estimates the spectral norm of the square m from below, with work for its vectors.
func spectralNorm(m dense.Matrix[float32], x, y []float32) (norm float64) {
	for i := range x {
		x[i] = 1 + float32(i%7)/8
	}
	for range normRounds {
		dense.Scale(1/float32(math.Sqrt(float64(dense.Dot(x, x)))), x, x)
		dense.Gemv(dense.NoTrans, 1, m, x, 0, y)
		dense.Gemv(dense.Transposed, 1, m, y, 0, x)
		norm = math.Sqrt(math.Sqrt(float64(dense.Dot(x, x))))
	}
	return norm
}

// solve writes Y to dst, which may be r. One and a half products for each step.
func (s *signIteration) solve(dst, r dense.Matrix[float64]) {
	size := s.take(r)
	for _, g := range s.inverses[:s.made] {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, g, s.r, 0, s.work)
		dense.GemmUpper(dense.NoTrans, dense.NoTrans, 1, s.work, g, 1, s.r)
		dense.Mirror(s.r)
	}
	dense.ToDouble(s.r.Data, dst.Data)
	dense.Scale(size*s.gain, dst.Data, dst.Data)
}

// take sets r to R over its length, which it returns.
func (s *signIteration) take(r dense.Matrix[float64]) (size float64) {
	if size = math.Sqrt(dense.Dot(r.Data, r.Data)); size > 0 {
		dense.ScaleSingle(1/size, r.Data, s.r.Data)
	} else {
		clear(s.r.Data)
	}
	return size
}

// lyapunovInverse solves Lyapunov's equation by the sign iteration where the condition of H allows that, otherwise by an eigendecomposition.
type lyapunovInverse struct {
	lender
	n     int
	loose bool // solutions may be the less accurate the longer they are
	sign  *signIteration
	exact *pencil
	fast  bool

	held  dense.Matrix[float64] // the H that was prepared for, if ready
	diff  dense.Matrix[float64] // scratch
	ready bool
	away  float64 // the length of what H is beside held, over the smallest eigenvalue of that

	afresh bool    // nothing of another H is used
	size   float64 // of the last R if the sign iteration was hopeless for it; 0 otherwise
}

// Shares of the smallest eigenvalue by which H may differ from the one that was prepared for: where solutions are steps, of which errors make more, and where their length is
// estimated, which is wrong by as much.
const (
	heldForSteps  = signError
	heldForLength = 0.25
)

// set prepares the solver for H, unless it is for one within so much of it; R is what it will be asked for.
func (l *lyapunovInverse) set(h, r dense.Matrix[float64], within float64) error {
	if l.away = l.distance(h); l.away <= within {
		return nil
	}
	l.ready, l.away = false, 0
	if err := l.prepare(h, r); err != nil {
		return err
	}
	if !l.afresh {
		if l.held.Rows == 0 {
			l.held, l.diff = l.matrix(l.n, l.n), l.matrix(l.n, l.n)
		}
		l.held.Copy(h)
		l.ready = true
	}
	return nil
}

// distance returns the length of what h is beside held, over the smallest eigenvalue of that, or +Inf.
func (l *lyapunovInverse) distance(h dense.Matrix[float64]) float64 {
	if !l.ready || l.afresh {
		return math.Inf(1)
	}
	least, _ := l.boundsHeld()
	dense.Blend(1, h.Data, -1, l.held.Data, l.diff.Data)
	return math.Sqrt(dense.Dot(l.diff.Data, l.diff.Data)) / least
}

// prepare makes the solver one for H.
func (l *lyapunovInverse) prepare(h, r dense.Matrix[float64]) error {
	if l.sign == nil {
		l.sign = newSignIteration(l.n, &l.lender)
	}
	size := math.Sqrt(dense.Dot(r.Data, r.Data))
	hopeless := size <= l.size && !l.afresh
	if l.fast = !hopeless && l.sign.set(h, r, l.loose); l.fast {
		l.size = 0
		return nil
	}
	if l.exact == nil {
		l.exact = newPencil(l.n, &l.lender)
	}
	if err := l.exact.decompose(h); err != nil {
		return err
	}
	if l.size = size; !(l.exact.mu[l.n-1] > hopelessCondition*l.exact.mu[0]) {
		l.size = 0
	}
	return nil
}

// solve writes Y to dst, which may be r.
func (l *lyapunovInverse) solve(dst, r dense.Matrix[float64]) {
	if l.fast {
		l.sign.solve(dst, r)
	} else {
		l.exact.solve(dst, r)
	}
}

// length returns the length of Y, with work for that.
func (l *lyapunovInverse) length(r, work dense.Matrix[float64]) float64 {
	y := work
	if l.fast {
		l.sign.solve(y, r)
	} else {
		y = l.exact.shares(r)
	}
	return math.Sqrt(dense.Dot(y.Data, y.Data))
}

// signRounding is what single precision may add to the length of a solution, relatively.
const signRounding = 0.01

// bounds returns a lower bound of the smallest eigenvalue of H and the largest factor by which an exact solution is longer than that of solve. What H is beside held takes
// and adds to these what it does to eigenvalues, those of the operator too.
func (l *lyapunovInverse) bounds() (least, longer float64) {
	least, longer = l.boundsHeld()
	return (1 - l.away) * least, longer / (1 - l.away)
}

// boundsHeld is bounds for the H that was prepared for: solutions of the sign iteration are the last R, divided in the eigenbasis by means of eigenvalues that are all at
// least 1.
func (l *lyapunovInverse) boundsHeld() (least, longer float64) {
	if l.fast {
		return (1 - signRounding) * l.sign.scale * l.sign.low, (1 + signRounding) * (l.sign.most + 1) / 2
	}
	return l.exact.mu[0], 1
}
