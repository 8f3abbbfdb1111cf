package solve

import (
	"errors"
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
// so that trying again with a larger sigma costs one evaluation and no Hessian product unless the space must grow. With a Preconditioner P the space is that of P
// times the Hessian, H + sigma |s| P^-1 takes the place of H + sigma |s|, |s| being Riemannian, and |g| stands for <g,Pg>^1/2. It then ends before the first direction
// that makes the model concave, as truncated conjugate gradients do: the most concave directions in the metric of P^-1 are those in which P^-1 is next to nothing, and
// lead away from where the cost falls. Memory: one vector for each dimension of the space, at most 100, or two with a Preconditioner.
func CubicRegularization(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error) {
	r, err := begin("arc", m, f, start, o)
	if err != nil {
		return nil, err
	}
	k, first := newKrylov(r), r.x.cost
	if err := k.firstWeight(); err != nil {
		return nil, err
	}
	if err := r.keep(func(c *codec) { c.float(&k.sigma); c.float(&k.least) }); err != nil {
		return nil, err
	}
	for !r.done() {
		err := k.solve()
		if errors.Is(err, errEdge) {
			r.atEdge()
			break
		}
		if err != nil {
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
			k.sigma = cubicGrowth * max(k.sigma, k.gradient/(k.norm*length))
		}
		if ratio > acceptRatio {
			r.accept(length)
			k.size, k.ended = 0, false
		} else if length < 1e-16*math.Sqrt(float64(len(k.s))) || !finite(k.sigma) {
			r.stalled("the cubic term grew without end")
			break
		}
	}
	r.suspectGradient(first)
	return r.result()
}

// krylov minimizes the cubic model in a growing Krylov space: q are orthonormal, q[0] along the gradient, and the Hessian is tridiagonal there. With a preconditioner P
// they are orthonormal in the metric of P^-1 and q[0] is along P times the gradient.
type krylov struct {
	r               *run
	curvature       curvature
	sigma, least    float64 // weight of the cubic term and its lower bound
	size            int     // dimension of the space; 0 where nothing is known at x yet
	ended           bool    // the space grows no further
	q               [][]float64
	dual            [][]float64 // P^-1 q; q itself without preconditioner
	gram            [][]float64 // <q_i,q_j> for j <= i; nil without preconditioner, where they are orthonormal
	alpha, beta     []float64   // diagonal; beta[i] couples i and i+1
	pivot, multiple []float64   // scratch of the tridiagonal solver
	coeff           []float64   // the step in the space
	w, z            []float64   // remainder, and P times that
	s               []float64   // the step
	gradient, norm  float64     // norms of the gradient and of the step in the metric of the space
	model           float64     // decrease that the quadratic model promises, positive
}

func newKrylov(r *run) *krylov {
	n := len(r.x.grad)
	most := min(krylovMaximum, n)
	k := &krylov{r: r, curvature: newCurvature(r), w: r.vector(n), s: r.vector(n)}
	k.z = k.w
	if r.prec != nil {
		k.z = r.vector(n)
	}
	for _, v := range []*[]float64{&k.alpha, &k.beta, &k.pivot, &k.multiple, &k.coeff} {
		*v = make([]float64, most)
	}
	return k
}

// firstWeight sets sigma such that the cubic term bounds the first step.
func (k *krylov) firstWeight() error {
	r := k.r
	if r.status.GradientNorm == 0 {
		return nil
	}
	if err := k.begin(); err != nil {
		return err
	}
	first := r.firstStep()
	k.sigma = k.gradient * math.Sqrt(r.m.Inner(r.x.point, k.q[0], k.q[0])) / (first * first)
	k.least = smallestWeight * min(k.sigma, k.gradient) // a tiny first step may be due to the units of the cost
	return nil
}

// begin makes the first vector of the space at x.
func (k *krylov) begin() error {
	copy(k.w, k.r.x.grad)
	var err error
	if k.gradient, err = k.remainder(); err != nil {
		return err
	}
	k.append(0, k.gradient)
	return nil
}

// remainder sets z to the preconditioned w and returns the norm of w in the metric of the space.
func (k *krylov) remainder() (float64, error) {
	if k.r.prec != nil {
		if err := k.r.precondition(k.z, k.w); err != nil {
			return 0, err
		}
	}
	return math.Sqrt(k.r.m.Inner(k.r.x.point, k.w, k.z)), nil
}

// append makes the remainder, of the given norm, the i-th basis vector.
func (k *krylov) append(i int, norm float64) {
	if i == len(k.q) {
		v := k.r.vector(len(k.s))
		k.q, k.dual = append(k.q, v), append(k.dual, v)
		if k.r.prec != nil {
			k.dual[i] = k.r.vector(len(k.s))
		}
	}
	for j, v := range k.z {
		k.q[i][j] = v / norm
	}
	if k.r.prec == nil {
		return
	}
	for j, v := range k.w {
		k.dual[i][j] = v / norm
	}
	if i == len(k.gram) {
		k.gram = append(k.gram, make([]float64, i+1))
	}
	for j, q := range k.q[:i+1] {
		k.gram[i][j] = k.r.m.Inner(k.r.x.point, k.q[i], q)
	}
}

// solve sets s and model for the current sigma.
func (k *krylov) solve() error {
	r := k.r
	if k.size == 0 {
		if err := k.begin(); err != nil {
			return err
		}
		if err := k.expand(); err != nil {
			return err
		}
	}
	g := k.gradient
	floor := r.innerFloor() * g / r.status.GradientNorm
	for {
		if k.r.prec != nil && k.size > 1 && !k.shifted(0, g) {
			k.size, k.ended = k.size-1, true
		}
		lambda, length := k.minimize(g)
		k.norm = math.Sqrt(dense.Dot(k.coeff[:k.size], k.coeff[:k.size]))
		residual := k.beta[k.size-1] * math.Abs(k.coeff[k.size-1])
		target := min(cubicResidual*k.norm*length, innerLinear*g)
		if k.ended || residual <= max(target, floor) || k.size == len(k.alpha) || k.beta[k.size-1] == 0 {
			k.model = (lambda*k.norm*k.norm - g*k.coeff[0]) / 2
			break
		}
		k.append(k.size, k.beta[k.size-1])
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

// expand adds q[size] to the space: one Hessian product, and the remainder in w, made orthogonal to the last two vectors, then to all.
func (k *krylov) expand() error {
	r, p, j := k.r, k.r.x.point, k.size
	if err := k.curvature.product(k.w, k.q[j]); err != nil {
		return err
	}
	k.alpha[j] = r.m.Inner(p, k.q[j], k.w)
	before := r.m.Inner(p, k.w, k.w)
	dense.Axpy(-k.alpha[j], k.dual[j], k.w)
	if j > 0 {
		dense.Axpy(-k.beta[j-1], k.dual[j-1], k.w)
	}
	for i, q := range k.q[:j+1] {
		dense.Axpy(-r.m.Inner(p, q, k.w), k.dual[i], k.w)
	}
	k.size++
	if k.beta[j] = 0; r.m.Inner(p, k.w, k.w) <= breakdown*breakdown*before {
		return nil
	}
	var err error
	k.beta[j], err = k.remainder()
	return err
}

// minimize sets coeff to the y in the space with (T + lambda I) y = -g e1, lambda = sigma |s| and T + lambda I positive definite, s the step with these coefficients:
// without preconditioner the minimizer of the model, since |s| = |y|. It does so by bisection, since |s| - lambda/sigma falls where lambda is large, and returns lambda
// and |s|. Because T is unreduced and the right side is along e1 the hard case cannot occur.
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
	lo, hi := 0.0, norm+math.Sqrt(k.sigma*g*k.longest())
	for range 200 {
		mid := lo + (hi-lo)/2
		if mid <= lo || mid >= hi {
			break
		}
		if !k.shifted(mid, g) || k.length() > mid/k.sigma {
			lo = mid
		} else {
			hi = mid
		}
	}
	k.shifted(hi, g)
	return hi, k.length()
}

// length returns |s| of the step with the coefficients coeff.
func (k *krylov) length() float64 {
	y := k.coeff[:k.size]
	if k.gram == nil {
		return math.Sqrt(dense.Dot(y, y))
	}
	var sum float64
	for i, c := range y {
		row := k.gram[i]
		sum += c * (2*dense.Dot(row[:i], y[:i]) + c*row[i])
	}
	return math.Sqrt(max(sum, 0))
}

// longest bounds |s| of all coefficients of norm 1.
func (k *krylov) longest() float64 {
	if k.gram == nil {
		return 1
	}
	var sum float64
	for i := range k.size {
		sum += k.gram[i][i]
	}
	return math.Sqrt(sum)
}

// shifted solves (T + lambda I) coeff = -g e1 by an L D L^T factorization and returns false if a pivot is not positive.
func (k *krylov) shifted(lambda, g float64) bool {
	n := k.size
	for i := range n {
		d := k.alpha[i] + lambda
		if i > 0 {
			d -= k.multiple[i-1] * k.beta[i-1]
		}
		if !(d > 0) {
			return false
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
	return true
}
