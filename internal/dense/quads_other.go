//go:build !amd64

package dense

var errQuads = Error("products of bytes")

func hasQuads() bool { return false }

func raiseMost(x Matrix[float32], weights, most []float32) { panic(errQuads) }

func bytesOfRows(x Matrix[float32], weights, steps []float32, to []uint32, words int) {
	panic(errQuads)
}

func quadsOfRows(x Matrix[float32], weights, steps []float32, to []uint32, start []int32) {
	panic(errQuads)
}

func (c *commutation) run() { panic(errQuads) }
