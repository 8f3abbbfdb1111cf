//go:build !amd64

package dense

func hasPairs() bool { return false }

func narrowKernel[T Float](x []T, dst []BFloat16) bool { return false }

func widenKernel[T Float](x []BFloat16, dst []T) bool { return false }

func interleaveKernel(a, b []float32, dst []uint32) bool { return false }
