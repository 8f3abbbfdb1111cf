package problem

import (
	"errors"
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/quadric"
	"github.com/spdopt/spdopt/manifold/solve"
)

var ellipsoid = Problem{
	Name:  "ellipsoid",
	What:  "ellipsoid x' X x = 1 through points: minimize 1/2 sum (x' X x - 1)^2",
	Input: "points (N x n, N >= n(n+1)/2) around the origin",
	Takes: Samples,
	Own:   []Method{quadricClosedForm},
	prepare: func(d *Data, m func(int) (*manifold.Affine, error), o *Options) (instance, error) {
		x, err := finiteSamples(d.Samples)
		if err != nil {
			return nil, err
		}
		N, n := x.Rows, x.Cols
		if unknowns := n * (n + 1) / 2; N < unknowns {
			return nil, &DataError{count: true, Err: fmt.Errorf("%d points do not determine the %d numbers of an ellipsoid in %d dimensions", N, unknowns, n),
				Remedy: fmt.Sprintf("give at least %d points", unknowns)}
		}
		passes, squares := quadric.NewPasses[float64](N, n), make([]float64, N)
		passes.Run(func(b quadric.Block[float64], _ *quadric.Sum[float64]) {
			for i := range b.Q {
				squares[b.First+i] = dense.Dot(x.Row(b.First+i), x.Row(b.First+i))
			}
		})
		var square float64
		for _, v := range squares {
			square += v
		}
		start := float64(N) / square
		if square == 0 {
			return nil, quadricError()
		} else if !(start > 0) || math.IsInf(start, 1) {
			return nil, &DataError{Err: errors.New("the squares of the points are beyond the range of numbers"), Remedy: "scale the points to a size near 1"}
		}
		e := &ellipsoidObjective{x: x, squares: squares, passes: passes, work: dense.New[float64](n, n)}
		e.evaluate, e.curve = e.evaluateBlock, e.curveBlock
		e.knownMinimizer = knownMinimizer{from: manifold.IdentityFrame(n, start), count: N}
		if e.m, err = m(n); err != nil {
			return nil, err
		}
		return e, e.fit(o)
	},
}

// quadricGoal is the relative gradient of a solution that others are measured by.
const quadricGoal = 1e-10

// quadricClosedForm evaluates the solution without keeping what Hessian products need.
var quadricClosedForm = func() Method {
	m := closedForm("normal equations for the n(n+1)/2 entries of X, by Cholesky, or for n >= 32 and points in general position by conjugate gradients in low precision, refined to the tolerance",
		func(in instance) (*manifold.Frame, error) { return in.(*ellipsoidOnce).e.known, nil })
	run := m.run
	m.run = func(in instance, m *manifold.Affine, o *Options) (*solve.Result, error) {
		return run(&ellipsoidOnce{in, in.(*ellipsoidObjective)}, m, o)
	}
	return m
}()

// fit solves the unconstrained problem.
func (e *ellipsoidObjective) fit(o *Options) error {
	memo := (&ellipsoidOnce{e: e}).NewMemo().(*ellipsoidMemo)
	var system *quadric.System // nil where conjugate gradients are of no use
	if n := e.x.Cols; n >= quadric.Iterative {
		if system = quadric.NewSystem(e.x, e.passes); system == nil && quadric.Large(n) {
			return quadricError() // the points are in a plane
		}
	}
	target, err := e.target(o, system, memo)
	if err != nil {
		return err
	}
	var out dense.Matrix[float64]
	outcome := quadric.Undecided
	if system != nil {
		out, outcome = system.Solve(target, func(x dense.Matrix[float64]) (factor, differential dense.Matrix[float64], ok bool) {
			return e.measureQuadric(x, memo)
		})
	}
	if outcome == quadric.Undecided {
		out, outcome = quadric.Directly(e.x)
	}
	switch outcome {
	case quadric.Measured:
		return nil
	case quadric.Singular:
		return quadricError()
	}
	e.atKnown = ellipsoidValue{}
	if e.known, err = manifold.NewFrame(symmetric(out)); err != nil {
		return &DataError{Where: "best quadric", Err: err, Remedy: "it is no ellipsoid around the origin: subtract the centre of the points, or give points from all sides"}
	}
	return nil
}

// ellipsoidValue is what Evaluate returns at a point.
type ellipsoidValue struct {
	cost     float64
	gradient []float64
}

func (v *ellipsoidValue) recall(gradient []float64) (cost float64) {
	copy(gradient, v.gradient)
	return v.cost
}

// measure evaluates the objective and returns the norm of the whitened differential of the mean of the terms with it.
func (e *ellipsoidObjective) measure(p *manifold.Frame, memo *ellipsoidMemo) (v ellipsoidValue, norm float64, err error) {
	v.gradient = make([]float64, e.m.VectorLen())
	v.cost, err = e.Evaluate(p, v.gradient, memo)
	return v, math.Sqrt(dense.Dot(memo.w.Data, memo.w.Data)) / float64(e.count), err
}

// measureStart is measure at the start, a multiple of I: with a sum over whitened points in single precision where there is one, as the gradient there is but what
// others are compared with.
func (e *ellipsoidObjective) measureStart(system *quadric.System, memo *ellipsoidMemo) (v ellipsoidValue, norm float64, err error) {
	if system == nil || !system.HasMoment() {
		return e.measure(e.from, memo)
	}
	if err := e.m.Complete(e.from); err != nil {
		return v, 0, err
	}
	factor := multipleOfI(view(e.from.F()))
	weights := make([]float32, len(e.squares))
	for i, square := range e.squares {
		q := factor*factor*square - 1
		v.cost += q * q / 2
		weights[i] = float32(q)
	}
	w := system.Moment(weights)
	dense.Scale(factor*factor*float64(e.count), w.Data, w.Data)
	v.gradient = make([]float64, e.m.VectorLen())
	copy(v.gradient, w.Data)
	e.m.FromWhitened(e.from, v.gradient)
	return v, math.Sqrt(dense.Dot(w.Data, w.Data)) / float64(e.count), nil
}

// measureQuadric is a quadric.Measure that keeps the quadric as the solution.
func (e *ellipsoidObjective) measureQuadric(x dense.Matrix[float64], memo *ellipsoidMemo) (factor, differential dense.Matrix[float64], ok bool) {
	f, err := manifold.NewFrame(symmetric(x))
	if err != nil {
		return factor, differential, false
	}
	v, _, err := e.measure(f, memo)
	if err != nil {
		return factor, differential, false
	}
	e.known, e.atKnown = f, v
	differential = memo.w.Clone()
	dense.Scale(1/float64(e.count), differential.Data, differential.Data)
	return view(f.F()), differential, true
}

// target returns the norm of the whitened differential of the mean of the terms to which the solution is computed: that at the start times the tolerance,
// or times at most 1e-10 where other solutions are measured by it.
func (e *ellipsoidObjective) target(o *Options, system *quadric.System, memo *ellipsoidMemo) (float64, error) {
	goal := o.Solver.WithDefaults(0).Tolerance
	if o.Method != "" && o.Method != quadricClosedForm.Name {
		goal = min(goal, quadricGoal)
	}
	start, scale, err := e.measureStart(system, memo)
	if err != nil {
		return 0, err
	}
	e.atStart = start
	if o.Start != nil && o.Start.SymmetricDim() == e.x.Cols { // of another size it is refused later
		first, err := firstPoint(e, o)
		if err != nil {
			return 0, err
		}
		_, other, err := e.measure(first, memo)
		if err != nil {
			return 0, err
		}
		scale = min(scale, other)
	}
	return goal * scale, nil
}

func quadricError() error {
	return &DataError{Err: fmt.Errorf("more than one quadric passes through the points"), Remedy: "give points from all sides, not in a plane or on few rays"}
}

// ellipsoidObjective is 1/2 sum (q - 1)^2, q = z'z, z = F'x. The whitened differential is W = sum (q - 1) z z' and the Hessian
// sum (z' eta z) z z' + (eta W + W eta)/2.
type ellipsoidObjective struct {
	knownMinimizer
	x       dense.Matrix[float64]
	squares []float64 // x'x of the points
	passes  *quadric.Passes[float64]
	work    dense.Matrix[float64]
	at      ellipsoidPass // the pass that is running

	evaluate, curve func(b quadric.Block[float64], sum *quadric.Sum[float64]) // what passes do, bound once

	atStart, atKnown ellipsoidValue // what Evaluate returned at the start of the problem and at the known minimizer, if it was called there
}

// ellipsoidPass is what the blocks of a pass have in common: the factor, or a direction.
type ellipsoidPass struct {
	memo   *ellipsoidMemo
	factor dense.Matrix[float64]
	scale  float64 // of a factor that is a multiple of I, and otherwise 0
	lower  bool
}

// ellipsoidMemo holds the z of all points, or none.
type ellipsoidMemo struct{ z, w dense.Matrix[float64] }

// NewMemo implements solve.Memoizer.
func (e *ellipsoidObjective) NewMemo() solve.Memo {
	return &ellipsoidMemo{dense.New[float64](e.x.Rows, e.x.Cols), dense.New[float64](e.x.Cols, e.x.Cols)}
}

// ellipsoidOnce hides the Hessian products of an objective, for which alone all z are kept.
type ellipsoidOnce struct {
	instance
	e *ellipsoidObjective
}

// NewMemo implements solve.Memoizer.
func (o *ellipsoidOnce) NewMemo() solve.Memo {
	return &ellipsoidMemo{w: dense.New[float64](o.e.x.Cols, o.e.x.Cols)}
}

// Evaluate implements solve.Objective.
func (o *ellipsoidOnce) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	switch {
	case p == manifold.Point(o.e.from):
		return o.e.atStart.recall(grad), nil
	case p == manifold.Point(o.e.known) && o.e.atKnown.gradient != nil:
		return o.e.atKnown.recall(grad), nil
	}
	return o.e.Evaluate(p, grad, memo)
}

// kept returns the rows z of a block: those of the memo if it has any.
func (m *ellipsoidMemo) kept(b quadric.Block[float64]) dense.Matrix[float64] {
	if m.z.Rows == 0 {
		return b.Z
	}
	return b.Of(m.z)
}

// Evaluate implements solve.Objective: one product with the points, half of it for triangular frames and none for multiples of I, and half a product of their size.
func (e *ellipsoidObjective) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	f, m := p.(*manifold.Frame), memo.(*ellipsoidMemo)
	if err := e.m.Complete(p); err != nil {
		return math.Inf(1), err
	}
	factor := view(f.F())
	e.at = ellipsoidPass{memo: m, factor: factor, scale: multipleOfI(factor), lower: isLower(factor)}
	e.passes.Run(e.evaluate)
	e.work.Zero()
	e.passes.AddTo(e.work)
	dense.Transpose(m.w, e.work)
	dense.Mirror(m.w)
	copy(grad, m.w.Data)
	e.m.FromWhitened(f, grad)
	return e.passes.Cost(), nil
}

// evaluateBlock adds the terms of a block and what it has of the lower triangle of the differential.
func (e *ellipsoidObjective) evaluateBlock(b quadric.Block[float64], sum *quadric.Sum[float64]) {
	x, z, q := b.Of(e.x), e.at.memo.kept(b), b.Q
	switch {
	case e.at.scale != 0:
		for i := range z.Rows {
			dense.Scale(e.at.scale, x.Row(i), z.Row(i))
		}
	case e.at.lower:
		dense.MulLowerRight(dense.NoTrans, e.at.factor, x, z)
	default:
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, e.at.factor, 0, z)
	}
	dense.RowDots(z, z, q)
	for i := range q {
		q[i]--
	}
	sum.Cost += dense.Dot(q, q) / 2
	dense.ScaleRows(q, z, b.Y)
	dense.GemmLower(dense.Transposed, dense.NoTrans, 1, z, b.Y, 1, sum.Matrix)
}

// multipleOfI returns c where a is c I, and otherwise 0.
func multipleOfI(a dense.Matrix[float64]) float64 {
	c := a.At(0, 0)
	for i := range a.Rows {
		for j, v := range a.Row(i) {
			if i == j && v != c || i != j && v != 0 {
				return 0
			}
		}
	}
	return c
}

// HessianVec implements solve.Hessian: one product with the points, half a product of their size and one small product.
func (e *ellipsoidObjective) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	m, n := memo.(*ellipsoidMemo), e.x.Cols
	out, eta := dense.Wrap(n, n, dst), dense.Wrap(n, n, v)
	dense.SymmetricProduct(out, eta, m.w, e.work)
	e.at = ellipsoidPass{memo: m, factor: eta}
	e.passes.Run(e.curve)
	e.passes.AddTo(out)
	dense.Mirror(out)
	e.m.FromWhitened(p.(*manifold.Frame), dst)
	return nil
}

// curveBlock adds what a block has of the upper triangle of sum (z' eta z) z z'.
func (e *ellipsoidObjective) curveBlock(b quadric.Block[float64], sum *quadric.Sum[float64]) {
	z := e.at.memo.kept(b)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, z, e.at.factor, 0, b.Y)
	dense.RowDots(z, b.Y, b.Q)
	dense.ScaleRows(b.Q, z, b.Y)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, z, b.Y, 1, sum.Matrix)
}
