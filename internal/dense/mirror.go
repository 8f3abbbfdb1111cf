package dense

import "unsafe"

// mirrorBlock is the size of the blocks that Mirror copies at a time.
const mirrorBlock = 32

// Mirror copies the strict upper triangle of the square c to the lower one.
func Mirror[T Float](c Matrix[T]) { mirror(c, false) }

// MirrorSkew copies the strict upper triangle of the square c with the opposite sign to the lower one, and clears the diagonal.
func MirrorSkew[T Float](c Matrix[T]) {
	mirror(c, true)
	for i := range c.Rows {
		c.Data[i*c.Stride+i] = 0
	}
}

func mirror[T Float](c Matrix[T], negate bool) {
	c.mustHave(c.Rows, c.Rows, "Mirror")
	for i := 0; i < c.Rows; i += mirrorBlock {
		rows := min(mirrorBlock, c.Rows-i)
		for j := 0; j < i; j += mirrorBlock {
			transpose(c.View(i, j, rows, mirrorBlock), c.View(j, i, mirrorBlock, rows))
		}
		for r := i; r < i+rows; r++ {
			row := c.Row(r)[:r]
			for j := i; j < r; j++ {
				row[j] = c.Data[j*c.Stride+r]
			}
			if negate {
				Scale(-1, row, row)
			}
		}
	}
}

// MirrorLower copies the strict lower triangle of the square c to the upper one.
func MirrorLower[T Float](c Matrix[T]) {
	c.mustHave(c.Rows, c.Rows, "MirrorLower")
	for i := 0; i < c.Rows; i += mirrorBlock {
		rows := min(mirrorBlock, c.Rows-i)
		for j := 0; j < i; j += mirrorBlock {
			transpose(c.View(j, i, mirrorBlock, rows), c.View(i, j, rows, mirrorBlock))
		}
		for r := i; r < i+rows; r++ {
			for j, v := range c.Row(r)[i:r] {
				c.Data[(i+j)*c.Stride+r] = v
			}
		}
	}
}

// Transpose sets dst = src^T; they must not overlap.
func Transpose[T Float](dst, src Matrix[T]) {
	dst.mustHave(src.Cols, src.Rows, "Transpose")
	for i := 0; i < src.Rows; i += mirrorBlock {
		rows := min(mirrorBlock, src.Rows-i)
		for j := 0; j < src.Cols; j += mirrorBlock {
			cols := min(mirrorBlock, src.Cols-j)
			transpose(dst.View(j, i, cols, rows), src.View(i, j, rows, cols))
		}
	}
}

// transpose is Transpose for one block.
func transpose[T Float](dst, src Matrix[T]) {
	if src.Rows == 0 || src.Cols == 0 {
		return
	}
	o := operandOf(Transposed, &src)
	packStrided(o, unsafe.Pointer(unsafe.SliceData(dst.Data)), src.Cols, src.Rows, dst.Stride, o.row)
}
