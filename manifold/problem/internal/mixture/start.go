package mixture

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
)

const (
	startCount = 4
	startSteps = 10 // of EM from each start before the better half makes as many again
)

// Start makes a few iterations from each start, as many again from the better half of them, and returns the mixture with the largest likelihood.
func (s *Samples) Start(k int, seed uint64) (*Mixture, error) {
	var key [32]byte
	for b := range 8 {
		key[b] = byte(seed >> (8 * b))
	}
	rng := rand.New(rand.NewChaCha8(key))
	g := newMixture(s, k)
	if k == 1 {
		g.stage = double
	}
	var starts []trial
	for range startCount {
		g.plusPlus(rng)
		starts = append(starts, trial{parts: g.components()})
		if k == 1 {
			break
		}
	}
	for {
		for i := range starts {
			starts[i].advance(g)
		}
		slices.SortStableFunc(starts, func(a, b trial) int { return cmp.Compare(b.value, a.value) })
		if starts[0].err != nil {
			return nil, starts[0].err
		}
		if len(starts) <= startCount/2 {
			copyComponents(g.parts, starts[0].parts)
			return g, nil
		}
		starts = starts[:startCount/2]
	}
}

// trial is a start on trial, with the likelihood one iteration before.
type trial struct {
	parts []component
	value float64
	err   error
}

// advance makes startSteps iterations, with g as scratch.
func (t *trial) advance(g *Mixture) {
	if t.err != nil {
		return
	}
	copyComponents(g.parts, t.parts)
	for range startSteps {
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
func (g *Mixture) plusPlus(rng *rand.Rand) {
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
