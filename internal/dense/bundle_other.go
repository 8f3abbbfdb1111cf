//go:build !amd64

package dense

func bundleUpdate[T Float](c, u, v []T, count, terms, next int, fresh bool) {
	portableBundleUpdate(c, u, v, count, terms, next, fresh)
}

func bundleInvertTile[T Float](p, q, pivots []T) { portableBundleInvertTile(p, q, pivots) }

func bundleTransposeTiles[T Float](dst []T, dstStep, dstChange int, src []T, srcStep, srcChange, count int) {
	portableBundleTranspose(dst, dstStep, dstChange, src, srcStep, srcChange, count)
}

func bundleShiftKernel[T Float](dst, a, t, x []T) bool { return false }

func bundleAddKernel[T Float](acc, m, w []T) bool { return false }

func bundleAddSumKernel[T Float](dst, m, w []T) bool { return false }

func bundleInnerKernel[T Float](dst, m, x []T) bool { return false }
