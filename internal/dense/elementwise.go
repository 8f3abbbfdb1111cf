package dense

import "math"

// Exp sets dst[i] = exp(x[i]); dst may be x.
func Exp[T Float](dst, x []T) {
	for i, v := range x {
		dst[i] = T(math.Exp(float64(v)))
	}
}

// Log sets dst[i] = log(x[i]); dst may be x.
func Log[T Float](dst, x []T) {
	for i, v := range x {
		dst[i] = T(math.Log(float64(v)))
	}
}

// Pow sets dst[i] = x[i]^p for x[i] > 0; dst may be x.
func Pow[T Float](dst, x []T, p float64) {
	for i, v := range x {
		dst[i] = T(math.Pow(float64(v), p))
	}
}

// Sqrt sets dst[i] = sqrt(x[i]); dst may be x.
func Sqrt[T Float](dst, x []T) {
	for i, v := range x {
		dst[i] = T(math.Sqrt(float64(v)))
	}
}

// Dot returns the inner product of x and y in a fixed order of summation.
func Dot[T Float](x, y []T) T {
	var s T
	for i, v := range x {
		s += v * y[i]
	}
	return s
}

// Axpy adds alpha x to y.
func Axpy[T Float](alpha T, x, y []T) {
	for i, v := range x {
		y[i] += alpha * v
	}
}
