//go:build !amd64

package dense

func scaleSingleKernel(alpha float64, x []float64, dst []float32) (done int) { return 0 }

func addDoubleKernel(x, y []float32, dst []float64) (done int) { return 0 }
