package roots

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/matfun"
)

// rootLimit is the largest r for which powers +-1/r are checked by products.
const rootLimit = 16

// tinyPower is the magnitude below which X^(1/p) amplifies the rounding of X, by 1/p, beyond saying anything about it.
const tinyPower = 1e-8

// residual measures, in float64, how well the scaled result meets its defining equation, and lowers the bound where the residual proves it
// too large.
func (j *job[T]) residual() {
	if j.Columns > 0 {
		return
	}
	n := j.N
	a, x := dense.New[float64](n, n), dense.New[float64](n, n)
	convert(a, j.a)
	convert(x, j.x)
	c := checker{n: n, a: a, x: x, e: engine.CPU[float64]()}
	if j.onDevice() {
		if e, err := engine.Open[float64](j.e.Name()); err == nil {
			c.e = e
		}
	}
	r := j.rep
	k, root, ok := rootOf(j.Power, rootLimit)
	whole := r.Rank == n
	switch {
	case r.Rank == 0:
		r.ResidualOf, r.Residual = "||X||, nothing being kept", frobenius(x)
		return
	case !whole:
		j.fillIn(&c)
	}
	switch {
	case j.Kind == KindLog:
		r.ResidualOf, r.Residual = "||exp(X) - A||/||A||", c.inverseImage(math.Exp)
		j.certifyImage()
	case j.Kind == KindExp:
		r.ResidualOf, r.Residual = "||X - exp(A)||/||exp(A)||, by an independent method", c.otherExp(r.Method)
	case j.Power == 0:
		r.ResidualOf, r.Residual = "||X - I||/||I||", c.identity()
	case math.Abs(j.Power) < tinyPower:
		r.ResidualOf, r.Residual = "||X - A^p||/||A^p||, by a decomposition", relative(c.x, c.image(c.a, func(l float64) float64 { return j.fn(max(l, 0)) }))
	case ok && k == 1:
		r.ResidualOf, r.Residual = "||X^(1/p) - A||/||A||", c.positiveRoot(root)
		j.certifyImage()
	case ok && k == -1:
		r.ResidualOf, r.Residual = "||X^s A X^t - I||/||I||, s + t = -1/p", c.inverseRoot(root)
	case ok && root == 1 && k > 0 && j.offset == 0:
		r.ResidualOf, r.Residual = "||X - A^p||/||A^p||", c.integerPower(k)
	case math.Abs(j.Power) > 1:
		r.ResidualOf, r.Residual = c.largePower(j.Power, j.offset, j.hi, r.Method)
	default:
		r.ResidualOf, r.Residual = "||X^(1/p) - A||/||A||", c.inverseImage(func(l float64) float64 {
			if l <= 0 {
				return 0
			}
			return math.Pow(l, 1/j.Power)
		})
		j.certifyImage()
	}
	if !whole {
		r.ResidualOf += ", on what is kept"
	}
	r.Work += c.work
}

// fillIn puts the largest eigenvalue of A, and its image in X, where Options.Cutoff dropped eigenvalues: X meets the defining equation then if it does so on
// what was kept.
func (j *job[T]) fillIn(c *checker) {
	top := j.rep.LambdaMax
	image := j.fn(top)
	if j.offset != 0 {
		image = j.shiftedPower(top)
	}
	q, w, v := c.a.Clone(), make([]float64, c.n), make([]float64, c.n)
	if !c.decompose(q, w) {
		return
	}
	for k := range c.n - j.rep.Rank {
		for i := range c.n {
			v[i] = q.At(i, k)
		}
		for i, vi := range v {
			dense.Axpy((top-w[k])*vi, v, c.a.Row(i))
			dense.Axpy(image*vi, v, c.x.Row(i))
		}
	}
}

// certifyImage lowers the bound where the residual proves it too large: X = f(A + R) exactly for R = f^-1(X) - A, so that
// ||X - f(A)||_F <= max |f'| ||R||_F over the spectra of A and A + R. The evaluation of R adds c sqrt(n) eps ||A||_F to it.
func (j *job[T]) certifyImage() {
	r := j.rep
	if r.Rank < j.N {
		return
	}
	eps := j.eps()
	if j.Single {
		eps = 0x1p-53
	}
	power := j.Power
	if j.Kind == KindLog {
		power = 1
	}
	size := frobenius(j.a)
	n := math.Sqrt(float64(j.N))
	res := (r.Residual + 16*n*eps*max(1, 1/math.Abs(power))) * size
	p := j.Power
	if j.Kind != KindLog && p > 0 && p < 1 {
		e := res
		if j.lowest() <= 0 {
			// Semi-definite to rounding: what lies below zero counts as part of R.
			e += n * (math.Max(0, -j.spectrum[0]) + 8*n*0x1p-53*j.hi)
		}
		j.improve(monotoneError(p, j.N, e))
	}
	low := j.lowest() - res
	if low <= 0 {
		return
	}
	slope := 1 / low
	if j.Kind != KindLog {
		at := low
		if p > 1 {
			at = j.hi + res
		}
		slope = math.Abs(p) * math.Pow(at, p-1)
	}
	j.improve(slope * res)
}

// monotoneError bounds ||(A+R)^p - A^p||_F for 0 < p < 1, A and A + R positive semi-definite and ||R||_F = r: in every unitarily invariant norm it
// is at most || |R|^p || (Ando; Bhatia, Matrix Analysis, Theorem X.1.3).
func monotoneError(p float64, n int, r float64) float64 {
	return math.Pow(float64(n), (1-p)/2) * math.Pow(r, p)
}

// improve lowers the bound to that of the absolute error e of the scaled result, where it is smaller.
func (j *job[T]) improve(e float64) {
	size := frobenius(j.x)
	if j.Kind == KindLog {
		// The result has log(2^shift) still to be added.
		var d float64
		c := float64(j.shift) * math.Ln2
		for i := range j.N {
			v := float64(j.x.At(i, i))
			d += (v+c)*(v+c) - v*v
		}
		size = math.Sqrt(max(size*size+d, 0))
	}
	if size > e {
		j.rep.Bound = min(j.rep.Bound, e/(size-e)+4*math.Sqrt(float64(j.N))*j.eps())
	}
}

// lowest returns a value below the smallest eigenvalue of a: half the estimate, or the computed one less its rounding.
func (j *job[T]) lowest() float64 {
	if j.spectrum == nil {
		return j.lo / 2
	}
	return j.spectrum[0] - 8*math.Sqrt(float64(j.N))*0x1p-53*j.spectrum[j.N-1]
}

func frobenius[T dense.Float](m dense.Matrix[T]) float64 {
	var s float64
	for i := range m.Rows {
		for _, v := range m.Row(i) {
			s += float64(v) * float64(v)
		}
	}
	return math.Sqrt(s)
}

// checker evaluates residuals of a scaled result x for a, counting its products.
type checker struct {
	n    int
	e    engine.Backend[float64]
	a, x dense.Matrix[float64]
	work float64
}

func (c *checker) mul(p, q dense.Matrix[float64]) dense.Matrix[float64] {
	z := dense.New[float64](c.n, c.n)
	c.e.Gemm(dense.NoTrans, dense.NoTrans, 1, engine.One(p), engine.One(q), 0, engine.One(z))
	c.work++
	return z
}

// power returns m^k for k >= 1 by binary powering.
func (c *checker) power(m dense.Matrix[float64], k int) dense.Matrix[float64] {
	var r dense.Matrix[float64]
	for have := false; ; m = c.mul(m, m) {
		if k&1 == 1 {
			if have {
				r = c.mul(r, m)
			} else {
				r, have = m, true
			}
		}
		if k >>= 1; k == 0 {
			return r
		}
	}
}

func (c *checker) identity() float64 {
	i := dense.New[float64](c.n, c.n)
	i.Identity()
	return relative(c.x, i)
}

func (c *checker) positiveRoot(r int) float64 { return relative(c.power(c.x, r), c.a) }

func (c *checker) integerPower(k int) float64 { return relative(c.x, c.power(c.a, k)) }

func (c *checker) inverseRoot(r int) float64 {
	m := c.a
	if r > 1 {
		m = c.mul(c.power(c.x, r/2), m)
	}
	m = c.mul(m, c.power(c.x, r-r/2))
	i := dense.New[float64](c.n, c.n)
	i.Identity()
	return relative(m, i)
}

// inverseImage decomposes x and compares g(x) with a.
func (c *checker) inverseImage(g func(float64) float64) float64 {
	return relative(c.image(c.x, g), c.a)
}

// otherExp compares x with exp(a), recomputed by the decomposition if the approximant was used, and by the approximant otherwise.
func (c *checker) otherExp(ran string) float64 {
	if ran == padeMethod.Name {
		return relative(c.x, c.image(c.a, math.Exp))
	}
	y := dense.New[float64](c.n, c.n)
	rep := Report{}
	other := job[float64]{e: engine.CPU[float64](), Query: Query{Kind: KindExp, N: c.n}, a: c.a, x: y, rep: &rep}
	if other.padeExp() != nil {
		return math.Inf(1)
	}
	c.work += rep.Work
	return relative(c.x, y)
}

// largePower compares x 2^offset, x being the result of the method called ran, with A^p, |p| > 1, on another road.
func (c *checker) largePower(p float64, offset int, hi float64, ran string) (equation string, residual float64) {
	road, y := c.otherPower(p, hi, ran)
	scale(y.m, y.e-offset)
	return "||X - A^p||/||A^p||, by " + road, relative(c.x, y.m)
}

// otherPower returns A^p, |p| > 1, and how it was computed: A^p = B^(2^s) with B = A^(p/2^s) by Pade approximants, or, for integers, products with
// A or its Cholesky inverse. Where the matrix allows neither, B comes from the decomposition.
func (c *checker) otherPower(p, hi float64, ran string) (road string, y scaledMatrix) {
	k := math.Abs(p)
	s := int(math.Ceil(math.Log2(k)))
	switch {
	case k != math.Trunc(k) || k >= 1<<53:
		if m, ok := c.padePower(math.Ldexp(p, -s), hi); ok {
			return "Pade approximants and squaring", c.squared(scaledMatrix{m: m}, s)
		}
	case p > 0:
		return "products", c.raise(scaledMatrix{m: c.a}, uint64(k))
	case ran != choleskyMethod.Name:
		l, x := c.a.Clone(), dense.New[float64](c.n, c.n)
		if dense.Cholesky(l) < 0 {
			invertCholesky(l, x)
			return "products with the Cholesky inverse", c.raise(scaledMatrix{m: x}, uint64(k))
		}
	}
	q := Query{Kind: KindPow, Power: math.Ldexp(p, -s)}
	m := c.image(c.a, func(l float64) float64 { return q.fn(max(l, 0)) })
	return "decomposition and squaring", c.squared(scaledMatrix{m: m}, s)
}

// padePower returns a^p for 1/2 < |p| <= 1.
func (c *checker) padePower(p, hi float64) (dense.Matrix[float64], bool) {
	y := dense.New[float64](c.n, c.n)
	rep := Report{}
	other := job[float64]{e: engine.CPU[float64](), Query: Query{Kind: KindPow, Power: p, N: c.n}, a: c.a, x: y, rep: &rep, hi: hi}
	if !padeMethod.Can(other.Query) || other.survey() != nil || runPade(&other) != nil {
		return y, false
	}
	c.work += rep.Work
	return y, true
}

// scaledMatrix is m 2^e.
type scaledMatrix struct {
	m dense.Matrix[float64]
	e int
}

// raise returns m^k for k >= 1 by binary powering; the exponent keeps all squares in range.
func (c *checker) raise(m scaledMatrix, k uint64) (r scaledMatrix) {
	m = m.centred()
	for have := false; ; m = c.product(m, m) {
		if k&1 == 1 {
			if have {
				r = c.product(r, m)
			} else {
				r, have = m, true
			}
		}
		if k >>= 1; k == 0 {
			return scaledMatrix{r.m.Clone(), r.e}
		}
	}
}

// squared returns m^(2^s).
func (c *checker) squared(m scaledMatrix, s int) scaledMatrix {
	m = m.centred()
	for range s {
		m = c.product(m, m)
	}
	return m
}

func (c *checker) product(a, b scaledMatrix) scaledMatrix {
	return scaledMatrix{c.mul(a.m, b.m), a.e + b.e}.centred()
}

// centred returns the same matrix with elements below 1.
func (s scaledMatrix) centred() scaledMatrix {
	if top := maxAbs(s.m); top > 0 {
		_, e := math.Frexp(top)
		z := s.m.Clone()
		scale(z, -e)
		return scaledMatrix{z, s.e + e}
	}
	return s
}

func (c *checker) image(m dense.Matrix[float64], g func(float64) float64) dense.Matrix[float64] {
	q, w := m.Clone(), make([]float64, c.n)
	z := dense.New[float64](c.n, c.n)
	if !c.decompose(q, w) {
		return z
	}
	for i, l := range w {
		w[i] = g(l)
	}
	if c.e != engine.CPU[float64]() {
		other := job[float64]{e: c.e, Query: Query{N: c.n}, x: z, rep: &Report{}}
		other.formOnEngine(q, w)
		c.work += 6.5
		return z
	}
	qf := q.Clone()
	scaleColumns(qf, w)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, qf, q, 0, z)
	dense.Mirror(z)
	c.work += 6.5
	return z
}

// decompose is that of the package, where the products of the checker are.
func (c *checker) decompose(q dense.Matrix[float64], w []float64) bool {
	if c.e == engine.CPU[float64]() {
		return decompose(q, w)
	}
	m := engine.One(q.Clone())
	_, err := matfun.NewEigen(c.e, engine.NewArena(c.e), 1, c.n).Solve(m, engine.One(q), w, false)
	return err == nil
}

// relative returns ||x - y||_F / ||y||_F.
func relative[T dense.Float](x, y dense.Matrix[T]) float64 {
	d, s := differences(x, y, 1)
	if top := max(maxAbs(x), maxAbs(y)); top > 1e140 || top < 1e-140 && top > 0 {
		// The squares leave the range.
		_, e := math.Frexp(top)
		d, s = differences(x, y, math.Ldexp(1, -max(e, -1000)))
	}
	if s == 0 {
		return math.Sqrt(d)
	}
	return math.Sqrt(d / s)
}

// differences returns ||c x - c y||_F^2 and ||c y||_F^2.
func differences[T dense.Float](x, y dense.Matrix[T], c float64) (d, s float64) {
	for i := range x.Rows {
		yr := y.Row(i)
		for k, v := range x.Row(i) {
			b := c * float64(yr[k])
			e := c*float64(v) - b
			d += e * e
			s += b * b
		}
	}
	return d, s
}
