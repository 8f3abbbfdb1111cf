//go:build !amd64

package dense

// The kernels for single rows do the work of these two, one call a row.

func rowDotsKernel[T Float](a, b Matrix[T], dst []T) bool { return false }

func scaleRowsKernel[T Float](c []T, x, y Matrix[T]) bool { return false }
