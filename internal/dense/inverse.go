package dense

import (
	"math"
	"unsafe"
)

// InverseWork returns the length of the work that InvertUpper needs for n rows.
func InverseWork(n int) int { return n*n + 2*blockSize }

// InvertUpper overwrites the upper triangle of the symmetric positive definite a, of which it reads no more, with that of the inverse, in half the
// operations of a Gemm. With A = [P B; B' D], Q = P^-1 and T = Q B the inverse is [Q + T S T', -T S; -S T', S], S = (D - T' B)^-1: halves down to
// small blocks, nearly all of it in products. What lies below the diagonal is unspecified after the call; Mirror completes it. It returns false where
// a pivot is not positive, and a is of no use then. The error grows with the condition as that of the inverse by Cholesky. work has InverseWork(n)
// elements.
func InvertUpper[T Float](a Matrix[T], work []T) bool { return InvertPivots(a, nil, work) }

// InvertPivots is InvertUpper that also sets the pivots of a, the squares of the diagonal of its Cholesky factor, if pivots is not nil.
func InvertPivots[T Float](a Matrix[T], pivots, work []T) bool {
	a.mustHave(a.Rows, a.Rows, "InvertUpper")
	if len(work) < InverseWork(a.Rows) {
		panic(Error("InvertUpper: work is too short"))
	}
	if pivots != nil && len(pivots) != a.Rows {
		panic(Error("InvertPivots: pivots must have one for every row"))
	}
	return invertUpper(a, pivots, work[:blockSize], work[blockSize:2*blockSize], work[2*blockSize:])
}

// invertUpper works with block and pivots of blockSize elements each, and sets found to the pivots if it is not empty. A block that is not halved comes out complete.
func invertUpper[T Float](a Matrix[T], found, block, pivots, work []T) bool {
	n, size := a.Rows, inverseBytes/int(unsafe.Sizeof(*new(T)))
	if n <= size {
		return invertBlock(a, size, found, block, pivots)
	}
	h := (n/2 + size - 1) / size * size
	r := n - h
	p, b, d := a.View(0, 0, h, h), a.View(0, h, h, r), a.View(h, h, r, r)
	first, rest := found, found
	if len(found) > 0 {
		first, rest = found[:h], found[h:]
	}
	if !invertUpper(p, first, block, pivots, work) {
		return false
	}
	if h > size {
		Mirror(p)
	}
	tt := Wrap(r, h, work[:h*r])
	Gemm(Transposed, NoTrans, 1, b, p, 0, tt)
	GemmUpper(NoTrans, NoTrans, -1, tt, b, 1, d)
	if !invertUpper(d, rest, block, pivots, work[h*r:]) {
		return false
	}
	if r > size {
		Mirror(d)
	}
	Gemm(Transposed, NoTrans, -1, tt, d, 0, b)
	GemmUpper(NoTrans, NoTrans, -1, b, tt, 1, p)
	return true
}

const (
	// inverseBytes is the length of a row of the blocks that are not halved any more: 8 elements of float64, 16 of float32.
	inverseBytes = 64
	blockSize    = 256
)

// invertBlock pads the symmetric a with an identity to a square of the given size and inverts that, in block. It sets found to the pivots if it is not empty.
func invertBlock[T Float](a Matrix[T], size int, found, block, pivots []T) bool {
	n := a.Rows
	for i := range n {
		row := a.Row(i)
		for j := i; j < n; j++ {
			block[i*size+j], block[j*size+i] = row[j], row[j]
		}
	}
	if n < size {
		for i := range size {
			clear(block[i*size+n : (i+1)*size])
			if i >= n {
				clear(block[i*size : (i+1)*size])
				block[i*size+i] = 1
			}
		}
	}
	if !invertKernel(block, pivots) {
		eliminate(Wrap(size, size, block), pivots)
	}
	for i := range n {
		if p := pivots[i*size]; !(p > 0) || math.IsInf(float64(p), 1) {
			return false
		}
		if len(found) > 0 {
			found[i] = pivots[i*size]
		}
		copy(a.Row(i)[:n], block[i*size:])
	}
	return true
}
