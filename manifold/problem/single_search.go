package problem

import (
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

// singleSearch moves a point X towards the mean in single precision, by gradient steps whose logarithm is a rationalLog with as few shifts as the progress
// asks for: averaged over scattered matrices the Hessian is near a multiple of the identity, so that a step divides the gradient by ten or more, and
// each shift divides the error of the logarithm by as much. Differences of gradients improve the steps (Anderson, J. ACM 12 (1965) 547-560). Gradients and
// steps are held as N = X^-1 G, G the tangent vector, which needs no factor of X, or as G itself (singleTangents).
type singleSearch struct {
	k                    *karcherObjective
	n                    int
	given                bool                  // the first point
	x, y, next           dense.Matrix[float32] // point, its inverse; with tangents that of the first point
	arithmetic, harmonic dense.Matrix[float32]
	sum, t               dense.Matrix[float32]
	grad, last           singleVector
	step                 dense.Matrix[float32]
	past                 [2]singleChange // the latest first
	known                int
	tangents             *singleTangents // nil if vectors are held as N
	work                 []float32
	inverses             singleInverses
	width                float64
	averaging            float64       // what the mean over the matrices makes of errors of single logarithms, over sqrt(3)/L
	median               *singleMedian // nil for the mean
}

// singleVector is a vector and what singleTangents see of it.
type singleVector struct{ all, seen dense.Matrix[float32] }

// singleChange is a step, and what it changed of the gradient.
type singleChange struct {
	step dense.Matrix[float32]
	grad singleVector
}

const (
	// singleFloor is the least gradient, relative to the root mean square distance, that single precision finds, and singleGoal the largest, by the slower of the last two steps, that leaves one
	// step of Newton's method to the default tolerance: below it a Hessian product, with fewer shifts, contracts as much as a step of the search, or more.
	singleFloor, singleGoal = 2e-6, 8e-6
	// nearFloor is a gradient that rounding may be the most of.
	nearFloor = 30 * singleFloor
	// singleAccuracy is the error of a gradient, in parts of what is expected of its norm.
	singleAccuracy = 0.08
	// largestSquare is the gradient up to which a step leaves out its square.
	largestSquare = 0.02
	singleSteps   = 12
)

func newSingleSearch(k *karcherObjective, median bool) *singleSearch {
	s := &singleSearch{k: k, n: k.n, inverses: k.inverses32(), work: make([]float32, dense.InverseWork(k.n))}
	for _, m := range []*dense.Matrix[float32]{&s.arithmetic, &s.harmonic, &s.x, &s.y, &s.next, &s.sum, &s.t, &s.grad.all, &s.step, &s.last.all, &s.past[0].step, &s.past[0].grad.all,
		&s.past[1].step, &s.past[1].grad.all} {
		*m = dense.New[float32](k.n, k.n)
	}
	s.harmonic.Copy(*k.mean)
	if k.arithmetic != nil {
		s.arithmetic.Copy(*k.arithmetic)
	} else {
		s.inverses.data().sum(s.arithmetic, k.weights)
	}
	if median {
		s.median = newSingleMedian(k)
	} else if len(k.matrices) <= mostTangents {
		s.tangents = newSingleTangents(s)
	}
	return s
}

// between sets X to the geometric mean A # H^-1 of the mean of the data and that of their inverses, by A <- (A + H^-1)/2 and H <- (H + A^-1)/2: the
// iteration of arithmetic and harmonic means, which converges quadratically, from multiples for which the trace of A H is n.
func (s *singleSearch) between() bool {
	a, h, inverse, other := s.x, s.y, s.next, s.t
	root := float32(math.Sqrt(float64(dense.Dot(s.arithmetic.Data, s.harmonic.Data)) / float64(s.n)))
	dense.Scale(1/root, s.arithmetic.Data, a.Data)
	dense.Scale(1/root, s.harmonic.Data, h.Data)
	for range 2 {
		inverse.Copy(a)
		other.Copy(h)
		if !dense.InvertUpper(inverse, s.work) || !dense.InvertUpper(other, s.work) {
			return false
		}
		for i := range a.Data {
			a.Data[i], h.Data[i] = (a.Data[i]+other.Data[i])/2, (h.Data[i]+inverse.Data[i])/2
		}
	}
	dense.Mirror(a)
	dense.Mirror(h)
	s.measure()
	return s.tangents == nil || s.tangents.begin(s.y)
}

// from sets X to the multiple of the given point from which the mean of the data and that of their inverses have the same trace.
func (s *singleSearch) from(p *manifold.Frame) bool {
	s.given = true
	x := view(manifold.DenseOf(p.Sym()))
	if s.k.whitening != nil {
		s.k.whitening.look(x)
	}
	dense.ScaleSingle(float64(s.n)/x.Trace(), x.Data, s.x.Data)
	if !s.invert() {
		return false
	}
	factor := float32(math.Sqrt(float64(dense.Dot(s.y.Data, s.arithmetic.Data)) / float64(dense.Dot(s.x.Data, s.harmonic.Data))))
	dense.Scale(factor, s.x.Data, s.x.Data)
	dense.Scale(1/factor, s.y.Data, s.y.Data)
	s.measure()
	return s.tangents == nil || s.tangents.begin(s.y)
}

// found returns the point and makes the search that of the objective, or nil where the point is not positive definite.
func (s *singleSearch) found() *manifold.Frame {
	x := dense.New[float64](s.n, s.n)
	dense.ToDouble(s.x.Data, x.Data)
	if s.k.whitening != nil {
		s.k.whitening.back(x)
	}
	p, err := manifold.NewFrame(symmetric(x))
	if err != nil {
		return nil
	}
	s.k.single = s
	return p
}

// measure estimates L such that the spectra of the data seen from the point lie in [e^-L, e^L], from the traces of the data and of their mean inverse seen
// from there.
func (s *singleSearch) measure() {
	most, traces := float64(dense.Dot(s.x.Data, s.harmonic.Data)), make([]float64, len(s.k.matrices))
	s.inverses.data().inner(traces, s.y)
	most = max(most, slices.Max(traces))
	s.width = 1.03*spread(most/float64(s.n)) + 0.05
	s.averaging = 0.6 * math.Sqrt(3*dense.Dot(s.k.weights, s.k.weights)) / s.width // measured on scattered data
}

// searchEnd is how a search ended.
type searchEnd int

const (
	searchLost     searchEnd = iota // at no point of use
	searchNeedless                  // at once, since the first gradient, at a point that was given, is near the rounding of single precision: that is better than any that would be found
	searchDone
)

// search makes steps while they help.
func (s *singleSearch) search() searchEnd {
	expected, last, ratio := 0.015*s.width, math.Inf(1), singleAccuracy
	var log *rationalLog
	var first float64 // norm
	var slow float64  // the ratio before
	for step := range singleSteps {
		before := log
		if err := max(singleAccuracy*expected, singleFloor/2) / s.averaging; log == nil || log.err > err {
			log = logWithin(s.width, log.more(), err)
		}
		if log == nil || !s.gradient(log, step) {
			return searchLost
		}
		norm := math.Sqrt(max(0, s.inner(&s.grad, &s.grad))*3/float64(s.n)) / s.width
		switch {
		case math.IsNaN(norm):
			return searchLost
		case step == 0 && s.given && norm <= nearFloor:
			return searchNeedless
		case norm <= singleFloor || norm > 0.9*last && log == before && (norm < first || first <= nearFloor):
			return searchDone
		case norm > 0.9*last && log == before:
			return searchLost
		case step == 0:
			first = norm
		}
		if step > 0 {
			slow, ratio = ratio, max(norm/last, 0.02)
		}
		s.direction(log.hessian, step)
		s.move(norm < largestSquare)
		last, expected = norm, max(ratio*norm, s.averaging*log.err)
		if max(expected, slow*norm) <= singleGoal {
			return searchDone
		}
	}
	return searchDone
}

// weights returns those of the sum at the last point, of sum 1.
func (s *singleSearch) weights() []float64 {
	if s.median != nil {
		return s.median.weights
	}
	return s.k.weights
}

// gradient sets grad = (S + sinh/2 H) X - constant I - sinh/2 X^-1 A, S the sum of the inverses with their weights, or X times that.
func (s *singleSearch) gradient(log *rationalLog, step int) bool {
	g, half := s.grad.all, float32(log.sinh/2)
	if step > 0 && s.tangents == nil && !s.invert() {
		return false
	}
	if s.median != nil {
		if !s.weigh(log) {
			return false
		}
	} else if !s.inverses.sumTo(s.sum, s.x, log.shift, s.k.weights, log.weight) {
		return false
	}
	dense.Axpy(half, s.harmonic.Data, s.sum.Data)
	if s.tangents != nil {
		s.tangent(log.constant, half)
		return true
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, s.sum, s.x, 0, g)
	dense.Gemm(dense.NoTrans, dense.NoTrans, -half, s.y, s.arithmetic, 1, g)
	subtractIdentity(g, log.constant)
	return true
}

func subtractIdentity(m dense.Matrix[float32], c float64) {
	for i := range m.Rows {
		m.Set(i, i, m.At(i, i)-float32(c))
	}
}

// inner returns the inner product tr N M.
func (s *singleSearch) inner(n, m *singleVector) float64 {
	if s.tangents != nil {
		return s.tangents.inner(n, m)
	}
	dense.Transpose(s.t, n.all)
	return float64(dense.Dot(s.t.Data, m.all.Data))
}

// direction sets step to that along the gradient, but for what the changes of the gradient by the last steps make of it.
func (s *singleSearch) direction(hessian float64, made int) {
	if s.known = min(made, len(s.past)); made > 0 {
		s.past[0], s.past[1] = s.past[1], s.past[0]
		p := &s.past[0]
		p.step.Copy(s.step)
		dense.Blend(1, s.grad.all.Data, -1, s.last.all.Data, p.grad.all.Data)
		dense.Blend(1, s.grad.seen.Data, -1, s.last.seen.Data, p.grad.seen.Data)
	}
	s.last.all.Copy(s.grad.all)
	s.last.seen.Copy(s.grad.seen)
	theta := s.combination()
	s.step.Copy(s.grad.all)
	for i, t := range theta[:s.known] {
		dense.Axpy(-float32(t), s.past[i].grad.all.Data, s.step.Data)
	}
	dense.Scale(-1/float32(hessian), s.step.Data, s.step.Data)
	for i, t := range theta[:s.known] {
		dense.Axpy(-float32(t), s.past[i].step.Data, s.step.Data)
	}
}

// combination returns the coefficients of the changes of the gradient that are nearest to it.
func (s *singleSearch) combination() (theta [2]float64) {
	if s.known == 0 {
		return theta
	}
	y, z := &s.past[0].grad, &s.past[1].grad
	yy, yg := s.inner(y, y), s.inner(y, &s.grad)
	if s.known == 1 {
		theta[0] = yg / yy
		return theta
	}
	zz, yz, zg := s.inner(z, z), s.inner(y, z), s.inner(z, &s.grad)
	det := yy*zz - yz*yz
	if !(det > 1e-6*yy*zz) {
		theta[0] = yg / yy
		return theta
	}
	theta[0], theta[1] = (zz*yg-yz*zg)/det, (yy*zg-yz*yg)/det
	return theta
}

// move takes X to X (I + N + N^2/2), N the step, if short without the square.
func (s *singleSearch) move(short bool) {
	if s.tangents != nil {
		s.moveAlong(short)
		return
	}
	p := s.step
	if !short {
		p = s.t
		copy(p.Data, s.step.Data)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 0.5, s.step, s.step, 1, p)
	}
	copy(s.next.Data, s.x.Data)
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, 1, s.x, p, 1, s.next)
	dense.Mirror(s.next)
	s.x, s.next = s.next, s.x
}

// invert sets y to the inverse of X.
func (s *singleSearch) invert() bool {
	s.y.Copy(s.x)
	ok := dense.InvertUpper(s.y, s.work)
	dense.Mirror(s.y)
	return ok
}
