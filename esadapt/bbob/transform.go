package bbob

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// uniform returns n numbers of the testbed's generator: Lehmer's minimal standard with a Bays-Durham shuffle of 32 entries.
func uniform(n int, seed int64) []float64 {
	if seed < 0 {
		seed = -seed
	}
	seed = max(seed, 1)
	next := func() int64 {
		q := seed / 127773
		seed = 16807*(seed-q*127773) - 2836*q
		if seed < 0 {
			seed += 2147483647
		}
		return seed
	}
	var table [32]int64
	for i := 39; i >= 0; i-- {
		v := next()
		if i < 32 {
			table[i] = v
		}
	}
	last := table[0]
	r := make([]float64, n)
	for i := range r {
		v := next()
		k := last / 67108865
		last, table[k] = table[k], v
		r[i] = float64(last) / 2147483647
		if r[i] == 0 {
			r[i] = 1e-99
		}
	}
	return r
}

// normal returns n standard normal numbers (Box-Muller on 2n uniform ones).
func normal(n int, seed int64) []float64 {
	u := uniform(2*n, seed)
	g := make([]float64, n)
	for i := range g {
		g[i] = math.Sqrt(-2*math.Log(u[i])) * math.Cos(2*math.Pi*u[n+i])
		if g[i] == 0 {
			g[i] = 1e-99
		}
	}
	return g
}

// optimalValue is a ratio of two normal numbers (Cauchy) times 100, rounded to two decimals, within [-1000, 1000].
func optimalValue(seed int64) float64 {
	v := math.RoundToEven(100*100*normal(1, seed)[0]/normal(1, seed+1)[0]) / 100
	return min(1000, max(-1000, v))
}

// optimum draws the optimum from [-4, 4]^n, rounded to four decimals and never zero.
func optimum(seed int64, n int) []float64 {
	x := uniform(n, seed)
	for i, u := range x {
		x[i] = 8*math.Floor(1e4*u)/1e4 - 4
		if x[i] == 0 {
			x[i] = -1e-5
		}
	}
	return x
}

// rotation returns an orthogonal matrix: the rows of a normal matrix, orthonormalised in order.
func rotation(seed int64, n int) dense.Matrix[float64] {
	b := dense.Wrap(n, n, normal(n*n, seed))
	for i := range n {
		ri := b.Row(i)
		for j := range i {
			rj := b.Row(j)
			c := dense.Dot(ri, rj)
			for k := range ri {
				ri[k] -= c * rj[k]
			}
		}
		s := math.Sqrt(dense.Dot(ri, ri))
		for k := range ri {
			ri[k] /= s
		}
	}
	return b
}

// between returns the n numbers base^0 ... base^1, evenly spaced in the exponent.
func between(base float64, n int) []float64 {
	s := make([]float64, n)
	for i := range s {
		s[i] = math.Pow(base, fraction(i, n))
	}
	return s
}

// fraction is i/(n-1), and 0 for n = 1.
func fraction(i, n int) float64 {
	if n == 1 {
		return 0
	}
	return float64(i) / float64(n-1)
}

// scaledProduct returns R1 diag(s) R2.
func scaledProduct(r1 dense.Matrix[float64], s []float64, r2 dense.Matrix[float64]) dense.Matrix[float64] {
	left := r1.Clone()
	scaleColumns(left, s)
	out := dense.New[float64](r1.Rows, r2.Cols)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, left, r2, 0, out)
	return out
}

// scaleColumns multiplies column j of m by s[j].
func scaleColumns(m dense.Matrix[float64], s []float64) {
	for i := range m.Rows {
		row := m.Row(i)
		for j := range row {
			row[j] *= s[j]
		}
	}
}

// rowTimes sets dst to the row vector x times m.
func rowTimes(dst, x []float64, m dense.Matrix[float64]) {
	dense.Gemv(dense.Transposed, 1, m, x, 0, dst)
}

// difference sets dst = x - y.
func difference(dst, x, y []float64) {
	for i, v := range x {
		dst[i] = v - y[i]
	}
}

// oscillate is T_osz of the testbed: a monotone, slightly wavy map of the line.
func oscillate(v float64) float64 {
	switch {
	case v > 0:
		l := 10 * math.Log(v)
		return math.Exp(0.1 * (l + 0.49*(math.Sin(l)+math.Sin(0.79*l))))
	case v < 0:
		l := 10 * math.Log(-v)
		return -math.Exp(0.1 * (l + 0.49*(math.Sin(0.55*l)+math.Sin(0.31*l))))
	}
	return v
}

func oscillateAll(x []float64) {
	for i, v := range x {
		x[i] = oscillate(v)
	}
}

// asymmetric is T_asy^beta: positive coordinates are stretched the more the further back they stand.
func asymmetric(x []float64, beta float64) {
	for i, v := range x {
		if v > 0 {
			x[i] = math.Pow(v, 1+beta*fraction(i, len(x))*math.Sqrt(v))
		}
	}
}

// outside is the sum of squared excesses over [-5, 5].
func outside(x []float64) float64 {
	var s float64
	for _, v := range x {
		if e := math.Abs(v) - 5; e > 0 {
			s += e * e
		}
	}
	return s
}

func sign(v float64) float64 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return v
}

func weightedSquares(x, w []float64) float64 {
	var s float64
	for i, v := range x {
		s += w[i] * v * v
	}
	return s
}

func squares(x []float64) float64 { return dense.Dot(x, x) }
