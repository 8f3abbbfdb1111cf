package problem

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/matfun"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

func matrixElements(copies int) func(n, count int) int {
	return func(n, count int) int { return (copies + count) * n * n }
}

var (
	nearestSPDDevice         = &deviceMethod{run64: nearestSPDOnDevice[float64], run32: nearestSPDOnDevice[float32], elements: matrixElements(8)}
	nearestCorrelationDevice = &deviceMethod{run64: correlationOnDevice[float64], run32: correlationOnDevice[float32], elements: matrixElements(8)}
	barycenterDevice         = &deviceMethod{run64: barycenterOnDevice[float64], run32: barycenterOnDevice[float32],
		elements: func(n, count int) int { return (9*count + 12) * n * n }}
	logdetDevice = &deviceMethod{run64: logdetOnDevice[float64], run32: logdetOnDevice[float32],
		elements: func(n, count int) int { return count*n + 12*n*n }}
)

// largestEigenvalue returns the algebraically largest eigenvalue of the symmetric n x n matrix that multiply applies, by Lanczos steps with full
// re-orthogonalisation, until a step adds less than 1e-10 of it, from a fixed start.
func largestEigenvalue(n int, multiply func(x, y []float64)) float64 {
	most := min(n, 120)
	v, alpha, beta := dense.New[float64](most+1, n), make([]float64, most), make([]float64, most)
	rng := rand.New(rand.NewChaCha8([32]byte{'l', 'a', 'n', 'c', 'z', 'o', 's'}))
	for i := range n {
		v.Set(0, i, rng.NormFloat64())
	}
	dense.Scale(1/math.Sqrt(dense.Dot(v.Row(0), v.Row(0))), v.Row(0), v.Row(0))
	last := math.Inf(-1)
	for k := range most {
		w := v.Row(k + 1)
		multiply(v.Row(k), w)
		alpha[k] = dense.Dot(w, v.Row(k))
		for range 2 {
			for i := range k + 1 {
				dense.Axpy(-dense.Dot(v.Row(i), w), v.Row(i), w)
			}
		}
		beta[k] = math.Sqrt(dense.Dot(w, w))
		t, values := dense.New[float64](k+1, k+1), make([]float64, k+1)
		for i := range k + 1 {
			t.Set(i, i, alpha[i])
			if i > 0 {
				t.Set(i, i-1, beta[i-1])
				t.Set(i-1, i, beta[i-1])
			}
		}
		if !eigen.SymValues(t, values) {
			return math.NaN()
		}
		top := values[k]
		if k > 3 && math.Abs(top-last) <= 1e-10*math.Abs(top) || beta[k] <= 1e-13*math.Abs(top) {
			return top
		}
		last = top
		dense.Scale(1/beta[k], w, w)
	}
	return last
}

// multiplier returns the product of a with vectors, made where a lies.
func (p *place[T]) multiplier(a engine.Batch[T]) func(x, y []float64) {
	from, to := p.batch(1, a.Rows, 1), p.batch(1, a.Rows, 1)
	return func(x, y []float64) {
		load(from.Data, x)
		p.Gemm(dense.NoTrans, dense.NoTrans, 1, a, from, 0, to)
		for i, v := range to.Data {
			y[i] = float64(v)
		}
	}
}

// trace returns the sum of the diagonal.
func (p *place[T]) trace(a engine.Batch[T]) (sum float64) {
	d := make([]T, a.Rows)
	p.Diagonal(a, d)
	for _, v := range d {
		sum += float64(v)
	}
	return sum
}

// nearestSPDOnDevice is nearestSPDPolar with |A - cI| made in products.
func nearestSPDOnDevice[T dense.Float](d *Data, o *Options, p *place[T]) (*outcome, error) {
	given, err := oneSymmetric(d, "solve them one at a time")
	if err != nil {
		return nil, err
	}
	n := given.Rows
	w := matfun.New(p.Backend, p.arena, 1, n)
	a, x, h := w.Take(), w.Take(), w.Take()
	load(a.Data, given.Data)
	largest := largestEigenvalue(n, p.multiplier(a))
	if !(largest > 0) {
		return nil, noPositiveEigenvalue(largest)
	}
	relative := o.Floor
	if relative == 0 {
		relative = 1e-8
	}
	floor := relative * largest
	p.Combine(T(-floor), 1, a, 0, a, x)
	if err := w.Abs(x, h); err != nil {
		return nil, err
	}
	p.Combine(T(floor), 0.5, x, 0.5, h, x)
	p.Combine(0, 1, x, -1, a, h)
	square, _ := p.SumSquares(h.Data)
	norm, _ := p.SumSquares(a.Data)
	product := p.dot(h, x) - floor*p.trace(h)
	how := fmt.Sprintf("products for the absolute value, some eigenvalues raised to %.3g", floor)
	return nearestReport(symmetricOf(x), square, product, math.Sqrt(norm), how), nil
}

func noPositiveEigenvalue(largest float64) error {
	return &DataError{Err: fmt.Errorf("the matrix has no positive eigenvalue (largest %.4g): there is no scale for the floor", largest),
		Remedy: "check its sign"}
}

// correlationOnDevice minimizes the dual of correlationRun by L-BFGS steps; the projection is (A + |A|)/2, in products.
func correlationOnDevice[T dense.Float](d *Data, o *Options, p *place[T]) (*outcome, error) {
	r, err := startCorrelation(d, o)
	if err != nil {
		return nil, err
	}
	c := newDeviceCorrelation(p, r)
	r.project = c.project
	if err := r.evaluate(r.y); err != nil {
		return nil, err
	}
	var pairs secantPairs
	for !r.done() {
		length, err := r.search(pairs.direction(r.y, r.grad))
		if err != nil {
			return nil, err
		}
		if length == 0 {
			r.mon.Stall()
			break
		}
		r.mon.Step(length)
	}
	return c.outcome(r)
}

// deviceCorrelation holds what a correlationRun has on a device: C, A = C + Diag y and its positive part.
type deviceCorrelation[T dense.Float] struct {
	*place[T]
	w          *matfun.Work[T]
	c, a, plus engine.Batch[T]
	own, diag  []T // diagonal of c; of another one
}

func newDeviceCorrelation[T dense.Float](p *place[T], r *correlationRun) *deviceCorrelation[T] {
	n := len(r.y)
	c := &deviceCorrelation[T]{place: p, w: matfun.New(p.Backend, p.arena, 1, n), own: p.arena.Alloc(n), diag: p.arena.Alloc(n)}
	c.c, c.a, c.plus = c.w.Take(), c.w.Take(), c.w.Take()
	load(c.c.Data, r.c.Data)
	p.Diagonal(c.c, c.own)
	return c
}

func (c *deviceCorrelation[T]) project(y, diagonal []float64) (half float64, err error) {
	for i, v := range y {
		c.diag[i] = c.own[i] + T(v)
	}
	c.Copy(c.c, c.a)
	c.SetDiagonal(c.diag, c.a)
	if err := c.w.Abs(c.a, c.plus); err != nil {
		return 0, err
	}
	c.Combine(0, 0.5, c.a, 0.5, c.plus, c.plus)
	c.Diagonal(c.plus, c.diag)
	for i, v := range c.diag {
		diagonal[i] = float64(v)
	}
	square, _ := c.SumSquares(c.plus.Data)
	return square / 2, nil
}

// outcome scales X to unit diagonal and bounds the distance to the solution by the duality gap, as correlationRun.outcome does; the complementarity <S X S, A-> is
// made from products of elements. With S = I + E and X A- = 0 the sum of e_i e_j X_ij (A-)_ij is left of it, in which nothing cancels.
func (c *deviceCorrelation[T]) outcome(r *correlationRun) (*outcome, error) {
	n := len(r.y)
	x, t := c.w.Take(), c.w.Take()
	scale, bent := c.arena.Alloc(n), c.arena.Alloc(n)
	c.Diagonal(c.plus, c.diag)
	for i, v := range c.diag {
		s := math.Sqrt(r.b / float64(v))
		if !(s < math.Inf(1)) {
			return nil, r.vanished(i)
		}
		scale[i], bent[i], c.diag[i] = T(s), T(s-1), T(r.b)
	}
	c.ScaleRows(scale, c.plus, 0, x)
	c.ScaleCols(scale, x, 0, x)
	c.SetDiagonal(c.diag, x)
	c.Combine(0, 1, x, -1, c.plus, t)
	gap, _ := c.SumSquares(t.Data)
	c.Combine(0, 1, x, -1, c.c, t)
	square, _ := c.SumSquares(t.Data)
	c.Combine(0, 1, c.plus, -1, c.a, t)
	c.Multiply(c.plus.Data, t.Data, 0, t.Data)
	e, te := c.batch(1, n, 1), c.batch(1, n, 1)
	copy(e.Data, bent)
	c.Gemm(dense.NoTrans, dense.NoTrans, 1, t, e, 0, te)
	gap = max(gap/2+c.dot(e, te), 0)
	for i := range c.diag {
		c.diag[i] = 1
	}
	c.SetDiagonal(c.diag, x)
	out := finishRun(r.mon, solve.Certificate{Kind: "duality-gap", Value: math.Sqrt(2 * gap)}, n, 1, symmetricOf(x))
	out.run.Objective = square / 2
	out.parts = []Part{vectorPart("multipliers", r.y), numberPart("duality_gap", gap)}
	return out, nil
}

// secantPairs are the latest steps and gradient changes of an L-BFGS iteration over vectors.
type secantPairs struct {
	s, y         [][]float64
	at, gradient []float64 // of the last call
}

// direction returns the L-BFGS direction at y (Nocedal and Wright, Numerical Optimization, algorithm 7.4), the negative gradient at first.
func (p *secantPairs) direction(y, gradient []float64) []float64 {
	if p.at != nil {
		s, g := append([]float64(nil), y...), append([]float64(nil), gradient...)
		dense.Axpy(-1, p.at, s)
		dense.Axpy(-1, p.gradient, g)
		if dense.Dot(s, g) > 1e-12*dense.Dot(s, s) {
			p.s, p.y = append(p.s, s), append(p.y, g)
		}
		if len(p.s) > 12 {
			p.s, p.y = p.s[1:], p.y[1:]
		}
	}
	p.at, p.gradient = append(p.at[:0], y...), append(p.gradient[:0], gradient...)
	q, alpha := append([]float64(nil), gradient...), make([]float64, len(p.s))
	for k := len(p.s) - 1; k >= 0; k-- {
		alpha[k] = dense.Dot(p.s[k], q) / dense.Dot(p.s[k], p.y[k])
		dense.Axpy(-alpha[k], p.y[k], q)
	}
	if k := len(p.s) - 1; k >= 0 {
		dense.Scale(dense.Dot(p.s[k], p.y[k])/dense.Dot(p.y[k], p.y[k]), q, q)
	}
	for k := range p.s {
		dense.Axpy(alpha[k]-dense.Dot(p.y[k], q)/dense.Dot(p.s[k], p.y[k]), p.s[k], q)
	}
	dense.Scale(-1, q, q)
	return q
}

// barycenterOnDevice is the fixed point of barycenterFixedPoint on the symmetric frame F = X^(1/2).
func barycenterOnDevice[T dense.Float](d *Data, o *Options, p *place[T]) (*outcome, error) {
	data, err := p.matrices(d)
	if err != nil {
		return nil, err
	}
	weights, err := normalizedWeights(d.Weights, data.Count)
	if err != nil {
		return nil, err
	}
	n := data.Rows
	all, w := matfun.New(p.Backend, p.arena, data.Count, n), matfun.New(p.Backend, p.arena, 1, n)
	k, root, inverse := all.Take(), all.Take(), all.Take()
	if err := all.Sqrt(data, root, inverse); err != nil {
		return nil, dataFault(err, "")
	}
	x, f, g, s, t := w.Take(), w.Take(), w.Take(), w.Take(), w.Take()
	p.Combine(0, 0, x, 0, x, x)
	for i, v := range weights {
		p.Combine(0, 1, x, T(v), one(data, i), x)
	}
	total, scale := p.trace(x), 0.0
	for mon := iteration.NewMonitor(&o.Solver, n*n); ; {
		if err := w.Sqrt(x, f, g); err != nil {
			return nil, dataFault(err, "the barycenter")
		}
		if scale == 0 {
			w.Symmetric(g, g, t)
			square, _ := p.SumSquares(t.Data)
			scale = max(1/math.Sqrt(square), 1e-6*total/float64(n))
		}
		left := f
		left.Count, left.Step = data.Count, 0
		p.Gemm(dense.NoTrans, dense.NoTrans, 1, left, data, 0, inverse)
		p.GemmSymmetric(dense.NoTrans, dense.NoTrans, 1, inverse, left, 0, k)
		if err := all.Sqrt(k, root, inverse); err != nil {
			return nil, dataFault(err, "")
		}
		p.Combine(0, 0, s, 0, s, s)
		for i, v := range weights {
			p.Combine(0, 1, s, T(v), one(root, i), s)
		}
		p.Combine(0, 1, x, -1, s, t)
		square, _ := p.SumSquares(t.Data)
		cost, norm := total+p.trace(x)-2*p.trace(s), math.Sqrt(square)
		if mon.Done(nil, cost, norm, scale) {
			return finishRun(mon, solve.Certificate{Kind: "none"}, n, data.Count, symmetricOf(x)), nil
		}
		w.Product(g, s, t)
		p.GemmSymmetric(dense.NoTrans, dense.Transposed, 1, t, t, 0, x)
		mon.Step(norm)
		mon.Status.Evaluations++
	}
}

// logdetOnDevice makes S = X'X/N of the samples, the minimizer, and checks it by its inverse root.
func logdetOnDevice[T dense.Float](d *Data, _ *Options, p *place[T]) (*outcome, error) {
	if d.Samples == nil {
		return nil, &DeviceError{"logdet", "of one matrix there is nothing to compute; give samples"}
	}
	x, err := checkSamples(d.Samples)
	if err != nil {
		return nil, err
	}
	if x.Rows < x.Cols {
		return nil, tooFewSamples(x)
	}
	n := x.Cols
	z, w := p.batch(1, x.Rows, n), matfun.New(p.Backend, p.arena, 1, n)
	load(z.Data, x.Data)
	s, f, g := w.Take(), w.Take(), w.Take()
	p.GemmSymmetric(dense.Transposed, dense.NoTrans, T(1/float64(x.Rows)), z, z, 0, s)
	l, t := w.Take(), w.Take()
	err = w.Sqrt(s, f, g)
	if err == nil {
		err = w.Log(s, l)
	}
	if err != nil {
		return nil, singularCovariance(err)
	}
	w.Product(g, s, t)
	w.Symmetric(t, g, f)
	var norm [1]float64
	p.FromIdentity(f, norm[:])
	logDet := p.trace(l)
	r := &solve.Result{Objective: logDet + float64(n), GradientNorm: norm[0], RelativeGradient: norm[0] / math.Sqrt(float64(n)), Evaluations: 1,
		Certificate: solve.Certificate{Kind: "known-minimizer", Value: norm[0]}}
	limit := max(closedFormTolerance, 1e4*matfun.Eps[T]())
	if r.Converged = r.RelativeGradient <= limit; !r.Converged {
		return nil, errIllConditioned
	}
	r.Reason = solve.Reason{Name: "closed-form", Detail: fmt.Sprintf("X = S, gradient norm %.3g", norm[0]), Converged: true}
	return &outcome{run: r, n: n, count: x.Rows, solution: symmetricOf(s)}, nil
}
