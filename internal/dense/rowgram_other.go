//go:build !amd64

package dense

func rowGramKernel[T Float](w Matrix[T], lanes int, sums []T) { panic(Error("RowGram")) }

func rowGramRounded(w Matrix[float32], step int, memory, sums []float32) { panic(Error("RowGram")) }
