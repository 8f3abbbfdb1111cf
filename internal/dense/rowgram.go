package dense

import "unsafe"

// RowGram adds up W W' over matrices W of n rows. Where there are kernels for it, whole rows are multiplied lane by lane: nothing is packed, and hardly
// a product above the diagonal is made for nothing. Elsewhere it takes the chains of GemmLower, so that the last digits depend on whether the processor has AVX-512, but
// never on the number of threads.
type RowGram[T Float] struct {
	n       int
	total   Matrix[float64] // lower triangle of what is complete
	sums    []T             // tiles of lanes that are not, of pending columns
	pending int
	padded  []T       // a copy of W with rows to spare
	part    Matrix[T] // the product of one W
}

// RowGramRows returns n rounded up to the rows that RowGram reads.
func RowGramRows(n int) int { return roundUp(n, momentRows) }

// NewRowGram returns a sum of zero.
func NewRowGram[T Float](n int) *RowGram[T] {
	g := &RowGram[T]{n: n, total: New[float64](n, n)}
	if g.lanes() == 0 {
		g.part = New[T](n, n)
		return g
	}
	side := RowGramRows(n) / momentRows
	g.sums = make([]T, side*(side+1)/2*momentRows*momentRows*g.lanes())
	return g
}

// lanes returns the number of elements that a kernel takes at a time, 0 without one.
func (g *RowGram[T]) lanes() int {
	if active != avx512 {
		return 0
	}
	return cacheLine / int(unsafe.Sizeof(*new(T)))
}

// Add adds w w'. It is faster where the memory of w goes on for RowGramRows(n) rows, whatever that holds.
func (g *RowGram[T]) Add(w Matrix[T]) {
	w.mustHave(g.n, w.Cols, "RowGram")
	if w.Cols == 0 {
		return
	}
	lanes := g.lanes()
	if lanes == 0 {
		GemmLower(NoTrans, Transposed, 1, w, w, 0, g.part)
		addLower(g.total, g.part)
		return
	}
	if g.pending += w.Cols; g.pending > maxBlockK*lanes {
		g.complete()
		g.pending = w.Cols
	}
	if rows := RowGramRows(g.n); cap(w.Data) < (rows-1)*w.Stride+w.Cols {
		if len(g.padded) < rows*w.Cols {
			g.padded = make([]T, rows*w.Cols)
		}
		padded := Wrap(g.n, w.Cols, g.padded)
		padded.Copy(w)
		w = padded
	}
	rowGramKernel(w, lanes, g.sums)
}

// AddRounded adds w w' for w rounded to bfloat16, with the errors of GemmRounded, and twice as fast as Add on a processor with VDPBF16PS.
func (g *RowGram[T]) AddRounded(w Matrix[T]) {
	single, ok := any(w).(Matrix[float32])
	if !ok || !hasPairs() || w.Cols == 0 {
		g.addRoundedCopy(w)
		return
	}
	w.mustHave(g.n, w.Cols, "RowGram")
	lanes := g.lanes()
	if g.pending += w.Cols; g.pending > maxBlockK*lanes {
		g.complete()
		g.pending = w.Cols
	}
	step := roundUp((w.Cols+1)/2, lanes)
	if n := RowGramRows(g.n) * step; len(g.padded) < n {
		g.padded = make([]T, n)
	}
	rowGramRounded(single, step, any(g.padded).([]float32), any(g.sums).([]float32))
}

func (g *RowGram[T]) addRoundedCopy(w Matrix[T]) {
	if len(g.padded) < w.Rows*w.Cols {
		g.padded = make([]T, RowGramRows(w.Rows)*w.Cols)
	}
	g.Add(roundMatrix(&w, g.padded))
}

// complete adds the lanes of the sums to the total, and clears them.
func (g *RowGram[T]) complete() {
	lanes, sums := g.lanes(), g.sums
	if g.pending == 0 {
		return
	}
	g.pending = 0
	for i := 0; i < g.n; i += momentRows {
		for j := i; j < g.n; j += momentRows {
			for r := i; r < i+momentRows; r++ {
				for c := j; c < j+momentRows && r < g.n; c++ {
					if c < g.n && c >= r {
						g.total.Data[c*g.n+r] += float64(treeSum(sums[(c-j)*lanes:][:lanes]))
					}
				}
				sums = sums[momentRows*lanes:]
			}
		}
	}
	clear(g.sums)
}

// treeSum adds neighbours, then neighbouring sums, and so on.
func treeSum[T Float](x []T) T {
	if len(x) == 8 {
		return sumEight((*[8]T)(x))
	}
	return sumEight((*[8]T)(x)) + sumEight((*[8]T)(x[8:]))
}

func sumEight[T Float](x *[8]T) T {
	return ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]))
}

// AddTo adds the sum to the lower triangle of dst, and makes it zero.
func (g *RowGram[T]) AddTo(dst Matrix[float64]) {
	dst.mustHave(g.n, g.n, "RowGram")
	if g.lanes() != 0 {
		g.complete()
	}
	addLower(dst, g.total)
	g.total.Zero()
}

func addLower[T Float](sum Matrix[float64], a Matrix[T]) {
	for i := range sum.Rows {
		to := sum.Row(i)[:i+1]
		for j, x := range a.Row(i)[:i+1] {
			to[j] += float64(x)
		}
	}
}
