package problem

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
)

var gmm = Problem{
	Name:  "gmm",
	What:  "Gaussian mixture by maximum likelihood; the solution is the covariance of the mixture, with weights, means and covariances beside it",
	Input: "samples (N x n) and the number of components",
	Takes: Samples,
	Uses:  []string{"components", "seed"},
	Own: []Method{{
		Name: "accelerated-em",
		What: "expectation-maximization, each step to the largest likelihood over the plane of its step and the last one, from the best of four seeded starts " +
			"(k-means++, 10 steps of em each, 20 for the better two); from there em alone where that ends in a collapse",
		direct: gmmBy(true),
	}, {
		Name:   "trust",
		What:   "Riemannian trust region on lifted matrices of order n + 1 (Hosseini and Sra, Math. Program. 181 (2020)), from the same start",
		direct: gmmTrust, resumes: true,
	}, {
		Name:   "em",
		What:   "expectation-maximization from the same start, as a cross-check",
		direct: gmmBy(false),
	}},
}

const (
	gmmStarts = 4
	gmmShort  = 10 // iterations of each start before the better half makes as many again
)

// gmmStart checks the data and returns the best start.
func gmmStart(d *Data, o *Options) (*mixture, error) {
	x, err := checkSamples(d.Samples)
	if err != nil {
		return nil, err
	}
	k := o.Components
	if k == 0 {
		k = 2
	}
	if x.Rows <= k*x.Cols {
		return nil, &DataError{count: true, Err: fmt.Errorf("%d samples of dimension %d for %d components: each needs more samples than dimensions", x.Rows, x.Cols, k),
			Remedy: "give more samples, fewer components, or " + shrinkageRemedy}
	}
	s, err := newMixtureSamples(x)
	if err != nil {
		return nil, &DataError{Where: "sample covariance", Err: err, Remedy: "the samples lie in a hyperplane: drop dependent columns, or " + shrinkageRemedy}
	}
	g, err := s.bestStart(k, o.Seed)
	if err != nil {
		return nil, gmmError(err)
	}
	return g, nil
}

func gmmError(err error) error {
	return &DataError{Err: err, Remedy: "ask for fewer components, give more samples, or try another seed"}
}

// bestStart makes a few iterations from each start, as many again from the better half of them, and returns the mixture with the largest likelihood.
func (s *mixtureSamples) bestStart(k int, seed uint64) (*mixture, error) {
	var key [32]byte
	for b := range 8 {
		key[b] = byte(seed >> (8 * b))
	}
	rng := rand.New(rand.NewChaCha8(key))
	g := newMixture(s, k)
	if k == 1 {
		g.stage = double
	}
	var starts []gmmTrial
	for range gmmStarts {
		g.plusPlus(rng)
		starts = append(starts, gmmTrial{parts: g.components()})
		if k == 1 {
			break
		}
	}
	for {
		for i := range starts {
			starts[i].advance(g)
		}
		slices.SortStableFunc(starts, func(a, b gmmTrial) int { return cmp.Compare(b.value, a.value) })
		if starts[0].err != nil {
			return nil, starts[0].err
		}
		if len(starts) <= gmmStarts/2 {
			copyComponents(g.parts, starts[0].parts)
			return g, nil
		}
		starts = starts[:gmmStarts/2]
	}
}

// gmmTrial is a start on trial, with the likelihood one iteration before.
type gmmTrial struct {
	parts []component
	value float64
	err   error
}

// advance makes gmmShort iterations, with g as scratch.
func (t *gmmTrial) advance(g *mixture) {
	if t.err != nil {
		return
	}
	copyComponents(g.parts, t.parts)
	for range gmmShort {
		t.value = g.respond()
		g.collect(g.precision())
		if t.err = g.fit(); t.err != nil {
			t.value = math.Inf(-1)
			return
		}
	}
	copyComponents(t.parts, g.parts)
}

// plusPlus draws means among the samples with probability growing as the squared distance to those already drawn, in the metric of the pooled
// covariance, which every component starts with.
func (g *mixture) plusPlus(rng *rand.Rand) {
	N, d, k := g.y.Rows, g.y.Cols, len(g.parts)
	nearest, from := make([]float64, N), make([]float64, d)
	pick := rng.IntN(N)
	for c := range k {
		g.parts[c].share = 1 / float64(k)
		l := g.parts[c].l
		l.Identity()
		for j, v := range g.y.Row(pick) {
			l.Set(j, 0, v)
		}
		g.parts[c].invert()
		var sum float64
		for i := range N {
			copy(from, g.y.Row(i))
			dense.Axpy(-1, g.y.Row(pick), from)
			if q := dense.Dot(from, from); c == 0 || q < nearest[i] {
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
