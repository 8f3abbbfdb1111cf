package problem

import (
	"errors"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// shiftedMean is the objective of the Karcher mean without eigendecompositions: the logarithms are those of reducedLogs. It is for data whose spectra, seen from the point, lie in
// the intervals of shiftedLog, which every evaluation proves by the signs of pivots; their error there bounds that of the gradient. Hessian products are
// differences of gradients in single precision, of the data as the last evaluation saw them.
type shiftedMean struct {
	*karcherObjective
	log       *shiftedLog
	hessian   *singleHessian
	logs      *reducedLogs
	whitening dense.Matrix[float64] // L^-1
	turn, t   dense.Matrix[float64] // made when they are needed
	turned    bool                  // the frame at the last point is L turn
	distances []float64
	target    float64 // of the norm of the gradient
	share     float64 // of the target, that errors of Hessian products may add to the gradient
	errors    float64 // sum of the squares of what errors of Hessian products add at the last point
	err       float64 // of the gradient, as tuned
	logErr    float64 // of the logarithms at the last point
	gain      float64 // of the error of the gradient over that of a logarithm, in the Frobenius norm
	rounding  float64 // estimate of that of the gradient: of L^-1 A_k L^-T, measured on data about centres of condition 1e9 to 1e10
}

// mostRounding is the share of the target that rounding may be. Decompositions are of L^-1 times Cholesky factors of the data, whose rounding grows with the root of the condition only.
const mostRounding = 0.1

// shiftedMemo tells whether the base of the search in single precision is the gradient at its point.
type shiftedMemo struct{ based bool }

var errOutside = errors.New("spectra of the data do not lie in the interval of the rational logarithm")

// newShiftedMean returns nil where there was no search in single precision or a shiftedLog as accurate as the tolerance asks for does not pay.
func newShiftedMean(k *karcherObjective, o *Options) *shiftedMean {
	if k.single == nil {
		return nil
	}
	return newShifted(k, o, k.single.width*math.Sqrt(float64(k.n)/3), 1)
}

// newShifted is newShiftedMean given the scale of gradients and gain.
func newShifted(k *karcherObjective, o *Options, scale, gain float64) *shiftedMean {
	if k.afresh {
		return nil
	}
	s := &shiftedMean{karcherObjective: k, distances: make([]float64, len(k.weights)), gain: gain, share: newtonShare}
	s.hessian = newSingleHessian(k.n, k.inverses32(), k.single.width, k.single.weights())
	s.logs = newReducedLogs(k.upper, k.team, s.weigh)
	s.logs.seen = k.inverses32() // the search is over: nothing needs the data themselves there any more
	solver := o.Solver.WithDefaults(k.n * k.n)
	s.target = max(solver.Tolerance*scale, solver.AbsoluteTolerance)
	s.err = 0.25 * s.target
	s.rounding = gain * 0x1p-52 * k.spread * float64(k.n)
	if s.hessian == nil || s.rounding > mostRounding*s.target || !s.within(k.single.width) {
		return nil
	}
	s.whitening = dense.New[float64](k.n, k.n)
	return s
}

// within takes the shiftedLog for an interval, if there is one, and wider ones where spectra do not lie in it.
func (s *shiftedMean) within(width float64) bool {
	s.logs.wider = &widerLogs{width: width, err: s.err / (s.gain * math.Sqrt(float64(s.n)))}
	s.log = s.logs.wider.at(0)
	return s.log != nil
}

// tune implements followedObjective.
func (s *shiftedMean) tune(accuracy float64) {
	if accuracy >= s.err {
		return
	}
	s.err = accuracy
	if s.log != nil {
		s.logs.wider.tighten(accuracy / (s.gain * math.Sqrt(float64(s.n))))
		s.log = s.logs.wider.at(0)
	}
}

// NewMemo implements solve.Memoizer.
func (s *shiftedMean) NewMemo() solve.Memo { return new(shiftedMemo) }

// Evaluate implements solve.Objective.
func (s *shiftedMean) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	memo.(*shiftedMemo).based = false
	if _, err := s.gradient(p.(*manifold.Frame), grad); err != nil {
		return math.Inf(1), err
	}
	var cost float64
	for k, d := range s.distances {
		cost += s.weights[k] * d * d
	}
	return cost / (2 * s.m.Kappa()), nil
}

// gradient sets grad to the whitened sum of the logarithms with the weights that logs gives them, and returns the sum of these.
func (s *shiftedMean) gradient(p *manifold.Frame, grad []float64) (total float64, err error) {
	s.turned = s.triangular(p)
	if s.log == nil {
		return 0, errOutside
	}
	if total, err = s.logs.sum(s.whitening, s.log, grad); err != nil {
		return 0, err
	}
	widest := s.logs.wider.at(s.logs.widest())
	if s.logErr = widest.err; !s.hessian.fit(widest.width) {
		return 0, errOutside
	}
	g := dense.Wrap(s.n, s.n, grad)
	if s.turned {
		s.rotate(dense.Transposed, g)
	}
	for i := range s.n {
		g.Set(i, i, g.At(i, i)-total*s.log.constant)
	}
	return total, nil
}

// rotate takes the symmetric g to op(turn) g op(turn)'.
func (s *shiftedMean) rotate(op dense.Trans, g dense.Matrix[float64]) {
	dense.Gemm(dense.NoTrans, !op, 1, g, s.turn, 0, s.t)
	dense.GemmUpper(op, dense.NoTrans, 1, s.turn, s.t, 0, g)
	dense.Mirror(g)
}

// triangular sets whitening to the inverse of the Cholesky factor L of the point F F' and, unless that is F, turn to the orthogonal L^-1 F.
func (s *shiftedMean) triangular(p *manifold.Frame) (turned bool) {
	if p.Lower() {
		s.whitening.Copy(view(p.Inverse()))
		return false
	}
	if s.turn.Rows == 0 {
		s.turn, s.t = dense.New[float64](s.n, s.n), dense.New[float64](s.n, s.n)
	}
	f := view(p.F())
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, f, f, 0, s.whitening)
	dense.Mirror(s.whitening)
	dense.Cholesky(s.whitening)
	dense.InvertLower(s.whitening)
	dense.MulLower(dense.NoTrans, s.whitening, f, s.turn)
	return true
}

// weigh gives the terms their weights and keeps their distances.
func (s *shiftedMean) weigh(k int, distance float64) (float64, bool) {
	s.distances[k] = distance
	return s.weights[k], true
}

// slackAt implements followedObjective.
func (s *shiftedMean) slackAt(solve.Memo) float64 {
	return s.gain * s.logErr * math.Sqrt(float64(s.n))
}

// Certify implements solve.Certifier by strong convexity.
func (s *shiftedMean) Certify(_ manifold.Point, gradientNorm float64, memo solve.Memo) solve.Certificate {
	return solve.Certificate{Kind: "strong-convexity", Value: gradientNorm + (s.slackAt(memo)+s.rounding)/math.Sqrt(s.m.Kappa()), Bound: true}
}

// retraction implements followedObjective: frames stay triangular.
func (s *shiftedMean) retraction() manifold.Retraction { return manifold.TriangularStep }

// leastCurvature implements followedObjective: the cost is 1-strongly convex.
func (s *shiftedMean) leastCurvature(solve.Memo) float64 { return 1 }

// newtonShare is the share of one product for the mean.
const newtonShare = 0.5

// hessianVec32 implements followedObjective.
func (s *shiftedMean) hessianVec32(dst, v []float64, _ []float32, _ manifold.Point, memo solve.Memo) {
	s.base(memo)
	copy(dst, v)
	length := math.Sqrt(dense.Dot(v, v)) // of a direction of conjugate gradients, about that of the residual
	g := dense.Wrap(s.n, s.n, dst)
	if s.turned {
		s.rotate(dense.NoTrans, g)
	}
	if !s.hessian.product(dst, dst, s.share*s.target/length) {
		copy(dst, v)
	} else if s.turned {
		s.rotate(dense.Transposed, g)
	}
	s.errors += math.Pow(length*s.hessian.error(), 2)
}

// productError implements inexact.
func (s *shiftedMean) productError() float64 { return math.Sqrt(s.errors) }

// base prepares products at the last point.
func (s *shiftedMean) base(memo solve.Memo) {
	if m := memo.(*shiftedMemo); !m.based {
		s.hessian.start()
		m.based, s.errors = true, 0
	}
}
