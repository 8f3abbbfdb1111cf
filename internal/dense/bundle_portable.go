package dense

// portableBundleUpdate takes sum_t U_t' V_t of terms tiles, next elements apart, from each of count tiles C; those of C and of V follow one another. If
// fresh, C is not read.
func portableBundleUpdate[T Float](c, u, v []T, count, terms, next int, fresh bool) {
	lanes := Lanes[T]()
	size := tileVectors * lanes
	for k := range count {
		tile := c[k*size : (k+1)*size]
		if fresh {
			clear(tile)
		}
		for t := range terms {
			left, right := u[t*next:], v[t*next+k*size:]
			for l := 0; l < size; l += tileSide * lanes {
				for i := range tileSide {
					for j := range tileSide {
						subtractProduct(tile[(i*tileSide+j)*lanes:][:lanes], left[l+i*lanes:], right[l+j*lanes:])
					}
				}
			}
		}
	}
}

// subtractProduct takes a b from c.
func subtractProduct[T Float](c, a, b []T) {
	a, b = a[:len(c)], b[:len(c)]
	for l := range c {
		c[l] -= a[l] * b[l]
	}
}

// portableBundleInvertTile sets q to -p^-1 by sweeps in the order of the rows, and writes the pivots.
func portableBundleInvertTile[T Float](p, q, pivots []T) {
	lanes := Lanes[T]()
	for l := range lanes {
		var a [tileSide][tileSide]T
		for i := range tileSide {
			for j := i; j < tileSide; j++ {
				a[i][j] = p[(i*tileSide+j)*lanes+l]
				a[j][i] = a[i][j]
			}
		}
		for k := range tileSide {
			pivots[k*lanes+l] = a[k][k]
			inverse := 1 / a[k][k]
			row := a[k]
			for i := range tileSide {
				for j := range tileSide {
					if i != k && j != k {
						a[i][j] -= row[min(i, j)] * (inverse * row[max(i, j)])
					}
				}
			}
			for j, v := range row {
				a[k][j], a[j][k] = inverse*v, inverse*v
			}
			a[k][k] = -inverse
		}
		for i := range tileSide {
			for j := range tileSide {
				q[(i*tileSide+j)*lanes+l] = a[i][j]
			}
		}
	}
}

// portableBundleTranspose sets count tiles dst to the transposes of tiles src. After each tile the steps to the next ones grow by the changes.
func portableBundleTranspose[T Float](dst []T, dstStep, dstChange int, src []T, srcStep, srcChange, count int) {
	lanes := Lanes[T]()
	for to, from := 0, 0; count > 0; count-- {
		for i := range tileSide {
			for j := range tileSide {
				copy(dst[to+(j*tileSide+i)*lanes:][:lanes], src[from+(i*tileSide+j)*lanes:])
			}
		}
		to, from = to+dstStep, from+srcStep
		dstStep, srcStep = dstStep+dstChange, srcStep+srcChange
	}
}
