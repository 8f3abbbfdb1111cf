package problem

import (
	"errors"
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/manifold/problem/internal/bound"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

var glasso = Problem{
	Name:  "glasso",
	What:  "graphical lasso, a sparse inverse covariance: minimize -log det T + tr(S T) + rho sum_{i != j} |T_ij|",
	Input: "one covariance matrix S (n x n, may be singular), or zero-mean samples (N x n); the penalty rho",
	Takes: Matrices | Samples | Indefinite,
	Uses:  []string{"rho"},
	Own: []Method{{
		Name:   "newton",
		What:   "proximal Newton by coordinate descent on the free set (Hsieh et al., J. Mach. Learn. Res. 15 (2014)), each connected component by itself",
		direct: glassoBy((*glassoRun).newton),
	}, {
		Name:   "admm",
		What:   "alternating direction method of multipliers, one eigendecomposition per iteration (Boyd et al., 2011, section 6.5)",
		direct: glassoBy((*glassoRun).admm),
	}, {
		Name:   "trust",
		What:   "Riemannian trust region on the penalty smoothed by a width that falls to 1e-9, as a cross-check",
		direct: glassoBy((*glassoRun).smooth),
	}},
}

// glassoRun is the problem, or one connected component of |S_ij| > rho, which is one block of the solution (Witten, Friedman and Simon, J. Comput. Graph.
// Statist. 20 (2011)), in units in which all variances are 1: otherwise the variable with the largest variance would hide what is left of the others, and
// squares of variances would leave the range of float64.
type glassoRun struct {
	s     dense.Matrix[float64] // correlations
	rho   dense.Matrix[float64] // the penalty in these units; 0 on the diagonal
	logs  float64               // log of the product of the variances
	mon   *iteration.Monitor
	theta dense.Matrix[float64]
	w     dense.Matrix[float64] // theta^-1
	cost  float64               // in the units of the data
	scale float64
}

// glassoData returns S, the number of samples (1 for a matrix) and the penalty.
func glassoData(d *Data, o *Options) (s dense.Matrix[float64], count int, rho float64, err error) {
	count = 1
	if d.Samples != nil {
		x, err := checkSamples(d.Samples)
		if err != nil {
			return s, 0, 0, err
		}
		s, count = dense.New[float64](x.Cols, x.Cols), x.Rows
		dense.GemmUpper(dense.Transposed, dense.NoTrans, 1/float64(x.Rows), x, x, 0, s)
		dense.Mirror(s)
	} else if s, err = oneSymmetric(d, "average them first"); err != nil {
		return s, 0, 0, err
	}
	for i := range s.Rows {
		if !(s.At(i, i) > 0) || math.IsInf(s.At(i, i), 1) {
			return s, 0, 0, &DataError{Err: fmt.Errorf("variance %d is %v, want a positive finite number", i, s.At(i, i)), Remedy: "drop constant columns"}
		}
		for j := range i {
			rho = max(rho, 0.1*math.Abs(s.At(i, j)))
		}
	}
	if o.Rho > 0 {
		rho = o.Rho
	}
	values := make([]float64, s.Rows)
	if !eigen.SymValues(s.Clone(), values) || values[0] < -1e-10*values[s.Rows-1] {
		return s, 0, 0, &DataError{Err: fmt.Errorf("the covariance is not positive semidefinite: smallest eigenvalue %.4g (largest %.4g)", values[0], values[s.Rows-1]),
			Remedy: "solve nearest-spd first"}
	}
	return s, count, rho, nil
}

func glassoBy(method func(*glassoRun) error) func(*Data, *Options) (*outcome, error) {
	return func(d *Data, o *Options) (*outcome, error) {
		s, count, rho, err := glassoData(d, o)
		if err != nil {
			return nil, err
		}
		n := s.Rows
		blocks := components(s, rho)
		total, worst := iteration.NewMonitor(&o.Solver, n*n), -1.0
		total.Reason.Converged = true // until a block says otherwise
		all := newGlassoRun(s, rho, wholeBlock(n), total)
		for _, block := range blocks {
			limits := *total.Options
			limits.MaxIterations = max(limits.MaxIterations-total.Status.Iteration, 1)
			r := newGlassoRun(s, rho, block, iteration.NewMonitor(&limits, n*n))
			r.mon.Began = total.Began
			if err := method(r); err != nil {
				return nil, fmt.Errorf("glasso: %w", err)
			}
			total.Status.Iteration += r.mon.Status.Iteration
			total.Status.Evaluations += r.mon.Status.Evaluations
			total.Status.HessianProducts += r.mon.Status.HessianProducts
			if reached := r.mon.Status.RelativeGradient(); total.Reason.Converged && (!r.mon.Reason.Converged || reached > worst) {
				total.Reason, worst = r.mon.Reason, reached
			}
			for i, a := range block {
				for j, b := range block {
					all.theta.Set(a, b, r.theta.At(i, j))
				}
			}
		}
		return all.outcome(s, rho, count, len(blocks))
	}
}

// wholeBlock is the block of all n variables.
func wholeBlock(n int) []int {
	block := make([]int, n)
	for i := range block {
		block[i] = i
	}
	return block
}

// components returns the sets of indices that are connected by |S_ij| > rho, in order of their smallest index.
func components(s dense.Matrix[float64], rho float64) (blocks [][]int) {
	seen := make([]bool, s.Rows)
	for i := range s.Rows {
		if seen[i] {
			continue
		}
		seen[i] = true
		block := []int{i}
		for k := 0; k < len(block); k++ {
			for j, v := range s.Row(block[k]) {
				if !seen[j] && math.Abs(v) > rho {
					seen[j] = true
					block = append(block, j)
				}
			}
		}
		blocks = append(blocks, block)
	}
	return blocks
}

func newGlassoRun(s dense.Matrix[float64], rho float64, block []int, mon *iteration.Monitor) *glassoRun {
	n := len(block)
	r := &glassoRun{s: dense.New[float64](n, n), rho: dense.New[float64](n, n), mon: mon, theta: dense.New[float64](n, n), w: dense.New[float64](n, n)}
	for i, a := range block {
		for j, b := range block {
			unit := unitOf(s, a, b)
			r.s.Set(i, j, s.At(a, b)/unit)
			if i != j {
				r.rho.Set(i, j, rho/unit)
			}
		}
		r.s.Set(i, i, 1)
		r.theta.Set(i, i, 1)
		r.logs += math.Log(s.At(a, a))
	}
	r.scale = math.Sqrt(dense.Dot(r.s.Data, r.s.Data))
	return r
}

// unitOf is the unit of the entry (i, j) of a covariance.
func unitOf(s dense.Matrix[float64], i, j int) float64 {
	return math.Sqrt(s.At(i, i)) * math.Sqrt(s.At(j, j))
}

// evaluate sets w and cost for theta; false means that theta is not positive definite.
func (r *glassoRun) evaluate(theta dense.Matrix[float64]) (cost float64, ok bool) {
	l := r.w
	l.Copy(theta)
	if dense.Cholesky(l) >= 0 {
		return math.Inf(1), false
	}
	for i := range l.Rows {
		cost -= 2 * math.Log(l.At(i, i))
	}
	inverse := l.Clone()
	dense.InvertLower(inverse)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, inverse, inverse, 0, r.w)
	dense.Mirror(r.w)
	return cost + r.logs + dense.Dot(r.s.Data, theta.Data) + r.penalty(theta), true
}

func (r *glassoRun) penalty(a dense.Matrix[float64]) (sum float64) {
	for i, v := range a.Data {
		sum += r.rho.Data[i] * math.Abs(v)
	}
	return sum
}

// residual sets dst to the smallest subgradient of the cost at theta, which has been evaluated, and returns its norm.
func (r *glassoRun) residual(dst, theta dense.Matrix[float64]) float64 {
	for i, t := range theta.Data {
		g := r.s.Data[i] - r.w.Data[i]
		if t != 0 {
			g += math.Copysign(r.rho.Data[i], t)
		} else {
			g = soft(g, r.rho.Data[i])
		}
		dst.Data[i] = g
	}
	return math.Sqrt(dense.Dot(dst.Data, dst.Data))
}

func soft(v, by float64) float64 {
	if math.Abs(v) <= by {
		return 0
	}
	return v - math.Copysign(by, v)
}

// newton minimizes the quadratic model over the entries that are not zero or want to leave zero, and moves there with a line search.
func (r *glassoRun) newton() error {
	n := r.s.Rows
	d, v, trial := dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n)
	var ok bool
	if r.cost, ok = r.evaluate(r.theta); !ok {
		return errors.New("the start is not positive definite")
	}
	for inner := 1; !r.mon.Done(nil, r.cost, r.residual(trial, r.theta), r.scale); inner++ {
		r.model(d, v, min(inner+1, 20))
		decrease := -r.penalty(r.theta)
		for i, t := range r.theta.Data {
			trial.Data[i] = t + d.Data[i]
			decrease += (r.s.Data[i] - r.w.Data[i]) * d.Data[i]
		}
		decrease += r.penalty(trial)
		before, accepted := r.cost, false
		rounding := 1e3 * 0x1p-52 * math.Max(1, math.Abs(before))
		for t := 1.0; t > 1e-10 && !accepted; t /= 2 {
			for i, x := range r.theta.Data {
				trial.Data[i] = x + t*d.Data[i]
			}
			r.mon.Status.Evaluations++
			cost, definite := r.evaluate(trial)
			if accepted = definite && cost <= before+1e-3*t*decrease+rounding; accepted {
				r.cost = cost
				r.theta.Copy(trial)
			}
		}
		if !accepted {
			return errors.New("no step decreases the cost: the covariance is too ill-conditioned for this penalty, raise rho")
		}
		r.mon.Step(math.Sqrt(dense.Dot(d.Data, d.Data)))
	}
	return nil
}

// model does sweeps of coordinate descent on tr(G D) + 1/2 tr(W D W D) + rho ||theta + D||_1,off, G = S - W. v holds the transpose of W D; its
// column i, which row i of the sweep reads, is kept in at.
func (r *glassoRun) model(d, v dense.Matrix[float64], sweeps int) {
	d.Zero()
	v.Zero()
	n := r.s.Rows
	at := make([]float64, n)
	for range sweeps {
		var change, size float64
		for i := range n {
			for k := range n {
				at[k] = v.At(k, i)
			}
			for j := i; j < n; j++ {
				g, t := r.s.At(i, j)-r.w.At(i, j), r.theta.At(i, j)
				if t == 0 && d.At(i, j) == 0 && math.Abs(g) <= r.rho.At(i, j) {
					continue
				}
				wii, wij, wjj, rho := r.w.At(i, i), r.w.At(i, j), r.w.At(j, j), r.rho.At(i, j)
				a := wij*wij + wii*wjj
				if i == j {
					a = wij * wij
				}
				b, c := g+dense.Dot(at, r.w.Row(j)), t+d.At(i, j)
				mu := soft(c-b/a, rho/a) - c
				if mu == 0 {
					continue
				}
				d.Set(i, j, d.At(i, j)+mu)
				dense.Axpy(mu, r.w.Row(i), v.Row(j))
				at[j] += mu * wii
				if i != j {
					d.Set(j, i, d.At(i, j))
					dense.Axpy(mu, r.w.Row(j), v.Row(i))
					at[i] += mu * wij
				}
				change += math.Abs(mu)
				size += math.Abs(d.At(i, j))
			}
		}
		if change <= 1e-3*size {
			return
		}
	}
}

// admm splits theta = z: theta minimizes the smooth part in an eigenbasis, z by soft thresholding. The penalty of the splitting follows the
// balance of the two residuals.
func (r *glassoRun) admm() error {
	n := r.s.Rows
	z, u, m := r.theta.Clone(), dense.New[float64](n, n), dense.New[float64](n, n)
	work, values := dense.New[float64](n, n), make([]float64, n)
	var solver eigen.Solver
	penalty := 1 / max(dense.Dot(z.Data, z.Data)/float64(n), math.SmallestNonzeroFloat64)
	for {
		var definite bool
		left := r.scale
		if r.cost, definite = r.evaluate(z); definite {
			left = r.residual(work, z)
		}
		if r.mon.Done(nil, r.cost, left, r.scale) {
			r.theta.Copy(z)
			return nil
		}
		for i, v := range r.s.Data {
			m.Data[i] = penalty*(z.Data[i]-u.Data[i]) - v
		}
		if !solver.Sym(m, values) {
			return errors.New("the eigendecomposition failed")
		}
		for k, l := range values {
			values[k] = (l + math.Sqrt(l*l+4*penalty)) / (2 * penalty)
		}
		for i := range n {
			for k, v := range m.Row(i) {
				work.Set(i, k, v*values[k])
			}
		}
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, work, m, 0, r.theta)
		dense.Mirror(r.theta)
		var primal, dual float64
		for i := range n {
			for j := range n {
				t, old := r.theta.At(i, j), z.At(i, j)
				next := soft(t+u.At(i, j), r.rho.At(i, j)/penalty)
				z.Set(i, j, next)
				u.Set(i, j, u.At(i, j)+t-next)
				primal += (t - next) * (t - next)
				dual += penalty * penalty * (next - old) * (next - old)
			}
		}
		primal, dual = math.Sqrt(primal), math.Sqrt(dual)
		r.mon.Step(dual / penalty)
		r.mon.Status.Evaluations++
		if factor := r.rebalance(primal*penalty, dual); factor != 1 {
			penalty *= factor
			dense.Scale(1/factor, u.Data, u.Data)
		}
	}
}

// rebalance returns the factor for the penalty; changes become rare, so that the iteration converges.
func (r *glassoRun) rebalance(primal, dual float64) float64 {
	k := r.mon.Status.Iteration
	switch {
	case k > 1000 || k%10 != 0:
		return 1
	case primal > 10*dual:
		return 2
	case dual > 10*primal:
		return 0.5
	}
	return 1
}

// localGap bounds the gap by a subgradient G: -log det is self-concordant, so with d^2 = tr(T G T G) < 1 it is at most -d - log(1 - d) (Nesterov,
// "Lectures on Convex Optimization", 2018, section 5.1). Near the solution it is far below what rounding leaves of the difference of the values.
func localGap(g, theta dense.Matrix[float64]) float64 {
	t := dense.New[float64](g.Rows, g.Rows)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, theta, g, 0, t)
	var square float64
	for i := range t.Rows {
		for j, v := range t.Row(i) {
			square += v * t.At(j, i)
		}
	}
	d := math.Sqrt(max(square, 0))
	if !(d < 1) {
		return math.Inf(1)
	}
	return -d - math.Log1p(-d)
}

// valueGap is the cost at theta less the value at a dual point, of which the Cholesky factor is given, and what rounding may have taken from it: a few units of what is
// added up.
func (r *glassoRun) valueGap(cost float64, theta, dual dense.Matrix[float64]) float64 {
	n := float64(theta.Rows)
	gap, size := cost-r.logs-n, math.Abs(cost)+math.Abs(r.logs)+n
	for i, t := range theta.Data {
		size += (math.Abs(r.s.Data[i]) + r.rho.Data[i]) * math.Abs(t)
	}
	for i := range theta.Rows {
		log := 2 * math.Log(dual.At(i, i))
		gap, size = gap-log, size+2*math.Abs(log)
	}
	return max(gap, 0) + 0x1p-50*size
}

// outcome states the residual and the duality gap of the whole matrix. The dual point is W with its distance to S cut to rho. Since -log det
// is self-concordant the gap bounds the affine-invariant distance to the solution: with t the logarithms of the eigenvalues of T*^-1 T,
// gap >= sum (e^t - 1 - t) >= sum t^2/(2 + |t|).
func (r *glassoRun) outcome(s dense.Matrix[float64], rho float64, count, blocks int) (*outcome, error) {
	n := s.Rows
	cost, ok := r.evaluate(r.theta)
	if !ok {
		return nil, errors.New("glasso: the result is not positive definite: give more iterations, or raise rho")
	}
	run := r.mon.Result(nil, r.mon.Status.HessianProducts)
	sub, dual, theta := dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n)
	run.Objective, run.GradientNorm = cost, r.residual(sub, r.theta)
	run.RelativeGradient = run.GradientNorm / r.scale
	edges := 0
	for i := range n {
		for j, t := range r.theta.Row(i) {
			limit := r.rho.At(i, j)
			dual.Set(i, j, r.s.At(i, j)+min(max(r.w.At(i, j)-r.s.At(i, j), -limit), limit))
			if i < j && t != 0 {
				edges++
			}
			theta.Set(i, j, t/unitOf(s, i, j))
		}
	}
	parts := []Part{numberPart("rho", rho), numberPart("edges", float64(edges)), numberPart("components", float64(blocks))}
	gap := localGap(sub, r.theta)
	if dense.Cholesky(dual) < 0 {
		gap = min(gap, r.valueGap(cost, r.theta, dual))
	}
	run.Certificate = solve.Certificate{Kind: "none"}
	if !math.IsInf(gap, 1) {
		run.Certificate = solve.Certificate{Kind: "duality-gap", Value: bound.LogDet(gap), Bound: true}
		parts = append(parts, numberPart("duality_gap", gap))
	}
	return &outcome{run: run, n: n, count: count, solution: symmetric(theta), parts: parts}, nil
}
