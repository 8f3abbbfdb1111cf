package dense

import "math"

// Dot returns the inner product of x and y, which have the same length, in a fixed order of summation.
func Dot[T Float](x, y []T) T {
	if len(x) != len(y) {
		panic(Error("Dot: lengths differ"))
	}
	var d [1]T
	dotRows(x, len(x), d[:], y)
	return d[0]
}

// Sum returns the sum of the elements, added in order.
func Sum(x []float64) (s float64) {
	for _, v := range x {
		s += v
	}
	return s
}

// Axpy adds alpha x to y.
func Axpy[T Float](alpha T, x, y []T) {
	if len(x) != len(y) {
		panic(Error("Axpy: lengths differ"))
	}
	coef := [1]T{alpha}
	axpyRows(coef[:], x, 0, len(x), y)
}

// WeightedSquares returns the sums of x^2 and of (x w)^2 for x and w of the same length, in a fixed order of summation.
func WeightedSquares[T Float](x, w []T) (plain, weighted T) {
	if len(x) != len(w) {
		panic(Error("WeightedSquares: lengths differ"))
	}
	var d [2]T
	if len(x) == 0 || weightedSquaresKernel(x, w, &d) {
		return d[0], d[1]
	}
	for i, v := range x {
		plain += v * v
		v *= w[i]
		weighted += v * v
	}
	return plain, weighted
}

// Scale sets dst = alpha x; dst may be x.
func Scale[T Float](alpha T, x, dst []T) {
	if len(x) != len(dst) {
		panic(Error("Scale: lengths differ"))
	}
	if scaleKernel(alpha, x, dst) {
		return
	}
	for i, v := range x {
		dst[i] = alpha * v
	}
}

// Blend sets y = a x + b z, both products rounded; y may be x or z.
func Blend[T Float](a T, x []T, b T, z, y []T) {
	if len(x) != len(y) || len(z) != len(y) {
		panic(Error("Blend: lengths differ"))
	}
	if blendKernel(a, x, b, z, y) {
		return
	}
	for i, v := range x {
		y[i] = T(a*v) + T(b*z[i])
	}
}

// Multiply sets y to the elementwise product of x and z; y may be x or z.
func Multiply[T Float](x, z, y []T) {
	if len(x) != len(y) || len(z) != len(y) {
		panic(Error("Multiply: lengths differ"))
	}
	if multiplyKernel(x, z, y) {
		return
	}
	for i, v := range x {
		y[i] = v * z[i]
	}
}

// Sqrt sets dst[i] = sqrt(x[i]), correctly rounded; dst may be x.
func Sqrt[T Float](dst, x []T) {
	if len(x) != len(dst) {
		panic(Error("Sqrt: lengths differ"))
	}
	if sqrtKernel(x, dst) {
		return
	}
	for i, v := range x {
		dst[i] = T(math.Sqrt(float64(v)))
	}
}

// RowDots sets dst[i] to the inner product of the rows i of a and b, which have the same shape, each with the bits of Dot.
func RowDots[T Float](a, b Matrix[T], dst []T) {
	b.mustHave(a.Rows, a.Cols, "RowDots")
	if len(dst) != a.Rows {
		panic(Error("RowDots: the result has the wrong length"))
	}
	if a.Rows == 0 || rowDotsKernel(a, b, dst) {
		return
	}
	for i := range dst {
		dst[i] = Dot(a.Row(i), b.Row(i))
	}
}

// ScaleRows sets row i of dst to c[i] times row i of x, which has the same shape and may be dst.
func ScaleRows[T Float](c []T, x, dst Matrix[T]) {
	dst.mustHave(x.Rows, x.Cols, "ScaleRows")
	if len(c) != x.Rows {
		panic(Error("ScaleRows: the factors have the wrong length"))
	}
	if x.Rows == 0 || scaleRowsKernel(c, x, dst) {
		return
	}
	for i, v := range c {
		Scale(v, x.Row(i), dst.Row(i))
	}
}

// dotRows sets dst[i] to the inner product of x with the row of len(x) elements that starts at a[i*stride].
func dotRows[T Float](a []T, stride int, dst, x []T) {
	if len(dst) == 0 || dotRowsKernel(a, stride, dst, x) {
		return
	}
	for i := range dst {
		row := a[i*stride:][:len(x)]
		var s [4]T
		for len(row) >= 4 {
			y := x[len(x)-len(row):][:4]
			s[0] += row[0] * y[0]
			s[1] += row[1] * y[1]
			s[2] += row[2] * y[2]
			s[3] += row[3] * y[3]
			row = row[4:]
		}
		for j, v := range row {
			s[0] += v * x[len(x)-len(row)+j]
		}
		dst[i] = (s[0] + s[2]) + (s[1] + s[3])
	}
}

// axpyRows adds coef[l] times the row that starts at a[first+l*stride] to y, for one l after the other.
func axpyRows[T Float](coef, a []T, first, stride int, y []T) {
	if len(coef) == 0 || len(y) == 0 || axpyRowsKernel(coef, a[first:], stride, y) {
		return
	}
	for l, c := range coef {
		for j, v := range a[first+l*stride:][:len(y)] {
			y[j] += c * v
		}
	}
}
