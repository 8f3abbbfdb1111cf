package problem

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/absent"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// DataError says which part of the data cannot be used.
type DataError struct {
	Where  string // "matrix 7", "sample 3", "weights", "start", or empty for the data as a whole; counted from 0
	Err    error  // what is wrong; a *manifold.PointError for a matrix that is not SPD
	Remedy string // what to do; may be empty

	count bool // it is about the number or the shape of the data, which no other units would change
}

// Error joins the place, the fault and the remedy.
func (e *DataError) Error() string {
	s := e.Err.Error()
	if e.Where != "" {
		s = e.Where + ": " + s
	}
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return s
}

// Unwrap returns the fault.
func (e *DataError) Unwrap() error { return e.Err }

// shrinkageRemedy names the estimators for data that determine no covariance by themselves.
const shrinkageRemedy = "solve shrinkage, which takes as few as two samples: oas if they are Gaussian, ledoit-wolf if not"

// scaleRemedy is for numbers that have left the range of float64.
const scaleRemedy = "scale the data"

const ridgeRemedy = "add a small multiple of the identity to it (jitter), or replace it by the nearest SPD matrix"

// Entries between leastEntry and mostEntry in magnitude have fourth powers that are numbers.
const leastEntry, mostEntry = 1e-70, 1e70

// explain adds to an error what is the likely cause where the largest entry of the data is so large or so small that its powers leave the range of float64.
func (d *Data) explain(err error) error {
	var option interface{ aboutOptions() }
	var fault *DataError
	var point *manifold.PointError
	largest := d.largest()
	if largest == 0 || largest >= leastEntry && largest <= mostEntry {
		return d.advise(err)
	}
	switch {
	case errors.As(err, &option):
		return err
	case errors.As(err, &fault) && (fault.count || slices.Contains([]string{"weights", "labels", "start"}, fault.Where)):
		return err
	case errors.As(err, &point) && point.Min < -1e-12*math.Abs(point.Max):
		return err // it is not definite in any units
	}
	if start := (*solve.StartError)(nil); !errors.As(err, &start) {
		err = d.advise(err)
	}
	return rescale(err, largest)
}

// rescale adds to an error that the data may need scaling, given their largest entry.
func rescale(err error, largest float64) error {
	remedy := fmt.Sprintf("%s: the largest entry is %.3g, and powers of it may overflow or vanish", scaleRemedy, largest)
	var fault *DataError
	switch {
	case !errors.As(err, &fault) || fault.Remedy == "":
	case fault.Remedy != scaleRemedy:
		remedy = "or " + remedy
	case error(fault) == err:
		err = &DataError{Where: fault.Where, Err: fault.Err}
	default:
		return err // a problem solved on the way has said so
	}
	return &DataError{Err: err, Remedy: remedy}
}

// advise adds what to do to an error that does not say so.
func (d *Data) advise(err error) error {
	var start *solve.StartError
	var fault *DataError
	var point *manifold.PointError
	switch {
	case errors.As(err, &fault):
		return err
	case errors.As(err, &start):
		return &DataError{Err: err, Remedy: "give another start, other parameters, or data in other units"}
	case errors.As(err, &point) && d.Samples != nil:
		return &DataError{Err: err, Remedy: "scale the variables to about equal size, drop those that nearly depend on others, or take the problem's own method"}
	case errors.As(err, &point):
		return &DataError{Err: err, Remedy: ridgeRemedy}
	}
	return err
}

// present refuses matrices that are nil. Samples that are a nil *mat.Dense are none.
func (d *Data) present() error {
	if k := absent.First(d.Matrices); k >= 0 {
		return &DataError{Where: fmt.Sprintf("matrix %d", k), Err: errNil}
	}
	return nil
}

var errNil = errors.New("is nil")

// largest returns the largest magnitude of an entry that is a number.
func (d *Data) largest() (v float64) {
	see := func(x float64) {
		if x = math.Abs(x); x > v && !math.IsInf(x, 1) {
			v = x
		}
	}
	for _, m := range d.Matrices {
		for i := range m.SymmetricDim() {
			for j := range i + 1 {
				see(m.At(i, j))
			}
		}
	}
	if d.Samples != nil {
		rows, _ := d.Samples.Dims()
		for i := range rows {
			for _, x := range d.Samples.RawRowView(i) {
				see(x)
			}
		}
	}
	return v
}

// factorMatrices checks that there are matrices, of one size, finite and positive definite, and returns their frames (Cholesky).
func factorMatrices(ms []mat.Symmetric) ([]*manifold.Frame, error) { return new(lender).factor(ms) }

// factor is factorMatrices with lent memory: nobody may use the frames after recycle.
func (l *lender) factor(ms []mat.Symmetric) ([]*manifold.Frame, error) {
	memory := make([]dense.Matrix[float64], len(ms))
	for k, a := range ms {
		memory[k] = l.matrix(2*a.SymmetricDim(), a.SymmetricDim())
	}
	return factorEach(ms, func(k int) (*manifold.Frame, error) { return manifold.NewFrameIn(memory[k].Data, ms[k]) })
}

// factorEach returns the frames that frame makes of matrices of one size. An error names the matrix.
func factorEach(ms []mat.Symmetric, frame func(k int) (*manifold.Frame, error)) ([]*manifold.Frame, error) {
	if len(ms) == 0 {
		return nil, &DataError{Err: errors.New("no matrices given")}
	}
	n, out := ms[0].SymmetricDim(), make([]*manifold.Frame, len(ms))
	err := dense.Each(len(ms), len(ms)*n*n*n, func(k int) (err error) {
		if rows := ms[k].SymmetricDim(); rows != n {
			return &DataError{count: true, Where: fmt.Sprintf("matrix %d", k), Err: fmt.Errorf("has %d rows, but matrix 0 has %d", rows, n)}
		}
		if out[k], err = frame(k); err != nil {
			e := &DataError{Where: fmt.Sprintf("matrix %d", k), Err: err}
			var pe *manifold.PointError
			if errors.As(err, &pe) && pe.Max != 0 {
				e.Remedy = ridgeRemedy
			}
			return e
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// normalizedWeights returns count weights that sum to 1.
func normalizedWeights(w []float64, count int) ([]float64, error) {
	out := make([]float64, count)
	if w == nil {
		for k := range out {
			out[k] = 1 / float64(count)
		}
		return out, nil
	}
	if len(w) != count {
		return nil, &DataError{Where: "weights", Err: fmt.Errorf("%d weights for %d matrices", len(w), count)}
	}
	var sum float64
	for k, v := range w {
		if !(v >= 0) || math.IsInf(v, 1) {
			return nil, &DataError{Where: "weights", Err: fmt.Errorf("weight %d is %v, want a finite number >= 0", k, v)}
		}
		sum += v
	}
	if !(sum > 0) || math.IsInf(sum, 1) {
		return nil, &DataError{Where: "weights", Err: fmt.Errorf("the weights sum to %v, want a positive finite number", sum)}
	}
	for k, v := range w {
		out[k] = v / sum
	}
	return out, nil
}

func ones[T dense.Float](n int) []T { return slices.Repeat([]T{1}, n) }

// checkSamples returns the samples as a packed matrix after checking that they are finite.
func checkSamples(s *mat.Dense) (dense.Matrix[float64], error) {
	x, err := finiteSamples(s)
	if err != nil {
		return x, err
	}
	return x.Clone(), nil
}

// finiteSamples returns a view of the samples after checking that they are finite.
func finiteSamples(s *mat.Dense) (dense.Matrix[float64], error) {
	x, _, err := measuredSamples(s)
	return x, err
}

// measuredSamples is finiteSamples with the sum of the squares of all entries, which may have overflowed.
func measuredSamples(s *mat.Dense) (out dense.Matrix[float64], squares float64, err error) {
	if s == nil || s.IsEmpty() {
		return out, 0, &DataError{Err: errors.New("no samples given")}
	}
	out = dense.Of(s.RawMatrix())
	for i := range out.Rows {
		row := out.Row(i)
		q := dense.Dot(row, row)
		squares += q
		if q-q == 0 {
			continue // the usual case; squares may overflow where the entries do not
		}
		for j, v := range row {
			if v-v != 0 {
				return out, 0, &DataError{Where: fmt.Sprintf("sample %d", i), Err: fmt.Errorf("entry %d is %v", j, v)}
			}
		}
	}
	return out, squares, nil
}
