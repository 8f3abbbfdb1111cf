package curvature

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// LSMR is the pseudo-inverse of any operator by least squares: products give the x with the smallest ||A x - b||^2 + damping^2 ||x||^2 (Fong and
// Saunders, SIAM J. Sci. Comput. 33, 2011). As an Operator its products keep the first error for Err.
type LSMR struct {
	a       Operator
	damping float64
	o       SolveOptions
	back    *LSMR // of the transposed operator
	err     error
}

// NewLSMR returns the solver for A; Tol bounds ||A^T r|| over ||A|| ||r||, and ||r|| over ||b||, whichever is met first. A preconditioner is refused.
func NewLSMR(a Operator, damping float64, o SolveOptions) (*LSMR, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if !(damping >= 0) || damping-damping != 0 {
		return nil, dataError("damping", "must be a finite number that is not negative, not %v", damping)
	}
	if o.Preconditioner != nil {
		return nil, dataError("preconditioner", "LSMR has none; give it to CG")
	}
	if a == nil {
		return nil, errNoOperator
	}
	rows, cols := a.Dims()
	return &LSMR{a: a, damping: damping, o: o.resolved(max(rows, cols))}, nil
}

// Solve sets x, of as many elements as A has columns, to the solution for b. The error is a *ConvergenceError, with the last iterate in x, or a *DataError
// if a product is not finite, or an Error if the slices do not fit.
func (l *LSMR) Solve(x, b []float64) (Solution, error) {
	rows, cols := l.a.Dims()
	if err := fits(x, b, cols, rows); err != nil {
		return Solution{}, err
	}
	clear(x)
	w := &bidiagonal{a: l.a, u: append([]float64(nil), b...), v: make([]float64, cols), work: make([]float64, max(rows, cols))}
	size := w.start()
	if w.alpha*w.beta == 0 {
		return Solution{}, nil
	}
	h, hbar := append([]float64(nil), w.v...), make([]float64, cols)
	t := newLSMRState(w.alpha, w.beta, l.damping)
	var s Solution
	for {
		if s.Iterations == l.o.MaxIterations {
			return s, &ConvergenceError{"LSMR", min(t.gradient(), t.residual/size), l.o.Tol, s.Iterations}
		}
		w.advance()
		if w.alpha-w.alpha != 0 || w.beta-w.beta != 0 {
			return s, dataError("operator", "a product is not finite")
		}
		t.advance(w.alpha, w.beta)
		for i, v := range h {
			hbar[i] = v - t.forHbar*hbar[i]
		}
		dense.Axpy(t.forX, hbar, x)
		for i, v := range w.v {
			h[i] = v - t.forH*h[i]
		}
		s.Iterations++
		s.Residual = t.residual / size
		if s.Residual <= l.o.Tol || t.gradient() <= l.o.Tol || w.alpha == 0 {
			return s, nil
		}
	}
}

// Dims implements Operator.
func (l *LSMR) Dims() (rows, cols int) {
	cols, rows = l.a.Dims()
	return rows, cols
}

// MulTo implements Operator: Solve, with the error kept for Err.
func (l *LSMR) MulTo(dst, x []float64) {
	rows, cols := l.Dims()
	mustFit(dst, x, rows, cols)
	if _, err := l.Solve(dst, x); err != nil && l.err == nil {
		l.err = err
	}
}

// MulTransTo implements Operator: the solution for the transposed operator.
func (l *LSMR) MulTransTo(dst, x []float64) {
	if l.back == nil {
		l.back = &LSMR{a: Adjoint(l.a), damping: l.damping, o: l.o}
	}
	l.back.MulTo(dst, x)
	if l.err == nil {
		l.err = l.back.err
	}
}

// Err returns the first error of the products so far.
func (l *LSMR) Err() error { return l.err }

// bidiagonal is the bidiagonalisation of Golub and Kahan.
type bidiagonal struct {
	a           Operator
	u, v, work  []float64
	alpha, beta float64
}

// start normalises u = b and v = A^T u, and returns the norm of b.
func (w *bidiagonal) start() float64 {
	w.beta = normalise(w.u)
	w.a.MulTransTo(w.v, w.u)
	w.alpha = normalise(w.v)
	return w.beta
}

func (w *bidiagonal) advance() {
	p := w.work[:len(w.u)]
	w.a.MulTo(p, w.v)
	for i, v := range p {
		w.u[i] = v - w.alpha*w.u[i]
	}
	w.beta = normalise(w.u)
	if w.beta == 0 {
		w.alpha = 0
		return
	}
	p = w.work[:len(w.v)]
	w.a.MulTransTo(p, w.u)
	for i, v := range p {
		w.v[i] = v - w.beta*w.v[i]
	}
	w.alpha = normalise(w.v)
}

// normalise scales x to norm 1 unless it is zero, and returns its norm.
func normalise(x []float64) float64 {
	n := norm(x)
	if n > 0 {
		dense.Scale(1/n, x, x)
	}
	return n
}

// lsmrState are the scalars of section 2.8 and 5 of the paper, with its names.
type lsmrState struct {
	damping                          float64
	zetabar, alphabar, rho, rhobar   float64
	cbar, sbar, zeta                 float64
	betadd, betad, rhodold, tautilde float64
	thetatilde, d, normA2            float64
	forHbar, forX, forH              float64 // coefficients of the updates of the vectors
	residual, normAr                 float64
}

func newLSMRState(alpha, beta, damping float64) *lsmrState {
	return &lsmrState{
		damping: damping, zetabar: alpha * beta, alphabar: alpha, rho: 1, rhobar: 1, cbar: 1, betadd: beta, rhodold: 1,
		normA2: alpha * alpha, residual: beta, normAr: alpha * beta,
	}
}

func (t *lsmrState) advance(alpha, beta float64) {
	chat, shat, alphahat := rotation(t.alphabar, t.damping)
	rhoold := t.rho
	c, s, rho := rotation(alphahat, beta)
	t.rho = rho
	thetanew := s * alpha
	t.alphabar = c * alpha
	rhobarold, zetaold, thetabar := t.rhobar, t.zeta, t.sbar*rho
	rhotemp := t.cbar * rho
	t.cbar, t.sbar, t.rhobar = rotation(rhotemp, thetanew)
	t.zeta = t.cbar * t.zetabar
	t.zetabar = -t.sbar * t.zetabar
	t.forHbar = thetabar * rho / (rhoold * rhobarold)
	t.forX = t.zeta / (rho * t.rhobar)
	t.forH = thetanew / rho

	betaacute, betacheck := chat*t.betadd, -shat*t.betadd
	betahat := c * betaacute
	t.betadd = -s * betaacute
	thetatildeold := t.thetatilde
	ctilde, stilde, rhotilde := rotation(t.rhodold, thetabar)
	t.thetatilde = stilde * t.rhobar
	t.rhodold = ctilde * t.rhobar
	t.betad = -stilde*t.betad + ctilde*betahat
	t.tautilde = (zetaold - thetatildeold*t.tautilde) / rhotilde
	taud := (t.zeta - t.thetatilde*t.tautilde) / t.rhodold
	t.d += betacheck * betacheck
	t.residual = math.Sqrt(t.d + (t.betad-taud)*(t.betad-taud) + t.betadd*t.betadd)
	t.normA2 += beta*beta + alpha*alpha
	t.normAr = math.Abs(t.zetabar)
}

// gradient returns the estimate of ||A^T r|| over ||A|| ||r||.
func (t *lsmrState) gradient() float64 {
	if t.residual == 0 {
		return 0
	}
	return t.normAr / (math.Sqrt(t.normA2) * t.residual)
}

// rotation returns c, s and r with c a + s b = r and c b = s a.
func rotation(a, b float64) (c, s, r float64) {
	r = math.Hypot(a, b)
	if r == 0 {
		return 1, 0, 0
	}
	return a / r, b / r, r
}
