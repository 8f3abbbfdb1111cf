package roots

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// rootLimit is the largest r for which powers +-1/r are checked by products.
const rootLimit = 16

// residual measures, in float64, how well the scaled result meets its defining equation, and raises the bound where the residual proves an
// error above it.
func (j *job[T]) residual() {
	if j.Columns > 0 {
		return
	}
	n := j.N
	a, x := dense.New[float64](n, n), dense.New[float64](n, n)
	convert(a, j.a)
	convert(x, j.x)
	c := checker{n: n, a: a, x: x}
	r := j.rep
	k, root, ok := rootOf(j.Power, rootLimit)
	switch {
	case j.Kind == KindLog:
		r.ResidualOf, r.Residual = "||exp(X) - A||/||A||", c.inverseImage(math.Exp)
	case j.Kind == KindExp:
		r.ResidualOf, r.Residual = "||X - Q exp(l) Q^T||/||X||", c.againstSpectrum(math.Exp)
	case j.Power == 0:
		r.ResidualOf, r.Residual = "||X - I||/||I||", c.identity()
	case ok && k == 1:
		r.ResidualOf, r.Residual = "||X^(1/p) - A||/||A||", c.positiveRoot(root)
	case ok && k == -1 && j.rep.Rank == n:
		r.ResidualOf, r.Residual = "||X^s A X^t - I||/||I||, s + t = -1/p", c.inverseRoot(root)
		r.Bound = max(r.Bound, 2*-j.Power*(r.Residual*math.Sqrt(float64(n))-float64(n)*j.eps()*j.Cond))
	case ok && root == 1 && k > 0:
		r.ResidualOf, r.Residual = "||X - A^p||/||A^p||", c.integerPower(k)
	default:
		r.ResidualOf, r.Residual = "||X^(1/p) - A||/||A||", c.inverseImage(func(l float64) float64 {
			if l <= 0 {
				return 0
			}
			return math.Pow(l, 1/j.Power)
		})
	}
	r.Work += c.work
}

// checker evaluates residuals of a scaled result x for a, counting its products.
type checker struct {
	n    int
	a, x dense.Matrix[float64]
	work float64
}

func (c *checker) mul(p, q dense.Matrix[float64]) dense.Matrix[float64] {
	z := dense.New[float64](c.n, c.n)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, p, q, 0, z)
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

// againstSpectrum compares x with g(a) by a decomposition of a.
func (c *checker) againstSpectrum(g func(float64) float64) float64 {
	return relative(c.x, c.image(c.a, g))
}

func (c *checker) image(m dense.Matrix[float64], g func(float64) float64) dense.Matrix[float64] {
	q, w := m.Clone(), make([]float64, c.n)
	z := dense.New[float64](c.n, c.n)
	if !eigen.Sym(q, w) {
		return z
	}
	for i, l := range w {
		w[i] = g(l)
	}
	qf := q.Clone()
	scaleColumns(qf, w)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, qf, q, 0, z)
	dense.Mirror(z)
	c.work += 6.5
	return z
}

// relative returns ||x - y||_F / ||y||_F.
func relative[T dense.Float](x, y dense.Matrix[T]) float64 {
	var d, s float64
	for i := range x.Rows {
		yr := y.Row(i)
		for c, v := range x.Row(i) {
			e := float64(v) - float64(yr[c])
			d += e * e
			s += float64(yr[c]) * float64(yr[c])
		}
	}
	if s == 0 {
		return math.Sqrt(d)
	}
	return math.Sqrt(d / s)
}
