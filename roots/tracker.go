package roots

import (
	"cmp"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/spectral"
)

// TrackerOptions are the choices of a Tracker. The zero value is the documented default.
type TrackerOptions struct {
	// Tol is the wanted bound on ||applied - exact||_F / (||A^p||_2 ||X||_F). 0 means 1e-6.
	Tol float64
	// Sweep is the cost of a basis rotation in GEMM-equivalents against which the extra cost of applying powers in a stale basis is held. 0 means
	// 4; +Inf never rotates unless nothing else reaches Tol.
	Sweep float64
	// KeepSingle makes a Tracker32 stay in float32 where its certificate does not meet Tol; the bound then says so.
	KeepSingle bool
}

// Validate reports the first option that is out of range.
func (o *TrackerOptions) Validate() error {
	if o == nil {
		return nil
	}
	if !(o.Tol >= 0 && o.Tol < 1) {
		return fmt.Errorf("roots: tracker option Tol = %v must be in [0, 1)", o.Tol)
	}
	if !(o.Sweep >= 0) {
		return fmt.Errorf("roots: tracker option Sweep = %v must not be negative", o.Sweep)
	}
	return nil
}

// TrackReport says what a call of a Tracker did.
type TrackReport struct {
	// Bound is the certified bound: for ApplyPow on ||applied - A^p X||_F / (||A^p||_2 ||X||_F), for FormPow on the relative error in the
	// 2-norm. 0 after Follow; +Inf where rounding leaves nothing to promise.
	Bound float64
	// OffDiagonal is tau = ||offdiag(B^T A B)||_F / ||A||_F, how stale the basis is.
	OffDiagonal float64
	// Coupling bounds or (when it is above 1) estimates ||D^(-1/2) offdiag(B^T A B) D^(-1/2)||_2.
	Coupling float64
	// Sweeps counts basis rotations, Order is the order of the expansion used (0, 1 or 2), -1 where shifted systems were iterated, and
	// Iterations counts the products with A that took.
	Sweeps, Order, Iterations int
	// Refreshed is set where the basis was too far off, A having jumped, and a fresh decomposition was made.
	Refreshed bool
	// Promoted is set where a Tracker32 holds the current matrix in float64.
	Promoted bool
	// Work counts GEMM-equivalents (2n^3 flops).
	Work float64
}

// Tracker follows a sequence A_1, A_2, ... of SPD matrices that change a little at each step and applies powers of the current one, with
// a certified error and without decomposing it again. It keeps an orthogonal basis B and M = B^T A B = D + E, D = diag(M), exactly; E is
// not required to vanish. With x = D^(-1/2) E D^(-1/2) and nu >= ||x||_2, the resolvents of M expand around those of D whatever the
// gaps between eigenvalues, and for |p| <= 1
//
//	|| M^p - (Taylor polynomial of order k around D) ||_2 <= max(D^p) nu^(k+1)/(1-nu)
//
// (see applyShifted for the derivation). ApplyPow takes the cheapest of: order 0 or 1 where the bound meets the tolerance; a rational
// approximation of x^p on an interval that certainly holds the spectrum, whose shifted systems (M + s) y = b are iterated from the
// diagonal with a residual bound, at O(n^2) a vector, in a basis that may be stale; and sweeps of bounded-angle rotations, which bring M
// closer to diagonal. It rotates when the extra work that staleness has caused since the last rotation exceeds the cost of one.
//
// Other exponents apply M^(p/m) m = ceil(|p|) times, at m times the error. A Tracker is not safe for concurrent use. Steady-state calls
// allocate nothing.
type Tracker struct{ t tracker[float64] }

// NewTracker returns a tracker for n x n matrices; call Follow or Start before the rest.
func NewTracker(n int, o *TrackerOptions) (*Tracker, error) {
	t, err := newTracker[float64](n, o)
	if err != nil {
		return nil, err
	}
	return &Tracker{*t}, nil
}

// Dim returns n.
func (t *Tracker) Dim() int { return t.t.n }

// Start takes the matrix and the basis of f, at no cost but copying.
func (t *Tracker) Start(f *spectral.Factor) {
	if f.Dim() != t.t.n {
		mistake("Tracker.Start: the factor has dimension %d, the tracker %d", f.Dim(), t.t.n)
	}
	t.t.begin(dense.Of(f.Basis().RawMatrix()), f.Eigenvalues())
}

// Follow makes a the current matrix, at 1.5 GEMM-equivalents. A matrix unrelated to the last one is noticed by its off-diagonal part in the
// current basis and decomposed afresh. An error leaves the tracker without a current matrix until the next Follow succeeds.
func (t *Tracker) Follow(a mat.Symmetric) (TrackReport, error) {
	if err := present("a", a); err != nil {
		return TrackReport{}, err
	}
	if a.SymmetricDim() != t.t.n {
		mistake("Tracker.Follow: the matrix is %d x %[1]d, the tracker has dimension %d", a.SymmetricDim(), t.t.n)
	}
	loadSymmetric(t.t.w1, a)
	return t.t.follow()
}

// FollowUpdate makes (1-Decay) A + Dense + Vectors diag(Weights) Vectors^T + Ridge I the current matrix. Vectors alone cost O(n^2 k); Dense
// costs what Follow costs.
func (t *Tracker) FollowUpdate(u spectral.Increment) (TrackReport, error) {
	return t.t.followUpdate(&u)
}

// ApplyPow sets dst = A^p X for the current A, X being n x k; dst may be X. It may rotate the basis.
func (t *Tracker) ApplyPow(p float64, dst *mat.Dense, x mat.Matrix) (TrackReport, error) {
	if err := cmp.Or(present("x", x), present("dst", dst)); err != nil {
		return TrackReport{}, err
	}
	r, k := x.Dims()
	if r != t.t.n {
		mistake("Tracker.ApplyPow: X has %d rows, the tracker dimension %d", r, t.t.n)
	}
	if dst.IsEmpty() && r*k > 0 {
		dst.ReuseAs(r, k)
	} else if dr, dc := dst.Dims(); dr != r || dc != k {
		mistake("Tracker.ApplyPow: dst is %d x %d, X %d x %d", dr, dc, r, k)
	}
	in := t.t.input(k)
	copyRows(in, x)
	rep, err := t.t.apply(p, in)
	if err == nil {
		for i := range r {
			copy(dst.RawRowView(i), in.Row(i))
		}
	}
	return rep, err
}

// FormPow sets dst = A^p for the current A, by sweeps until the expansion of first or second order suffices, and 1.5 products to form it.
func (t *Tracker) FormPow(p float64, dst *mat.SymDense) (TrackReport, error) {
	if err := present("dst", dst); err != nil {
		return TrackReport{}, err
	}
	n := t.t.n
	if dst.IsEmpty() && n > 0 {
		dst.ReuseAsSym(n)
	} else if dst.SymmetricDim() != n {
		mistake("Tracker.FormPow: dst is %d x %[1]d, the tracker has dimension %d", dst.SymmetricDim(), n)
	}
	x, rep, err := t.t.form(p)
	if err == nil {
		raw := dst.RawSymmetric()
		for i := range n {
			copy(raw.Data[i*raw.Stride+i:i*raw.Stride+n], x.Row(i)[i:])
		}
	}
	return rep, err
}

// Factor returns the current matrix as a spectral.Factor, after sweeping the basis until the off-diagonal part is at rounding level.
func (t *Tracker) Factor() (*spectral.Factor, error) {
	if err := t.t.diagonalise(); err != nil {
		return nil, err
	}
	n := t.t.n
	b := mat.NewDense(max(n, 1), max(n, 1), nil)
	for i := range n {
		copy(b.RawRowView(i), t.t.b.Row(i))
	}
	if n == 0 {
		return spectral.Identity(0, 1), nil
	}
	return spectral.FromEigen(b, append([]float64(nil), t.t.d...))
}

// Defect returns the exact ||B^T B - I||_F of the basis, in one half product.
func (t *Tracker) Defect() float64 { return t.t.defect() }

func copyRows(dst dense.Matrix[float64], x mat.Matrix) {
	if raw, ok := x.(mat.RawMatrixer); ok {
		dst.Copy(dense.Of(raw.RawMatrix()))
		return
	}
	for i := range dst.Rows {
		row := dst.Row(i)
		for c := range row {
			row[c] = x.At(i, c)
		}
	}
}

// tracker is the state in the precision T.
type tracker[T dense.Float] struct {
	n          int
	tol, sweep float64
	single     bool // results have to fit float32
	valid      bool
	b, m       dense.Matrix[T] // basis and B^T A B
	w1, w2     dense.Matrix[T] // workspace
	cayley     []T
	d          []float64 // diag(m)
	diag       []T       // d
	s, r, x    []T       // sqrt(d), its inverse, zeros: arguments of the bounded angle
	probe      []float64 // warm start of the norm estimate
	probe2     []float64
	low        []float64
	dmin, dmax float64 // of d

	nu        float64 // estimate of ||x||_2
	bound     float64 // certified bound of ||x||_2, at least nu
	theta     float64 // certified: I + x >= theta I
	tau       float64
	top       float64 // certified upper bound of the spectrum
	fro       float64 // ||m||_F
	noise     float64 // bound of the rounding collected in m, as a norm
	debt      float64 // work that staleness has caused since the last rotation, beyond base a column
	base      float64 // work a column of the first application after it
	orth      float64 // bound of the orthogonality defect, measured now and then
	sweeps    int     // rotations since the defect was measured
	rotations int     // rotations in all

	fit  rational
	cols columns[T]
}

func newTracker[T dense.Float](n int, o *TrackerOptions) (*tracker[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if n < 0 {
		return nil, fmt.Errorf("roots: tracker of dimension %d", n)
	}
	t := &tracker[T]{n: n, tol: 1e-6, sweep: 4}
	t.single = t.eps() > 1e-10
	if o != nil && o.Tol > 0 {
		t.tol = o.Tol
	}
	if o != nil && o.Sweep > 0 {
		t.sweep = o.Sweep
	}
	for _, m := range []*dense.Matrix[T]{&t.b, &t.m, &t.w1, &t.w2} {
		*m = dense.New[T](n, n)
	}
	t.cayley = make([]T, dense.CayleyWork(n))
	t.s, t.r, t.x, t.diag = make([]T, n), make([]T, n), make([]T, n), make([]T, n)
	t.d, t.probe, t.probe2, t.low = make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	t.b.Identity()
	return t, nil
}

func (t *tracker[T]) eps() float64 {
	var one T = 1
	if _, ok := any(one).(float32); ok {
		return 0x1p-24
	}
	return 0x1p-53
}

// tiny is the smallest normal number.
func (t *tracker[T]) tiny() float64 {
	if t.eps() > 1e-10 {
		return 0x1p-126
	}
	return 0x1p-1022
}

// begin takes the basis b with eigenvalues d.
func (t *tracker[T]) begin(b dense.Matrix[float64], d []float64) {
	convert(t.b, b)
	t.m.Zero()
	for i, v := range d {
		t.m.Set(i, i, T(v))
	}
	t.noise, t.valid, t.debt, t.base = 0, true, 0, 0
	t.certify(nil)
}

// work converts multiply-adds to GEMM-equivalents.
func (t *tracker[T]) work(madds float64) float64 {
	n := float64(t.n)
	return madds / (n * n * n)
}

func (t *tracker[T]) report() TrackReport {
	return TrackReport{OffDiagonal: t.tau, Coupling: max(t.nu, min(t.bound, 1)), Order: -1}
}

func (t *tracker[T]) defect() float64 {
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, t.b, t.b, 0, t.w1)
	dense.Mirror(t.w1)
	t.orth = distanceToIdentity(t.w1)
	return t.orth
}

var errNoMatrix = fmt.Errorf("roots: the tracker has no current matrix; call Follow")

// rounding bounds the relative error of a power that comes from rounding: the noise in M, the defect of the basis and the products.
func (t *tracker[T]) rounding(p, lo float64) float64 {
	n := math.Sqrt(float64(t.n))
	return 8*n*t.eps() + 2*(1+math.Abs(p))*(t.orth+n*t.eps()) + noiseError(p, t.noise, lo, t.dmax)
}

// roundingPower is rounding for any exponent, which is applied in pieces.
func (t *tracker[T]) roundingPower(p float64) float64 {
	pieces, q := split(p)
	return float64(pieces) * t.rounding(q, t.theta*t.dmin)
}

// noiseError bounds the relative error of A^p, |p| <= 1, where A is known up to the 2-norm noise, as a matrix with no eigenvalue below lo and the largest not below top.
func noiseError(p, noise, lo, top float64) float64 {
	if p < 0 {
		if noise >= lo {
			return math.Inf(1)
		}
		return -p * noise / (lo - noise)
	}
	// x^p is operator monotone for 0 < p <= 1: ||(A+N)^p - A^p|| <= ||N||^p; and its slope is at most that at the lowest eigenvalue.
	e := math.Pow(noise/top, p)
	if low := lo - noise; low > 0 {
		e = min(e, p*noise/low*math.Pow(low/top, p))
	}
	return e
}
