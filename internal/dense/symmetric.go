package dense

import "math"

// SymmetricProduct sets dst to (a b + b a)/2 for symmetric a and b, all of them and work contiguous squares of one order. dst must be neither a nor b.
func SymmetricProduct(dst, a, b, work Matrix[float64]) {
	Gemm(NoTrans, NoTrans, 0.5, a, b, 0, work)
	Transpose(dst, work)
	Axpy(1, work.Data, dst.Data)
}

// LogDetSquare returns log det L L^T of a triangular L.
func LogDetSquare(l Matrix[float64]) (sum float64) {
	for i := range l.Rows {
		sum += 2 * math.Log(l.At(i, i))
	}
	return sum
}
