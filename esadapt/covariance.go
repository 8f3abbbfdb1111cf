package esadapt

import (
	"cmp"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/spectral"
)

// covariance is C = B diag(d) B^T together with the increments that have not been folded in yet. The pending target is
//
//	keep C + B diag(sd) T diag(sd) B^T,
//
// where T is summed from weighted whitened vectors: rows of pending, then T itself once the rows are full. Recursions over several
// generations in a fixed basis are exact; only the samples of the meantime come from the older C.
type covariance struct {
	n       int
	factor  *spectral.Factor
	basis   dense.Matrix[float64] // view of B
	sd      []float64             // square roots of d
	keep    float64
	rows    dense.Matrix[float64] // pending whitened vectors
	scaled  dense.Matrix[float64] // scratch of the same shape
	weights []float64             // of the pending rows
	used    int
	sum     dense.Matrix[float64] // T, upper triangle
	sumSym  *mat.SymDense         // the same memory
	filled  bool                  // T is not zero
	shrunk  float64               // T is shrunk times sum
	step    spectral.Step
	ambient []float64
}

// pendingRows is how many whitened vectors are collected before they enter T in one product: enough for the kernel to run at speed.
const pendingRows = 192

func newCovariance(n, perGeneration, batch int, t *Tuning) *covariance {
	c := &covariance{n: n, factor: spectral.Identity(n, 1), keep: 1, shrunk: 1}
	capacity := max(perGeneration, min(perGeneration*batch, max(pendingRows/perGeneration, 1)*perGeneration))
	if whole := perGeneration * batch; n >= leastWatched && n <= mostWatched && whole <= 4*pendingRows {
		capacity = whole
	}
	c.rows, c.scaled = dense.New[float64](capacity, n), dense.New[float64](capacity, n)
	c.weights = make([]float64, capacity)
	c.sum = dense.New[float64](n, n)
	c.sumSym = mat.NewSymDense(n, c.sum.Data)
	c.sd = make([]float64, n)
	c.ambient = make([]float64, n)
	c.step = spectral.Step{MaxSweeps: cmp.Or(t.Sweeps, 2)}
	if t.Exact {
		c.step = spectral.Step{Tol: 1e-15, MaxSweeps: 60}
	}
	c.read()
	return c
}

// read refreshes what is derived from the factor.
func (c *covariance) read() {
	c.basis = dense.Of(c.factor.Basis().RawMatrix())
	dense.Sqrt(c.sd, c.factor.Eigenvalues())
}

// decay multiplies everything, C and what is pending, by 1 - a.
func (c *covariance) decay(a float64) {
	c.keep *= 1 - a
	for i := range c.weights[:c.used] {
		c.weights[i] *= 1 - a
	}
	c.shrunk *= 1 - a
}

// add appends w v v^T for a whitened vector v.
func (c *covariance) add(w float64, v []float64) {
	if c.used == c.rows.Rows {
		c.flush()
	}
	copy(c.rows.Row(c.used), v)
	c.weights[c.used] = w
	c.used++
}

// flush moves the pending rows into T.
func (c *covariance) flush() {
	if c.used == 0 {
		return
	}
	v, wv := c.rows.View(0, 0, c.used, c.n), c.scaled.View(0, 0, c.used, c.n)
	for i := range c.used {
		from, to, w := v.Row(i), wv.Row(i), c.weights[i]
		for j, x := range from {
			to[j] = w * x
		}
	}
	beta := 0.0
	if c.filled {
		beta = c.shrunk
	}
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, v, wv, beta, c.sum)
	c.used, c.filled, c.shrunk = 0, true, 1
}

// fold turns the basis towards the pending target and carries the given vectors, coordinates in the basis, over to the new one.
func (c *covariance) fold(paths ...[]float64) spectral.Report {
	c.flush()
	if c.filled {
		for i, si := range c.sd {
			row := c.sum.Row(i)
			for j := i; j < c.n; j++ {
				row[j] *= c.shrunk * si * c.sd[j]
			}
		}
	}
	inc := spectral.Increment{Decay: 1 - c.keep, InBasis: true}
	if c.filled {
		inc.Dense = c.sumSym
	}
	for _, p := range paths {
		c.toAmbient(p)
	}
	report := c.factor.Update(inc, &c.step)
	c.read()
	for _, p := range paths {
		c.fromAmbient(p)
	}
	c.keep, c.filled, c.shrunk = 1, false, 1
	return report
}

// toAmbient replaces coordinates in the basis by those of the space, fromAmbient the other way round.
func (c *covariance) toAmbient(p []float64) {
	dense.Gemv(dense.NoTrans, 1, c.basis, p, 0, c.ambient)
	copy(p, c.ambient)
}

func (c *covariance) fromAmbient(p []float64) {
	dense.Gemv(dense.Transposed, 1, c.basis, p, 0, c.ambient)
	copy(p, c.ambient)
}

// color sets y = z diag(sd) B^T, row by row; tmp has the shape of z.
func (c *covariance) color(y, z, tmp dense.Matrix[float64]) {
	for i := range z.Rows {
		from, to := z.Row(i), tmp.Row(i)
		for j, s := range c.sd {
			to[j] = s * from[j]
		}
	}
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, tmp, c.basis, 0, y)
}

// whitenOne sets z = diag(1/sd) B^T y.
func (c *covariance) whitenOne(z, y []float64) {
	dense.Gemv(dense.Transposed, 1, c.basis, y, 0, z)
	for j, s := range c.sd {
		z[j] /= s
	}
}

// diagonal sets dst to the standard deviations of the coordinates, times scale.
func (c *covariance) diagonal(dst []float64, scale float64) {
	for i := range c.n {
		var s float64
		for j, b := range c.basis.Row(i) {
			s += b * b * c.sd[j] * c.sd[j]
		}
		dst[i] = scale * math.Sqrt(s)
	}
}

// extremes returns the shortest and the longest axis.
func (c *covariance) extremes() (lo, hi float64) {
	return extremes(c.sd)
}

func (c *covariance) archive(a *archive) {
	raw, err := c.factor.MarshalBinary()
	if err != nil {
		a.fail("%v", err)
		return
	}
	a.bytes(&raw)
	if a.reading && a.err == nil {
		if err := c.factor.UnmarshalBinary(raw); err != nil {
			a.fail("%v", err)
			return
		}
		if c.factor.Dim() != c.n {
			a.fail("covariance has dimension %d, here it is %d", c.factor.Dim(), c.n)
			return
		}
		c.read()
	}
	a.float(&c.keep)
	a.bool(&c.filled)
	a.float(&c.shrunk)
	if c.filled {
		a.matrix(c.sum)
	}
	a.int(&c.used)
	if a.err == nil && (c.used < 0 || c.used > c.rows.Rows) {
		a.fail("%d pending rows where %d fit", c.used, c.rows.Rows)
		return
	}
	a.matrix(c.rows.View(0, 0, c.used, c.n))
	a.fixed(c.weights[:c.used])
}

// axis sets dst to column k of B diag(sd).
func (c *covariance) axis(dst []float64, k int) {
	for i := range dst {
		dst[i] = c.basis.At(i, k) * c.sd[k]
	}
}

// colorOne sets y = B diag(sd) z.
func (c *covariance) colorOne(y, z []float64) {
	for j, s := range c.sd {
		c.ambient[j] = s * z[j]
	}
	dense.Gemv(dense.NoTrans, 1, c.basis, c.ambient, 0, y)
}

// axes returns sd, a view.
func (c *covariance) axes() []float64 { return c.sd }
