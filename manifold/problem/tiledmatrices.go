package problem

import "github.com/spdopt/spdopt/internal/dense"

// tiledMatrices are symmetric matrices in single precision, each as tiles (dense.PackTiles).
type tiledMatrices struct {
	tiles    [][]float32
	x, total []float32
}

func newTiledMatrices(count, n int) *tiledMatrices {
	m := &tiledMatrices{x: make([]float32, dense.TiledLength(n)), total: make([]float32, dense.TiledLength(n))}
	for range count {
		m.tiles = append(m.tiles, make([]float32, len(m.x)))
	}
	return m
}

// setLanes takes the matrices in the lanes of a bundle as those from first on, as many as there are.
func (m *tiledMatrices) setLanes(first int, b *dense.Bundle[float64]) {
	t := [sideBySide][]float32{m.total, m.total, m.total, m.total} // where lanes of no use go
	copy(t[:], m.tiles[first:min(len(m.tiles), first+sideBySide)])
	t0, t1, t2, t3 := t[0], t[1][:len(t[0])], t[2][:len(t[0])], t[3][:len(t[0])]
	data := b.Data()
	for i := range t0 {
		v := data[i*sideBySide:][:sideBySide]
		t0[i], t1[i], t2[i], t3[i] = float32(v[0]), float32(v[1]), float32(v[2]), float32(v[3])
	}
}

// set takes the upper triangle of a as the k-th.
func (m *tiledMatrices) set(k int, a dense.Matrix[float64]) {
	dense.PackTiles(m.tiles[k], a)
}

// sum implements symmetricMatrices.
func (m *tiledMatrices) sum(dst dense.Matrix[float32], weights []float64) {
	clear(m.total)
	for k, t := range m.tiles {
		dense.Axpy(float32(weights[k]), t, m.total)
	}
	dense.UnpackTiles(dst, m.total)
	dense.Mirror(dst)
}

// inner implements symmetricMatrices.
func (m *tiledMatrices) inner(dst []float64, x dense.Matrix[float32]) {
	dense.InnerTiles(m.x, x)
	for k, t := range m.tiles {
		dst[k] = float64(dense.Dot(m.x, t))
	}
}

// innerOf sets dst, up to k, to the inner products with the k-th, and the upper triangle of x to that.
func (m *tiledMatrices) innerOf(k int, dst []float64, x dense.Matrix[float32]) {
	dense.UnpackTiles(x, m.tiles[k])
	dense.InnerTiles(m.x, x)
	for l, t := range m.tiles[:k+1] {
		dst[l] = float64(dense.Dot(m.x, t))
	}
}
