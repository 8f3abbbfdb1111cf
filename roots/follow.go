package roots

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/spectral"
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
	if err := finite(t.w1); err != nil {
		return TrackReport{}, err
	}
	t.project(t.w1)
	t.noise = 0
	t.addNoise()
	t.valid = true
	refreshed, err := t.settle(nil)
	rep := t.report()
	rep.Work, rep.Refreshed = 1.5, refreshed
	if refreshed {
		rep.Work += 8
	}
	return rep, err
}

// project sets m = B^T a B; a is w1 or another matrix that is not w2 or m.
func (t *tracker[T]) project(a dense.Matrix[T]) {
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, a, t.b, 0, t.w2)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, t.b, t.w2, 0, t.m)
	dense.Mirror(t.m)
}

// addNoise accounts for the rounding of one update of m.
func (t *tracker[T]) addNoise() {
	var s float64
	for i := range t.n {
		for _, v := range t.m.Row(i) {
			s += float64(v) * float64(v)
		}
	}
	t.noise += 4 * math.Sqrt(float64(t.n)) * t.eps() * math.Sqrt(s)
}

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
	if !eigen.Sym(q, w) {
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
	t.orthogonalise()
	t.m.Zero()
	for i, l := range w {
		t.m.Set(i, i, T(l))
	}
	t.debt = 0
	t.addNoise()
	t.certify(nil)
	return nil
}

// followUpdate moves m by an increment, in the basis.
func (t *tracker[T]) followUpdate(u *spectral.Increment) (TrackReport, error) {
	if !t.valid {
		return TrackReport{}, errNoMatrix
	}
	if u.Congruent {
		return TrackReport{}, errors.New("roots: Tracker.FollowUpdate takes no congruent increment; use spectral.Factor.Update")
	}
	n := t.n
	if n == 0 {
		return TrackReport{}, nil
	}
	t.valid = false
	rep := TrackReport{}
	keep := 1 - u.Decay
	low := t.lowerBound(u, keep)
	t.noise *= math.Abs(keep)
	if u.Dense != nil {
		if err := t.addDense(u, keep); err != nil {
			return rep, err
		}
		rep.Work = 1.5
	} else if keep != 1 {
		for i := range n {
			row := t.m.Row(i)
			for c := range row {
				row[c] *= T(keep)
			}
		}
	}
	if u.Vectors != nil {
		k, err := t.addVectors(u)
		if err != nil {
			return rep, err
		}
		rep.Work += t.work(1.5 * float64(n) * float64(n) * float64(k))
	}
	if u.Ridge != 0 {
		for i := range n {
			t.m.Set(i, i, t.m.At(i, i)+T(u.Ridge))
		}
	}
	t.addNoise()
	t.valid = true
	refreshed, err := t.settle(low)
	work := rep.Work
	rep = t.report()
	rep.Work, rep.Refreshed = work, refreshed
	if refreshed {
		rep.Work += 8
	}
	return rep, err
}

// lowerBound returns numbers with the updated m >= diag(low), from m >= theta D now, or nil: an increment that is positive semi-definite
// lets what is known of m persist.
func (t *tracker[T]) lowerBound(u *spectral.Increment, keep float64) []float64 {
	if u.Dense != nil || keep < 0 || u.Ridge < 0 {
		return nil
	}
	for _, w := range u.Weights {
		if w < 0 {
			return nil
		}
	}
	for i, d := range t.d {
		t.low[i] = keep*t.theta*d + u.Ridge
	}
	return t.low
}

// addDense sets m = keep m + w B^T T B.
func (t *tracker[T]) addDense(u *spectral.Increment, keep float64) error {
	if u.Dense.SymmetricDim() != t.n {
		panic(Error("Tracker.FollowUpdate: Dense has another dimension"))
	}
	w := u.DenseWeight
	if w == 0 {
		w = 1
	}
	loadSymmetric(t.w1, u.Dense)
	if err := finite(t.w1); err != nil {
		return err
	}
	if u.InBasis {
		for i := range t.n {
			row, add := t.m.Row(i), t.w1.Row(i)
			for c := range row {
				row[c] = T(keep)*row[c] + T(w)*add[c]
			}
		}
		return nil
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, t.w1, t.b, 0, t.w2)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, T(w), t.b, t.w2, T(keep), t.m)
	dense.Mirror(t.m)
	return nil
}

// addVectors adds V diag(w) V^T in the basis and returns the number of vectors.
func (t *tracker[T]) addVectors(u *spectral.Increment) (int, error) {
	r, k := u.Vectors.Dims()
	if r != t.n || u.Weights != nil && len(u.Weights) != k {
		panic(Error("Tracker.FollowUpdate: Vectors or Weights do not fit"))
	}
	v, h := t.cols.pair(t.n, k)
	convert(v, dense.Of(u.Vectors.RawMatrix()))
	if err := finite(v); err != nil {
		return k, err
	}
	if u.InBasis {
		h.Copy(v)
	} else {
		dense.Gemm(dense.Transposed, dense.NoTrans, 1, t.b, v, 0, h)
	}
	v.Copy(h)
	if u.Weights != nil {
		for i := range t.n {
			row := v.Row(i)
			for c, w := range u.Weights {
				row[c] *= T(w)
			}
		}
	}
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, v, h, 1, t.m)
	dense.Mirror(t.m)
	return k, nil
}

// loadSymmetric fills dst with both triangles of a.
func loadSymmetric[T dense.Float](dst dense.Matrix[T], a mat.Symmetric) {
	n := dst.Rows
	if s, ok := a.(mat.RawSymmetricer); ok {
		raw := s.RawSymmetric()
		for i := range n {
			d := dst.Row(i)[i:]
			for c, v := range raw.Data[i*raw.Stride+i : i*raw.Stride+n] {
				d[c] = T(v)
			}
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
