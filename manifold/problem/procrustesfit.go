package problem

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

const (
	// nearForcing is the residual that a step between near pairs leaves, relative to the gradient: about what the error of the secant operator leaves. farForcing is
	// that of exact products in single precision.
	nearForcing, farForcing = 0.002, 5e-4
	// fitCurving is about what a step leaves, relative to the gradient g, in g^2/n: the cost is not quadratic.
	fitCurving = 0.6
	// bentShare times what the last step of a trust region left beyond what its model said, in the square of the gradient before, is what the next one leaves: it will not gain more.
	bentShare = 0.5
	// fitWidth bounds the logarithms of the pencils of pairs that are near each other.
	fitWidth = 2.5
	// fitGain is what a step between near pairs must make of the gradient at most.
	fitGain = 0.4
	// fitDampings is how often a step between near pairs is shortened to a quarter.
	fitDampings = 2
	// fitKept bounds the steps that leave the model as it is, in units of sqrt(n/spread): the operator changes by less than it errs.
	fitKept = 2e-4
	// fitRounding is what the cost may be wrong by, relative to it.
	fitRounding = 1e-8
	// fitLargest is the largest radius of a trust region, in units of sqrt(n), and fitSmallest the least.
	fitLargest, fitSmallest = 8, 1e-10
)

// procrustesFit finds a stationary point by Newton's method in mixed precision: gradients are exact, their model is a procrustesModel. Where the pairs are near each other, it
// needs neither decompositions nor exact Hessian products, and every step is made whole; where they are far, or a step does not pay, it is a trust-region method.
// Each B is brought to the scale of its A, which changes nothing but a constant in the cost. The pairs are given in the eigenbases of their means, where the diagonal of the
// operator is a fair preconditioner.
type procrustesFit struct {
	*lender
	n          int
	a, b       []dense.Matrix[float64] // of like scale
	fixed      []float64               // what that leaves out of the squared distances
	team       *team
	group      *rotations
	model      *procrustesModel
	at, trial  *procrustesPoint
	now        *procrustesPoint // of the present evaluation
	sum        dense.Matrix[float64]
	turn       []float64
	rule       *logRule              // of the last evaluation
	far        []farPair             // nil while the pairs are near
	rough      bool                  // evaluate in single precision
	rounded    dense.Matrix[float32] // the rotation, for that
	ahead      bool                  // the logarithms have been computed before the terms, in one of these
	logs       *pencilLogs[float64]
	singleLogs *pencilLogs[float32]
	target     float64    // gradient norm to aim at
	width      float64    // the root of order 16 of the sum of those powers of the logarithms
	length     float64    // of the last step
	radius     float64    // 0 while the pairs are near
	bent       float64    // what the last step left, relative to the square of the gradient before and beyond what its model said; 0 while they are and for a bounded step
	damped     bool       // the last step was shortened while they are
	final      *lastSolve // made when it is first needed
	closing    bool       // the last evaluation was such that the step from there may be stated to be the last
	kept       bool       // the factors of the model are those of the last point, from which the present one is not far enough to tell

	steps, evaluations int
	term               func(w *worker, k int) error
}

// procrustesPoint is a rotation and what an evaluation there gives.
type procrustesPoint struct {
	rotation   *rotation
	cost, norm float64
	grad       []float64
	squares    []float64 // of the distances
	factors    *modelFactors
	exact      bool // by decompositions
}

// fit takes over the pairing, and takes the relativeScale of each pair and the logarithms of the determinants of the A B^-1.
func (o *procrustesObjective) fit(p *pairing, scales, determinants []float64, group *rotations) *procrustesFit {
	n := o.n
	f := &procrustesFit{lender: &o.lender, n: n, a: p.a, b: p.b, team: o.team, group: group, sum: o.sum, turn: o.matrix(n, n).Data}
	factors := newModelFactors(n, len(p.a), f.lender) // of either point while the pairs are near: a step that does not pay ends that
	for _, v := range []**procrustesPoint{&f.at, &f.trial} {
		*v = &procrustesPoint{rotation: &rotation{r: o.matrix(n, n)}, grad: o.matrix(n, n).Data, squares: make([]float64, len(p.a)), factors: factors}
		clear((*v).grad) // its diagonal stays 0
	}
	f.at.rotation.r.Identity()
	f.at.rotation.none = true
	for k, c := range scales {
		dense.Scale(math.Exp(c), f.b[k].Data, f.b[k].Data)
		f.fixed = append(f.fixed, c*(2*determinants[k]-float64(n)*c))
	}
	f.model = newProcrustesModel(f.b, o.team, f.lender)
	f.term = f.nearTerm
	m := float64(len(p.a))
	squares := 2*m*p.cost - dense.Sum(f.fixed)                    // of the logarithms, if the cost is known
	if squares > math.Pow(m*float64(n), 7./8)*fitWidth*fitWidth { // by Hoelder
		f.farther()
		return f
	}
	f.rough, f.rounded = true, f.single(n, n)
	return f
}

// run moves the point until done says so, which is told after every step, and returns true; or false where it can do no more.
func (f *procrustesFit) run(done func() bool) bool {
	if !f.evaluate(f.at, 0) {
		return false
	}
	if f.far == nil && !(f.width <= fitWidth) {
		if f.farther(); !f.evaluate(f.at, 0) {
			return false
		}
	}
	if !f.settle(f.at) {
		return false
	}
	for !done() {
		if !f.step() {
			return false
		}
		f.steps++
	}
	return true
}

// step goes to the next point, shorter and shorter ways if need be.
func (f *procrustesFit) step() bool {
	for {
		if f.far != nil && !f.at.exact && !f.evaluate(f.at, 0) {
			return false
		}
		forcing := nearForcing
		if f.far != nil {
			forcing = farForcing
			if f.radius == 0 {
				f.radius = min(f.at.norm, math.Sqrt(float64(f.n)))
			}
		}
		forcing = min(max(forcing, fitCurving*f.at.norm*f.at.norm/float64(f.n), bentShare*f.bent*f.at.norm), 0.5)
		f.renewModel()
		if (f.steps == 0 || f.damped || f.far != nil) && !f.model.prepare() {
			return false
		}
		goal := max(forcing*f.at.norm, 0.5*f.target)
		if f.model.last = f.lastSolve(); f.model.last != nil {
			goal = 0.5 * f.target
		}
		f.model.newton(f.at.grad, goal, f.radius)
		dense.ToDouble(f.model.step, f.turn)
		if f.model.last != nil {
			if f.finish() {
				return true
			}
			goal = max(goal, f.model.lastErrors(f.model.known))
		}
		moved, ok := f.move(goal)
		if moved || !ok {
			return ok
		}
		if f.far == nil {
			f.farther()
			continue
		}
		if f.radius = f.length / 4; !(f.radius > fitSmallest) {
			return false
		}
	}
}

// renewModel makes the model that of the point.
func (f *procrustesFit) renewModel() {
	if !f.kept {
		f.model.use(f.at.factors)
	}
}

// move goes the way of turn and returns true, or false where it does not pay. Where the first step between near pairs is too long, it and those that follow are damped.
func (f *procrustesFit) move(goal float64) (moved, ok bool) {
	damping := f.far == nil && (f.steps == 0 || f.damped)
	f.damped = false
	for try := 0; ; try++ {
		f.length = math.Sqrt(dense.Dot(f.turn, f.turn))
		f.kept = f.far == nil && !f.rough && f.length*math.Sqrt(f.model.spread) <= fitKept*math.Sqrt(float64(f.n))
		if f.group.Retract(f.trial.rotation, f.at.rotation, f.turn) == nil {
			if !f.reach(goal) {
				return false, false
			}
			if f.pays(damping) {
				f.bent = f.bending()
				f.at, f.trial = f.trial, f.at
				return true, true
			}
		}
		if !damping || f.far != nil || try == fitDampings {
			return false, true
		}
		f.damped = true
		dense.Scale(0.25, f.turn, f.turn)
	}
}

// bending is bent for the step to trial.
func (f *procrustesFit) bending() float64 {
	if f.far == nil || f.model.bounded {
		return 0
	}
	return max(0, f.trial.norm-norm(f.model.rest)) / (f.at.norm * f.at.norm)
}

// reach evaluates at the new point, as exactly as the end of a run needs if that is what it is.
func (f *procrustesFit) reach(goal float64) bool {
	return f.evaluate(f.trial, goal) && f.settle(f.trial)
}

// settle evaluates anew at a point with a gradient below the target if the rule was too rough to tell that, or the cost.
func (f *procrustesFit) settle(p *procrustesPoint) bool {
	if f.far == nil && p.norm <= f.target && f.slack() > f.target/2 {
		return f.evaluate(p, f.target)
	}
	return true
}

// pays tells whether the step to trial is a good one, for which a lower cost may be enough, and adapts the radius.
func (f *procrustesFit) pays(lower bool) bool {
	at, trial := f.at, f.trial
	falls := trial.norm <= fitGain*at.norm
	if f.radius == 0 { // the cost is as rough as the rule
		return falls || lower && trial.cost < at.cost
	}
	falls = falls && trial.cost <= at.cost+fitRounding*max(1, at.cost)
	ratio := (at.cost - trial.cost) / f.model.decrease
	if !(ratio > 0.1) && !falls {
		return false
	}
	switch {
	case falls:
	case ratio < 0.25:
		f.radius = f.length / 4
	case ratio > 0.75 && f.model.bounded:
		f.radius = min(2*f.radius, fitLargest*math.Sqrt(float64(f.n)))
	}
	return true
}

// certifyForcing is the residual of the Newton step that certifies, relative to the gradient, which may be an upper estimate.
const certifyForcing = 0.4

// certify is the length of the Newton step at the point, computed roughly.
func (f *procrustesFit) certify() solve.Certificate {
	f.renewModel()
	f.model.last = nil
	dense.ScaleSingle(1, f.at.grad, f.model.res)
	if f.at.norm > 0 && !f.model.solve(certifyForcing*f.at.norm) {
		return solve.Certificate{Kind: "none"}
	}
	if f.at.norm == 0 {
		clear(f.model.step)
	}
	return solve.Certificate{Kind: "newton-step", Value: math.Sqrt(float64(dense.Dot(f.model.step, f.model.step)))}
}

// rotation is where the fit is, in the bases of the data.
func (f *procrustesFit) rotation(p *pairing) dense.Matrix[float64] {
	r := dense.New[float64](f.n, f.n)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, p.qb, f.at.rotation.r, 0, f.sum)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, f.sum, p.qa, 0, r)
	return r
}

// relativeScale is the logarithm of how much larger a is than b, by their traces or by those of their inverses, whichever says less: what is added to the matrices shows in
// the one, what is added to the inverses in the other, and both move the logarithms of some directions away from those of the rest.
func relativeScale(a, b *manifold.Frame) float64 {
	square := func(m *mat.Dense) float64 {
		v := view(m)
		return dense.Dot(v.Data, v.Data)
	}
	traces, inverses := math.Log(square(a.F())/square(b.F())), math.Log(square(b.Inverse())/square(a.Inverse()))
	switch {
	case traces*inverses <= 0:
		return 0
	case math.Abs(traces) < math.Abs(inverses):
		return traces
	}
	return inverses
}

// fitted solves the problem by a fit, and by the general solver where that can do no more.
func (o *procrustesObjective) fitted(p *pairing, group *rotations, options solve.Options, minimize solve.Minimize) (*solve.Result, error) {
	mon := iteration.NewMonitor(&options, group.VectorLen())
	scale := o.GradientScale(0)
	var scales, determinants []float64
	for k, a := range o.a {
		scales, determinants = append(scales, relativeScale(a, o.b[k])), append(determinants, a.LogDet()-o.b[k].LogDet())
	}
	f := o.fit(p, scales, determinants, group)
	defer f.model.recycle()
	var now rotation // for those who look
	find := func() dense.Matrix[float64] { return f.rotation(p) }
	f.target = 0.7 * mon.Options.Tolerance * scale
	finished := f.run(func() bool {
		if f.steps > 0 {
			mon.Step(f.length)
		}
		mon.Status.Evaluations, mon.Status.HessianProducts = f.evaluations, f.model.products
		now.make = find
		return mon.Done(&now, f.at.cost, f.at.norm, scale)
	})
	if finished && !mon.Reason.Converged && f.far == nil { // the last evaluation was as rough as a step allows
		if finished = f.evaluate(f.at, f.target); finished {
			mon.Status.Evaluations, mon.Status.Cost, mon.Status.GradientNorm = f.evaluations, f.at.cost, f.at.norm
		}
	}
	start := &rotation{r: f.rotation(p)}
	now = *start // for those who have kept it: the memory of the fit is lent
	if finished {
		o.squares = f.at.squares
		certificate := f.certify()
		r := mon.Result(start, f.model.products)
		r.Certificate = certificate
		return r, nil
	}
	options.MaxIterations = max(1, mon.Options.MaxIterations-f.steps)
	r, err := minimize(group, o, start, &options)
	if err == nil {
		r.Iterations, r.Evaluations, r.HessianProducts = r.Iterations+f.steps, r.Evaluations+f.evaluations, r.HessianProducts+f.model.products
	}
	return r, err
}
