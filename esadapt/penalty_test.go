package esadapt

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The weights start anew in the second generation of every run, whatever came before it.
func TestPenaltyCountsGenerationsOfTheRun(t *testing.T) {
	s := newSearch(t, Options{X0: []float64{5, 5}, Lower: []float64{0, 0}, Upper: []float64{10, 10}, Sigma0: 2, Bounds: BoundPenalty, Seed: 1})
	s.strat.(Mover).SetMean([]float64{-1 / s.space.scale[0], 1})
	require.NotZero(t, s.penalty.excess(0, s.strat.(Distribution).Mean()[0]))
	for range 2 {
		var gamma []float64
		for _, spread := range []float64{1, 3, 2, 2} {
			s.fitness = s.fitness[:0]
			for i := range s.PopSize() {
				s.fitness = append(s.fitness, spread*float64(i))
			}
			s.penalty.learn(s)
			gamma = append(gamma, s.penalty.gamma[0])
		}
		require.InDelta(t, 3, gamma[1]/gamma[0], 1e-12) // the median of two ranges is the larger one
		require.Equal(t, gamma[1], gamma[2])
		require.Equal(t, gamma[1], gamma[3])
		s.penalty.reset()
	}
}
