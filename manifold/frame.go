package manifold

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/absent"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/spectral"
)

// Frame is an SPD matrix S = F F^T together with F^-1. It is the point type of the SPD manifolds. Create one with NewFrame,
// IdentityFrame or SpectralFrame. Retractions move F^-1 and leave F to be computed when it is asked for, so that reading a frame may change
// what is stored: a frame is not safe for concurrent use.
type Frame struct {
	f, inv *mat.Dense
	stale  bool    // f does not belong to inv yet
	lower  bool    // f and inv are lower triangular
	logDet float64 // log det S
	work   []dense.Matrix[float64]
	spare  []dense.Matrix[float64] // scratch of complete, which may be called while work is in use
	values []float64
	solver eigen.Solver

	spectral  bool // F = B diag(d)^(1/2) of factor
	factor    *spectral.Factor
	increment *mat.SymDense // scratch of the sweep
	step      spectral.Step
}

var _ Point = (*Frame)(nil)

// IdentityFrame returns the frame of scale*I with n rows; scale must be positive and finite.
func IdentityFrame(n int, scale float64) *Frame {
	if n < 1 || !(scale > 0) || math.IsInf(scale, 1) {
		panic(Error(fmt.Sprintf("IdentityFrame: n = %d, scale = %v", n, scale)))
	}
	p := &Frame{f: mat.NewDense(n, n, nil), inv: mat.NewDense(n, n, nil), lower: true, logDet: float64(n) * math.Log(scale)}
	r := math.Sqrt(scale)
	for i := range n {
		p.f.Set(i, i, r)
		p.inv.Set(i, i, 1/r)
	}
	return p
}

// NewFrame returns the frame of the SPD matrix s by Cholesky, about n^3 operations. A matrix with NaN or Inf, or one that is not
// positive definite by more than rounding, is a *PointError that holds the extreme eigenvalues.
func NewFrame(s mat.Symmetric) (*Frame, error) {
	n, err := frameDim(s)
	if err != nil {
		return nil, err
	}
	return newFrameIn(make([]float64, 2*n*n), s)
}

// NewFrameIn is NewFrame with F and F^-1 in memory, at least 2 n^2 numbers that the frame uses from then on: callers that need many frames for a while can take the same memory again.
func NewFrameIn(memory []float64, s mat.Symmetric) (*Frame, error) {
	n, err := frameDim(s)
	if err != nil {
		return nil, err
	}
	if len(memory) < 2*n*n {
		return nil, fmt.Errorf("manifold: %d numbers cannot hold a frame of %d rows, which takes %d", len(memory), n, 2*n*n)
	}
	return newFrameIn(memory, s)
}

func frameDim(s mat.Symmetric) (int, error) {
	if absent.Matrix(s) {
		return 0, errNil
	}
	n := s.SymmetricDim()
	if n < 1 {
		return 0, &PointError{What: "the matrix is empty"}
	}
	return n, nil
}

func newFrameIn(memory []float64, s mat.Symmetric) (*Frame, error) {
	n := s.SymmetricDim()
	size := n * n
	p := &Frame{f: mat.NewDense(n, n, memory[:size:size]), inv: mat.NewDense(n, n, memory[size:2*size:2*size]), lower: true, values: make([]float64, n)}
	if err := p.set(s); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Frame) set(s mat.Symmetric) error {
	f, inv := p.matrix(), p.inverse()
	copySymmetric(f, s)
	for i := range p.values {
		p.values[i] = f.At(i, i)
	}
	if !allFinite(f) {
		return &PointError{What: "the matrix has a NaN or Inf entry"}
	}
	if dense.Cholesky(f) >= 0 {
		return notPositive(s)
	}
	for i := range f.Rows {
		if pivot := f.At(i, i); pivot*pivot <= float64(f.Rows)*0x1p-52*p.values[i] {
			return notPositive(s)
		}
	}
	p.logDet = 2 * sumLogDiagonal(f)
	inv.Copy(f)
	dense.InvertLower(inv)
	if !allFinite(inv) {
		return notPositive(s)
	}
	return nil
}

// FrameOfInverse returns the frame F = L^-1, S = (L^T L)^-1, of a lower triangular L with positive diagonal, about n^3/3 operations. It keeps
// the digits that forming S or S^-1 would lose to the square of the condition. The upper triangle of l is not read. A diagonal that is
// not positive, or an entry that is not finite, is a *PointError, as is a matrix that is not square.
func FrameOfInverse(l *mat.Dense) (*Frame, error) {
	if l == nil {
		return nil, errNil
	}
	n, c := l.Dims()
	if n != c || n < 1 {
		return nil, &PointError{What: fmt.Sprintf("a %d x %d matrix is not triangular and square", n, c)}
	}
	p := &Frame{f: mat.NewDense(n, n, nil), inv: mat.NewDense(n, n, nil), lower: true, values: make([]float64, n)}
	for i := range n {
		row := l.RawRowView(i)
		if !(row[i] > 0) {
			return nil, &PointError{What: fmt.Sprintf("diagonal entry %d of the triangular factor is %v", i, row[i])}
		}
		copy(p.inv.RawRowView(i), row[:i+1])
		copy(p.f.RawRowView(i), row[:i+1])
		p.logDet -= 2 * math.Log(row[i])
	}
	dense.InvertLower(dense.Of(p.f.RawMatrix()))
	if !allFinite(dense.Of(p.f.RawMatrix())) || !allFinite(p.inverse()) {
		return nil, &PointError{What: "the triangular factor is singular to rounding or not finite"}
	}
	return p, nil
}

// NewInverseFrame returns the frame F = L^-1 of the inverse of the SPD matrix s = L^T L, L lower triangular, as NewFrame(s) and Invert would but for a rotation, which makes
// it Lower. It refuses what NewFrame refuses.
func NewInverseFrame(s mat.Symmetric) (*Frame, error) {
	n, err := frameDim(s)
	if err != nil {
		return nil, err
	}
	reversed := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			reversed.SetSym(n-1-j, n-1-i, s.At(i, j))
		}
	}
	p, err := NewFrame(reversed)
	if err != nil {
		return nil, err
	}
	antitranspose(p.matrix())
	antitranspose(p.inverse())
	p.f, p.inv, p.logDet = p.inv, p.f, -p.logDet
	return p, nil
}

// antitranspose reflects the lower triangle of m in the diagonal from below.
func antitranspose(m dense.Matrix[float64]) {
	n := m.Rows
	for i := range n {
		for j := range min(i+1, n-1-i) {
			a, b := m.At(i, j), m.At(n-1-j, n-1-i)
			m.Set(i, j, b)
			m.Set(n-1-j, n-1-i, a)
		}
	}
}

// FrameOf returns the frame F of S = F F^T, a copy of f. It keeps the digits that forming S would lose to the square of the condition, above all where only the
// lengths of the columns differ by much. About six products. An entry that is not finite, or a matrix that is not square or singular to rounding, is a *PointError.
func FrameOf(f *mat.Dense) (*Frame, error) {
	if f == nil {
		return nil, errNil
	}
	n, c := f.Dims()
	if n != c || n < 1 {
		return nil, &PointError{What: fmt.Sprintf("a %d x %d matrix is not a frame", n, c)}
	}
	p := &Frame{f: mat.DenseCopyOf(f), inv: mat.NewDense(n, n, nil), values: make([]float64, n)}
	if !allFinite(p.matrix()) {
		return nil, &PointError{What: "the frame has a NaN or Inf entry"}
	}
	if !p.invertColumns() {
		return nil, &PointError{What: "the frame is singular to rounding"}
	}
	return p, nil
}

// invertColumns fills F^-1 and the determinant from F = G C, the columns of G of length one: F^-1 = C^-1 (G'G)^-1 G', with Newton steps for G^-1.
func (p *Frame) invertColumns() bool {
	f, inv, w := p.matrix(), p.inverse(), p.scratch(3)
	g, k, t, lengths := w[0], w[1], w[2], p.values
	dense.Transpose(inv, f)
	for i := range lengths {
		row := inv.Row(i)
		largest := max(slices.Max(row), -slices.Min(row))
		if largest == 0 {
			return false
		}
		dense.Scale(1/largest, row, row)
		length := math.Sqrt(dense.Dot(row, row))
		dense.Scale(1/length, row, row)
		lengths[i] = length * largest
		p.logDet += 2 * math.Log(lengths[i])
	}
	dense.Transpose(g, inv)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, inv, inv, 0, k)
	dense.Mirror(k)
	if dense.Cholesky(k) >= 0 {
		return false
	}
	p.logDet += 2 * sumLogDiagonal(k)
	solveCholesky(k, inv)
	for range 3 {
		defect := frameDefect(k, inv, g)
		if !(defect < 0.5) {
			return false
		}
		t.Copy(inv)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, k, t, 1, inv)
		if defect < 1e-6 {
			break
		}
	}
	for i, length := range lengths {
		dense.Scale(1/length, inv.Row(i), inv.Row(i))
	}
	return allFinite(inv)
}

// CheckSPD returns nil if NewFrame takes s, a finite and positive definite matrix, otherwise its *PointError. It costs as much, about n^3 operations, and an
// eigendecomposition only to name the eigenvalues of a matrix that fails.
func CheckSPD(s mat.Symmetric) error {
	_, err := NewFrame(s)
	return err
}

func notPositive(s mat.Symmetric) error {
	n := s.SymmetricDim()
	a, w := dense.New[float64](n, n), make([]float64, n)
	copySymmetric(a, s)
	if !eigen.SymValues(a, w) {
		return &PointError{What: "not positive definite"}
	}
	if w[0] > 0 {
		return &PointError{What: "singular to rounding", Min: w[0], Max: w[n-1]}
	}
	return &PointError{What: "not positive definite", Min: w[0], Max: w[n-1]}
}

// Dim returns the number of rows n.
func (p *Frame) Dim() int { n, _ := p.f.Dims(); return n }

// F returns a view of the frame; it must not be written to. After a retraction it costs about 4 products, once; about one if Lower.
func (p *Frame) F() *mat.Dense {
	if err := p.complete(); err != nil {
		panic(Error("F: " + err.Error()))
	}
	return p.f
}

// Lower tells whether F and F^-1 are lower triangular, with zeros above the diagonal. Frames of NewFrame are, until another retraction than
// TriangularStep moves them.
func (p *Frame) Lower() bool { return p.lower }

// Inverse returns a view of F^-1; it must not be written to.
func (p *Frame) Inverse() *mat.Dense { return p.inv }

func (p *Frame) matrix() dense.Matrix[float64]  { return dense.Of(p.F().RawMatrix()) }
func (p *Frame) inverse() dense.Matrix[float64] { return dense.Of(p.inv.RawMatrix()) }

// complete computes F from F^-1 if that was put off: F = (K^-1) F^-T with K = F^-T F^-1 by Cholesky, and Newton steps against the squared
// condition.
func (p *Frame) complete() error {
	if !p.stale {
		return nil
	}
	n := p.Dim()
	f, inv := dense.Of(p.f.RawMatrix()), p.inverse()
	if p.spare == nil {
		p.spare = []dense.Matrix[float64]{dense.New[float64](n, n), dense.New[float64](n, n)}
	}
	if p.lower {
		return p.completeLower(f, inv)
	}
	k, e := p.spare[0], p.spare[1]
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, inv, inv, 0, k)
	dense.Mirror(k)
	if !allFinite(inv) || dense.Cholesky(k) >= 0 {
		return &PointError{What: "the point is singular to rounding"}
	}
	dense.Transpose(f, inv)
	solveCholesky(k, f)
	for range 3 {
		defect := frameDefect(e, inv, f)
		if !(defect < 0.5) {
			return &PointError{What: fmt.Sprintf("the point is singular to rounding: ||I - F^-1 F|| = %.2g", defect)}
		}
		k.Copy(f)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, k, e, 1, f)
		if defect < 1e-6 {
			break
		}
	}
	p.stale = false
	return nil
}

// completeLower is complete for a triangular frame: an inverse, whose digits do not depend on the condition, and a Newton step, because gradients show the
// rounding of F. The condition of S must not be beyond rounding all the same.
func (p *Frame) completeLower(f, inv dense.Matrix[float64]) error {
	f.Copy(inv)
	dense.InvertLower(f)
	e, correction := p.spare[0], p.spare[1]
	dense.MulTriangles(inv, f, e)
	dense.Scale(-1, e.Data, e.Data)
	addIdentity(e)
	dense.MulTriangles(f, e, correction)
	dense.Axpy(1, correction.Data, f.Data)
	condition := math.Sqrt(dense.Dot(f.Data, f.Data)) * math.Sqrt(dense.Dot(inv.Data, inv.Data)) / float64(f.Rows)
	if !(condition < worstFrame) {
		return singularTo(condition)
	}
	p.stale = false
	return nil
}

// worstFrame is the condition of triangular frames, ||F||_F ||F^-1||_F/n, from which on a point counts as singular to rounding.
const worstFrame = 0x1p26

func singularTo(condition float64) *PointError {
	return &PointError{What: fmt.Sprintf("the point is singular to rounding: its condition is %.2g", condition*condition)}
}

// conditionProbes is the number of solutions with F^-1 from which Regular estimates ||F||_F.
const conditionProbes = 8

// Regular returns a *PointError if the point is singular to rounding, so that F could not be computed. Where a retraction has left a triangular F to be computed it
// estimates the condition in about 10 n^2 operations, on the safe side; otherwise it costs as much as F.
func (p *Frame) Regular() error {
	if !p.stale || !p.lower {
		return p.complete()
	}
	n := p.Dim()
	inv, x := p.inverse(), p.scratch(1)[0].View(0, 0, n, min(conditionProbes, n))
	var signs rand.PCG
	for i := range n {
		for j, row := 0, x.Row(i); j < len(row); j++ {
			row[j] = 1 - 2*float64(signs.Uint64()>>63)
		}
	}
	dense.SolveLower(dense.NoTrans, inv, x)
	var squares float64
	for i := range n {
		squares += dense.Dot(x.Row(i), x.Row(i))
	}
	condition := math.Sqrt(squares/float64(x.Cols)) * math.Sqrt(dense.Dot(inv.Data, inv.Data)) / float64(n)
	if !(condition < worstFrame/2) {
		return singularTo(condition)
	}
	return nil
}

// frameDefect sets e = I - a b and returns its Frobenius norm.
func frameDefect(e, a, b dense.Matrix[float64]) float64 {
	dense.Gemm(dense.NoTrans, dense.NoTrans, -1, a, b, 0, e)
	addIdentity(e)
	return math.Sqrt(dense.Dot(e.Data, e.Data))
}

// defect sets e = I - F F^-1 and returns its Frobenius norm.
func (p *Frame) defect(e dense.Matrix[float64]) float64 {
	if !p.lower {
		return frameDefect(e, p.matrix(), p.inverse())
	}
	dense.MulTriangles(p.matrix(), p.inverse(), e)
	dense.Scale(-1, e.Data, e.Data)
	addIdentity(e)
	return math.Sqrt(dense.Dot(e.Data, e.Data))
}

// ToSym sets dst to S = F F^T. An empty dst is sized; one of another size panics.
func (p *Frame) ToSym(dst *mat.SymDense) {
	setSym(dst, p.Dim(), func(out dense.Matrix[float64]) {
		f := p.matrix()
		if p.lower {
			dense.TriangleGram(dense.NoTrans, f, out)
			dense.MirrorLower(out)
			return
		}
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, f, f, 0, out)
	})
}

// Sym returns S = F F^T as a new matrix.
func (p *Frame) Sym() *mat.SymDense {
	var s mat.SymDense
	p.ToSym(&s)
	return &s
}

// Invert turns the frame into one of S^-1, F^-T, by transposing in place.
func (p *Frame) Invert() {
	f, inv := p.matrix(), p.inverse()
	p.spectral, p.lower = false, false
	for i := range f.Rows {
		for j := range f.Cols {
			if j > i {
				a, b := f.At(i, j), f.At(j, i)
				f.Set(i, j, inv.At(j, i))
				f.Set(j, i, inv.At(i, j))
				inv.Set(i, j, b)
				inv.Set(j, i, a)
			}
		}
		d := f.At(i, i)
		f.Set(i, i, inv.At(i, i))
		inv.Set(i, i, d)
	}
	p.logDet = -p.logDet
}

// Reverse puts the columns of F, and the rows of F^-1, in the opposite order: a rotation, S stays.
func (p *Frame) Reverse() {
	f, inv := p.matrix(), p.inverse()
	p.spectral, p.lower = false, false
	for i := range f.Rows {
		slices.Reverse(f.Row(i))
	}
	for i, j := 0, f.Rows-1; i < j; i, j = i+1, j-1 {
		a, b := inv.Row(i), inv.Row(j)
		for k, v := range a {
			a[k], b[k] = b[k], v
		}
	}
}

// LogDet returns log det S, which the frame carries along.
func (p *Frame) LogDet() float64 { return p.logDet }

// Clone returns a deep copy without the scratch space.
func (p *Frame) Clone() Point {
	q := &Frame{f: mat.DenseCopyOf(p.f), inv: mat.DenseCopyOf(p.inv), stale: p.stale, lower: p.lower, logDet: p.logDet, spectral: p.spectral}
	if p.spectral {
		q.factor = p.factor.Clone()
	}
	return q
}

// CopyFrom overwrites the receiver with q, which must be a *Frame of the same size.
func (p *Frame) CopyFrom(q Point) {
	o, ok := q.(*Frame)
	if !ok || o.Dim() != p.Dim() {
		panic(Error("CopyFrom: not a frame of the same size"))
	}
	if !o.stale {
		p.f.Copy(o.f)
	}
	p.inv.Copy(o.inv)
	p.stale, p.lower, p.logDet, p.spectral = o.stale, o.lower, o.logDet, o.spectral
	switch {
	case !o.spectral:
	case p.factor == nil:
		p.factor = o.factor.Clone()
	default:
		p.factor.CopyFrom(o.factor)
	}
}

// scratch returns k n x n matrices that belong to p; they are allocated on first use.
func (p *Frame) scratch(k int) []dense.Matrix[float64] {
	n := p.Dim()
	for len(p.work) < k {
		p.work = append(p.work, dense.New[float64](n, n))
	}
	if p.values == nil {
		p.values = make([]float64, n)
	}
	return p.work[:k]
}

// asFrame returns p as a *Frame with n rows, or panics.
func asFrame(p Point, n int) *Frame {
	f, ok := p.(*Frame)
	if !ok || f.Dim() != n {
		panic(Error(fmt.Sprintf("the point is not a *Frame with %d rows", n)))
	}
	return f
}

// DenseOf returns s with both triangles written out. It panics as gonum does if s is nil.
func DenseOf(s mat.Symmetric) *mat.Dense {
	n := s.SymmetricDim()
	d := mat.NewDense(n, n, nil)
	copySymmetric(dense.Of(d.RawMatrix()), s)
	return d
}

// copySymmetric writes s to both triangles of dst.
func copySymmetric(dst dense.Matrix[float64], s mat.Symmetric) {
	if r, ok := s.(mat.RawSymmetricer); ok && r.RawSymmetric().Uplo == blas.Upper {
		raw := r.RawSymmetric()
		for i := range raw.N {
			copy(dst.Row(i)[i:], raw.Data[i*raw.Stride+i:i*raw.Stride+raw.N])
		}
	} else {
		for i := range dst.Rows {
			row := dst.Row(i)
			for j := i; j < dst.Cols; j++ {
				row[j] = s.At(i, j)
			}
		}
	}
	dense.Mirror(dst)
}

func allFinite(m dense.Matrix[float64]) bool {
	if s := dense.Dot(m.Data, m.Data); len(m.Data) == m.Rows*m.Cols && s-s == 0 {
		return true // the usual case, without a branch per element; squares may overflow where the elements do not
	}
	for i := range m.Rows {
		for _, v := range m.Row(i) {
			if v-v != 0 {
				return false
			}
		}
	}
	return true
}
