package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

func sum(x []float64) (s float64) {
	for _, v := range x {
		s += v
	}
	return s
}

func norm[T dense.Float](x []T) float64 { return math.Sqrt(float64(dense.Dot(x, x))) }

func addToDiagonal(a dense.Matrix[float64], x float64) {
	for i := range a.Rows {
		a.Data[i*a.Stride+i] += x
	}
}

// convertShort is the number of elements from which on kernels convert them faster.
const convertShort = 32

// convert sets dst to scale x.
func convert[T dense.Float](scale float64, x []float64, dst []T) {
	if len(x) < convertShort {
		for i, v := range x {
			dst[i] = T(scale * v)
		}
		return
	}
	switch dst := any(dst).(type) {
	case []float32:
		dense.ScaleSingle(scale, x, dst)
	case []float64:
		dense.Scale(scale, x, dst)
	}
}
