package problem

import (
	"errors"
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

// followedObjective is a cost made of functions of spectra that are followed from point to point: that of the Karcher mean or the median.
type followedObjective interface {
	instance
	solve.Memoizer
	solve.Scaler
	// tune sets the error of the gradient that an evaluation may leave.
	tune(accuracy float64)
	// slackAt bounds the error of the gradient that the evaluation left.
	slackAt(memo solve.Memo) float64
	// leastCurvature is what the Hessian is at least, in all or in most directions; a gradient step of its inverse is never too short.
	leastCurvature(memo solve.Memo) float64
	// quadratic is q of Newton's method where that takes a gradient of norm g to q g^2.
	quadratic() float64
	// hessianVec32 is HessianVec in single precision; v32 is scratch.
	hessianVec32(dst, v []float64, v32 []float32, p manifold.Point, memo solve.Memo)
	// retraction is that of short steps.
	retraction() manifold.Retraction
	// settle returns a matrix of the data that is the optimum, if there is one that a step of that Frobenius norm could reach.
	settle(memo solve.Memo, step float64) (*settlement, error)
}

// inexact is a followedObjective whose Hessian products have errors that matter.
type inexact interface {
	// productError estimates what the errors of the products at the last point add to the gradient where conjugate gradients end.
	productError() float64
}

// roundable is a followedObjective whose Hessian products may be of operands rounded to bfloat16, where that is faster.
type roundable interface {
	// round says whether the next products may be, and returns whether they will be.
	round(yes bool) bool
}

// settlement is a matrix of the data that is the optimum.
type settlement struct {
	at     *manifold.Frame
	cost   float64
	detail string
}

func karcherNewton(in instance, _ *manifold.Affine, o *Options) (*solve.Result, error) {
	k := in.(*karcherObjective)
	first, err := k.singleFirst(k, o, false)
	if err != nil {
		return nil, err
	}
	if s := newShiftedMean(k, o); s != nil {
		return shiftedIterate(s, k, first, o)
	}
	return followedFrom(k, first, o, newtonDirection)
}

// shiftedIterate is Newton's method on the objective s, which is k without decompositions, and on k itself where s is of no use.
func shiftedIterate(s, k followedObjective, first *manifold.Frame, o *Options) (*solve.Result, error) {
	r, err := followedFrom(s, first.Clone().(*manifold.Frame), o, newtonDirection)
	if errors.Is(err, errOutside) || err == nil && r.Reason.Name == iteration.Stalled {
		return followedFrom(k, first, o, newtonDirection)
	}
	return r, err
}

func karcherRichardson(in instance, _ *manifold.Affine, o *Options) (*solve.Result, error) {
	return followedIterate(in.(*karcherObjective), o, richardsonDirection)
}

// followedRun is the state of the specialised iterations.
type followedRun struct {
	k        followedObjective
	m        *manifold.Affine // with the metric of k.m and the retraction that k prefers
	mon      *iteration.Monitor
	p, q     *manifold.Frame
	memo     solve.Memo
	accuracy float64 // as tuned
	grad     []float64
	next     []float64
	step     []float64
	scaled   []float64
	res, z   []float64
	dir, hd  []float64
	dir32    []float32
	products int
	errors   float64 // sum of the squares of what rounded products add to the residual of the present step
	unjudged bool    // steps are accepted as they are
}

// followedIterate moves along geodesics in the directions given until the gradient is small. A step is judged by the slope at its end, which
// along a geodesic grows monotonically because the cost is convex there: it is accepted unless it overshoots the minimum on the line by more
// than half of the initial slope. Costs are not compared, so rounding does not stall the run. Convergence is believed only where the error of
// the gradient is small against the tolerance.
func followedIterate(k followedObjective, o *Options, direction func(r *followedRun)) (*solve.Result, error) {
	first, err := firstPoint(k, o)
	if err != nil {
		return nil, err
	}
	return followedFrom(k, first, o, direction)
}

// followedFrom is followedIterate from the point given, which it takes over.
func followedFrom(k followedObjective, first *manifold.Frame, o *Options, direction func(r *followedRun)) (*solve.Result, error) {
	dim, _ := k.size()
	m, err := manifold.NewAffine(dim, manifold.AffineOptions{Kappa: o.Kappa, Retraction: k.retraction()})
	if err != nil {
		return nil, err
	}
	n := m.VectorLen()
	r := &followedRun{k: k, m: m, p: first, q: manifold.IdentityFrame(dim, 1), memo: k.NewMemo()}
	for _, v := range []*[]float64{&r.grad, &r.next, &r.step, &r.scaled, &r.res, &r.dir, &r.hd} {
		*v = make([]float64, n)
	}
	r.dir32 = make([]float32, n)
	r.mon = iteration.NewMonitor(&o.Solver, n)
	r.tune(math.Inf(1))
	cost, err := k.Evaluate(r.p, r.grad, r.memo)
	for err == nil {
		stop := r.mon.Done(r.p, cost, r.norm(r.grad), k.GradientScale(cost))
		if stop && r.mon.Reason.Converged && k.slackAt(r.memo) > 0.3*r.mon.Target() && r.accuracy > r.finest() {
			r.tune(r.finest())
			r.mon.Status.Evaluations++
			cost, err = k.Evaluate(r.p, r.grad, r.memo)
			continue
		}
		if stop {
			break
		}
		direction(r)
		var found *settlement
		if found, err = k.settle(r.memo, math.Sqrt(dense.Dot(r.step, r.step))); found != nil {
			return r.settle(found), nil
		}
		if err != nil {
			break
		}
		var moved bool
		if cost, moved, err = r.move(); err == nil && !moved {
			r.mon.Stall()
			break
		}
	}
	if err != nil {
		return nil, err
	}
	if err := r.m.Complete(r.p); err != nil {
		return nil, fmt.Errorf("after iteration %d: %w", r.mon.Status.Iteration, err)
	}
	certificate, products := solve.Certify(r.m, k, r.p, r.grad, r.memo)
	if norm := r.norm(r.grad); !certificate.Bound && norm > 0 {
		certificate.Value *= 1 + k.slackAt(r.memo)/norm
	}
	out := r.mon.Result(r.p, r.products+products)
	out.Certificate = certificate
	return out, nil
}

// tune sets the error that the next evaluations may leave in the gradient.
func (r *followedRun) tune(accuracy float64) {
	r.accuracy = accuracy
	r.k.tune(accuracy)
}

// settle ends the run at a matrix of the data.
func (r *followedRun) settle(s *settlement) *solve.Result {
	r.mon.Step(0)
	r.mon.Status.Evaluations++
	r.mon.Done(s.at, s.cost, 0, r.k.GradientScale(s.cost))
	r.mon.Reason = solve.Reason{Name: "data-point", Detail: s.detail, Converged: true}
	out := r.mon.Result(s.at.Clone(), r.products)
	out.Certificate = solve.Certificate{Kind: "data-point", Bound: true}
	return out
}

func (r *followedRun) norm(v []float64) float64 { return math.Sqrt(r.m.Inner(r.p, v, v)) }

// move takes the step along the geodesic, shortened until the slope condition holds; if it never does, moved is false.
func (r *followedRun) move() (cost float64, moved bool, err error) {
	m := r.m
	slope := m.Inner(r.p, r.grad, r.step)
	length := r.norm(r.step)
	r.tune(max(0.1*r.goal(), 0.25*r.mon.Target()))
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
			if long := new(manifold.StepError); errors.As(err, &long) && long.Norm < math.Inf(1) {
				t *= 0.25
				continue
			}
			return 0, false, r.broken(t*length, err)
		}
		cost, err := r.k.Evaluate(r.q, r.next, r.memo)
		r.mon.Status.Evaluations++
		end := m.Inner(r.q, r.next, r.step)
		if err == nil && (r.unjudged || end <= -0.5*slope) {
			if err := m.Check(r.q); err != nil {
				return 0, false, r.broken(t*length, err)
			}
			r.p, r.q, r.grad, r.next = r.q, r.p, r.next, r.grad
			r.mon.Step(t * length)
			return cost, true, nil
		}
		shrink := 0.25
		if err == nil {
			shrink = min(max(slope/(slope-end), 0.1), 0.7)
		}
		t *= shrink
	}
	return r.mon.Status.Cost, false, nil
}

// finest returns the gradient error that does not matter to the tolerance.
func (r *followedRun) finest() float64 { return 0.05 * r.mon.Target() }

func (r *followedRun) broken(length float64, err error) error {
	return fmt.Errorf("iteration %d, step of norm %.3g: %w", r.mon.Status.Iteration+1, length, err)
}

// goal returns the gradient norm to aim at with the next step: what Newton's method reaches from here by its quadratic convergence, but not much below the
// tolerance.
func (r *followedRun) goal() float64 {
	g := r.mon.Status.GradientNorm
	return max(0.8*r.mon.Target(), g*min(0.05, r.k.quadratic()*g))
}

// richardsonDirection takes theta times the negative gradient, theta = 2/sum w_k (1 + (c_k/2) coth(c_k/2)), c_k the logarithm of the
// condition of C_k (Bini and Iannazzo, Linear Algebra Appl. 438 (2013) 1700-1710).
func richardsonDirection(r *followedRun) {
	var sum float64
	k := r.k.(*karcherObjective)
	for i, s := range r.memo.(*karcherMemo).spectra {
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, l := range s.logs {
			lo, hi = min(lo, l), max(hi, l)
		}
		c := (hi - lo) / 2
		if c > 1e-8 {
			sum += k.weights[i] * (1 + c/math.Tanh(c))
		} else {
			sum += 2 * k.weights[i]
		}
	}
	for i, g := range r.grad {
		r.step[i] = -2 / sum * g
	}
}

const (
	flatCurvature = 1e-3 // the share of the least curvature below which a direction counts as flat
	longestStep   = 10   // of a step of Newton's method, in steps along the gradient
)

// newtonDirection solves Hessian step = -gradient by conjugate gradients, to a residual that keeps the convergence superlinear or up to a direction in
// which the cost is flat. If the gradient is one, the step is along it.
func newtonDirection(r *followedRun) {
	least := r.k.leastCurvature(r.memo)
	r.conjugateGradients(least)
	if length, longest := r.norm(r.step), longestStep/least*r.mon.Status.GradientNorm; length > longest {
		dense.Scale(longest/length, r.step, r.step)
	}
}

func (r *followedRun) conjugateGradients(least float64) {
	m := r.m
	clear(r.step)
	clear(r.dir)
	copy(r.res, r.grad)
	r.errors = 0
	target, zr := r.goal(), 1.0
	for product := range 100 {
		if r.norm(r.res) <= r.remainder(target) {
			return
		}
		z, ok := r.preconditioned()
		if !ok {
			return
		}
		next := m.Inner(r.p, z, r.res)
		for i, v := range z {
			r.dir[i] = next/zr*r.dir[i] - v
		}
		zr = next
		r.round(target)
		r.k.hessianVec32(r.hd, r.dir, r.dir32, r.p, r.memo)
		r.products++
		curvature := m.Inner(r.p, r.dir, r.hd)
		if !(curvature > flatCurvature*least*m.Inner(r.p, r.dir, r.dir)) {
			if product == 0 {
				dense.Scale(-1/least, r.grad, r.step)
			}
			return
		}
		dense.Axpy(zr/curvature, r.dir, r.step)
		dense.Axpy(zr/curvature, r.hd, r.res)
	}
}

// roundedError is what a product of operands rounded to bfloat16 adds to the residual, in parts of the direction: 0.0024 to 0.004 measured, for means and medians of any
// scatter. With each product that may be roundedShare of the target.
const roundedError, roundedShare = 0.003, 0.35

// round has the next product rounded where the residual bears that.
func (r *followedRun) round(target float64) {
	k, ok := r.k.(roundable)
	if _, other := r.k.(inexact); !ok || other {
		return
	}
	if e := roundedError * r.norm(r.dir); k.round(e <= roundedShare*target) {
		r.errors += e * e
	}
}

// remainder returns the residual at which the gradient will be at most target; where errors of the products do not allow that, half of the target.
func (r *followedRun) remainder(target float64) float64 {
	squares := r.errors
	if k, ok := r.k.(inexact); ok {
		e := k.productError()
		squares += e * e
	}
	return math.Sqrt(max(target*target-squares, target*target/4))
}

// preconditioned returns what the objective's preconditioner, if it has one, makes of the residual.
func (r *followedRun) preconditioned() (z []float64, ok bool) {
	prec, ok := r.k.(solve.Preconditioner)
	if !ok {
		return r.res, true
	}
	if r.z == nil {
		r.z = make([]float64, len(r.res))
	}
	return r.z, prec.Precondition(r.z, r.p, r.res, r.memo) == nil
}
