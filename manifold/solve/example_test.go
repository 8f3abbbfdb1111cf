package solve_test

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem"
	"github.com/spdopt/spdopt/manifold/solve"
)

// model is the cost of fitting a covariance X to a sample covariance S: log det X + tr(X^-1 S), with its ordinary gradient.
func model() (*manifold.Affine, solve.Objective) {
	s := mat.NewSymDense(2, []float64{2, 1, 1, 2})
	m, err := manifold.NewAffine(2, manifold.AffineOptions{})
	if err != nil {
		panic(err)
	}
	f, err := problem.FromEuclidean(m, problem.Euclidean{
		N: 2,
		Cost: func(x *mat.SymDense) float64 {
			var c mat.Cholesky
			if !c.Factorize(x) {
				return math.Inf(1)
			}
			var t mat.Dense
			if c.SolveTo(&t, s) != nil {
				return math.Inf(1)
			}
			return c.LogDet() + mat.Trace(&t)
		},
		Gradient: func(g, x *mat.SymDense) {
			var inv, t, u mat.Dense
			if inv.Inverse(x) != nil {
				return
			}
			t.Mul(&inv, s)
			u.Mul(&t, &inv)
			for i := range 2 {
				for j := i; j < 2; j++ {
					g.SetSym(i, j, inv.At(i, j)-u.At(i, j))
				}
			}
		},
	})
	if err != nil {
		panic(err)
	}
	return m, f
}

func show(r *solve.Result) {
	fmt.Printf("%s converged: %v\n%.4f\n", r.Solver, r.Converged, mat.Formatted(r.Point.(*manifold.Frame).Sym()))
}

func ExampleLBFGS() {
	m, f := model()
	r, err := solve.LBFGS(m, f, manifold.IdentityFrame(2, 1), nil)
	if err != nil {
		panic(err)
	}
	show(r)
	// Output:
	// lbfgs converged: true
	// ⎡2.0000  1.0000⎤
	// ⎣1.0000  2.0000⎦
}

func ExampleSteepest() {
	m, f := model()
	r, err := solve.Steepest(m, f, manifold.IdentityFrame(2, 1), &solve.Options{Tolerance: 1e-10})
	if err != nil {
		panic(err)
	}
	show(r)
	// Output:
	// steepest converged: true
	// ⎡2.0000  1.0000⎤
	// ⎣1.0000  2.0000⎦
}

func ExampleTrust() {
	m, f := model()
	r, err := solve.Trust(m, f, manifold.IdentityFrame(2, 1), nil)
	if err != nil {
		panic(err)
	}
	show(r)
	// Output:
	// trust converged: true
	// ⎡2.0000  1.0000⎤
	// ⎣1.0000  2.0000⎦
}

func ExampleCertify() {
	m, err := manifold.NewAffine(2, manifold.AffineOptions{})
	if err != nil {
		panic(err)
	}
	f, err := problem.FromEuclidean(m, problem.Euclidean{ // tr X - log det X, least at I
		N:    2,
		Cost: func(x *mat.SymDense) float64 { return mat.Trace(x) - math.Log(mat.Det(x)) },
		Gradient: func(g, x *mat.SymDense) {
			for i := range 2 {
				g.SetSym(i, i, 1-1/x.At(i, i))
			}
		},
		Hessian: func(h, x, u *mat.SymDense) { // at multiples of I
			for i := range 2 {
				for j := i; j < 2; j++ {
					h.SetSym(i, j, u.At(i, j)/(x.At(i, i)*x.At(j, j)))
				}
			}
		},
	})
	if err != nil {
		panic(err)
	}
	p, grad := manifold.IdentityFrame(2, 1.001), make([]float64, m.VectorLen())
	memo := f.(solve.Memoizer).NewMemo()
	if _, err := f.Evaluate(p, grad, memo); err != nil {
		panic(err)
	}
	c, _ := solve.Certify(m, f, p, grad, memo)
	d, err := m.Distance(p, manifold.IdentityFrame(2, 1))
	fmt.Printf("%s: about %.5f, in truth %.5f %v\n", c.Kind, c.Value, d, err)
	// Output:
	// newton-step: about 0.00141, in truth 0.00141 <nil>
}

func ExampleConjugateGradient() {
	m, f := model()
	r, err := solve.ConjugateGradient(m, f, manifold.IdentityFrame(2, 1), &solve.Options{Beta: solve.HagerZhang})
	if err != nil {
		panic(err)
	}
	show(r)
	// Output:
	// cg converged: true
	// ⎡2.0000  1.0000⎤
	// ⎣1.0000  2.0000⎦
}

func ExampleCubicRegularization() {
	m, f := model()
	r, err := solve.CubicRegularization(m, f, manifold.IdentityFrame(2, 1), nil)
	if err != nil {
		panic(err)
	}
	show(r)
	// Output:
	// arc converged: true
	// ⎡2.0000  1.0000⎤
	// ⎣1.0000  2.0000⎦
}

func ExampleNelderMead() {
	m, err := manifold.NewAffine(2, manifold.AffineOptions{})
	if err != nil {
		panic(err)
	}
	var points []*manifold.Frame
	for _, d := range []float64{1, 3, 100} {
		p, err := manifold.NewFrame(mat.NewSymDense(2, []float64{d, 0, 0, d}))
		if err != nil {
			panic(err)
		}
		points = append(points, p)
	}
	median := solve.Cost(func(x manifold.Point) (sum float64, err error) {
		for _, p := range points {
			d, err := m.Distance(x, p)
			if err != nil {
				return 0, err
			}
			sum += d
		}
		return sum, nil
	})
	r, err := solve.NelderMead(m, median, manifold.IdentityFrame(2, 1), nil)
	if err != nil {
		panic(err)
	}
	s := r.Point.(*manifold.Frame).Sym()
	fmt.Printf("%s: %.4f %.4f\n", r.Reason.Name, s.At(0, 0), s.At(1, 1))
	// Output: simplex: 3.0000 3.0000
}

// hill is a Sampler: it tries a few vectors around the best one, closer and closer.
type hill struct {
	best []float64
	f    float64
	step float64
}

func (h *hill) Ask() [][]float64 {
	all := [][]float64{append([]float64(nil), h.best...)}
	for i := range h.best {
		for _, t := range []float64{h.step, -h.step} {
			x := append([]float64(nil), h.best...)
			x[i] += t
			all = append(all, x)
		}
	}
	return all
}

func (h *hill) Tell(f []float64) error {
	all, better := h.Ask(), false
	for i, v := range f {
		if v < h.f {
			h.f, better = v, true
			copy(h.best, all[i])
		}
	}
	if !better {
		h.step /= 2
	}
	return nil
}

func (h *hill) Stopped() (solve.Reason, bool) {
	return solve.Reason{Name: "fine", Detail: "the step is small", Converged: true}, h.step < 1e-9
}

func (h *hill) MarshalBinary() ([]byte, error)    { return nil, fmt.Errorf("not kept") }
func (h *hill) UnmarshalBinary(data []byte) error { return fmt.Errorf("not kept") }

func ExampleBlackBox() {
	m, err := manifold.NewAffine(2, manifold.AffineOptions{})
	if err != nil {
		panic(err)
	}
	target, err := manifold.NewFrame(mat.NewSymDense(2, []float64{2, 1, 1, 2}))
	if err != nil {
		panic(err)
	}
	cost := solve.Cost(func(p manifold.Point) (float64, error) {
		d, err := m.Distance(p, target)
		return d * d, err
	})
	r, err := solve.BlackBox(m, cost, manifold.IdentityFrame(2, 1), &solve.Options{Sampler: func(dim int) (solve.Sampler, error) {
		return &hill{best: make([]float64, dim), f: math.Inf(1), step: 0.5}, nil
	}})
	if err != nil {
		panic(err)
	}
	show(r)
	// Output:
	// cma converged: true
	// ⎡2.0000  1.0000⎤
	// ⎣1.0000  2.0000⎦
}

func ExampleSpecial() {
	for _, s := range solve.Special() {
		fmt.Printf("%s needs %s\n", s.Name, s.Needs)
	}
	// Output:
	// bfgs needs nothing but a gradient; a manifold with RandomTangent
	// gauss-newton needs a LeastSquares
	// nelder-mead needs nothing but a cost; a manifold with RandomTangent
	// particle-swarm needs nothing but a cost; Options.Stochastic.Source; a manifold with RandomTangent and Log
	// cma needs nothing but a cost; Options.Sampler; a manifold with RandomTangent
	// sgd needs a Sum; Options.Stochastic.Source
	// adam needs a Sum; Options.Stochastic.Source
	// svrg needs a Sum; Options.Stochastic.Source
	// proximal needs a Penalized; a manifold with Exp and Distance
	// augmented-lagrangian needs a Constrained
	// exact-penalty needs a Constrained
	// barrier needs a Constrained without equalities; a strictly feasible start
	// frank-wolfe needs an Oracle; a manifold with Exp and Log
}

// scatter is the mean over samples x of log det S + x' S^-1 x. In whitened coordinates the gradient of a term is I - u u', u = F^-1 x.
type scatter struct{ samples [][]float64 }

func (s scatter) Terms() int { return len(s.samples) }

func (s scatter) BatchGradient(grad []float64, p manifold.Point, terms []int) error {
	inv := p.(*manifold.Frame).Inverse()
	n, _ := inv.Dims()
	clear(grad)
	for i := range n {
		grad[i*n+i] = 1
	}
	for _, k := range terms {
		for i := range n {
			for j := range n {
				u, v := mat.Dot(inv.RowView(i), mat.NewVecDense(n, s.samples[k])), mat.Dot(inv.RowView(j), mat.NewVecDense(n, s.samples[k]))
				grad[i*n+j] -= u * v / float64(len(terms))
			}
		}
	}
	return nil
}

func (s scatter) Evaluate(p manifold.Point, grad []float64, _ solve.Memo) (float64, error) {
	all := make([]int, len(s.samples))
	for i := range all {
		all[i] = i
	}
	if err := s.BatchGradient(grad, p, all); err != nil {
		return 0, err
	}
	f := p.(*manifold.Frame)
	cost, n := f.LogDet(), f.Dim()
	for i := range n {
		cost += 1 - grad[i*n+i]
	}
	return cost, nil
}

// sampled fits a covariance to six samples whose second moment is [[4, 2], [2, 4]]/3.
func sampled() (*manifold.Affine, scatter) {
	m, err := manifold.NewAffine(2, manifold.AffineOptions{})
	if err != nil {
		panic(err)
	}
	return m, scatter{[][]float64{{2, 1}, {1, 2}, {math.Sqrt2, 0}, {1, 0}, {0, math.Sqrt2}, {0, 1}}}
}

func ExampleVarianceReduced() {
	m, f := sampled()
	o := &solve.Options{Stochastic: solve.StochasticOptions{Source: rand.NewChaCha8([32]byte{1}), Batch: 2}}
	r, err := solve.VarianceReduced(m, f, manifold.IdentityFrame(2, 1), o)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%v %.4f\n", r.Converged, mat.Formatted(r.Point.(*manifold.Frame).Sym(), mat.Prefix("     ")))
	// Output:
	// true ⎡1.3333  0.6667⎤
	//      ⎣0.6667  1.3333⎦
}

func ExampleStochasticGradient() {
	m, f := sampled()
	o := &solve.Options{Tolerance: 0.05, Stochastic: solve.StochasticOptions{Source: rand.NewChaCha8([32]byte{1}), Batch: 2}}
	r, err := solve.StochasticGradient(m, f, manifold.IdentityFrame(2, 1), o)
	if err != nil {
		panic(err)
	}
	fmt.Println(r.Solver, r.Reason.Name, r.RelativeGradient <= 0.05)
	// Output: sgd relative-gradient true
}

func ExampleAdam() {
	m, f := sampled()
	o := &solve.Options{Tolerance: 0.05, Stochastic: solve.StochasticOptions{Source: rand.NewChaCha8([32]byte{1}), Batch: 2}}
	r, err := solve.Adam(m, f, manifold.IdentityFrame(2, 1), o)
	if err != nil {
		panic(err)
	}
	fmt.Println(r.Solver, r.Reason.Name, r.RelativeGradient <= 0.05)
	// Output: adam relative-gradient true
}

// pulled is d(S, B)^2/2 + weight d(S, A): a point drawn from B towards A, whose proximal map moves along the geodesic to A.
type pulled struct {
	m      *manifold.Affine
	a, b   *manifold.Frame
	weight float64
}

func (p pulled) Evaluate(s manifold.Point, grad []float64, _ solve.Memo) (float64, error) {
	if err := p.m.Log(grad, s, p.b); err != nil {
		return 0, err
	}
	for i := range grad {
		grad[i] = -grad[i]
	}
	return p.m.Inner(s, grad, grad) / 2, nil
}

func (p pulled) Penalty(s manifold.Point) (float64, error) {
	d, err := p.m.Distance(s, p.a)
	return p.weight * d, err
}

func (p pulled) Prox(dst, s manifold.Point, t float64) error {
	d, err := p.m.Distance(s, p.a)
	if err != nil || d == 0 {
		dst.CopyFrom(s)
		return err
	}
	return p.m.Between(dst, s, p.a, min(1, t*p.weight/d))
}

func ExampleProximalGradient() {
	m, err := manifold.NewAffine(2, manifold.AffineOptions{})
	if err != nil {
		panic(err)
	}
	f := pulled{m: m, a: manifold.IdentityFrame(2, 1), b: manifold.IdentityFrame(2, math.Exp(2)), weight: math.Sqrt2}
	r, err := solve.ProximalGradient(m, f, manifold.IdentityFrame(2, 5), nil)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%v: e^%.4f\n", r.Converged, math.Log(r.Point.(*manifold.Frame).Sym().At(0, 0)))
	// Output: true: e^1.0000
}

// ellipse is the sum over points x of (x' S x - 1)^2/2. With u = F' x the residual changes by u' eta u along eta.
type ellipse struct{ points [][2]float64 }

func (e ellipse) Residuals() int { return len(e.points) }

// moved returns F' x.
func moved(p manifold.Point, x [2]float64) (u [2]float64) {
	f := p.(*manifold.Frame).F()
	for j := range u {
		u[j] = f.At(0, j)*x[0] + f.At(1, j)*x[1]
	}
	return u
}

func (e ellipse) JacobianVec(dst []float64, p manifold.Point, v []float64, _ solve.Memo) error {
	for i, x := range e.points {
		u := moved(p, x)
		dst[i] = u[0]*u[0]*v[0] + u[0]*u[1]*(v[1]+v[2]) + u[1]*u[1]*v[3]
	}
	return nil
}

func (e ellipse) AdjointVec(dst []float64, p manifold.Point, w []float64, _ solve.Memo) error {
	clear(dst)
	for i, x := range e.points {
		u := moved(p, x)
		for k := range dst {
			dst[k] += w[i] * u[k/2] * u[k%2]
		}
	}
	return nil
}

func (e ellipse) Evaluate(p manifold.Point, grad []float64, _ solve.Memo) (cost float64, err error) {
	r := make([]float64, len(e.points))
	for i, x := range e.points {
		u := moved(p, x)
		r[i] = u[0]*u[0] + u[1]*u[1] - 1
		cost += r[i] * r[i] / 2
	}
	return cost, e.AdjointVec(grad, p, r, nil)
}

func ExampleGaussNewton() {
	m, err := manifold.NewAffine(2, manifold.AffineOptions{})
	if err != nil {
		panic(err)
	}
	f := ellipse{[][2]float64{{2, 0}, {0, 1}, {math.Sqrt2, math.Sqrt(0.5)}, {-math.Sqrt2, math.Sqrt(0.5)}}}
	r, err := solve.GaussNewton(m, f, manifold.IdentityFrame(2, 1), nil)
	if err != nil {
		panic(err)
	}
	s := r.Point.(*manifold.Frame).Sym()
	fmt.Printf("%v: semi-axes %.4f and %.4f\n", r.Converged, 1/math.Sqrt(s.At(0, 0)), 1/math.Sqrt(s.At(1, 1)))
	// Output: true: semi-axes 2.0000 and 1.0000
}

// unimodular is d(S, B)^2/2 subject to log det S = 0, whose gradient is the identity in whitened coordinates.
type unimodular struct{ pulled }

func (unimodular) Constraints() (equalities, inequalities int) { return 1, 0 }

func (unimodular) Constrain(c []float64, p manifold.Point, _ solve.Memo) error {
	c[0] = p.(*manifold.Frame).LogDet()
	return nil
}

func (unimodular) ConstraintGradient(grad []float64, p manifold.Point, weights []float64, _ solve.Memo) error {
	for i := range p.(*manifold.Frame).Dim() {
		grad[i*p.(*manifold.Frame).Dim()+i] += weights[0]
	}
	return nil
}

func ExampleAugmentedLagrangian() {
	m, err := manifold.NewAffine(2, manifold.AffineOptions{})
	if err != nil {
		panic(err)
	}
	b, err := manifold.NewFrame(mat.NewSymDense(2, []float64{8, 0, 0, 2}))
	if err != nil {
		panic(err)
	}
	r, err := solve.AugmentedLagrangian(m, unimodular{pulled{m: m, b: b}}, manifold.IdentityFrame(2, 3), nil)
	if err != nil {
		panic(err)
	}
	s := r.Point.(*manifold.Frame).Sym()
	fmt.Printf("%v: %.4f %.4f, multiplier %.4f\n", r.Converged, s.At(0, 0), s.At(1, 1), r.Multipliers[0])
	// Output: true: 2.0000 0.5000, multiplier 1.3863
}

func ExampleState() {
	m, f := model()
	var saved []byte
	_, err := solve.LBFGS(m, f, manifold.IdentityFrame(2, 1), &solve.Options{MaxIterations: 3, CheckpointEvery: 10, Checkpoint: func(s *solve.State) (err error) {
		saved, err = s.MarshalBinary()
		return err
	}})
	if err != nil {
		panic(err)
	}
	var s solve.State
	if err := s.UnmarshalBinary(saved); err != nil {
		panic(err)
	}
	r, err := solve.LBFGS(m, f, manifold.IdentityFrame(2, 1), &solve.Options{Restore: &s})
	if err != nil {
		panic(err)
	}
	whole, err := solve.LBFGS(m, f, manifold.IdentityFrame(2, 1), nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(r.Converged, r.Iterations == whole.Iterations, r.Objective == whole.Objective)
	// Output: true true true
}

func ExampleBetas() {
	for _, b := range solve.Betas() {
		fmt.Print(b, " ")
	}
	// Output: hybrid fletcher-reeves polak-ribiere hestenes-stiefel dai-yuan hager-zhang
}

func ExampleSolvers() {
	for _, s := range solve.Solvers() {
		fmt.Println(s.Name)
	}
	// Output:
	// steepest
	// lbfgs
	// trust
	// cg
	// arc
}

func ExampleAny() {
	m, f := model()
	r, err := solve.Steepest(m, f, manifold.IdentityFrame(2, 1), &solve.Options{Stop: solve.Any{solve.CostBelow(2.8), solve.StepBelow(1e-3)}})
	if err != nil {
		panic(err)
	}
	fmt.Println(r.Reason.Name, r.Converged, r.Reason.Advice)
	// Output: step false look at the gradient norm: if it is not small, try the trust solver
}

func ExampleByName() {
	s, err := solve.ByName("trust")
	fmt.Println(s.Name, err)
	_, err = solve.ByName("thrust")
	fmt.Println(err)
	// Output:
	// trust <nil>
	// solve: unknown solver "thrust", want one of steepest, lbfgs, trust, cg, arc, bfgs, gauss-newton, nelder-mead, particle-swarm, cma, sgd, adam, svrg, proximal, augmented-lagrangian, exact-penalty, barrier, frank-wolfe
}

// An own cost on SPD matrices, minimized by a Riemannian trust region, with the reason why it ended.
func Example() {
	m, f := model()
	r, err := solve.Trust(m, f, manifold.IdentityFrame(2, 1), &solve.Options{Tolerance: 1e-10})
	if err != nil {
		panic(err)
	}
	show(r)
	fmt.Println(r.Reason.Name, r.RelativeGradient < 1e-10)
	// Output:
	// trust converged: true
	// ⎡2.0000  1.0000⎤
	// ⎣1.0000  2.0000⎦
	// relative-gradient true
}
