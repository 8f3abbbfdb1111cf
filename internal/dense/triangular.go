package dense

import (
	"math"
	"unsafe"
)

// The recursions below halve the matrix until a block of these sizes is left; everything above is in products.
const (
	solveBase     = 64
	multiplyBase  = 32
	multiplyRight = 256 // of MulLowerRight, which then goes on by panels of columns
	factorBase    = 64  // with a kernel, which takes no more
	eliminateBase = 16  // without
	invertBase    = 64
	solveStrip    = 16 // columns of SolveLowerTriangle

	smallestFactored = 12 // rows from which on choleskyBlock transposes
	unblockedInverse = 11 // rows up to which InvertLower does without a substitution
)

// Cholesky overwrites the lower triangle of the symmetric a (whose lower triangle is read) with L such that a = L L^T, and clears the strict
// upper triangle. It returns -1, or the index of the first pivot that is not positive, in which case a holds a partial factor.
// It costs a sixth of a Gemm, nearly all of it in products.
func Cholesky[T Float](a Matrix[T]) int {
	a.mustHave(a.Rows, a.Rows, "Cholesky")
	n := a.Rows
	var bad int
	if n < smallestFactored {
		bad = choleskyUnblocked(a)
	} else {
		w := takeWorkspace()
		h := blocksAt(n)
		bad = cholesky(a, elementsOf[T](&w.a, max(factorWork, h*(n-h))))
		w.release()
	}
	if n < smallestFactored || n > blockBase() || !hasFactorKernel() {
		for i := range n {
			clear(a.Row(i)[i+1:])
		}
	}
	return bad
}

// CholeskyUpper is Cholesky for a matrix whose upper triangle is read; what is below it may be anything.
func CholeskyUpper[T Float](a Matrix[T]) int {
	a.mustHave(a.Rows, a.Rows, "CholeskyUpper")
	n := a.Rows
	if n < smallestFactored || n > blockBase() || !hasFactorKernel() {
		Mirror(a)
		return Cholesky(a)
	}
	w := takeWorkspace()
	work := elementsOf[T](&w.a, factorWork)
	t := factorBlock(n, work)
	for i := range n {
		copy(t.Row(i)[i:], a.Row(i)[i:])
	}
	bad := factorTransposed(a, t, work)
	w.release()
	return bad
}

// cholesky works with the transpose of the block below the diagonal, so that neither the substitution nor the product packs anything. What it leaves above the
// diagonal is of no use.
func cholesky[T Float](a Matrix[T], work []T) int {
	n := a.Rows
	if n <= blockBase() {
		return choleskyBlock(a, work)
	}
	h := blocksAt(n)
	a11, a21, a22 := a.View(0, 0, h, h), a.View(h, 0, n-h, h), a.View(h, h, n-h, n-h)
	if bad := cholesky(a11, work); bad >= 0 {
		return bad
	}
	t := Wrap(h, n-h, work[:h*(n-h)])
	if p := triangularParts[T](triangleTimes(h, n-h), n-h); p != nil {
		p.run(factorRows, NoTrans, a11, a21, t)
	} else {
		factorBelow(a11, a21, t)
	}
	GemmLower(NoTrans, NoTrans, -1, a21, t, 1, a22)
	if bad := cholesky(a22, work); bad >= 0 {
		return h + bad
	}
	return -1
}

// factorBelow overwrites the rows of a factor below l, which are those of the matrix, with b L^-T, and t with the transpose of that.
func factorBelow[T Float](l, b, t Matrix[T]) {
	Transpose(t, b)
	solveLower(NoTrans, l, t)
	Transpose(b, t)
}

// blockBase is the number of rows up to which a matrix is not halved.
func blockBase() int {
	if hasFactorKernel() {
		return factorBase
	}
	return eliminateBase
}

// blocksAt is splitAt at a multiple of what the kernels take at a time.
func blocksAt(n int) int { return (n/2 + eliminateBase - 1) / eliminateBase * eliminateBase }

// factorWork is the length of the work of choleskyBlock.
const factorWork = factorBase * (factorBase + 2)

// choleskyBlock factors up to factorBase rows, with their transpose in work where there is a kernel for that.
func choleskyBlock[T Float](a Matrix[T], work []T) int {
	n := a.Rows
	if n < smallestFactored || !hasFactorKernel() {
		return choleskyUnblocked(a)
	}
	t := factorBlock(n, work)
	transposeLower(t.View(0, 0, n, n), a)
	return factorTransposed(a, t, work)
}

// factorBlock returns the block of n rows for the kernel, with what it wants beyond them.
func factorBlock[T Float](n int, work []T) Matrix[T] {
	const rows, line = 4, 64
	lanes := line / int(unsafe.Sizeof(*new(T)))
	width := (n + lanes - 1) / lanes * lanes
	return Matrix[T]{Rows: (n + rows - 1) / rows * rows, Cols: width, Stride: width, Data: work[2*factorBase:]}
}

// factorTransposed sets a to the factor, with zeros above the diagonal, of the matrix whose upper triangle is in the block t of work.
func factorTransposed[T Float](a, t Matrix[T], work []T) int {
	n, pivots := a.Rows, work[:2*factorBase]
	done := min(n, factorKernel(t, pivots))
	Transpose(a, t.View(0, 0, n, n))
	for i, root := range pivots[factorBase:][:done] {
		a.Data[i*a.Stride+i] = root
	}
	if done < n {
		return done
	}
	return -1
}

// transposeLower sets the upper triangle of dst, and some of what is below it, to that of the transpose of src.
func transposeLower[T Float](dst, src Matrix[T]) {
	n := src.Rows
	for i := 0; i < n; i += mirrorBlock {
		rows := min(mirrorBlock, n-i)
		transpose(dst.View(0, i, min(n, i+rows), rows), src.View(i, 0, rows, min(n, i+rows)))
	}
}

// choleskyUnblocked eliminates one column after the other, which leaves the additions to the rest independent of each other.
func choleskyUnblocked[T Float](a Matrix[T]) int {
	n := a.Rows
	var column [eliminateBase]T
	for j := range n {
		pivot := a.At(j, j)
		if !(pivot > 0) || math.IsInf(float64(pivot), 1) {
			return j
		}
		root := T(math.Sqrt(float64(pivot)))
		a.Set(j, j, root)
		for i := j + 1; i < n; i++ {
			row := a.Row(i)
			f := row[j] / root
			row[j], column[i] = f, f
			for k, v := range column[j+1 : i+1] {
				row[j+1+k] -= T(f * v)
			}
		}
	}
	return -1
}

// SolveLower overwrites b with op(L)^-1 b for the lower triangular L (its strict upper triangle is not read).
func SolveLower[T Float](tl Trans, l, b Matrix[T]) {
	l.mustHave(l.Rows, l.Rows, "SolveLower")
	b.mustHave(l.Rows, b.Cols, "SolveLower")
	if b.Cols == 0 {
		return
	}
	if p := triangularParts[T](triangleTimes(l.Rows, b.Cols), b.Cols); p != nil {
		p.run(solveColumns, tl, l, b, Matrix[T]{})
		return
	}
	solveLower(tl, l, b)
}

func solveLower[T Float](tl Trans, l, b Matrix[T]) {
	n := l.Rows
	if n <= solveBase {
		substitute(tl, l, b)
		return
	}
	h := splitAt(n)
	l11, l21, l22 := l.View(0, 0, h, h), l.View(h, 0, n-h, h), l.View(h, h, n-h, n-h)
	b1, b2 := b.View(0, 0, h, b.Cols), b.View(h, 0, n-h, b.Cols)
	if tl {
		solveLower(tl, l22, b2)
		Gemm(Transposed, NoTrans, -1, l21, b2, 1, b1)
		solveLower(tl, l11, b1)
		return
	}
	solveLower(tl, l11, b1)
	Gemm(NoTrans, NoTrans, -1, l21, b1, 1, b2)
	solveLower(tl, l22, b2)
}

// substitute is SolveLower for n <= solveBase. The terms of an element are subtracted in the order in which the rows are solved for.
func substitute[T Float](tl Trans, l, b Matrix[T]) {
	n := l.Rows
	if n == 0 {
		return
	}
	var coef [solveBase]T
	for s := range n {
		coef[s] = 1 / l.At(solvedRow(tl, n, s), solvedRow(tl, n, s))
	}
	if substituteKernel(tl, l, coef[:n], b) {
		return
	}
	step := b.Stride
	if tl {
		step = -step
	}
	for s := range n {
		i := solvedRow(tl, n, s)
		for k := range s {
			if tl {
				coef[k] = -l.At(n-1-k, i)
			} else {
				coef[k] = -l.At(i, k)
			}
		}
		row := b.Row(i)
		axpyRows(coef[:s], b.Data, solvedRow(tl, n, 0)*b.Stride, step, row)
		Scale(1/l.At(i, i), row, row)
	}
}

// solvedRow returns the row that is solved for after s others.
func solvedRow(tl Trans, n, s int) int {
	if tl {
		return n - 1 - s
	}
	return s
}

// SolveLowerRight overwrites b with b op(L)^-1 for the lower triangular L (its strict upper triangle is not read).
func SolveLowerRight[T Float](tl Trans, l, b Matrix[T]) {
	l.mustHave(l.Rows, l.Rows, "SolveLowerRight")
	b.mustHave(b.Rows, l.Rows, "SolveLowerRight")
	if b.Rows == 0 {
		return
	}
	if p := triangularParts[T](triangleTimes(l.Rows, b.Rows), b.Rows); p != nil {
		p.run(solveRows, tl, l, b, Matrix[T]{})
		return
	}
	solveLowerRightAlone(tl, l, b)
}

func solveLowerRightAlone[T Float](tl Trans, l, b Matrix[T]) {
	w := takeWorkspace()
	solveLowerRight(tl, l, b, elementsOf[T](&w.a, solveBase*b.Rows))
	w.release()
}

func solveLowerRight[T Float](tl Trans, l, b Matrix[T], work []T) {
	n := l.Rows
	if n <= solveBase {
		t := Wrap(n, b.Rows, work)
		Transpose(t, b)
		substitute(!tl, l, t)
		Transpose(b, t)
		return
	}
	h := splitAt(n)
	l11, l21, l22 := l.View(0, 0, h, h), l.View(h, 0, n-h, h), l.View(h, h, n-h, n-h)
	b1, b2 := b.View(0, 0, b.Rows, h), b.View(0, h, b.Rows, n-h)
	if tl {
		solveLowerRight(tl, l11, b1, work)
		Gemm(NoTrans, Transposed, -1, b1, l21, 1, b2)
		solveLowerRight(tl, l22, b2, work)
		return
	}
	solveLowerRight(tl, l22, b2, work)
	Gemm(NoTrans, NoTrans, -1, b2, l21, 1, b1)
	solveLowerRight(tl, l11, b1, work)
}

// SolveLowerTriangle overwrites the lower triangular b with L^-1 b for the lower triangular L (its strict upper triangle is not read), in two thirds of the work of
// SolveLower and less. Of the strict upper triangle of b only what is near the diagonal is read, and must be zero; it stays so.
func SolveLowerTriangle[T Float](l, b Matrix[T]) {
	n := b.Rows
	l.mustHave(n, n, "SolveLowerTriangle")
	b.mustHave(n, n, "SolveLowerTriangle")
	if p := triangularParts[T](triangleTimes(n, n)/3, n); p != nil {
		p.run(solveTriangle, NoTrans, l, b, Matrix[T]{})
		return
	}
	solveLowerStrips(NoTrans, l, b, 0, n)
}

// solveLowerStrips is SolveLowerTriangle, or SolveLowerHalf if tl is Transposed, for the columns [from, to), from being a multiple of solveStrip.
func solveLowerStrips[T Float](tl Trans, l, b Matrix[T], from, to int) {
	n := b.Rows
	for i := from; i < to; i += solveStrip {
		solveLower(tl, l.View(i, i, n-i, n-i), b.View(i, i, n-i, min(solveStrip, to-i)))
	}
}

// InvertLower overwrites the lower triangular l with its inverse; the strict upper triangle is neither read nor written. It costs a sixth of a
// Gemm.
func InvertLower[T Float](l Matrix[T]) {
	l.mustHave(l.Rows, l.Rows, "InvertLower")
	if l.Rows <= unblockedInverse {
		invertUnblocked(l)
		return
	}
	invertLowerAlone(l)
}

func invertLowerAlone[T Float](l Matrix[T]) {
	side := min(l.Rows, invertBase)
	w := takeWorkspace()
	invertLower(l, elementsOf[T](&w.b, side*side))
	w.release()
}

func invertLower[T Float](l Matrix[T], work []T) {
	n := l.Rows
	if n <= invertBase {
		x := Wrap(n, n, work[:n*n])
		x.Identity()
		SolveLowerTriangle(l, x)
		copyTriangle(Lower, l, x)
		return
	}
	h := splitAt(n)
	l11, l21, l22 := l.View(0, 0, h, h), l.View(h, 0, n-h, h), l.View(h, h, n-h, n-h)
	SolveLower(NoTrans, l22, l21)
	SolveLowerRight(NoTrans, l11, l21)
	for i := range l21.Rows {
		row := l21.Row(i)
		Scale(-1, row, row)
	}
	if p := invertParts[T](n); p != nil {
		p.run(invertHalves, NoTrans, l11, l22, Matrix[T]{})
		return
	}
	invertLower(l11, work)
	invertLower(l22, work)
}

// invertParts returns the task of the two halves of a triangle, if those are too small for the substitutions in them to be shared.
func invertParts[T Float](n int) *triangularTask[T] {
	if h := n / 4; lengthOf[T](triangleTimes(h, h)) >= sharedTime {
		return nil
	}
	p := triangularParts[T](triangleTimes(n, n)/12, n)
	if p != nil {
		p.parts = 2
	}
	return p
}

// invertUnblocked forms one row of the inverse after the other from the rows above it.
func invertUnblocked[T Float](l Matrix[T]) {
	var sum [unblockedInverse]T
	for i := range l.Rows {
		row := l.Row(i)[:i+1]
		clear(sum[:i])
		for k, f := range row[:i] {
			for j, v := range l.Row(k)[:k+1] {
				sum[j] += T(f * v)
			}
		}
		inv := 1 / row[i]
		for j, v := range sum[:i] {
			row[j] = -v * inv
		}
		row[i] = inv
	}
}

// MulLower sets dst = op(L) b for the lower triangular L (its strict upper triangle is not read), in half the work of Gemm. dst must not
// overlap l or b.
func MulLower[T Float](tl Trans, l, b, dst Matrix[T]) {
	n := l.Rows
	l.mustHave(n, n, "MulLower")
	b.mustHave(n, b.Cols, "MulLower")
	dst.mustHave(n, b.Cols, "MulLower")
	if p := triangularParts[T](triangleTimes(n, b.Cols), b.Cols); p != nil {
		p.run(multiplyColumns, tl, l, b, dst)
		return
	}
	mulLowerAlone(tl, l, b, dst)
}

func mulLowerAlone[T Float](tl Trans, l, b, dst Matrix[T]) {
	n := l.Rows
	w := takeWorkspace()
	mulLower(tl, l, b, dst, elementsOf[T](&w.a, min(n*n, multiplyBase*multiplyBase)))
	w.release()
}

func mulLower[T Float](tl Trans, l, b, dst Matrix[T], work []T) {
	n := l.Rows
	if n <= multiplyBase {
		Gemm(tl, NoTrans, 1, paddedLower(l, work), b, 0, dst)
		return
	}
	h := splitAt(n)
	l11, l21, l22 := l.View(0, 0, h, h), l.View(h, 0, n-h, h), l.View(h, h, n-h, n-h)
	b1, b2 := b.View(0, 0, h, b.Cols), b.View(h, 0, n-h, b.Cols)
	d1, d2 := dst.View(0, 0, h, b.Cols), dst.View(h, 0, n-h, b.Cols)
	mulLower(tl, l11, b1, d1, work)
	mulLower(tl, l22, b2, d2, work)
	if tl {
		Gemm(Transposed, NoTrans, 1, l21, b2, 1, d1)
	} else {
		Gemm(NoTrans, NoTrans, 1, l21, b1, 1, d2)
	}
}

// MulLowerRight sets dst = b op(L) for the lower triangular L (its strict upper triangle is not read), in half the work of Gemm. dst must
// not overlap l or b.
func MulLowerRight[T Float](tl Trans, l, b, dst Matrix[T]) {
	n := l.Rows
	l.mustHave(n, n, "MulLowerRight")
	b.mustHave(b.Rows, n, "MulLowerRight")
	dst.mustHave(b.Rows, n, "MulLowerRight")
	if p := triangularParts[T](triangleTimes(n, b.Rows), b.Rows); p != nil {
		p.run(multiplyRows, tl, l, b, dst)
		return
	}
	mulLowerRightAlone(tl, l, b, dst)
}

func mulLowerRightAlone[T Float](tl Trans, l, b, dst Matrix[T]) {
	n := l.Rows
	w := takeWorkspace()
	mulLowerRight(tl, l, b, dst, elementsOf[T](&w.a, rightPanel[T](n)*min(n, multiplyRight)))
	w.release()
}

func mulLowerRight[T Float](tl Trans, l, b, dst Matrix[T], work []T) {
	n := l.Rows
	if n <= multiplyRight {
		mulLowerPanels(tl, l, b, dst, work)
		return
	}
	h := splitAt(n)
	l11, l21, l22 := l.View(0, 0, h, h), l.View(h, 0, n-h, h), l.View(h, h, n-h, n-h)
	b1, b2 := b.View(0, 0, b.Rows, h), b.View(0, h, b.Rows, n-h)
	d1, d2 := dst.View(0, 0, b.Rows, h), dst.View(0, h, b.Rows, n-h)
	mulLowerRight(tl, l11, b1, d1, work)
	mulLowerRight(tl, l22, b2, d2, work)
	if tl {
		Gemm(NoTrans, Transposed, 1, b1, l21, 1, d2)
	} else {
		Gemm(NoTrans, NoTrans, 1, b2, l21, 1, d1)
	}
}

// rightPanel is the number of columns of a panel of mulLowerPanels: 64 bytes, but a matrix that is hardly wider is one panel.
func rightPanel[T Float](n int) int {
	if c := 64 / int(unsafe.Sizeof(*new(T))); n > c+c/2 {
		return c
	}
	return n
}

// mulLowerPanels is mulLowerRight by panels of columns of dst, each of which needs the rows of op(L) from or up to its own. The panel that needs the fewest is the
// one that is not full.
func mulLowerPanels[T Float](tl Trans, l, b, dst Matrix[T], work []T) {
	n := l.Rows
	width := rightPanel[T](n)
	for j, c := 0, 0; j < n; j += c {
		c = min(width, n-j)
		if tl && j == 0 {
			c = (n-1)%width + 1
		}
		first, k := j, n-j
		if tl {
			first, k = 0, j+c
		}
		panel, from, to := Wrap(k, c, work[:k*c]), b.View(0, first, b.Rows, k), dst.View(0, j, b.Rows, c)
		packLower(tl, l, j, panel)
		tinyGemm(1, &from, &panel, 0, &to)
	}
}

// packLower copies the columns of op(L) from j on, without the rows that are zero, to panel.
func packLower[T Float](tl Trans, l Matrix[T], j int, panel Matrix[T]) {
	k, c := panel.Rows, panel.Cols
	if size := unsafe.Sizeof(*new(T)); tl {
		if j > 0 {
			packStrided(operandOf(Transposed, &l).at(0, j), unsafe.Pointer(unsafe.SliceData(panel.Data)), j, c, c, size)
		}
	} else if k > c {
		packContiguous(operandOf(NoTrans, &l).at(j+c, j), unsafe.Pointer(unsafe.SliceData(panel.Data[c*c:])), k-c, c, c, size)
	}
	corner := l.View(j, j, c, c)
	if tl {
		for i := range c {
			row := panel.Row(j + i)
			clear(row[:i])
			for r := i; r < c; r++ {
				row[r] = corner.At(r, i)
			}
		}
		return
	}
	for i := range c {
		row := panel.Row(i)
		clear(row[copy(row, corner.Row(i)[:i+1]):])
	}
}

// paddedLower copies the lower triangle of l to work and clears the rest of it.
func paddedLower[T Float](l Matrix[T], work []T) Matrix[T] {
	t := Wrap(l.Rows, l.Rows, work)
	for i := range t.Rows {
		row := t.Row(i)
		clear(row[copy(row, l.Row(i)[:i+1]):])
	}
	return t
}

// RotatedDiagonal sets d to the diagonal of Q^T M Q for the symmetric m, whose lower triangle is read, in about half the work of Gemm. With L
// the lower triangle of M and D its diagonal it is the column sums of Q o (2 L Q - D Q). work needs m.Rows * q.Cols elements.
func RotatedDiagonal[T Float](q, m Matrix[T], d, work []T) {
	m.mustHave(q.Rows, q.Rows, "RotatedDiagonal")
	if len(d) != q.Cols {
		panic(Error("RotatedDiagonal: the diagonal has the wrong length"))
	}
	w := Wrap(q.Rows, q.Cols, work)
	MulLower(NoTrans, m, q, w)
	clear(d)
	for i := range q.Rows {
		rayleigh(m.At(i, i), q.Row(i), w.Row(i), d)
	}
}

// rayleigh adds q (2 w - m q) to d.
func rayleigh[T Float](m T, q, w, d []T) {
	if len(d) == 0 || rayleighKernel(m, q, w, d) {
		return
	}
	for j, v := range q {
		d[j] += v * (2*w[j] - m*v)
	}
}
