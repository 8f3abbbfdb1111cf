package problem

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

// recipe is the portable random stream of the benchmark recipes: a SplitMix64 counter and Box-Muller.
type recipe struct {
	state uint64
	spare float64
	have  bool
}

func (r *recipe) uniform() float64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return (float64(z>>11) + 0.5) / (1 << 53)
}

func (r *recipe) normal() float64 {
	if r.have {
		r.have = false
		return r.spare
	}
	a, b := math.Sqrt(-2*math.Log(r.uniform())), 2*math.Pi*r.uniform()
	r.spare, r.have = a*math.Sin(b), true
	return a * math.Cos(b)
}

// orthogonal returns the Q of a Householder QR of a Gaussian matrix, with the diagonal of R positive.
func (r *recipe) orthogonal(n int) *mat.Dense {
	g := mat.NewDense(n, n, nil)
	for i := range n {
		for j := range n {
			g.Set(i, j, r.normal())
		}
	}
	var qr mat.QR
	qr.Factorize(g)
	var q, rr mat.Dense
	qr.QTo(&q)
	qr.RTo(&rr)
	for j := range n {
		if rr.At(j, j) < 0 {
			for i := range n {
				q.Set(i, j, -q.At(i, j))
			}
		}
	}
	return &q
}

// spd returns Q diag(d) Q' with log-spaced d of condition kappa and geometric mean 1.
func spd(seed uint64, n int, kappa float64) *mat.SymDense {
	r := &recipe{state: seed}
	d := make([]float64, n)
	for i := range d {
		if n > 1 {
			d[i] = math.Exp(math.Log(kappa) * (float64(i)/float64(n-1) - 0.5))
		} else {
			d[i] = 1
		}
	}
	return assemble(r.orthogonal(n), d)
}

func assemble(q *mat.Dense, d []float64) *mat.SymDense {
	n := len(d)
	w := mat.NewDense(n, n, nil)
	for i := range n {
		for j := range n {
			w.Set(i, j, q.At(i, j)*d[j])
		}
	}
	out := dense.New[float64](n, n)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, view(w), view(q), 0, out)
	dense.Mirror(out)
	return mat.NewSymDense(n, out.Data)
}

// scattered returns count matrices with independent eigenbases.
func scattered(n, count int, kappa float64) []mat.Symmetric {
	out := make([]mat.Symmetric, count)
	for k := range out {
		out[k] = spd(uint64(2000+k), n, kappa)
	}
	return out
}

// pairs returns count matrices C^1/2 exp(+-S_j) C^1/2 whose mean is exactly C, and C.
func pairs(n, count int, kappa float64) ([]mat.Symmetric, *mat.SymDense) {
	c := spd(1000, n, kappa)
	root := power(c, 0.5)
	out := make([]mat.Symmetric, 0, count)
	for j := range count / 2 {
		r := &recipe{state: uint64(1001 + j)}
		q := r.orthogonal(n)
		d := make([]float64, n)
		for i := range d {
			d[i] = math.Exp(0.5 * r.normal())
		}
		for range 2 {
			e := assemble(q, d)
			var a, b mat.Dense
			a.Mul(root, e)
			b.Mul(&a, root)
			s := mat.NewSymDense(n, nil)
			for i := range n {
				for l := i; l < n; l++ {
					s.SetSym(i, l, (b.At(i, l)+b.At(l, i))/2)
				}
			}
			out = append(out, s)
			for i := range d {
				d[i] = 1 / d[i]
			}
		}
	}
	return out, c
}

func power(a mat.Symmetric, p float64) *mat.SymDense {
	var e mat.EigenSym
	if !e.Factorize(a, true) {
		panic("eigendecomposition failed")
	}
	d := e.Values(nil)
	var q mat.Dense
	e.VectorsTo(&q)
	for i := range d {
		d[i] = math.Pow(d[i], p)
	}
	return assemble(&q, d)
}

// gaussian returns N zero-mean samples with covariance spd(5000, n, kappa).
func gaussian(n, N int, kappa float64) *mat.Dense {
	root := power(spd(5000, n, kappa), 0.5)
	r := &recipe{state: 5001}
	g := mat.NewDense(N, n, nil)
	for i := range N {
		for j := range n {
			g.Set(i, j, r.normal())
		}
	}
	var x mat.Dense
	x.Mul(g, root)
	return &x
}
