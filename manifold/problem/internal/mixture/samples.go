package mixture

import (
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/gram"
)

// Samples are samples in coordinates x in which their mean is 0 and their covariance I, as rows y = (1, x).
type Samples struct {
	y      dense.Matrix[float64] // N x (n+1)
	mean   []float64
	pooled *manifold.Frame // triangular
}

// NewSamples takes samples as rows, which it changes. It fails where they lie in a hyperplane.
func NewSamples(x dense.Matrix[float64]) (*Samples, error) {
	N, n := x.Rows, x.Cols
	s := &Samples{y: dense.New[float64](N, n+1), mean: gram.Centre(x)}
	for i := range N {
		s.y.Set(i, 0, 1)
	}
	cov := dense.New[float64](n, n)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1/float64(N), x, x, 0, cov)
	var err error
	if s.pooled, err = gram.Frame(mat.NewSymDense(n, cov.Data), x); err != nil {
		return nil, err
	}
	dense.MulLowerRight(dense.Transposed, dense.Of(s.pooled.Inverse().RawMatrix()), x, s.y.View(0, 1, N, n))
	return s, nil
}
