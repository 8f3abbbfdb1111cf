package manifold

import (
	"fmt"
	"math"
)

// LogEuclidean is the manifold of n x n SPD matrices with the log-Euclidean metric: the matrix logarithm is an isometry onto the symmetric
// matrices, so that geodesics are exp((1-t) log A + t log B), the distance is ||log A - log B||_F, and the mean of many is the exponential
// of the mean logarithm. Points are *EigenPoint; the coordinates of a tangent matrix U are the derivative of the logarithm at S in direction
// U. Flat and complete; invariant under orthogonal congruence, scaling and inversion. Source: Arsigny, Fillard, Pennec and Ayache, SIAM J.
// Matrix Anal. Appl. 29 (2007) 328-347.
type LogEuclidean struct{ flat }

var (
	_ Matrices        = (*LogEuclidean)(nil)
	_ Exponential     = (*LogEuclidean)(nil)
	_ Logarithm       = (*LogEuclidean)(nil)
	_ Distancer       = (*LogEuclidean)(nil)
	_ RandomTangenter = (*LogEuclidean)(nil)
	_ Checker         = (*LogEuclidean)(nil)
	_ FreeTransporter = (*LogEuclidean)(nil)
)

var logEuclidean = Metric{
	Name: "log-euclidean",
	What: "||log A - log B||: flat, closed-form mean exp(mean log); invariant under rotation, scaling and inversion",
	New:  func(n int) (Manifold, error) { return NewLogEuclidean(n) },
}

// NewLogEuclidean returns the log-Euclidean manifold of n x n SPD matrices.
func NewLogEuclidean(n int) (*LogEuclidean, error) {
	if n < 1 {
		return nil, fmt.Errorf("manifold: n is %d, want at least 1", n)
	}
	return &LogEuclidean{flat{eigenMetric: eigenMetric{n: n, weight: logarithmicMean}, chart: math.Log, inverse: math.Exp,
		leaves: "the step leaves the range of floating point in log S; shorten it"}}, nil
}

// logarithmicMean returns (b - a)/(log b - log a) for 0 < a <= b.
func logarithmicMean(a, b float64) float64 {
	r := (b - a) / a
	if r == 0 {
		return a
	}
	return (b - a) / math.Log1p(r)
}
