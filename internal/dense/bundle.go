package dense

import (
	"fmt"
	"math"
	"unsafe"
)

const (
	bundleBytes = 32 // of a vector: one element of each matrix
	tileBytes   = tileVectors * bundleBytes
)

// Bundle holds the upper triangles of several symmetric n x n matrices of one size side by side: element (i, j) of all of them is one vector, and its
// lanes are the matrices. What is done to one is done to all, so that small matrices are inverted at nearly the speed of a product, without
// padding to the length of a vector and without waiting for one pivot after the other. The matrices start as identities.
type Bundle[T Float] struct {
	n, side int // rows, and rows of tiles of 4 x 4 elements
	data    []T // the tiles of the upper triangle, row after row; beyond row n an identity
}

// Lanes returns the number of matrices in a bundle: 4 in double precision, 8 in single.
func Lanes[T Float]() int { return bundleBytes / int(unsafe.Sizeof(*new(T))) }

// NewBundle returns a bundle of identities.
func NewBundle[T Float](n int) *Bundle[T] {
	if n < 1 {
		panic(Error(fmt.Sprintf("NewBundle: %d rows", n)))
	}
	b := &Bundle[T]{n: n, side: tileRows(n)}
	lanes := Lanes[T]()
	b.data = aligned[T](triangleTiles(b.side) * tileVectors * lanes)
	for i := range b.side * tileSide {
		at := b.at(i, i)
		for l := range lanes {
			b.data[at+l] = 1
		}
	}
	return b
}

// aligned returns n zeros that start at a cache line.
func aligned[T Float](n int) []T {
	size := int(unsafe.Sizeof(*new(T)))
	data := make([]T, n+cacheLine/size)
	var skip int
	if off := int(uintptr(unsafe.Pointer(unsafe.SliceData(data))) % cacheLine); off != 0 {
		skip = (cacheLine - off) / size
	}
	return data[skip : skip+n : skip+n]
}

// tile returns the index of the tile (i, j), i <= j.
func (b *Bundle[T]) tile(i, j int) int { return tileIndex(b.side, i, j) }

// at returns the index of the first lane of the element (i, j), i <= j.
func (b *Bundle[T]) at(i, j int) int {
	return (b.tile(i/tileSide, j/tileSide)*tileVectors + i%tileSide*tileSide + j%tileSide) * Lanes[T]()
}

// Set makes a matrix, of which it reads the upper triangle, the one of the given lane. SetFour is the fast way.
func (b *Bundle[T]) Set(lane int, a Matrix[T]) {
	a.mustHave(b.n, b.n, "Bundle.Set")
	for i := range b.n {
		for j := i; j < b.n; j++ {
			b.data[b.at(i, j)+lane] = a.At(i, j)
		}
	}
}

// SetFour makes four matrices of any precision, of which it reads the upper triangles, those of the given lane and the next ones, several times faster than
// one by one.
func SetFour[T, S Float](b *Bundle[T], lane int, m [4]Matrix[S]) {
	for _, a := range m {
		a.mustHave(b.n, b.n, "SetFour")
	}
	lanes := Lanes[T]()
	for i := range b.n {
		r0, r1, r2, r3 := m[0].Row(i), m[1].Row(i), m[2].Row(i), m[3].Row(i)
		for j := i; j < b.n; {
			at := b.at(i, j) + lane
			for end := min(b.n, j/tileSide*tileSide+tileSide); j < end; j++ {
				v := b.data[at : at+4]
				v[0], v[1], v[2], v[3] = T(r0[j]), T(r1[j]), T(r2[j]), T(r3[j])
				at += lanes
			}
		}
	}
}

// Traces sets dst to the traces of the matrices.
func (b *Bundle[T]) Traces(dst []T) {
	mustFit(len(dst), Lanes[T](), "Traces")
	clear(dst)
	for i := range b.n {
		at := b.at(i, i)
		for l := range dst {
			dst[l] += b.data[at+l]
		}
	}
}

// Get writes the upper triangle of the matrix of the given lane to a.
func (b *Bundle[T]) Get(lane int, a Matrix[T]) { GetLane(b, lane, a) }

// GetLane is Get into any precision.
func GetLane[T, S Float](b *Bundle[T], lane int, a Matrix[S]) {
	a.mustHave(b.n, b.n, "Bundle.Get")
	lanes := Lanes[T]()
	for i := range b.n {
		row := a.Row(i)
		for j := i; j < b.n; {
			at := b.at(i, j) + lane
			for end := min(b.n, j/tileSide*tileSide+tileSide); j < end; j++ {
				row[j] = S(b.data[at])
				at += lanes
			}
		}
	}
}

// Shift sets the matrix of each lane to that of a plus shift[lane] times the one in tiles.
func (b *Bundle[T]) Shift(a *Bundle[T], shift, tiles []T) {
	mustFit(len(a.data), len(b.data), "Shift")
	mustFit(len(shift), Lanes[T](), "Shift")
	mustFit(len(tiles), TiledLength(b.n), "Shift")
	if bundleShiftKernel(b.data, a.data, shift, tiles) {
		return
	}
	lanes := Lanes[T]()
	for i, x := range tiles {
		dst, src := b.data[i*lanes:(i+1)*lanes], a.data[i*lanes:(i+1)*lanes]
		for l, t := range shift {
			dst[l] = src[l] + t*x
		}
	}
}

// Zero sets all matrices to zero.
func (b *Bundle[T]) Zero() { clear(b.data) }

// Add adds weight[lane] times the matrix of m to that of each lane.
func (b *Bundle[T]) Add(weight []T, m *Bundle[T]) {
	mustFit(len(m.data), len(b.data), "Add")
	mustFit(len(weight), Lanes[T](), "Add")
	if bundleAddKernel(b.data, m.data, weight) {
		return
	}
	lanes := Lanes[T]()
	for i := 0; i < len(b.data); i += lanes {
		dst, src := b.data[i:i+lanes], m.data[i:i+lanes]
		for l, w := range weight {
			dst[l] = dst[l] + src[l]*w
		}
	}
}

// AddSum adds the sum of weight[lane] times the matrix of each lane to tiles.
func (b *Bundle[T]) AddSum(tiles, weight []T) {
	mustFit(len(tiles), TiledLength(b.n), "AddSum")
	mustFit(len(weight), Lanes[T](), "AddSum")
	if bundleAddSumKernel(tiles, b.data, weight) {
		return
	}
	lanes := Lanes[T]()
	for i := range tiles {
		var v [8]T
		for l, w := range weight {
			v[l] = T(b.data[i*lanes+l] * w)
		}
		sum := (v[0] + v[1]) + (v[2] + v[3])
		if lanes == 8 {
			sum += (v[4] + v[5]) + (v[6] + v[7])
		}
		tiles[i] += sum
	}
}

// Inner sets dst to the inner product of the matrix of each lane with that in tiles, as InnerTiles leaves them.
func (b *Bundle[T]) Inner(dst, tiles []T) {
	mustFit(len(dst), Lanes[T](), "Inner")
	mustFit(len(tiles), TiledLength(b.n), "Inner")
	if bundleInnerKernel(dst, b.data, tiles) {
		return
	}
	clear(dst)
	lanes := Lanes[T]()
	for i, x := range tiles {
		for l, v := range b.data[i*lanes : (i+1)*lanes] {
			dst[l] += T(v * x)
		}
	}
}

// SquareBounds sets dst to bounds of the squares of the Frobenius norms of the matrices, too large by at most what blocks of four rows on the diagonal have below
// and, a second time, on it.
func (b *Bundle[T]) SquareBounds(dst []T) {
	lanes := Lanes[T]()
	mustFit(len(dst), lanes, "SquareBounds")
	clear(dst)
	whole := (len(b.data)/(tileVectors*lanes) - 1) * tileVectors * lanes // the last tile has an identity beyond row n
	if whole > 0 && !bundleSquaresKernel(dst, b.data[:whole]) {
		for i, v := range b.data[:whole] {
			dst[i%lanes] += T(v * v)
		}
	}
	for i := range tileVectors {
		if first := (b.side - 1) * tileSide; first+i/tileSide < b.n && first+i%tileSide < b.n {
			for l, v := range b.data[whole+i*lanes:][:lanes] {
				dst[l] += T(v * v)
			}
		}
	}
	Scale(2, dst, dst)
}

// InnerTiles writes the symmetric x, complete, to tiles for Inner: its strict upper triangle counts twice. What is beyond the rows of x must be zero and stays so.
func InnerTiles[T Float](tiles []T, x Matrix[T]) {
	eachTileRow(tiles, x, func(t, row []T) {
		for j, v := range row[:min(len(row), tileSide)] {
			t[j] = 2 * v
		}
	})
	side := tileRows(x.Rows)
	for k := range side {
		diagonal := tiles[tileIndex(side, k, k)*tileVectors:][:tileVectors]
		for i := range tileSide {
			clear(diagonal[i*tileSide : i*tileSide+i])
			diagonal[i*(tileSide+1)] /= 2
		}
	}
}

func mustFit(have, want int, op string) {
	if have != want {
		panic(Error(fmt.Sprintf("Bundle.%s: %d elements, want %d", op, have, want)))
	}
}

// BundleWork is the scratch space of InvertNegative.
type BundleWork[T Float] struct {
	before, after []T // rows of tiles before and after they are eliminated, sweptTiles of them
	// Pivots holds the pivots, row after row, each for all lanes. Pivot i is the square of the diagonal of the Cholesky factor.
	Pivots []T
}

// NewBundleWork returns scratch space for bundles of n rows.
func NewBundleWork[T Float](n int) *BundleWork[T] {
	side, lanes := tileRows(n), Lanes[T]()
	panel := sweptTiles(side) * side * tileVectors * lanes
	return &BundleWork[T]{before: aligned[T](panel), after: aligned[T](panel), Pivots: aligned[T](side * tileSide * lanes)}
}

// InvertNegative overwrites each matrix A, symmetric positive definite, with -A^-1 by the sweep operator (Beaton; Goodnight, Am. Stat. 33 (1979) 149-158),
// which takes the rows K, P = A_KK, to P^-1 A_K, the others to A - A_K' P^-1 A_K and P to -P^-1. It costs half the operations of a Gemm for each
// matrix. The error grows with the condition as that of the inverse by Cholesky. It returns false where a pivot is not positive and finite:
// w.Pivots tells in which lanes, and these are of no use then.
func (b *Bundle[T]) InvertNegative(w *BundleWork[T]) bool {
	lanes := Lanes[T]()
	mustFit(len(w.Pivots), b.side*tileSide*lanes, "InvertNegative")
	swept := sweptTiles(b.side)
	for k := 0; k < b.side; k += swept {
		b.sweep(k, min(swept, b.side-k), w)
	}
	for _, p := range w.Pivots {
		if !(p > 0) || math.IsInf(float64(p), 1) {
			return false
		}
	}
	return true
}

// sweptTiles returns how many rows of tiles are eliminated together: more where the bundle does not stay in the first caches.
func sweptTiles(side int) int {
	if side < 32 {
		return 2
	}
	return 4
}

// sweep eliminates count rows of tiles from row k on.
func (b *Bundle[T]) sweep(k, count int, w *BundleWork[T]) {
	size, next := b.sizes()
	b.panel(k, count, w)
	for i := range k {
		row := b.data[b.tile(i, i)*size:]
		bundleUpdate(row, w.before[i*size:], w.after[i*size:], k-i, count, next, false)
		bundleUpdate(row[(k+count-i)*size:], w.before[i*size:], w.after[(k+count)*size:], b.side-k-count, count, next, false)
	}
	b.rest(k, count, w)
	for s := range count {
		swept, spare := w.after[s*next:], w.before[:size]
		for r := range s {
			row := w.after[r*next:]
			bundleTransposeTiles(spare, size, 0, swept[(k+r)*size:], size, 0, 1)
			bundleUpdate(row, w.before[s*next+(k+r)*size:], swept, b.side, 1, 0, false)
			copy(row[(k+s)*size:], spare)
		}
	}
	for s := range count {
		b.scatter(w.after[s*next:], k+s)
	}
}

// sizes returns the number of elements of a tile and of a row of all tiles.
func (b *Bundle[T]) sizes() (tile, row int) {
	tile = tileVectors * Lanes[T]()
	return tile, b.side * tile
}

// panel fills w with count rows of tiles from row k on: each before its own elimination and after it.
func (b *Bundle[T]) panel(k, count int, w *BundleWork[T]) {
	size, next := b.sizes()
	for s := range count {
		b.gather(w.before[s*next:], k+s)
	}
	for s := range count {
		row, out := w.before[s*next:], w.after[s*next:]
		own := (k + s) * size
		q := out[own:]
		bundleInvertTile(row[own:], q, w.Pivots[(k+s)*tileSide*Lanes[T]():])
		bundleUpdate(out, q, row, k+s, 1, 0, true)
		bundleUpdate(out[own+size:], q, row[own+size:], b.side-k-s-1, 1, 0, true)
		for r := s + 1; r < count; r++ {
			u, later := row[(k+r)*size:], w.before[r*next:]
			bundleUpdate(later, u, out, b.side, 1, 0, false)
			bundleTransposeTiles(later[own:], size, 0, out[(k+r)*size:], size, 0, 1)
		}
	}
}

// rest takes what the rows in w bring from the rows below them.
func (b *Bundle[T]) rest(k, count int, w *BundleWork[T]) {
	size, next := b.sizes()
	for i := k + count; i < b.side; i++ {
		bundleUpdate(b.data[b.tile(i, i)*size:], w.before[i*size:], w.after[i*size:], b.side-i, count, next, false)
	}
}

// gather writes row k of the symmetric matrix of tiles to dst.
func (b *Bundle[T]) gather(dst []T, k int) {
	size, next := b.sizes()
	if k > 0 {
		bundleTransposeTiles(dst, size, 0, b.data[k*size:], (b.side-1)*size, -size, k)
	}
	copy(dst[k*size:next], b.data[b.tile(k, k)*size:])
}

// scatter is the opposite of gather.
func (b *Bundle[T]) scatter(src []T, k int) {
	size, next := b.sizes()
	if k > 0 {
		bundleTransposeTiles(b.data[k*size:], (b.side-1)*size, -size, src, size, 0, k)
	}
	copy(b.data[b.tile(k, k)*size:], src[k*size:next])
}
