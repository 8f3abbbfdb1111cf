package esadapt

import (
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
)

// agreement decides how much of its haste the rank-mu update gets, from the run itself: all of it while successive updates agree about where C should go, none while they
// only add noise. What is averaged is the shape of what the ranking asks for,
//
//	M = sum_i w_i u_i u_i^T without its trace,   u_i = C^-1/2 y_i,
//
// with the symmetric root, so that M is the same in every basis. The average remembers as long as C does under full haste, so that its squared length over what independent M
// of mean zero would give it is 1 plus the signal-to-noise ratio of C; compare Nomura, Akimoto, Ono: "CMA-ES with learning rate adaptation" (arXiv:2401.15876), who hold that
// ratio constant by the rate. In 10 and 20 dimensions the excess over 1 is 1 to 3 while C learns an ellipsoid, 0.2 to 0.5 on Rosenbrock's function, 0 or less on the sphere,
// on noise, and among many optima before one is chosen.
//
// The increments of a batch are in the covariance already; agreement takes the paths out again. All methods may be called on nil, which decides nothing.
type agreement struct {
	cov     *covariance
	most    float64               // the haste
	rate    float64               // of the average, in one generation
	average dense.Matrix[float64] // in the coordinates of the space, upper triangle
	square  float64               // average of |M|^2
	past    float64               // weight that the start, zero, has in both averages
	share   float64               // of the haste, 0 to 1
	batch   int                   // generations
	paths   []int                 // pending rows that hold the path of C, one a generation
	m, tmp  dense.Matrix[float64]
}

// fullHaste is the excess at which all of the haste is given. Half or twice it and averages half or twice as long are within the noise of 15 trials a function in 20
// dimensions, but for f9, which learns slowly to the end: long averages and late haste cost it up to a half.
const fullHaste = 0.5

// Below leastWatched variables C is learnt before there is evidence for it: in two, where the shape has two numbers, waiting cost the area .011 (.465 for .476). Beyond
// mostWatched the haste, 5 % and less, is not worth O(n^3) a batch.
const (
	leastWatched = 5
	mostWatched  = 63
)

// watch makes the agreement of a covariance whose pending rows hold a whole batch, and gives the rates the haste to start with, none. It returns nil where nothing is to
// be decided.
func watch(r *rates, cov *covariance, lambda, batch int) *agreement {
	n := cov.n
	if n < leastWatched || n > mostWatched || cov.rows.Rows < (lambda+1)*batch {
		return nil
	}
	a := &agreement{cov: cov, most: haste(n, lambda), rate: r.cMu, past: 1, batch: batch, paths: make([]int, 0, batch)}
	a.average, a.m, a.tmp = dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n)
	r.hurry(1)
	return a
}

// path notes that the next row of the covariance is a path.
func (a *agreement) path() {
	if a != nil {
		a.paths = append(a.paths, a.cov.used)
	}
}

// decide sets the haste for the next batch, after one of so many generations and before its increments are folded in.
func (a *agreement) decide(r *rates, generations int) {
	if a == nil || generations == 0 {
		return
	}
	length := a.shape(1 / (r.cMu * float64(generations)))
	beta := 1 - math.Pow(1-a.rate, float64(generations))
	signal := a.follow(beta)
	a.past *= 1 - beta
	a.square += beta * (length - a.square)
	a.share = 0
	if a.square > 0 {
		noise := beta / (2 - beta)
		excess := signal*(1-a.past)/(a.square*noise) - (1 - a.past*a.past)
		a.share = max(0, min(1, excess/fullHaste))
	}
	r.hurry(1 + a.share*(a.most-1))
}

// shape sets m to scale times the rank-mu increments without their trace, in the basis and as a full matrix, and returns its squared length.
func (a *agreement) shape(scale float64) float64 {
	c, n := a.cov, a.cov.n
	c.flush()
	var trace float64
	for i := range n {
		to := a.m.Row(i)[i:]
		copy(to, c.sum.Row(i)[i:])
		for _, k := range a.paths {
			p := c.rows.Row(k)[i:]
			w := c.weights[k] * p[0]
			for j, v := range p {
				to[j] -= w * v
			}
		}
		trace += to[0]
	}
	a.paths = a.paths[:0]
	var length float64
	for i := range n {
		row := a.m.Row(i)[i:]
		row[0] -= trace / float64(n)
		dense.Scale(scale, row, row)
		length += 2*dense.Dot(row, row) - row[0]*row[0]
	}
	dense.Mirror(a.m)
	return length
}

// follow moves the average towards m, turned into the coordinates of the space, and returns its squared length.
func (a *agreement) follow(beta float64) float64 {
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, a.cov.basis, a.m, 0, a.tmp)
	dense.Scale(1-beta, a.average.Data, a.average.Data)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, beta, a.tmp, a.cov.basis, 1, a.average)
	var length float64
	for i := range a.cov.n {
		row := a.average.Row(i)[i:]
		length += 2*dense.Dot(row, row) - row[0]*row[0]
	}
	return length
}

// archive covers the rates too, as far as they follow from what is kept.
func (a *agreement) archive(to *archive, r *rates) {
	if a == nil {
		return
	}
	to.matrix(a.average)
	to.float(&a.square)
	to.float(&a.past)
	to.float(&a.share)
	if to.reading {
		a.paths = a.paths[:0]
	}
	to.ints(&a.paths)
	a.paths = slices.Grow(a.paths, max(0, a.batch-len(a.paths)))
	for _, k := range a.paths {
		if to.err == nil && (k < 0 || k >= a.cov.used) {
			to.fail("a path in row %d of %d", k, a.cov.used)
		}
	}
	if to.err == nil && !(a.share >= 0 && a.share <= 1) {
		to.fail("a share of %v", a.share)
	}
	if to.reading && to.err == nil {
		r.hurry(1 + a.share*(a.most-1))
	}
}
