package dense

// Vectors of lanes hold an element of each matrix of a bundle in double precision, four for each row; what belongs to the rows beyond the last one is zero.

// Data returns the tiles of the upper triangle, row after row, for LaneDot.
func (b *Bundle[T]) Data() []T { return b.data }

// Lanes returns the element (i, j), i <= j, of all matrices.
func (b *Bundle[T]) Lanes(i, j int) []T { return b.data[b.at(i, j):][:Lanes[T]()] }

// Rows returns the length of a vector of lanes for the bundle.
func (b *Bundle[T]) Rows() int { return b.side * tileSide }

// BundleRankTwoSymv takes v w' + w v' from the matrices and adds their products with x to y in one pass, which leaves out the rows and columns before tile row
// first; the vectors start there. The elements left of the diagonal in the tiles on it are not read.
func BundleRankTwoSymv(b *Bundle[float64], first int, v, w, x, y []float64) {
	rows := b.side - first
	length := rows * tileSide * Lanes[float64]()
	for _, u := range [...][]float64{v, w, x, y} {
		mustFit(len(u), length, "RankTwoSymv")
	}
	bundleRankTwo(b.data[b.tile(first, first)*tileVectors*Lanes[float64]():], v, w, x, y, rows)
}

// BundleRow sets dst to row i of the matrices less v_i w' + w_i v'. The vectors start with the row of tiles of i; what dst gets left of the diagonal is unspecified.
func BundleRow(b *Bundle[float64], i int, v, w, dst []float64) {
	const lanes = 4
	first := i / tileSide
	length := (b.side - first) * tileSide * lanes
	for _, u := range [...][]float64{v, w, dst} {
		mustFit(len(u), length, "Row")
	}
	own := i % tileSide * lanes
	laneRowKernel(dst, b.data[b.at(i, first*tileSide):], v, w, (*[lanes]float64)(v[own:]), (*[lanes]float64)(w[own:]), b.side-first)
}

// Growth is what BundleGrow keeps of sums of inverses whose rows are made from the last one up: vectors of lanes for each of several terms.
type Growth struct {
	First []float64 // [row][term][lane]: the first rows of the inverses that are done
	T, H  []float64 // [term][lane]: what the last reflector takes from these rows, and their products with the next one
}

// BundleGrow makes row i of the matrices from the first rows of the inverses below it. It replaces those by ratio (First - T v), adds them up, and sets H to their products
// with next, a vector whose element i is 1, and T to tau H. own, the elements on the diagonal, becomes a part of the row. The vectors v and next start
// with the row of tiles of i.
func BundleGrow(b *Bundle[float64], i int, g *Growth, v, next, ratio, own []float64, tau *[4]float64) {
	const lanes = 4
	tile := i / tileSide
	tiles, terms := b.side-tile, len(own)/lanes
	mustFit(len(v), tiles*tileSide*lanes, "Grow")
	mustFit(len(next), len(v), "Grow")
	mustFit(len(ratio), len(own), "Grow")
	mustFit(len(g.T), len(own), "Grow")
	mustFit(len(g.H), len(own), "Grow")
	mustFit(len(g.First), b.Rows()*len(own), "Grow")
	laneGrowKernel(b.data[b.at(i, tile*tileSide):], b.Lanes(i, i), g, i, v, next, ratio, own, tau, terms, tiles)
}

// LaneDot sets dst to the products of the vectors of lanes x and y.
func LaneDot(dst *[4]float64, x, y []float64) {
	mustFit(len(y), len(x), "LaneDot")
	laneDotKernel(dst, x, y)
}

// LaneBlend sets dst = a x + b y for vectors of lanes dst, x and y.
func LaneBlend(dst []float64, a *[4]float64, x []float64, b *[4]float64, y []float64) {
	mustFit(len(y), len(dst), "LaneBlend")
	mustFit(len(x), len(dst), "LaneBlend")
	laneBlendKernel(dst, a, x, b, y)
}

// LaneInverses describes the upper triangles of weight_k (T + shift_k I)^-1 for symmetric tridiagonal matrices T, positive definite when shifted, with the diagonals d and the
// off-diagonals e, the last of which is 0: element (i, j), i < j, is ratio_i times element (i+1, j), for each row, shift and lane, and diagonal holds the
// elements (i, i) and a row of zeros after them. With the pivots p_i of T + s from above, the ratios are -e_i/p_i, and the diagonal is 1/p_i + ratio_i^2 times its next element, a
// sum of positive terms.
func LaneInverses(ratio, diagonal, d, e, shift, weight []float64) {
	const lanes = 4
	terms := len(shift)
	mustFit(len(e), len(d), "LaneInverses")
	mustFit(len(weight), terms, "LaneInverses")
	mustFit(len(ratio), len(d)*terms, "LaneInverses")
	mustFit(len(diagonal), (len(d)+lanes)*terms, "LaneInverses")
	if len(ratio) == 0 {
		return
	}
	clear(ratio[:terms*lanes])
	clear(diagonal[len(ratio):])
	laneInverses(ratio, diagonal, d, e, shift, weight)
}

// AddTiles adds the upper triangle in tiles to that of the square x. What lies below the diagonal of x is unspecified after the call.
func AddTiles[T Float](x Matrix[T], tiles []T) {
	eachTileRow(tiles, x, func(t, row []T) {
		for i, v := range t[:min(len(t), len(row))] {
			row[i] += v
		}
	})
}
