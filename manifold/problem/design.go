package problem

import (
	"fmt"
	"math"
	"slices"

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
	t    [2]float64            // what the last exchange subtracts from M^-1 is the sum of t w w'
	rest dense.Matrix[float64] // scratch as y
	z    []float64             // scratch of the size of y
	free []int                 // scratch of newtonStep
	gram []float64             // scratch of squares, as large as the largest asked for
	unit float64               // log det M of I in the coordinates that the points came in

	parts            rowParts
	multiply, change func(part, from, to int) // passes of exchange
	active           *design                  // the promising points
	index            []int                    // of points that are copied
}

// exchanges is the number of exchanges that make an iteration; M^-1 and g are computed afresh after each.
const exchanges = 100

// promisingShare is the share of d that g of a point without weight must reach to be among the promising ones.
const promisingShare = 0.98

func newDesign(y dense.Matrix[float64]) *design {
	N, d := y.Rows, y.Cols
	s := &design{y: y, u: make([]float64, N), g: make([]float64, N), inv: dense.New[float64](d, d), rest: dense.New[float64](N, d), z: make([]float64, N*d)}
	for k := range s.w {
		s.w[k], s.p[k] = make([]float64, d), make([]float64, N)
	}
	s.active = &design{inv: s.inv, w: s.w, u: make([]float64, N), g: make([]float64, N)}
	s.active.multiply, s.active.change = s.active.multiplyPart, s.active.changePart
	s.span()
	return s
}

// span gives equal weights to as many points as there are dimensions, each the one that reaches farthest out of the span of those before: that saves dropping all
// others one by one (Kumar and Yildirim, J. Optim. Theory Appl. 126 (2005)). The points are whitened, so that their mean square outside of a subspace is its codimension,
// and the largest is no difference of much larger ones.
func (s *design) span() {
	d := s.y.Cols
	outside, along, basis := s.p[0], s.p[1], dense.New[float64](d, d)
	dense.RowDots(s.y, s.y, outside)
	var axis []float64
	project := func(_, from, to int) {
		dense.Gemv(dense.NoTrans, 1, s.y.View(from, 0, to-from, d), axis, 0, along[from:to])
		for i, p := range along[from:to] {
			outside[from+i] -= p * p
		}
	}
	for k := range d {
		best, farthest := 0, 0.0
		for i, q := range outside {
			if q > farthest && s.u[i] == 0 {
				best, farthest = i, q
			}
		}
		s.u[best] += 1 / float64(d)
		axis = basis.Row(k)
		copy(axis, s.y.Row(best))
		before, parts := basis.View(0, 0, k, d), s.w[0][:k]
		for range 2 { // rounding
			dense.Gemv(dense.NoTrans, 1, before, axis, 0, parts)
			dense.Gemv(dense.Transposed, -1, before, parts, 1, axis)
			dense.Scale(1/math.Sqrt(dense.Dot(axis, axis)), axis, axis)
		}
		s.parts.run(s.y.Rows, passRows(d), project)
	}
}

// moment returns M(u), complete.
func (s *design) moment() dense.Matrix[float64] {
	d := s.y.Cols
	s.index = s.index[:0]
	for i, u := range s.u {
		if u > 0 {
			s.index = append(s.index, i)
		}
	}
	k := len(s.index)
	scaled, plain, m := dense.Wrap(k, d, s.z), s.rest.View(0, 0, k, d), dense.New[float64](d, d)
	s.parts.run(k, passRows(d), func(_, from, to int) {
		for j, i := range s.index[from:to] {
			dense.Scale(s.u[i], s.y.Row(i), scaled.Row(from+j))
			copy(plain.Row(from+j), s.y.Row(i))
		}
	})
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, scaled, plain, 0, m)
	dense.Mirror(m)
	return m
}

// refresh computes M^-1 and g from u and returns log det M in the coordinates that the points came in.
func (s *design) refresh() (float64, error) {
	f, err := manifold.NewFrame(symmetric(s.moment()))
	if err != nil {
		return 0, &DataError{Where: "moment matrix", Err: err, Remedy: "the points lie nearly in a subspace: drop dependent columns, or scale them to equal size"}
	}
	d, inverse := s.y.Cols, view(f.Inverse())
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, inverse, inverse, 0, s.inv)
	dense.Mirror(s.inv)
	all := dense.Wrap(s.y.Rows, d, s.z)
	s.parts.run(s.y.Rows, productRows(s.y.Rows, d), func(_, from, to int) {
		z := all.View(from, 0, to-from, d)
		dense.MulLowerRight(dense.Transposed, inverse, s.y.View(from, 0, to-from, d), z) // F is a Cholesky factor
		dense.RowDots(z, z, s.g[from:to])
	})
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

// exchange moves weight from the point farthest inside to the one farthest outside: log det M grows by
// log((1 + c g_i)(1 - c g_j) + c^2 g_ij^2), which is largest at c = (g_i - g_j)/(2 (g_i g_j - g_ij^2)). M^-1 and g are renewed by the formula of Sherman and Morrison,
// M^-1 - t w w', t = c/(1 + c y'w), w = M^-1 y, for one point and then the other.
func (s *design) exchange(most, least int) float64 {
	d := s.y.Cols
	s.index = append(s.index[:0], most, least)
	s.parts.run(d, passRows(d), s.multiply)
	gi, gj, gij := s.g[most], s.g[least], dense.Dot(s.w[0], s.y.Row(least))
	c := s.u[least]
	if det := gi*gj - gij*gij; 2*det*c > gi-gj {
		c = (gi - gj) / (2 * det)
	}
	if !(c > 0) {
		return 0
	}
	s.t[0] = c / (1 + c*gi)
	dense.Axpy(-s.t[0]*gij, s.w[0], s.w[1])
	s.t[1] = -c / (1 - c*(gj-s.t[0]*gij*gij))
	s.u[most] += c
	s.u[least] = max(s.u[least]-c, 0)
	s.parts.run(s.changed()+d, passRows(d), s.change)
	return c
}

// multiplyPart sets rows of w to M^-1 y for the two points of index.
func (s *design) multiplyPart(_, from, to int) {
	rows := s.inv.View(from, 0, to-from, s.y.Cols)
	for side, w := range s.w {
		dense.Gemv(dense.NoTrans, 1, rows, s.y.Row(s.index[side]), 0, w[from:to])
	}
}

// changed is the number of points, rounded up to full parts; the rows of M^-1 follow them in the last pass of an exchange.
func (s *design) changed() int {
	each := passRows(s.y.Cols)
	return dense.PartsOf(s.y.Rows, each) * each
}

// changePart subtracts t p^2, p = y w, from g, or rows of t w w' from M^-1, for both sides.
func (s *design) changePart(_, from, to int) {
	if first := s.changed(); from >= first {
		for i := from - first; i < to-first; i++ {
			for side, w := range s.w {
				dense.Axpy(-s.t[side]*w[i], w, s.inv.Row(i))
			}
		}
		return
	}
	to = min(to, s.y.Rows)
	y, g := s.y.View(from, 0, to-from, s.y.Cols), s.g[from:to]
	for side, w := range s.w {
		p, t := s.p[side][from:to], s.t[side]
		dense.Gemv(dense.NoTrans, 1, y, w, 0, p)
		for i, x := range p {
			g[i] -= t * x * x
		}
	}
}

// promising returns the points that have weight or may soon get some, and their indices: the exchanges of one iteration are among these, and all are
// looked at again after it. M^-1 is shared. The next call overwrites them, as moment and squares overwrite the points.
func (s *design) promising() (*design, []int) {
	d, a := s.y.Cols, s.active
	s.index = s.index[:0]
	least := promisingShare * float64(d)
	for i, g := range s.g {
		if s.u[i] > 0 || g >= least {
			s.index = append(s.index, i)
		}
	}
	k := len(s.index)
	a.y, a.u, a.g = s.rest.View(0, 0, k, d), a.u[:k], a.g[:k]
	for side := range a.p {
		a.p[side] = s.p[side][:k]
	}
	s.copyPoints(s.index, a.y)
	for j, i := range s.index {
		a.u[j], a.g[j] = s.u[i], s.g[i]
	}
	return a, s.index
}

// copyPoints sets the rows of y to the points of an index.
func (s *design) copyPoints(index []int, y dense.Matrix[float64]) {
	s.parts.run(len(index), passRows(y.Cols), func(_, from, to int) {
		for j, i := range index[from:to] {
			copy(y.Row(from+j), s.y.Row(i))
		}
	})
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
	r, _, err := maximize(s, o)
	if err != nil {
		return nil, fmt.Errorf("mve: %w", err)
	}
	c, inverse, farthest, err := s.ellipsoid(l, x)
	if err != nil {
		return nil, fmt.Errorf("mve: %w", err)
	}
	r.Objective = -logDetSquare(inverse)
	blow := max(math.Log(farthest), 0)
	r.Certificate.Value += math.Sqrt(float64(n)) * blow
	solution := dense.New[float64](n, n)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, inverse, inverse, 0, solution)
	dense.Axpy(1, shift, c)
	return &outcome{run: r, n: n, count: N, solution: symmetric(solution),
		parts: []Part{vectorPart("center", c), vectorPart("weights", s.u), numberPart("log_volume", r.Objective/2+logBall(n)), numberPart("log_det_gap", float64(n)*blow)}}, nil
}

// ellipsoid returns the center L c and the triangular T of the ellipsoid |T (L x - L c)| <= 1 for the whitened points x: with c = sum u x it is
// (T L)' (T L) = (n (sum u x x' - c c'))^-1, no larger than any that contains all points, over farthest, so that it contains them to rounding.
func (s *design) ellipsoid(l, x dense.Matrix[float64]) (center []float64, t dense.Matrix[float64], farthest float64, err error) {
	n, m := x.Cols, s.moment()
	c, scatter := m.Row(n)[:n], m.View(0, 0, n, n).Clone()
	dense.Ger(-1, c, c, scatter)
	dense.Scale(float64(n), scatter.Data, scatter.Data)
	f, err := manifold.NewFrame(symmetric(scatter))
	if err != nil {
		return nil, t, 0, err
	}
	farthest = s.farthest(view(f.Inverse()), x, c)
	t = dense.New[float64](n, n)
	dense.MulLower(dense.NoTrans, l, view(f.F()), t)
	dense.Scale(math.Sqrt(farthest), t.Data, t.Data)
	dense.InvertLower(t)
	center = make([]float64, n)
	dense.Gemv(dense.NoTrans, 1, l, c, 0, center)
	return center, t, farthest, nil
}

// farthest returns the largest |L (x - c)|^2 of the rows x.
func (s *design) farthest(l, x dense.Matrix[float64], c []float64) float64 {
	n := x.Cols
	moved, z, lengths := dense.Wrap(x.Rows, n, s.rest.Data), dense.Wrap(x.Rows, n, s.z), s.p[0]
	s.parts.run(x.Rows, productRows(x.Rows, n), func(_, from, to int) {
		for i := from; i < to; i++ {
			dense.Blend(1, x.Row(i), -1, c, moved.Row(i))
		}
		z := z.View(from, 0, to-from, n)
		dense.MulLowerRight(dense.Transposed, l, moved.View(from, 0, to-from, n), z)
		dense.RowDots(z, z, lengths[from:to])
	})
	return slices.Max(lengths)
}

// logBall is the logarithm of the volume of the unit ball in n dimensions.
func logBall(n int) float64 {
	g, _ := math.Lgamma(float64(n)/2 + 1)
	return float64(n)/2*math.Log(math.Pi) - g
}
