package solve

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

var bfgs = Solver{
	Name:  "bfgs",
	What:  "quasi-Newton with the whole inverse Hessian: BFGS, DFP, the middle of both, or SR1; first derivatives, for few dimensions",
	Needs: "nothing but a gradient; a manifold with RandomTangent",
	Run:   BFGS,
}

// Update names the rule by which BFGS learns from a step s and the change y of the gradient along it. H is the approximate inverse Hessian.
type Update int

const (
	// BFGSUpdate is H_DFP + v v^T with v = (y^T H y)^1/2 (s/s^T y - H y/y^T H y). The default.
	BFGSUpdate Update = iota
	// BroydenUpdate is H_DFP + v v^T/2, the middle of the convex class of Broyden.
	BroydenUpdate
	// DFPUpdate is H - H y y^T H/y^T H y + s s^T/s^T y: slow to mend a bad H under searches that are not exact, here for comparison.
	DFPUpdate
	// SR1Update is H + u u^T/u^T y with u = s - H y: it need not stay positive definite, and starts again where the direction does not descend.
	SR1Update
)

// updates lists the names in the order of the constants.
var updates = [...]string{"bfgs", "broyden", "dfp", "sr1"}

// String returns the name of the rule.
func (u Update) String() string {
	if u < 0 || int(u) >= len(updates) {
		return "unknown"
	}
	return updates[u]
}

// Updates returns every rule, the default first.
func Updates() []Update {
	all := make([]Update, len(updates))
	for i := range all {
		all[i] = Update(i)
	}
	return all
}

const (
	fullMatrixLimit = 2000  // dimensions, about n = 62 for SPD matrices: 32 MB of inverse Hessian, and a basis of the tangent space beside it
	curvatureFloor  = 1e-10 // share of |s| |y| that s^T y must have
	rankOneFloor    = 1e-8  // share of |u| |y| that u^T y must have
)

// BFGS runs the Riemannian quasi-Newton methods of the Broyden class (Huang, Gallivan and Absil, SIAM J. Optim. 25 (2015) 1660-1685; the updates as in Nocedal
// and Wright, Numerical Optimization, 2006, chapter 6), or the symmetric rank-one update, with the rule Options.Update and the Wolfe search of LBFGS. The inverse
// Hessian is a d x d matrix in an orthonormal basis of the tangent space, d its dimension, that is carried along; where transport is free it is never touched.
// d^2 operations and d inner products an iteration; the basis takes d^2/2 inner products at the start, or after every step where transport is not free. At most
// 2000 dimensions: beyond, and nearly always from a hundred on, LBFGS is the better choice. A Preconditioner is not used.
func BFGS(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error) {
	r, err := begin("bfgs", m, f, start, o)
	if err != nil {
		return nil, err
	}
	q, err := newFullMatrix(r)
	if err != nil {
		return nil, err
	}
	if err := r.keep(q.fields); err != nil {
		return nil, err
	}
	q.project(q.g, r.x.grad)
	for !r.done() {
		slope := q.direction()
		if !(slope < 0 && finite(slope)) {
			if q.fresh {
				r.stalled("the gradient is not a descent direction")
				break
			}
			q.restart()
			continue
		}
		norm, first := math.Sqrt(dense.Dot(q.s, q.s)), 1.0
		if q.fresh {
			first = r.firstStep() / norm
		}
		t, ok, err := r.lineSearch(q.d, slope, first, r.x.cost, true)
		if err != nil {
			return nil, err
		}
		if !ok {
			if q.fresh {
				r.stalled("no step along the gradient decreases the cost")
				break
			}
			q.restart()
			continue
		}
		r.accept(t * norm)
		if err := q.learn(t); err != nil {
			return nil, err
		}
	}
	return r.result()
}

// fullMatrix is the inverse Hessian in an orthonormal basis of the tangent space at x.
type fullMatrix struct {
	r        *run
	basis    [][]float64
	h        dense.Matrix[float64]
	g        []float64 // coordinates of the gradient
	s, y, hy []float64 // of the step, the change of the gradient, H y
	d        []float64 // the direction as a tangent vector
	fresh    bool      // h is I
}

func newFullMatrix(r *run) (*fullMatrix, error) {
	basis, err := tangentBasis("bfgs", r.m, r.x.point, fullMatrixLimit)
	if err != nil {
		return nil, err
	}
	d := len(basis)
	q := &fullMatrix{r: r, basis: basis, h: dense.New[float64](d, d), g: make([]float64, d), s: make([]float64, d), y: make([]float64, d), hy: make([]float64, d),
		d: make([]float64, len(r.x.grad))}
	q.restart()
	return q, nil
}

func (q *fullMatrix) fields(c *codec) {
	d := len(q.basis)
	if c.integer(&d); d != len(q.basis) {
		c.fail("an inverse Hessian in %d dimensions, this run has %d", d, len(q.basis))
		return
	}
	c.identity("the update", q.r.o.Update.String())
	c.flag(&q.fresh)
	c.vector(q.h.Data)
	for _, b := range q.basis {
		c.vector(b)
	}
}

func (q *fullMatrix) restart() {
	clear(q.h.Data)
	for i := range q.h.Rows {
		q.h.Set(i, i, 1)
	}
	q.fresh = true
}

// project writes the coordinates of the tangent vector v at x.
func (q *fullMatrix) project(dst, v []float64) {
	for i, b := range q.basis {
		dst[i] = q.r.m.Inner(q.r.x.point, b, v)
	}
}

// direction sets s and d to -H g and returns the slope along them.
func (q *fullMatrix) direction() float64 {
	dense.Gemv(dense.NoTrans, -1, q.h, q.g, 0, q.s)
	clear(q.d)
	for i, b := range q.basis {
		dense.Axpy(q.s[i], b, q.d)
	}
	return dense.Dot(q.s, q.g)
}

// learn carries the basis to the new point and updates H by the step t s.
func (q *fullMatrix) learn(t float64) error {
	if err := q.carry(); err != nil {
		return err
	}
	dense.Scale(t, q.s, q.s)
	copy(q.hy, q.g)
	q.project(q.g, q.r.x.grad)
	for i, g := range q.g {
		q.y[i] = g - q.hy[i]
	}
	sy, yy, ss := dense.Dot(q.s, q.y), dense.Dot(q.y, q.y), dense.Dot(q.s, q.s)
	if q.fresh && sy > curvatureFloor*math.Sqrt(ss*yy) {
		scale := sy / yy
		if q.r.o.Update == SR1Update {
			scale /= 2 // at sy/yy the first update has no denominator
		}
		dense.Scale(scale, q.h.Data, q.h.Data)
		q.fresh = false
	}
	dense.Gemv(dense.NoTrans, 1, q.h, q.y, 0, q.hy)
	if q.r.o.Update == SR1Update {
		q.rankOne(math.Sqrt(yy))
	} else if sy > curvatureFloor*math.Sqrt(ss*yy) {
		q.rankTwo(sy)
	}
	return nil
}

// rankOne is the symmetric rank-one update; one whose denominator is small is left out.
func (q *fullMatrix) rankOne(y float64) {
	u := q.s
	dense.Axpy(-1, q.hy, u)
	uy := dense.Dot(u, q.y)
	if norm := math.Sqrt(dense.Dot(u, u)); !(math.Abs(uy) > rankOneFloor*norm*y) {
		return
	}
	for i, v := range u {
		dense.Axpy(v/uy, u, q.h.Row(i))
	}
}

// rankTwo is the update of the Broyden class.
func (q *fullMatrix) rankTwo(sy float64) {
	yhy := dense.Dot(q.y, q.hy)
	if !(yhy > 0) {
		return
	}
	share := [...]float64{BFGSUpdate: 1, BroydenUpdate: 0.5, DFPUpdate: 0}[q.r.o.Update]
	// share v v^T = share (yhy/sy^2 s s^T - (s hy^T + hy s^T)/sy + hy hy^T/yhy)
	ss, sh, hh := 1/sy+share*yhy/(sy*sy), -share/sy, (share-1)/yhy
	for i := range q.s {
		row := q.h.Row(i)
		dense.Axpy(ss*q.s[i]+sh*q.hy[i], q.s, row)
		dense.Axpy(sh*q.s[i]+hh*q.hy[i], q.hy, row)
	}
}

// carry transports the basis to x and makes it orthonormal there.
func (q *fullMatrix) carry() error {
	r := q.r
	if r.free {
		return nil
	}
	for i, b := range q.basis {
		r.carry(b)
		norm := orthogonalise(r.m, r.x.point, q.basis[:i], b)
		if !(norm > basisLoss) {
			return fmt.Errorf("solve: iteration %d: transport carries %d basis vectors to dependent ones", r.status.Iteration, i+1)
		}
		dense.Scale(1/norm, b, b)
	}
	return nil
}
