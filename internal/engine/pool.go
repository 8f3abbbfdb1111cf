package engine

import "github.com/spdopt/spdopt/internal/dense"

// Pool says which rows of x each row of y summarises: those under a square window of an image of Height x Width positions, whose windows stand Stride apart,
// OutHeight x OutWidth of them; without OutHeight all the positions of an example. Max takes the largest value, the first of equal ones, and else the
// sum times Weight.
type Pool struct {
	Height, Width, Window, Stride int
	OutHeight, OutWidth           int
	Max                           bool
	Weight                        float64
}

// rowsOf returns the rows that row i of so many outputs summarises: height runs of width neighbouring rows, next apart.
func (p *Pool) rowsOf(i, rows, outputs int) (first, height, width, next int) {
	if p.OutHeight == 0 {
		length := rows / outputs
		return i * length, 1, length, 0
	}
	per := p.OutHeight * p.OutWidth
	y, x := i%per/p.OutWidth*p.Stride, i%p.OutWidth*p.Stride
	return (i/per*p.Height+y)*p.Width + x, p.Window, p.Window, p.Width
}

// MustPool panics with Error unless x and y have shapes that p says.
func (p *Pool) MustPool(op string, rows, outputs, cols int, chosen []int32) {
	if p.OutHeight > 0 {
		MustHave(op, outputs/(p.OutHeight*p.OutWidth)*p.Height*p.Width, rows)
		MustHave(op, outputs%(p.OutHeight*p.OutWidth), 0)
	}
	if p.Max {
		MustHave(op, outputs*cols, len(chosen))
	}
}

// Choose implements Pooling.
func (*cpu[T]) Choose(p Pool, x dense.Matrix[T], outputs int, chosen []int32) {
	p.Max = true
	p.MustPool("Choose", x.Rows, outputs, x.Cols, chosen)
	for i := range outputs {
		pick := chosen[i*x.Cols:][:x.Cols]
		first, height, width, next := p.rowsOf(i, x.Rows, outputs)
		for j := range pick {
			pick[j] = int32(first)
		}
		for a := range height {
			for b := range width {
				r := first + a*next + b
				for j, v := range x.Row(r) {
					if v > x.At(int(pick[j]), j) {
						pick[j] = int32(r)
					}
				}
			}
		}
	}
}

// Reduce implements Pooling.
func (*cpu[T]) Reduce(p Pool, x dense.Matrix[T], chosen []int32, y dense.Matrix[T]) {
	MustHave("Reduce", x.Cols, y.Cols)
	p.MustPool("Reduce", x.Rows, y.Rows, x.Cols, chosen)
	weight := T(p.Weight)
	for i := range y.Rows {
		out := y.Row(i)
		if p.Max {
			for j := range out {
				out[j] = x.At(int(chosen[i*y.Cols+j]), j)
			}
			continue
		}
		clear(out)
		first, height, width, next := p.rowsOf(i, x.Rows, y.Rows)
		for a := range height {
			for b := range width {
				dense.Axpy(weight, x.Row(first+a*next+b), out)
			}
		}
	}
}

// Spread implements Pooling.
func (*cpu[T]) Spread(p Pool, y dense.Matrix[T], chosen []int32, x dense.Matrix[T]) {
	MustHave("Spread", x.Cols, y.Cols)
	p.MustPool("Spread", x.Rows, y.Rows, x.Cols, chosen)
	weight := T(p.Weight)
	x.Zero()
	for i := range y.Rows {
		in := y.Row(i)
		if p.Max {
			for j, v := range in {
				x.Data[int(chosen[i*y.Cols+j])*x.Stride+j] += v
			}
			continue
		}
		first, height, width, next := p.rowsOf(i, x.Rows, y.Rows)
		for a := range height {
			for b := range width {
				dense.Axpy(weight, in, x.Row(first+a*next+b))
			}
		}
	}
}
