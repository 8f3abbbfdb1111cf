package spectral

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

// lowWork returns at least k elements of workspace that is not the frame's.
func (f *Factor) lowWork(k int) []float64 {
	if cap(f.low) < k {
		f.low = make([]float64, k)
	}
	return f.low[:k]
}

// Pow sets dst = S^p x for any real p; x is n x m and dst may be x. Two products: 4 n^2 m flops. An empty dst is sized.
func (f *Factor) Pow(p float64, dst *mat.Dense, x mat.Matrix) {
	rows, m := x.Dims()
	if rows != f.n {
		mistake("Pow: x has %d rows, the factor dimension %d", rows, f.n)
	}
	out := destination(dst, f.n, m, "Pow")
	buf := f.lowWork(2*f.n*m + f.n)
	t := dense.Wrap(f.n, m, buf[f.n*m:])
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, f.b, source(x, buf), 0, t)
	dp := buf[2*f.n*m:]
	dense.Pow(dp, f.d, p)
	for i, c := range dp {
		row := t.Row(i)
		for j := range row {
			row[j] *= c
		}
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, f.b, t, 0, out)
}

// PowVec sets dst = S^p x for vectors of length n, in 4 n^2 flops; dst may be x.
func (f *Factor) PowVec(p float64, dst, x []float64) {
	if len(x) != f.n || len(dst) != f.n {
		mistake("PowVec: lengths %d and %d, the factor dimension %d", len(dst), len(x), f.n)
	}
	buf := f.lowWork(2 * f.n)
	t, dp := buf[:f.n], buf[f.n:]
	dense.Gemv(dense.Transposed, 1, f.b, x, 0, t)
	dense.Pow(dp, f.d, p)
	for i, c := range dp {
		t[i] *= c
	}
	dense.Gemv(dense.NoTrans, 1, f.b, t, 0, dst)
}

// ScaledBasis sets dst = B diag(d^p), n x n, in O(n^2). With p = 1/2 this is the frame F with S = F F^T. An empty dst is sized.
func (f *Factor) ScaledBasis(p float64, dst *mat.Dense) {
	f.scaledBasis(p, destination(dst, f.n, f.n, "ScaledBasis"))
}

func (f *Factor) scaledBasis(p float64, out dense.Matrix[float64]) {
	dp := f.lowWork(f.n)
	dense.Pow(dp, f.d, p)
	for i := range f.n {
		row := out.Row(i)
		for j, v := range f.b.Row(i) {
			row[j] = v * dp[j]
		}
	}
}

// PowSym sets dst = S^p, formed, by half a product. An empty dst is sized.
func (f *Factor) PowSym(p float64, dst *mat.SymDense) {
	out := destinationSym(dst, f.n, "PowSym")
	f.ready()
	f.scaledBasis(p/2, f.gen)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, f.gen, f.gen, 0, out)
}

// ToSym sets dst = S, formed, by half a product. An empty dst is sized.
func (f *Factor) ToSym(dst *mat.SymDense) { f.PowSym(1, dst) }

// LogDet returns log det S, in O(n).
func (f *Factor) LogDet() float64 {
	var s float64
	for _, v := range f.d {
		s += math.Log(v)
	}
	return s
}

// Cond returns the 2-norm condition number of S, the ratio of its extreme eigenvalues, in O(n); 1 for dimension 0.
func (f *Factor) Cond() float64 {
	if f.n == 0 {
		return 1
	}
	lo, hi := math.Inf(1), 0.0
	for _, v := range f.d {
		lo, hi = min(lo, v), max(hi, v)
	}
	return hi / lo
}

// Defect returns ||B^T B - I||_F, which bounds the 2-norm from above, by half a product. Updates monitor a cheaper estimate by themselves.
func (f *Factor) Defect() float64 {
	f.ready()
	return f.exactDefect()
}

// Reorthogonalize makes one Newton-Schulz step B <- B (3 I - B^T B)/2, products only: it takes a defect e < 1 to at most 3/4 e^2. Updates do
// this by themselves when the measured defect calls for it.
func (f *Factor) Reorthogonalize() {
	f.ready()
	f.reorthogonalize()
}
