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

// setLane takes the matrix of a lane as the k-th.
func (m *tiledMatrices) setLane(k int, b *dense.Bundle[float64], lane int) {
	data, lanes := b.Data()[lane:], dense.Lanes[float64]()
	for i := range m.tiles[k] {
		m.tiles[k][i] = float32(data[i*lanes])
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
