package data

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/matio"
)

// Float is the set of element types of examples: float32 and float64.
type Float = dense.Float

// Matrix is a row-major matrix, the same type as nnopt.Matrix.
type Matrix[T Float] = dense.Matrix[T]

// Set is N examples of equally many rows of X, with a class or a row of values for each.
type Set[T Float] struct {
	X       Matrix[T] // N*S x features
	N       int
	Classes []int32   // of the examples, or nil
	Values  Matrix[T] // N rows, or empty
}

// Part returns examples from (included) to end (excluded); it shares memory with s.
func (s *Set[T]) Part(from, end int) *Set[T] {
	per := s.X.Rows / s.N
	p := &Set[T]{X: s.X.View(from*per, 0, (end-from)*per, s.X.Cols), N: end - from}
	if s.Classes != nil {
		p.Classes = s.Classes[from:end]
	}
	if s.Values.Rows > 0 {
		p.Values = s.Values.View(from, 0, end-from, s.Values.Cols)
	}
	return p
}

// Split returns the first examples for training and the given share of them, at the end, for validation. Both have at least one.
func (s *Set[T]) Split(validation float64) (train, valid *Set[T], err error) {
	n := int(float64(s.N)*validation + 0.5)
	if n < 1 || n >= s.N {
		return nil, nil, fmt.Errorf("%d examples cannot be split into training and %g of validation", s.N, validation)
	}
	if s.X.Rows%s.N != 0 || s.X.Rows == 0 || s.Classes != nil && len(s.Classes) != s.N || s.Values.Rows > 0 && s.Values.Rows != s.N {
		return nil, nil, fmt.Errorf("%d rows, %d classes and %d rows of values are not those of %d examples", s.X.Rows, len(s.Classes), s.Values.Rows, s.N)
	}
	return s.Part(0, s.N-n), s.Part(s.N-n, s.N), nil
}

// Gather copies the examples of the given numbers into dst, whose memory is used again if it fits.
func (s *Set[T]) Gather(numbers []int, dst *Set[T]) {
	per := s.X.Rows / s.N
	dst.N = len(numbers)
	dst.X = sized(dst.X, len(numbers)*per, s.X.Cols)
	for k, i := range numbers {
		dst.X.View(k*per, 0, per, s.X.Cols).Copy(s.X.View(i*per, 0, per, s.X.Cols))
	}
	if s.Classes != nil {
		dst.Classes = dst.Classes[:0]
		for _, i := range numbers {
			dst.Classes = append(dst.Classes, s.Classes[i])
		}
	}
	if s.Values.Rows > 0 {
		dst.Values = sized(dst.Values, len(numbers), s.Values.Cols)
		for k, i := range numbers {
			copy(dst.Values.Row(k), s.Values.Row(i))
		}
	}
}

func sized[T Float](m Matrix[T], rows, cols int) Matrix[T] {
	if cap(m.Data) < rows*cols {
		return dense.New[T](rows, cols)
	}
	return dense.Wrap(rows, cols, m.Data[:rows*cols])
}

// converted returns the elements in type T.
func converted[T Float](v []float64) []T {
	out := make([]T, len(v))
	for i, x := range v {
		out[i] = T(x)
	}
	return out
}

// Stream returns the random numbers of a purpose: a function of the seed, the first 16 bytes of the purpose and a counter.
func Stream(seed uint64, purpose string, counter int) *rand.Rand {
	return NewStreams(seed).At(purpose, counter)
}

// Streams are the random numbers of many purposes for one seed.
type Streams struct {
	seed   uint64
	source rand.ChaCha8
	r      *rand.Rand
}

// NewStreams returns the streams of a seed.
func NewStreams(seed uint64) *Streams {
	s := &Streams{seed: seed}
	s.r = rand.New(&s.source)
	return s
}

// At returns the same numbers as Stream; they are valid until the next call.
func (s *Streams) At(purpose string, counter int) *rand.Rand {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], s.seed)
	binary.LittleEndian.PutUint64(key[8:], uint64(counter))
	copy(key[16:], purpose)
	s.source.Seed(key)
	return s.r
}

// Order deals the numbers 0..n-1 out in batches: in each epoch all of them once in random order, apart from a rest smaller than a batch.
type Order struct {
	n, batch int
	streams  *Streams
	epoch    int // of order, or -1
	order    []int
}

// NewOrder returns the order of n examples in batches of the given size.
func NewOrder(n, batch int, seed uint64) (*Order, error) {
	if n < 1 {
		return nil, fmt.Errorf("there is no data")
	}
	if batch < 1 || batch > n {
		return nil, fmt.Errorf("a batch of %d from %d examples; it must be 1 to %d", batch, n, n)
	}
	return &Order{n: n, batch: batch, streams: NewStreams(seed), epoch: -1, order: make([]int, n)}, nil
}

// PerEpoch returns the number of batches in an epoch.
func (o *Order) PerEpoch() int { return o.n / o.batch }

// Batch returns the numbers of step 0, 1, ...: a function of the seed and the step. The slice is valid until the next call.
func (o *Order) Batch(step int) []int {
	per := o.PerEpoch()
	if epoch := step / per; epoch != o.epoch {
		o.epoch = epoch
		for i := range o.order {
			o.order[i] = i
		}
		o.streams.At("order", epoch).Shuffle(o.n, func(i, j int) { o.order[i], o.order[j] = o.order[j], o.order[i] })
	}
	k := step % per * o.batch
	return o.order[k : k+o.batch]
}

func badf(file, try, format string, args ...any) error {
	return &matio.Error{File: file, What: fmt.Sprintf(format, args...), Try: try}
}
