package solve

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

const (
	basisSeed  = 1    // of the basis of a tangent space, which is arbitrary
	redundancy = 2.2  // a tangent vector takes at most so many numbers for each dimension
	basisLoss  = 1e-6 // a random tangent vector of norm 1 that keeps less after projection lies in the span of the basis
)

// tangentBasis returns an orthonormal basis of the tangent space at p, from random tangent vectors; name is the solver that needs it, which can do with at
// most so many dimensions.
func tangentBasis(name string, m manifold.Manifold, p manifold.Point, most int) ([][]float64, error) {
	draw, ok := m.(manifold.RandomTangenter)
	if !ok {
		return nil, fmt.Errorf("solve: %s needs a manifold with RandomTangent", name)
	}
	tooMany := fmt.Errorf("solve: %s is for at most %d dimensions, and the manifold has more; use lbfgs", name, most)
	if float64(m.VectorLen()) > redundancy*float64(most) {
		return nil, tooMany
	}
	rng := rand.New(rand.NewChaCha8([32]byte{basisSeed}))
	var basis [][]float64
	for len(basis) < m.VectorLen() {
		v := make([]float64, m.VectorLen())
		draw.RandomTangent(v, p, rng)
		norm := orthogonalise(m, p, basis, v)
		if !(norm > basisLoss) {
			break
		}
		if len(basis) == most {
			return nil, tooMany
		}
		for i := range v {
			v[i] /= norm
		}
		basis = append(basis, v)
	}
	if len(basis) == 0 {
		return nil, fmt.Errorf("solve: %s: RandomTangent finds no tangent vector at the point: the manifold has dimension 0 there", name)
	}
	return basis, nil
}

// orthogonalise takes from v its parts along the orthonormal basis at p and returns the norm that is left.
func orthogonalise(m manifold.Manifold, p manifold.Point, basis [][]float64, v []float64) float64 {
	for range 2 {
		for _, b := range basis {
			dense.Axpy(-m.Inner(p, b, v), b, v)
		}
	}
	return math.Sqrt(m.Inner(p, v, v))
}
