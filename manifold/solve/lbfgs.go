package solve

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

var lbfgs = Solver{
	Name: "lbfgs",
	What: "limited-memory BFGS with transport by keeping coordinates; first derivatives, superlinear in practice",
	Run:  LBFGS,
}

// newtonStep is the length of a step from which on pairs tell less about the Hessian than a Newtonian preconditioner, because it changes, and frames may turn, along the way.
const newtonStep = 0.02

// pairsLengthen is the factor by which pairs may lengthen the direction of a preconditioner.
const pairsLengthen = 10

// LBFGS runs the Riemannian limited-memory BFGS method (Huang, Gallivan and Absil, SIAM J. Optim. 25 (2015) 1660-1685) with the two-loop
// recursion of Nocedal. On a manifold with free transport the stored pairs are never touched. A Preconditioner takes the place of the first approximation of the
// inverse Hessian; pairs that make a step much longer than its own are forgotten, and so are all of them after a step along which the curvature changes, with a Newtonian
// one after any longer than 0.02. Its own steps need not flatten the cost. Memory: 2 Options.Memory vectors.
func LBFGS(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error) {
	r, err := begin("lbfgs", m, f, start, o)
	if err != nil {
		return nil, err
	}
	q := newQuasiNewton(r)
	if err := r.keep(q.fields); err != nil {
		return nil, err
	}
	q.forget()
	for !r.done() {
		if err := q.direction(); err != nil {
			return nil, err
		}
		slope, first := m.Inner(r.x.point, q.d, r.x.grad), 1.0
		norm := math.Sqrt(m.Inner(r.x.point, q.d, q.d))
		if q.count == 0 {
			first = r.firstTrial(norm)
		}
		astray, err := q.astray(norm)
		if err != nil {
			return nil, err
		}
		if astray {
			q.count = 0
			continue
		}
		if !(slope < 0) {
			if q.count == 0 {
				r.stalled("the gradient is not a descent direction")
				break
			}
			q.count = 0
			continue
		}
		t, ok, err := r.lineSearch(q.d, slope, first, r.x.cost, r.prec == nil || q.count > 0)
		if err != nil {
			return nil, err
		}
		if !ok {
			if q.count == 0 {
				r.stalled("no step along the gradient decreases the cost")
				break
			}
			q.count = 0
			continue
		}
		r.accept(t * norm)
		q.remember(t, slope)
		q.forget()
	}
	return r.result()
}

// quasiNewton keeps the last pairs of steps and gradient changes in a ring, as images where the manifold has them.
type quasiNewton struct {
	r     *run
	image manifold.Isometric // nil where the pairs are tangent vectors
	s, y  [][]float64
	rho   []float64
	alpha []float64
	next  int // slot of the next pair
	count int // pairs in use
	gamma float64
	d, t  []float64 // the direction; scratch
	w     []float64 // the direction as the pairs are kept: d itself without images
}

func newQuasiNewton(r *run) *quasiNewton {
	k, n := r.o.Memory, len(r.x.grad)
	q := &quasiNewton{r: r, s: make([][]float64, k), y: make([][]float64, k), rho: make([]float64, k), alpha: make([]float64, k),
		d: r.vector(n), t: r.vector(n)}
	q.w = q.d
	if image, ok := r.m.(manifold.Isometric); ok && r.free {
		q.image, q.w = image, r.vector(image.ImageLen())
	}
	return q
}

// pair returns the vectors of a slot, which it makes when they are needed first.
func (q *quasiNewton) pair(i int) (s, y []float64) {
	if q.s[i] == nil {
		q.s[i], q.y[i] = q.r.vector(len(q.w)), q.r.vector(len(q.w))
	}
	return q.s[i], q.y[i]
}

func (q *quasiNewton) fields(c *codec) {
	c.integer(&q.next)
	c.integer(&q.count)
	c.float(&q.gamma)
	c.vector(q.rho)
	k := len(q.s)
	if q.next < 0 || q.next >= k || q.count < 0 || q.count > k {
		c.fail("pair %d of %d in a memory of %d", q.next, q.count, k)
		return
	}
	for j := 1; j <= q.count; j++ {
		s, y := q.pair((q.next - j + k) % k)
		c.vector(s)
		c.vector(y)
	}
}

// inner returns the inner product of two vectors kept as the pairs are.
func (q *quasiNewton) inner(u, v []float64) float64 {
	if q.image != nil {
		return dense.Dot(u, v)
	}
	return q.r.m.Inner(q.r.x.point, u, v)
}

// direction sets d, and w, to minus the approximate inverse Hessian times the gradient.
func (q *quasiNewton) direction() error {
	r, k := q.r, len(q.s)
	if r.prec != nil && q.count == 0 {
		if err := r.precondition(q.d, r.x.grad); err != nil {
			return err
		}
		dense.Scale(-1, q.d, q.d)
		q.set(q.d)
		return nil
	}
	q.set(r.x.grad)
	dense.Scale(-1, q.w, q.w)
	for j := 1; j <= q.count; j++ {
		i := (q.next - j + k) % k
		q.alpha[i] = q.rho[i] * q.inner(q.s[i], q.w)
		dense.Axpy(-q.alpha[i], q.y[i], q.w)
	}
	if r.prec != nil {
		q.full()
		copy(q.t, q.d)
		if err := r.precondition(q.d, q.t); err != nil {
			return err
		}
		q.set(q.d)
	} else if q.count > 0 {
		dense.Scale(q.gamma, q.w, q.w)
	}
	for j := q.count; j >= 1; j-- {
		i := (q.next - j + k) % k
		beta := q.rho[i] * q.inner(q.y[i], q.w)
		dense.Axpy(q.alpha[i]-beta, q.s[i], q.w)
	}
	q.full()
	return nil
}

// forget forgets the pairs if the last step was too long for them to tell more than a Newtonian preconditioner.
func (q *quasiNewton) forget() {
	if n, ok := q.r.prec.(Newtonian); ok && n.Newtonian() && q.r.status.StepNorm > newtonStep {
		q.count = 0
	}
}

// astray tells whether the pairs make the direction, of the given norm, much longer than the preconditioner alone would: they are from where that was another.
// Directions of usual length are not looked at.
func (q *quasiNewton) astray(norm float64) (bool, error) {
	r := q.r
	if r.prec == nil || q.count == 0 || norm <= r.longStep() {
		return false, nil
	}
	if err := r.precondition(q.t, r.x.grad); err != nil {
		return false, err
	}
	return norm > pairsLengthen*math.Sqrt(r.m.Inner(r.x.point, q.t, q.t)), nil
}

// set makes w what is kept of v.
func (q *quasiNewton) set(v []float64) {
	if q.image != nil {
		q.image.Image(q.w, v)
	} else {
		copy(q.w, v)
	}
}

// full makes d the vector of w.
func (q *quasiNewton) full() {
	if q.image != nil {
		q.image.Preimage(q.d, q.w)
	}
}

// remember stores the pair of the step t*d that was just accepted, d having had the given slope; a pair without positive curvature is dropped.
func (q *quasiNewton) remember(t, slope float64) {
	r, k := q.r, len(q.s)
	if !r.free {
		for j := 1; j <= q.count; j++ {
			i := (q.next - j + k) % k
			r.carry(q.s[i])
			r.carry(q.y[i])
		}
		r.carry(q.d)
		r.carry(r.y.grad)
	}
	if r.prec != nil && r.bent(t, slope, r.m.Inner(r.x.point, q.d, r.x.grad)) {
		q.count = 0
		return
	}
	s, y := q.pair(q.next)
	dense.Scale(t, q.w, s)
	dense.Blend(1, r.x.grad, -1, r.y.grad, q.t)
	q.set(q.t)
	copy(y, q.w)
	sy, yy, ss := q.inner(s, y), q.inner(y, y), q.inner(s, s)
	if !(sy > 1e-10*math.Sqrt(ss*yy)) {
		if q.count == k {
			q.count--
		}
		return
	}
	q.rho[q.next], q.gamma = 1/sy, sy/yy
	q.next = (q.next + 1) % k
	q.count = min(q.count+1, k)
}
