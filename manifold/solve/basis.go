package solve

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

const (
	basisSeed = 1    // of the basis of a tangent space, which is arbitrary
	basisLoss = 1e-6 // a random tangent vector of norm 1 that keeps less after projection lies in the span of the basis
)

// tangentBasis returns an orthonormal basis of the tangent space at p, from random tangent vectors; name is the solver that needs it.
func tangentBasis(name string, m manifold.Manifold, p manifold.Point) ([][]float64, error) {
	draw, ok := m.(manifold.RandomTangenter)
	if !ok {
		return nil, fmt.Errorf("solve: %s needs a manifold with RandomTangent", name)
	}
	rng := rand.New(rand.NewChaCha8([32]byte{basisSeed}))
	var basis [][]float64
	for len(basis) < m.VectorLen() {
		v := make([]float64, m.VectorLen())
		draw.RandomTangent(v, p, rng)
		for range 2 {
			for _, b := range basis {
				dense.Axpy(-m.Inner(p, b, v), b, v)
			}
		}
		norm := math.Sqrt(m.Inner(p, v, v))
		if !(norm > basisLoss) {
			break
		}
		for i := range v {
			v[i] /= norm
		}
		basis = append(basis, v)
	}
	return basis, nil
}
