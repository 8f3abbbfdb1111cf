//go:build !amd64

package dense

func shiftedStartKernel[T Float](q *Shifted[T], y Matrix[T], l int) bool { return false }

func shiftedStepKernel[T Float](q *Shifted[T], l int, omega, step T, res []T) bool { return false }
