package engine

import (
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
)

// Mask is a random mask: element i is 0 where number i of rand.NewPCG(Seed, Step), of which the upper 53 bits count, is below Rate in [0, 1), and Keep
// elsewhere. All devices draw the same one.
type Mask[T dense.Float] struct {
	Seed, Step uint64
	Rate       float64
	Keep       T
}

// Limit is the least number of 53 bits that is kept.
func (m *Mask[T]) Limit() uint64 { return uint64(m.Rate * (1 << 53)) }

// Mask implements Elements.
func (*cpu[T]) Mask(m Mask[T], mask []T) {
	var source rand.PCG
	source.Seed(m.Seed, m.Step)
	limit := m.Limit()
	for i := range mask {
		mask[i] = 0
		if source.Uint64()>>11 >= limit {
			mask[i] = m.Keep
		}
	}
}
