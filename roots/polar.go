package roots

import (
	"math"
	"runtime"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/matfun"
)

// Polar computes the polar decomposition A = U H of an m x n matrix of full column rank, m >= n: U with orthonormal columns, nearest to A in
// every unitarily invariant norm, and H = (A^T A)^(1/2) positive definite. Either of u and h may be nil. The method is the minimax (Polar
// Express) iteration, two products a step (Options.Method: "", "auto" or "polar-express"), or the Newton-Schulz iteration ("newton-schulz").
// Report holds the extreme singular values as LambdaMin and LambdaMax, the residual ||A - U H||/||A|| plus ||U^T U - I||/sqrt(n), and the bound
// on the relative error of U. With Options.Device the products are made there; the extreme singular values are estimated on the processor. A matrix whose smallest singular value is at rounding level is an error that names it.
func Polar(u *mat.Dense, h *mat.SymDense, a mat.Matrix, o *Options) (rep Report, err error) {
	defer engine.Recover(&err)
	if o == nil {
		o = &Options{}
	}
	if err := present("a", a); err != nil {
		return rep, err
	}
	m, n := a.Dims()
	rep = Report{Kind: KindPolar, N: n, Rank: n, Method: polarExpressMethod.Name, Residual: -1, Reason: "direct"}
	if err := o.Validate(); err != nil {
		return rep, err
	}
	switch o.Method {
	case "", auto, polarExpressMethod.Name, newtonSchulzMethod.Name:
	default:
		return rep, &MethodError{o.Method, "cannot do polar; use polar-express or newton-schulz"}
	}
	if m < n {
		return rep, &MethodError{"polar", "needs at least as many rows as columns; transpose the matrix"}
	}
	if n == 0 {
		rep.Residual = 0
		return rep, nil
	}
	full := dense.New[float64](m, n)
	for i := range m {
		for c := range n {
			full.Set(i, c, a.At(i, c))
		}
	}
	if err := finite(full); err != nil {
		return rep, err
	}
	e, err := engine.Open[float64](o.Device)
	if err != nil {
		return rep, err
	}
	p := polarJob{job: job[float64]{e: e, Query: Query{Kind: KindPolar, N: n, Tol: o.Tol}, rep: &rep, limit: o.MaxIterations}, a: full}
	if err := p.hasRoom(m); err != nil {
		return rep, err
	}
	defer runtime.KeepAlive(&p) // and with it the memory of its arena
	x, err := p.run(o)
	if err != nil {
		return rep, err
	}
	p.deliver(u, h, x)
	if o.Tol > 0 && rep.Bound > o.Tol {
		return rep, &AccuracyError{rep.Method, rep.Bound, o.Tol, rep.Cond()}
	}
	return rep, nil
}

type polarJob struct {
	job[float64]
	a     dense.Matrix[float64] // scaled by 2^-shift to largest singular value about 1
	shift int
}

func (p *polarJob) run(o *Options) (dense.Matrix[float64], error) {
	top := maxAbs(p.a)
	if top == 0 {
		return p.a, &NotPositiveDefiniteError{Kind: KindPolar, Negligible: p.N}
	}
	_, p.shift = math.Frexp(top)
	scale(p.a, -p.shift)
	if p.onDevice() {
		p.arena = engine.NewArena(p.e)
		p.a = p.copyOf(p.a)
	}
	lo, hi, err := p.singularBounds()
	if err != nil {
		return p.a, err
	}
	p.rep.LambdaMin, p.rep.LambdaMax = math.Ldexp(lo, p.shift), math.Ldexp(hi, p.shift)
	x := p.new(p.a.Rows, p.N)
	p.e.Blend(1/(1.01*hi), p.a.Data, 0, nil, x.Data)
	if o.Method == newtonSchulzMethod.Name {
		p.rep.Method = newtonSchulzMethod.Name
		x, err = p.newtonSchulzPolar(x)
	} else {
		x = p.polarIterate(x, 0.5*lo/hi, p.Query.target())
	}
	p.Cond = 2 * hi / lo
	p.rep.Bound = p.rounding(8) + p.trunc
	return x, err
}

// singularBounds estimates the extreme singular values by Lanczos steps on A^T A and on its inverse, refined where cond^2 eps is not small by
// what one orthogonalisation shows: the estimate of the smallest is then a lower bound by a factor.
func (p *polarJob) singularBounds() (lo, hi float64, err error) {
	n := p.N
	s := p.new(n, n)
	p.symm(dense.Transposed, dense.NoTrans, 1, p.a, p.a, s)
	hi = math.Sqrt(largest(s))
	w := s.Clone()
	if p.factor(w) {
		if lo = math.Sqrt(smallest(w)); lo > 1e-6*hi {
			return lo, hi, nil
		}
	}
	// cond(A) is beyond 1e6: A^T A no longer shows its smallest eigenvalue. A ridge of eps ||A||^2 keeps the factor usable, and one
	// preconditioned pass gives the singular values of A R^-1, whose smallest times that of R bounds that of A from below.
	ridge := 8 * float64(n) * 0x1p-53 * hi * hi
	for i := range n {
		s.Set(i, i, s.At(i, i)+ridge)
	}
	if !p.factor(s) {
		return 0, hi, &NotPositiveDefiniteError{Kind: KindPolar, Smallest: 0, Largest: math.Ldexp(hi, p.shift), Negligible: 1}
	}
	r := math.Sqrt(smallest(s))
	q := p.a.Clone()
	dense.SolveLowerRight(dense.Transposed, s, q)
	g := p.new(n, n)
	p.symm(dense.Transposed, dense.NoTrans, 1, q, q, g)
	if !p.factor(g) {
		return 0, hi, &NotPositiveDefiniteError{Kind: KindPolar, Smallest: 0, Largest: math.Ldexp(hi, p.shift), Negligible: 1}
	}
	lo = 0.5 * r * math.Sqrt(smallest(g))
	if lo <= 4*math.Sqrt(float64(n))*0x1p-53*hi {
		return lo, hi, &NotPositiveDefiniteError{Kind: KindPolar, Smallest: math.Ldexp(lo, p.shift), Largest: math.Ldexp(hi, p.shift), Negligible: 1}
	}
	return lo, hi, nil
}

// newtonSchulzPolar iterates X <- X (3 I - X^T X)/2 from singular values in (0, 1].
func (p *polarJob) newtonSchulzPolar(x dense.Matrix[float64]) (dense.Matrix[float64], error) {
	s, y := p.new(p.N, p.N), p.new(x.Rows, p.N)
	stop := matfun.Progress{Target: p.target()}
	limit := p.iterationLimit(200)
	for it := 0; ; it++ {
		p.symm(dense.Transposed, dense.NoTrans, 1, x, x, s)
		d := p.distance(s)
		if p.rep.Reason = stop.Done(d); p.rep.Reason != "" {
			p.trunc += 0.75 * d
			return x, nil
		}
		if it == limit {
			return x, &MethodError{p.rep.Method, "no convergence within the iteration limit"}
		}
		p.rep.Iterations++
		p.poly(s, 1.5, -0.5, s, 0, s)
		p.gemm(dense.NoTrans, dense.NoTrans, 1, x, s, 0, y)
		x, y = y, x
	}
}

// deliver forms H = sym(U^T A), measures the residual and fills the arguments.
func (p *polarJob) deliver(u *mat.Dense, h *mat.SymDense, x dense.Matrix[float64]) {
	n := p.N
	hh := p.new(n, n)
	p.gemm(dense.Transposed, dense.NoTrans, 1, x, p.a, 0, hh)
	symmetrise(hh)
	back, g := p.new(x.Rows, n), p.new(n, n)
	p.gemm(dense.NoTrans, dense.NoTrans, 1, x, hh, 0, back)
	p.symm(dense.Transposed, dense.NoTrans, 1, x, x, g)
	p.rep.Residual = relative(back, p.a) + p.distance(g)/math.Sqrt(float64(n))
	p.rep.ResidualOf = "||A - U H||/||A|| + ||U^T U - I||/||I||"
	if u != nil {
		if u.IsEmpty() {
			u.ReuseAs(x.Rows, n)
		}
		if r, c := u.Dims(); r != x.Rows || c != n {
			mistake("Polar: u is %d x %d, a %d x %d", r, c, x.Rows, n)
		}
		for i := range x.Rows {
			copy(u.RawRowView(i), x.Row(i))
		}
	}
	if h == nil {
		return
	}
	if h.IsEmpty() {
		h.ReuseAsSym(n)
	}
	if h.SymmetricDim() != n {
		mistake("Polar: h is %d x %[1]d, a has %d columns", h.SymmetricDim(), n)
	}
	scale(hh, p.shift)
	for i := range n {
		for c := i; c < n; c++ {
			h.SetSym(i, c, hh.At(i, c))
		}
	}
}
