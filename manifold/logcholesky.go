package manifold

import (
	"fmt"
	"math"
)

// LogCholesky is the manifold of n x n SPD matrices with the log-Cholesky metric: the map from S = L L^T to the strict lower triangle of L
// and the logarithm of its diagonal is an isometry onto R^(n(n+1)/2). Points are *CholeskyPoint; the coordinates of a tangent matrix
// U = L' L^T + L L'^T are L'_ij (i > j) and L'_jj / L_jj, row by row. Flat and complete, geodesics and means in closed form; no
// eigendecomposition anywhere: a step costs n^2 operations. Depends on the order of the variables. Source: Lin, SIAM J. Matrix Anal. Appl. 40
// (2019) 1353-1370.
type LogCholesky struct{ triangular }

var (
	_ Matrices        = (*LogCholesky)(nil)
	_ Exponential     = (*LogCholesky)(nil)
	_ Logarithm       = (*LogCholesky)(nil)
	_ Distancer       = (*LogCholesky)(nil)
	_ RandomTangenter = (*LogCholesky)(nil)
	_ Checker         = (*LogCholesky)(nil)
	_ FreeTransporter = (*LogCholesky)(nil)
)

var logCholesky = Metric{
	Name: "log-cholesky",
	What: "Cholesky factors with logarithmic diagonal: flat, closed-form mean, steps in n^2; depends on the order of the variables",
	New:  func(n int) (Manifold, error) { return NewLogCholesky(n) },
}

// NewLogCholesky returns the log-Cholesky manifold of n x n SPD matrices.
func NewLogCholesky(n int) (*LogCholesky, error) {
	if n < 1 {
		return nil, fmt.Errorf("manifold: n is %d, want at least 1", n)
	}
	return &LogCholesky{triangular{n: n, band: n - 1,
		move:    func(l, v float64) float64 { return l * math.Exp(v) },
		between: func(a, b float64) float64 { return math.Log(b / a) },
		slope:   func(l float64) float64 { return 1 / l },
	}}, nil
}
