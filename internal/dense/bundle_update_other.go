//go:build !amd64 && !arm64

package dense

func bundleUpdate[T Float](c, u, v []T, count, terms, next int, fresh bool) {
	portableBundleUpdate(c, u, v, count, terms, next, fresh)
}
