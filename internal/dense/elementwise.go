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
