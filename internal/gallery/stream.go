// Package gallery makes the matrices that tests and benchmarks share: seeded random SPD matrices of exactly known spectrum and the standard
// problems built from them, and classical matrices whose eigenvalues or inverses are known in closed form.
//
// The random recipes are defined by arithmetic that any language repeats (testdata/recipes.py is the same in NumPy), so that programs
// compared with each other see the same input:
//
//	bits     k-th 64-bit word of a seed: SplitMix64 at state seed + (k+1) 0x9E3779B97F4A7C15 (Steele, Lea, Flood, OOPSLA 2014)
//	uniform  ((word >> 11) + 1/2) 2^-53
//	normal   Box-Muller on words 2k, 2k+1: sqrt(-2 log u) cos(2 pi v), then sqrt(-2 log u) sin(2 pi v); matrices are filled row by row
//	Q(seed)  the orthogonal factor of an n x n normal matrix by Householder QR, signs such that R has a positive diagonal
//	SPD      Q diag(lambda) Q^T with lambda_i = kappa^(i/(n-1) - 1/2), i = 0 ... n-1: condition kappa, determinant 1
package gallery

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// Stream yields the pseudo-random numbers of one seed. The zero value is the stream of seed 0.
type Stream struct {
	state    uint64
	second   float64
	buffered bool
}

// NewStream returns the stream of seed.
func NewStream(seed uint64) *Stream { return &Stream{state: seed} }

// Uint64 returns the next 64 bits.
func (s *Stream) Uint64() uint64 {
	s.state += 0x9E3779B97F4A7C15
	z := s.state
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// Uniform returns the next number in the open interval (0, 1).
func (s *Stream) Uniform() float64 { return (float64(s.Uint64()>>11) + 0.5) * 0x1p-53 }

// Normal returns the next standard normal number.
func (s *Stream) Normal() float64 {
	if s.buffered {
		s.buffered = false
		return s.second
	}
	r := math.Sqrt(-2 * math.Log(s.Uniform()))
	sin, cos := math.Sincos(2 * math.Pi * s.Uniform())
	s.second, s.buffered = r*sin, true
	return r * cos
}

// Normals returns a rows x cols matrix of the next standard normal numbers.
func (s *Stream) Normals(rows, cols int) dense.Matrix[float64] {
	a := dense.New[float64](rows, cols)
	for i := range a.Data {
		a.Data[i] = s.Normal()
	}
	return a
}
