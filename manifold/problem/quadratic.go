package problem

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
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

// nearEnough is the distance within which a run counts as converged; a looser tolerance than 1e-6 widens it.
const nearEnough = 1e-6

func (k *knownMinimizer) size() (int, int) { return k.known.Dim(), k.count }

func (k *knownMinimizer) start() *manifold.Frame { return k.from }

func (k *knownMinimizer) finish(p *manifold.Frame, _ *Options) *mat.SymDense { return p.Sym() }

// Certify implements solve.Certifier.
func (k *knownMinimizer) Certify(p manifold.Point, _ float64, _ solve.Memo) solve.Certificate {
	d, err := k.m.Distance(p, k.known)
	if err != nil {
		return solve.Certificate{Kind: "none"}
	}
	return solve.Certificate{Kind: "known-minimizer", Value: d, Bound: true}
}

// verify denies convergence far from the minimizer, and grants it where the gradient has met its rounding within a hundred times the tolerance.
func (k *knownMinimizer) verify(r *solve.Result, o *solve.Options) {
	tolerance := o.WithDefaults(k.m.VectorLen()).Tolerance
	size, distance := math.Sqrt(float64(k.known.Dim())), r.Certificate.Value
	if r.Certificate.Kind == "none" { // so far that the distance cannot be computed
		distance = math.Inf(1)
	}
	switch limit := max(nearEnough, tolerance) * size; {
	case r.Converged && !(distance <= limit):
		r.Converged = false
		r.Reason = solve.Reason{Name: "far", Detail: fmt.Sprintf("%s, but the minimizer is %.3g away (limit %.3g)", r.Reason.Detail, distance, limit),
			Advice: "the problem is ill-conditioned: use the closed form, or the trust solver with a smaller tolerance"}
	case r.Certificate.Bound && (r.Reason.Name == "stagnation" || r.Reason.Name == stalledReason) && distance <= 100*tolerance*size:
		r.Converged = true
		r.Reason = solve.Reason{Name: "known-minimizer", Converged: true,
			Detail: fmt.Sprintf("%.3g from the minimizer, at the rounding of the gradient", distance)}
	}
}

// closedForm is the method that returns the known minimizer, evaluated.
func closedForm(what string, known func(in instance) *manifold.Frame) Method {
	return Method{Name: "closed-form", What: what, run: func(in instance, m *manifold.Affine, o *Options) (*solve.Result, error) {
		first, err := firstPoint(in, o)
		if err != nil {
			return nil, err
		}
		grad := make([]float64, m.VectorLen())
		memo := in.(solve.Memoizer).NewMemo()
		if _, err := in.Evaluate(first, grad, memo); err != nil {
			return nil, err
		}
		scale := math.Sqrt(m.Inner(first, grad, grad))
		p := known(in)
		r := &solve.Result{Point: p, Evaluations: 2, Converged: true}
		if r.Objective, err = in.Evaluate(p, grad, memo); err != nil {
			return nil, err
		}
		r.GradientNorm = math.Sqrt(m.Inner(p, grad, grad))
		if scale = max(scale, r.GradientNorm); scale > 0 {
			r.RelativeGradient = r.GradientNorm / scale
		}
		r.Certificate = residualCertificate(in, m, p, grad, memo)
		r.Reason = solve.Reason{Name: "closed-form", Detail: fmt.Sprintf("closed form, gradient norm %.3g", r.GradientNorm), Converged: true}
		return r, nil
	}}
}

// residualCertificate estimates how far rounding has put a closed form from the minimizer, by the length of the preconditioned gradient: for
// quadratic objectives that is the Newton step of iterative refinement.
func residualCertificate(in instance, m *manifold.Affine, p *manifold.Frame, grad []float64, memo solve.Memo) solve.Certificate {
	c, ok := in.(solve.Preconditioner)
	if !ok {
		return solve.Certificate{Kind: "newton-step", Value: math.Sqrt(m.Inner(p, grad, grad))}
	}
	step := make([]float64, len(grad))
	if c.Precondition(step, p, grad, memo) != nil {
		return solve.Certificate{Kind: "none"}
	}
	return solve.Certificate{Kind: "newton-step", Value: math.Sqrt(m.Inner(p, step, step))}
}

// matrixPair returns the frames of the two matrices of the data; with optional set the second may be missing, and is then nil.
func matrixPair(d *Data, optional bool, names string) (a, b *manifold.Frame, err error) {
	if n := len(d.Matrices); n != 2 && !(optional && n == 1) {
		want := "want two: "
		if optional {
			want = "want one or two: "
		}
		return nil, nil, &DataError{count: true, Err: fmt.Errorf("%d matrices given, %s%s", n, want, names)}
	}
	frames, err := factorMatrices(d.Matrices)
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
