package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

const (
	// bearsSingle is the condition of a point up to which Hessian products in single precision are good to a percent in every direction.
	bearsSingle = 1e4
	// commutingLimit is the condition of a point up to which steps are best in the coordinates of matrices that commute: beyond it they go too far along
	// the small eigenvalues.
	commutingLimit = 40
	// shortest is the least factor by which a step multiplies roots of eigenvalues.
	shortest = 0.05
	// longestLog is the largest root mean square of the logarithms of the factors of eigenvalues in another step.
	longestLog = 3
)

// barycenterNewton follows the eigenbases from the start. The cost is not convex along geodesics, so that steps judged by their slopes may come to a halt or
// go on without end; the trust region takes over there. It also runs where states are written.
func barycenterNewton(in instance, m *manifold.Affine, o *Options) (*solve.Result, error) {
	b, trust := in.(*barycenterObjective), general(solve.Solver{Run: solve.Trust}).run
	if kept(o) {
		return trust(in, m, o)
	}
	b.follows = true
	r, err := followedIterate(&barycenterRun{barycenterObjective: b, v32: make([]float32, m.VectorLen()), values: make([]float64, b.n)},
		o.unlessSlow(), barycenterDirection)
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

// tune implements followedObjective.
func (b *barycenterObjective) tune(accuracy float64) { b.accuracy = accuracy / math.Sqrt(b.m.Kappa()) }

// slackAt implements followedObjective.
func (b *barycenterObjective) slackAt(memo solve.Memo) float64 {
	return memo.(*barycenterMemo).slack * math.Sqrt(b.m.Kappa())
}

// leastCurvature implements followedObjective: where all matrices are the point, the Hessian is at least half of the smallest eigenvalue of M.
func (b *barycenterObjective) leastCurvature(memo solve.Memo) float64 {
	m := memo.(*barycenterMemo)
	if b.decompose(m) != nil {
		return b.scale / 2 * b.m.Kappa()
	}
	return m.lengths[0] / 2 * b.m.Kappa()
}

// quadratic implements followedObjective; measured on scattered data.
func (b *barycenterObjective) quadratic() float64 { return 0.2 / b.GradientScale(0) }

// retraction implements followedObjective.
func (b *barycenterObjective) retraction() manifold.Retraction { return manifold.DefaultStep }

// settle implements followedObjective: no matrix is known to be the barycenter.
func (b *barycenterObjective) settle(solve.Memo, float64) (*settlement, error) { return nil, nil }

// barycenterRun is the objective with Hessian products in single precision where the condition of the point bears it.
type barycenterRun struct {
	*barycenterObjective
	v32     []float32
	squares bool      // the coordinates are those of squares, see barycenterDirection
	values  []float64 // scratch
}

// HessianVec implements solve.Hessian, for the certificate.
func (b *barycenterRun) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	b.squares = false
	b.hessianVec32(dst, v, b.v32, p, memo)
	return nil
}

// hessianVec32 implements followedObjective.
func (b *barycenterRun) hessianVec32(dst, v []float64, v32 []float32, p manifold.Point, memo solve.Memo) {
	b.at, b.eta = memo.(*barycenterMemo), dense.Wrap(b.n, b.n, v)
	if l := b.at.lengths; b.at.known && l[b.n-1] <= bearsSingle*l[0] {
		dense.ScaleSingle(1, v, v32)
		b.eta32 = dense.Wrap(b.n, b.n, v32)
		b.team.run32(b.product32, dst)
	} else if b.team.run(b.product, dst) != nil {
		clear(dst)
	}
	share := 1.0
	if b.squares {
		share = 0.5
	}
	b.completeProduct(share, dst, p)
}

// barycenterDirection is Newton's. At well-conditioned points it is so in the coordinates eta of X = F (I + eta/2)^2 F', in which the cost is quadratic for
// matrices that commute: the Hessian there has half of the term (eta (M - S) + (M - S) eta)/2, and the step is the tangent of the geodesic to that point,
// 2 log(I + eta/2).
func barycenterDirection(r *followedRun) {
	b := r.k.(*barycenterRun)
	b.squares = false
	if m := r.memo.(*barycenterMemo); b.decompose(m) == nil {
		b.squares = m.lengths[b.n-1] <= commutingLimit*m.lengths[0]
	}
	newtonDirection(r)
	if !b.squares {
		if length, most := r.norm(r.step), longestLog*math.Sqrt(float64(b.n)); length > most {
			dense.Scale(most/length, r.step, r.step)
		}
		return
	}
	eta, w := dense.Wrap(b.n, b.n, r.step), b.team.workers[0]
	q, t, values := w.t[0], w.t[1], b.values
	q.Copy(eta)
	if r.norm(r.step) < 0.05 {
		dense.GemmUpper(dense.NoTrans, dense.NoTrans, -0.25, q, q, 1, eta)
		dense.Mirror(eta)
		return
	}
	if !w.solver.Sym(q, values) {
		return
	}
	for i := range b.n {
		values[i] = 2 * math.Log(max(shortest, 1+values[i]/2))
	}
	for i := range b.n {
		for j, v := range q.Row(i) {
			t.Set(i, j, v*values[j])
		}
	}
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, t, q, 0, eta)
	dense.Mirror(eta)
}
