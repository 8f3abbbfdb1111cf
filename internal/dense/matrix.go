// Package dense holds the dense kernels that everything else in spdopt stands on: matrix products, triangular factors, the
// Cayley map, the bounded-angle generator and elementwise functions, each for float32 and float64.
//
// Matrices are row major. Every result has the same bits for any number of threads: one FMA chain per output element over fixed
// blocks of the inner dimension. Shape mismatches panic with Error.
package dense

import "fmt"

// Float is the set of element types that the kernels are written for.
type Float interface{ float32 | float64 }

// Error is what a kernel panics with when a caller passes shapes that do not fit.
type Error string

// Error returns the message.
func (e Error) Error() string { return "dense: " + string(e) }

// Matrix is a row-major view of Rows x Cols elements; row i starts at Data[i*Stride].
type Matrix[T Float] struct {
	Rows, Cols, Stride int
	Data               []T
}

// New returns a zeroed matrix with Stride = cols.
func New[T Float](rows, cols int) Matrix[T] {
	return Matrix[T]{Rows: rows, Cols: cols, Stride: cols, Data: zeros[T](rows * cols)}
}

// zeros returns n elements, in huge pages where that is worth it and the system has them.
func zeros[T Float](n int) []T {
	x := make([]T, n)
	adviseHuge(x)
	return x
}

// Wrap views data as a contiguous rows x cols matrix.
func Wrap[T Float](rows, cols int, data []T) Matrix[T] {
	if len(data) < rows*cols {
		panic(Error(fmt.Sprintf("Wrap: %d elements cannot hold %dx%d", len(data), rows, cols)))
	}
	return Matrix[T]{Rows: rows, Cols: cols, Stride: cols, Data: data[:rows*cols]}
}

// Row returns row i as a slice of Cols elements.
func (m Matrix[T]) Row(i int) []T {
	if m.Cols == 0 {
		return nil
	}
	return m.Data[i*m.Stride : i*m.Stride+m.Cols]
}

// At returns element (i, j).
func (m Matrix[T]) At(i, j int) T { return m.Data[i*m.Stride+j] }

// Set assigns element (i, j).
func (m Matrix[T]) Set(i, j int, v T) { m.Data[i*m.Stride+j] = v }

// View returns the rows x cols block whose first element is (i, j); it shares memory with m.
func (m Matrix[T]) View(i, j, rows, cols int) Matrix[T] {
	if i < 0 || j < 0 || rows < 0 || cols < 0 || i+rows > m.Rows || j+cols > m.Cols {
		panic(Error(fmt.Sprintf("View: block (%d,%d)+%dx%d outside %dx%d", i, j, rows, cols, m.Rows, m.Cols)))
	}
	if rows == 0 || cols == 0 {
		return Matrix[T]{Rows: rows, Cols: cols, Stride: m.Stride}
	}
	return Matrix[T]{Rows: rows, Cols: cols, Stride: m.Stride, Data: m.Data[i*m.Stride+j : (i+rows-1)*m.Stride+j+cols]}
}

// Copy copies src into m; the shapes must agree.
func (m Matrix[T]) Copy(src Matrix[T]) {
	m.mustHave(src.Rows, src.Cols, "Copy")
	if n := m.Rows * m.Cols; m.contiguous() && src.contiguous() {
		copy(m.Data[:n], src.Data[:n])
		return
	}
	for i := range m.Rows {
		copy(m.Row(i), src.Row(i))
	}
}

// contiguous tells whether the elements follow one another without gaps.
func (m Matrix[T]) contiguous() bool { return m.Stride == m.Cols }

// Clone returns a contiguous copy of m.
func (m Matrix[T]) Clone() Matrix[T] {
	c := New[T](m.Rows, m.Cols)
	c.Copy(m)
	return c
}

// Zero sets every element to zero.
func (m Matrix[T]) Zero() {
	if m.contiguous() {
		clear(m.Data[:m.Rows*m.Cols])
		return
	}
	for i := range m.Rows {
		clear(m.Row(i))
	}
}

// Identity sets m to the identity.
func (m Matrix[T]) Identity() {
	m.Zero()
	for i := range min(m.Rows, m.Cols) {
		m.Set(i, i, 1)
	}
}

// AddDiagonal adds x to every element of the diagonal.
func (m Matrix[T]) AddDiagonal(x T) {
	for i := range min(m.Rows, m.Cols) {
		m.Data[i*m.Stride+i] += x
	}
}

// Trace returns the sum of the diagonal elements.
func (m Matrix[T]) Trace() (sum float64) {
	for i := range min(m.Rows, m.Cols) {
		sum += float64(m.At(i, i))
	}
	return sum
}

func (m Matrix[T]) mustHave(rows, cols int, op string) {
	if m.Rows != rows || m.Cols != cols {
		panic(Error(fmt.Sprintf("%s: have %dx%d, want %dx%d", op, m.Rows, m.Cols, rows, cols)))
	}
}

// holds reports whether Data is long enough, since assembly does not check. m must not be empty.
func (m *Matrix[T]) holds() bool { return len(m.Data) >= (m.Rows-1)*m.Stride+m.Cols && m.Stride >= 0 }

// Whole reports whether a matrix that a caller put together has a shape, and the elements for it.
func Whole[T Float](m Matrix[T]) bool {
	return m.Rows >= 0 && m.Cols >= 0 && m.Stride >= m.Cols && (m.Rows == 0 || m.Cols == 0 || m.holds())
}

const errShort = Error("the data of a matrix are too short for its shape")
