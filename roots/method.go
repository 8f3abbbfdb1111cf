package roots

import (
	"fmt"
	"math"
	"sort"
	"strings"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

const auto = "auto"

// Query is what a method is asked about before it runs: what is wanted and what is known of the matrix.
type Query struct {
	Kind  Kind
	Power float64 // exponent; 0 unless the kind has one
	N     int
	// Cond is the condition number, 0 if unknown. Top is the largest eigenvalue, which only exp and log depend on.
	Cond, Top float64
	Tol       float64 // wanted relative forward error, 0 for the best
	Single    bool    // float32
	Columns   int     // 0 to form the result, k to apply it to k vectors
	Start     bool    // a starting basis is given
	Cutoff    bool    // a pseudo-inverse is wanted
}

// eps returns the unit roundoff that the query's arithmetic works with.
func (q *Query) eps() float64 {
	if q.Single {
		return 0x1p-24
	}
	return 0x1p-53
}

// Method is one way to compute a function of an SPD matrix: a name, what it can do, what it costs and promises, and the code for each
// precision. A new method is one file that declares a Method, and one line in the registry.
type Method struct {
	Name   string
	Title  string // one line for lists
	Source string // where the algorithm is published
	// Can reports whether the method computes what q asks for.
	Can func(q Query) bool
	// Work predicts GEMM-equivalents for q, with Cond known.
	Work func(q Query) float64
	// device is set for methods that can run on a device.
	device bool
	// exact is set for methods that compute all eigenvalues on the way.
	exact bool
	// Bound promises the relative forward error for q in the Frobenius norm, with Cond known.
	Bound func(q Query) float64
	// Rate is how many GEMM-equivalents of time one of Work takes, by size; see cost.go.
	rate rate

	run64 func(*job[float64]) error
	run32 func(*job[float32]) error
}

// registry lists every method; its order is the order of preference at equal cost.
func registry() []*Method {
	return []*Method{
		&eigenMethod,
		&refinedMethod,
		&choleskyMethod,
		&choleskyPolarMethod,
		&polarExpressMethod,
		&denmanBeaversMethod,
		&newtonSchulzMethod,
		&newtonMethod,
		&order3Method,
		&rationalMethod,
		&padeMethod,
		&lanczosMethod,
		&spectralMethod,
		&warmQRMethod,
		&jacobiMethod,
		&seriesMethod,
	}
}

// Methods returns all registered methods.
func Methods() []*Method { return registry() }

// ByName returns the method called name, or an error that lists what there is.
func ByName(name string) (*Method, error) {
	var names []string
	for _, m := range registry() {
		if m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	sort.Strings(names)
	return nil, fmt.Errorf("roots: unknown method %q; known: %s, %s", name, auto, strings.Join(names, ", "))
}

// job is one computation in the precision T, on one device. The matrix is scaled so that its largest eigenvalue is about 1 for every kind but exp.
type job[T dense.Float] struct {
	Query
	e      engine.Backend[T]
	arena  *engine.Arena[T]
	a      dense.Matrix[T] // symmetric, full storage, to be left unchanged unless spent
	spent  bool            // a is not needed after the method
	x      dense.Matrix[T] // result: n x n, or n x Columns
	rhs    dense.Matrix[T] // what to apply to, if Columns > 0
	start  dense.Matrix[float64]
	lo, hi float64 // estimates of the extreme eigenvalues of a: lo from above, hi a safe upper bound
	cutoff float64
	limit  int                   // iterations allowed, 0 for the method's own limit
	chol   dense.Matrix[float64] // Cholesky factor of a where the survey has made one
	shift  int                   // a is the given matrix times 2^-shift
	offset int                   // x is the result for a times 2^-offset
	lower  float64
	rep    *Report
	// trunc collects the truncation error, relative to the result, that the method measured; spectrum is set where eigenvalues are exact.
	trunc    float64
	spectrum []float64
	// adaptive lets the decomposition go on to the correction.
	adaptive bool
	// bound, where it is set, replaces the method's own bound by one that rests on what was measured.
	bound float64
}

// new returns a matrix of zeros in the memory of the device.
func (j *job[T]) new(rows, cols int) dense.Matrix[T] {
	if j.arena == nil {
		return dense.New[T](rows, cols)
	}
	return dense.Wrap(rows, cols, j.arena.Alloc(rows*cols))
}

// gemm is a product with its work counted.
func (j *job[T]) gemm(ta, tb dense.Trans, alpha T, a, b dense.Matrix[T], beta T, c dense.Matrix[T]) {
	j.e.Gemm(ta, tb, alpha, engine.One(a), engine.One(b), beta, engine.One(c))
	k := a.Cols
	if ta == dense.Transposed {
		k = a.Rows
	}
	j.count(float64(c.Rows) * float64(c.Cols) * float64(k))
}

// symm computes the symmetric c = op(a) op(b) in full storage for half the work.
func (j *job[T]) symm(ta, tb dense.Trans, alpha T, a, b dense.Matrix[T], c dense.Matrix[T]) {
	j.e.GemmSymmetric(ta, tb, alpha, engine.One(a), engine.One(b), 0, engine.One(c))
	k := a.Cols
	if ta == dense.Transposed {
		k = a.Rows
	}
	j.count(float64(c.Rows) * float64(c.Cols) * float64(k) / 2)
}

// count adds m multiply-add pairs to the work done.
func (j *job[T]) count(m float64) {
	n := float64(j.N)
	j.rep.Work += m / (n * n * n)
}

// fn evaluates the scalar function of the query at the (scaled) eigenvalue l.
func (q *Query) fn(l float64) float64 {
	switch q.Kind {
	case KindLog:
		return math.Log(l)
	case KindExp:
		return math.Exp(l)
	}
	switch q.Power {
	case 0.5:
		return math.Sqrt(l)
	case -0.5:
		return 1 / math.Sqrt(l)
	case -1:
		return 1 / l
	}
	return math.Pow(l, q.Power)
}

// sensitivity returns ||A||_2 max|f'| / max|f| over a spectrum with condition number Cond: how much a backward error relative to ||A||_2
// is amplified in the relative Frobenius error of f(A).
func (q *Query) sensitivity() float64 {
	k := max(q.Cond, 1)
	switch q.Kind {
	case KindLog:
		// Near A = I the logarithm itself vanishes and its relative error grows without bound. Cond may be up to 4 times too large.
		top := math.Log(max(q.Top, math.SmallestNonzeroFloat64))
		size := math.Abs(top)
		if k > 4 {
			size = max(size, math.Abs(top-math.Log(k/4)))
		}
		return k / max(size, math.SmallestNonzeroFloat64)
	case KindExp:
		return max(q.Top, 1)
	case KindPolar:
		return k
	}
	p := q.Power
	switch {
	case p == 0:
		return 0
	case p < 0:
		return -p * k
	case p < 1:
		return p * math.Pow(k, 1-p)
	}
	return p
}

// rounding returns c sqrt(n) eps (1 + sensitivity), the rounding part of a promise.
func (q *Query) rounding(c float64) float64 {
	return c * math.Sqrt(float64(max(q.N, 1))) * q.eps() * (1 + q.sensitivity())
}

// rootOf reports p = -k/r or k/r in lowest terms for r <= limit, as (sign k, r).
func rootOf(p float64, limit int) (k, r int, ok bool) {
	for r = 1; r <= limit; r++ {
		v := p * float64(r)
		if v == math.Trunc(v) && math.Abs(v) < 64 {
			return int(v), r, true
		}
	}
	return 0, 0, false
}
