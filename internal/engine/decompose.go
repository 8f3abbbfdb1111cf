package engine

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// Decompositions are the steps of eigendecompositions, orthonormal bases and inverses that are no products, for symmetric matrices.
type Decompositions[T dense.Float] interface {
	// Jacobi sets v to rotations of the diagonal blocks of size x size of the symmetric a_k, whose upper triangles are read: the rows of v_(k b + i)
	// are close to eigenvectors of block i of the b blocks of a_k. Each makes sweeps cyclic Jacobi sweeps, fewer where nothing is left. The size is at
	// most JacobiMost and divides the number of rows.
	Jacobi(a Batch[T], size, sweeps int, noise T, v Batch[T])
	// Orthonormalise makes rows [first, first+rows) of w_k orthonormal, one after the other by Gram and Schmidt. They have to be orthogonal to the rows
	// before them, which are orthonormal. A row of which less than 1e-10 (1e-4 in float32) of the root of its element of squares is left gives way to the same row of
	// spare_k, or where that depends on them as well to a unit vector, freed of all rows before.
	Orthonormalise(first, rows int, w, spare Batch[T], squares []T)
	// Invert sets a_k to its inverse where its symmetric part is positive definite, without pivoting. What becomes of others is of no use.
	Invert(a Batch[T])
	// FromSingle sets y = x, ToSingle y = x rounded. The lengths are equal.
	FromSingle(x []float32, y []T)
	ToSingle(x []T, y []float32)
}

// JacobiMost is the size of the largest blocks of Jacobi: with their rotations they fit the shared memory of a device.
const JacobiMost = 48

// MustJacobi panics with Error unless the operands of Jacobi fit.
func MustJacobi[T dense.Float](a *Batch[T], size, sweeps int, v *Batch[T]) {
	MustHave("Jacobi", a.Rows, a.Cols)
	if size < 1 || size > JacobiMost || a.Rows%size != 0 || sweeps < 1 {
		panic(Error("Jacobi: blocks of another size than it can do, or no sweeps"))
	}
	MustHave("Jacobi", size, v.Rows, v.Cols)
	MustHave("Jacobi", a.Count*(a.Rows/size), v.Count)
}

// MustOrthonormalise panics with Error unless the operands of Orthonormalise fit.
func MustOrthonormalise[T dense.Float](first, rows int, w, spare *Batch[T], squares []T) {
	w.MustMatch("Orthonormalise", spare)
	MustHave("Orthonormalise", w.Count*w.Rows, len(squares))
	if first < 0 || rows < 1 || first+rows > w.Rows || w.Rows > w.Cols {
		panic(Error("Orthonormalise: rows that the matrices do not have"))
	}
}

// Jacobi implements Decompositions.
func (c *cpu[T]) Jacobi(a Batch[T], size, sweeps int, noise T, v Batch[T]) {
	MustJacobi(&a, size, sweeps, &v)
	c.runBlocks(blockTask[T]{do: jacobi[T]{}, terms: sweeps, alpha: noise, a: a, c: v}, v.Count, v.Count*size*size*size*sweeps)
}

type jacobi[T dense.Float] struct{}

func (jacobi[T]) block(t *blockTask[T], k int) {
	v := t.c.At(k)
	n := v.Rows
	blocks := t.a.Rows / n
	at := k % blocks * n
	work, loan := dense.Borrow[T](n * n)
	a := dense.Wrap(n, n, work)
	a.Copy(t.a.At(k/blocks).View(at, at, n, n))
	dense.Mirror(a)
	v.Identity()
	var balance T // of the diagonal: of two blocks the one with the larger eigenvalues keeps those
	for i := range n {
		if i < n-n/2 {
			balance += a.At(i, i)
		} else {
			balance -= a.At(i, i)
		}
	}
	for range t.terms {
		if !sweepJacobi(a, v, t.alpha, balance < 0) {
			break
		}
	}
	loan.Return()
}

// sweepJacobi rotates every pair of rows once, in rounds of disjoint pairs, and says whether an element off the diagonal was above noise. Of each pair the
// larger eigenvalue goes to the first row, or to the second: equal eigenvalues that are apart would make the convergence linear.
func sweepJacobi[T dense.Float](a, v dense.Matrix[T], noise T, ascending bool) (left bool) {
	n := a.Rows
	even := n + n&1
	for round := range even - 1 {
		for p := range even / 2 {
			i, j := JacobiPair(round, p, even)
			if j >= n {
				continue
			}
			left = turn(a, v, i, j, noise, ascending) || left
		}
	}
	return left
}

// JacobiPair returns the p-th of the disjoint pairs i < j of a round, in which an even number n of players meet in turn.
func JacobiPair(round, p, n int) (i, j int) {
	if p == 0 {
		return round, n - 1
	}
	i, j = (round+p)%(n-1), (round-p+n-1)%(n-1)
	return min(i, j), max(i, j)
}

// turn makes a_ij zero by the rotation of rows and columns i and j of a, and of the rows of v, that sorts a_ii and a_jj. It says whether it did something.
func turn[T dense.Float](a, v dense.Matrix[T], i, j int, noise T, ascending bool) bool {
	b, first, second := a.At(i, j), a.At(i, i), a.At(j, j)
	var t T
	if b > noise || -b > noise {
		tau := (second - first) / (2 * b)
		t = 1 / (max(tau, -tau) + T(math.Sqrt(float64(1+tau*tau))))
		if tau < 0 {
			t = -t
		}
	}
	c := 1 / T(math.Sqrt(float64(1+t*t)))
	s := t * c
	first, second = first-t*b, second+t*b
	if gap := second - first; ascending && -gap > noise || !ascending && gap > noise {
		c, s, first, second = -s, c, second, first
	}
	if s == 0 {
		return false
	}
	rotateRows(c, s, a.Row(i), a.Row(j))
	for k := range a.Rows {
		row := a.Row(k)
		row[i], row[j] = a.At(i, k), a.At(j, k)
	}
	a.Set(i, i, first)
	a.Set(j, j, second)
	a.Set(i, j, 0)
	a.Set(j, i, 0)
	rotateRows(c, s, v.Row(i), v.Row(j))
	return true
}

func rotateRows[T dense.Float](c, s T, x, y []T) {
	y = y[:len(x)]
	for k, p := range x {
		q := y[k]
		x[k], y[k] = c*p-s*q, s*p+c*q
	}
}

// Orthonormalise implements Decompositions.
func (c *cpu[T]) Orthonormalise(first, rows int, w, spare Batch[T], squares []T) {
	MustOrthonormalise(first, rows, &w, &spare, squares)
	c.runBlocks(blockTask[T]{do: orthonormalise[T]{first}, terms: rows, a: spare, c: w, s: squares}, w.Count, w.Count*rows*rows*w.Cols)
}

type orthonormalise[T dense.Float] struct{ first int }

// least is the part of a row that has to be left of it: far above rounding, so that making it orthogonal twice is enough.
func least[T dense.Float]() float64 {
	if isSingle[T]() {
		return 1e-4
	}
	return 1e-10
}

func (o orthonormalise[T]) block(t *blockTask[T], k int) {
	w, spare := t.c.At(k), t.a.At(k)
	coefficients, loan := dense.Borrow[T](w.Rows)
	for i := o.first; i < o.first+t.terms; i++ {
		row := w.Row(i)
		if unitise(w, o.first, i, math.Sqrt(float64(t.s[k*w.Rows+i])), coefficients) {
			continue
		}
		copy(row, spare.Row(i))
		for j := 0; !unitise(w, 0, i, math.Sqrt(float64(dense.Dot(row, row))), coefficients) && j < w.Cols; j++ {
			clear(row)
			row[j] = 1
		}
	}
	loan.Return()
}

// unitise frees row i of w of the rows from first on and gives it the norm 1, unless next to nothing of the norm before is left.
func unitise[T dense.Float](w dense.Matrix[T], first, i int, before float64, coefficients []T) bool {
	row := w.Row(i)
	if i > first {
		rows := w.View(first, 0, i-first, w.Cols)
		for range 2 {
			dense.Gemv(dense.NoTrans, 1, rows, row, 0, coefficients[:i-first])
			dense.Gemv(dense.Transposed, -1, rows, coefficients[:i-first], 1, row)
		}
	}
	norm := math.Sqrt(float64(dense.Dot(row, row)))
	if !(norm > least[T]()*before) {
		return false
	}
	dense.Scale(T(1/norm), row, row)
	return true
}

// Invert implements Decompositions.
func (c *cpu[T]) Invert(a Batch[T]) {
	MustHave("Invert", a.Rows, a.Cols)
	c.runBlocks(blockTask[T]{do: invert[T]{}, c: a}, a.Count, a.Count*a.Rows*a.Rows*a.Rows/8)
}

type invert[T dense.Float] struct{}

func (invert[T]) block(t *blockTask[T], k int) {
	a := t.c.At(k)
	work, loan := dense.Borrow[T](dense.CayleyWork(a.Rows))
	dense.InvertDefinite(a, work)
	loan.Return()
}

// FromSingle implements Decompositions.
func (*cpu[T]) FromSingle(x []float32, y []T) {
	MustHave("FromSingle", len(x), len(y))
	for i, v := range x {
		y[i] = T(v)
	}
}

// ToSingle implements Decompositions.
func (*cpu[T]) ToSingle(x []T, y []float32) {
	MustHave("ToSingle", len(x), len(y))
	for i, v := range x {
		y[i] = float32(v)
	}
}
