package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

const (
	// quadricIterative is the dimension from which on conjugate gradients are faster than normal equations.
	quadricIterative = 32
	// quadricSteps bounds the conjugate gradient steps and solves together, and quadricProbe those on a random right side.
	quadricSteps, quadricProbe = 200, 40
	// quadricShare is what those on a random right side may leave of it. A single direction of the null space has a share of about 1/36 at n = 50 and 1/71 at
	// n = 100, and one below this with a probability of 9 and 17 percent.
	quadricShare = 3e-3
	// quadricKept is the number of directions that the next ones are kept conjugate to.
	quadricKept = 12
	// quadricRoundedGain and quadricSingleGain are the relative residuals of a solve in bfloat16 and in single precision, so that its last steps are not lost in the
	// error of the products. That of single precision is quadricSingle.
	quadricRoundedGain, quadricSingleGain, quadricSingle = 1e-2, 1e-5, 1e-7
	// quadricKnown is the relative gradient of a solution that others are measured by.
	quadricKnown = 1e-10
	// quadricRounding is the residual relative to I that can be had at best.
	quadricRounding = 1e-14
)

// quadricSystem is the normal equations of the best quadric for points whose second moment is I: A(Y) = (1/N) sum (w'Yw) w w' = I. For points spread
// over all directions its eigenvalues are near 2, but for that of I, so that conjugate gradients need few steps. They run on points rounded to
// bfloat16 where the processor has products of such, or else in single precision, from residuals that are as exact as what is to be gained asks for.
type quadricSystem struct {
	x, inverse dense.Matrix[float64]   // the points as they were given, and what whitens them
	passes     *quadricPasses[float64] // over them
	measure    quadricMeasure          // nil where there is none
	double     *quadricPoints[float64] // nil until needed
	single     *quadricPoints[float32] // nil where there are forms
	forms      *dense.SingleForms      // nil where the processor has no kernels for them
	rounded    *dense.RoundedForms     // nil where the processor has no such products
	squares    []float32               // w'w of the points, where there are forms
	kept       *quadricDirections
	steps      int // conjugate gradient steps and solves so far
}

// quadricMeasure evaluates the objective at a quadric F F' and returns the lower triangular F and the whitened differential of the mean of the terms. It is false
// where the quadric is no ellipsoid.
type quadricMeasure func(quadric dense.Matrix[float64]) (factor, differential dense.Matrix[float64], ok bool)

// quadricPoints are points as rows, with what a product needs.
type quadricPoints[T dense.Float] struct {
	w         dense.Matrix[T]
	half, sum dense.Matrix[T] // n x n
	passes    *quadricPasses[T]
}

func newQuadricPoints[T dense.Float](w dense.Matrix[T]) *quadricPoints[T] {
	n := w.Cols
	return &quadricPoints[T]{w: w, half: dense.New[T](n, n), sum: dense.New[T](n, n), passes: newQuadricPasses[T](w.Rows, n)}
}

// product sets out to A(Y) for a symmetric Y: w'Yw is twice w'Hw with H the lower triangle of Y and half its diagonal.
func (p *quadricPoints[T]) product(y, out dense.Matrix[T]) {
	p.half.Copy(y)
	for i := range y.Rows {
		p.half.Set(i, i, y.At(i, i)/2)
	}
	p.passes.run(func(b quadricBlock[T], sum *quadricSum[T]) {
		w := p.w.View(b.first, 0, b.z.Rows, b.z.Cols)
		dense.MulLowerRight(dense.NoTrans, p.half, w, b.z)
		dense.RowDots(b.z, w, b.q)
		dense.ScaleRows(b.q, w, b.z)
		dense.GemmLower(dense.Transposed, dense.NoTrans, 2/T(p.w.Rows), w, b.z, 1, sum.matrix)
	})
	p.sum.Zero()
	p.passes.addTo(p.sum)
	dense.Transpose(out, p.sum)
	dense.Mirror(out)
}

// whitening returns L^-1 for the second moment L L' of the points, or no matrix where that is singular.
func whitening(x dense.Matrix[float64], passes *quadricPasses[float64]) dense.Matrix[float64] {
	l := dense.New[float64](x.Cols, x.Cols)
	passes.run(func(b quadricBlock[float64], sum *quadricSum[float64]) {
		block := x.View(b.first, 0, b.z.Rows, b.z.Cols)
		dense.GemmLower(dense.Transposed, dense.NoTrans, 1/float64(x.Rows), block, block, 1, sum.matrix)
	})
	passes.addTo(l)
	if dense.Cholesky(l) >= 0 {
		return dense.Matrix[float64]{}
	}
	dense.InvertLower(l)
	return l
}

// quadric returns the best quadric through the points, to a whitened differential of the target, and whether it is what was measured last. It is not ok where
// the equations are too ill-conditioned for that, or singular.
func (s *quadricSystem) quadric(target float64) (quadric dense.Matrix[float64], measured, ok bool) {
	if !s.regular() {
		return dense.Matrix[float64]{}, false, false
	}
	q, ok := s.solve(target)
	return s.original(q.y), q.measured, ok
}

// original returns the solution Y of whitened points for those given.
func (s *quadricSystem) original(y dense.Matrix[float64]) dense.Matrix[float64] {
	n := y.Rows
	work, out := dense.New[float64](n, n), dense.New[float64](n, n)
	dense.MulLower(dense.Transposed, s.inverse, y, work)
	dense.MulLowerRight(dense.NoTrans, s.inverse, work, out)
	return out
}

// newQuadricSystem returns the equations of the points, or nil where their second moment is singular.
func newQuadricSystem(x dense.Matrix[float64], passes *quadricPasses[float64]) *quadricSystem {
	inverse := whitening(x, passes)
	if inverse.Rows == 0 {
		return nil
	}
	n := x.Cols
	s := &quadricSystem{x: x, inverse: inverse, passes: passes, forms: dense.NewSingleForms(n, x.Rows), rounded: dense.NewRoundedForms(n, x.Rows), kept: newQuadricDirections(n)}
	if s.forms != nil {
		s.squares = make([]float32, x.Rows)
	} else {
		s.single = newQuadricPoints(dense.New[float32](x.Rows, n))
	}
	s.setAll()
	return s
}

// whiten sets w to whitened points from the given one on.
func (s *quadricSystem) whiten(first int, w dense.Matrix[float64]) {
	dense.MulLowerRight(dense.Transposed, s.inverse, s.x.View(first, 0, w.Rows, w.Cols), w)
}

// doubleProduct sets out to A(Y) in double precision.
func (s *quadricSystem) doubleProduct(y, out dense.Matrix[float64]) {
	if s.double == nil {
		s.double = newQuadricPoints(dense.RecycledMatrix(s.x.Rows, s.x.Cols))
		s.passes.run(func(b quadricBlock[float64], _ *quadricSum[float64]) {
			s.whiten(b.first, s.double.w.View(b.first, 0, b.z.Rows, b.z.Cols))
		})
	}
	s.double.product(y, out)
}

// release gives memory back.
func (s *quadricSystem) release() {
	if s.double != nil {
		dense.Recycle(s.double.w.Data)
	}
}

// moment returns the mean of q x x' in single precision, where there are forms.
func (s *quadricSystem) moment(q []float32) dense.Matrix[float64] {
	n := s.x.Cols
	mean, l := dense.New[float32](n, n), s.inverse.Clone()
	s.forms.Moment(1/float32(len(q)), q, mean)
	dense.InvertLower(l)
	work, out := dense.New[float64](n, n), dense.New[float64](n, n)
	widen(out.Data, mean.Data)
	dense.MulLower(dense.NoTrans, l, out, work)
	dense.MulLowerRight(dense.Transposed, l, work, out)
	return out
}

// quadricWhitened is room for a block of whitened points, as they are, and in single precision as rows and as columns.
type quadricWhitened struct {
	w             dense.Matrix[float64]
	rows, columns dense.Matrix[float32]
}

// setAll whitens the points and keeps them in lower precision.
func (s *quadricSystem) setAll() {
	n, each := s.x.Cols, s.passes.each
	blocks := dense.Crew[quadricWhitened]{
		New: func() *quadricWhitened {
			return &quadricWhitened{dense.New[float64](quadricRows, n), dense.New[float32](quadricRows, n), dense.New[float32](n, quadricRows)}
		},
		Do: func(part int, b *quadricWhitened) {
			for first := part * each; first < min(s.x.Rows, (part+1)*each); first += quadricRows {
				rows := min(quadricRows, s.x.Rows-first)
				s.set(first, quadricWhitened{b.w.View(0, 0, rows, n), b.rows.View(0, 0, rows, n), dense.Wrap(n, rows, b.columns.Data)})
			}
		},
	}
	blocks.Run(len(s.passes.sums))
}

// set whitens a block of points and keeps them in lower precision.
func (s *quadricSystem) set(first int, b quadricWhitened) {
	s.whiten(first, b.w)
	dense.ScaleSingle(1, b.w.Data[:b.w.Rows*b.w.Cols], b.rows.Data[:b.w.Rows*b.w.Cols])
	if s.forms == nil {
		s.single.w.View(first, 0, b.rows.Rows, b.rows.Cols).Copy(b.rows)
		return
	}
	for i := range b.w.Rows {
		s.squares[first+i] = float32(dense.Dot(b.w.Row(i), b.w.Row(i)))
	}
	dense.Transpose(b.columns, b.rows)
	s.forms.Set(first, b.columns)
	if s.rounded != nil {
		s.rounded.Set(first, b.columns)
	}
}

// product sets out to A(Y) in the lowest precision.
func (s *quadricSystem) product(y, out dense.Matrix[float32]) {
	if s.rounded == nil {
		s.singleProduct(y, out)
		return
	}
	s.rounded.Apply(1/float32(s.x.Rows), y, out)
}

// singleProduct sets out to A(Y) in single precision.
func (s *quadricSystem) singleProduct(y, out dense.Matrix[float32]) {
	if s.forms == nil {
		s.single.product(y, out)
		return
	}
	s.forms.Apply(1/float32(s.x.Rows), y, out)
}

// quadricIterate is an approximate solution and what is left, I - A(Y), up to an error.
type quadricIterate struct {
	y, rest      dense.Matrix[float64]
	err          float64 // of the rest, relative to I
	measured     bool
	image        dense.Matrix[float64]
	low, lowRest dense.Matrix[float32]
}

// norm returns the norm of what is left relative to that of I.
func (q *quadricIterate) norm() float64 {
	return math.Sqrt(dense.Dot(q.rest.Data, q.rest.Data) / float64(q.y.Rows))
}

// first is the multiple of I that fits best. What is left of I is small, so that low precision is not enough.
func (s *quadricSystem) first() *quadricIterate {
	n := s.x.Cols
	q := &quadricIterate{y: dense.New[float64](n, n), rest: dense.New[float64](n, n), image: dense.New[float64](n, n),
		low: dense.New[float32](n, n), lowRest: dense.New[float32](n, n)}
	q.y.Identity()
	if s.forms != nil {
		s.forms.Moment(1/float32(len(s.squares)), s.squares, q.lowRest)
	} else {
		q.low.Identity()
		s.singleProduct(q.low, q.lowRest)
	}
	q.err = quadricSingle
	widen(q.image.Data, q.lowRest.Data)
	scale := trace(q.image) / dense.Dot(q.image.Data, q.image.Data)
	dense.Scale(scale, q.y.Data, q.y.Data)
	dense.Scale(scale, q.image.Data, q.image.Data)
	q.fromImage()
	return q
}

// fromImage sets what is left, given A(Y).
func (q *quadricIterate) fromImage() {
	dense.Scale(-1, q.image.Data, q.rest.Data)
	for i := range q.y.Rows {
		q.rest.Set(i, i, q.rest.At(i, i)+1)
	}
}

// add adds size times the step.
func (q *quadricIterate) add(size float64, step dense.Matrix[float32]) {
	for i, v := range step.Data {
		q.y.Data[i] += size * float64(v)
	}
	q.measured = false
}

// measured computes what is left in double precision from a measurement, if the quadric is an ellipsoid.
func (s *quadricSystem) measured(q *quadricIterate) bool {
	if s.measure == nil {
		return false
	}
	factor, differential, ok := s.measure(s.original(q.y))
	if !ok {
		return false
	}
	// With x = L w and F'L = G^-1 the differential is the mean of (w'Yw - 1) G^-1 w (G^-1 w)'.
	g, work := dense.New[float64](q.y.Rows, q.y.Rows), dense.New[float64](q.y.Rows, q.y.Rows)
	for i := range g.Rows {
		for j := range i + 1 {
			g.Set(j, i, s.inverse.At(i, j))
		}
	}
	dense.SolveLower(dense.NoTrans, factor, g)
	dense.Gemm(dense.NoTrans, dense.NoTrans, -1, differential, g, 0, work)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, g, work, 0, q.rest)
	q.err, q.measured = quadricRounding, true
	return true
}

// follow computes what is left after the step to the error asked for, in single precision if that will do: from the change if what was left before was known
// well enough.
func (s *quadricSystem) follow(q *quadricIterate, size float64, step dense.Matrix[float32], wanted float64) {
	switch change := q.err + quadricSingle*size; {
	case change <= wanted:
		s.singleProduct(step, q.lowRest)
		for i, v := range q.lowRest.Data {
			q.rest.Data[i] -= size * float64(v)
		}
		q.err = change
	case quadricSingle <= wanted:
		narrow(q.low.Data, q.y.Data)
		s.singleProduct(q.low, q.lowRest)
		widen(q.image.Data, q.lowRest.Data)
		q.fromImage()
		q.err = quadricSingle
	case s.measured(q):
	default:
		s.doubleProduct(q.y, q.image)
		q.fromImage()
		q.err = quadricRounding
	}
}

// solve refines from the multiple of I that fits best until the whitened differential is at the target.
func (s *quadricSystem) solve(target float64) (q *quadricIterate, ok bool) {
	q = s.first()
	n := q.y.Rows
	r, step, work := dense.New[float32](n, n), dense.New[float32](n, n), [2]dense.Matrix[float64]{dense.New[float64](n, n), dense.New[float64](n, n)}
	gain := quadricSingleGain
	if s.rounded != nil {
		gain = quadricRoundedGain
	}
	for before := math.Inf(1); ; {
		norm, size := q.norm(), whitenedNorm(q.rest, q.y, work)
		if size*(1+q.err/norm) <= target || norm <= quadricRounding {
			return q, true
		}
		if norm-norm != 0 || s.steps >= quadricSteps {
			return q, false
		}
		if q.measured && norm > before/2 {
			s.measure = nil // what is left is rounding: whitened points have less
		}
		before = norm
		for i, v := range q.rest.Data {
			r.Data[i] = float32(v / norm) // of size one, far from the ends of the range
		}
		s.steps++ // so that there is an end
		total := max(target/size, quadricRounding/norm) / 1.5
		goal := nextGain(total, gain)
		there := s.conjugate(r, step, goal, quadricSteps-s.steps)
		q.add(norm, step)
		if !(there && goal <= total && s.measured(q)) { // at the target a measurement is due in any case
			s.follow(q, norm, step, norm*max(goal*goal, total/2)) // so that the next solve can gain about as much, if there is one
		}
	}
}

// nextGain returns what the next of equal gains should be that reach the total, each of them not smaller than the least by much.
func nextGain(total, least float64) float64 {
	return math.Pow(min(total, 0.5), 1/max(1, math.Ceil(math.Log(total)/math.Log(least)-0.05)))
}

// whitenedNorm returns the norm of F'RF for symmetric R and Y = F F': the root of tr(RYRY).
func whitenedNorm(r, y dense.Matrix[float64], work [2]dense.Matrix[float64]) float64 {
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, r, y, 0, work[0])
	dense.Transpose(work[1], work[0])
	return math.Sqrt(max(0, dense.Dot(work[0].Data, work[1].Data)))
}

// conjugate solves A(x) = r to the relative residual and tells whether it got there in at most limit steps. Directions are kept conjugate to the last ones, of
// earlier solves too: in low precision and after each new start they would not stay so by themselves, which costs a third more steps.
func (s *quadricSystem) conjugate(r, x dense.Matrix[float32], goal float64, limit int) bool {
	k := s.kept
	clear(k.x)
	packSymmetric(k.res, r)
	end := goal * goal * float64(dense.Dot(k.res, k.res))
	k.project()
	for range limit {
		if float64(dense.Dot(k.res, k.res)) <= end {
			break
		}
		unpackSymmetric(r, k.next())
		s.product(r, x)
		s.steps++
		packSymmetric(k.images.Row(k.last), x)
		if !k.step() {
			break
		}
	}
	unpackSymmetric(x, k.x)
	for i := range x.Rows {
		for j := range i {
			x.Set(j, i, x.At(i, j))
		}
	}
	return float64(dense.Dot(k.res, k.res)) <= end
}

// packSymmetric writes the lower triangle of a symmetric matrix as a vector with the same inner products.
func packSymmetric(v []float32, a dense.Matrix[float32]) {
	for i := range a.Rows {
		row := a.Row(i)
		dense.Scale(math.Sqrt2, row[:i], v[:i])
		v[i] = row[i]
		v = v[i+1:]
	}
}

// unpackSymmetric is the inverse of packSymmetric. It leaves what is above the diagonal as it is.
func unpackSymmetric(a dense.Matrix[float32], v []float32) {
	for i := range a.Rows {
		row := a.Row(i)
		dense.Scale(1/math.Sqrt2, v[:i], row[:i])
		row[i] = v[i]
		v = v[i+1:]
	}
}

// quadricDirections are the last conjugate directions, as rows, their images, and the products of both, with the residual and the solution of the present
// solve. All are packed.
type quadricDirections struct {
	rows, images      dense.Matrix[float32]
	curvature, weight []float32
	res, x, fresh     []float32
	count, last       int
}

func newQuadricDirections(n int) *quadricDirections {
	length := n * (n + 1) / 2
	vector := func() []float32 { return make([]float32, length) }
	return &quadricDirections{rows: dense.New[float32](quadricKept, length), images: dense.New[float32](quadricKept, length),
		curvature: make([]float32, quadricKept), weight: make([]float32, quadricKept), res: vector(), x: vector(), fresh: vector(), last: quadricKept - 1}
}

// project makes the residual orthogonal to the directions by a combination of them.
func (k *quadricDirections) project() {
	weight := k.weights(k.rows)
	dense.Gemv(dense.Transposed, 1, k.filled(k.rows), weight, 1, k.x)
	dense.Gemv(dense.Transposed, -1, k.filled(k.images), weight, 1, k.res)
}

// filled returns the rows that are in use.
func (k *quadricDirections) filled(rows dense.Matrix[float32]) dense.Matrix[float32] {
	return rows.View(0, 0, k.count, rows.Cols)
}

// weights returns the products of the rows with the residual, over the curvatures.
func (k *quadricDirections) weights(rows dense.Matrix[float32]) []float32 {
	weight := k.weight[:k.count]
	dense.Gemv(dense.NoTrans, 1, k.filled(rows), k.res, 0, weight)
	for i, c := range k.curvature[:k.count] {
		weight[i] /= c
	}
	return weight
}

// next puts the residual, made conjugate to the directions, in the place of the oldest one and returns it.
func (k *quadricDirections) next() []float32 {
	copy(k.fresh, k.res)
	dense.Gemv(dense.Transposed, -1, k.filled(k.rows), k.weights(k.images), 1, k.fresh)
	k.last = (k.last + 1) % quadricKept
	k.count = min(k.count+1, quadricKept)
	d := k.rows.Row(k.last)
	copy(d, k.fresh)
	return d
}

// step moves along the last direction, whose image is there, to the minimum. It is false where the curvature is not positive.
func (k *quadricDirections) step() bool {
	d, ad := k.rows.Row(k.last), k.images.Row(k.last)
	c := dense.Dot(d, ad)
	if k.curvature[k.last] = c; !(c > 0) {
		k.count, k.last = 0, quadricKept-1
		return false
	}
	alpha := dense.Dot(d, k.res) / c
	dense.Axpy(alpha, d, k.x)
	dense.Axpy(-alpha, ad, k.res)
	return true
}

// regular tells whether the equations are regular and well-conditioned enough: whether a few steps leave little of a random right side. That has a share in
// every direction, which stays if the direction is in the null space of singular equations; the right side I has none there.
func (s *quadricSystem) regular() bool {
	n := s.x.Cols
	r, step := dense.New[float32](n, n), dense.New[float32](n, n)
	dense.FillNormal(r.Data, [2]uint64{1, 1}, 0)
	return s.conjugate(r, step, quadricShare, quadricProbe)
}
