package problem

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

func norm[T dense.Float](x []T) float64 { return math.Sqrt(float64(dense.Dot(x, x))) }

// symmetric wraps the upper triangle of m as a gonum matrix.
func symmetric(m dense.Matrix[float64]) *mat.SymDense { return mat.NewSymDense(m.Rows, m.Data) }
