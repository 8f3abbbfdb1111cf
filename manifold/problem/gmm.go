package problem

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

var gmm = Problem{
	Name:  "gmm",
	What:  "Gaussian mixture by maximum likelihood; the solution is the covariance of the mixture, with weights, means and covariances beside it",
	Input: "samples (N x n) and the number of components",
	Takes: Samples,
	Uses:  []string{"components", "seed"},
	Own: []Method{{
		Name:   "trust",
		What:   "Riemannian trust region on lifted matrices of order n + 1 (Hosseini and Sra, Math. Program. 181 (2020)), after 20 steps of em from the best of four seeded starts (k-means++)",
		direct: gmmTrust, resumes: true,
	}, {
		Name:   "em",
		What:   "expectation-maximization from the same starts, as a cross-check",
		direct: gmmEM,
	}},
}

const (
	gmmStarts = 4
	gmmShort  = 20 // iterations of each start before the best goes on
)

// mixture is a Gaussian mixture on samples x with the responsibilities of the last E step.
type mixture struct {
	x       dense.Matrix[float64]
	weights []float64
	means   dense.Matrix[float64] // K x n
	frames  []*manifold.Frame
	resp    dense.Matrix[float64] // N x K
	e, z    dense.Matrix[float64] // scratch, N x n and N x (n+1)
}

// gmmStart checks the data and returns the best start and the pooled covariance.
func gmmStart(d *Data, o *Options) (*mixture, *mat.SymDense, error) {
	x, err := checkSamples(d.Samples)
	if err != nil {
		return nil, nil, err
	}
	k := o.Components
	if k == 0 {
		k = 2
	}
	if x.Rows <= k*x.Cols {
		return nil, nil, &DataError{Err: fmt.Errorf("%d samples of dimension %d for %d components: each needs more samples than dimensions", x.Rows, x.Cols, k),
			Remedy: "give more samples, fewer components, or " + shrinkageRemedy}
	}
	pooled := newMixture(x, 1)
	pooled.resp.Copy(dense.Wrap(x.Rows, 1, ones(x.Rows)))
	if err := pooled.maximize(); err != nil {
		return nil, nil, &DataError{Where: "sample covariance", Err: err, Remedy: "the samples lie in a hyperplane: drop dependent columns, or " + shrinkageRemedy}
	}
	g, err := bestStart(x, k, o.Seed, pooled.frames[0])
	if err != nil {
		return nil, nil, gmmError(err)
	}
	return g, pooled.frames[0].Sym(), nil
}

func gmmError(err error) error {
	return &DataError{Err: err, Remedy: "ask for fewer components, give more samples, or try another seed"}
}

func gmmEM(d *Data, o *Options) (*outcome, error) {
	g, pooled, err := gmmStart(d, o)
	if err != nil {
		return nil, err
	}
	mon := newMonitor(&o.Solver, len(g.weights)*(g.x.Cols+1)*(g.x.Cols+1))
	for {
		cost := -g.expect()
		gradient, err := g.gradient()
		if err != nil {
			return nil, gmmError(err)
		}
		if mon.done(nil, cost, gradient, 1) {
			r := mon.result(nil, 0)
			r.Certificate = g.certificate()
			return g.outcome(r, pooled), nil
		}
		if err := g.maximize(); err != nil {
			return nil, gmmError(err)
		}
		mon.step(gradient)
		mon.status.Evaluations++
	}
}

func ones(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = 1
	}
	return v
}

func newMixture(x dense.Matrix[float64], k int) *mixture {
	return &mixture{x: x, weights: make([]float64, k), means: dense.New[float64](k, x.Cols), frames: make([]*manifold.Frame, k),
		resp: dense.New[float64](x.Rows, k), e: dense.New[float64](x.Rows, x.Cols), z: dense.New[float64](x.Rows, x.Cols+1)}
}

// bestStart runs a few iterations from each start and returns the mixture with the largest likelihood.
func bestStart(x dense.Matrix[float64], k int, seed uint64, pooled *manifold.Frame) (*mixture, error) {
	var key [32]byte
	for b := range 8 {
		key[b] = byte(seed >> (8 * b))
	}
	rng := rand.New(rand.NewChaCha8(key))
	var best *mixture
	bestValue, failed := math.Inf(-1), error(nil)
	for range gmmStarts {
		g := newMixture(x, k)
		g.plusPlus(rng, pooled)
		value, err := math.Inf(-1), error(nil)
		for i := 0; i <= gmmShort && err == nil; i++ {
			value = g.expect()
			if i < gmmShort {
				err = g.maximize()
			}
		}
		if err != nil {
			failed = err
		} else if value > bestValue {
			best, bestValue = g, value
		}
		if k == 1 {
			break
		}
	}
	if best == nil {
		return nil, failed
	}
	return best, nil
}

// plusPlus draws means among the samples with probability growing as the squared distance to those already drawn, in the metric of the pooled
// covariance, which every component starts with.
func (g *mixture) plusPlus(rng *rand.Rand, pooled *manifold.Frame) {
	N, k := g.x.Rows, len(g.weights)
	nearest := make([]float64, N)
	pick := rng.IntN(N)
	for c := range k {
		copy(g.means.Row(c), g.x.Row(pick))
		g.weights[c], g.frames[c] = 1/float64(k), pooled
		g.whiten(c)
		var sum float64
		for i := range N {
			if q := g.square(i); c == 0 || q < nearest[i] {
				nearest[i] = q
			}
			sum += nearest[i]
		}
		at := rng.Float64() * sum
		for pick = 0; pick < N-1 && at >= nearest[pick]; pick++ {
			at -= nearest[pick]
		}
	}
}

// whiten sets row i of z to F^-1 (x_i - m) for component c, with 1 as the last entry.
func (g *mixture) whiten(c int) {
	N, n := g.x.Rows, g.x.Cols
	for i := range N {
		e := g.e.Row(i)
		copy(e, g.x.Row(i))
		dense.Axpy(-1, g.means.Row(c), e)
		g.z.Set(i, n, 1)
	}
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, g.e, view(g.frames[c].Inverse()), 0, g.z.View(0, 0, N, n))
}

// square returns the squared distance of sample i from the mean that z was whitened for.
func (g *mixture) square(i int) float64 {
	z := g.z.Row(i)[:g.x.Cols]
	return dense.Dot(z, z)
}

// expect sets the responsibilities and returns the mean log-likelihood.
func (g *mixture) expect() float64 {
	n := float64(g.x.Cols)
	for c := range g.weights {
		g.whiten(c)
		constant := math.Log(g.weights[c]) - (n*math.Log(2*math.Pi)+g.frames[c].LogDet())/2
		for i := range g.x.Rows {
			g.resp.Set(i, c, constant-g.square(i)/2)
		}
	}
	return respond(g.resp)
}

// respond turns rows of logarithms of densities into responsibilities and returns the mean log-likelihood.
func respond(resp dense.Matrix[float64]) float64 {
	var total float64
	for i := range resp.Rows {
		row, top := resp.Row(i), math.Inf(-1)
		for _, l := range row {
			top = max(top, l)
		}
		var sum float64
		for c, l := range row {
			row[c] = math.Exp(l - top)
			sum += row[c]
		}
		dense.Scale(1/sum, row, row)
		total += top + math.Log(sum)
	}
	return total / float64(resp.Rows)
}

// maximize sets weights, means and covariances from the responsibilities.
func (g *mixture) maximize() error {
	N, n := g.x.Rows, g.x.Cols
	for c := range g.weights {
		var count float64
		m := g.means.Row(c)
		clear(m)
		for i := range N {
			dense.Axpy(g.resp.At(i, c), g.x.Row(i), m)
			count += g.resp.At(i, c)
		}
		if !(count > float64(n)*1e-3) {
			return fmt.Errorf("component %d has lost its samples", c)
		}
		dense.Scale(1/count, m, m)
		for i := range N {
			row := g.e.Row(i)
			copy(row, g.x.Row(i))
			dense.Axpy(-1, m, row)
			dense.Scale(math.Sqrt(g.resp.At(i, c)/count), row, row)
		}
		s := dense.New[float64](n, n)
		dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, g.e, g.e, 0, s)
		f, err := manifold.NewFrame(symmetric(s))
		if err != nil {
			return fmt.Errorf("component %d collapsed: %w", c, err)
		}
		g.weights[c], g.frames[c] = count/float64(N), f
	}
	return nil
}

// gradient returns the Riemannian gradient norm of the negative mean log-likelihood, in weights (as logarithms) and in lifted matrices
// S_c = [Sigma + mm', m; m', 1] (Hosseini and Sra, Math. Program. 181 (2020)): the whitened one of S_c is pi_c/2 (I - R), R = F^-1 S_c^next F^-T with
// S_c^next what EM would set. It is computed for the affine image in which Sigma = I and m = 0, under which it does not change.
func (g *mixture) gradient() (float64, error) {
	N, n := g.x.Rows, g.x.Cols
	var square float64
	for c := range g.weights {
		g.whiten(c)
		var count float64
		for i := range N {
			count += g.resp.At(i, c)
			dense.Scale(math.Sqrt(g.resp.At(i, c)), g.z.Row(i), g.z.Row(i))
		}
		r := dense.New[float64](n+1, n+1)
		dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, g.z, g.z, 0, r)
		for i := range n + 1 {
			for j := i; j < n+1; j++ {
				v, times := r.At(i, j), 2.0
				if i == j {
					v, times = v-count, 1
				}
				v /= 2 * float64(N)
				square += times * v * v
			}
		}
		w := count/float64(N) - g.weights[c]
		square += w * w
	}
	if math.IsNaN(square) {
		return 0, errors.New("the likelihood is not finite")
	}
	return math.Sqrt(square), nil
}

func (g *mixture) outcome(r *solve.Result, covariance *mat.SymDense) *outcome {
	labels := make([]float64, g.x.Rows)
	for i := range labels {
		best := 0
		for c, p := range g.resp.Row(i) {
			if p > g.resp.At(i, best) {
				best = c
			}
		}
		labels[i] = float64(best)
	}
	covariances := Part{Name: "covariances"}
	for _, f := range g.frames {
		covariances.Matrices = append(covariances.Matrices, manifold.DenseOf(f.Sym()))
	}
	return &outcome{run: r, n: g.x.Cols, count: g.x.Rows, solution: covariance, parts: []Part{vectorPart("weights", g.weights),
		{Name: "means", Matrices: []*mat.Dense{mat.NewDense(len(g.weights), g.x.Cols, g.means.Data)}}, covariances, vectorPart("labels", labels)}}
}
