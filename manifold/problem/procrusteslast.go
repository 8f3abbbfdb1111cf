package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

const (
	// lastGain is what the last step makes of a gradient at best, lastNorm the largest gradient, in units of sqrt(n), from which a step may be the last: the cost after it is known to about
	// its third power.
	lastGain, lastNorm = 2e-4, 1e-4
	// lastShare is the least part of what is allowed that the errors of what is stated may leave to the residual, and lastMargin how much of it that uses.
	lastShare, lastMargin = 0.15, 0.97
	// lateShare is how much larger than the goal what a curvature lacks of the step may be before it is computed again.
	lateShare = 2
	// curvatureFrom times the goal is the residual from which on a curvature is computed, which lacks about 0.01 of it.
	curvatureFrom = 50
	// curvatureRest times the square of the largest logarithm bounds what the curvature leaves out, relative to it, and curvatureRounding what rounding to bfloat16 adds. That
	// of the part of the step that comes after it may be curvatureLate times as large as its residual tells.
	curvatureRest, curvatureRounding, curvatureLate = 0.06, 0x1p-8, 4
	// driftMargin is how much larger than last seen the error of a residual that has been carried along may be.
	driftMargin = 2
	// singleError bounds that of residuals in single precision, in units of sqrt(n) tr G/n tr G^-1/n times the step.
	singleError = 0x1p-23
)

// lastSolve makes a step whose gradient is stated without an evaluation: with g the gradient and u the step, up to terms of second order in u, it is g + H u. The Hessian H is the
// secant operator A plus
//
//	E: U -> (1/m) sum skew [N, G^-1 U D - [N, U]]/12,  D = C - B, N = G^-1 D = M',
//
// up to terms of fourth order in the logarithms: in the eigenbasis of a pencil the coefficients of these are between 0 and -0.116 w^2 times those of E for logarithms up to w, and as operators they
// have been seen to make 0.045 w^2 of what E does at most. E u is computed once the residual is small, and part of it from then on.
type lastSolve struct {
	width   float64 // bounds the logarithms
	allowed float64 // norm of the gradient after the step, less what the gradient before it is wrong by
	norm    float64 // of the gradient

	curvature []float32             // E u when it was computed
	rest      float64               // the residual then, 0 before
	images    dense.Matrix[float32] // of the pairs, side by side
	forms     []float64             // u'A u of each pair
}

func newLastSolve(n, count int, l *lender) *lastSolve {
	return &lastSolve{curvature: l.single(n, n).Data, images: l.single(n, n*count), forms: make([]float64, count)}
}

// closes tells whether the step from a gradient of this norm may be the last.
func (f *procrustesFit) closes(norm float64) bool {
	return lastGain*norm <= f.target && norm <= lastNorm*math.Sqrt(float64(f.n))
}

// lastSolve returns what makes the next step the last if it may be.
func (f *procrustesFit) lastSolve() *lastSolve {
	if !f.closing || f.rough || !f.closes(f.at.norm) {
		return nil
	}
	if f.final == nil {
		f.final = newLastSolve(f.n, len(f.a), f.lender)
	}
	f.final.width, f.final.allowed = widthMargin*f.width, f.target-f.slack()
	return f.final
}

// begin forgets the last curvature, for a gradient of the given norm.
func (l *lastSolve) begin(norm float64) {
	if l != nil {
		l.norm, l.rest = norm, 0
	}
}

// lacksCurvature tells whether a curvature has still to be computed.
func (l *lastSolve) lacksCurvature() bool { return l != nil && l.rest == 0 }

// within returns the goal of the residual for which what is stated is as small as allowed, or one that pays if it cannot be. Where the residual is to be computed once more on the way there, it
// counts on that.
func (l *lastSolve) within(m *procrustesModel, goal float64) float64 {
	gain, _ := m.gains()
	drift := driftMargin * m.lastDrift() * m.known
	fixed := m.lastErrors(0)
	rest := lastMargin * (l.allowed - fixed)
	switch {
	case rest >= 3*drift: // gains does without
		rest -= drift
	default:
		rest = min(rest-gain*drift, 1.9*drift) // stale sees to it
	}
	if rest >= lastShare*l.allowed {
		return rest
	}
	return max(goal, fixed+gain*drift)
}

// lateError bounds what the curvature lacks of the part of the step that came after it.
func (l *lastSolve) lateError() float64 {
	return curvatureLate * l.rest / l.norm * norm(l.curvature)
}

// lastDrift is about what a residual that is carried along to the end of a last solve is wrong by, relative to the last one computed: what has been seen, unless that was over a short way.
func (m *procrustesModel) lastDrift() float64 {
	if m.coarse == nil {
		return m.drift
	}
	_, _, drift := m.coarse.errors()
	return max(m.drift, drift*math.Sqrt(m.spread))
}

// lastErrors bounds the difference between the residual of a last solve, carried along from one of norm known, and the gradient after the step.
func (m *procrustesModel) lastErrors(known float64) float64 {
	l, n := m.last, math.Sqrt(float64(m.n))
	bend, step := norm(l.curvature), norm(m.step)
	curvature := curvatureRest*l.width*l.width + curvatureRounding
	return curvature*bend + l.lateError() + driftMargin*m.lastDrift()*known + (singleError*m.spread*n+l.norm/n)*step
}

// curve sets the curvature of a last solve to that of the step, and its forms. It follows a product with the step in single precision.
func (m *procrustesModel) curve() {
	n, l := m.n, m.last
	m.products++
	m.team.evenly(m.bend)
	for i := range n {
		row, images := m.sum.Row(i), l.images.Row(i)
		copy(row, images[:n])
		for k := 1; k < len(m.at.g); k++ {
			dense.Axpy(1, images[k*n:][:n], row)
		}
	}
	m.skew(l.curvature)
}

// bendTerm sets the image of a pair to [N, X]/12, X = G^-1 U D - [N, U] = (G^-1 U + U G^-1) D - N U, by five products.
func (m *procrustesModel) bendTerm(w *worker, k int) error {
	w.scratch.single.need(m.n)
	product := dense.Gemm[float32]
	if m.coarse != nil && dense.HasBFloat16() {
		product = dense.GemmRounded[float32]
	}
	x, v, t := w.scratch.single.t[0], w.scratch.single.t[1], w.scratch.single.t[2]
	log, image := m.at.logs[k], m.last.images.View(0, k*m.n, m.n, m.n)
	product(dense.NoTrans, dense.NoTrans, 1, m.at.inv[k], m.u, 0, v)
	dense.Transpose(t, v)
	m.last.forms[k] = m.form(v, k) + m.form(t, k)
	dense.Axpy(-1, t.Data, v.Data)
	product(dense.NoTrans, dense.NoTrans, 1, v, m.at.d[k], 0, x)
	product(dense.Transposed, dense.NoTrans, -1, log, m.u, 1, x)
	product(dense.Transposed, dense.NoTrans, 1./12, log, x, 0, image)
	product(dense.NoTrans, dense.Transposed, -1./12, x, log, 1, image)
	return nil
}

// form returns the part of v in -tr(W V), W = G U - U G and V = G^-1 U - U G^-1: the inner product of U and the operator of a pair times U.
func (m *procrustesModel) form(v dense.Matrix[float32], k int) (sum float64) {
	for i := range m.n {
		sum -= 2 * float64(dense.Dot(m.images.Row(i)[k*m.n:][:m.n], v.Row(i)))
	}
	return sum
}

// finish goes the way of turn if the gradient there can be stated to be as small as it should be.
func (f *procrustesFit) finish() bool {
	m := f.model
	if m.last.lacksCurvature() {
		return false
	}
	bound := norm(m.res) + m.lastErrors(m.known) + f.slack()
	if !(bound <= f.target) || f.group.Retract(f.trial.rotation, f.at.rotation, f.turn) != nil {
		return false
	}
	f.foretell(bound)
	f.length, f.kept, f.damped, f.closing = norm(f.turn), true, false, false
	f.at, f.trial = f.trial, f.at
	return true
}

// foretell sets what belongs to trial after the step: the residual for gradient, with the norm that bounds it, the cost and the squared distances to second order.
func (f *procrustesFit) foretell(bound float64) {
	m, at, trial := f.model, f.at, f.trial
	dense.ToDouble(m.res, trial.grad)
	slope, residual := dense.Dot(at.grad, f.turn), dense.Dot(trial.grad, f.turn)
	dense.Scale(bound/norm(trial.grad), trial.grad, trial.grad)
	trial.norm, trial.exact = bound, false
	trial.cost = at.cost + (slope+residual)/2
	stretch := float64(len(f.a)) * (residual - slope) / dense.Sum(m.last.forms) // E has its part in the sum of the forms
	for k, log := range m.at.logs {
		trial.squares[k] = at.squares[k] - 4*float64(dense.Dot(log.Data, m.step)) + stretch*m.last.forms[k]
	}
}
