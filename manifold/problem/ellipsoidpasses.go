package problem

import "github.com/spdopt/spdopt/internal/dense"

const (
	// quadricRows is the number of points that go through a product together.
	quadricRows = 256
	// quadricParts bounds the parts of a pass, each of which has an n x n sum.
	quadricParts = 32
	// quadricLeast is the number of points times n^2 from which on a part takes longer than helpers need to wake up.
	quadricLeast = 1 << 20
)

// quadricPasses shares passes over points of n numbers among threads. They are cut into parts whatever the number of threads, each with a sum of its own.
type quadricPasses[T dense.Float] struct {
	rows, each int // points, and those of a part
	sums       []quadricSum[T]
	do         func(b quadricBlock[T], sum *quadricSum[T])
	shared     dense.Crew[quadricBlock[T]]
}

// quadricSum is what a part adds up.
type quadricSum[T dense.Float] struct {
	matrix dense.Matrix[T] // n x n
	cost   float64
}

// quadricBlock is the block of points from the first one on, as room for two matrices of its size and for a number for each point.
type quadricBlock[T dense.Float] struct {
	first int
	z, y  dense.Matrix[T]
	q     []T
}

func newQuadricPasses[T dense.Float](rows, n int) *quadricPasses[T] {
	p := &quadricPasses[T]{rows: rows, each: quadricRows * max(partsOf(rows, quadricRows*quadricParts), partsOf(quadricLeast, quadricRows*n*n))}
	p.sums = make([]quadricSum[T], partsOf(rows, p.each))
	for i := range p.sums {
		p.sums[i].matrix = dense.New[T](n, n)
	}
	p.shared.Do = p.part
	p.shared.New = func() *quadricBlock[T] {
		high := min(quadricRows, rows)
		return &quadricBlock[T]{z: dense.New[T](high, n), y: dense.New[T](high, n), q: make([]T, high)}
	}
	return p
}

// run calls do for all blocks, those of a part in order with its sum, which is zero at first.
func (p *quadricPasses[T]) run(do func(b quadricBlock[T], sum *quadricSum[T])) {
	p.do = do
	p.shared.Run(len(p.sums))
	p.do = nil
}

// part calls do for the blocks of a part.
func (p *quadricPasses[T]) part(i int, space *quadricBlock[T]) {
	sum := &p.sums[i]
	sum.matrix.Zero()
	sum.cost = 0
	for first := i * p.each; first < min(p.rows, (i+1)*p.each); first += quadricRows {
		rows, n := min(quadricRows, p.rows-first), space.z.Cols
		p.do(quadricBlock[T]{first, space.z.View(0, 0, rows, n), space.y.View(0, 0, rows, n), space.q[:rows]}, sum)
	}
}

// addTo adds the matrices of all parts, in order, to dst, which has no gaps between rows.
func (p *quadricPasses[T]) addTo(dst dense.Matrix[T]) {
	for _, sum := range p.sums {
		dense.Axpy(1, sum.matrix.Data, dst.Data)
	}
}

// cost returns the sum of the costs of all parts.
func (p *quadricPasses[T]) cost() (sum float64) {
	for _, s := range p.sums {
		sum += s.cost
	}
	return sum
}
