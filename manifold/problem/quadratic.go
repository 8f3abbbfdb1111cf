package problem

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

// knownMinimizer is what problems with a closed form share: the distance to the minimizer is computed, and a run that ends far from it has not
// converged, however small its gradient is.
type knownMinimizer struct {
	m     *manifold.Affine
	known *manifold.Frame
	from  *manifold.Frame
	count int
}

// nearEnough is the distance within which a run counts as converged; a loose tolerance widens it to that much in each eigenvalue.
const nearEnough = 1e-6

// knownKind is the kind of a certificate that is the distance to a known minimizer.
const knownKind = "known-minimizer"

// refineFrom is the distance, over the root of n, from which on a closed form is refined.
const refineFrom = nearEnough / 10

func (k *knownMinimizer) size() (int, int) { return k.known.Dim(), k.count }

func (k *knownMinimizer) start() *manifold.Frame { return k.from }

func (k *knownMinimizer) finish(p *manifold.Frame, _ *Options) *mat.SymDense { return p.Sym() }

// Certify implements solve.Certifier.
func (k *knownMinimizer) Certify(p manifold.Point, _ float64, _ solve.Memo) solve.Certificate {
	f := p.(*manifold.Frame)
	if near := k.near(f); near <= nearby {
		return solve.Certificate{Kind: knownKind, Value: near / (1 - near) / math.Sqrt(k.m.Kappa()), Bound: true}
	}
	d, err := k.m.Distance(f, k.known)
	if err != nil {
		return solve.Certificate{Kind: "none"}
	}
	return solve.Certificate{Kind: knownKind, Value: d, Bound: true}
}

// nearby is the length of F^-1 X* F^-T - I up to which no eigenvalues are needed for the distance: |log(1 + e)| <= |e|/(1 - |e|), too large by that much relatively.
const nearby = 1e-3

// near returns the length of F^-1 X* F^-T - I. One and a half products.
func (k *knownMinimizer) near(p *manifold.Frame) float64 {
	n := p.Dim()
	var l lender
	defer l.recycle()
	work, c := l.matrix(n, n), l.matrix(n, n)
	if inverse := view(p.Inverse()); p.Lower() {
		dense.MulLower(dense.NoTrans, inverse, view(k.known.F()), work)
	} else {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, inverse, view(k.known.F()), 0, work)
	}
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, work, work, 0, c)
	dense.Mirror(c)
	for i := range n {
		c.Set(i, i, c.At(i, i)-1)
	}
	return math.Sqrt(dense.Dot(c.Data, c.Data))
}

// limits returns the distances up to which a run counts as converged: by its gradient, and where that has met its rounding.
func (k *knownMinimizer) limits(o *solve.Options) (usual, rounded float64) {
	each := o.WithDefaults(k.m.VectorLen()).Tolerance * math.Sqrt(float64(k.m.Dim()))
	usual = max(nearEnough, each)
	return usual, min(usual, 100*each)
}

// verify denies convergence far from the minimizer, and grants it where the gradient has met its rounding within a hundred times the tolerance in each eigenvalue.
func (k *knownMinimizer) verify(in instance, r *solve.Result, o *solve.Options) {
	limit, rounded := k.limits(o)
	if r.Certificate.Kind == knownKind && !(r.Certificate.Value <= refineFrom*math.Sqrt(float64(k.m.Dim()))) {
		k.refine(in, r)
	}
	distance := r.Certificate.Value
	if r.Certificate.Kind == "none" { // so far that the distance cannot be computed
		distance = math.Inf(1)
	}
	switch {
	case r.Converged && !(distance <= limit):
		r.Converged = false
		r.Reason = solve.Reason{Name: "far", Detail: fmt.Sprintf("%s, but the minimizer is %.3g away (limit %.3g)", r.Reason.Detail, distance, limit),
			Advice: "the problem is ill-conditioned: use the closed form, or the trust solver with a smaller tolerance"}
	case r.Certificate.Bound && (r.Reason.Name == "stagnation" || r.Reason.Name == iteration.Stalled) && distance <= rounded:
		r.Converged = true
		r.Reason = solve.Reason{Name: r.Certificate.Kind, Converged: true,
			Detail: fmt.Sprintf("%.3g from the minimizer, at the rounding of the gradient", distance)}
	}
}

// refine refines the known minimizer, which rounding may have put where it is not, for a run that ended away from it.
func (k *knownMinimizer) refine(in instance, r *solve.Result) {
	if _, ok := in.(solve.Preconditioner); !ok {
		return
	}
	e := &refinement{in: in, m: k.m, grad: make([]float64, k.m.VectorLen()), memo: in.(solve.Memoizer).NewMemo()}
	if e.evaluate(k.known) != nil {
		return
	}
	e.refine(refineFrom * math.Sqrt(float64(k.known.Dim())))
	k.known = e.at
	r.Certificate = k.Certify(r.Point, r.GradientNorm, nil)
}

// closedForm is the method that returns the known minimizer, evaluated, and refined where rounding has put it away from where it should be.
func closedForm(what string, known func(in instance) (*manifold.Frame, error)) Method {
	return Method{Name: "closed-form", What: what, run: func(in instance, m *manifold.Affine, o *Options) (*solve.Result, error) {
		first, err := firstPoint(in, o)
		if err != nil {
			return nil, err
		}
		minimizer, err := known(in)
		if err != nil {
			return nil, err
		}
		grad := make([]float64, m.VectorLen())
		memo := in.(solve.Memoizer).NewMemo()
		if _, err := in.Evaluate(first, grad, memo); err != nil {
			return nil, err
		}
		scale := math.Sqrt(m.Inner(first, grad, grad))
		e := &refinement{in: in, m: m, grad: grad, memo: memo}
		if err := e.evaluate(minimizer); err != nil {
			return nil, err
		}
		e.refine(refineFrom * math.Sqrt(float64(m.Dim())))
		r := &solve.Result{Point: e.at, Objective: e.cost, GradientNorm: e.norm, Certificate: e.certificate, Evaluations: 1 + e.evaluations, Converged: true}
		if scale = max(scale, r.GradientNorm); scale > 0 {
			r.RelativeGradient = r.GradientNorm / scale
		}
		r.Reason = solve.Reason{Name: "closed-form", Detail: fmt.Sprintf("closed form, gradient norm %.3g", r.GradientNorm), Converged: true}
		return r, nil
	}}
}

// refinement is a point with its cost, the norm of its gradient, and an estimate of how far rounding has put it from the minimizer: the length of the
// preconditioned gradient, which for quadratic objectives is the Newton step of iterative refinement, or of the gradient where there is no preconditioner.
type refinement struct {
	in          instance
	m           *manifold.Affine
	at          *manifold.Frame
	cost, norm  float64
	certificate solve.Certificate
	evaluations int

	grad, step []float64 // step is nil where there is none
	memo       solve.Memo
}

func (e *refinement) evaluate(p *manifold.Frame) (err error) {
	e.at, e.step, e.evaluations = p, nil, e.evaluations+1
	if e.cost, err = e.in.Evaluate(p, e.grad, e.memo); err != nil {
		return err
	}
	e.norm = math.Sqrt(e.m.Inner(p, e.grad, e.grad))
	c, ok := e.in.(solve.Preconditioner)
	if !ok {
		e.certificate = solve.Certificate{Kind: "newton-step", Value: e.norm}
		return nil
	}
	step := make([]float64, len(e.grad))
	if c.Precondition(step, p, e.grad, e.memo) != nil {
		e.certificate = solve.Certificate{Kind: "none"}
		return nil
	}
	e.step, e.certificate = step, solve.Certificate{Kind: "newton-step", Value: math.Sqrt(e.m.Inner(p, step, step))}
	return nil
}

// refine makes Newton steps while they are longer than enough, and takes the last one back where it has not shortened the next by a tenth.
func (e *refinement) refine(enough float64) {
	for e.step != nil && e.certificate.Value > enough {
		before, next := *e, e.at.Clone().(*manifold.Frame)
		dense.Scale(-1, e.step, e.step)
		if e.m.Retract(next, e.at, e.step) != nil {
			return
		}
		if e.evaluate(next) != nil || !(e.step != nil && e.certificate.Value <= 0.9*before.certificate.Value) {
			before.evaluations = e.evaluations
			*e = before
			return
		}
	}
}

// checkPair demands two matrices, or one if that is enough.
func checkPair(d *Data, optional bool, names string) error {
	n := len(d.Matrices)
	if n == 2 || optional && n == 1 {
		return nil
	}
	want := "want two: "
	if optional {
		want = "want one or two: "
	}
	return &DataError{count: true, Err: fmt.Errorf("%d matrices given, %s%s", n, want, names)}
}

// matrixPair returns the frames of the two matrices of the data, the second in lent memory; with optional set it may be missing, and is then nil.
func (l *lender) matrixPair(d *Data, optional bool, names string) (a, b *manifold.Frame, err error) {
	if err := checkPair(d, optional, names); err != nil {
		return nil, nil, err
	}
	var memory []float64
	if len(d.Matrices) == 2 {
		n := d.Matrices[1].SymmetricDim()
		memory = l.vector(2 * n * n)
	}
	frames, err := factorEach(d.Matrices, func(k int) (*manifold.Frame, error) {
		if k == 1 {
			return manifold.NewFrameIn(memory, d.Matrices[1])
		}
		return manifold.NewFrame(d.Matrices[0])
	})
	if err != nil {
		return nil, nil, err
	}
	if len(frames) == 1 {
		return frames[0], nil, nil
	}
	return frames[0], frames[1], nil
}

// congruent sets the full symmetric dst = f' a f, a = l l' by its lower triangular frame, and leaves l'f in work: two half products.
func congruent(dst, l, f, work dense.Matrix[float64]) {
	dense.MulLower(dense.Transposed, l, f, work)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, work, work, 0, dst)
	dense.Mirror(dst)
}
