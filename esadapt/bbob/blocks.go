package bbob

import (
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
)

// blockSize is the largest rotation of the large-scale functions.
const blockSize = 40

// spin is an orthogonal map of many variables that costs O(40 n): a permutation, rotations of blocks of 40 variables, another permutation.
type spin struct {
	blocks   []dense.Matrix[float64] // block k maps x to x times it
	from, to []int                   // before the rotations variable i is from[i]; after them variable i goes to to[i]
}

// newSpin takes the rotations from one seed, the permutations from two more.
func newSpin(n int, rotations, before, after int64) *spin {
	s := &spin{from: swaps(before, n), to: make([]int, n)}
	for i, k := range swaps(after, n) {
		s.to[k] = i
	}
	for at := 0; at < n; at += blockSize {
		s.blocks = append(s.blocks, rotation(rotations+1e6*int64(at/blockSize), min(blockSize, n-at)))
	}
	return s
}

// apply sets dst to the image of x.
func (s *spin) apply(dst, x []float64) {
	at := 0
	for _, b := range s.blocks {
		to := s.to[at : at+b.Cols]
		for _, k := range to {
			dst[k] = 0
		}
		for j := range b.Rows {
			v := x[s.from[at+j]]
			for c, r := range b.Row(j) {
				dst[to[c]] += v * r
			}
		}
		at += b.Rows
	}
}

// invert sets dst to the point whose image is y.
func (s *spin) invert(dst, y []float64) {
	at := 0
	for _, b := range s.blocks {
		for j := range b.Rows {
			var v float64
			for c, r := range b.Row(j) {
				v += r * y[s.to[at+c]]
			}
			dst[s.from[at+j]] = v
		}
		at += b.Rows
	}
}

// swaps returns a permutation of n > 40 variables: in random order each changes places with one that is at most n/3 away. Of 40 and fewer it is the identity.
func swaps(seed int64, n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	if n <= blockSize {
		return p
	}
	for k, first := range order(uniform(n, seed)) {
		low, high := max(0, first-n/3), min(n-1, first+n/3)
		second := low + int(uniform(1, seed+1000*int64(k+1))[0]*float64(high-low))
		if second >= first {
			second++
		}
		p[first], p[second] = p[second], p[first]
	}
	return p
}

// stage maps x to y; both live in one of the two vectors, and the other one is spare.
type stage func(x, spare []float64) (y, rest []float64)

// chained makes the evaluation of core after the stages.
func chained(core func(x []float64) float64, stages ...stage) func(x []float64, w *scratch) float64 {
	return func(x []float64, w *scratch) float64 {
		a, b := w.a, w.b
		copy(a, x)
		for _, s := range stages {
			a, b = s(a, b)
		}
		return core(a)
	}
}

// each is a stage that changes every coordinate by itself.
func each(change func(x []float64)) stage {
	return func(x, spare []float64) ([]float64, []float64) {
		change(x)
		return x, spare
	}
}

func (s *spin) stage(x, spare []float64) ([]float64, []float64) {
	s.apply(spare, x)
	return spare, x
}

func less(center []float64) stage { return each(func(x []float64) { difference(x, x, center) }) }

func times(w []float64) stage {
	return each(func(x []float64) {
		for i := range x {
			x[i] *= w[i]
		}
	})
}

// affine is the stage scale x + offset.
func affine(scale, offset float64) stage {
	return each(func(x []float64) {
		for i, v := range x {
			x[i] = scale*v + offset
		}
	})
}

func bent(beta float64) stage { return each(func(x []float64) { asymmetric(x, beta) }) }

var waved = each(oscillateAll)

// axesOf returns how many of n axes the generalised cigar, discus and ridge single out: one in 40.
func axesOf(n int) int { return int(math.Ceil(float64(n) / blockSize)) }

func constant(n int, v float64) []float64 { return slices.Repeat([]float64{v}, n) }
