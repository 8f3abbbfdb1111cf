package problem

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

const (
	// itmlEntries bounds the number of entries of X on and above the diagonal, and itmlSparse that of all products of two samples for each pair, up to
	// which Newton's equations pay.
	itmlEntries, itmlSparse = 500, 16
	// itmlClose is the smallest squared distance of a pair, relative to the squared lengths of its samples, that is had from their products.
	itmlClose = 1e-6
	// itmlHalvings bounds the trials of a line search, and itmlInside is how far to the edge of the cone a step may go.
	itmlHalvings, itmlInside = 30, 0.95
)

// itmlNewton is Newton's method on the cost, which is convex in X, with the equations for the n(n+1)/2 entries set up from products with the samples instead
// of the far more numerous pairs. With v = F'x for the samples and W the matrix of the weights f of their pairs,
//
//	sum f (v_i - v_j)(v_i - v_j)' = V'(D - W)V, D = diag(W 1),
//
// and with S_i = v_i v_i', T_i = sum_j W_ij S_j, E_i = v_i u_i' + u_i v_i', u = W V, the derivative along eta
//
//	sum f <z z', eta> z z' = sum_i S_i <Y_i, eta> + Y_i <S_i, eta> + S_i eta T_i + T_i eta S_i, Y_i = (D_i S_i + T_i)/2 - E_i.
//
// Symmetric matrices are vectors of n(n+1)/2 numbers, in which off-diagonal entries count sqrt(2).
type itmlNewton struct {
	*itmlObjective
	f          dense.Matrix[float64] // lower triangular, X = F F'
	v, u       dense.Matrix[float64] // samples x n
	gram       dense.Matrix[float64] // samples x samples
	w          [2]dense.Matrix[float64]
	a          dense.Matrix[float64]
	q          []float64             // squared distances of the pairs
	logs       []float64             // of q over the bounds; 0 for pairs that keep theirs
	s, t, y    dense.Matrix[float64] // samples x entries
	m, h       dense.Matrix[float64] // entries x entries
	g          dense.Matrix[float64] // gradient, then step, as a vector
	eta, trial dense.Matrix[float64]
	next       dense.Matrix[float64] // F of a trial
	solver     eigen.Solver
	values     []float64 // eigenvalues of eta
}

// itmlByNewton runs Newton's method where the equations are small enough, and the trust region elsewhere, where states are kept, and where it does not
// end.
func itmlByNewton(q *itmlObjective, start *manifold.Frame, o *Options) (*solve.Result, error) {
	if kept(o) || !q.separate() {
		return itmlTrust(q, start, o)
	}
	s := newITMLNewton(q, start, o.Start == nil)
	mon := iteration.NewMonitor(&o.Solver, q.m.VectorLen())
	cost, err := s.evaluate(s.f)
	if err != nil {
		return nil, err
	}
	for {
		norm := s.gradient()
		if mon.Done(nil, cost, norm, q.GradientScale(cost)) {
			break
		}
		var moved float64
		if cost, moved = s.step(cost, mon); moved == 0 {
			mon.Stall()
			break
		}
		mon.Step(moved)
	}
	return s.close(mon, o)
}

// separate tells whether the products of samples tell all pairs apart, and there are few enough of both.
func (q *itmlObjective) separate() bool {
	n, N := q.x.Cols, q.x.Rows
	if n*(n+1)/2 > itmlEntries || N*N > itmlSparse*len(q.pairs) {
		return false
	}
	for k, p := range q.pairs {
		z, a, b := q.z.Row(k), q.x.Row(p[0]), q.x.Row(p[1])
		if dense.Dot(z, z) < itmlClose*(dense.Dot(a, a)+dense.Dot(b, b)) {
			return false
		}
	}
	return true
}

func newITMLNewton(q *itmlObjective, start *manifold.Frame, free bool) *itmlNewton {
	n, N, P := q.x.Cols, q.x.Rows, len(q.pairs)
	m := n * (n + 1) / 2
	square := func(n int) dense.Matrix[float64] { return dense.New[float64](n, n) }
	s := &itmlNewton{itmlObjective: q, f: square(n), v: dense.New[float64](N, n), u: dense.New[float64](N, n), gram: square(N),
		w: [2]dense.Matrix[float64]{square(N), square(N)}, a: square(n), q: make([]float64, P), logs: make([]float64, P), g: dense.New[float64](m, 1), values: make([]float64, n),
		s: dense.New[float64](N, m), t: dense.New[float64](N, m), y: dense.New[float64](N, m), m: square(m), h: square(m), eta: square(n), trial: square(n), next: square(n)}
	s.f.Copy(view(start.F())) // a Cholesky factor
	if free {
		dense.Scale(math.Sqrt(s.bestScale()), s.f.Data, s.f.Data)
	}
	return s
}

// bestScale returns the s for which s I costs least: a root of n (s - 1) + gamma sum (s q/b - 1) over the pairs beyond their bounds, which grows with s
// and is piecewise linear.
func (s *itmlNewton) bestScale() float64 {
	n, scale := float64(s.x.Cols), 1.0
	for k := range s.pairs {
		s.q[k] = dense.Dot(s.z.Row(k), s.z.Row(k)) / s.bound[k]
	}
	for range 50 {
		slope, constant := n, -n
		for k, r := range s.q {
			if s.near[k] == (scale*r > 1) {
				slope += s.gamma * r
				constant -= s.gamma
			}
		}
		next := -constant / slope
		if math.Abs(next-scale) <= 1e-3*scale {
			return next
		}
		scale = next
	}
	return scale
}

// evaluate sets v, the products of samples, q and logs for X = F F', and returns the cost.
func (s *itmlNewton) evaluate(f dense.Matrix[float64]) (float64, error) {
	n := float64(f.Rows)
	dense.MulLowerRight(dense.NoTrans, f, s.x, s.v)
	dense.GemmLower(dense.NoTrans, dense.Transposed, 1, s.v, s.v, 0, s.gram)
	cost := dense.Dot(f.Data, f.Data) - n
	for i := range f.Rows {
		cost -= 2 * math.Log(f.At(i, i))
	}
	for k, p := range s.pairs {
		i, j := p[0], p[1]
		q := s.gram.At(i, i) + s.gram.At(j, j) - 2*s.gram.At(i, j)
		ratio := q / s.bound[k]
		if s.near[k] != (ratio > 1) {
			ratio = 1
		}
		s.q[k], s.logs[k] = q, ratio
		cost += s.gamma * (ratio - 1)
	}
	dense.Log(s.logs, s.logs)
	for _, l := range s.logs {
		cost -= s.gamma * l
	}
	if cost-cost != 0 {
		return cost, fmt.Errorf("the cost is %v", cost)
	}
	return cost, nil
}

// gradient sets A and the weights from the last evaluation, and returns the gradient norm.
func (s *itmlNewton) gradient() float64 {
	n := s.x.Cols
	for k, p := range s.pairs {
		f1, f2 := 0.0, 0.0
		if s.logs[k] != 0 {
			f1, f2 = s.gamma*(1/s.bound[k]-1/s.q[k]), s.gamma/(s.q[k]*s.q[k])
		}
		i, j := p[0], p[1]
		s.w[0].Set(i, j, f1)
		s.w[0].Set(j, i, f1)
		s.w[1].Set(i, j, f2)
		s.w[1].Set(j, i, f2)
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, -1, s.w[0], s.v, 0, s.u)
	for i := range s.x.Rows {
		dense.Axpy(total(s.w[0].Row(i)), s.v.Row(i), s.u.Row(i))
	}
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, s.f, s.f, 0, s.a)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, s.v, s.u, 1, s.a)
	dense.Mirror(s.a)
	s.eta.Copy(s.a)
	for i := range n {
		s.eta.Set(i, i, s.eta.At(i, i)-1)
	}
	return math.Sqrt(s.itmlObjective.m.Kappa() * dense.Dot(s.eta.Data, s.eta.Data))
}

func total(x []float64) (sum float64) {
	for _, v := range x {
		sum += v
	}
	return sum
}

// step solves Newton's equations for eta, given the gradient there, and moves to F (I + alpha eta) F' for the first alpha, halved from the longest that
// stays in the cone, at most 1, that lowers the cost. It returns the cost and the length of the step, 0 if there is none.
func (s *itmlNewton) step(cost float64, mon *iteration.Monitor) (lower, moved float64) {
	n, g := s.x.Cols, s.g
	pack(s.eta, g.Data)
	s.hessian()
	if dense.Cholesky(s.h) >= 0 {
		return cost, 0
	}
	dense.SolveLower(dense.NoTrans, s.h, g)
	slope := -dense.Dot(g.Data, g.Data)
	dense.SolveLower(dense.Transposed, s.h, g)
	k := 0
	for i := range n {
		for j := i; j < n; j++ {
			v := -g.Data[k]
			if j != i {
				v /= math.Sqrt2
			}
			s.eta.Set(i, j, v)
			s.eta.Set(j, i, v)
			k++
		}
	}
	alpha := min(1, s.longest())
	for range itmlHalvings {
		dense.Scale(alpha, s.eta.Data, s.trial.Data)
		for i := range n {
			s.trial.Set(i, i, s.trial.At(i, i)+1)
		}
		if dense.Cholesky(s.trial) < 0 {
			dense.MulLower(dense.NoTrans, s.f, s.trial, s.next)
			mon.Status.Evaluations++
			if c, err := s.evaluate(s.next); err == nil && c <= cost+1e-4*alpha*slope+1e-14*math.Abs(cost) {
				s.f.Copy(s.next)
				return c, alpha * math.Sqrt(dense.Dot(s.eta.Data, s.eta.Data))
			}
		}
		alpha /= 2
	}
	return cost, 0
}

// longest returns how far I + alpha eta is positive definite, less a margin.
func (s *itmlNewton) longest() float64 {
	s.trial.Copy(s.eta)
	if !s.solver.Values(s.trial, s.values) {
		return 0.5
	}
	if s.values[0] >= 0 {
		return math.Inf(1)
	}
	return itmlInside / -s.values[0]
}

// hessian sets h, of which only the lower triangle counts.
func (s *itmlNewton) hessian() {
	N, n := s.v.Rows, s.v.Cols
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, s.w[1], s.v, 0, s.u)
	for i := range N {
		row, v := s.s.Row(i), s.v.Row(i)
		k := 0
		for a, x := range v {
			dense.Scale(x, v[a:], row[k:k+n-a])
			k += n - a
		}
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, s.w[1], s.s, 0, s.t)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, s.s, s.t, 0, s.m)
	s.exchange()
	for i := range N {
		row, st, v, u := s.y.Row(i), s.s.Row(i), s.v.Row(i), s.u.Row(i)
		dense.Blend(0.5*total(s.w[1].Row(i)), st, 0.5, s.t.Row(i), row)
		k := 0
		for a, x := range v {
			dense.Axpy(-x, u[a:], row[k:k+n-a])
			dense.Axpy(-u[a], v[a:], row[k:k+n-a])
			weigh(row[k+1 : k+n-a])
			weigh(st[k+1 : k+n-a])
			k += n - a
		}
	}
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, s.s, s.y, 1, s.h)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, s.y, s.s, 1, s.h)
	for i := range s.h.Rows {
		s.h.Set(i, i, s.h.At(i, i)+1)
	}
}

func weigh(x []float64) { dense.Scale(math.Sqrt2, x, x) }

// exchange sets h to the form 2 sum_i v_i' eta T_i zeta v_i, from m = sum_i S_i T_i' with S and T as vectors without weights.
func (s *itmlNewton) exchange() {
	n := s.v.Cols
	at := func(a, b int) int { // position of the entry
		if a > b {
			a, b = b, a
		}
		return a*n - a*(a-1)/2 + b - a
	}
	for a := range n {
		for b := a; b < n; b++ {
			row, left := s.h.Row(at(a, b)), 0.5
			if b > a {
				left *= math.Sqrt2
			}
			for c := 0; c <= a; c++ {
				for d := c; d < n; d++ {
					weight := left
					if d > c {
						weight *= math.Sqrt2
					}
					row[at(c, d)] = weight * (s.m.At(at(a, d), at(b, c)) + s.m.At(at(b, d), at(a, c)) + s.m.At(at(a, c), at(b, d)) + s.m.At(at(b, c), at(a, d)))
				}
			}
		}
	}
}

// close looks at the last point once more, pair by pair. If the run has converged only as the products of samples see it, or Newton's equations failed,
// the trust region goes on from there.
func (s *itmlNewton) close(mon *iteration.Monitor, o *Options) (*solve.Result, error) {
	x := dense.New[float64](s.f.Rows, s.f.Cols)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, s.f, s.f, 0, x)
	p, err := manifold.NewFrame(symmetric(x))
	if err != nil {
		return nil, fmt.Errorf("iteration %d: %w", mon.Status.Iteration, err)
	}
	q := s.itmlObjective
	grad, memo := make([]float64, q.m.VectorLen()), q.NewMemo()
	cost, err := q.Evaluate(p, grad, memo)
	if err != nil {
		return nil, err
	}
	norm := math.Sqrt(q.m.Inner(p, grad, grad))
	r := mon.Result(p, 0)
	if mon.Reason.Name == iteration.Stalled || r.Converged && norm > mon.Target() {
		if r, err = itmlTrust(q, p, o); err == nil {
			r.Iterations += mon.Status.Iteration
			r.Evaluations += mon.Status.Evaluations
		}
		return r, err
	}
	r.Objective, r.GradientNorm, r.RelativeGradient = cost, norm, norm/q.GradientScale(cost)
	r.Certificate = q.Certify(p, norm, memo)
	return r, nil
}
