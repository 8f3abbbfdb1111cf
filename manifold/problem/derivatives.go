package problem

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/absent"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

var errRandom = errors.New("problem: the check needs a source of random numbers")

// CheckEuclidean tells a wrong derivative of a function of the caller's own by its slope, at s and along a random curve through it: the error of
// the first-order model must fall with the square of the step, that of the second-order model, where there is a Hessian, with its cube. About 70
// evaluations for each. A function that is not defined around s (NaN or Inf) is an error. rng draws the curves.
func CheckEuclidean(f Euclidean, s mat.Symmetric, rng *rand.Rand) ([]manifold.SlopeReport, error) {
	m, err := manifold.NewAffine(f.N, manifold.AffineOptions{})
	if err != nil {
		return nil, err
	}
	objective, err := FromEuclidean(m, f)
	if err != nil {
		return nil, err
	}
	if absent.Matrix(s) {
		return nil, &DataError{Where: "start", Err: errNil}
	}
	if rng == nil {
		return nil, errRandom
	}
	if n := s.SymmetricDim(); n != f.N {
		return nil, &DataError{Where: "start", Err: fmt.Errorf("has %d rows, want %d", n, f.N)}
	}
	p, err := manifold.NewFrame(s)
	if err != nil {
		return nil, &DataError{Where: "start", Err: err}
	}
	return checkObjective(m, objective, p, rng)
}

// CheckDerivatives checks gradient and Hessian product of the problem on the data in the same way, at a step of length 1 in a random direction from
// the first point that the options name. Problems that every method solves directly are an error.
func (p Problem) CheckDerivatives(d Data, o *Options, rng *rand.Rand) ([]manifold.SlopeReport, error) {
	if o == nil {
		o = &Options{}
	}
	if rng == nil {
		return nil, errRandom
	}
	if p.prepare == nil {
		return nil, fmt.Errorf("problem: %s is solved directly and has no gradient to check", p.Name)
	}
	if err := cmp.Or(o.Validate(), d.present(), p.checkStart(o)); err != nil {
		return nil, err
	}
	in, m, err := p.instance(&d, o)
	if err != nil {
		return nil, err
	}
	first, err := firstPoint(in, o)
	if err != nil {
		return nil, err
	}
	v, q := make([]float64, m.VectorLen()), first.Clone()
	m.RandomTangent(v, first, rng)
	if err := errors.Join(m.Retract(q, first, v), m.Complete(q)); err != nil {
		return nil, err
	}
	return checkObjective(m, in, q.(*manifold.Frame), rng)
}

func checkObjective(m *manifold.Affine, f solve.Objective, p *manifold.Frame, rng *rand.Rand) ([]manifold.SlopeReport, error) {
	var memo, scratch solve.Memo
	if mm, ok := f.(solve.Memoizer); ok {
		memo, scratch = mm.NewMemo(), mm.NewMemo()
	}
	grad, other := make([]float64, m.VectorLen()), make([]float64, m.VectorLen())
	at, err := f.Evaluate(p, grad, memo)
	if err != nil {
		return nil, err
	}
	if norm := m.Inner(p, grad, grad); at-at != 0 || norm-norm != 0 {
		return nil, &DataError{Where: "start", Err: fmt.Errorf("has cost %v and gradient norm %v; both must be finite", at, math.Sqrt(norm)), Remedy: "check at another point"}
	}
	cost := func(x manifold.Point) (float64, error) {
		c, err := f.Evaluate(x, other, scratch)
		if err == nil && c-c != 0 {
			err = fmt.Errorf("the cost is %v there", c)
		}
		return c, err
	}
	gradient, err := manifold.CheckGradient(m, p, cost, grad, rng)
	if err != nil {
		return nil, err
	}
	all := []manifold.SlopeReport{gradient}
	h, ok := f.(solve.Hessian)
	if !ok || !gradient.OK {
		return all, nil // a Hessian is checked on a gradient that is right
	}
	hessian, err := manifold.CheckHessian(m, p, cost, grad, func(dst, v []float64) error { return h.HessianVec(dst, p, v, memo) }, rng)
	if err != nil {
		return nil, err
	}
	return append(all, hessian), nil
}
