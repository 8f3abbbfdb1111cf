package curvature

import (
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// ritz are the eigenvalues of a tridiagonal matrix and the squares of the first components of its eigenvectors: a quadrature rule for the spectral
// measure of the start vector.
type ritz struct {
	values, weights []float64
}

// mostSteps bounds what Lanczos keeps: 3 GiB of eigenvectors.
const mostSteps = 20000

// lanczos makes steps of the three-term recurrence from the start vector, which it overwrites, without reorthogonalisation; it ends early in an invariant
// subspace. The eigenvalues have ghost copies once the first ones have converged: the measure is right, their number is not.
func lanczos(a Operator, start []float64, steps int) (ritz, error) {
	if steps > mostSteps {
		return ritz{}, dataError("Lanczos", "%d steps need the eigenvectors of a matrix of as many rows, want at most %d", steps, mostSteps)
	}
	n := len(start)
	v, before, next := start, make([]float64, n), make([]float64, n)
	normalise(v)
	var alphas, betas []float64
	for k := range steps {
		a.MulTo(next, v)
		alpha := dense.Dot(next, v)
		if alpha-alpha != 0 {
			return ritz{}, dataError("product", "is not finite")
		}
		dense.Axpy(-alpha, v, next)
		if k > 0 {
			dense.Axpy(-betas[k-1], before, next)
		}
		alphas = append(alphas, alpha)
		beta := norm(next)
		if k == steps-1 || beta <= 0x1p-50*largest(alphas, betas) {
			break
		}
		betas = append(betas, beta)
		dense.Scale(1/beta, next, next)
		before, v, next = v, next, before
	}
	return tridiagonal(alphas, betas)
}

// largest bounds the norm of the tridiagonal matrix so far from below.
func largest(alphas, betas []float64) (top float64) {
	for _, s := range [][]float64{alphas, betas} {
		for _, v := range s {
			top = max(top, v, -v)
		}
	}
	return top
}

func tridiagonal(alphas, betas []float64) (ritz, error) {
	m := len(alphas)
	t := dense.New[float64](m, m)
	for i, v := range alphas {
		t.Set(i, i, v)
		if i+1 < m {
			t.Set(i, i+1, betas[i])
			t.Set(i+1, i, betas[i])
		}
	}
	r := ritz{make([]float64, m), make([]float64, m)}
	if !eigen.Sym(t, r.values) {
		return r, dataError("product", "overflows")
	}
	for j := range m {
		r.weights[j] = t.At(0, j) * t.At(0, j)
	}
	return r, nil
}

// Bounds returns estimates from inside of the smallest and the largest eigenvalue of a symmetric operator, by Lanczos with reorthogonalisation until both
// change by less than tol of the range, or for maxProducts products.
func Bounds(a Operator, tol float64, maxProducts int, r *rand.Rand) (low, high float64, err error) {
	n, err := squareDim(a)
	if err != nil {
		return 0, 0, err
	}
	if r == nil {
		return 0, 0, errNoRandom
	}
	k, err := newKrylov(a, gaussian(r, n), min(n, maxProducts))
	if err != nil {
		return 0, 0, err
	}
	for {
		done, err := k.step()
		if err != nil {
			return 0, 0, err
		}
		values, _, err := k.ritz()
		if err != nil {
			return 0, 0, err
		}
		l, h := values[0], values[len(values)-1]
		settled := k.m > 2 && max(low-l, h-high) <= tol*(h-l)
		low, high = l, h
		if done || settled {
			return low, high, nil
		}
	}
}
