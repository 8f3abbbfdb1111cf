package matfun

import (
	"cmp"
	"fmt"
	"math"
	"runtime"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// Eigen decomposes count symmetric n x n matrices at once by two-sided block Jacobi on any engine: blocks of half of engine.JacobiMost rows meet in
// rounds of disjoint pairs; a pair is diagonalised as a whole, and what that rotates is applied as products. It is not for use by several goroutines at once.
//
// A sweep costs about six products of n x n matrices, in long strips; a cold start takes 5 to 11 sweeps up to n = 512, one from a near basis 2 or 3. Multiple
// eigenvalues, zero matrices and any sign need nothing of their own, because pairs are sorted and what is rounding is left alone. Other ways made of
// products (simultaneous bounded-angle sweeps, divide and conquer by polar factors) take as many products, and stall at clusters or need a basis of
// the null space of a projector.
type Eigen[T dense.Float] struct {
	engine.Backend[T]
	Pause    func()           // is called where the work so far has to be done, instead of waiting for the engine
	arena    *engine.Arena[T] // of the memory below
	count, n int
	size     int             // of a pair of blocks
	pairs    int             // in each matrix
	a, v     engine.Batch[T] // padded to pairs*size rows; the rows of v are the eigenvectors so far
	x, y     engine.Batch[T] // scratch
	r        engine.Batch[T] // rotations of the pairs
	ring     []int32         // which rows of all matrices a round brings where
	order    []int32
	values   []T       // a number for each row
	left     []T       // another
	scales   []T       // another, in ordinary memory
	sums     []float64 // of squares, for each matrix
	bounds   []float64 // of the norms of the matrices
}

// NewEigen returns workspace for count matrices of n x n in the memory of the engine: four times theirs, padded to a multiple of engine.JacobiMost where n
// is more than that.
func NewEigen[T dense.Float](e engine.Backend[T], a *engine.Arena[T], count, n int) *Eigen[T] {
	s := &Eigen[T]{Backend: e, arena: a, count: count, n: n, size: n, pairs: 1, sums: a.Doubles(count), bounds: a.Doubles(count)}
	s.Pause = func() { engine.Wait(e) }
	if n > engine.JacobiMost {
		s.size = engine.JacobiMost
		s.pairs = (n + s.size - 1) / s.size
	}
	rows := s.pairs * s.size
	for _, b := range []*engine.Batch[T]{&s.a, &s.v, &s.x, &s.y} {
		*b = engine.Batch[T]{Count: count, Rows: rows, Cols: rows, Stride: rows, Step: rows * rows, Data: a.Alloc(count * rows * rows)}
	}
	s.r = engine.Batch[T]{Count: count * s.pairs, Rows: s.size, Cols: s.size, Stride: s.size, Step: s.size * s.size, Data: a.Alloc(count * rows * s.size)}
	s.values, s.left, s.scales, s.order = a.Alloc(count*rows), a.Alloc(count*rows), make([]T, count*rows), make([]int32, count*rows)
	if s.pairs > 1 {
		s.turnRing()
	}
	return s
}

// turnRing sets ring to what the round robin of the blocks does: the first one stays, the others move on by one place, and after one round less than there
// are blocks all are where they were.
func (s *Eigen[T]) turnRing() {
	rows, half := s.pairs*s.size, s.size/2
	s.ring = make([]int32, s.count*rows)
	from := func(block int) int {
		switch last := 2*s.pairs - 1; {
		case block == 0:
			return 0
		case block == 2:
			return 1
		case block == last:
			return last - 1
		case block%2 == 0:
			return block - 2
		}
		return block + 2
	}
	for i := range s.ring {
		k, row := i/rows*rows, i%rows
		s.ring[i] = int32(k + from(row/half)*half + row%half)
	}
}

// DecompositionError says which matrix of a batch could not be decomposed: it holds numbers that are not finite, or the basis to start from does.
type DecompositionError struct {
	Matrix int
	Sweeps int
	Left   float64 // off the diagonal, relative to the norm
}

// Error names the matrix and what was left.
func (e *DecompositionError) Error() string {
	return fmt.Sprintf("eigendecomposition: matrix %d: %.3g is left off the diagonal after %d sweeps", e.Matrix, e.Left, e.Sweeps)
}

const (
	mostSweeps    = 40
	innerSweeps   = 6    // of a pair of blocks: with fewer the sorting can go in circles
	padding       = -4.0 // eigenvalue of the rows that fill the last blocks, below all others
	residualLimit = 64   // times n eps ||a||
)

// Solve sets d to the eigenvalues of the symmetric a_k in ascending order and the columns of q_k to their eigenvectors. With warm, q_k holds a nearly
// orthogonal matrix to start from, which makes it cheap when that is near the result. It returns the number of sweeps; the norm of a_k q_k - q_k diag(d)
// is of the order of n eps ||a_k||, that of q_k' q_k - I of sqrt(n) eps.
func (s *Eigen[T]) Solve(a, q engine.Batch[T], d []T, warm bool) (sweeps int, err error) {
	engine.MustHave("Eigen", s.n, a.Rows, a.Cols, q.Rows, q.Cols)
	engine.MustHave("Eigen", s.count*s.n, len(d))
	defer runtime.KeepAlive(s.arena)
	engine.Defer(s.Backend)
	defer engine.Settle(s.Backend)
	if err := s.bound(a); err != nil {
		return 0, err
	}
	s.load(a, q, warm)
	for ; ; sweeps++ {
		left, at := s.off()
		if left <= float64(s.n)*Eps[T]() {
			break
		}
		if sweeps == mostSweeps || left-left != 0 {
			return sweeps, &DecompositionError{at, sweeps, left}
		}
		s.sweep()
	}
	return sweeps, s.finish(a, q, d, sweeps)
}

// bound sets bounds to the norms of the matrices, or a little more.
func (s *Eigen[T]) bound(a engine.Batch[T]) error {
	s.NormBound(a, s.bounds)
	s.Pause()
	for k, v := range s.bounds {
		if !(v < math.Inf(1)) {
			return &DecompositionError{k, 0, v}
		}
	}
	return nil
}

// inner views the n x n part of padded matrices.
func (s *Eigen[T]) inner(b engine.Batch[T]) engine.Batch[T] {
	b.Rows, b.Cols = s.n, s.n
	return b
}

// tall views the rows of all matrices as one matrix.
func tall[T dense.Float](b engine.Batch[T]) dense.Matrix[T] {
	return dense.Wrap(b.Count*b.Rows, b.Cols, b.Data)
}

// strips views the matrices as the rows that belong to each pair of blocks.
func (s *Eigen[T]) strips(b engine.Batch[T]) engine.Batch[T] {
	b.Count, b.Rows = s.count*s.pairs, s.size
	b.Step = s.size * b.Stride
	return b
}

// load sets a to the matrices, brought to norms of about 1 and padded, in the basis v: the one in q or the identity.
func (s *Eigen[T]) load(a, q engine.Batch[T], warm bool) {
	s.identity()
	if warm {
		s.Transpose(q, s.inner(s.v))
		if warm = s.orthogonal(); !warm {
			s.identity()
		}
	}
	s.pad(a)
	if warm {
		s.Gemm(dense.NoTrans, dense.NoTrans, 1, s.v, s.a, 0, s.x)
		s.GemmSymmetric(dense.NoTrans, dense.Transposed, 1, s.x, s.v, 0, s.a)
	}
}

func (s *Eigen[T]) identity() {
	s.Blend(0, nil, 0, nil, s.v.Data)
	s.Combine(1, 1, s.v, 0, s.v, s.v)
}

// pad sets a to the matrices times the factors that bring their norms to about 1, bordered.
func (s *Eigen[T]) pad(a engine.Batch[T]) {
	s.Blend(0, nil, 0, nil, s.a.Data)
	s.Combine(padding, 1, s.a, 0, s.a, s.a)
	scales := s.scales[:s.count*s.n]
	for i := range scales {
		scales[i] = T(factor[T](s.bounds[i/s.n]))
	}
	s.ScaleRows(scales, a, 0, s.inner(s.a))
}

// factor is 1/norm as far as T can hold it, 1 for the norm 0.
func factor[T dense.Float](norm float64) float64 {
	if norm == 0 {
		return 1
	}
	return 1 / max(norm, tiniest[T]())
}

// tiniest is a norm whose inverse T can hold.
func tiniest[T dense.Float]() float64 {
	if Eps[T]() > 1e-10 {
		return 1e-37
	}
	return 1e-300
}

// orthogonal makes Newton-Schulz steps on the rows of v until they are orthonormal to rounding, and says whether they came near enough for that.
func (s *Eigen[T]) orthogonal() bool {
	for range 4 {
		s.GemmSymmetric(dense.NoTrans, dense.Transposed, 1, s.v, s.v, 0, s.x)
		s.Combine(-1, 1, s.x, 0, s.x, s.y)
		s.Squares(s.y.Data, s.sums)
		s.Pause()
		worst := math.Sqrt(slices.Max(s.sums))
		if !(worst < 0.5) {
			return false
		}
		if worst <= 8*math.Sqrt(float64(s.n))*Eps[T]() {
			break
		}
		s.Gemm(dense.NoTrans, dense.NoTrans, 1, s.x, s.v, 0, s.y)
		s.Combine(0, 1.5, s.v, -0.5, s.y, s.v)
	}
	return true
}

// off returns the largest norm of what is off the diagonal of a, and of which matrix.
func (s *Eigen[T]) off() (left float64, at int) {
	s.Copy(s.a, s.x)
	clear(s.scales)
	s.SetDiagonal(s.scales, s.x)
	s.Squares(s.x.Data, s.sums)
	s.Pause()
	for k, v := range s.sums {
		if v-v != 0 {
			return v, k
		}
		if v > left {
			left, at = v, k
		}
	}
	return math.Sqrt(left), at
}

// sweep lets every two blocks meet.
func (s *Eigen[T]) sweep() {
	for range max(1, 2*s.pairs-1) {
		s.round()
	}
}

// round rotates all pairs of blocks as they stand, and brings the blocks into the places of the next round.
func (s *Eigen[T]) round() {
	inner := innerSweeps
	if s.pairs == 1 {
		inner = mostSweeps
	}
	s.Jacobi(s.a, s.size, inner, T(Eps[T]()), s.r)
	rotate := func(from, to engine.Batch[T]) {
		s.Gemm(dense.NoTrans, dense.NoTrans, 1, s.r, s.strips(from), 0, s.strips(to))
	}
	if s.pairs == 1 {
		rotate(s.a, s.x)
		s.Transpose(s.x, s.y)
		rotate(s.y, s.a)
		rotate(s.v, s.x)
		s.v, s.x = s.x, s.v
		return
	}
	rotate(s.a, s.x)
	s.Gather(tall(s.x), s.ring, tall(s.y))
	s.Transpose(s.y, s.x)
	rotate(s.x, s.y)
	s.Gather(tall(s.y), s.ring, tall(s.a))
	rotate(s.v, s.x)
	s.Gather(tall(s.x), s.ring, tall(s.v))
}

// finish makes the rows of v orthonormal to rounding, takes their Rayleigh quotients, checks, sorts and delivers.
func (s *Eigen[T]) finish(a, q engine.Batch[T], d []T, sweeps int) error {
	s.orthogonal()
	s.pad(a)
	s.Gemm(dense.NoTrans, dense.NoTrans, 1, s.v, s.a, 0, s.x)
	s.RowDots(s.x, s.v, s.values)
	s.ScaleRows(s.values, s.v, 0, s.y)
	s.Combine(0, 1, s.x, -1, s.y, s.x)
	s.RowDots(s.x, s.x, s.left)
	s.Pause()
	rows := s.v.Rows
	for k, bound := range s.bounds {
		left := 0.0
		for _, v := range s.left[k*rows : (k+1)*rows] {
			left += float64(v)
		}
		if left = math.Sqrt(left); !(left <= residualLimit*float64(s.n)*Eps[T]()) {
			return &DecompositionError{k, sweeps, left}
		}
		order := s.order[k*rows : (k+1)*rows]
		for i := range order {
			order[i] = int32(k*rows + i)
		}
		slices.SortStableFunc(order, func(i, j int32) int { return cmp.Compare(s.values[i], s.values[j]) })
		rotateLeft(order, rows-s.n)
		for i, from := range order[:s.n] {
			d[k*s.n+i] = T(float64(s.values[from]) / factor[T](bound))
		}
	}
	s.Gather(tall(s.v), s.order, tall(s.x))
	s.Transpose(s.inner(s.x), q)
	return nil
}

// rotateLeft brings the first n of x, which are the padding, behind the others.
func rotateLeft(x []int32, n int) {
	slices.Reverse(x[:n])
	slices.Reverse(x[n:])
	slices.Reverse(x)
}
