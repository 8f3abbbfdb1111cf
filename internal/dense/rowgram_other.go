//go:build !amd64

package dense

func rowGramKernel[T Float](w Matrix[T], lanes int, sums []T) { panic(Error("RowGram")) }
