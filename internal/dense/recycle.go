package dense

import (
	"math/bits"
	"sync"
	"unsafe"
)

// recycled holds vectors of float64 for reuse, by the number of bits of their capacity. The garbage collector may take what is not in use.
var recycled [bits.UintSize + 1]sync.Pool

// Recycled returns n elements, whose contents are unspecified, for a while: from what Recycle was given, or new ones. It spares runs that follow one another the
// clearing and collecting of their workspaces.
func Recycled(n int) []float64 {
	if v, ok := recycled[bits.Len(uint(n))].Get().(*[]float64); ok && cap(*v) >= n {
		return (*v)[:n]
	}
	return zeros[float64](n)
}

// RecycledMatrix is Recycled for a packed matrix.
func RecycledMatrix(rows, cols int) Matrix[float64] { return Wrap(rows, cols, Recycled(rows*cols)) }

// Singles returns the memory of v as twice as many elements of single precision.
func Singles(v []float64) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(v))), 2*len(v))
}

// Recycle takes the elements back; nobody may use them any more.
func Recycle(vectors ...[]float64) {
	for _, v := range vectors {
		if cap(v) > 0 {
			recycled[bits.Len(uint(cap(v)))].Put(&v)
		}
	}
}
