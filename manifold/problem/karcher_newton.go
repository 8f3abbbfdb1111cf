package problem

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

func karcherNewton(in instance, _ *manifold.Affine, o *Options) (*solve.Result, error) {
	return karcherIterate(in.(*karcherObjective), o, karcherNewtonDirection)
}

func karcherRichardson(in instance, _ *manifold.Affine, o *Options) (*solve.Result, error) {
	return karcherIterate(in.(*karcherObjective), o, karcherRichardsonDirection)
}

// karcherRun is the state of the specialised iterations.
type karcherRun struct {
	k        *karcherObjective
	m        *manifold.Affine // with the metric of k.m and the default retraction
	mon      *monitor
	p, q     *manifold.Frame
	memo     *karcherMemo
	grad     []float64
	next     []float64
	step     []float64
	scaled   []float64
	res      []float64
	dir, hd  []float64
	dir32    []float32
	products int
}

// karcherIterate moves along geodesics in the directions given until the gradient is small. A step is judged by the slope at its end, which
// along a geodesic grows monotonically because the cost is convex there: it is accepted unless it overshoots the minimum on the line by more
// than half of the initial slope. Costs are not compared, so rounding does not stall the run. Convergence is believed only where the error of
// the gradient is small against the tolerance.
func karcherIterate(k *karcherObjective, o *Options, direction func(r *karcherRun)) (*solve.Result, error) {
	first, err := firstPoint(k, o)
	if err != nil {
		return nil, err
	}
	m, err := manifold.NewAffine(k.n, manifold.AffineOptions{Kappa: o.Kappa})
	if err != nil {
		return nil, err
	}
	n := m.VectorLen()
	r := &karcherRun{k: k, m: m, p: first, q: manifold.IdentityFrame(k.n, 1), memo: k.NewMemo().(*karcherMemo)}
	for _, v := range []*[]float64{&r.grad, &r.next, &r.step, &r.scaled, &r.res, &r.dir, &r.hd} {
		*v = make([]float64, n)
	}
	r.dir32 = make([]float32, n)
	r.mon = newMonitor(&o.Solver, n)
	k.accuracy = math.Inf(1)
	cost, err := k.Evaluate(r.p, r.grad, r.memo)
	for err == nil {
		stop := r.mon.done(r.p, cost, r.norm(r.grad), k.GradientScale(cost))
		if stop && r.mon.reason.Converged && r.memo.slack > 0.3*r.mon.target() && k.accuracy > r.finest() {
			k.accuracy = r.finest()
			r.mon.status.Evaluations++
			cost, err = k.Evaluate(r.p, r.grad, r.memo)
			continue
		}
		if stop {
			break
		}
		direction(r)
		var moved bool
		if cost, moved, err = r.move(); err == nil && !moved {
			r.mon.stalled()
			break
		}
	}
	if err != nil {
		return nil, err
	}
	if err := r.m.Complete(r.p); err != nil {
		return nil, fmt.Errorf("after iteration %d: %w", r.mon.status.Iteration, err)
	}
	out := r.mon.result(r.p, r.products)
	out.Certificate = k.Certify(r.p, out.GradientNorm, r.memo)
	return out, nil
}

func (r *karcherRun) norm(v []float64) float64 { return math.Sqrt(r.m.Inner(r.p, v, v)) }

// move takes the step along the geodesic, shortened until the slope condition holds; if it never does, moved is false.
func (r *karcherRun) move() (cost float64, moved bool, err error) {
	m := r.m
	slope := m.Inner(r.p, r.grad, r.step)
	length := r.norm(r.step)
	r.k.accuracy = max(0.1*r.goal(), 0.25*r.mon.target())
	t := 1.0
	for range 30 {
		for i, v := range r.step {
			r.scaled[i] = t * v
		}
		move := m.Exp
		if t*length < 0.3 {
			move = m.Retract
		}
		if err := move(r.q, r.p, r.scaled); err != nil {
			return 0, false, r.broken(t*length, err)
		}
		cost, err := r.k.Evaluate(r.q, r.next, r.memo)
		r.mon.status.Evaluations++
		end := m.Inner(r.q, r.next, r.step)
		if err == nil && end <= -0.5*slope {
			if err := m.Check(r.q); err != nil {
				return 0, false, r.broken(t*length, err)
			}
			r.p, r.q, r.grad, r.next = r.q, r.p, r.next, r.grad
			r.mon.step(t * length)
			return cost, true, nil
		}
		shrink := 0.25
		if err == nil {
			shrink = min(max(slope/(slope-end), 0.1), 0.7)
		}
		t *= shrink
	}
	return r.mon.status.Cost, false, nil
}

// finest returns the gradient error that does not matter to the tolerance.
func (r *karcherRun) finest() float64 { return 0.05 * r.mon.target() }

func (r *karcherRun) broken(length float64, err error) error {
	return fmt.Errorf("iteration %d, step of norm %.3g: %w", r.mon.status.Iteration+1, length, err)
}

// goal returns the gradient norm to aim at with the next step: what Newton's method reaches from here by its quadratic convergence (measured
// on scattered data: 0.1 to 0.2 g^2/n), but not much below the tolerance.
func (r *karcherRun) goal() float64 {
	g := r.mon.status.GradientNorm
	return max(0.6*r.mon.target(), g*min(0.05, 0.2*g/float64(r.k.n)))
}

// karcherRichardsonDirection takes theta times the negative gradient, theta = 2/sum w_k (1 + (c_k/2) coth(c_k/2)), c_k the logarithm of the
// condition of C_k (Bini and Iannazzo, Linear Algebra Appl. 438 (2013) 1700-1710).
func karcherRichardsonDirection(r *karcherRun) {
	var sum float64
	for i, s := range r.memo.spectra {
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, l := range s.logs {
			lo, hi = min(lo, l), max(hi, l)
		}
		c := (hi - lo) / 2
		if c > 1e-8 {
			sum += r.k.weights[i] * (1 + c/math.Tanh(c))
		} else {
			sum += 2 * r.k.weights[i]
		}
	}
	for i, g := range r.grad {
		r.step[i] = -2 / sum * g
	}
}

// karcherNewtonDirection solves Hessian step = -gradient by conjugate gradients, to a residual that keeps the convergence superlinear.
func karcherNewtonDirection(r *karcherRun) {
	m := r.m
	clear(r.step)
	for i, g := range r.grad {
		r.res[i] = g
		r.dir[i] = -g
	}
	g := r.mon.status.GradientNorm
	rr := g * g
	target := r.goal()
	for range 100 {
		if math.Sqrt(rr) <= target {
			return
		}
		r.k.hessianVec32(r.hd, r.dir, r.dir32, r.memo)
		r.products++
		alpha := rr / m.Inner(r.p, r.dir, r.hd)
		dense.Axpy(alpha, r.dir, r.step)
		dense.Axpy(alpha, r.hd, r.res)
		next := m.Inner(r.p, r.res, r.res)
		for i, v := range r.res {
			r.dir[i] = -v + next/rr*r.dir[i]
		}
		rr = next
	}
}
