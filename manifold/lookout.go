package manifold

import (
	"fmt"

	"github.com/spdopt/spdopt/internal/dense"
)

// lookouts are copies of a point for the threads that look at data from there: logarithms and distances use the scratch space of their first point.
type lookouts struct {
	spaces dense.Spaces[lookout]
	x      Point
	moves  int
}

type lookout struct {
	at    Point
	v     []float64 // a tangent vector
	moves int       // those made when at was copied
}

func newLookouts(vectorLen int) *lookouts {
	l := new(lookouts)
	l.spaces.Make = func() *lookout { return &lookout{v: make([]float64, vectorLen)} }
	return l
}

// from sets the point, which must stay as it is until the next call.
func (l *lookouts) from(x Point) { l.x, l.moves = x, l.moves+1 }

// take returns one that nobody else gets until it is given back.
func (l *lookouts) take() *lookout {
	s := l.spaces.Take()
	if s.at == nil {
		s.at = l.x.Clone()
	} else if s.moves != l.moves {
		s.at.CopyFrom(l.x)
	}
	s.moves = l.moves
	return s
}

func (l *lookouts) give(s *lookout) { l.spaces.Give(s) }

// apart sets dst to what distance says of x and each of the frames.
func apart(dst []float64, x *Frame, frames []*Frame, distance func(p, q *Frame) (float64, error)) error {
	l := newLookouts(0)
	l.from(x)
	return dense.Each(len(frames), operations(len(frames), x.Dim()), func(k int) (err error) {
		s := l.take()
		defer l.give(s)
		if dst[k], err = distance(s.at.(*Frame), frames[k]); err != nil {
			return fmt.Errorf("manifold: matrix %d: %w", k, err)
		}
		return nil
	})
}

// operations is about the time of a decomposition of each of count matrices, for dense.Each: that of five products.
func operations(count, n int) int { return 5 * count * n * n * n }

// mostParts is the number of parts that data are split into for a sum of matrices, whatever the number of threads: the same bits for any.
const mostParts = 8

// total adds the upper triangles of the other matrices to that of the first one, which it returns.
func total(sums []dense.Matrix[float64]) dense.Matrix[float64] {
	all := sums[0]
	for _, m := range sums[1:] {
		for i := range m.Rows {
			dense.Axpy(1, m.Row(i)[i:], all.Row(i)[i:])
		}
	}
	return all
}
