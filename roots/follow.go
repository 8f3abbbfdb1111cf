package roots

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

// jump is the off-diagonal part of A in the current basis above which a fresh decomposition replaces sweeps.
const jump = 0.5

// follow makes the symmetric matrix in w1 the current one.
func (t *tracker[T]) follow() (TrackReport, error) {
	t.valid = false
	if t.n == 0 {
		t.valid = true
		return TrackReport{}, nil
	}
	t.project(t.w1)
	if err := t.finiteAfter(t.w1); err != nil {
		return TrackReport{}, err
	}
	t.noise = 0
	t.valid = true
	refreshed, err := t.settle(nil)
	t.addNoise(t.unit() * t.fro)
	rep := t.report()
	rep.Work, rep.Refreshed = 1.5, refreshed
	if refreshed {
		rep.Work += refreshWork
	}
	return rep, err
}

// project sets m = B^T a B; a is w1 or another matrix that is not w2 or m.
func (t *tracker[T]) project(a dense.Matrix[T]) {
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, a, t.b, 0, t.w2)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, t.b, t.w2, 0, t.m)
	dense.Mirror(t.m)
}

// finiteAfter is finite(a) after m has taken up B^T a B, whose whole diagonal any infinite element or NaN of a spoils.
func (t *tracker[T]) finiteAfter(a dense.Matrix[T]) error {
	if v := t.m.At(0, 0); v-v == 0 {
		return nil
	}
	return finite(a)
}

// unit is the relative rounding error, in the 2-norm, of products of length n: their errors grow with the square root of n at worst where
// they are random, and an error matrix with random entries has a 2-norm some 2/sqrt(n) times its Frobenius norm.
func (t *tracker[T]) unit() float64 { return t.unitOf(t.eps()) }

func (t *tracker[T]) unitOf(eps float64) float64 {
	n := math.Sqrt(float64(t.n))
	return (4 + n/4) * min(1, 6/n) * eps
}

// addNoise accounts for a rounding error e in m. Rounding errors of different steps are independent.
func (t *tracker[T]) addNoise(e float64) { t.noise = math.Hypot(t.noise, e) }

// refreshWork is the work of a fresh decomposition, its products and what was made before it in vain.
const refreshWork = 10

// settle measures the new m and decomposes it where the basis is useless for it or where it may not be positive definite.
func (t *tracker[T]) settle(low []float64) (refreshed bool, err error) {
	t.certify(low)
	if t.theta > 0 && t.tau <= jump {
		return false, nil
	}
	return true, t.refresh()
}

// refresh decomposes the current matrix afresh.
func (t *tracker[T]) refresh() error {
	n := t.n
	q, w := dense.New[float64](n, n), make([]float64, n)
	convert(q, t.m)
	if !decompose(q, w) {
		t.valid = false
		return &MethodError{"tracker", "the decomposition did not converge"}
	}
	if floor := math.Sqrt(float64(n)) * t.eps() * math.Abs(w[n-1]); w[0] <= floor {
		t.valid = false
		count := 0
		for _, l := range w {
			if l <= floor {
				count++
			}
		}
		return &NotPositiveDefiniteError{Kind: KindPow, Power: -1, Smallest: w[0], Largest: w[n-1], Negligible: count}
	}
	convert(t.w1, q)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, t.b, t.w1, 0, t.w2)
	t.b, t.w2 = t.w2, t.b
	t.m.Zero()
	for i, l := range w {
		t.m.Set(i, i, T(l))
	}
	t.orthogonalise()
	t.debt, t.base = 0, 0
	t.certify(nil)
	t.addNoise(t.unit() * t.fro)
	return nil
}

// loadSymmetric fills dst with both triangles of a.
func loadSymmetric[T dense.Float](dst dense.Matrix[T], a mat.Symmetric) {
	n := dst.Rows
	if s, ok := a.(mat.RawSymmetricer); ok {
		raw := s.RawSymmetric()
		for i := range n {
			convertRow(dst.Row(i)[i:], raw.Data[i*raw.Stride+i:i*raw.Stride+n])
		}
	} else {
		for i := range n {
			for j := i; j < n; j++ {
				dst.Set(i, j, T(a.At(i, j)))
			}
		}
	}
	dense.Mirror(dst)
}
