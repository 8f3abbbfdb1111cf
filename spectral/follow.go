package spectral

import (
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/absent"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// Follow turns the basis until it diagonalises the given symmetric a and takes a's eigenvalues: afterwards S = a up to Report.Residual. It forms
// M = B^T a B once (1.5 products) and makes bounded-angle sweeps (about 3.7 products each) while max |M_ij|/sqrt(M_ii M_jj) > Tol; near the
// eigenbasis they converge quadratically. It is cheap where B is already close, as in following a matrix that changes slowly; elsewhere, and from
// about n = 200 on wherever more than one sweep is needed, a decomposition costs less, which Step.Decompose allows.
//
// a should be positive definite: an eigenvalue that is not is replaced by a small positive one and counted in Report.Guarded. For matrices
// with eigenvalues of any sign use Eigenbasis. Report.Converged says whether Tol was reached within MaxSweeps, and
// Report.Err whether a is nil or not finite.
func (f *Factor) Follow(a mat.Symmetric, o *Step) Report {
	if absent.Matrix(a) {
		return Report{Err: errNil}
	}
	if a.SymmetricDim() != f.n {
		mistake("Follow: matrix is %d x %[1]d, the factor %d x %[2]d", a.SymmetricDim(), f.n)
	}
	step := o.resolve(1e-12, 30)
	rep := f.follow(a, &step)
	if rep.Err != nil {
		return rep
	}
	var top float64
	for i := range f.n {
		top = max(top, f.m.At(i, i))
	}
	floor := min(max(top*0x1p-52, smallest), largest)
	for i := range f.d {
		v := f.m.At(i, i)
		if !(v > 0) {
			v = floor
			rep.Guarded++
		}
		if v < smallest || v > largest {
			v = min(max(v, smallest), largest)
			rep.Guarded++
		}
		f.d[i] = v
	}
	return rep
}

// follow sweeps the basis towards the eigenbasis of a. On return the upper triangle of m is B^T a B.
func (f *frame) follow(a mat.Symmetric, step *Step) Report {
	rep := Report{Scaling: 1, Defect: f.defect}
	if f.n == 0 {
		rep.Converged = true
		return rep
	}
	f.ready()
	symmetricTo(f.scratch(), a, 1)
	if _, bad := firstNotFinite(f.scratch().Data); bad {
		rep.Err = ErrNotFinite
		return rep
	}
	f.project(1)
	if !finiteUpper(f.m) {
		rep.Err = ErrRange
		return rep
	}
	before := f.turns
	for {
		rep.Coupling = coupling(f.m, f.s)
		rep.Converged = rep.Coupling <= step.Tol
		if rep.Converged || rep.Sweeps == step.MaxSweeps {
			break
		}
		f.jacobi()
		c := f.bound(step)
		if step.Decompose && rep.Sweeps == 0 && (c < 0.5 || f.n >= manySweeps && rep.Coupling > oneSweep) && f.decompose() {
			rep.Decomposed, rep.Converged, rep.Coupling = true, true, 0
			break
		}
		rep.Scaling = min(rep.Scaling, c)
		dense.Mirror(f.m)
		f.turn(step.Factors, f.norm)
		f.advance()
		rep.Sweeps++
	}
	rep.Residual = offDiagonal(f.m)
	rep.Reorthogonalized = f.monitor(before)
	rep.Defect = f.defect
	return rep
}

// Where a decomposition is the cheaper way: from dimension manySweeps on it costs less than two sweeps, and above a coupling of oneSweep one sweep
// is not enough.
const (
	manySweeps = 200
	oneSweep   = 1e-7
)

// decompose sets the basis to the eigenvectors of the matrix in scratch(), and m to its eigenvalues. It returns false, with the basis as it
// was, if that fails.
func (f *frame) decompose() bool {
	a := f.scratch()
	if !eigen.Sym(a, f.s) {
		return false
	}
	f.b.Copy(a)
	f.m.Zero()
	for i, v := range f.s {
		f.m.Set(i, i, v)
	}
	f.turns++
	return true
}

// Eigenbasis follows the eigendecomposition of symmetric matrices whose eigenvalues may have any sign. The zero value has dimension 0; use
// NewEigenbasis. Like a Factor it owns its workspace.
type Eigenbasis struct {
	frame
	values []float64
	view   mat.Dense
}

// NewEigenbasis returns the basis I of dimension n with eigenvalues 0.
func NewEigenbasis(n int) *Eigenbasis {
	if n < 0 {
		mistake("NewEigenbasis(%d): need n >= 0", n)
	}
	e := &Eigenbasis{frame: frame{n: n, b: dense.New[float64](n, n)}, values: make([]float64, n)}
	e.b.Identity()
	return e
}

// Follow turns the basis until it diagonalises the symmetric a, as Factor.Follow does, and takes a's eigenvalues, whatever their sign.
// Tol bounds max |M_ij|/sqrt(|M_ii M_jj|), which eigenvalues near zero never reach: entries below the rounding of a count as zero.
func (e *Eigenbasis) Follow(a mat.Symmetric, o *Step) Report {
	if absent.Matrix(a) {
		return Report{Err: errNil}
	}
	if a.SymmetricDim() != e.n {
		mistake("Follow: matrix is %d x %[1]d, the basis %d x %[2]d", a.SymmetricDim(), e.n)
	}
	step := o.resolve(1e-12, 30)
	rep := e.follow(a, &step)
	if rep.Err == nil {
		for i := range e.values {
			e.values[i] = e.m.At(i, i)
		}
	}
	return rep
}

// Dim returns n.
func (e *Eigenbasis) Dim() int { return e.n }

// Values returns the eigenvalues in the order of the columns of Basis; a read-only view, valid until the next Follow.
func (e *Eigenbasis) Values() []float64 { return e.values }

// Basis returns the eigenvectors as columns; a read-only view, valid until the next Follow.
func (e *Eigenbasis) Basis() *mat.Dense {
	if e.n > 0 {
		e.view.SetRawMatrix(general(e.b))
	}
	return &e.view
}

// ToSym sets dst = B diag(fn(values)) B^T by half a product and O(n^2); a nil fn is the identity. An empty dst is sized.
func (e *Eigenbasis) ToSym(dst *mat.SymDense, fn func(float64) float64) {
	out := destinationSym(dst, e.n, "ToSym")
	if e.n == 0 {
		return
	}
	e.ready()
	copy(e.x, e.values)
	if fn != nil {
		for i, v := range e.x {
			e.x[i] = fn(v)
		}
	}
	for i := range e.n {
		row := e.gen.Row(i)
		for j, v := range e.b.Row(i) {
			row[j] = v * e.x[j]
		}
	}
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, e.gen, e.b, 0, out)
}
