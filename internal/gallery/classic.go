package gallery

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// Error is what a recipe panics with when asked for a size that it does not exist for.
type Error string

// Error returns the message.
func (e Error) Error() string { return "gallery: " + string(e) }

// Hadamard returns Sylvester's n x n matrix of +1 and -1 with H H^T = n I, exactly; n must be a power of two.
func Hadamard(n int) dense.Matrix[float64] {
	if n < 1 || n&(n-1) != 0 {
		panic(Error(fmt.Sprintf("Hadamard: %d is not a power of two", n)))
	}
	h := dense.New[float64](n, n)
	h.Set(0, 0, 1)
	for k := 1; k < n; k *= 2 {
		for i := range k {
			for j := range k {
				v := h.At(i, j)
				h.Set(i, j+k, v)
				h.Set(i+k, j, v)
				h.Set(i+k, j+k, -v)
			}
		}
	}
	return h
}

// HadamardSPD returns H diag(w) H^T / n for H = Hadamard(n), n = len(w). Its eigenvalues are w and its eigenvectors the columns of
// H / sqrt(n); for integers w of at most 53 - 2 log2 n bits every element is exact.
func HadamardSPD(w []float64) dense.Matrix[float64] {
	n := len(w)
	a := Compose(Hadamard(n), w)
	for i := range a.Data {
		a.Data[i] /= float64(n)
	}
	return a
}

// Laplacian returns the n x n second-difference matrix tridiag(-1, 2, -1) and its eigenvalues 4 sin^2(k pi / (2(n+1))), ascending.
func Laplacian(n int) (a dense.Matrix[float64], w []float64) {
	a, w = dense.New[float64](n, n), make([]float64, n)
	for i := range n {
		s := math.Sin(float64(i+1) * math.Pi / float64(2*(n+1)))
		w[i] = 4 * s * s
		a.Set(i, i, 2)
		if i > 0 {
			a.Set(i, i-1, -1)
			a.Set(i-1, i, -1)
		}
	}
	return a, w
}

// Graded returns the n x n matrix D B D with D = diag(2^(-i step)) and B = tridiag(1/4, 1, 1/4): its elements span 2^(2 step (n-1)) while
// the condition of B stays below 3, so every eigenvalue is determined to high relative accuracy (Demmel and Veselic, SIAM J. Matrix
// Anal. Appl. 13, 1992). All elements are exact.
func Graded(n, step int) dense.Matrix[float64] {
	a := dense.New[float64](n, n)
	for i := range n {
		a.Set(i, i, math.Ldexp(1, -2*i*step))
		if i > 0 {
			v := math.Ldexp(1, -(2*i-1)*step-2)
			a.Set(i, i-1, v)
			a.Set(i-1, i, v)
		}
	}
	return a
}

// Wilkinson returns Wilkinson's W+ of odd order n: diagonal |i - (n-1)/2|, ones beside it. Its large eigenvalues come in pairs that agree
// to many digits (for n = 21 the largest two to 1e-14). It is symmetric but not positive definite; W + 2I is.
func Wilkinson(n int) dense.Matrix[float64] {
	if n < 1 || n%2 == 0 {
		panic(Error(fmt.Sprintf("Wilkinson: order %d is not odd", n)))
	}
	a := dense.New[float64](n, n)
	for i := range n {
		a.Set(i, i, math.Abs(float64(i-(n-1)/2)))
		if i > 0 {
			a.Set(i, i-1, 1)
			a.Set(i-1, i, 1)
		}
	}
	return a
}
