package matfun

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// Work is the engine and the workspace of functions of count matrices of n x n. It is not for use by several goroutines at once.
type Work[T dense.Float] struct {
	engine.Backend[T]
	arena    *engine.Arena[T]
	count, n int
	free     []engine.Batch[T]
	scales   []T // a number for each row
	norms    []float64
	factors  []float64
	least    []float64
}

// New returns workspace for count matrices of n x n in the memory of the engine. Temporary batches are made when they are first needed and used again.
func New[T dense.Float](e engine.Backend[T], a *engine.Arena[T], count, n int) *Work[T] {
	return &Work[T]{Backend: e, arena: a, count: count, n: n, scales: a.Alloc(count * n), norms: make([]float64, count), factors: make([]float64, count), least: make([]float64, count)}
}

// Error says which matrix of a batch a function failed for, and why.
type Error struct {
	Function string
	Matrix   int
	Reason   string
}

// Error names the function and the reason; callers know what their matrices are called.
func (e *Error) Error() string { return e.Function + ": " + e.Reason }

// indefinite is the error of a square root that does not converge, as it does not where the matrix is not positive definite to rounding.
func indefinite(matrix, iterations int, residual float64) *Error {
	return &Error{"square root", matrix, fmt.Sprintf("residual %.3g after %d iterations: the matrix is not positive definite to rounding", residual, iterations)}
}

// tooLarge is the error of a function that a matrix of this norm is beyond.
func tooLarge(function string, matrix int, norm float64) *Error {
	return &Error{function, matrix, fmt.Sprintf("the norm of the matrix, %.3g or less, is too large", norm)}
}

// Eps is the unit roundoff of T.
func Eps[T dense.Float]() float64 {
	if unsafe.Sizeof(T(0)) == 4 {
		return 0x1p-24
	}
	return 0x1p-53
}

// Take returns a batch with unspecified, finite content; Give takes it back.
func (w *Work[T]) Take() engine.Batch[T] {
	if k := len(w.free); k > 0 {
		b := w.free[k-1]
		w.free = w.free[:k-1]
		return b
	}
	return engine.Batch[T]{Count: w.count, Rows: w.n, Cols: w.n, Stride: w.n, Step: w.n * w.n, Data: w.arena.Alloc(w.count * w.n * w.n)}
}

// Give takes batches of Take back.
func (w *Work[T]) Give(all ...engine.Batch[T]) { w.free = append(w.free, all...) }

// Product sets z_k = x_k y_k, Symmetric does so for products that are symmetric.
func (w *Work[T]) Product(x, y, z engine.Batch[T]) {
	w.Gemm(dense.NoTrans, dense.NoTrans, 1, x, y, 0, z)
}

// Symmetric is Product for matrices that commute and are symmetric.
func (w *Work[T]) Symmetric(x, y, z engine.Batch[T]) {
	w.GemmSymmetric(dense.NoTrans, dense.NoTrans, 1, x, y, 0, z)
}

// Scaled sets y_k = c[k] x_k; y may be x.
func (w *Work[T]) Scaled(c []float64, x, y engine.Batch[T]) {
	for i := range w.scales {
		w.scales[i] = T(c[i/w.n])
	}
	w.ScaleRows(w.scales, x, 0, y)
}

// Identity sets y_k = I.
func (w *Work[T]) Identity(y engine.Batch[T]) {
	w.Combine(1, 0, y, 0, y, y)
}

// bound returns the largest bound on the norms of the matrices, which stay in norms, and whose it is.
func (w *Work[T]) bound(x engine.Batch[T]) (top float64, at int) {
	w.NormBound(x, w.norms)
	return w.largest()
}

// norm returns a bound on the spectral norms of symmetric matrices, NaN where one is no number. Where bound exceeds limit, which it does by up to sqrt(n), their
// squares and fourth powers have a say: ||x||_2 = ||x^4||_2^(1/4).
func (w *Work[T]) norm(x engine.Batch[T], limit float64) float64 {
	top, _ := w.bound(x)
	square, fourth := w.Take(), w.Take()
	defer w.Give(square, fourth)
	for root := 0.5; root >= 0.25 && top > limit; root /= 2 {
		w.Symmetric(x, x, square)
		next, _ := w.bound(square)
		top = min(top, math.Pow(next, root))
		x, square = square, fourth
	}
	return top
}

// largest returns the largest of norms, or the first that is not a number, and whose it is.
func (w *Work[T]) largest() (top float64, at int) {
	for k, v := range w.norms {
		if math.IsNaN(v) {
			return v, k
		}
		if v > top {
			top, at = v, k
		}
	}
	return top, at
}

// limit is the number of steps after which an iteration has failed.
const limit = 150

// Sqrt sets y_k = a_k^(1/2) and z_k = a_k^(-1/2) for positive definite a_k, to rounding, by the iteration of Roots: 3 products a step, about 3 log2(cond)/3.5 + 6
// of them. y and z may not be a.
func (w *Work[T]) Sqrt(a, y, z engine.Batch[T]) error {
	w.bound(a)
	for k, v := range w.norms {
		if !(v > 0) || math.IsInf(v, 1) {
			return indefinite(k, 0, v)
		}
		w.factors[k] = 1 / v
	}
	if w.n >= loose {
		w.Scaled(w.factors, a, y)
		w.tighten(y, z)
	}
	for k := range w.factors {
		w.factors[k] *= 2
	}
	_, err := w.Roots(a, y, z, w.factors, float64(w.n)*Eps[T](), limit)
	return err
}

// loose is the size from which on two products for better bounds cost less than what they save: one iteration of four products at n = 64, two at 256 and 1024, of
// eight and nine for covariances of condition 9.
const loose = 64

// tighten divides factors by bounds on the spectral norms of symmetric matrices that lie far closer than those of bound, which are up to sqrt(n) away and are at
// most 1 here: ||x||_2 = ||x^4||_2^(1/4). That saves an iteration of Roots for each factor of 2.25. x and scratch are overwritten.
func (w *Work[T]) tighten(x, scratch engine.Batch[T]) {
	for k := range w.norms {
		w.least[k] = 1
	}
	for root := 0.5; root >= 0.25; root /= 2 {
		w.Symmetric(x, x, scratch)
		w.bound(scratch)
		for k, v := range w.norms {
			w.least[k] = min(w.least[k], math.Pow(v, root))
		}
		x, scratch = scratch, x
	}
	for k, v := range w.least {
		w.factors[k] /= v
	}
}

// Coupled says how a coupled iteration ended.
type Coupled struct {
	Steps    int
	Residual float64 // ||Z Y - I||_F, the largest of the batch
	Reason   string  // as Progress has it
}

// Roots sets y_k = a_k^(1/2) and z_k = a_k^(-1/2) by the coupled Newton-Schulz iteration Y <- Y T, Z <- T Z, T = (3 I - Z Y)/2 (Higham, Functions of Matrices, eq.
// (6.35)) from Y = c_k a_k, Z = I, until no residual is above the target or rounding has taken over: 3 products a step, and one. ||c_k a_k||_2 = 2 at most leaves
// the largest and the smallest eigenvalue at like distances from 1 in the end. y and z may not be a; c is overwritten.
func (w *Work[T]) Roots(a, y, z engine.Batch[T], c []float64, target float64, limit int) (Coupled, error) {
	p, q, t, s := w.Take(), w.Take(), w.Take(), w.Take()
	defer func() { w.Give(p, q, t, s) }()
	w.Scaled(c, a, p)
	w.Identity(q)
	end := Coupled{}
	for stop := (Progress{Target: target}); ; end.Steps++ {
		w.Product(q, p, t)
		w.FromIdentity(t, w.norms)
		var at int
		end.Residual, at = w.largest()
		if end.Reason = stop.Done(end.Residual); end.Reason != "" {
			break
		}
		if end.Steps == limit || Broken(end.Residual) {
			return end, indefinite(at, end.Steps, end.Residual)
		}
		w.Combine(1.5, -0.5, t, 0, t, t)
		w.Product(p, t, s)
		p, s = s, p
		w.Product(t, q, s)
		q, s = s, q
	}
	for k, v := range c {
		c[k] = 1 / math.Sqrt(v)
	}
	w.Scaled(c, p, y)
	for k, v := range c {
		c[k] = 1 / v
	}
	w.Scaled(c, q, z)
	return end, nil
}

// terms is the number of coefficients of the series below: up to the power 8 of a square.
const terms = 9

// series sets p = sum c[k] v^k for symmetric v: four products. v2 and v3 are its square and its cube.
func (w *Work[T]) series(c *[terms]float64, v, v2, v3, p engine.Batch[T]) {
	t := w.Take()
	defer w.Give(t)
	w.Combine(T(c[6]), T(c[7]), v, T(c[8]), v2, p)
	for k := 3; k >= 0; k -= 3 {
		w.Symmetric(v3, p, t)
		w.Combine(T(c[k]), T(c[k+1]), v, T(c[k+2]), v2, p)
		w.Combine(0, 1, p, 1, t, p)
	}
}

// powers returns the first three powers of the square of x.
func (w *Work[T]) powers(x engine.Batch[T]) (v, v2, v3 engine.Batch[T]) {
	v, v2, v3 = w.Take(), w.Take(), w.Take()
	w.Symmetric(x, x, v)
	w.Symmetric(v, v, v2)
	w.Symmetric(v, v2, v3)
	return v, v2, v3
}

// logBound is the norm of sinh(log(a)/2^s) below which the series of the inverse holds: 9 terms leave 4e-17 at 0.125 and 4e-8 at 0.5.
func logBound[T dense.Float]() float64 {
	if Eps[T]() > 1e-10 {
		return 0.5
	}
	return 0.125
}

// Log sets l_k = log a_k for positive definite a_k: s square roots until log(a)/2^s is small, the difference of which and of its inverse is
// 2 sinh(log(a)/2^s), then the series of the inverse of sinh. An error of rounding size in a root counts 2^s times, and in the diagonal of a root near I what a sum of
// n numbers loses beside 1 is of one sign: no more roots are drawn than the series needs. l may not be a.
func (w *Work[T]) Log(a, l engine.Batch[T]) error {
	y, z, last := w.Take(), w.Take(), w.Take()
	defer func() { w.Give(y, z, last) }()
	scale := 1.0
	for from := a; ; from = last {
		if err := w.Sqrt(from, y, z); err != nil {
			return err
		}
		scale *= 2
		w.Combine(0, 0.5, y, -0.5, z, l)
		if w.norm(l, logBound[T]()) <= logBound[T]() {
			break
		}
		y, last = last, y
	}
	w.symmetrise(l, y)
	var c [terms]float64
	c[0] = 1
	for k := 1; k < terms; k++ {
		m := float64(2 * k)
		c[k] = -c[k-1] * (m - 1) * (m - 1) / (m * (m + 1))
	}
	v, v2, v3 := w.powers(l)
	defer w.Give(v, v2, v3)
	w.series(&c, v, v2, v3, y)
	w.Symmetric(l, y, z)
	w.Combine(0, T(scale), z, 0, z, l)
	return nil
}

// symmetrise replaces x by its symmetric part; t is scratch.
func (w *Work[T]) symmetrise(x, t engine.Batch[T]) {
	i := w.Take()
	defer w.Give(i)
	w.Identity(i)
	w.Gemm(dense.Transposed, dense.NoTrans, 0.5, x, i, 0, t)
	w.Combine(0, 0.5, x, 1, t, x)
}

// Exp sets plus_k = exp(x_k) and minus_k = exp(-x_k) for symmetric x_k: the series of cosh and sinh at x/2^s of norm at most 1, and s squarings.
func (w *Work[T]) Exp(x, plus, minus engine.Batch[T]) error {
	top, at := w.bound(x)
	if !(top < 1e4) {
		return tooLarge("exponential", at, top)
	}
	s := 0
	for ; top > 1; top /= 2 {
		s++
	}
	small, p := w.Take(), w.Take()
	defer func() { w.Give(small, p) }()
	w.Combine(0, T(math.Ldexp(1, -s)), x, 0, x, small)
	var even, odd [terms]float64
	f := 1.0
	for k := range even {
		even[k] = 1 / f
		odd[k] = 1 / (f * float64(2*k+1))
		f *= float64((2*k + 1) * (2*k + 2))
	}
	v, v2, v3 := w.powers(small)
	defer w.Give(v, v2, v3)
	w.series(&odd, v, v2, v3, p)
	w.Symmetric(small, p, minus)
	w.series(&even, v, v2, v3, p)
	w.Combine(0, 1, p, 1, minus, plus)
	w.Combine(0, 1, p, -1, minus, minus)
	for range s {
		w.Symmetric(plus, plus, p)
		w.Combine(0, 1, p, 0, p, plus)
		w.Symmetric(minus, minus, p)
		w.Combine(0, 1, p, 0, p, minus)
	}
	return nil
}

// Abs sets h_k = |a_k| = a_k sign(a_k) for symmetric a_k by scaled Newton-Schulz steps X <- r X (3 I - r^2 X^2)/2, two products each, with the r that
// raises the least singular value still of interest the most (Chen and Chow, A stable scaling of Newton-Schulz, 2014). Eigenvalues below rounding
// times the norm may get the wrong size, which is an error of that order.
func (w *Work[T]) Abs(a, h engine.Batch[T]) error {
	if top, at := w.bound(a); !(top < math.Inf(1)) {
		return tooLarge("absolute value", at, top)
	}
	for k, v := range w.norms {
		w.factors[k] = 1 / max(v, math.SmallestNonzeroFloat32)
	}
	x, v, t := w.Take(), w.Take(), w.Take()
	defer func() { w.Give(x, v, t) }()
	w.Scaled(w.factors, a, x)
	for low := 2 * Eps[T](); 1-low > Eps[T](); {
		r := math.Sqrt(3 / (1 + low + low*low))
		w.Symmetric(x, x, v)
		w.Combine(T(1.5*r), T(-0.5*r*r*r), v, 0, v, v)
		w.Symmetric(x, v, t)
		x, t = t, x
		low = min(1, r*low*(3-r*r*low*low)/2)
	}
	w.Symmetric(a, x, h)
	return nil
}
