package dense

// Tiles of 4 x 4 elements, row after row of tiles, hold the upper triangle of a symmetric matrix as Bundle does. What lies below the diagonal in the
// tiles on it is unspecified, and what lies beyond the matrix is left as it is.

const (
	tileSide    = 4
	tileVectors = tileSide * tileSide
)

// tileRows is the number of rows of tiles for n rows.
func tileRows(n int) int { return (n + tileSide - 1) / tileSide }

func triangleTiles(side int) int { return side * (side + 1) / 2 }

// tileIndex returns which tile (i, j), i <= j, is.
func tileIndex(side, i, j int) int { return i*side - i*(i-1)/2 + j - i }

// TiledLength returns the number of elements of the tiles for n rows.
func TiledLength(n int) int { return triangleTiles(tileRows(n)) * tileVectors }

// PackTiles writes the upper triangle of the square x, of any precision, to tiles.
func PackTiles[T, S Float](tiles []T, x Matrix[S]) {
	eachTileRow(tiles, x, func(t []T, row []S) {
		for j, v := range row[:min(len(row), tileSide)] {
			t[j] = T(v)
		}
	})
}

// UnpackTiles writes the upper triangle in tiles to the square x. What lies below the diagonal of x is unspecified after the call.
func UnpackTiles[T Float](x Matrix[T], tiles []T) {
	eachTileRow(tiles, x, func(t, row []T) { copy(row, t) })
}

// eachTileRow calls do with the rows of the tiles and what of the rows of x begins there.
func eachTileRow[T, S Float](tiles []T, x Matrix[S], do func(t []T, row []S)) {
	n := x.Rows
	x.mustHave(n, n, "tiles")
	mustFit(len(tiles), TiledLength(n), "tiles")
	side := tileRows(n)
	for i := range n {
		row := x.Row(i)
		at := tileIndex(side, i/tileSide, i/tileSide)*tileVectors + i%tileSide*tileSide
		for j := i / tileSide * tileSide; j < n; j += tileSide {
			do(tiles[at:at+tileSide], row[j:])
			at += tileVectors
		}
	}
}
