//go:build !amd64

package dense

func bundleInvertTile[T Float](p, q, pivots []T) { portableBundleInvertTile(p, q, pivots) }

func bundleTransposeTiles[T Float](dst []T, dstStep, dstChange int, src []T, srcStep, srcChange, count int) {
	portableBundleTranspose(dst, dstStep, dstChange, src, srcStep, srcChange, count)
}

func bundleShiftKernel[T Float](dst, a, t, x []T) bool { return false }

func bundleAddKernel[T Float](acc, m, w []T) bool { return false }

func bundleAddSumKernel[T Float](dst, m, w []T) bool { return false }

func bundleInnerKernel[T Float](dst, m, x []T) bool { return false }

func bundleSquaresKernel[T Float](dst, m []T) bool { return false }
