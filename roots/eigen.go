package roots

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

var eigenMethod = Method{
	Name:   "eigen",
	Title:  "symmetric eigendecomposition A = Q diag(l) Q^T, any function; decomposes in float64 for float32 input as well",
	Source: "Golub and Van Loan, Matrix Computations, 8.3-8.4",
	Can:    func(q Query) bool { return q.Kind != KindPolar },
	Work: func(q Query) float64 {
		w := 6 + applyWork(q, 2)
		if q.Single {
			// Made in float64, where a product takes twice as long.
			w *= 2
		}
		return w
	},
	exact: true,
	Bound: eigenBound,
	rate:  rate{21.2, 15.4, 8.25, 3.76, 1.87, 1.04, 0.88, 0.67, 0.70, 0.70},
	run64: runEigen[float64],
	run32: runEigen[float32],
}

func eigenBound(q Query) float64 {
	if !q.Single {
		return q.rounding(8)
	}
	q.Single = false
	return q.rounding(8) + 4*0x1p-24
}

// applyWork returns the GEMM-equivalents of products n x n by n x Columns, or of forming the result in half a product.
func applyWork(q Query, products float64) float64 {
	if q.Columns == 0 {
		return 0.5
	}
	return products * float64(q.Columns) / float64(max(q.N, 1))
}

func runEigen[T dense.Float](j *job[T]) error {
	n := j.N
	q, ok := any(j.a).(dense.Matrix[float64])
	if !ok || j.adaptive || !j.spent {
		q = dense.New[float64](n, n)
		convert(q, j.a)
	}
	w := make([]float64, n)
	if !decompose(q, w) {
		return &MethodError{"eigen", "the decomposition did not converge"}
	}
	j.count(6 * float64(n) * float64(n) * float64(n))
	if j.adaptive && w[0] > 0 {
		known := j.Query
		known.Cond, known.Top = w[n-1]/w[0], math.Ldexp(w[n-1], j.shift)
		if full, ok := any(j).(*job[float64]); ok && eigenBound(known) > j.Tol {
			j.rep.Method = refinedMethod.Name
			return full.correct(q, w)
		}
	}
	return j.fromSpectrum(q, w)
}

// solvers keeps the workspace of decompositions from call to call.
var solvers = sync.Pool{New: func() any { return new(eigen.Solver) }}

// decompose overwrites a with its eigenvectors and w with the ascending eigenvalues.
func decompose(a dense.Matrix[float64], w []float64) bool {
	s := solvers.Get().(*eigen.Solver)
	defer solvers.Put(s)
	return s.Sym(a, w)
}

// fromSpectrum finishes a job from the decomposition a = q diag(w) q^T, w ascending; q is overwritten.
func (j *job[T]) fromSpectrum(q dense.Matrix[float64], w []float64) error {
	n := j.N
	f := make([]float64, n)
	if err := j.mapSpectrum(w, f); err != nil {
		return err
	}
	j.spectrum = w
	if j.Columns == 0 {
		j.count(float64(n) * float64(n) * float64(n) / 2)
		if x, ok := any(j.x).(dense.Matrix[float64]); ok {
			formImage(q, f, x)
			return nil
		}
		x := dense.New[float64](n, n)
		formImage(q, f, x)
		convert(j.x, x)
		return nil
	}
	rhs, y := dense.New[float64](n, j.Columns), dense.New[float64](n, j.Columns)
	convert(rhs, j.rhs)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, q, rhs, 0, y)
	for i, v := range f {
		row := y.Row(i)
		for c := range row {
			row[c] *= v
		}
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, q, y, 0, rhs)
	j.count(2 * float64(n) * float64(n) * float64(j.Columns))
	convert(j.x, rhs)
	return nil
}

// scratches keeps the scaled eigenvectors' memory from call to call.
var scratches = sync.Pool{New: func() any { return new([]float64) }}

// formImage sets x = q diag(f) q^T.
func formImage(q dense.Matrix[float64], f []float64, x dense.Matrix[float64]) {
	s := scratches.Get().(*[]float64)
	defer scratches.Put(s)
	*s = grown(*s, len(f)*len(f))
	qf := dense.Wrap(len(f), len(f), *s)
	qf.Copy(q)
	scaleColumns(qf, f)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, qf, q, 0, x)
	dense.Mirror(x)
}

// mapSpectrum applies the function to the ascending eigenvalues w: f = fn(w) 2^-offset, with the cut-off, the tolerance for rounding below zero,
// and the errors for what is not positive or leaves the range.
func (j *job[T]) mapSpectrum(w, f []float64) error {
	n := len(w)
	top := max(math.Abs(w[0]), math.Abs(w[n-1]))
	j.rep.LambdaMin, j.rep.LambdaMax = w[0], w[n-1]
	negligible := 4 * float64(n) * 0x1p-53 * top
	drop := 0
	if j.cutoff > 0 {
		for drop < n && w[drop] <= j.cutoff*top {
			j.rep.DroppedMax = max(j.rep.DroppedMax, math.Abs(w[drop]))
			drop++
		}
		j.rep.Dropped = append([]float64(nil), w[:drop]...)
	}
	j.rep.Rank = n - drop
	clear(f[:drop])
	if l := w[min(drop, n-1)]; drop < n && j.needsPositive() && l <= negligible && (l < -negligible || !j.allowsZero()) {
		return j.notPositive(w, negligible)
	}
	large := j.dominant(w, drop)
	if err := j.fits(large); err != nil {
		return err
	}
	j.offset = j.offsetFor(large)
	for i, l := range w[drop:] {
		if j.needsPositive() {
			l = max(l, 0)
		}
		if j.offset == 0 {
			f[drop+i] = j.fn(l)
		} else {
			f[drop+i] = j.shiftedPower(l)
		}
	}
	return nil
}

// shiftedPower returns l^p 2^-offset; a negative l has an integer p.
func (j *job[T]) shiftedPower(l float64) float64 {
	v := math.Exp2(j.Power*math.Log2(math.Abs(l)) - float64(j.offset))
	if l < 0 && math.Mod(j.Power, 2) != 0 {
		return -v
	}
	return v
}

// needsPositive reports whether the function is defined on positive spectra only. Integer powers from 0 on and exp take any spectrum.
func (q *Query) needsPositive() bool {
	switch q.Kind {
	case KindExp, KindPolar:
		return false
	case KindLog:
		return true
	}
	return q.Power < 0 || q.Power != math.Trunc(q.Power)
}

// allowsZero reports whether a semi-definite matrix is in the domain.
func (q *Query) allowsZero() bool { return q.Kind != KindLog && q.Power > 0 }

func (j *job[T]) notPositive(w []float64, negligible float64) error {
	count := 0
	for _, l := range w {
		if l <= negligible {
			count++
		}
	}
	return &NotPositiveDefiniteError{Kind: j.Kind, Power: j.Power, Smallest: w[0], Largest: w[len(w)-1], Negligible: count}
}

func scaleColumns(m dense.Matrix[float64], f []float64) {
	for i := range m.Rows {
		row := m.Row(i)
		for c, v := range f {
			row[c] *= v
		}
	}
}

// convert copies src into dst across precisions.
func convert[T, S dense.Float](dst dense.Matrix[T], src dense.Matrix[S]) {
	for i := range dst.Rows {
		convertRow(dst.Row(i), src.Row(i))
	}
}

func convertRow[T, S dense.Float](dst []T, src []S) {
	if same, ok := any(dst).([]S); ok {
		copy(same, src)
		return
	}
	for i := range dst {
		dst[i] = T(src[i])
	}
}

// sortedSpectrum returns d in ascending order and where each value came from.
func sortedSpectrum(d []float64) (w []float64, order []int) {
	order = make([]int, len(d))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(d[a], d[b]) })
	w = make([]float64, len(d))
	for i, k := range order {
		w[i] = d[k]
	}
	return w, order
}

// sensitivityAt is sensitivity for the ascending spectrum w, relative to ||A||_F instead of ||A||_2.
func (q *Query) sensitivityAt(w []float64) float64 {
	p := *q
	p.Cond = w[len(w)-1] / w[0]
	return math.Sqrt(float64(q.N)) * p.sensitivity()
}
