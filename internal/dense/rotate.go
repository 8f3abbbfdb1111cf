package dense

// RotateRows applies plane rotations to neighbouring rows of a, the last first: rotation i replaces row i by c_i row_i - s_i row_(i+1) and
// row i+1 by s_i row_i + c_i row_(i+1). a has one row more than there are rotations.
func RotateRows(a Matrix[float64], c, s []float64) {
	if len(s) != len(c) || a.Rows != len(c)+1 {
		panic(Error("RotateRows: the numbers of rows and rotations do not fit"))
	}
	if len(c) > 0 && a.Cols > 0 {
		rotateRows(a, c, s)
	}
}

func rotateRowsPortable(a Matrix[float64], c, s []float64) {
	for i := len(c) - 1; i >= 0; i-- {
		x, y := a.Row(i), a.Row(i+1)
		ci, si := c[i], s[i]
		for j, xj := range x {
			yj := y[j]
			y[j] = si*xj + ci*yj
			x[j] = ci*xj - si*yj
		}
	}
}
