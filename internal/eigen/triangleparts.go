package eigen

import (
	"math"
	"sync/atomic"

	"github.com/spdopt/spdopt/internal/dense"
)

const (
	halfArea     = 10_000 // elements of half a triangle that are worth two parts: about 2 us
	partArea     = 20_000 // of a part where there are more: adding up their shares then costs one thread less than 1 %
	triangleMost = 32     // parts of a triangle at most; a power of two
	sharedRows   = 256    // rows of a matrix whose reduction is long enough to wake other goroutines for
)

// triangleProduct is dense.RankTwoSymv, or dense.Symv, in parts: ranges of rows of about the same number of elements. Each part makes its own share of the product; shares of neighbours are
// added up as soon as both are there, in the order of a binary tree that the size of the matrix alone determines.
type triangleProduct struct {
	a          dense.Matrix[float64]
	v, w, x, y []float64
	parts      int
	alone      bool
	shares     []float64 // of the parts but the first, each of a row
	stride     int
	arrived    [triangleMost]uint32 // at the nodes of the tree, the root being number 1
	shared     dense.Parallel
}

// triangleParts returns into how many parts the triangle of a matrix of n rows is cut: a power of two.
func triangleParts(n int) int {
	area := n * n / 2
	if area < 2*halfArea {
		return 1
	}
	parts := 2
	for parts < triangleMost && area >= 2*parts*partArea {
		parts *= 2
	}
	return parts
}

func (t *triangleProduct) grow(n int) {
	const line = 8 // elements of a cache line
	t.stride = (n+line-1)/line*line + line
	t.shares = grow(t.shares, (triangleParts(n)-1)*t.stride)
	t.shared.Task, t.alone = t, n < sharedRows
}

// run sets y = A x after A -= v w^T + w v^T, unless v is nil, for the upper triangle of a.
func (t *triangleProduct) run(a dense.Matrix[float64], v, w, x, y []float64) {
	t.parts = triangleParts(a.Rows)
	if t.parts == 1 {
		if v == nil {
			dense.Symv(a, x, y)
		} else {
			dense.RankTwoSymv(a, v, w, x, y)
		}
		return
	}
	t.a, t.v, t.w, t.x, t.y = a, v, w, x, y
	if t.alone {
		t.shared.RunSerially(t.parts)
	} else {
		t.shared.RunNear(t.parts)
	}
}

// first returns the first row of a part.
func (t *triangleProduct) first(part int) int {
	if part == t.parts {
		return t.a.Rows
	}
	share := 1 - math.Sqrt(1-float64(part)/float64(t.parts))
	return int(share*float64(t.a.Rows)/4) * 4
}

// share returns where the share of a part is made.
func (t *triangleProduct) share(part int) []float64 {
	if part == 0 {
		return t.y
	}
	return t.shares[(part-1)*t.stride:][:t.a.Rows-t.first(part)]
}

// RunPart makes the share of a part and adds up what is there.
func (t *triangleProduct) RunPart(part int) {
	dense.SymvRows(t.a, t.first(part), t.first(part+1), t.v, t.w, t.x, t.share(part))
	node, left := t.parts+part, part
	for width := 1; width < t.parts; width *= 2 {
		node /= 2
		left = left / (2 * width) * 2 * width
		if atomic.AddUint32(&t.arrived[node], 1)%2 == 1 {
			return
		}
		sum, other := t.share(left), t.share(left+width)
		dense.Axpy(1, other, sum[len(sum)-len(other):])
	}
}
