package curvature

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt"
)

// MonteCarloGGN is the Gauss-Newton matrix with the Hessian of c replaced by the mean over Samples of v v^T, v the gradient of c at a target drawn from the
// model for each row of the outputs: the Monte-Carlo Fisher matrix. Every product draws the same vectors, row after row of the data, so that it is one
// symmetric positive semidefinite matrix, however the data are cut into batches. Its mean is the Fisher matrix, which is the Gauss-Newton matrix for
// losses that are the negative log-likelihood of an exponential family in its natural parameters. A product costs Samples + 1 passes, forward
// and backward, of which the first carries tangents.
type MonteCarloGGN[T nnopt.Float] struct {
	symmetric
	r       *Risk[T]
	samples int
	seed    uint64
	v       []T
	memory  []T
}

// NewMonteCarloGGN returns the operator for a positive number of samples.
func NewMonteCarloGGN[T nnopt.Float](r *Risk[T], samples int, seed uint64) (*MonteCarloGGN[T], error) {
	if samples < 1 || samples > mostSamples {
		return nil, dataError("samples", "must be from 1 to %d, not %d", mostSamples, samples)
	}
	if err := r.exists(); err != nil {
		return nil, err
	}
	g := &MonteCarloGGN[T]{r: r, samples: samples, seed: seed, v: make([]T, r.Dim())}
	g.symmetric = symmetric{r.Dim(), g.product}
	return g, nil
}

func (g *MonteCarloGGN[T]) product(dst, x []float64) {
	defer g.r.enter()()
	narrow(g.v, x)
	clear(dst)
	streams := drawStreams(g.seed, g.samples)
	for b := range g.r.Data {
		view := g.r.Net.JVP(b, g.v)
		n := view.Rows * view.Cols
		g.memory = grown(g.memory, 4*n)
		matrix := func(k int) nnopt.Matrix[T] { return dense.Wrap(view.Rows, view.Cols, g.memory[k*n:(k+1)*n]) }
		out, d, draw, u := matrix(0), matrix(1), matrix(2), matrix(3)
		d.Copy(view)
		out.Copy(g.r.Net.Outputs())
		u.Zero()
		for _, r := range streams {
			g.r.curved.Draw(out, &b.Target, r, draw)
			for i := range draw.Rows {
				row := draw.Row(i)
				dense.Axpy(dense.Dot(row, d.Row(i))/T(g.samples), row, u.Row(i))
			}
		}
		g.r.Net.PullBack(u)
		g.r.addGradients(dst, g.r.factor)
	}
}

// mostSamples bounds the targets drawn for an output, each from a stream of its own.
const mostSamples = 1 << 16

// drawStreams returns the random numbers of each of several samples.
func drawStreams(seed uint64, samples int) (all []*rand.Rand) {
	for k := range samples {
		var key [32]byte
		binary.LittleEndian.PutUint64(key[:], seed)
		binary.LittleEndian.PutUint64(key[8:], uint64(k))
		all = append(all, rand.New(rand.NewChaCha8(key)))
	}
	return all
}
