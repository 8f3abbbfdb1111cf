package influence

import (
	"fmt"
	"iter"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/net"
)

// Matrix is a row-major matrix, see nnopt.Matrix.
type Matrix[T nnopt.Float] = nnopt.Matrix[T]

// Examples are data in batches; the order of the batches and of the examples in them numbers the examples. A loss with noise in it is averaged over Draws
// of the noise: every draw of a batch holds the same examples with new noise.
type Examples[T nnopt.Float] struct {
	Count int // batches
	Draws int // default 1
	// Batch returns batch i in a draw, always with the same content; it is valid until the next call.
	Batch func(i, draw int) *net.Batch[T]
}

// Fixed returns the examples of the given batches.
func Fixed[T nnopt.Float](batches ...*net.Batch[T]) Examples[T] {
	return Examples[T]{Count: len(batches), Batch: func(i, _ int) *net.Batch[T] { return batches[i] }}
}

func (e *Examples[T]) draws() int { return max(1, e.Draws) }

// part returns the batches from (included) to end (excluded).
func (e *Examples[T]) part(from, end int) Examples[T] {
	batch := e.Batch
	return Examples[T]{Count: end - from, Draws: e.Draws, Batch: func(i, draw int) *net.Batch[T] { return batch(from+i, draw) }}
}

// all goes through all draws of all batches.
func (e *Examples[T]) all() iter.Seq[*net.Batch[T]] {
	return func(yield func(*net.Batch[T]) bool) {
		for i := range e.Count {
			for d := range e.draws() {
				if !yield(e.Batch(i, d)) {
					return
				}
			}
		}
	}
}

// Validate reports what cannot be.
func (e *Examples[T]) Validate() error {
	if e.Count < 1 || e.Batch == nil {
		return dataError("examples", "there are none")
	}
	if e.Draws < 0 {
		return dataError("draws", "must be positive, not %d", e.Draws)
	}
	return nil
}

// DataError says which data or option cannot be used, and why.
type DataError = curvature.DataError

func dataError(what, format string, args ...any) error {
	return &DataError{What: what, Why: fmt.Sprintf(format, args...)}
}

var errNoNetwork = dataError("network", "is nil or empty; make it with net.New")

// Error is what a mistake in the calling program panics with.
type Error string

// Error returns the message.
func (e Error) Error() string { return "influence: " + string(e) }

func fail(format string, args ...any) { panic(Error(fmt.Sprintf(format, args...))) }

// guarded calls f and returns the panic of a package of the toolkit as an error: sizes that do not fit the network.
func guarded(where string, f func() error) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case error:
			err = dataError(where, "does not fit the network: %v", p)
		default:
			panic(p)
		}
	}()
	return f()
}

func notFinite[F nnopt.Float](v []F) int {
	for i, x := range v {
		if x-x != 0 {
			return i
		}
	}
	return -1
}

// checkMatrix reports a matrix that its elements do not fill, and numbers that are not finite.
func checkMatrix(what string, m Matrix[float64]) error {
	if !dense.Whole(m) {
		return dataError(what, "%d x %d with stride %d are not in %d elements", m.Rows, m.Cols, m.Stride, len(m.Data))
	}
	if k := notFinite(m.Data); k >= 0 {
		return dataError(what, "element %d is %v", k, m.Data[k])
	}
	return nil
}

// checkBatch reports numbers that are not finite and missing targets.
func checkBatch[T nnopt.Float](b *net.Batch[T], where string) error {
	if b == nil || b.N < 1 {
		return dataError(where, "has no examples")
	}
	if b.X.Rows%b.N != 0 {
		return dataError(where, "%d rows cannot belong to %d examples", b.X.Rows, b.N)
	}
	if k := notFinite(b.X.Data); k >= 0 {
		return dataError(where, "element %d of the inputs is %v", k, b.X.Data[k])
	}
	if k := notFinite(b.Target.Values.Data); k >= 0 {
		return dataError(where, "element %d of the targets is %v", k, b.Target.Values.Data[k])
	}
	return nil
}

// targetPart returns the targets of rows from (included) to end (excluded).
func targetPart[T nnopt.Float](t *net.Target[T], from, end int) net.Target[T] {
	var part net.Target[T]
	if t.Classes != nil {
		part.Classes = t.Classes[from:end]
	}
	if t.Values.Data != nil {
		part.Values = t.Values.View(from, 0, end-from, t.Values.Cols)
	}
	return part
}
