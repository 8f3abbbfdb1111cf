//go:build !amd64

package dense

func expKernel[T Float](x, dst []T) bool { return false }

func logKernel[T Float](x, dst []T) bool { return false }

func powKernel[T Float](x, dst []T, p float64) bool { return false }

func normalKernel[T Float](dst []T, key [2]uint64, block uint64) bool { return false }
