package solve

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

var arc = Solver{
	Name: "arc",
	What: "adaptive cubic regularization by Lanczos; exact Hessian products where the problem has them, otherwise differences",
	Run:  CubicRegularization,
}

// Constants of the cubic regularization, after Agarwal, Boumal, Bullins and Cartis, Math. Program. 188 (2021), algorithm 1.
const (
	verySuccessful = 0.9  // ratio from which the weight of the cubic term falls
	cubicFall      = 0.1  // gamma 1
	cubicGrowth    = 4    // gamma of a rejected step
	cubicResidual  = 0.25 // theta: the gradient of the model is at most theta |s|^2
	krylovMaximum  = 100
	breakdown      = 1e-14 // a Lanczos remainder this small against the size of T ends the space
	smallestWeight = 1e-16 // of the cubic term, in units of its first value, or of the first gradient if that is less
)

// CubicRegularization runs the Riemannian adaptive cubic regularization method: each step minimizes <g,s> + <s,Hs>/2 + sigma |s|^3/3 over a
// Krylov space that Lanczos grows from the gradient until the gradient of the model is small against |s|^2. A rejected step keeps the space,
// so that trying again with a larger sigma costs one evaluation and no Hessian product unless the space must grow. Memory: one vector for
// each dimension of the space, at most 100. A Preconditioner is not used.
func CubicRegularization(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error) {
	r, err := begin("arc", m, f, start, o)
	if err != nil {
		return nil, err
	}
	k := newKrylov(r)
	first := r.firstStep()
	if first > 0 {
		k.sigma = r.status.GradientNorm / (first * first)
	}
	k.least = smallestWeight * min(k.sigma, r.status.GradientNorm) // a tiny first step may be due to the units of the cost
	if err := r.keep(func(c *codec) { c.float(&k.sigma); c.float(&k.least) }); err != nil {
		return nil, err
	}
	for !r.done() {
		if err := k.solve(); err != nil {
			return nil, err
		}
		length := math.Sqrt(m.Inner(r.x.point, k.s, k.s))
		if err := r.finiteStep(length, k.model); err != nil {
			return nil, err
		}
		slope, err := r.try(1, k.s)
		if err != nil {
			return nil, err
		}
		ratio := r.ratio(k.model, slope, k.s)
		switch {
		case ratio > verySuccessful:
			k.sigma = max(cubicFall*k.sigma, k.least)
		case !(ratio > acceptRatio):
			k.sigma = cubicGrowth * max(k.sigma, r.status.GradientNorm/(length*length))
		}
		if ratio > acceptRatio {
			r.accept(length)
			k.size = 0
		} else if length < 1e-16*math.Sqrt(float64(len(k.s))) || !finite(k.sigma) {
			r.stalled("the cubic term grew without end")
			break
		}
	}
	return r.result()
}

// krylov minimizes the cubic model in a growing Krylov space: q are orthonormal, q[0] along the gradient, and the Hessian is tridiagonal there.
type krylov struct {
	r               *run
	curvature       curvature
	sigma, least    float64 // weight of the cubic term and its lower bound
	size            int     // dimension of the space; 0 where nothing is known at x yet
	q               [][]float64
	alpha, beta     []float64 // diagonal; beta[i] couples i and i+1
	pivot, multiple []float64 // scratch of the tridiagonal solver
	coeff           []float64 // the step in the space
	w               []float64
	s               []float64 // the step
	model           float64   // decrease that the quadratic model promises, positive
}

func newKrylov(r *run) *krylov {
	n := len(r.x.grad)
	most := min(krylovMaximum, n)
	k := &krylov{r: r, curvature: newCurvature(r), w: r.vector(n), s: r.vector(n)}
	for _, v := range []*[]float64{&k.alpha, &k.beta, &k.pivot, &k.multiple, &k.coeff} {
		*v = make([]float64, most)
	}
	return k
}

// solve sets s and model for the current sigma.
func (k *krylov) solve() error {
	r := k.r
	g := r.status.GradientNorm
	if k.size == 0 {
		k.vector(0)
		for i, v := range r.x.grad {
			k.q[0][i] = v / g
		}
		if err := k.expand(); err != nil {
			return err
		}
	}
	for {
		lambda, length := k.minimize(g)
		residual := k.beta[k.size-1] * math.Abs(k.coeff[k.size-1])
		target := min(cubicResidual*length*length, innerLinear*g)
		if residual <= max(target, r.innerFloor()) || k.size == len(k.alpha) || k.beta[k.size-1] == 0 {
			k.model = (lambda*length*length - g*k.coeff[0]) / 2
			break
		}
		next := k.vector(k.size)
		for i, v := range k.w {
			next[i] = v / k.beta[k.size-1]
		}
		if err := k.expand(); err != nil {
			return err
		}
	}
	clear(k.s)
	for i, c := range k.coeff[:k.size] {
		dense.Axpy(c, k.q[i], k.s)
	}
	return nil
}

// vector returns the i-th basis vector, which is allocated when a run first reaches that dimension.
func (k *krylov) vector(i int) []float64 {
	if i == len(k.q) {
		k.q = append(k.q, k.r.vector(len(k.s)))
	}
	return k.q[i]
}

// expand adds q[size] to the space: one Hessian product, and the remainder, made orthogonal to the space twice, in w.
func (k *krylov) expand() error {
	r, p, j := k.r, k.r.x.point, k.size
	if err := k.curvature.product(k.w, k.q[j]); err != nil {
		return err
	}
	k.alpha[j] = r.m.Inner(p, k.q[j], k.w)
	before := math.Sqrt(r.m.Inner(p, k.w, k.w))
	for range 2 {
		for _, q := range k.q[:j+1] {
			dense.Axpy(-r.m.Inner(p, q, k.w), q, k.w)
		}
	}
	k.beta[j] = math.Sqrt(r.m.Inner(p, k.w, k.w))
	if k.beta[j] <= breakdown*before {
		k.beta[j] = 0
	}
	k.size++
	return nil
}

// minimize sets coeff to the minimizer y of the model in the space: (T + lambda I) y = -g e1 with |y| = lambda/sigma and T + lambda I positive
// definite, by bisection, since |y| - lambda/sigma falls with lambda. It returns lambda and |y|. Because T is unreduced and the right side
// is along e1 the hard case cannot occur.
func (k *krylov) minimize(g float64) (lambda, length float64) {
	var norm float64
	for i := range k.size {
		row := math.Abs(k.alpha[i])
		if i > 0 {
			row += k.beta[i-1]
		}
		if i+1 < k.size {
			row += k.beta[i]
		}
		norm = max(norm, row)
	}
	lo, hi := 0.0, norm+math.Sqrt(k.sigma*g)
	for range 200 {
		mid := lo + (hi-lo)/2
		if mid <= lo || mid >= hi {
			break
		}
		if size, ok := k.shifted(mid, g); !ok || size > mid/k.sigma {
			lo = mid
		} else {
			hi = mid
		}
	}
	length, _ = k.shifted(hi, g)
	return hi, length
}

// shifted solves (T + lambda I) coeff = -g e1 by an L D L^T factorization and returns the norm; ok is false if a pivot is not positive.
func (k *krylov) shifted(lambda, g float64) (norm float64, ok bool) {
	n := k.size
	for i := range n {
		d := k.alpha[i] + lambda
		if i > 0 {
			d -= k.multiple[i-1] * k.beta[i-1]
		}
		if !(d > 0) {
			return 0, false
		}
		k.pivot[i], k.multiple[i] = d, k.beta[i]/d
	}
	k.coeff[0] = -g
	for i := 1; i < n; i++ {
		k.coeff[i] = -k.multiple[i-1] * k.coeff[i-1]
	}
	for i := n - 1; i >= 0; i-- {
		k.coeff[i] /= k.pivot[i]
		if i+1 < n {
			k.coeff[i] -= k.multiple[i] * k.coeff[i+1]
		}
	}
	for _, c := range k.coeff[:n] {
		norm += c * c
	}
	return math.Sqrt(norm), true
}
