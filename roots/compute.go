package roots

import (
	"errors"
	"fmt"
	"math"
	"runtime"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

func isAccuracy(err error) bool {
	var e *AccuracyError
	return errors.As(err, &e)
}

// normalise fills in the power of the kinds that have a fixed one and checks the query.
func (q *Query) normalise() error {
	switch q.Kind {
	case KindSqrt:
		q.Power = 0.5
	case KindInv:
		q.Power = -1
	case KindPow:
		if math.IsNaN(q.Power) || math.IsInf(q.Power, 0) {
			return &MethodError{"pow", "the exponent must be finite"}
		}
	case KindLog, KindExp:
		q.Power = 0
	default:
		return &MethodError{q.Kind.String(), "not a function of a symmetric matrix; use Polar"}
	}
	return nil
}

// compute is the pipeline behind every entry point: check, ridge, scale, choose, run, measure. a is overwritten.
func compute[T dense.Float](x, a, rhs dense.Matrix[T], q Query, o *Options) (rep Report, err error) {
	defer engine.Recover(&err)
	if o == nil {
		o = &Options{}
	}
	q.N = a.Rows
	rep = Report{Kind: q.Kind, N: q.N, Rank: q.N, Residual: -1, Reason: "direct"}
	if err := errors.Join(o.Validate(), q.normalise()); err != nil {
		return rep, err
	}
	rep.Power = q.Power
	q.Tol, q.Start, q.Cutoff = o.Tol, o.Start != nil, o.Cutoff > 0
	_, q.Single = any(a).(dense.Matrix[float32])
	if q.N == 0 {
		rep.Residual = 0
		return rep, nil
	}
	if top := maxAbs(a); top-top != 0 {
		return rep, finite(a)
	}
	e, err := engine.Open[T](o.Device)
	if err != nil {
		return rep, err
	}
	j := &job[T]{Query: q, e: e, a: a, x: x, rhs: rhs, rep: &rep, cutoff: o.Cutoff, limit: o.MaxIterations, lower: o.Lower, spent: o.NoResidual}
	defer runtime.KeepAlive(j) // and with it the memory of its arena
	if o.Start != nil {
		if r, c := o.Start.Dims(); r != q.N || c != q.N {
			mistake("Options.Start is %d x %d, the matrix %d x %[3]d", r, c, q.N)
		}
		j.start = startBasis(o.Start)
	}
	if err := j.hasRoom(j.N); err != nil {
		return rep, err
	}
	j.shift = j.prepare(o)
	m, err := j.choose(o)
	if err != nil {
		return rep, unscale(err, j.shift)
	}
	j.move()
	err = j.run(m, o)
	return rep, err
}

// unscale undoes the scaling by 2^-shift in the eigenvalues that an error names.
func unscale(err error, shift int) error {
	var e *NotPositiveDefiniteError
	if errors.As(err, &e) {
		e.Smallest, e.Largest = math.Ldexp(e.Smallest, shift), math.Ldexp(e.Largest, shift)
	}
	return err
}

func startBasis(b *mat.Dense) dense.Matrix[float64] { return dense.Of(b.RawMatrix()) }

func finite[T dense.Float](a dense.Matrix[T]) error {
	for i := range a.Rows {
		for c, v := range a.Row(i) {
			if v-v != 0 { // NaN for NaN and infinities
				return &NotFiniteError{i, c, float64(v)}
			}
		}
	}
	return nil
}

// prepare adds the ridge, scales a to norm about 1 (no scaling for exp) and returns the shift.
func (j *job[T]) prepare(o *Options) (shift int) {
	top := maxAbs(j.a)
	if top == 0 {
		j.addRidge(o.Ridge)
		top = o.Ridge
	} else if o.Ridge > 0 || o.RelativeRidge > 0 {
		_, e := math.Frexp(top)
		scaled := j.a.Clone()
		scale(scaled, -e)
		r := o.Ridge
		if o.RelativeRidge > 0 {
			r += o.RelativeRidge * math.Ldexp(largest(scaled), e)
		}
		j.addRidge(r)
		top = maxAbs(j.a)
	}
	if j.Kind == KindExp || top == 0 {
		j.hi = normBound(j.a)
		return 0
	}
	_, e := math.Frexp(top)
	scale(j.a, -e)
	b := normBound(j.a)
	_, e2 := math.Frexp(b)
	scale(j.a, -e2)
	j.hi = math.Ldexp(b, -e2)
	j.lower = math.Ldexp(j.lower, -e-e2)
	return e + e2
}

func (j *job[T]) addRidge(r float64) {
	for i := range j.N {
		j.a.Set(i, i, j.a.At(i, i)+T(r))
	}
	j.rep.Ridge = r
}

// maxAbs returns the largest absolute value; NaN where there is a NaN.
func maxAbs[T dense.Float](a dense.Matrix[T]) float64 {
	var m T
	for i := range a.Rows {
		for _, v := range a.Row(i) {
			m = max(m, v, -v)
		}
	}
	return float64(m)
}

// scale multiplies a by 2^e, in two steps where that factor might leave the range.
func scale[T dense.Float](a dense.Matrix[T], e int) {
	if e == 0 {
		return
	}
	if -100 < e && e < 100 {
		f := T(math.Ldexp(1, e))
		for i := range a.Rows {
			dense.Scale(f, a.Row(i), a.Row(i))
		}
		return
	}
	h := e / 2
	f, g := T(math.Ldexp(1, h)), T(math.Ldexp(1, e-h))
	for i := range a.Rows {
		row := a.Row(i)
		for c := range row {
			row[c] = row[c] * f * g
		}
	}
}

// normBound returns min(||a||_F, ||a||_inf) >= ||a||_2 of a symmetric a.
func normBound[T dense.Float](a dense.Matrix[T]) float64 {
	if a, ok := any(a).(dense.Matrix[float64]); ok {
		return dense.NormBound(a)
	}
	var fro, inf float64
	for i := range a.Rows {
		var row float64
		for _, v := range a.Row(i) {
			f := math.Abs(float64(v))
			row += f
			fro += f * f
		}
		inf = max(inf, row)
	}
	return min(math.Sqrt(fro), inf)
}

// run executes m and completes the report: range, residual, bound, undoing the scaling.
func (j *job[T]) run(m *Method, o *Options) error {
	rep := j.rep
	rep.Method = m.Name
	rep.LambdaMin, rep.LambdaMax = j.lo, j.hi
	if err := j.overflow(); err != nil {
		return err
	}
	if j.lo > 0 && !m.exact && j.Power < 0 && -j.Power*math.Log2(2*j.hi/j.lo) > j.reach() {
		return &MethodError{m.Name, fmt.Sprintf("power %g of a matrix with condition number %.3g leaves the range on the way; use method eigen", j.Power, j.hi/j.lo)}
	}
	var err error
	switch t := any(j).(type) {
	case *job[float64]:
		err = m.run64(t)
	case *job[float32]:
		err = m.run32(t)
	}
	if err != nil {
		return unscale(err, j.shift)
	}
	j.Query.Cond, j.Top = conditionOf(j), math.Ldexp(rep.LambdaMax, j.shift)
	rep.Bound = m.Bound(j.Query) + j.trunc
	if j.bound > 0 {
		rep.Bound = j.bound
	}
	if rep.LambdaMin == 0 && rep.LambdaMax == 0 && j.Kind <= KindInv && j.Power != 0 {
		rep.Bound = 0 // the powers of zero are zero
	}
	if !o.NoResidual {
		j.residual()
	}
	return j.finish(m, o)
}

// conditionOf returns the condition number for the promise: exact where the spectrum is known, with a margin where it is estimated.
func conditionOf[T dense.Float](j *job[T]) float64 {
	if j.spectrum == nil {
		return condMargin * j.rep.Cond()
	}
	switch j.rep.Rank {
	case j.N:
		return j.rep.Cond()
	case 0:
		return 1
	}
	kept := j.spectrum[j.N-j.rep.Rank]
	return j.rep.LambdaMax / (kept - j.spectrum[j.N-j.rep.Rank-1])
}

// finish undoes the scaling of the matrix in the result and the report and holds the promise against the tolerance.
func (j *job[T]) finish(m *Method, o *Options) error {
	rep := j.rep
	switch j.Kind {
	case KindPow, KindSqrt, KindInv:
		j.unscalePower()
	case KindLog:
		j.unscaleLog(float64(j.shift) * math.Ln2)
	}
	rep.LambdaMin, rep.LambdaMax = math.Ldexp(rep.LambdaMin, j.shift), math.Ldexp(rep.LambdaMax, j.shift)
	rep.DroppedMax = math.Ldexp(rep.DroppedMax, j.shift)
	for i, l := range rep.Dropped {
		rep.Dropped[i] = math.Ldexp(l, j.shift)
	}
	if err := j.inRange(); err != nil {
		return err
	}
	if o.Tol > 0 && rep.Bound > o.Tol {
		return &AccuracyError{m.Name, rep.Bound, o.Tol, rep.Cond()}
	}
	return nil
}

// unscalePower multiplies the result by 2^(shift Power + offset).
func (j *job[T]) unscalePower() {
	// The rounding of shift * Power would cost |shift| eps; the exact remainder is kept.
	e := float64(j.shift) * j.Power
	whole := math.Floor(e)
	f := math.Exp2(e - whole + math.FMA(float64(j.shift), j.Power, -e))
	whole += float64(j.offset)
	if x, ok := any(j.x).(dense.Matrix[float64]); ok {
		for i := range x.Rows {
			dense.Scale(f, x.Row(i), x.Row(i))
		}
	} else {
		for i := range j.x.Rows {
			row := j.x.Row(i)
			for c := range row {
				row[c] = T(float64(row[c]) * f)
			}
		}
	}
	scale(j.x, int(whole))
}

// inRange refuses a result that has left the range: infinite, or below the normal numbers as a whole.
func (j *job[T]) inRange() error {
	low, _ := exponents(j.Single)
	top, tiny := maxAbs(j.x), false
	if j.Kind <= KindInv && j.Columns == 0 && j.hi > 0 && j.rep.Rank > 0 {
		tiny = top < math.Ldexp(1, int(low))/float64(j.N)
	}
	if !tiny && top-top == 0 {
		return nil
	}
	l := j.rep.LambdaMax
	if j.Power < 0 {
		l = j.rep.LambdaMin
	}
	v := l / math.Ln2
	if j.Kind != KindExp {
		v = j.Power * math.Log2(l)
	}
	return newRangeError(j.Kind, j.Power, l, v, j.Single)
}

// unscaleLog adds log(2^shift) I, or its product with the right-hand sides.
func (j *job[T]) unscaleLog(c float64) {
	for i := range j.N {
		if j.Columns == 0 {
			j.x.Set(i, i, j.x.At(i, i)+T(c))
			continue
		}
		dense.Axpy(T(c), j.rhs.Row(i), j.x.Row(i))
	}
}
