package problem

import (
	"errors"
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// factorFit is 1/2 ||b V V' - C||_F^2 over square V. The nearest matrices that nearest-correlation and nearest-spd look for are usually singular (or
// at the floor), at infinite distance in the metrics of positive definite matrices; their factors are not, and every local minimum over square
// factors is a global one (Burer and Monteiro, Math. Program. 103 (2005) 427-444). With R = b V V' - C the derivative is 2 b R V and the second one,
// along U, 2 b (R U + b (U V' + V U') V). The rows of V have unit length on an Oblique manifold, and are free on a matrixSpace.
type factorFit struct {
	c     dense.Matrix[float64]
	b     float64
	scale float64
	unit  *manifold.Oblique // nil: V is free
	work  [2]dense.Matrix[float64]
}

type factorMemo struct {
	r, g dense.Matrix[float64] // R and the Euclidean gradient
}

func newFactorFit(c dense.Matrix[float64], b, scale float64) *factorFit {
	n := c.Rows
	return &factorFit{c: c, b: b, scale: scale, work: [2]dense.Matrix[float64]{dense.New[float64](n, n), dense.New[float64](n, n)}}
}

// factorOf returns the matrix of a point of either manifold.
func factorOf(p manifold.Point) dense.Matrix[float64] {
	if u, ok := p.(*manifold.UnitRows); ok {
		return view(u.X())
	}
	return p.(*freeMatrix).x
}

// GradientScale implements solve.Scaler.
func (q *factorFit) GradientScale(float64) float64 { return q.scale }

// NewMemo implements solve.Memoizer.
func (q *factorFit) NewMemo() solve.Memo {
	n := q.c.Rows
	return &factorMemo{dense.New[float64](n, n), dense.New[float64](n, n)}
}

// Evaluate implements solve.Objective: a product and a half.
func (q *factorFit) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	v, m := factorOf(p), memo.(*factorMemo)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, q.b, v, v, 0, m.r)
	dense.Mirror(m.r)
	dense.Axpy(-1, q.c.Data, m.r.Data)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 2*q.b, m.r, v, 0, m.g)
	copy(grad, m.g.Data)
	if q.unit != nil {
		q.unit.Project(p, grad)
	}
	return dense.Dot(m.r.Data, m.r.Data) / 2, nil
}

// HessianVec implements solve.Hessian: three products. On the sphere the derivative is projected, and the part of the gradient along a row bends it.
func (q *factorFit) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	x, m, n := factorOf(p), memo.(*factorMemo), q.c.Rows
	u, out := dense.Wrap(n, n, v), dense.Wrap(n, n, dst)
	dense.Gemm(dense.NoTrans, dense.Transposed, q.b, u, x, 0, q.work[0])
	addTransposed(q.work[1], q.work[0])
	dense.Gemm(dense.NoTrans, dense.NoTrans, 2*q.b, q.work[1], x, 0, out)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 2*q.b, m.r, u, 1, out)
	if q.unit == nil {
		return nil
	}
	for i := range n {
		dense.Axpy(-dense.Dot(m.g.Row(i), x.Row(i)), u.Row(i), out.Row(i))
	}
	q.unit.Project(p, dst)
	return nil
}

// freeMatrix is a point of matrixSpace.
type freeMatrix struct{ x dense.Matrix[float64] }

// Clone implements manifold.Point.
func (p *freeMatrix) Clone() manifold.Point { return &freeMatrix{p.x.Clone()} }

// CopyFrom implements manifold.Point.
func (p *freeMatrix) CopyFrom(q manifold.Point) { p.x.Copy(q.(*freeMatrix).x) }

// MarshalBinary implements encoding.BinaryMarshaler.
func (p *freeMatrix) MarshalBinary() ([]byte, error) { return appendFloats(nil, p.x.Data), nil }

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (p *freeMatrix) UnmarshalBinary(data []byte) error { return readFloats(p.x.Data, data) }

// matrixSpace is the flat space of n x n matrices.
type matrixSpace struct{ n int }

// VectorLen implements manifold.Manifold.
func (m matrixSpace) VectorLen() int { return m.n * m.n }

// Inner implements manifold.Manifold.
func (m matrixSpace) Inner(_ manifold.Point, u, v []float64) float64 { return dense.Dot(u, v) }

// Retract implements manifold.Manifold.
func (m matrixSpace) Retract(dst, p manifold.Point, v []float64) error {
	if s := dense.Dot(v, v); s-s != 0 {
		return &manifold.StepError{Norm: math.Sqrt(s), Limit: math.Inf(1)}
	}
	dst.CopyFrom(p)
	dense.Axpy(1, v, dst.(*freeMatrix).x.Data)
	return nil
}

// Transport implements manifold.Manifold.
func (m matrixSpace) Transport(_, _ manifold.Point, _ []float64) {}

// FreeTransport implements manifold.FreeTransporter.
func (m matrixSpace) FreeTransport() bool { return true }

// RandomPoint implements manifold.Manifold.
func (m matrixSpace) RandomPoint(rng *rand.Rand) manifold.Point {
	p := &freeMatrix{dense.New[float64](m.n, m.n)}
	for i := range p.x.Data {
		p.x.Data[i] = rng.NormFloat64()
	}
	return p
}

// RandomTangent implements manifold.RandomTangenter.
func (m matrixSpace) RandomTangent(v []float64, _ manifold.Point, rng *rand.Rand) {
	for i := range v {
		v[i] = rng.NormFloat64()
	}
	dense.Scale(1/math.Sqrt(dense.Dot(v, v)), v, v)
}

// correlationTrust solves nearest-correlation over factors with unit rows. Where the gradient vanishes the multipliers are the diagonal of
// (X - C) X/b, and with them the duality gap of X itself is the certificate.
func correlationTrust(d *Data, o *Options) (*outcome, error) {
	r, err := newCorrelationRun(d, o)
	if err != nil {
		return nil, err
	}
	defer r.s.recycle()
	n := len(r.y)
	q := newFactorFit(r.c, r.b, 2*r.b*math.Sqrt(float64(n)))
	if n == 1 {
		return correlationNewton(d, o)
	}
	if q.unit, err = manifold.NewOblique(n, n); err != nil {
		return nil, err
	}
	one := dense.New[float64](n, n)
	one.Identity()
	start, err := manifold.NewUnitRows(symmetric(one))
	if err != nil {
		return nil, err
	}
	run, err := solve.Trust(q.unit, q, start, &o.Solver)
	if err != nil {
		return nil, err
	}
	return r.factorOutcome(run, q, factorOf(run.Point))
}

// factorOutcome is outcome for X = b V V'; the product <X, A-> is a sum over the negative eigenvalues, in which nothing cancels.
func (r *correlationRun) factorOutcome(run *solve.Result, q *factorFit, v dense.Matrix[float64]) (*outcome, error) {
	n := len(r.y)
	x, residual := dense.New[float64](n, n), dense.New[float64](n, n)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, r.b, v, v, 0, x)
	dense.Mirror(x)
	residual.Copy(x)
	dense.Axpy(-1, r.c.Data, residual.Data)
	for i := range n {
		r.y[i] = dense.Dot(residual.Row(i), x.Row(i)) / r.b
	}
	if err := r.evaluate(r.y); err != nil {
		return nil, err
	}
	var gap float64
	for i, p := range r.s.plus.Data {
		gap += (x.Data[i] - p) * (x.Data[i] - p) / 2
	}
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, r.s.vectors, v, 0, q.work[0])
	for k, l := range r.s.values[:r.s.negative] {
		gap -= r.b * l * dense.Dot(q.work[0].Row(k), q.work[0].Row(k))
	}
	run.Certificate = solve.Certificate{Kind: "duality-gap", Value: math.Sqrt(2 * gap), Bound: true}
	for i := range n {
		x.Set(i, i, 1)
	}
	return &outcome{run: run, n: n, count: 1, solution: symmetric(x),
		parts: []Part{vectorPart("multipliers", r.y), numberPart("smallest_eigenvalue", max(r.s.values[0], 0)+r.floor), numberPart("duality_gap", gap)}}, nil
}

// nearestSPDTrust solves nearest-spd over free factors of X - floor I; the distance to the closed form is the certificate.
func nearestSPDTrust(d *Data, o *Options) (*outcome, error) {
	a, s, floor, err := nearestFloor(d, o)
	if err != nil {
		return nil, err
	}
	defer s.recycle()
	n, below := a.Rows, 0
	for below < n && s.values[below] < floor {
		below++
	}
	c := a.Clone()
	for i := range n {
		c.Set(i, i, c.At(i, i)-floor)
	}
	if err := s.set(c); err != nil {
		return nil, err
	}
	size := math.Sqrt(dense.Dot(c.Data, c.Data))
	if !(size > 0) {
		return nil, &DataError{Err: errors.New("nearest-spd by trust: the matrix is a multiple of the identity at the floor"), Remedy: "take the method eigen"}
	}
	start := &freeMatrix{dense.New[float64](n, n)}
	for i := range n {
		start.x.Set(i, i, math.Sqrt(size/math.Sqrt(float64(n))))
	}
	options := o.Solver
	if options.FirstStep == 0 { // the space is flat, and its unit that of the data
		options.FirstStep = math.Sqrt(size)
	}
	run, err := solve.Trust(matrixSpace{n}, newFactorFit(c, 1, 2*size*math.Sqrt(size)), start, &options)
	if err != nil {
		return nil, err
	}
	x := dense.New[float64](n, n)
	v := factorOf(run.Point)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, v, v, 0, x)
	dense.Mirror(x)
	var square float64
	for i, p := range s.plus.Data {
		square += (x.Data[i] - p) * (x.Data[i] - p)
	}
	for i := range n {
		x.Set(i, i, x.At(i, i)+floor)
	}
	out := nearestOutcome(a, x, floor, below, "")
	run.Objective = out.run.Objective
	run.Certificate = solve.Certificate{Kind: "known-minimizer", Value: math.Sqrt(square), Bound: true}
	out.run = run
	return out, nil
}
