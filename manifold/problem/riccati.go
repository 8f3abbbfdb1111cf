package problem

import (
	"errors"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

var riccati = Problem{
	Name:  "riccati",
	What:  "the Riccati equation X B X = A: minimize tr(X^-1 A) + tr(B X)",
	Input: "two SPD matrices, A and B",
	Takes: Matrices,
	Own:   []Method{riccatiClosedForm},
	prepare: func(d *Data, m func(int) (*manifold.Affine, error), o *Options) (instance, error) {
		a, inverse, err := riccatiFrames(d)
		if err != nil {
			return nil, err
		}
		return newRiccati(a, inverse, 2, m, o)
	},
	triangular: true,
}

var riccatiClosedForm = closedForm("the geometric mean of A and B^-1: one Cholesky factorization and one eigendecomposition", func(in instance) (*manifold.Frame, error) {
	r := in.(*riccatiObjective)
	err := r.find()
	return r.known, err
})

// riccatiFrames returns the frames of A and of B^-1.
func riccatiFrames(d *Data) (a, inverse *manifold.Frame, err error) {
	if err := checkPair(d, false, "A and B of X B X = A"); err != nil {
		return nil, nil, err
	}
	frames, err := factorEach(d.Matrices, func(k int) (*manifold.Frame, error) {
		if k == 1 {
			return manifold.NewInverseFrame(d.Matrices[1])
		}
		return manifold.NewFrame(d.Matrices[0])
	})
	if err != nil {
		return nil, nil, err
	}
	return frames[0], frames[1], nil
}

// riccatiObjective is tr(X^-1 A) + tr(B X), A = La La' and B = Lb'Lb. Both factors are lower triangular, so that with such an F all products are of triangles. With
// M = F'BF and K = F^-1 A F^-T the whitened differential is M - K and the Hessian (eta H + H eta)/2, H = M + K. The cost is convex along geodesics.
type riccatiObjective struct {
	knownMinimizer                 // known is nil before find
	a, inverse     *manifold.Frame // La of A and Lb^-1 of B^-1
	leastCurvature float64         // at the minimizer at least, of H/2
	work, k        dense.Matrix[float64]
	newton         lyapunovInverse
	of             *riccatiMemo          // the point that newton belongs to
	step           dense.Matrix[float64] // what newton makes of W, if stepped
	stepped        bool
}

type riccatiMemo struct {
	w, h dense.Matrix[float64]
}

// newRiccati takes frames of A and of B^-1 as NewFrame and NewInverseFrame make them.
func newRiccati(a, inverse *manifold.Frame, count int, m func(int) (*manifold.Affine, error), o *Options) (*riccatiObjective, error) {
	n := a.Dim()
	r := &riccatiObjective{a: a, inverse: inverse, newton: lyapunovInverse{n: n, loose: !modelled(o)}}
	r.work, r.k, r.step = r.square(), r.square(), r.square()
	geometry, err := m(n)
	if err != nil {
		return nil, err
	}
	r.knownMinimizer = knownMinimizer{m: geometry, from: manifold.IdentityFrame(n, 1), count: count}
	dense.MulTriangles(view(a.Inverse()), view(inverse.F()), r.work)
	if r.leastCurvature = 1 / norm(r.work.Data); !(r.leastCurvature > 0) {
		return nil, &DataError{Where: "equation", Err: errors.New("the product of the matrices is singular to rounding"), Remedy: ridgeRemedy}
	}
	return r, nil
}

// modelled tells whether the solver minimizes models of the cost more accurately than they are worth, so that a loose preconditioner costs more products than it saves.
func modelled(o *Options) bool { return o.Method == "trust" || o.Method == "arc" }

// find sets the known minimizer by the closed form. Reversed, Lb A Lb' has its large elements first, as the eigendecomposition of a graded matrix wants them: otherwise it
// loses small eigenvalues.
func (r *riccatiObjective) find() error {
	if r.known != nil {
		return nil
	}
	inverse, known := r.inverse.Clone().(*manifold.Frame), manifold.IdentityFrame(r.a.Dim(), 1)
	inverse.Reverse()
	if err := r.m.Between(known, inverse, r.a, 0.5); err != nil {
		return &DataError{Where: "geometric mean", Err: err, Remedy: ridgeRemedy}
	}
	r.known = known
	return nil
}

func (r *riccatiObjective) size() (int, int) { return r.a.Dim(), r.count }

// square lends a matrix of the size of X.
func (r *riccatiObjective) square() dense.Matrix[float64] {
	return r.newton.matrix(r.a.Dim(), r.a.Dim())
}

// recycle implements recycler.
func (r *riccatiObjective) recycle() { r.newton.recycle() }

// GradientScale implements solve.Scaler: a hundred times a lower bound of the smallest curvature at the minimizer, where H/2 has the eigenvalues of (A B)^1/2, so
// that the default tolerance means a distance of 1e-6. The bound is 1/||La^-1 Lb^-1||_F.
func (r *riccatiObjective) GradientScale(float64) float64 { return 100 * r.leastCurvature }

// GradientRounding implements solve.Rounder: W is a difference of matrices, the sum of which is H.
func (r *riccatiObjective) GradientRounding(memo solve.Memo) float64 {
	h := memo.(*riccatiMemo).h
	return math.Sqrt(r.m.Kappa()*dense.Dot(h.Data, h.Data)) * float64(r.a.Dim()) * 0x1p-52
}

// NewMemo implements solve.Memoizer.
func (r *riccatiObjective) NewMemo() solve.Memo {
	return &riccatiMemo{w: r.square(), h: r.square()}
}

// Evaluate implements solve.Objective: with a triangular F two thirds of a product, otherwise two.
func (r *riccatiObjective) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	f, m := p.(*manifold.Frame), memo.(*riccatiMemo)
	if r.of == m {
		r.of = nil
	}
	if err := r.whiten(m.h, f); err != nil {
		return math.Inf(1), err
	}
	n := m.h.Rows
	var cost float64
	for i := range n {
		h, k := m.h.Row(i)[:i+1], r.k.Row(i)[:i+1]
		dense.Blend(1, h, -1, k, m.w.Row(i)[:i+1])
		dense.Axpy(1, k, h)
		cost += h[i]
	}
	dense.MirrorLower(m.h)
	dense.MirrorLower(m.w)
	copy(grad, m.w.Data)
	r.m.FromWhitened(f, grad)
	if math.IsNaN(cost) {
		return math.Inf(1), nil
	}
	return cost, nil
}

// whiten sets the lower triangles of dst to M and of k to K. With a triangular F the product Lb F is solved for.
func (r *riccatiObjective) whiten(dst dense.Matrix[float64], f *manifold.Frame) error {
	if err := f.Regular(); err != nil {
		return err
	}
	la, lb, inv := view(r.a.F()), view(r.inverse.Inverse()), view(f.Inverse())
	if f.Lower() {
		r.work.Copy(lb)
		dense.SolveLowerTriangleRight(inv, r.work)
		dense.TriangleGram(dense.Transposed, r.work, dst)
		dense.MulTriangles(inv, la, r.work)
		dense.TriangleGram(dense.NoTrans, r.work, r.k)
		return nil
	}
	dense.MulLower(dense.NoTrans, lb, view(f.F()), r.work)
	dense.GemmLower(dense.Transposed, dense.NoTrans, 1, r.work, r.work, 0, dst)
	dense.MulLowerRight(dense.NoTrans, la, inv, r.work)
	dense.GemmLower(dense.NoTrans, dense.Transposed, 1, r.work, r.work, 0, r.k)
	return nil
}

// HessianVec implements solve.Hessian: one product.
func (r *riccatiObjective) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	n := r.a.Dim()
	dense.SymmetricProduct(dense.Wrap(n, n, dst), dense.Wrap(n, n, v), memo.(*riccatiMemo).h, r.work)
	r.m.FromWhitened(p.(*manifold.Frame), dst)
	return nil
}

// Precondition implements solve.Preconditioner: see lyapunovInverse.
func (r *riccatiObjective) Precondition(dst []float64, _ manifold.Point, v []float64, memo solve.Memo) error {
	m, n := memo.(*riccatiMemo), r.a.Dim()
	if err := r.invertAt(m, heldForSteps); err != nil {
		return err
	}
	for _, times := range []float64{r.m.Kappa(), -r.m.Kappa()} { // the gradient or its opposite, most often
		if multiple(v, times, m.w.Data) {
			if !r.stepped {
				r.newton.solve(r.step, m.w)
				r.stepped = true
			}
			dense.Scale(times/r.m.Kappa(), r.step.Data, dst)
			return nil
		}
	}
	r.newton.solve(dense.Wrap(n, n, dst), dense.Wrap(n, n, v))
	dense.Scale(1/r.m.Kappa(), dst, dst)
	return nil
}

// multiple tells whether v is exactly so many times w.
func multiple(v []float64, times float64, w []float64) bool {
	for i, x := range w {
		if v[i] != times*x {
			return false
		}
	}
	return true
}

// forget implements historian.
func (r *riccatiObjective) forget() { r.newton.afresh = true }

// recall implements historian: there is nothing to know.
func (r *riccatiObjective) recall(*manifold.Frame) {}

// Newtonian implements solve.Newtonian.
func (r *riccatiObjective) Newtonian() bool { return true }

// invertAt makes newton belong to the point of m, or to one whose H is within so much.
func (r *riccatiObjective) invertAt(m *riccatiMemo, within float64) error {
	if r.of == m {
		return nil
	}
	r.of, r.stepped = nil, false
	err := r.newton.set(m.h, m.w, within)
	if err == nil {
		r.of = m
	}
	return err
}

// Certify implements solve.Certifier: a bound of the distance by the Newton step where the minimizer is so near that this proves one, otherwise the distance to the
// closed form.
func (r *riccatiObjective) Certify(p manifold.Point, norm float64, memo solve.Memo) solve.Certificate {
	if m, ok := memo.(*riccatiMemo); ok {
		if d, ok := r.bound(m); ok {
			return solve.Certificate{Kind: "strong-convexity", Value: d / math.Sqrt(r.m.Kappa()), Bound: true}
		}
	}
	if r.find() != nil {
		return solve.Certificate{Kind: "none"}
	}
	return r.knownMinimizer.Certify(p, norm, memo)
}

const (
	mostBent   = 0.25             // the largest q d of a bound
	surelyNear = nearEnough / 100 // a bound that need not be made smaller
)

// bound bounds the length d of the geodesic F exp(t eta) F' to the minimizer, and returns false where that is too long. Its second derivative is at least
// e^-td d^2 l, l the smallest eigenvalue of H, so d <= -log(1 - |W|/l). With s the Newton step the gradient vanishes where eta = s - A^-1 int (A_t - A) eta dt, A and A_t
// the Hessians along the way, which differ by (e^td - 1)(|M| + |K|) at most, and M, K <= H: d <= |s| + q d^2 with q = |H| e^d/l. Of the d that satisfy this those below
// the smaller root remain, because d is below the larger one. Where the curvature at the minimizer, from which the way is as long, does, none of this is needed.
func (r *riccatiObjective) bound(m *riccatiMemo) (float64, bool) {
	slope := norm(m.w.Data)
	if far := -math.Log1p(-slope / (2 * r.leastCurvature)); far <= surelyNear {
		return far, true
	}
	if r.invertAt(m, heldForLength) != nil {
		return 0, false
	}
	least, longer := r.newton.bounds()
	far := -math.Log1p(-slope / least)
	bent := math.Sqrt(dense.Dot(m.h.Data, m.h.Data)) * math.Exp(far) / least
	if !(bent*far <= mostBent) {
		return 0, false
	}
	step := longer * r.stepLength(m)
	return min(far, 2*step/(1+math.Sqrt(max(0, 1-4*bent*step)))), true
}

// stepLength returns the length of what newton, which belongs to the point of m, makes of W.
func (r *riccatiObjective) stepLength(m *riccatiMemo) float64 {
	if r.stepped {
		return math.Sqrt(dense.Dot(r.step.Data, r.step.Data))
	}
	return r.newton.length(m.w, r.work)
}

// verify implements verifier: where the bound is not enough, by the distance to the closed form.
func (r *riccatiObjective) verify(in instance, run *solve.Result, o *solve.Options) {
	if limit, _ := r.limits(o); !(run.Certificate.Value <= limit) {
		run.Certificate = r.Certify(run.Point, run.GradientNorm, nil)
	}
	r.knownMinimizer.verify(in, run, o)
}
