package roots

import (
	"math"
	"math/big"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"
)

// The oracle works with 240-bit floats and shares no algorithm with the package: cyclic Jacobi rotations, Taylor series for exp, Newton's
// iteration for log.
const oracleBits = 240

func bf(x float64) *big.Float { return new(big.Float).SetPrec(oracleBits).SetFloat64(x) }

func badd(a, b *big.Float) *big.Float { return new(big.Float).SetPrec(oracleBits).Add(a, b) }
func bsub(a, b *big.Float) *big.Float { return new(big.Float).SetPrec(oracleBits).Sub(a, b) }
func bmul(a, b *big.Float) *big.Float { return new(big.Float).SetPrec(oracleBits).Mul(a, b) }
func bquo(a, b *big.Float) *big.Float { return new(big.Float).SetPrec(oracleBits).Quo(a, b) }
func bsqrt(a *big.Float) *big.Float   { return new(big.Float).SetPrec(oracleBits).Sqrt(a) }

// bexp is exp by Taylor on x/2^k, squared k times.
func bexp(x *big.Float) *big.Float {
	k := 0
	if e := x.MantExp(nil); e > -8 {
		k = e + 8
	}
	r := new(big.Float).SetPrec(oracleBits).SetMantExp(x, -k)
	sum, term := bf(1), bf(1)
	for i := 1; i < 60; i++ {
		term = bquo(bmul(term, r), bf(float64(i)))
		sum = badd(sum, term)
		if term.Sign() == 0 || term.MantExp(nil) < -oracleBits {
			break
		}
	}
	for range k {
		sum = bmul(sum, sum)
	}
	return sum
}

// blog is log by Newton steps on exp from the float64 value.
func blog(x *big.Float) *big.Float {
	m := new(big.Float)
	e := x.MantExp(m)
	f, _ := m.Float64()
	y := bf(math.Log(f) + float64(e)*math.Ln2)
	for range 3 {
		t := bexp(y)
		// y += 2 (x - t)/(x + t), cubic.
		y = badd(y, bmul(bf(2), bquo(bsub(x, t), badd(x, t))))
	}
	return y
}

// bigEigen returns eigenvalues and eigenvectors (columns) of the symmetric a.
func bigEigen(a [][]*big.Float) (w []*big.Float, v [][]*big.Float) {
	n := len(a)
	for i := range n {
		v = append(v, make([]*big.Float, n))
		for j := range n {
			v[i][j] = bf(0)
		}
		v[i][i] = bf(1)
	}
	for range 40 {
		off, diag := -math.MaxInt32, -math.MaxInt32
		for i := range n {
			for j := range n {
				if a[i][j].Sign() == 0 {
					continue
				}
				if e := a[i][j].MantExp(nil); i != j {
					off = max(off, e)
				} else {
					diag = max(diag, e)
				}
			}
		}
		if off < diag-oracleBits+8 {
			break
		}
		for p := range n {
			for q := p + 1; q < n; q++ {
				bigRotate(a, v, p, q)
			}
		}
	}
	for i := range n {
		w = append(w, a[i][i])
	}
	return w, v
}

func bigRotate(a, v [][]*big.Float, p, q int) {
	if a[p][q].Sign() == 0 {
		return
	}
	theta := bquo(bsub(a[q][q], a[p][p]), bmul(bf(2), a[p][q]))
	abs := new(big.Float).SetPrec(oracleBits).Abs(theta)
	t := bquo(bf(1), badd(abs, bsqrt(badd(bmul(theta, theta), bf(1)))))
	if theta.Sign() < 0 {
		t.Neg(t)
	}
	c := bquo(bf(1), bsqrt(badd(bmul(t, t), bf(1))))
	s := bmul(t, c)
	for k := range a {
		x, y := a[k][p], a[k][q]
		a[k][p], a[k][q] = bsub(bmul(c, x), bmul(s, y)), badd(bmul(s, x), bmul(c, y))
	}
	for k := range a {
		x, y := a[p][k], a[q][k]
		a[p][k], a[q][k] = bsub(bmul(c, x), bmul(s, y)), badd(bmul(s, x), bmul(c, y))
		x, y = v[k][p], v[k][q]
		v[k][p], v[k][q] = bsub(bmul(c, x), bmul(s, y)), badd(bmul(s, x), bmul(c, y))
	}
	a[p][q], a[q][p] = bf(0), bf(0)
}

// exact is the decomposition of a float64 matrix, for many functions.
type exact struct {
	n int
	w []*big.Float
	v [][]*big.Float
}

func newExact(a mat.Symmetric) *exact {
	n := a.SymmetricDim()
	m := make([][]*big.Float, n)
	for i := range m {
		m[i] = make([]*big.Float, n)
		for j := range m[i] {
			m[i][j] = bf(a.At(i, j))
		}
	}
	e := &exact{n: n}
	e.w, e.v = bigEigen(m)
	return e
}

// extremes returns the smallest and the largest eigenvalue.
func (e *exact) extremes() (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, w := range e.w {
		f, _ := w.Float64()
		lo, hi = min(lo, f), max(hi, f)
	}
	return lo, hi
}

// image returns the images of the eigenvalues.
func (e *exact) image(q Query) []*big.Float {
	f := make([]*big.Float, e.n)
	for i, w := range e.w {
		switch {
		case q.Kind == KindLog:
			f[i] = blog(w)
		case q.Kind == KindExp:
			f[i] = bexp(w)
		case q.Power == 0:
			f[i] = bf(1)
		default:
			f[i] = bexp(bmul(bf(q.Power), blog(w)))
		}
	}
	return f
}

// form returns the function of the matrix in 240 bits.
func (e *exact) form(q Query) [][]*big.Float {
	f := e.image(q)
	x := make([][]*big.Float, e.n)
	for i := range x {
		x[i] = make([]*big.Float, e.n)
		for j := range i + 1 {
			s := bf(0)
			for k := range e.n {
				s = badd(s, bmul(bmul(e.v[i][k], f[k]), e.v[j][k]))
			}
			x[i][j], x[j][i] = s, s
		}
	}
	return x
}

// relativeTo returns ||x - ref||_F / ||ref||_F, with the differences taken in 240 bits.
func relativeTo(x func(i, j int) float64, ref [][]*big.Float) float64 {
	d, s := bf(0), bf(0)
	for i := range ref {
		for j := range ref[i] {
			e := bsub(bf(x(i, j)), ref[i][j])
			d = badd(d, bmul(e, e))
			s = badd(s, bmul(ref[i][j], ref[i][j]))
		}
	}
	if s.Sign() == 0 {
		f, _ := bsqrt(d).Float64()
		return f
	}
	f, _ := bsqrt(bquo(d, s)).Float64()
	return f
}

// randomBasis returns an orthogonal n x n matrix.
func randomBasis(rng *rand.Rand, n int) *mat.Dense {
	g := mat.NewDense(n, n, nil)
	for i := range n {
		for j := range n {
			g.Set(i, j, rng.NormFloat64())
		}
	}
	var qr mat.QR
	qr.Factorize(g)
	var q mat.Dense
	qr.QTo(&q)
	return &q
}

// withSpectrum returns q diag(d) q^T, rounded.
func withSpectrum(q *mat.Dense, d []float64) *mat.SymDense {
	n := len(d)
	var t, r mat.Dense
	t.Mul(q, mat.NewDiagDense(n, d))
	r.Mul(&t, q.T())
	s := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			s.SetSym(i, j, (r.At(i, j)+r.At(j, i))/2)
		}
	}
	return s
}

// geometric returns n values from top down to top/cond in equal ratios.
func geometric(n int, top, cond float64) []float64 {
	d := make([]float64, n)
	for i := range d {
		d[i] = top
		if n > 1 {
			d[i] *= math.Pow(cond, -float64(i)/float64(n-1))
		}
	}
	return d
}

// randomSPD returns a matrix with one of several kinds of spectra: geometric, clustered, one small, repeated, random.
func randomSPD(rng *rand.Rand, n int, top, cond float64) *mat.SymDense {
	d := geometric(n, top, cond)
	switch rng.IntN(5) {
	case 1:
		for i := range d {
			if rng.IntN(2) == 0 {
				d[i] = top * (1 - 1e-9*rng.Float64())
			}
		}
	case 2:
		for i := range d[:n-1] {
			d[i] = top * (0.5 + 0.5*rng.Float64())
		}
	case 3:
		for i := range d {
			d[i] = []float64{top, top / cond}[rng.IntN(2)]
		}
	case 4:
		for i := range d {
			d[i] = top * math.Pow(cond, -rng.Float64())
		}
	}
	return withSpectrum(randomBasis(rng, n), d)
}

// newRand returns a source from a seed that failing tests print.
func newRand(seed uint64) *rand.Rand {
	var s [32]byte
	for i := range 8 {
		s[i] = byte(seed >> (8 * i))
	}
	return rand.New(rand.NewChaCha8(s))
}
