package dense

// BundleTriangle is a lower triangular matrix L in all lanes of a bundle, as Bundle.Congruence reads it: -L^T in full rows of tiles.
type BundleTriangle[T Float] struct {
	n, side int
	tiles   []T
}

// NewBundleTriangle returns zero for bundles of n rows.
func NewBundleTriangle[T Float](n int) *BundleTriangle[T] {
	side := tileRows(n)
	return &BundleTriangle[T]{n: n, side: side, tiles: aligned[T](side * side * tileVectors * Lanes[T]())}
}

// Set takes the lower triangle of l.
func (t *BundleTriangle[T]) Set(l Matrix[T]) {
	l.mustHave(t.n, t.n, "BundleTriangle.Set")
	lanes := Lanes[T]()
	for j := range t.n {
		row := l.Row(j)
		for i, v := range row[:j+1] {
			at := (((i/tileSide)*t.side+j/tileSide)*tileVectors + i%tileSide*tileSide + j%tileSide) * lanes
			for k := range t.tiles[at : at+lanes] {
				t.tiles[at+k] = -v
			}
		}
	}
}

// from returns the tiles of row i from column j on.
func (t *BundleTriangle[T]) from(i, j int) []T {
	return t.tiles[(i*t.side+j)*tileVectors*Lanes[T]():]
}

// BundlePair is the scratch space of Bundle.Congruence.
type BundlePair[T Float] struct {
	rows, turned []T // rows of tiles: three that follow one another, and two
	half, work   []T // tiles
}

// NewBundlePair returns scratch space for bundles of n rows.
func NewBundlePair[T Float](n int) *BundlePair[T] {
	size := tileVectors * Lanes[T]()
	row := tileRows(n) * size
	return &BundlePair[T]{rows: aligned[T](3 * row), turned: aligned[T](2 * row), half: aligned[T](size), work: aligned[T](size)}
}

// Congruence overwrites each matrix A, of which it reads the upper triangle, with L A L^T in little more than half the operations of a Gemm for each matrix.
//
// It goes through the rows of tiles from the last one up. Given C22 = L22 A22 L22^T below row K, Z = A_KK L_2K^T/2 and Y = A_K2 L22^T + Z, what row K adds there is L_2K Y + Y^T L_2K^T,
// and row K becomes L_KK (Y + Z) and L_KK A_KK L_KK^T.
func (b *Bundle[T]) Congruence(l *BundleTriangle[T], w *BundlePair[T]) {
	size, next := b.sizes()
	mustFit(l.n, b.n, "Congruence")
	mustFit(len(w.turned), 2*next, "Congruence")
	y := w.rows[next:]
	for k := b.side - 1; k >= 0; k-- {
		own := b.data[b.tile(k, k)*size:][:size]
		fillTile(own)
		copy(w.half, own)
		Scale(0.5, w.half, w.half)
		if count := b.side - k - 1; count > 0 {
			column, row := l.from(k, k+1), b.data[b.tile(k, k)*size+size:]
			b.timesTriangle(l, k+1, row, w)
			bundleUpdate(y, w.half, column, count, 1, 0, false)
			copy(w.rows, column[:count*size])
			copy(w.rows[2*next:], column[:count*size])
			for i := range count {
				at := i * size
				bundleUpdate(b.data[b.tile(k+1+i, k+1+i)*size:], w.rows[at:], y[at:], count-i, 2, next, false)
			}
			bundleUpdate(y, w.half, column, count, 1, 0, false)
			bundleUpdate(row, l.from(k, k), y, count, 1, 0, true)
		}
		bundleUpdate(w.work, own, l.from(k, k), 1, 1, 0, true)
		bundleUpdate(own, l.from(k, k), w.work, 1, 1, 0, true)
	}
}

// timesTriangle sets the second row of w.rows to a row of tiles times the transpose of L from row first on.
func (b *Bundle[T]) timesTriangle(l *BundleTriangle[T], first int, row []T, w *BundlePair[T]) {
	size, next := b.sizes()
	count, y := b.side-first, w.rows[next:]
	bundleTransposeTiles(w.turned, size, 0, row, 2*size, 0, (count+1)/2)
	if count > 1 {
		bundleTransposeTiles(w.turned[next:], size, 0, row[size:], 2*size, 0, count/2)
	}
	for i := 0; i < count; i += 2 {
		bundleUpdate(y[i*size:], w.turned[i/2*size:], l.from(first+i, first+i), count-i, min(2, count-i), next, i == 0)
	}
}

// fillTile copies the upper triangle of a tile on the diagonal to the lower one.
func fillTile[T Float](tile []T) {
	lanes := Lanes[T]()
	for i := range tileSide {
		for j := range i {
			copy(tile[(i*tileSide+j)*lanes:][:lanes], tile[(j*tileSide+i)*lanes:])
		}
	}
}

// SetLanes makes the matrix of lane lanes[i] of src that of lane first + i.
func SetLanes[T, S Float](b *Bundle[T], first int, src *Bundle[S], lanes []int) {
	mustFit(src.n, b.n, "SetLanes")
	width, from := Lanes[T](), Lanes[S]()
	for i := range b.n {
		for j := i; j < b.n; {
			at := b.at(i, j) / width
			for end := min(b.n, j/tileSide*tileSide+tileSide); j < end; j++ {
				v, dst := src.data[at*from:][:from], b.data[at*width+first:][:len(lanes)]
				for k, l := range lanes {
					dst[k] = T(v[l])
				}
				at++
			}
		}
	}
}
