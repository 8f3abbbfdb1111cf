package problem

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

var nearestCorrelation = Problem{
	Name:  "nearest-correlation",
	What:  "nearest correlation matrix: minimize 1/2 ||X - C||_F^2 over X >= floor I with unit diagonal",
	Input: "one symmetric matrix (n x n), definite or not",
	Takes: Matrices | Indefinite,
	Uses:  []string{"floor"},
	Own: []Method{{
		Name:   "newton",
		What:   "semismooth Newton method on the dual, one multiplier for each diagonal entry (Qi and Sun, SIAM J. Matrix Anal. Appl. 28 (2006))",
		direct: correlationNewton,
	}, {
		Name:   "alternating",
		What:   "alternating projections with Dykstra's correction (Higham, IMA J. Numer. Anal. 22 (2002)); linear convergence",
		direct: correlationAlternating,
	}, {
		Name:   "trust",
		What:   "Riemannian trust region on factors with unit rows, X = V V', as a cross-check",
		direct: correlationTrust, resumes: true,
	}},
	device: nearestCorrelationDevice,
}

// correlationRun is the dual problem max -1/2 ||(C + Diag y)+||^2 + b'y + 1/2 ||C||^2 after the shift by the floor: C - floor I, b = 1 - floor.
type correlationRun struct {
	c       dense.Matrix[float64]
	floor   float64
	b       float64
	mon     *iteration.Monitor
	y       []float64
	shifted dense.Matrix[float64]
	s       *split
	grad    []float64 // diag X - b
	value   float64   // 1/2 ||X||^2 - b'y, to be minimized
	// project sets diagonal to that of X, the positive part of C + Diag y, and returns 1/2 ||X||^2. Made from the eigenvalues in s unless it runs on a device.
	project func(y, diagonal []float64) (float64, error)
}

func newCorrelationRun(d *Data, o *Options) (*correlationRun, error) {
	r, err := startCorrelation(d, o)
	if err != nil {
		return nil, err
	}
	r.s = newSplit(len(r.y))
	r.shifted = r.s.matrix(len(r.y), len(r.y))
	r.project = r.projectByEigenvalues
	return r, nil
}

func (r *correlationRun) projectByEigenvalues(y, diagonal []float64) (half float64, err error) {
	r.shifted.Copy(r.c)
	for i, v := range y {
		r.shifted.Set(i, i, r.shifted.At(i, i)+v)
	}
	if err := r.s.set(r.shifted); err != nil {
		return 0, err
	}
	for _, l := range r.s.values[r.s.negative:] {
		half += l * l / 2
	}
	for i := range diagonal {
		diagonal[i] = r.s.plus.At(i, i)
	}
	return half, nil
}

// startCorrelation is a run without a way to project.
func startCorrelation(d *Data, o *Options) (*correlationRun, error) {
	c, err := oneSymmetric(d, "solve them one at a time")
	if err != nil {
		return nil, err
	}
	n := c.Rows
	r := &correlationRun{c: c, floor: o.Floor, b: 1 - o.Floor, mon: iteration.NewMonitor(&o.Solver, n*n), y: make([]float64, n),
		grad: make([]float64, n)}
	for i := range n {
		r.c.Set(i, i, r.c.At(i, i)-r.floor)
		r.y[i] = r.b - r.c.At(i, i)
	}
	return r, nil
}

// evaluate projects C + Diag y.
func (r *correlationRun) evaluate(y []float64) error {
	half, err := r.project(y, r.grad)
	if err != nil {
		return err
	}
	r.value = half
	for i, v := range y {
		r.grad[i] -= r.b
		r.value -= r.b * v
	}
	return nil
}

func (r *correlationRun) norm() float64 { return math.Sqrt(dense.Dot(r.grad, r.grad)) }

func (r *correlationRun) done() bool {
	return r.mon.Done(nil, r.value, r.norm(), math.Sqrt(float64(len(r.y))))
}

func correlationNewton(d *Data, o *Options) (*outcome, error) {
	r, err := newCorrelationRun(d, o)
	if err != nil {
		return nil, err
	}
	defer r.s.recycle()
	if err := r.evaluate(r.y); err != nil {
		return nil, err
	}
	k := newCorrelationCG(r)
	products := 0
	for !r.done() {
		products += k.solve(min(0.1, r.norm()))
		length, err := r.search(k.step)
		if err != nil {
			return nil, err
		}
		if length == 0 {
			r.mon.Reason = solve.Reason{Name: iteration.Stalled, Detail: fmt.Sprintf("no step decreases the dual below residual %.3g", r.norm()),
				Advice: "this is the rounding level of the problem: loosen the tolerance, or scale the matrix"}
			break
		}
		r.mon.Step(length)
	}
	return r.outcome(products)
}

// search moves y along the step by Armijo backtracking; near the solution, where the value is all rounding, a smaller residual will do.
func (r *correlationRun) search(step []float64) (length float64, err error) {
	old, slope, norm, trial := r.value, dense.Dot(r.grad, step), r.norm(), make([]float64, len(r.y))
	for t := 1.0; t > 1e-10; t /= 2 {
		copy(trial, r.y)
		dense.Axpy(t, step, trial)
		if err := r.evaluate(trial); err != nil {
			return 0, err
		}
		r.mon.Status.Evaluations++
		if r.value <= old+1e-4*t*slope || r.norm() <= norm/2 {
			r.y = trial
			return t * math.Sqrt(dense.Dot(step, step)), nil
		}
	}
	return 0, r.evaluate(r.y)
}

// correlationCG solves (V + e I) step = -grad, V h = diag(P (Omega o (P' Diag(h) P)) P') an element of the generalised Hessian, by conjugate
// gradients with the diagonal of V as preconditioner.
type correlationCG struct {
	r                        *correlationRun
	step, res, dir, prod, pc []float64
	t, m, table              dense.Matrix[float64] // n x (columns of the smaller side)
}

func newCorrelationCG(r *correlationRun) *correlationCG {
	n := len(r.y)
	k := &correlationCG{r: r, t: r.s.matrix(n, n), m: r.s.matrix(n, n), table: r.s.matrix(n, n)}
	for _, v := range []*[]float64{&k.step, &k.res, &k.dir, &k.prod, &k.pc} {
		*v = make([]float64, n)
	}
	return k
}

func (k *correlationCG) solve(tol float64) (products int) {
	const ridge = 1e-12
	k.diagonal(ridge)
	clear(k.step)
	for i, g := range k.r.grad {
		k.res[i] = -g
		k.dir[i] = k.res[i] / k.pc[i]
	}
	zr := dense.Dot(k.dir, k.res)
	target := tol * math.Sqrt(dense.Dot(k.res, k.res))
	for products < 200 {
		k.product(k.prod, k.dir)
		dense.Axpy(ridge, k.dir, k.prod)
		products++
		curvature := dense.Dot(k.dir, k.prod)
		if !(curvature > 0) {
			break
		}
		alpha := zr / curvature
		dense.Axpy(alpha, k.dir, k.step)
		dense.Axpy(-alpha, k.prod, k.res)
		if math.Sqrt(dense.Dot(k.res, k.res)) <= target {
			break
		}
		next := 0.0
		for i, v := range k.res {
			next += v * v / k.pc[i]
		}
		for i, v := range k.res {
			k.dir[i] = v/k.pc[i] + next/zr*k.dir[i]
		}
		zr = next
	}
	return products
}

// side returns the smaller of the sets of positive and of other eigenvalues, and whether it is the positive one.
func (k *correlationCG) side() (first, end int, positive bool) {
	n, neg := len(k.r.y), k.r.s.negative
	if n-neg <= neg {
		return neg, n, true
	}
	return 0, neg, false
}

// omega sets dst to the divided differences of max(x, 0) at the eigenvalues i, j for i on the chosen side; counted half where j is on it too, because the
// sums below meet such pairs twice.
func (k *correlationCG) omega(dst []float64, j, first, end int) {
	values := k.r.s.values
	b := math.Abs(values[j])
	for c, v := range values[first:end] {
		a := math.Abs(v)
		if dst[c] = a / (a + b); j >= first && j < end || a+b == 0 {
			dst[c] = 0.5
		}
	}
}

// product sets dst = V h: two products of an n x n with an n x r matrix, r <= n/2 the size of the smaller side. On the side of the negative
// eigenvalues V h = h - V- h, because A+ = A + (-A)+.
func (k *correlationCG) product(dst, h []float64) {
	first, end, positive := k.side()
	n, r := len(h), end-first
	v := k.r.s.vectors
	if r > 0 {
		t, m := k.t.View(0, 0, n, r), k.m.View(0, 0, n, r)
		for i := range n {
			dense.Scale(h[i], v.Row(i)[first:end], t.Row(i))
		}
		dense.Gemm(dense.Transposed, dense.NoTrans, 1, v, t, 0, m)
		for j := range n {
			row := m.Row(j)
			for c, w := range k.table.Row(j)[:r] {
				row[c] *= w
			}
		}
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, v, m, 0, t)
	}
	for i := range n {
		dst[i] = 0
		if r > 0 {
			dst[i] = 2 * dense.Dot(k.t.Row(i)[:r], v.Row(i)[first:end])
		}
		if !positive {
			dst[i] = h[i] - dst[i]
		}
	}
}

// diagonal sets pc to the diagonal of V + ridge: V_ii = sum_jk omega_jk p_ij^2 p_ik^2.
func (k *correlationCG) diagonal(ridge float64) {
	first, end, positive := k.side()
	n, r := len(k.pc), end-first
	v := k.r.s.vectors
	if r > 0 {
		q, w, t := k.r.s.work, k.table.View(0, 0, n, r), k.t.View(0, 0, n, r)
		for i := range n {
			to := q.Row(i)
			for j, p := range v.Row(i) {
				to[j] = p * p
			}
		}
		for j := range n {
			k.omega(w.Row(j), j, first, end)
		}
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, q, w, 0, t)
		for i := range n {
			k.pc[i] = 2 * dense.Dot(t.Row(i), q.Row(i)[first:end])
		}
	} else {
		clear(k.pc)
	}
	for i := range k.pc {
		if !positive {
			k.pc[i] = 1 - k.pc[i]
		}
		k.pc[i] = max(k.pc[i]+ridge, 1e-8)
	}
}

// vanished is the error of a run that has ended where nothing can be scaled to a unit diagonal.
func (r *correlationRun) vanished(i int) error {
	largest := 0.0
	for _, v := range r.c.Data {
		largest = max(largest, math.Abs(v))
	}
	return &DataError{Err: fmt.Errorf("diagonal entry %d of the projection has vanished after %d iterations; the largest entry of the matrix is %.3g, of a correlation matrix 1",
		i, r.mon.Status.Iteration, largest), Remedy: "divide rows and columns by the standard deviations, or give more iterations"}
}

// outcome scales X to unit diagonal, which makes it feasible, and bounds its distance D to the solution by the duality gap: the objective is
// 1-strongly convex, so D^2/2 <= gap = 1/2 ||X^ - X||^2 + <X^, (C + Diag y)->.
func (r *correlationRun) outcome(products int) (*outcome, error) {
	n := len(r.y)
	x := r.s.plus.Clone()
	scale := make([]float64, n)
	for i := range n {
		d := x.At(i, i)
		if !(d > 0) {
			return nil, r.vanished(i)
		}
		scale[i] = math.Sqrt(r.b / d)
	}
	var gap, square float64
	for i := range n {
		for j, p := range r.s.plus.Row(i) {
			v := scale[i] * scale[j] * p
			if i == j {
				v = r.b
			}
			x.Set(i, j, v)
			gap += (v - p) * (v - p) / 2
			e := v - r.c.At(i, j)
			square += e * e
		}
	}
	for i := range n {
		x.Set(i, i, 1)
	}
	gap += r.complementarity(scale)
	run := r.mon.Result(nil, products)
	run.Objective = square / 2
	run.Certificate = solve.Certificate{Kind: "duality-gap", Value: math.Sqrt(2 * gap), Bound: true}
	return &outcome{run: run, n: n, count: 1, solution: symmetric(x),
		parts: []Part{vectorPart("multipliers", r.y), numberPart("smallest_eigenvalue", max(r.s.values[0], 0)+r.floor), numberPart("duality_gap", gap)}}, nil
}

// correlationAlternating projects in turn on the cone, with Dykstra's correction, and on the unit diagonal. The sum of the corrections to the
// diagonal is the multiplier, so the same certificate serves.
func correlationAlternating(d *Data, o *Options) (*outcome, error) {
	r, err := newCorrelationRun(d, o)
	if err != nil {
		return nil, err
	}
	defer r.s.recycle()
	for {
		if err := r.evaluate(r.y); err != nil {
			return nil, err
		}
		if r.done() {
			return r.outcome(0)
		}
		dense.Axpy(-1, r.grad, r.y)
		r.mon.Step(r.norm())
		r.mon.Status.Evaluations++
	}
}

// complementarity returns <S X S, A-> for A = C + Diag y, X = A+ and S = Diag(scale). Since X A- = 0 it is the sum of l_i |l_j| (v_i' (S - I) v_j)^2 over
// positive eigenvalues l_i and negative l_j, in which nothing cancels.
func (r *correlationRun) complementarity(scale []float64) (sum float64) {
	n, neg := len(scale), r.s.negative
	if neg == 0 || neg == n {
		return 0
	}
	v := r.s.vectors
	t, m := r.s.matrix(n, neg), r.s.matrix(n-neg, neg)
	for i := range n {
		dense.Scale(scale[i]-1, v.Row(i)[:neg], t.Row(i))
	}
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, v.View(0, neg, n, n-neg), t, 0, m)
	for i := range m.Rows {
		for j, x := range m.Row(i) {
			sum -= r.s.values[neg+i] * r.s.values[j] * x * x
		}
	}
	return sum
}
