package quadric

import "github.com/spdopt/spdopt/internal/dense"

const (
	// blockRows is the number of points that go through a product together.
	blockRows = 256
	// mostParts bounds the parts of a pass, each of which has an n x n sum.
	mostParts = 32
	// leastWork is the number of points times n^2 from which on a part takes longer than helpers need to wake up.
	leastWork = 1 << 20
)

// Passes shares passes over points of n numbers among threads. They are cut into parts whatever the number of threads, each with a sum of its own.
type Passes[T dense.Float] struct {
	rows, each int // points, and those of a part
	sums       []Sum[T]
	do         func(b Block[T], sum *Sum[T])
	shared     dense.Crew[Block[T]]
}

// Sum is what a part adds up.
type Sum[T dense.Float] struct {
	Matrix dense.Matrix[T] // n x n
	Cost   float64
}

// Block is the block of points from the first one on, as room for two matrices of its size and for a number for each point.
type Block[T dense.Float] struct {
	First int
	Z, Y  dense.Matrix[T]
	Q     []T
}

// Of returns the rows of a matrix that belong to the points of the block.
func (b Block[T]) Of(points dense.Matrix[T]) dense.Matrix[T] {
	return points.View(b.First, 0, b.Z.Rows, b.Z.Cols)
}

// NewPasses returns the passes over so many points of n numbers.
func NewPasses[T dense.Float](rows, n int) *Passes[T] {
	p := &Passes[T]{rows: rows, each: blockRows * max(dense.PartsOf(rows, blockRows*mostParts), dense.PartsOf(leastWork, blockRows*n*n))}
	p.sums = make([]Sum[T], dense.PartsOf(rows, p.each))
	for i := range p.sums {
		p.sums[i].Matrix = dense.New[T](n, n)
	}
	p.shared.Do = p.part
	p.shared.New = func() *Block[T] {
		high := min(blockRows, rows)
		return &Block[T]{Z: dense.New[T](high, n), Y: dense.New[T](high, n), Q: make([]T, high)}
	}
	return p
}

// Run calls do for all blocks, those of a part in order with its sum, which is zero at first.
func (p *Passes[T]) Run(do func(b Block[T], sum *Sum[T])) {
	p.do = do
	p.shared.Run(len(p.sums))
	p.do = nil
}

// part calls do for the blocks of a part.
func (p *Passes[T]) part(i int, space *Block[T]) {
	sum := &p.sums[i]
	sum.Matrix.Zero()
	sum.Cost = 0
	for first := i * p.each; first < min(p.rows, (i+1)*p.each); first += blockRows {
		rows, n := min(blockRows, p.rows-first), space.Z.Cols
		p.do(Block[T]{first, space.Z.View(0, 0, rows, n), space.Y.View(0, 0, rows, n), space.Q[:rows]}, sum)
	}
}

// AddTo adds the matrices of all parts, in order, to dst, which has no gaps between rows.
func (p *Passes[T]) AddTo(dst dense.Matrix[T]) {
	for _, sum := range p.sums {
		dense.Axpy(1, sum.Matrix.Data, dst.Data)
	}
}

// Cost returns the sum of the costs of all parts.
func (p *Passes[T]) Cost() (total float64) {
	for _, sum := range p.sums {
		total += sum.Cost
	}
	return total
}
