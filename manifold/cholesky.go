package manifold

import (
	"fmt"
	"math/rand/v2"
)

// Cholesky is the manifold of n x n SPD matrices with the Euclidean metric of their Cholesky factors: the distance of two is ||L_A - L_B||_F, the mean of
// many the square of the mean factor. Points are *CholeskyPoint; the coordinates of a tangent matrix U = L' L^T + L L'^T are those of L', row by row. Flat,
// but not complete: a step that takes a diagonal element of L to zero is a *PointError. Steps cost n^2 operations. Depends on the order of the
// variables. Source: Dryden, Koloydenko and Zhou, Ann. Appl. Stat. 3 (2009) 1102-1123.
type Cholesky struct{ triangular }

var (
	_ Matrices        = (*Cholesky)(nil)
	_ Exponential     = (*Cholesky)(nil)
	_ Logarithm       = (*Cholesky)(nil)
	_ Distancer       = (*Cholesky)(nil)
	_ RandomTangenter = (*Cholesky)(nil)
	_ Checker         = (*Cholesky)(nil)
	_ FreeTransporter = (*Cholesky)(nil)
)

var cholesky = Metric{
	Name: "cholesky",
	What: "||L_A - L_B|| of the Cholesky factors: flat but bounded by the cone, closed-form mean, steps in n^2; depends on the order of the variables",
	New:  func(n int) (Manifold, error) { return NewCholesky(n) },
}

// NewCholesky returns the Cholesky manifold of n x n SPD matrices.
func NewCholesky(n int) (*Cholesky, error) {
	if n < 1 {
		return nil, fmt.Errorf("manifold: n is %d, want at least 1", n)
	}
	return &Cholesky{triangular{n: n, band: n - 1,
		move:    func(l, v float64) float64 { return l + v },
		between: func(a, b float64) float64 { return b - a },
		slope:   func(float64) float64 { return 1 },
	}}, nil
}

// RandomPoint returns the factor of a random point of LogCholesky, plus 2 on the diagonal to keep that distance from the boundary of the cone.
func (m *Cholesky) RandomPoint(rng *rand.Rand) Point {
	p := m.triangular.RandomPoint(rng).(*CholeskyPoint)
	for i := range m.n {
		p.l.Set(i, i, p.l.At(i, i)+2)
	}
	return p
}
