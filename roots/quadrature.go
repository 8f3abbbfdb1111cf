package roots

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// gaussJacobi returns the n nodes on (0, 1) and the weights, summing to 1, of the Gauss rule for the weight t^b (1-t)^a, a, b > -1, by the
// eigenvalues of the Jacobi matrix (Golub and Welsch, Math. Comp. 23, 1969).
func gaussJacobi(n int, a, b float64) (nodes, weights []float64) {
	t := dense.New[float64](n, n)
	for k := range n {
		f := 2*float64(k) + a + b
		if k == 0 {
			t.Set(0, 0, (b-a)/(a+b+2))
		} else {
			t.Set(k, k, (b*b-a*a)/(f*(f+2)))
		}
		if k == 0 {
			continue
		}
		kf := float64(k)
		off := 4 * kf * (kf + a) * (kf + b) * (kf + a + b) / (f * f * (f + 1) * (f - 1))
		if k == 1 {
			off = 4 * (1 + a) * (1 + b) / ((2 + a + b) * (2 + a + b) * (3 + a + b))
		}
		t.Set(k, k-1, math.Sqrt(off))
		t.Set(k-1, k, math.Sqrt(off))
	}
	w := make([]float64, n)
	decompose(t, w)
	for i, x := range w {
		nodes = append(nodes, (1+x)/2)
		weights = append(weights, t.At(0, i)*t.At(0, i))
	}
	return nodes, weights
}
