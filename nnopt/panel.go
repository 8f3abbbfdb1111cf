package nnopt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// panels are the workspace of members of one size: dense rows through which they are multiplied, and where that is done.
type panels[T Float] struct {
	e             engine.Backend[T] // its products may be rounded
	rows, product dense.Matrix[T]
	packed        []T  // a part of a panel
	line          []T  // a number for each row
	number        [1]T // what is added to a diagonal

	// Of Toeplitz members. Row i of the upper triangular one is the n numbers of spread from n-1-i on.
	spread        []T             // n-1 zeros, and the numbers of a member
	order         []int32         // n-1, n-2, ..., 0
	counts, roots []T             // of the elements on a diagonal: n, n-1, ..., 1, and their roots
	shares        []T             // the weights of an element in the mean of its diagonal, twice for both sides
	sums          []T             // of the diagonals
	skew          dense.Matrix[T] // rows of a Gram matrix with zeros behind them, so that diagonals are columns of a matrix with another stride
}

// panelRows is how many rows of a member are formed at a time.
const panelRows = 64

func newPanels[T Float](p *pattern) *panels[T] {
	w := &panels[T]{}
	w.place(p, engine.CPU[T](), nil)
	return w
}

// place makes the workspace in the memory of a backend.
func (w *panels[T]) place(p *pattern, e engine.Backend[T], a *engine.Arena[T]) {
	n, rows := p.n, min(panelRows, p.n)
	w.e, w.line = engine.Fast(e), a.Alloc(n)
	w.rows, w.product = dense.Wrap(rows, n, a.Alloc(rows*n)), dense.Wrap(rows, n, a.Alloc(rows*n))
	if !p.toeplitz {
		w.packed = a.Alloc(rows * n)
		return
	}
	w.spread, w.sums, w.order = a.Alloc(2*n-1), a.Alloc(n), a.Ints(n)
	w.counts, w.roots, w.shares = a.Alloc(n), a.Alloc(n), a.Alloc(n)
	w.skew = dense.Wrap(rows, n+rows, a.Alloc(rows*(n+rows)))
	for i := range n {
		w.order[i] = int32(n - 1 - i)
		w.counts[i], w.roots[i], w.shares[i] = T(n-i), T(math.Sqrt(float64(n-i))), 2/T(n-i)
	}
	w.shares[0] = 1 / T(n)
}

// steps views spread as the rows of the upper triangular matrix from the last to the first, each a number further.
func (w *panels[T]) steps(n int) dense.Matrix[T] {
	return dense.Matrix[T]{Rows: n, Cols: n, Stride: 1, Data: w.spread}
}

// addDiagonals adds to sums what rows [i, i+rows) of a Gram matrix, in skew from column i on, have of its diagonals.
func (w *panels[T]) addDiagonals(i, rows, n int) {
	if i == 0 {
		w.e.Blend(0, nil, 0, nil, w.sums)
	}
	w.e.ColSums(engine.Batch[T]{Count: 1, Rows: rows, Cols: n - i, Stride: w.skew.Stride + 1, Data: w.skew.Data[i:]}, w.sums[:n-i])
}

// takeDiagonals adds c times the means of the diagonals of which sums holds the sums.
func (a member[T]) takeDiagonals(c T) {
	w := a.panel
	w.e.Multiply(w.shares, w.sums, 0, w.sums)
	w.e.Blend(1, a.data, c, w.sums, a.data)
}

// spread brings the numbers of a Toeplitz member to where rowPanel looks for them.
func (a member[T]) spread() { a.panel.e.Blend(1, a.data, 0, nil, a.panel.spread[a.n-1:]) }

// correlate sets y_k to sum_s a_(s-k) x_s, or transposed to sum_s a_(k-s) x_s.
func (a member[T]) correlate(op dense.Trans, x, y []T) {
	a.spread()
	in, out := dense.Wrap(a.n, 1, x), dense.Wrap(a.n, 1, y)
	for i := 0; i < a.n; i += panelRows {
		p := a.rowPanel(i, min(panelRows, a.n-i))
		if op == dense.Transposed {
			a.gemm(op, dense.NoTrans, 1, p, in.View(i, 0, p.Rows, 1), one[T](i > 0), out)
			continue
		}
		a.gemm(op, dense.NoTrans, 1, p, in, 0, out.View(i, 0, p.Rows, 1))
	}
}
