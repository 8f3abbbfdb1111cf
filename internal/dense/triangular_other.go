//go:build !amd64

package dense

func substituteKernel[T Float](tl Trans, l Matrix[T], inverse []T, b Matrix[T]) bool { return false }

func hasFactorKernel() bool { return false }

func factorKernel[T Float](_ Matrix[T], _ []T) (done int) { return 0 }
