package dense

import (
	"math"
	"time"
	"unsafe"
)

// triangularTask is an operation with a triangular matrix cut into parts, most often into ranges of columns or rows that do not depend on each other. Each
// element is computed as in the whole, so the cutting does not change a bit.
type triangularTask[T Float] struct {
	kind         triangularKind
	tl           Trans
	l, b, dst    Matrix[T]
	count, parts int // columns or rows, and ranges of them
	board        *board
	limit        int // goroutines
	home         *workspace
}

type triangularKind uint8

const (
	solveColumns      triangularKind = iota // SolveLower, by columns
	solveRows                               // SolveLowerRight, by rows
	solveTriangle                           // SolveLowerTriangle, by columns
	solveHalf                               // SolveLowerHalf, by columns
	solveTriangleRows                       // SolveLowerTriangleRight, by rows
	multiplyColumns                         // MulLower, by columns
	multiplyRows                            // MulLowerRight, by rows
	multiplyTriangles                       // MulTriangles, by rows
	multiplyHalf                            // MulLowerHalf, by columns or rows
	factorRows                              // factorBelow, by rows
	invertHalves                            // InvertLower of l and of b
)

// triangularTime is the work that is shared: half a matrix brings less work for each element that another processor has to fetch than a product does.
const triangularTime = 2 * sharedTime

// triangularParts returns an empty task, with a board that the caller then holds, if so many multiplications with an addition, for that many columns or rows, are worth
// sharing, and nil otherwise.
func triangularParts[T Float](operations float64, count int) *triangularTask[T] {
	length := lengthOf[T](operations)
	if length < triangularTime || !workers.worth(length) {
		return nil
	}
	b, limit := workers.take(length)
	if b == nil {
		return nil
	}
	parts := min(partsOf(length, limit), count/lineElements[T]())
	if parts <= 1 {
		b.mu.Unlock()
		return nil
	}
	w := takeWorkspace()
	t := triangularOf[T](w)
	t.count, t.parts = count, parts
	t.board, t.limit = b, min(limit, parts)
	t.home = w
	return t
}

// lengthOf is about how long so many multiplications with an addition take one processor.
func lengthOf[T Float](operations float64) time.Duration {
	return time.Duration(2 * operations / float64(flopsPerLane*tileGeometry(unsafe.Sizeof(*new(T))).lanes))
}

func lineElements[T Float]() int { return cacheLine / int(unsafe.Sizeof(*new(T))) }

func triangularOf[T Float](w *workspace) *triangularTask[T] {
	if t, ok := any(&w.double).(*triangularTask[T]); ok {
		return t
	}
	return any(&w.single).(*triangularTask[T])
}

// triangleTimes is the number of multiplications of a triangle of n rows with count columns; more than an int holds on some processors.
func triangleTimes(n, count int) float64 { return float64(n) * float64(n) / 2 * float64(count) }

// run does the operation in parts and gives the board back.
func (t *triangularTask[T]) run(kind triangularKind, tl Trans, l, b, dst Matrix[T]) {
	defer t.board.mu.Unlock()
	t.kind, t.tl, t.l, t.b, t.dst = kind, tl, l, b, dst
	workers.share(t.board, t, t.parts, t.limit)
	w := t.home
	*t = triangularTask[T]{}
	w.release()
}

// edge returns where range i begins, a multiple of a cache line; of strips of a triangle, of which some take longer than others, ranges of the same work.
func (t *triangularTask[T]) edge(i int) int {
	work := float64(i) / float64(t.parts)
	var share float64 // of the strips that has this share of the work
	switch t.kind {
	case solveTriangle, solveHalf: // the work for a column is the square of its length
		share = 1 - math.Cbrt(1-work)
	case solveTriangleRows, multiplyTriangles: // that for a row too
		share = math.Cbrt(work)
	case multiplyHalf: // the length times what is missing of n
		share = 0.5 - math.Sin(math.Asin(1-2*work)/3)
	default:
		return edge(i, t.parts, t.count, lineElements[T]())
	}
	if i == t.parts {
		return t.count
	}
	return min(t.count, int(share*float64(t.count)/solveStrip+0.5)*solveStrip)
}

func (t *triangularTask[T]) runPart(i int) {
	if t.kind == invertHalves {
		half := t.l
		if i == 1 {
			half = t.b
		}
		invertLowerAlone(half)
		return
	}
	from := t.edge(i)
	c := t.edge(i+1) - from
	switch t.kind {
	case solveColumns:
		solveLower(t.tl, t.l, t.b.View(0, from, t.b.Rows, c))
	case solveRows:
		solveLowerRightAlone(t.tl, t.l, t.b.View(from, 0, c, t.b.Cols))
	case solveTriangle, solveHalf:
		solveLowerStrips(t.tl, t.l, t.b, from, from+c)
	case solveTriangleRows:
		solveLowerRowStrips(t.l, t.b, from, from+c)
	case multiplyTriangles:
		mulTriangleRows(t.l, t.b, t.dst, from, from+c)
	case multiplyHalf:
		mulLowerHalfStrips(t.tl, t.l, t.b, t.dst, from, from+c)
	case multiplyColumns:
		mulLowerAlone(t.tl, t.l, t.b.View(0, from, t.b.Rows, c), t.dst.View(0, from, t.b.Rows, c))
	case multiplyRows:
		mulLowerRightAlone(t.tl, t.l, t.b.View(from, 0, c, t.b.Cols), t.dst.View(from, 0, c, t.b.Cols))
	case factorRows:
		factorBelow(t.l, t.b.View(from, 0, c, t.b.Cols), t.dst.View(0, from, t.dst.Rows, c))
	}
}
