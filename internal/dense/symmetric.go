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

// PackSymmetric sets to to the upper triangle of the symmetric m, row after row, off-diagonal entries times sqrt(2): a vector of the same norm.
func PackSymmetric(m Matrix[float64], to []float64) {
	k := 0
	for i := range m.Rows {
		to[k] = m.At(i, i)
		k++
		for _, v := range m.Row(i)[i+1:] {
			to[k] = math.Sqrt2 * v
			k++
		}
	}
}
