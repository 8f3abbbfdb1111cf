package problem

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// diagonalForm is a sandwich in the basis of its pencil: with T' A0 T = diag(mu) and T' B0 T = I it is a sum over the elements of Z = T^-1 X T^-T,
//
//	f = f* + 1/2 sum m_ij (Z - Z*)_ij^2,  m_ij = (mu_i + mu_j)/2,
//
// and X = T Z T' is an isometry of the affine-invariant metric. Frames of Z keep the digits of small rows, which those of X lose, so that gradients can be smaller.
type diagonalForm struct {
	*sandwich
	t, back   *mat.Dense            // T and its inverse
	logDet    float64               // log |det T|
	least     float64               // f*
	curvature []float64             // m
	optimum   dense.Matrix[float64] // Z*
	z, g      dense.Matrix[float64] // scratch
	inverse   pencil                // of the point where the preconditioner is
	shown     *manifold.Frame       // a frame of X
}

// diagonalMemo is what belongs to a point: W and Z - Z*.
type diagonalMemo struct {
	w, away  dense.Matrix[float64]
	norms    float64 // |A| |B|
	rounding float64
	single   singlePencil
	ready    bool // single is set,
	narrow   bool // and of use
}

// diagonalCondition is the quotient of the largest and the smallest eigenvalue of the pencil, up to which the basis is used. The smallest one of nearness is a square of what is
// known to the rounding of the largest of its kind, so that the minimizer moves by 4e-9 at most.
const diagonalCondition = 0x1p48

// basis sets back = T^-1 and optimum = Z* for the pencil of a sandwich and m, and returns log |det T| and the least cost.
type basis func(p *pencil, curvature []float64, back, optimum dense.Matrix[float64]) (logDet, least float64)

// newDiagonalForm returns nil where rounding does not allow it.
func newDiagonalForm(q *sandwich) *diagonalForm {
	if q.basis == nil || !q.decomposed() {
		return nil
	}
	p := q.constant
	n := len(p.mu)
	if !(p.mu[n-1] <= diagonalCondition*p.mu[0]) {
		return nil
	}
	c := &diagonalForm{sandwich: q, t: mat.NewDense(n, n, p.t.Data), curvature: q.square().Data, z: q.work[0], g: q.work[1], shown: manifold.IdentityFrame(n, 1)}
	c.inverse = pencil{s: c.z, w: c.g, mu: p.mu, weights: p.weights, roots: p.roots}
	for i, u := range p.mu {
		row := c.curvature[i*n : (i+1)*n]
		for j, v := range p.mu {
			row[j] = (u + v) / 2
		}
	}
	back := q.square()
	c.back, c.optimum = mat.NewDense(n, n, back.Data), q.square()
	c.logDet, c.least = q.basis(p, c.curvature, back, c.optimum)
	return c
}

// NewMemo implements solve.Memoizer.
func (c *diagonalForm) NewMemo() solve.Memo {
	return &diagonalMemo{w: c.square(), away: c.square()}
}

// Evaluate implements solve.Objective: Z = F F' and W = F' [m_ij (Z - Z*)_ij] F. Two products, one and a half with a lower triangular F.
func (c *diagonalForm) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	if err := c.m.Complete(p); err != nil {
		return math.Inf(1), err
	}
	f, m := p.(*manifold.Frame), memo.(*diagonalMemo)
	m.ready = false
	matrix, lower := view(f.F()), strips(f)
	if lower {
		dense.TriangleGram(dense.NoTrans, matrix, c.z)
		dense.MirrorLower(c.z)
	} else {
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, matrix, matrix, 0, c.z)
		dense.Mirror(c.z)
	}
	c.measure(m)
	dense.Blend(1, c.z.Data, -1, c.optimum.Data, m.away.Data)
	dense.Multiply(c.curvature, m.away.Data, c.g.Data)
	cost := c.least + dense.Dot(c.g.Data, m.away.Data)/2
	project(m.w, c.g, matrix, lower, c.z)
	copy(grad, m.w.Data)
	c.m.FromWhitened(f, grad)
	return cost, nil
}

// strips tells whether products with the frame are done in strips that leave out its zeros: those of a single strip save nothing.
func strips(f *manifold.Frame) bool { return f.Lower() && f.Dim() > dense.TriangleStrip }

// measure sets what depends on the size of the elements of Z. A = F' diag(mu) F and B = F'F have the norms of (mu_i mu_j)^1/2 Z_ij and Z. The rounding of Z_ij, two units, is relative
// to (Z_ii Z_jj)^1/2, which W gets times m_ij and the same once more.
func (c *diagonalForm) measure(m *diagonalMemo) {
	var a, b, zz, zmu, zmu2 float64
	for i, u := range c.inverse.mu {
		plain, weighted := dense.WeightedSquares(c.z.Row(i), c.inverse.mu)
		b += plain
		a += u * weighted
		z := c.z.At(i, i)
		zz += z * z
		zmu += z * z * u
		zmu2 += z * z * u * u
	}
	m.norms = math.Sqrt(a) * math.Sqrt(b)
	m.rounding = 0x1p-51 * math.Sqrt((zz*zmu2+zmu*zmu)/2)
}

// GradientScale implements solve.Scaler.
func (c *diagonalForm) GradientScale(float64) float64 { return c.diagonalScale }

// GradientRounding implements solve.Rounder.
func (c *diagonalForm) GradientRounding(memo solve.Memo) float64 {
	return math.Sqrt(c.m.Kappa()) * memo.(*diagonalMemo).rounding
}

// HessianVec implements solve.Hessian: (A eta B + B eta A)/2 is F' [m_ij (F eta F')_ij] F. Four products, three with a lower triangular F.
func (c *diagonalForm) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	f, m, n := p.(*manifold.Frame), memo.(*diagonalMemo), c.known.Dim()
	out, eta, matrix, lower := dense.Wrap(n, n, dst), dense.Wrap(n, n, v), view(f.F()), strips(f)
	expand(c.g, eta, matrix, lower, c.z)
	dense.Multiply(c.curvature, c.g.Data, c.g.Data)
	project(out, c.g, matrix, lower, c.z)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 0.5, eta, m.w, 0, c.z)
	addTransposed(c.g, c.z)
	dense.Axpy(1, c.g.Data, dst)
	c.m.FromWhitened(f, dst)
	return nil
}

// Precondition implements solve.Preconditioner: three products, one and a half for the gradient, which is known in the basis of the pencil; in single precision where that is
// enough.
func (c *diagonalForm) Precondition(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	m, n := memo.(*diagonalMemo), c.known.Dim()
	c.invertAt(m, p.(*manifold.Frame))
	out, r := dense.Wrap(n, n, dst), dense.Wrap(n, n, v)
	if multiple(v, c.m.Kappa(), m.w.Data) { // the gradient
		if m.narrow = m.narrow && m.single.finish(out, m.away, math.Sqrt(dense.Dot(m.w.Data, m.w.Data))); !m.narrow {
			c.inverse.finish(out, m.away)
		}
	} else {
		if m.narrow = m.narrow && m.single.solve(out, r); !m.narrow {
			c.inverse.solve(out, r)
		}
		dense.Scale(1/c.m.Kappa(), dst, dst)
	}
	if d := dense.Dot(dst, v); !(d > 0) || math.IsInf(d, 1) {
		copy(dst, v)
	}
	return nil
}

// invertAt makes the pencils belong to the point of m: T is F^-1.
func (c *diagonalForm) invertAt(m *diagonalMemo, f *manifold.Frame) {
	c.inverse.t, c.inverse.lower = view(f.Inverse()), strips(f)
	if m.ready {
		return
	}
	m.ready = true
	if m.narrow = len(c.inverse.mu) >= singlePencilRows; !m.narrow {
		return
	}
	if c.weights == nil {
		c.weights = newSingleWeights(&c.inverse, &c.lender)
	}
	m.single.shared = c.weights
	m.narrow = m.single.set(&c.inverse, m.norms)
}

// Certify implements solve.Certifier.
func (c *diagonalForm) Certify(p manifold.Point, norm float64, _ solve.Memo) solve.Certificate {
	return c.sandwich.Certify(c.show(p), norm, nil)
}

// show returns the frame of X at p, computed when it is asked for, until it is called again.
func (c *diagonalForm) show(p manifold.Point) *manifold.Frame {
	p.(*manifold.Frame).Congruent(c.shown, nil, c.back, c.logDet)
	return c.shown
}

// enter returns a triangular frame of Z at the frame of X, nil if rounding does not allow one.
func (c *diagonalForm) enter(p *manifold.Frame) *manifold.Frame {
	timesFrame(c.g, view(c.back), p, dense.NoTrans)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, c.g, c.g, 0, c.z)
	n := c.known.Dim()
	f, err := manifold.NewFrameIn(c.vector(2*n*n), mat.NewSymDense(n, c.z.Data))
	if err != nil {
		return nil
	}
	return f
}

// generally runs a general solver in the basis of the pencil, and returns false where rounding does not allow that. What the options see is X.
func (q *sandwich) generally(s solve.Solver, first *manifold.Frame, o solve.Options) (r *solve.Result, ok bool, err error) {
	c := newDiagonalForm(q)
	if c == nil {
		return nil, false, nil
	}
	start := c.enter(first)
	if start == nil {
		return nil, false, nil
	}
	if callback := o.Callback; callback != nil {
		o.Callback = func(s *solve.Status) bool {
			at := s.Point
			s.Point = c.show(at)
			stop := callback(s)
			s.Point = at
			return stop
		}
	}
	if o.Stop != nil {
		o.Stop = &shownCriterion{c, o.Stop}
	}
	if r, err = s.Run(q.m, c, start, &o); err == nil {
		r.Point.(*manifold.Frame).Congruent(c.shown, c.t, c.back, c.logDet)
		r.Point = c.shown
	}
	return r, true, err
}

// shownCriterion shows X to a criterion.
type shownCriterion struct {
	form *diagonalForm
	own  solve.Criterion
}

// Check implements solve.Criterion.
func (k *shownCriterion) Check(s *solve.Status) (solve.Reason, bool) {
	at := s.Point
	s.Point = k.form.show(at)
	r, stop := k.own.Check(s)
	s.Point = at
	return r, stop
}
