package roots

import (
	"errors"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/spectral"
)

// followUpdate moves m by an increment, in the basis.
func (t *tracker[T]) followUpdate(u *spectral.Increment) (TrackReport, error) {
	switch {
	case !t.valid:
		return TrackReport{}, errNoMatrix
	case u.Congruent:
		return TrackReport{}, errors.New("roots: Tracker.FollowUpdate takes no congruent increment; use spectral.Factor.Update")
	case t.n == 0:
		return TrackReport{}, nil
	}
	keep := 1 - u.Decay
	low := t.lowerBound(u, keep)
	t.valid = false
	t.noise *= math.Abs(keep)
	work := 0.0
	if u.Dense != nil {
		if err := t.addDense(u, keep); err != nil {
			return TrackReport{}, err
		}
		work, keep = 1.5, 1
	}
	if u.Vectors != nil {
		r, k := u.Vectors.Dims()
		if r != t.n || u.Weights != nil && len(u.Weights) != k {
			mistake("Tracker.FollowUpdate: Vectors are %d x %d with %d Weights, the tracker has dimension %d", r, k, len(u.Weights), t.n)
		}
		v, h := t.cols.pair(t.n, k)
		convert(v, dense.Of(u.Vectors.RawMatrix()))
		if err := t.addVectors(v, h, u.Weights, u.InBasis, keep); err != nil {
			return TrackReport{}, err
		}
		work, keep = work+t.vectorWork(k), 1
	}
	if keep != 1 {
		for i := range t.n {
			dense.Scale(T(keep), t.m.Row(i), t.m.Row(i))
		}
	}
	if u.Ridge != 0 {
		for i := range t.n {
			t.m.Set(i, i, t.m.At(i, i)+T(u.Ridge))
		}
	}
	return t.finishUpdate(low, work)
}

// followVectors moves m by V V^T with decay.
func (t *tracker[T]) followVectors(decay float64, v dense.Matrix[T]) (TrackReport, error) {
	if !t.valid {
		return TrackReport{}, errNoMatrix
	}
	if t.n == 0 {
		return TrackReport{}, nil
	}
	keep := 1 - decay
	low := t.lowerBound(&spectral.Increment{}, keep)
	t.valid = false
	t.noise *= math.Abs(keep)
	u, h := t.cols.pair(t.n, v.Cols)
	u.Copy(v)
	if err := t.addVectors(u, h, nil, false, keep); err != nil {
		return TrackReport{}, err
	}
	return t.finishUpdate(low, t.vectorWork(v.Cols))
}

func (t *tracker[T]) vectorWork(k int) float64 {
	return t.work(1.5 * float64(t.n) * float64(t.n) * float64(k))
}

// finishUpdate settles an updated m and reports.
func (t *tracker[T]) finishUpdate(low []float64, work float64) (TrackReport, error) {
	t.valid = true
	refreshed, err := t.settle(low)
	t.addNoise(2 * t.eps() * t.fro)
	rep := t.report()
	rep.Work, rep.Refreshed = work, refreshed
	if refreshed {
		rep.Work += refreshWork
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
		mistake("Tracker.FollowUpdate: Dense is %d x %[1]d, the tracker has dimension %d", u.Dense.SymmetricDim(), t.n)
	}
	w := u.DenseWeight
	if w == 0 {
		w = 1
	}
	loadSymmetric(t.w1, u.Dense)
	if err := finite(t.w1); err != nil {
		return err
	}
	t.addNoise(t.unit() * math.Abs(w) * frobenius(t.w1))
	if u.InBasis {
		for i := range t.n {
			row := t.m.Row(i)
			dense.Scale(T(keep), row, row)
			dense.Axpy(T(w), t.w1.Row(i), row)
		}
		return nil
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, t.w1, t.b, 0, t.w2)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, T(w), t.b, t.w2, T(keep), t.m)
	dense.Mirror(t.m)
	return nil
}

// addVectors sets m = keep m + V diag(w) V^T with V in v, h being workspace of the same shape.
func (t *tracker[T]) addVectors(v, h dense.Matrix[T], weights []float64, inBasis bool, keep float64) error {
	if err := finite(v); err != nil {
		return err
	}
	if inBasis {
		h.Copy(v)
	} else {
		dense.Gemm(dense.Transposed, dense.NoTrans, 1, t.b, v, 0, h)
	}
	v.Copy(h)
	if weights != nil {
		for i := range t.n {
			row := v.Row(i)
			for c, w := range weights {
				row[c] *= T(w)
			}
		}
	}
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, v, h, T(keep), t.m)
	dense.Mirror(t.m)
	t.addNoise(t.unit() * frobenius(v) * frobenius(h))
	return nil
}
