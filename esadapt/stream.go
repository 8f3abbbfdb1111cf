package esadapt

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
)

// stream hands out random numbers that depend only on (seed, run, generation, index).
type stream struct {
	src  rand.ChaCha8
	rng  *rand.Rand
	seed uint64
	run  uint64
	key  [2]uint64 // of the counter-based normal numbers, drawn for (seed, run)
}

func newStream(seed, run uint64) *stream {
	s := &stream{seed: seed, run: run}
	s.rng = rand.New(&s.src)
	r := s.at(0, drawNormals)
	s.key = [2]uint64{r.Uint64(), r.Uint64()}
	return s
}

// normals fills z with the standard normal numbers of a generation; all generations of a run must ask for the same number of them.
func (s *stream) normals(z []float64, generation int) {
	whole := uint64(len(z)+15) &^ 15
	dense.FillNormal(z, s.key, uint64(generation)*whole)
}

// Indices of draws that belong to no candidate.
const (
	drawRestart    = 1<<63 + iota // population and start of a restart
	drawModel                     // start of a covariance model
	drawReevaluate                // number of re-evaluations
	drawNormals                   // key of the normal numbers
)

// at keys the stream to (generation, index) and returns it.
func (s *stream) at(generation int, index uint64) *rand.Rand {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[0:], s.seed)
	binary.LittleEndian.PutUint64(key[8:], s.run)
	binary.LittleEndian.PutUint64(key[16:], uint64(generation))
	binary.LittleEndian.PutUint64(key[24:], index)
	s.src.Seed(key)
	return s.rng
}

// again fills z with standard normal numbers for another attempt, counted from 1, at candidate index of a generation.
func (s *stream) again(z []float64, generation, index, attempt int) {
	fillNormal(z, s.at(generation, uint64(index)+uint64(attempt)<<32))
}

func fillNormal(z []float64, r *rand.Rand) {
	for i := range z {
		z[i] = r.NormFloat64()
	}
}
