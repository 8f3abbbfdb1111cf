package quadric

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

const (
	// Iterative is the dimension from which on conjugate gradients are faster than normal equations.
	Iterative = 32
	// mostSteps bounds the conjugate gradient steps and solves together, and mostProbing those on a random right side.
	mostSteps, mostProbing = 200, 40
	// byteProbing bounds the steps on a random right side in bytes: where it takes more, equations are too ill-conditioned for these, or singular. They may take byteSlack
	// more than for points spread over all directions.
	byteProbing, byteSlack = 20, 2
	// probeShare is what those on a random right side may leave of it. A single direction of the null space has a share of about 1/36 at n = 50 and 1/71 at
	// n = 100, and one below this with a probability of 9 and 17 percent.
	probeShare = 3e-3
	// byteGain, roundedGain and singleGain are the relative residuals of a solve in bytes, in bfloat16 and in single precision, so that its last steps are not lost in
	// the error of the products. That of single precision is singleError. A solve in bytes that leaves byteLoss times what it should shows that these are too coarse for the points.
	byteGain, byteLoss, roundedGain, singleGain, singleError = 5e-2, 3, 1e-2, 1e-5, 1e-7
	// doubleError is the residual relative to I that can be had at best.
	doubleError = 1e-14
)

// System is the normal equations of the best quadric for points whose second moment is I: A(Y) = (1/N) sum (w'Yw) w w' = I. For points spread
// over all directions its eigenvalues are near 2, but for that of I, so that conjugate gradients need few steps. They run on points rounded to
// bytes, and where these are too coarse to bfloat16, where the processor has products of such, or else in single precision, from residuals that are as exact as what is to be
// gained asks for.
type System struct {
	x, inverse dense.Matrix[float64] // the points as they were given, and what whitens them
	passes     *Passes[float64]      // over them
	measure    Measure               // nil where there is none
	double     *points[float64]      // nil until needed
	single     *points[float32]      // nil where there are forms
	forms      *dense.SingleForms    // nil where the processor has no kernels for them
	bytes      *dense.ByteForms      // nil where the processor has no such products, or they are too coarse
	rounded    *dense.RoundedForms   // nil where the processor has no such products, or those of bytes will do
	squares    []float32             // w'w of the points, where there are forms
	kept       *directions
	steps      int // conjugate gradient steps and solves so far

	identityImage dense.Matrix[float32] // A(I) in single precision
}

// Outcome is what a solution ends with.
type Outcome uint8

const (
	// Undecided is that of equations that the method cannot solve.
	Undecided Outcome = iota
	// Solved is that of a quadric to the target.
	Solved
	// Measured is Solved where the quadric is the one that was measured last.
	Measured
	// Singular is that of points with more than one quadric.
	Singular
)

// Large tells whether points of n numbers have too many unknowns for Directly.
func Large(n int) bool { return n*(n+1)/2 > directUnknowns }

// Measure evaluates the objective at a quadric F F' and returns the lower triangular F and the whitened differential of the mean of the terms. It is false
// where the quadric is no ellipsoid.
type Measure func(quadric dense.Matrix[float64]) (factor, differential dense.Matrix[float64], ok bool)

// points are points as rows, with what a product needs.
type points[T dense.Float] struct {
	w         dense.Matrix[T]
	half, sum dense.Matrix[T] // n x n
	passes    *Passes[T]
}

func newPoints[T dense.Float](w dense.Matrix[T]) *points[T] {
	n := w.Cols
	return &points[T]{w: w, half: dense.New[T](n, n), sum: dense.New[T](n, n), passes: NewPasses[T](w.Rows, n)}
}

// product sets out to A(Y) for a symmetric Y: w'Yw is twice w'Hw with H the lower triangle of Y and half its diagonal.
func (p *points[T]) product(y, out dense.Matrix[T]) {
	p.half.Copy(y)
	for i := range y.Rows {
		p.half.Set(i, i, y.At(i, i)/2)
	}
	p.passes.Run(func(b Block[T], sum *Sum[T]) {
		w := b.Of(p.w)
		dense.MulLowerRight(dense.NoTrans, p.half, w, b.Z)
		dense.RowDots(b.Z, w, b.Q)
		dense.ScaleRows(b.Q, w, b.Z)
		dense.GemmLower(dense.Transposed, dense.NoTrans, 2/T(p.w.Rows), w, b.Z, 1, sum.Matrix)
	})
	p.sum.Zero()
	p.passes.AddTo(p.sum)
	dense.Transpose(out, p.sum)
	dense.Mirror(out)
}

// whitening returns L^-1 for the second moment L L' of the points, or no matrix where that is singular.
func whitening(x dense.Matrix[float64], passes *Passes[float64]) dense.Matrix[float64] {
	l := dense.New[float64](x.Cols, x.Cols)
	passes.Run(func(b Block[float64], sum *Sum[float64]) {
		block := b.Of(x)
		dense.GemmLower(dense.Transposed, dense.NoTrans, 1/float64(x.Rows), block, block, 1, sum.Matrix)
	})
	passes.AddTo(l)
	if dense.Cholesky(l) >= 0 {
		return dense.Matrix[float64]{}
	}
	dense.InvertLower(l)
	return l
}

// Solve returns the best quadric through the points, to a whitened differential of the target, for Solved and Measured: in low precision, and where the equations
// are too ill-conditioned for that or singular, and there are too many for Directly, in double precision. The measurement, which may be nil, replaces one of what is left by
// whitened points. The system cannot be used afterwards.
func (s *System) Solve(target float64, measure Measure) (quadric dense.Matrix[float64], outcome Outcome) {
	s.measure = measure
	if quadric, outcome = s.quickly(target); outcome == Undecided && Large(s.x.Cols) {
		quadric, outcome = s.slowly(target, slowSteps)
	}
	s.release()
	return quadric, outcome
}

// quickly solves in low precision.
func (s *System) quickly(target float64) (quadric dense.Matrix[float64], outcome Outcome) {
	if !s.regular() {
		return dense.Matrix[float64]{}, Undecided
	}
	q, outcome := s.refine(target)
	return s.original(q.y), outcome
}

// original returns the solution Y of whitened points for those given.
func (s *System) original(y dense.Matrix[float64]) dense.Matrix[float64] {
	n := y.Rows
	work, out := dense.New[float64](n, n), dense.New[float64](n, n)
	dense.MulLower(dense.Transposed, s.inverse, y, work)
	dense.MulLowerRight(dense.NoTrans, s.inverse, work, out)
	return out
}

// NewSystem returns the equations of the points, or nil where their second moment is singular.
func NewSystem(x dense.Matrix[float64], passes *Passes[float64]) *System {
	inverse := whitening(x, passes)
	if inverse.Rows == 0 {
		return nil
	}
	n := x.Cols
	s := &System{x: x, inverse: inverse, passes: passes, forms: dense.NewSingleForms(n, x.Rows), identityImage: dense.New[float32](n, n)}
	if s.byteSteps() <= byteProbing {
		s.bytes = dense.NewByteForms(n, x.Rows)
	}
	if s.bytes == nil {
		s.rounded = dense.NewRoundedForms(n, x.Rows)
	}
	if s.forms != nil {
		s.squares = make([]float32, x.Rows)
	} else {
		s.single = newPoints(dense.New[float32](x.Rows, n))
	}
	s.setAll(s.set)
	s.setIdentityImage()
	s.kept = newDirections(s.identityImage)
	return s
}

// setIdentityImage sets A(I), which is a moment of the squares.
func (s *System) setIdentityImage() {
	if s.forms != nil {
		s.forms.Moment(1/float32(len(s.squares)), s.squares, s.identityImage)
		return
	}
	identity := dense.New[float32](s.x.Cols, s.x.Cols)
	identity.Identity()
	s.singleProduct(identity, s.identityImage)
}

// whiten sets w to whitened points from the given one on.
func (s *System) whiten(first int, w dense.Matrix[float64]) {
	dense.MulLowerRight(dense.Transposed, s.inverse, s.x.View(first, 0, w.Rows, w.Cols), w)
}

// doubleProduct sets out to A(Y) in double precision.
func (s *System) doubleProduct(y, out dense.Matrix[float64]) {
	if s.double == nil {
		s.double = newPoints(dense.RecycledMatrix(s.x.Rows, s.x.Cols))
		s.passes.Run(func(b Block[float64], _ *Sum[float64]) {
			s.whiten(b.First, b.Of(s.double.w))
		})
	}
	s.double.product(y, out)
}

// release gives memory back.
func (s *System) release() {
	if s.double != nil {
		dense.Recycle(s.double.w.Data)
	}
}

// HasMoment tells whether the processor has kernels for Moment.
func (s *System) HasMoment() bool { return s.forms != nil }

// Moment returns the mean of q x x' in single precision, with one q for each point.
func (s *System) Moment(q []float32) dense.Matrix[float64] {
	n := s.x.Cols
	mean, l := dense.New[float32](n, n), s.inverse.Clone()
	s.forms.Moment(1/float32(len(q)), q, mean)
	dense.InvertLower(l)
	work, out := dense.New[float64](n, n), dense.New[float64](n, n)
	dense.ToDouble(mean.Data, out.Data)
	dense.MulLower(dense.NoTrans, l, out, work)
	dense.MulLowerRight(dense.Transposed, l, work, out)
	return out
}

// whitenedBlock is room for a block of whitened points, as they are, and in single precision as rows and as columns.
type whitenedBlock struct {
	w             dense.Matrix[float64]
	rows, columns dense.Matrix[float32]
}

// setAll whitens the points and calls keep for block after block of them.
func (s *System) setAll(keep func(first int, b whitenedBlock)) {
	n, each := s.x.Cols, s.passes.each
	blocks := dense.Crew[whitenedBlock]{
		New: func() *whitenedBlock {
			return &whitenedBlock{dense.New[float64](blockRows, n), dense.New[float32](blockRows, n), dense.New[float32](n, blockRows)}
		},
		Do: func(part int, b *whitenedBlock) {
			for first := part * each; first < min(s.x.Rows, (part+1)*each); first += blockRows {
				rows := min(blockRows, s.x.Rows-first)
				block := whitenedBlock{b.w.View(0, 0, rows, n), b.rows.View(0, 0, rows, n), dense.Wrap(n, rows, b.columns.Data)}
				s.whiten(first, block.w)
				dense.ScaleSingle(1, block.w.Data[:rows*n], block.rows.Data[:rows*n])
				dense.Transpose(block.columns, block.rows)
				keep(first, block)
			}
		},
	}
	blocks.Run(len(s.passes.sums))
}

// set keeps a block of whitened points in lower precision.
func (s *System) set(first int, b whitenedBlock) {
	if s.forms == nil {
		s.single.w.View(first, 0, b.rows.Rows, b.rows.Cols).Copy(b.rows)
		return
	}
	for i := range b.w.Rows {
		s.squares[first+i] = float32(dense.Dot(b.w.Row(i), b.w.Row(i)))
	}
	s.forms.Set(first, b.columns)
	switch {
	case s.bytes != nil:
		s.bytes.Set(first, b.columns)
	case s.rounded != nil:
		s.rounded.Set(first, b.columns)
	}
}

// withoutBytes goes on in the next precision.
func (s *System) withoutBytes() {
	s.bytes, s.rounded = nil, dense.NewRoundedForms(s.x.Cols, s.x.Rows)
	if s.rounded != nil {
		s.setAll(func(first int, b whitenedBlock) { s.rounded.Set(first, b.columns) })
	}
	s.kept, s.steps = newDirections(s.identityImage), 0
}

// limit returns the most steps of a solve: in bytes errors may keep directions from being conjugate, so that there is no end.
func (s *System) limit() int {
	if s.bytes != nil {
		return s.byteSteps()
	}
	return mostSteps - s.steps
}

// gain returns what a solve in the lowest precision may leave.
func (s *System) gain() float64 {
	switch {
	case s.bytes != nil:
		return byteGain
	case s.rounded != nil:
		return roundedGain
	}
	return singleGain
}

// product sets out to A(Y) in the lowest precision.
func (s *System) product(y, out dense.Matrix[float32]) {
	switch scale := 1 / float32(s.x.Rows); {
	case s.bytes != nil:
		s.bytes.Apply(scale, y, out)
	case s.rounded != nil:
		s.rounded.Apply(scale, y, out)
	default:
		s.singleProduct(y, out)
	}
}

// singleProduct sets out to A(Y) in single precision.
func (s *System) singleProduct(y, out dense.Matrix[float32]) {
	if s.forms == nil {
		s.single.product(y, out)
		return
	}
	s.forms.Apply(1/float32(s.x.Rows), y, out)
}

// regular tells whether the equations are regular and well-conditioned enough: whether a few steps leave little of a random right side. That has a share in
// every direction, which stays if the direction is in the null space of singular equations; the right side I has none there.
func (s *System) regular() bool {
	if s.bytes != nil {
		if s.probe(s.byteSteps()) {
			return true
		}
		s.withoutBytes()
	}
	return s.probe(mostProbing)
}

// byteSteps returns the most steps on a random right side in bytes, and of a solve: for N points spread over all directions the d eigenvalues are within (1 +- sqrt(d/N))^2.
func (s *System) byteSteps() int {
	d := s.x.Cols * (s.x.Cols + 1) / 2
	steps := -2 * math.Log(probeShare) / math.Log(float64(s.x.Rows)/float64(d))
	return int(math.Ceil(min(steps, mostProbing))) + byteSlack
}

// probe tells whether so many steps leave little of a random right side.
func (s *System) probe(limit int) bool {
	n := s.x.Cols
	r, step := dense.New[float32](n, n), dense.New[float32](n, n)
	dense.FillNormal(r.Data, [2]uint64{1, 1}, 0)
	return s.conjugate(r, step, probeShare, limit)
}
