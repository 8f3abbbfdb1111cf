package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/manifold"
)

const (
	// fitNodes bounds the nodes of the quadrature, and firstNodes is how many tell the width.
	fitNodes, firstNodes = 18, 3
	// roughNorm bounds the gradient, in units of sqrt(n), above which single precision will do.
	roughNorm = 1e-3
	// widthNorm bounds it above which a step changes the widths.
	widthNorm = 0.02
	// widthMargin is for what a step does to the width.
	widthMargin = 1.05
)

// farPair is what evaluations by decompositions need of a pair.
type farPair struct {
	inverse dense.Matrix[float64] // of the Cholesky factor of B
	logs    []float64
	weights []float64
}

// farther makes evaluations by decompositions from now on.
func (f *procrustesFit) farther() {
	for _, b := range f.b {
		l := b.Clone()
		dense.Cholesky(l)
		for i := range f.n {
			clear(l.Row(i)[i+1:])
		}
		dense.InvertLower(l)
		f.far = append(f.far, farPair{l, make([]float64, f.n), make([]float64, f.n)})
	}
	f.trial.factors = newModelFactors(f.n, len(f.b), f.lender)
	f.at.factors.extend()
	f.trial.factors.extend()
	f.term, f.kept = f.farTerm, false
}

// evaluate sets all that belongs to the point p, the gradient with an error well below goal.
func (f *procrustesFit) evaluate(p *procrustesPoint, goal float64) bool {
	if f.far == nil && !f.choose(goal) {
		f.farther()
	}
	if f.closing = f.far == nil && f.closing; f.closing {
		f.at.factors.extendLast(f.lender)
		f.kept = false
	}
	least := roughNorm * math.Sqrt(float64(f.n))
	f.rough = f.rough && f.far == nil && f.target < least && (goal == 0 || goal > least)
	if !f.pass(p) {
		return false
	}
	if f.rough && p.norm <= least {
		f.rough = false
		return f.pass(p)
	}
	return true
}

// pass evaluates once.
func (f *procrustesFit) pass(p *procrustesPoint) bool {
	f.evaluations++
	f.now, p.exact = p, f.far != nil
	if f.rough && !p.rotation.none {
		dense.ScaleSingle(1, p.rotation.r.Data, f.rounded.Data)
	}
	if f.ahead = f.far == nil && !f.team.serial && !wide(len(f.a)); f.ahead && !f.logsAhead() {
		return false
	}
	for _, w := range f.team.workers {
		w.acc.Zero()
	}
	f.team.evenly(f.term)
	f.sum.Zero()
	for _, w := range f.team.workers {
		if w.err != nil {
			return false
		}
		dense.Axpy(1, w.acc.Data, f.sum.Data)
	}
	m, back := float64(len(f.a)), f.team.scratch[0].t[0]
	dense.Transpose(back, f.sum)
	for i, v := range back.Data {
		p.grad[i] = (v - f.sum.Data[i]) / m
	}
	p.cost, p.norm = f.team.sum(0)/(2*m), math.Sqrt(dense.Dot(p.grad, p.grad))
	if f.measuring() {
		f.width = math.Pow(f.team.sum(1), 1./16)
	}
	return !math.IsNaN(p.cost + p.norm)
}

// roundedTurning is what the rotation's turning is, in single precision.
func (f *procrustesFit) roundedTurning() dense.Matrix[float32] {
	if f.now.rotation.none {
		return dense.Matrix[float32]{}
	}
	return f.rounded
}

// logsAhead computes the logarithms that the terms need, all at once.
func (f *procrustesFit) logsAhead() bool {
	n, count := f.n, len(f.a)
	if !f.rough {
		if f.logs == nil {
			f.logs = newPencilLogs(n, count, func() dense.Matrix[float64] { return f.matrix(n, n) })
		}
		return f.logs.compute(f.now.rotation.turning(), f.a, f.b, f.rule)
	}
	if f.singleLogs == nil {
		f.singleLogs = newPencilLogs(n, count, func() dense.Matrix[float32] { return f.single(n, n) })
	}
	for k, log := range f.singleLogs.log {
		dense.ScaleSingle(1, f.a[k].Data, log.Data)
		dense.ScaleSingle(1, f.b[k].Data, f.now.factors.g[k].Data)
	}
	return f.singleLogs.compute(f.roundedTurning(), f.singleLogs.log, f.now.factors.g, f.rule)
}

// measuring tells whether the widths are computed, which steps from a small gradient hardly change.
func (f *procrustesFit) measuring() bool {
	return f.far == nil && (f.steps == 0 || f.at.norm > widthNorm*math.Sqrt(float64(f.n)))
}

// choose takes as few nodes as the last width allows, or firstNodes for the start. It returns false if fitNodes are too few.
func (f *procrustesFit) choose(goal float64) bool {
	if f.closing = false; goal == 0 {
		f.rule = ruleFor(firstNodes, fitWidth)
		return true
	}
	q, err, width := 2, goal/8, widthMargin*f.width
	if f.closing = goal > f.target && f.closes(goal); f.closing || goal <= f.target {
		err = min(goal, f.target) / 500 // of the cost, too
	}
	for ; f.quadratureError(q, width) > err; q++ {
		if q == fitNodes && f.closing {
			f.closing, err, q = false, goal/8, 2
		}
		if q == fitNodes {
			return false
		}
	}
	f.rule = ruleFor(q, width)
	return true
}

// quadratureError bounds that of a gradient, in the Frobenius norm.
func (f *procrustesFit) quadratureError(q int, width float64) float64 {
	return math.Sqrt(float64(len(f.a)*f.n)) * ruleError(q, width)
}

// slack is the error of the last gradient.
func (f *procrustesFit) slack() float64 { return f.quadratureError(len(f.rule.nodes), f.rule.width) }

// pencilLog sets log to M = log(C B^-1), C = R A R', and inverse to G^-1, complete, by a rule: with D = C - B
//
//	M = D G^-1, G^-1 = sum_j w_j (B + x_j D)^-1.
//
// It returns false where a matrix is not positive definite to rounding. log may be a.
func pencilLog[T dense.Float](r, a, b, d, inverse, log dense.Matrix[T], rule *logRule, work []T) bool {
	pencilDifference(r, a, b, d, inverse)
	inverse.Zero()
	for j, x := range rule.nodes {
		dense.Blend(1, b.Data, T(x), d.Data, log.Data)
		if !dense.InvertUpper(log, work) {
			return false
		}
		dense.Axpy(T(rule.weights[j]), log.Data, inverse.Data)
	}
	dense.Mirror(d)
	dense.Mirror(inverse)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, d, inverse, 0, log)
	return true
}

// pencilDifference sets the upper triangle of d to R A R' - B. An r without rows stands for the identity.
func pencilDifference[T dense.Float](r, a, b, d, work dense.Matrix[T]) {
	if r.Rows == 0 {
		dense.Blend(1, a.Data, -1, b.Data, d.Data)
		return
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, r, a, 0, work)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, work, r, 0, d)
	dense.Axpy(-1, b.Data, d.Data)
}

// squareTrace returns tr M^2; work is overwritten by M'.
func squareTrace[T dense.Float](m, work dense.Matrix[T]) float64 {
	dense.Transpose(work, m)
	return float64(dense.Dot(m.Data, work.Data))
}

// measure adds tr M^16 to the sums, computed with products of bfloat16 numbers from M in t[0]. It bounds the largest logarithm within a factor that hardly grows with n, where
// tr M^4 would make it twice as large for each 16 times as many rows.
func (f *procrustesFit) measure(w *worker, t [3]dense.Matrix[float32]) {
	for k := range 3 {
		from, to := t[k%2], t[(k+1)%2]
		dense.GemmRounded(dense.NoTrans, dense.NoTrans, 1, from, from, 0, to)
	}
	w.sum[1] += squareTrace(t[1], t[2])
}

// nearTerm adds M to acc, tr M^2 to the sums and, if asked to measure, tr M^16.
func (f *procrustesFit) nearTerm(w *worker, k int) error {
	if f.rough {
		return f.roughTerm(w, k)
	}
	d, inverse, log := w.t[0], w.t[1], w.t[2]
	if f.ahead {
		d, inverse, log = f.logs.d[k], f.logs.inverse[k], f.logs.log[k]
	} else if !pencilLog(f.now.rotation.turning(), f.a[k], f.b[k], d, inverse, log, f.rule, w.work) {
		return errOutside
	}
	factors, scale := f.now.factors, f.model.scale[k]
	if f.closing {
		dense.ScaleSingle(1, log.Data, factors.logs[k].Data)
		narrowScaled(factors.d[k].Data, scale, d.Data)
	}
	dense.Axpy(1, log.Data, w.acc.Data)
	f.now.squares[k] = squareTrace(log, d) + f.fixed[k]
	w.sum[0] += f.now.squares[k]
	if f.measuring() {
		w.scratch.single.need(f.n)
		t := w.scratch.single.t
		dense.ScaleSingle(1, log.Data, t[0].Data)
		f.measure(w, [3]dense.Matrix[float32]{t[0], t[1], t[2]})
	}
	if f.kept {
		return nil
	}
	narrowScaled(factors.inv[k].Data, 1/scale, inverse.Data)
	return factors.invert(w, k)
}

// roughTerm is nearTerm in single precision.
func (f *procrustesFit) roughTerm(w *worker, k int) error {
	w.scratch.single.need(f.n)
	t := w.scratch.single.t
	factors, scale := f.now.factors, float32(f.model.scale[k])
	d, inverse, log, b := t[0], t[1], t[2], factors.g[k]
	if f.ahead {
		d, inverse, log = f.singleLogs.d[k], f.singleLogs.inverse[k], f.singleLogs.log[k]
	} else {
		dense.ScaleSingle(1, f.a[k].Data, log.Data)
		dense.ScaleSingle(1, f.b[k].Data, b.Data)
		if !pencilLog(f.roundedTurning(), log, b, d, inverse, log, f.rule, w.scratch.single.work) {
			return errOutside
		}
	}
	for i, v := range log.Data {
		w.acc.Data[i] += float64(v)
	}
	dense.Scale(1/scale, inverse.Data, factors.inv[k].Data)
	f.now.squares[k] = squareTrace(log, d) + f.fixed[k]
	w.sum[0] += f.now.squares[k]
	if f.measuring() {
		f.measure(w, [3]dense.Matrix[float32]{log, d, inverse})
	}
	return factors.invert(w, k)
}

// farTerm does the same by the eigenvalues e^l of L^-1 C L^-T, B = L L'. Those of G seen from B are (e^l - 1)/l.
func (f *procrustesFit) farTerm(w *worker, k int) error {
	p, log, d, s, q := f.far[k], w.t[0], w.t[1], w.t[2], w.t[3]
	pencilDifference(f.now.rotation.turning(), f.a[k], f.b[k], d, s)
	dense.Mirror(d)
	dense.Congruence(p.inverse, d, q, w.work)
	for i := range f.n {
		q.Set(i, i, q.At(i, i)+1)
	}
	if !eigen.Sym(q, p.logs) || !(p.logs[0] > 0) {
		return &manifold.PointError{What: "a pencil is not positive definite to rounding", Min: p.logs[0], Max: p.logs[f.n-1]}
	}
	for i, v := range p.logs {
		p.weights[i] = 1
		if l := math.Log(v); math.Abs(v-1) > 1e-8 {
			p.weights[i] = l / (v - 1)
		}
	}
	dense.Log(p.logs, p.logs)
	dense.Sqrt(p.weights, p.weights)
	f.now.squares[k] = dense.Dot(p.logs, p.logs) + f.fixed[k]
	w.sum[0] += f.now.squares[k]
	for i := range f.n {
		dense.Multiply(q.Row(i), p.weights, q.Row(i))
	}
	dense.MulLower(dense.Transposed, p.inverse, q, log)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, log, log, 0, s)
	dense.Mirror(s)
	q.Copy(s)
	if !dense.InvertUpper(q, w.work) {
		return errOutside
	}
	dense.Mirror(q)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, log, q, 0, w.m)
	f.now.factors.setTangent(k, f.model.scale[k], q, s, log, w.m, p.logs)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, d, s, 0, log)
	dense.Axpy(1, log.Data, w.acc.Data)
	return nil
}
