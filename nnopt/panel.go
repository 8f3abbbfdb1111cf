package nnopt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// panels are the workspace of members of one size: dense rows through which they are multiplied, and where that is done. What it says of a matrix is there for each.
type panels[T Float] struct {
	e                   engine.Backend[T] // its products may be rounded
	count               int               // of matrices in a member
	rows, product, part []T               // panels, and a part of one
	line                []T               // a number for each row
	number              [1]T              // what is added to a diagonal

	// Of Toeplitz members. Row i of the upper triangular one is the n numbers of spread from n-1-i on.
	spread        []T             // n-1 zeros, and the numbers of a member
	order         []int32         // where the rows begin, those of one panel for all matrices before those of the next
	counts, roots []T             // of the elements on a diagonal: n, n-1, ..., 1, and their roots
	shares        []T             // the weights of an element in the mean of its diagonal, twice for both sides
	sums          []T             // of the diagonals
	skew          engine.Batch[T] // rows of a Gram matrix with zeros behind them, so that diagonals are columns of a matrix with another stride
}

// panelRows is how many rows of a member are formed at a time.
const panelRows = 64

func newPanels[T Float](p *pattern, count int) *panels[T] {
	w := &panels[T]{count: count}
	w.place(p, engine.CPU[T](), nil)
	return w
}

// place makes the workspace in the memory of a backend.
func (w *panels[T]) place(p *pattern, e engine.Backend[T], a *engine.Arena[T]) {
	n, rows := p.n, min(panelRows, p.n)
	w.e, w.line = engine.Fast(e), a.Alloc(w.count*n)
	w.rows, w.product = a.Alloc(w.count*rows*n), a.Alloc(w.count*rows*n)
	if !p.toeplitz {
		w.part = a.Alloc(w.count * rows * n)
		return
	}
	w.spread, w.sums = a.Alloc(w.count*(2*n-1)), a.Alloc(w.count*n)
	w.counts, w.roots, w.shares = a.Alloc(w.count*n), a.Alloc(w.count*n), a.Alloc(w.count*n)
	w.skew = stacked(a.Alloc(w.count*rows*(n+rows)), w.count, rows, n+rows)
	w.arrange(n, a)
	for i := range w.counts {
		left := n - i%n // on the diagonal
		w.counts[i], w.roots[i], w.shares[i] = T(left), T(math.Sqrt(float64(left))), 2/T(left)
		if left == n {
			w.shares[i] = 1 / T(n)
		}
	}
}

// arrange says where rows begin in spread.
func (w *panels[T]) arrange(n int, a *engine.Arena[T]) {
	w.order = a.Ints(w.count * n)
	at := 0
	for i := 0; i < n; i += panelRows {
		for k := range w.count {
			for j := i; j < min(i+panelRows, n); j++ {
				w.order[at] = int32(k*(2*n-1) + n - 1 - j)
				at++
			}
		}
	}
}

// packed views the beginning of a buffer as rows x cols for each matrix.
func (w *panels[T]) packed(buffer []T, rows, cols int) engine.Batch[T] {
	return stacked(buffer, w.count, rows, cols)
}

// steps views spread as rows that begin at every number.
func (w *panels[T]) steps(n int) dense.Matrix[T] {
	return dense.Matrix[T]{Rows: len(w.spread) - n + 1, Cols: n, Stride: 1, Data: w.spread}
}

// addDiagonals adds to sums what rows [i, i+rows) of a Gram matrix, in skew from column i on, have of its diagonals.
func (w *panels[T]) addDiagonals(i, rows, n int) {
	if i == 0 {
		w.e.Blend(0, nil, 0, nil, w.sums)
	}
	for k := range w.count {
		w.e.ColSums(engine.Batch[T]{Count: 1, Rows: rows, Cols: n - i, Stride: w.skew.Stride + 1, Data: w.skew.Data[k*w.skew.Step+i:]}, w.sums[k*n:k*n+n-i])
	}
}

// takeDiagonals adds c times the means of the diagonals of which sums holds the sums.
func (a member[T]) takeDiagonals(c T) {
	w := a.panel
	w.e.Multiply(w.shares, w.sums, 0, w.sums)
	w.e.Blend(1, a.data, c, w.sums, a.data)
}

// spread brings the numbers of a Toeplitz member to where rowPanel looks for them.
func (a member[T]) spread() {
	a.panel.e.Copy(a.spaced(a.n, 1, a.n, a.data), a.spaced(a.n, 1, 2*a.n-1, a.panel.spread[a.n-1:]))
}

// correlate sets y_k to sum_s a_(s-k) x_s, or transposed to sum_s a_(k-s) x_s.
func (a member[T]) correlate(op dense.Trans, x, y []T) {
	a.spread()
	in, out := a.spaced(a.n, 1, a.n, x), a.spaced(a.n, 1, a.n, y)
	for i := 0; i < a.n; i += panelRows {
		p := a.rowPanel(i, min(panelRows, a.n-i))
		if op == dense.Transposed {
			a.gemm(op, dense.NoTrans, 1, p, view(in, i, 0, p.Rows, 1), one[T](i > 0), out)
			continue
		}
		a.gemm(op, dense.NoTrans, 1, p, in, 0, view(out, i, 0, p.Rows, 1))
	}
}
