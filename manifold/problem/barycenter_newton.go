package problem

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

const (
	// singleBarycenterRows is the number of rows of a barycenter from which on products in single precision pay.
	singleBarycenterRows = 16
	// shortest is the least factor by which a step multiplies roots of eigenvalues.
	shortest = 0.05
	// straightStep is the length of a step, relative to the point, up to which frames stay spectral enough.
	straightStep = 0.01
	// leastForcing is the least share of a gradient that Hessian products in single precision can find the step to, greatestForcing what is left of it far from the minimizer.
	leastForcing, greatestForcing = 2e-6, 0.03
	// certifiedForcing is that of the step that estimates the distance to the minimizer.
	certifiedForcing = 0.01
)

// barycenterNewton follows the eigenbases from the start. Where it comes to a halt, or hardly on, the trust region takes over. It also runs where states are
// written.
func barycenterNewton(in instance, m *manifold.Affine, o *Options) (*solve.Result, error) {
	b, trust := in.(*barycenterObjective), general(solve.Solver{Run: solve.Trust}).run
	if kept(o) {
		return trust(in, m, o)
	}
	first, err := firstPoint(in, o)
	if err != nil {
		return nil, err
	}
	b.follows = true
	run := newBarycenterRun(b, first, o.unlessSlow())
	run.observed = o.Solver.Callback != nil || o.Solver.Stop != nil
	r, err := run.solve()
	b.follows = false
	if err != nil || r.Reason.Name != iteration.Stalled && r.Reason.Name != slow {
		return r, err
	}
	rest := *o
	rest.Start = r.Point.(*manifold.Frame).Sym()
	last, err := trust(in, m, &rest)
	if err == nil {
		last.Iterations += r.Iterations
		last.Evaluations += r.Evaluations
		last.HessianProducts += r.HessianProducts
	}
	return last, err
}

// slow is the reason of a run that does not halve its gradient in patience iterations.
const (
	slow     = "slow"
	patience = 6
)

// unlessSlow returns options that stop a run for this reason too.
func (o *Options) unlessSlow() *Options {
	c := *o
	c.Solver.Stop = &patient{before: o.Solver.Stop}
	return &c
}

type patient struct {
	before solve.Criterion
	norms  [patience]float64 // of the last gradients
}

// Check implements solve.Criterion.
func (p *patient) Check(s *solve.Status) (solve.Reason, bool) {
	if p.before != nil {
		if r, stop := p.before.Check(s); stop {
			return r, true
		}
	}
	last := &p.norms[s.Iteration%patience]
	if s.Iteration >= patience && s.GradientNorm > *last/2 {
		return solve.Reason{Name: slow}, true
	}
	*last = s.GradientNorm
	return solve.Reason{}, false
}

// barycenterRun is Newton's method in the geometry of Bures and Wasserstein: X = (I + V) X0 (I + V) with V symmetric, so that F = (I + V) F0, in which the cost is a square less
// a sum of nuclear norms of linear functions, and a square for matrices that commute. Steps are as right far from the minimizer as near it. The metric, half of the
// Hessian where all K_k^1/2 are F'F, is that of the preconditioner (barycenterObjective.Precondition). The step with it in place of the Hessian is that of the fixed point, which lowers the cost from anywhere; it
// is taken where Newton's does not.
//
// Frames are spectral, F'F = L diagonal. With W = L^-1/2 F' V F L^-1/2 the tangent vector is eta = N + N', N = F^-1 V F = L^-1/2 W L^1/2, and u, u_ij = W_ij (l_i + l_j)^1/2,
// are orthonormal coordinates of the metric: eta_ij = u_ij (1/l_i + 1/l_j)^1/2. In these frames the K_k^1/2, at most L/w_k in sum, are graded as L is, and so are their eigenvectors. Products of graded matrices keep small relative
// errors in all entries: single precision leaves 2e-7 of a direction in a Hessian product in the metric at any condition, bfloat16 0.002 to 0.003; in other frames errors grow as the root of
// the condition.
type barycenterRun struct {
	*barycenterObjective
	options  *Options
	mon      *iteration.Monitor
	observed bool // somebody sees the points
	memo     *barycenterMemo
	f, next  dense.Matrix[float64]
	turn     dense.Matrix[float64] // from the frame of a step to the spectral one
	values   []float64
	lengths  []float64             // L at f
	grad     dense.Matrix[float64] // F'F - S at f
	toEta    dense.Matrix[float64] // (1/l_i + 1/l_j)^1/2
	toN      dense.Matrix[float32] // N_ij/u_ij
	grad32   dense.Matrix[float32]
	etas     dense.Matrix[float64]
	eta32s   dense.Matrix[float32]
	n32, t32 dense.Matrix[float32]
	step     dense.Matrix[float64] // u, like the next three
	res      dense.Matrix[float64]
	dir, hd  dense.Matrix[float64]
	norm     float64 // of the gradient in the metric
	last     float64 // that at the point before
	left     float64 // of the gradient, in the metric's norm, by the last step
	accuracy float64 // as tuned
	products int
}

func newBarycenterRun(b *barycenterObjective, first *manifold.Frame, o *Options) *barycenterRun {
	n := b.n
	r := &barycenterRun{barycenterObjective: b, options: o, memo: b.NewMemo().(*barycenterMemo), values: make([]float64, n), lengths: make([]float64, n)}
	for _, m := range []*dense.Matrix[float64]{&r.f, &r.next, &r.turn, &r.grad, &r.toEta, &r.etas, &r.step, &r.res, &r.dir, &r.hd} {
		*m = dense.New[float64](n, n)
	}
	for _, m := range []*dense.Matrix[float32]{&r.toN, &r.grad32, &r.eta32s, &r.n32, &r.t32} {
		*m = dense.New[float32](n, n)
	}
	for _, s := range r.memo.spectra {
		s.limit = worthwhileSweeps(n)
	}
	r.next.Copy(view(first.F()))
	return r
}

// worthwhileSweeps returns how many sweeps, of 4 to 5 products, are cheaper than a decomposition, of 20, 10, 6 and 3 products at n = 50, 100, 200 and 1000. A basis that has been followed takes three
// products more than a new one, whatever the number of sweeps.
func worthwhileSweeps(n int) int {
	switch {
	case n < 80:
		return sweepLimit
	case n < 160:
		return 1
	}
	return 0
}

// solve runs until the criteria say so.
func (r *barycenterRun) solve() (*solve.Result, error) {
	r.mon = iteration.NewMonitor(&r.options.Solver, r.n*r.n)
	r.tune(math.Inf(1))
	r.straighten()
	cost, err := r.evaluateAt(r.next, r.memo)
	if err != nil {
		return nil, err
	}
	r.accept()
	for {
		point, err := r.point()
		if err != nil {
			return nil, err
		}
		stop := r.mon.Done(point, cost, r.gradientNorm(), r.GradientScale(cost))
		if stop && r.mon.Reason.Converged && r.slack() > 0.3*r.mon.Target() && r.accuracy > r.finest() {
			r.tune(r.finest())
			r.mon.Status.Evaluations++
			r.next.Copy(r.f)
			if cost, err = r.evaluateAt(r.next, r.memo); err != nil {
				return nil, err
			}
			r.accept()
			continue
		}
		if stop {
			break
		}
		r.direction(r.forcing())
		var moved bool
		if cost, moved = r.move(cost); !moved {
			r.mon.Stall()
			break
		}
	}
	return r.result()
}

// result closes the run at f, where the last evaluation was.
func (r *barycenterRun) result() (*solve.Result, error) {
	if r.mon.Reason.Name == iteration.Stalled {
		r.forget()
		if _, err := r.evaluateAt(r.f, r.memo); err != nil {
			return nil, err
		}
	}
	r.observed = true
	point, err := r.point()
	if err != nil {
		return nil, err
	}
	certificate := r.certificate()
	out := r.mon.Result(point, r.products)
	out.Certificate = certificate
	return out, nil
}

// certificate estimates the distance to the minimizer by the step of Newton's method, whose end is about as near to it as the last step has brought f; its tangent vector alone is not
// where it is long.
func (r *barycenterRun) certificate() solve.Certificate {
	none := solve.Certificate{Kind: "none"}
	if !r.direction(certifiedForcing) {
		return none
	}
	length := r.stepLength()
	if length > firstOrder {
		p, err := manifold.FrameOf(mat.NewDense(r.n, r.n, r.f.Data))
		if err != nil {
			return none
		}
		r.shift()
		q, err := manifold.FrameOf(mat.NewDense(r.n, r.n, r.next.Data))
		if err != nil {
			return none
		}
		if length, err = r.m.Distance(p, q); err != nil {
			return none
		}
	}
	if norm := r.gradientNorm(); norm > 0 {
		length *= 1 + r.slack()/norm
	}
	return solve.Certificate{Kind: "newton-step", Value: length}
}

// point returns f as a point, nil if nobody sees it.
func (r *barycenterRun) point() (manifold.Point, error) {
	if !r.observed {
		return nil, nil
	}
	return manifold.FrameOf(mat.NewDense(r.n, r.n, r.f.Data))
}

func (r *barycenterRun) gradientNorm() float64 {
	return math.Sqrt(dense.Dot(r.grad.Data, r.grad.Data) * r.m.Kappa())
}

// slack bounds the error of the gradient that the evaluation left.
func (r *barycenterRun) slack() float64 { return r.memo.slack * math.Sqrt(r.m.Kappa()) }

// finest returns the gradient error that does not matter to the tolerance.
func (r *barycenterRun) finest() float64 { return 0.05 * r.mon.Target() }

// tune sets the error of the gradient that evaluations may leave.
func (r *barycenterRun) tune(accuracy float64) {
	r.accuracy = accuracy
	r.barycenterObjective.accuracy = accuracy / math.Sqrt(r.m.Kappa())
}

// accept takes over the point next, where the last evaluation was.
func (r *barycenterRun) accept() {
	r.f, r.next = r.next, r.f
	r.grad.Copy(r.memo.d)
	dense.ScaleSingle(1/r.unit, r.grad.Data, r.grad32.Data)
	for i := range r.lengths {
		r.lengths[i] = r.memo.m.At(i, i)
	}
	for i, li := range r.lengths {
		eta, n := r.toEta.Row(i), r.toN.Row(i)
		for j, lj := range r.lengths {
			ratio := lj / li
			eta[j] = math.Sqrt((1 + ratio) / lj)
			n[j] = float32(math.Sqrt(ratio / (li + lj) * r.unit))
		}
	}
	r.last = r.norm
	dense.Multiply(r.grad.Data, r.toEta.Data, r.res.Data)
	r.norm = math.Sqrt(dense.Dot(r.res.Data, r.res.Data))
}

// straighten makes the frame next spectral. Bases that are to follow turn with it.
func (r *barycenterRun) straighten() {
	w := r.team.workers[0]
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, r.next, r.next, 0, r.turn)
	dense.Mirror(r.turn)
	if !w.solver.Sym(r.turn, r.values) {
		return
	}
	w.t[0].Copy(r.next)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, w.t[0], r.turn, 0, r.next)
	for _, s := range r.memo.spectra {
		if s.known {
			w.t[0].Copy(s.basis)
			dense.Gemm(dense.Transposed, dense.NoTrans, 1, r.turn, w.t[0], 0, s.basis)
		}
	}
}

// forcing returns the share of the gradient that the next step may leave, not much less than the tolerance asks for: the square of what the last one has left, as Newton's method will, a lesser
// power (Eisenstat and Walker, SIAM J. Sci. Comput. 17 (1996), choice 2) where that was more than the step was meant to leave.
func (r *barycenterRun) forcing() float64 {
	share := greatestForcing
	if r.last > 0 {
		power := 2.0
		if r.norm > 2*r.left {
			power = math.Phi
		}
		share = min(share, math.Pow(r.norm/r.last, power))
	}
	return max(share, 0.3*r.mon.Target()/r.mon.Status.GradientNorm, leastForcing)
}

// direction solves Hessian step = -gradient by conjugate gradients to that share of the gradient, or up to a direction in which the cost is flat, when it returns false. If the gradient is one,
// the step is that of the fixed point.
func (r *barycenterRun) direction(share float64) bool {
	res, dir := r.res.Data, r.dir.Data
	dense.Multiply(r.grad.Data, r.toEta.Data, res)
	clear(r.step.Data)
	square := dense.Dot(res, res)
	target := share * math.Sqrt(square)
	var errors, before float64
	r.left = 0
	for product := range 100 {
		if square == 0 || square <= max(target*target-errors, target*target/4) {
			break
		}
		beta := 0.0
		if product > 0 {
			beta = square / before
		}
		dense.Blend(-1, res, beta, dir, dir)
		before = square
		length := dense.Dot(dir, dir)
		e := roundedError * math.Sqrt(length)
		if r.rounded = e <= roundedShare*target && r.n >= roundedHessian && dense.HasBFloat16(); r.rounded {
			errors += e * e
		}
		r.hessian(r.hd, r.dir)
		curvature := dense.Dot(dir, r.hd.Data)
		if !(curvature > flatCurvature*length) {
			if product == 0 {
				copy(r.step.Data, dir)
			}
			return false
		}
		dense.Axpy(square/curvature, dir, r.step.Data)
		dense.Axpy(square/curvature, r.hd.Data, res)
		square = dense.Dot(res, res)
	}
	r.left = target
	return true
}

// hessian sets dst to the Hessian product with u, in the metric's coordinates: the sum of those of the K_k^1/2 and, of the term <F'F - S, N N'>, the gradient.
func (r *barycenterRun) hessian(dst, u dense.Matrix[float64]) {
	r.products++
	size := math.Sqrt(dense.Dot(u.Data, u.Data))
	dense.Multiply(u.Data, r.toEta.Data, dst.Data)
	back := r.roots(dst, size)
	dense.Multiply(dst.Data, r.toEta.Data, dst.Data)

	dense.ScaleSingle(1/size, u.Data, r.t32.Data)
	dense.Multiply(r.t32.Data, r.toN.Data, r.n32.Data)
	product := dense.Gemm[float32]
	if r.rounded {
		product = dense.GemmRounded[float32]
	}
	product(dense.NoTrans, dense.NoTrans, 1, r.grad32, r.n32, 0, r.t32)
	dense.Multiply(r.t32.Data, r.toN.Data, r.t32.Data)
	dense.Transpose(r.n32, r.t32)
	for i, v := range dst.Data {
		dst.Data[i] = back*v + size*float64(r.t32.Data[i]+r.n32.Data[i])
	}
}

// roots replaces eta by the Hessian product of the K_k^1/2 over the factor that it returns. size is the length of eta in the metric.
func (r *barycenterRun) roots(eta dense.Matrix[float64], size float64) (factor float64) {
	if r.n < singleBarycenterRows {
		r.eta = r.etas
		r.eta.Copy(eta)
		if r.team.run(r.product, eta.Data) != nil {
			clear(eta.Data)
		}
		return 1
	}
	factor = size * math.Sqrt(r.unit)
	r.eta32 = r.eta32s
	dense.ScaleSingle(r.unit/factor, eta.Data, r.eta32.Data)
	r.team.run32(r.product32, eta.Data)
	return factor
}

// stepLength returns the length of the step as a tangent vector.
func (r *barycenterRun) stepLength() float64 {
	dense.Multiply(r.step.Data, r.toEta.Data, r.hd.Data)
	return math.Sqrt(dense.Dot(r.hd.Data, r.hd.Data) / r.m.Kappa())
}

// move takes the step, or that of the fixed point where it does not lower the cost. If neither does, moved is false.
func (r *barycenterRun) move(cost float64) (next float64, moved bool) {
	const sufficient, rounding = 1e-4, 1e-12
	r.tune(max(0.1*r.left/max(r.norm, math.SmallestNonzeroFloat64)*r.mon.Status.GradientNorm, 0.25*r.mon.Target()))
	dense.Multiply(r.grad.Data, r.toEta.Data, r.res.Data)
	noise := r.memo.noise
	for range 2 {
		slope, length := dense.Dot(r.res.Data, r.step.Data), r.stepLength()
		r.shift()
		next, err := r.evaluateAt(r.next, r.memo)
		r.mon.Status.Evaluations++
		allowed := rounding*(r.trace+math.Abs(cost)) + 2*math.Sqrt(float64(r.n))*(noise+r.memo.noise)
		if err == nil && next <= cost+sufficient*slope+allowed {
			r.accept()
			r.mon.Step(length)
			return next, true
		}
		r.forget()
		dense.Scale(-1, r.res.Data, r.step.Data)
	}
	return cost, false
}

// forget has the next evaluation decompose anew.
func (r *barycenterRun) forget() {
	for _, s := range r.memo.spectra {
		s.known = false
	}
}

// shift sets next to the spectral frame at the end of the step.
func (r *barycenterRun) shift() {
	w := r.team.workers[0]
	v := w.t[1]
	for i, li := range r.lengths {
		row, u := v.Row(i), r.step.Row(i)
		for j, lj := range r.lengths {
			row[j] = u[j] / math.Sqrt(li+lj)
		}
	}
	length := math.Sqrt(dense.Dot(v.Data, v.Data))
	if length > 1-shortest {
		r.bound(v)
	}
	for i, li := range r.lengths {
		row := v.Row(i)
		for j, lj := range r.lengths {
			row[j] *= math.Sqrt(lj / li)
		}
	}
	r.next.Copy(r.f)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, r.f, v, 1, r.next)
	if !r.followable(2 * length) {
		r.forget()
	}
	if length > straightStep {
		r.straighten()
	}
}

// followable says whether bases that residual away from eigenbases are worth to follow. A sweep about squares what is left.
func (r *barycenterRun) followable(residual float64) bool {
	if residual > farResidual {
		return false
	}
	for range worthwhileSweeps(r.n) {
		residual *= residual
	}
	return residual <= math.Sqrt(2*r.barycenterObjective.accuracy/slices.Max(r.lengths))
}

// bound raises the eigenvalues of I + v to shortest.
func (r *barycenterRun) bound(v dense.Matrix[float64]) {
	w := r.team.workers[0]
	q, t := w.t[2], w.t[3]
	q.Copy(v)
	for i := range r.n {
		q.Set(i, i, q.At(i, i)+1-shortest)
	}
	if dense.Cholesky(q) < 0 {
		return
	}
	q.Copy(v)
	if !w.solver.Sym(q, r.values) {
		return
	}
	for i := range r.n {
		for j, x := range q.Row(i) {
			t.Set(i, j, x*max(shortest-1, r.values[j]))
		}
	}
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, t, q, 0, v)
	dense.Mirror(v)
}
