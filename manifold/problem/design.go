package problem

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

var dopt = Problem{
	Name:  "dopt",
	What:  "D-optimal design: maximize log det sum u_i x_i x_i' over weights u on the simplex; the solution is that information matrix",
	Input: "candidate points (N x n, N >= n)",
	Takes: Samples,
	Own: []Method{
		{Name: "exchange", What: designWhat, direct: doptBy((*design).maximize)},
		{Name: "trust", What: sphereWhat, direct: doptBy((*design).maximizeOnSphere), resumes: true},
	},
}

var mve = Problem{
	Name:  "mve",
	What:  "minimum-volume enclosing ellipsoid (x - c)' X (x - c) <= 1 of points",
	Input: "points (N x n, N > n, not in a hyperplane)",
	Takes: Samples,
	Own: []Method{
		{Name: "exchange", What: designWhat, direct: mveBy((*design).maximize)},
		{Name: "trust", What: sphereWhat, direct: mveBy((*design).maximizeOnSphere), resumes: true},
	},
}

const designWhat = "vertex exchange on the weights with exact line searches and rank-one updates (Bohning, Metrika 33 (1986)), 100 exchanges an iteration, and then " +
	"projected Newton steps on the weights that remain"

const sphereWhat = "Riemannian trust region on the unit sphere, the weights being the squares of the coordinates, as a cross-check"

// design maximizes log det M(u), M(u) = sum u_i y_i y_i', over the simplex. With g_i = y_i' M^-1 y_i the Kiefer-Wolfowitz theorem says that u is optimal
// if and only if max g_i = d, and the optimum is at most d log(max g_i/d) above.
type design struct {
	y    dense.Matrix[float64] // points as rows, N x d
	u, g []float64
	inv  dense.Matrix[float64] // M^-1
	w, p [2][]float64
	rest dense.Matrix[float64] // y outside the span of the first points, and then scratch as z
	z    []float64             // scratch of the size of y
	free []int                 // scratch of newtonStep
	gram []float64             // scratch of squares, as large as the largest asked for
	unit float64               // log det M of I in the coordinates that the points came in
}

// exchanges is the number of exchanges that make an iteration; M^-1 and g are computed afresh after each.
const exchanges = 100

// promisingShare is the share of d that g of a point without weight must reach to be among the promising ones.
const promisingShare = 0.98

// projectRows is the number of points that are multiplied by both vectors of an exchange before the next.
const projectRows = 128

func newDesign(y dense.Matrix[float64]) *design {
	N, d := y.Rows, y.Cols
	s := &design{y: y, u: make([]float64, N), g: make([]float64, N), inv: dense.New[float64](d, d), rest: y.Clone(), z: make([]float64, N*d)}
	for k := range s.w {
		s.w[k], s.p[k] = make([]float64, d), make([]float64, N)
	}
	for range d {
		s.u[s.independent()] += 1 / float64(d)
	}
	return s
}

// independent returns the point that reaches farthest out of the span of those with weight, and projects it out of rest. Starting with as many points
// as dimensions saves dropping all others one by one (Kumar and Yildirim, J. Optim. Theory Appl. 126 (2005)).
func (s *design) independent() (best int) {
	var longest float64
	for i := range s.rest.Rows {
		if q := dense.Dot(s.rest.Row(i), s.rest.Row(i)); q > longest && s.u[i] == 0 {
			best, longest = i, q
		}
	}
	copy(s.w[0], s.rest.Row(best))
	dense.Gemv(dense.NoTrans, -1/longest, s.rest, s.w[0], 0, s.p[0])
	dense.Ger(1, s.p[0], s.w[0], s.rest)
	return best
}

// moment returns M(u), complete.
func (s *design) moment() dense.Matrix[float64] {
	d, k := s.y.Cols, 0
	scaled, plain, m := dense.Wrap(s.y.Rows, d, s.z), s.rest, dense.New[float64](d, d)
	for i, u := range s.u {
		if u > 0 {
			dense.Scale(u, s.y.Row(i), scaled.Row(k))
			copy(plain.Row(k), s.y.Row(i))
			k++
		}
	}
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, scaled.View(0, 0, k, d), plain.View(0, 0, k, d), 0, m)
	dense.Mirror(m)
	return m
}

// refresh computes M^-1 and g from u and returns log det M in the coordinates that the points came in.
func (s *design) refresh() (float64, error) {
	f, err := manifold.NewFrame(symmetric(s.moment()))
	if err != nil {
		return 0, &DataError{Where: "moment matrix", Err: err, Remedy: "the points lie nearly in a subspace: drop dependent columns, or scale them to equal size"}
	}
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, view(f.Inverse()), view(f.Inverse()), 0, s.inv)
	dense.Mirror(s.inv)
	z := dense.Wrap(s.y.Rows, s.y.Cols, s.z)
	dense.MulLowerRight(dense.Transposed, view(f.Inverse()), s.y, z) // F is a Cholesky factor
	for i := range s.g {
		s.g[i] = dense.Dot(z.Row(i), z.Row(i))
	}
	return f.LogDet() + s.unit, nil
}

// extremes returns the point with the largest g, that with the smallest g among those with weight, and by how much they miss d, relative to d. They are the
// same where rounding has left weight on no other point.
func (s *design) extremes() (most, least int, above, below float64) {
	least = -1
	for i, g := range s.g {
		if g > s.g[most] {
			most = i
		}
		if s.u[i] > 0 && (least < 0 || g < s.g[least]) {
			least = i
		}
	}
	if least < 0 {
		least = most
	}
	d := float64(s.y.Cols)
	return most, least, s.g[most]/d - 1, 1 - s.g[least]/d
}

// project sets w to M^-1 y_k and M^-1 y_l, and p to y w, in one pass over the points.
func (s *design) project(k, l int) {
	dense.Gemv(dense.NoTrans, 1, s.inv, s.y.Row(k), 0, s.w[0])
	dense.Gemv(dense.NoTrans, 1, s.inv, s.y.Row(l), 0, s.w[1])
	for first := 0; first < s.y.Rows; first += projectRows {
		end := min(first+projectRows, s.y.Rows)
		y := s.y.View(first, 0, end-first, s.y.Cols)
		dense.Gemv(dense.NoTrans, 1, y, s.w[0], 0, s.p[0][first:end])
		dense.Gemv(dense.NoTrans, 1, y, s.w[1], 0, s.p[1][first:end])
	}
}

// exchange moves weight from the point farthest inside to the one farthest outside: log det M grows by
// log((1 + c g_i)(1 - c g_j) + c^2 g_ij^2), which is largest at c = (g_i - g_j)/(2 (g_i g_j - g_ij^2)).
func (s *design) exchange(most, least int) float64 {
	s.project(most, least)
	gi, gj, gij := s.g[most], s.g[least], s.p[0][least]
	c := s.u[least]
	if det := gi*gj - gij*gij; 2*det*c > gi-gj {
		c = (gi - gj) / (2 * det)
	}
	if !(c > 0) {
		return 0
	}
	left := s.u[least] - c
	t := s.move(0, most, c)
	dense.Axpy(-t*gij, s.w[0], s.w[1])
	dense.Axpy(-t*gij, s.p[0], s.p[1])
	s.move(1, least, -c)
	s.u[least] = max(left, 0)
	return c
}

// move adds c to the weight of point k, w[side] = M^-1 y_k and p[side] = y M^-1 y_k for the present M, and renews M^-1 and g by the formula of Sherman and
// Morrison, M^-1 - t w w'. It returns t.
func (s *design) move(side, k int, c float64) float64 {
	t := c / (1 + c*s.g[k])
	for i, p := range s.p[side] {
		s.g[i] -= t * p * p
	}
	s.u[k] += c
	dense.Ger(-t, s.w[side], s.w[side], s.inv)
	return t
}

// promising returns the points that have weight or may soon get some, and their indices: the exchanges of one iteration are among these, and all are
// looked at again after it. M^-1 is shared.
func (s *design) promising() (*design, []int) {
	var index []int
	least := promisingShare * float64(s.y.Cols)
	for i, g := range s.g {
		if s.u[i] > 0 || g >= least {
			index = append(index, i)
		}
	}
	k := len(index)
	a := &design{y: dense.New[float64](k, s.y.Cols), u: make([]float64, k), g: make([]float64, k), inv: s.inv, w: s.w}
	for j, i := range index {
		copy(a.y.Row(j), s.y.Row(i))
		a.u[j], a.g[j] = s.u[i], s.g[i]
	}
	for side := range a.p {
		a.p[side] = s.p[side][:k]
	}
	return a, index
}

// maximize runs until max g <= d (1 + tolerance) holds for freshly computed g.
func (s *design) maximize(o *Options) (r *solve.Result, gap float64, err error) {
	d := s.y.Cols
	mon := newMonitor(&o.Solver, d*d)
	logDet, err := s.refresh()
	if err != nil {
		return nil, 0, err
	}
	near := newtonNear
	for {
		_, _, above, below := s.extremes()
		if mon.done(nil, -logDet, max(above, below), 1) {
			r = mon.result(nil, 0)
			gap, r.Certificate = s.certify()
			return r, gap, nil
		}
		if max(above, below) < near {
			value, moved, ok, err := s.newton(logDet)
			if err != nil {
				return nil, 0, fmt.Errorf("iteration %d: %w", mon.status.Iteration+1, err)
			}
			mon.status.Evaluations++
			if ok {
				logDet = value
				mon.step(moved)
				continue
			}
			near = max(above, below) / 10
		}
		var moved float64
		active, index := s.promising()
		for range exchanges {
			most, least, above, below := active.extremes()
			if max(above, below) <= mon.o.Tolerance || most == least {
				break
			}
			moved += active.exchange(most, least)
			mon.status.Evaluations++
		}
		for k, i := range index {
			s.u[i] = active.u[k]
		}
		if logDet, err = s.refresh(); err != nil {
			return nil, 0, fmt.Errorf("iteration %d: %w", mon.status.Iteration+1, err)
		}
		mon.step(moved)
	}
}

// maximizer is a way to solve a design problem; it leaves u, g and the inverse of the moment matrix fresh.
type maximizer func(s *design, o *Options) (r *solve.Result, gap float64, err error)

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
	s := newDesign(x)
	s.unit = logDetSquare(l)
	if x.Cols == 1 {
		s.longest()
		maximize = (*design).maximize
	}
	r, gap, err := maximize(s, o)
	if err != nil {
		return nil, fmt.Errorf("dopt: %w", err)
	}
	work, solution := dense.New[float64](x.Cols, x.Cols), dense.New[float64](x.Cols, x.Cols)
	dense.MulLower(dense.NoTrans, l, s.moment(), work)
	dense.MulLowerRight(dense.Transposed, l, work, solution)
	return &outcome{run: r, n: x.Cols, count: x.Rows, solution: symmetric(solution), parts: []Part{vectorPart("weights", s.u), numberPart("log_det_gap", gap)}}, nil
}

// longest puts all weight on the longest of one-dimensional points, which is the optimum.
func (s *design) longest() {
	best := 0
	for i := range s.u {
		s.u[i] = 0
		if math.Abs(s.y.At(i, 0)) > math.Abs(s.y.At(best, 0)) {
			best = i
		}
	}
	s.u[best] = 1
}

func mveBy(maximize maximizer) func(*Data, *Options) (*outcome, error) {
	return func(d *Data, o *Options) (*outcome, error) { return mveRun(d, o, maximize) }
}

// mveRun solves the design problem of the points (x, 1) (Khachiyan, Math. Oper. Res. 21 (1996)), x centred, to cancel nothing, and whitened.
func mveRun(d *Data, o *Options, maximize maximizer) (*outcome, error) {
	x, err := checkSamples(d.Samples)
	if err != nil {
		return nil, err
	}
	N, n := x.Rows, x.Cols
	if N <= n {
		return nil, &DataError{count: true, Err: fmt.Errorf("%d points in %d dimensions enclose no volume", N, n), Remedy: "give more points than dimensions"}
	}
	shift := make([]float64, n)
	for i := range N {
		dense.Axpy(1/float64(N), x.Row(i), shift)
	}
	for i := range N {
		dense.Axpy(-1, shift, x.Row(i))
	}
	l, err := whitenPoints(x, "hyperplane")
	if err != nil {
		return nil, err
	}
	lifted := dense.New[float64](N, n+1)
	for i := range N {
		copy(lifted.Row(i), x.Row(i))
		lifted.Set(i, n, 1)
	}
	s := newDesign(lifted)
	s.unit = logDetSquare(l)
	r, gap, err := maximize(s, o)
	if err != nil {
		return nil, fmt.Errorf("mve: %w", err)
	}
	c, inverse, err := s.ellipsoid(l, x)
	if err != nil {
		return nil, fmt.Errorf("mve: %w", err)
	}
	r.Objective = -logDetSquare(inverse)
	solution := dense.New[float64](n, n)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, inverse, inverse, 0, solution)
	dense.Axpy(1, shift, c)
	return &outcome{run: r, n: n, count: N, solution: symmetric(solution),
		parts: []Part{vectorPart("center", c), vectorPart("weights", s.u), numberPart("log_volume", r.Objective/2+logBall(n)), numberPart("log_det_gap", gap)}}, nil
}

// ellipsoid returns the center L c and the triangular T of the ellipsoid |T (L x - L c)| <= 1 for the whitened points x: with c = sum u x it is
// (T L)' (T L) = (n (sum u x x' - c c'))^-1, blown up so that it contains all points to rounding.
func (s *design) ellipsoid(l, x dense.Matrix[float64]) (center []float64, t dense.Matrix[float64], err error) {
	n, m := x.Cols, s.moment()
	c, scatter := m.Row(n)[:n], m.View(0, 0, n, n).Clone()
	dense.Ger(-1, c, c, scatter)
	dense.Scale(float64(n), scatter.Data, scatter.Data)
	f, err := manifold.NewFrame(symmetric(scatter))
	if err != nil {
		return nil, t, err
	}
	var farthest float64
	z, e := make([]float64, n), make([]float64, n)
	for i := range x.Rows {
		copy(e, x.Row(i))
		dense.Axpy(-1, c, e)
		dense.Gemv(dense.NoTrans, 1, view(f.Inverse()), e, 0, z)
		farthest = max(farthest, dense.Dot(z, z))
	}
	t = dense.New[float64](n, n)
	dense.MulLower(dense.NoTrans, l, view(f.F()), t)
	dense.Scale(math.Sqrt(farthest), t.Data, t.Data)
	dense.InvertLower(t)
	center = make([]float64, n)
	dense.Gemv(dense.NoTrans, 1, l, c, 0, center)
	return center, t, nil
}

// logBall is the logarithm of the volume of the unit ball in n dimensions.
func logBall(n int) float64 {
	g, _ := math.Lgamma(float64(n)/2 + 1)
	return float64(n)/2*math.Log(math.Pi) - g
}
