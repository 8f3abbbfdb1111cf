package problem

import (
	"errors"
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold/problem/internal/design"
	"github.com/spdopt/spdopt/manifold/problem/internal/gram"
	"github.com/spdopt/spdopt/manifold/solve"
)

var dopt = Problem{
	Name:  "dopt",
	What:  "D-optimal design: maximize log det sum u_i x_i x_i' over weights u on the simplex; the solution is that information matrix",
	Input: "candidate points (N x n, N >= n)",
	Takes: Samples,
	Own: []Method{
		{Name: "exchange", What: designWhat, direct: doptBy((*design.Design).Exchange)},
		{Name: "trust", What: sphereWhat, direct: doptBy(designOnSphere), resumes: true},
	},
}

var mve = Problem{
	Name:  "mve",
	What:  "minimum-volume enclosing ellipsoid (x - c)' X (x - c) <= 1 of points",
	Input: "points (N x n, N > n, not in a hyperplane)",
	Takes: Samples,
	Own: []Method{
		{Name: "exchange", What: designWhat, direct: mveBy((*design.Design).Exchange)},
		{Name: "trust", What: sphereWhat, direct: mveBy(designOnSphere), resumes: true},
	},
}

const designWhat = "vertex exchange on the weights with exact line searches and rank-one updates (Bohning, Metrika 33 (1986)), 100 exchanges an iteration, and then " +
	"projected Newton steps on the weights that remain"

const sphereWhat = "Riemannian trust region on the unit sphere, the weights being the squares of the coordinates, as a cross-check"

// maximizer is a way to solve a design problem, with a bound on how far log det is from its maximum.
type maximizer func(s *design.Design, o *solve.Options) (r *solve.Result, gap float64, err error)

// designOnSphere is Exchange by a Riemannian trust region.
func designOnSphere(s *design.Design, o *solve.Options) (r *solve.Result, gap float64, err error) {
	q, start, err := s.OnSphere()
	if err != nil {
		return nil, 0, err
	}
	if r, err = solve.Trust(q.Manifold, q, start, o); err != nil {
		return nil, 0, err
	}
	gap, err = q.Finish(r)
	return r, gap, err
}

// whitenPoints whitens the rows x. span says of what they fill less than all in an error.
func whitenPoints(x dense.Matrix[float64], span string) (l dense.Matrix[float64], err error) {
	if l, err = design.Whiten(x); err != nil {
		err = &DataError{Where: "second moment", Err: err, Remedy: "the points lie in a " + span + ", or too near to one: drop dependent columns"}
	}
	return l, err
}

// designError says which problem failed, and what to do about points that are nearly in a subspace.
func designError(problem string, err error) error {
	var singular *design.SingularError
	if errors.As(err, &singular) {
		err = &DataError{Err: err, Remedy: "the points lie nearly in a subspace: drop dependent columns, or scale them to equal size"}
	}
	return fmt.Errorf("%s: %w", problem, err)
}

func doptBy(maximize maximizer) func(*Data, *Options) (*outcome, error) {
	return func(d *Data, o *Options) (*outcome, error) { return doptRun(d, o, maximize) }
}

func doptRun(d *Data, o *Options, maximize maximizer) (*outcome, error) {
	x, err := checkSamples(d.Samples)
	if err != nil {
		return nil, err
	}
	if x.Rows < x.Cols {
		return nil, &DataError{count: true, Err: fmt.Errorf("%d points cannot span %d dimensions", x.Rows, x.Cols), Remedy: "give at least as many points as dimensions"}
	}
	l, err := whitenPoints(x, "subspace")
	if err != nil {
		return nil, err
	}
	s := design.New(x, dense.LogDetSquare(l))
	if x.Cols == 1 {
		s.Longest()
		maximize = (*design.Design).Exchange
	}
	r, gap, err := maximize(s, &o.Solver)
	if err != nil {
		return nil, designError("dopt", err)
	}
	work, solution := dense.New[float64](x.Cols, x.Cols), dense.New[float64](x.Cols, x.Cols)
	dense.MulLower(dense.NoTrans, l, s.Moment(), work)
	dense.MulLowerRight(dense.Transposed, l, work, solution)
	return &outcome{run: r, n: x.Cols, count: x.Rows, solution: symmetric(solution), parts: []Part{vectorPart("weights", s.Weights()), numberPart("log_det_gap", gap)}}, nil
}

func mveBy(maximize maximizer) func(*Data, *Options) (*outcome, error) {
	return func(d *Data, o *Options) (*outcome, error) { return mveRun(d, o, maximize) }
}

// mveRun solves the design problem of the points (x, 1) (Khachiyan, Math. Oper. Res. 21 (1996)), x centred, to cancel nothing, and whitened. Blowing the
// ellipsoid up adds to its distance from the smallest one, and is all that its volume can be above that one's. The moment matrix of (x, 1) is at least as far
// from the optimal one as the ellipsoid, whose inverse is a Schur complement of it (Cauchy's interlacing).
func mveRun(d *Data, o *Options, maximize maximizer) (*outcome, error) {
	x, err := checkSamples(d.Samples)
	if err != nil {
		return nil, err
	}
	N, n := x.Rows, x.Cols
	if N <= n {
		return nil, &DataError{count: true, Err: fmt.Errorf("%d points in %d dimensions enclose no volume", N, n), Remedy: "give more points than dimensions"}
	}
	shift := gram.Centre(x)
	l, err := whitenPoints(x, "hyperplane")
	if err != nil {
		return nil, err
	}
	lifted := dense.New[float64](N, n+1)
	for i := range N {
		copy(lifted.Row(i), x.Row(i))
		lifted.Set(i, n, 1)
	}
	s := design.New(lifted, dense.LogDetSquare(l))
	r, _, err := maximize(s, &o.Solver)
	if err != nil {
		return nil, designError("mve", err)
	}
	c, inverse, farthest, err := s.Ellipsoid(l, x)
	if err != nil {
		return nil, designError("mve", err)
	}
	r.Objective = -dense.LogDetSquare(inverse)
	blow := max(math.Log(farthest), 0)
	r.Certificate.Value += math.Sqrt(float64(n)) * blow
	solution := dense.New[float64](n, n)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, inverse, inverse, 0, solution)
	dense.Axpy(1, shift, c)
	return &outcome{run: r, n: n, count: N, solution: symmetric(solution),
		parts: []Part{vectorPart("center", c), vectorPart("weights", s.Weights()), numberPart("log_volume", r.Objective/2+logBall(n)), numberPart("log_det_gap", float64(n)*blow)}}, nil
}

// logBall is the logarithm of the volume of the unit ball in n dimensions.
func logBall(n int) float64 {
	g, _ := math.Lgamma(float64(n)/2 + 1)
	return float64(n)/2*math.Log(math.Pi) - g
}
