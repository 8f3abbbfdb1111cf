//go:build !amd64 && !arm64

package dense

func scaleKernel[T Float](alpha T, x, dst []T) bool { return false }

func blendKernel[T Float](a T, x []T, b T, z, y []T) bool { return false }

func multiplyKernel[T Float](x, z, y []T) bool { return false }

func sqrtKernel[T Float](x, dst []T) bool { return false }

func dotRowsKernel[T Float](a []T, stride int, dst, x []T) bool { return false }

func axpyRowsKernel[T Float](coef, a []T, stride int, y []T) bool { return false }

func anglesKernel[T Float](si, ri, xi T, s, r, x, t, out []T) bool { return false }

func firstOrderKernel[T Float](si, ri T, s, r, t, out []T) bool { return false }

func normsKernel[T Float](x []T, dst *[2]T) bool { return false }

func weightedSquaresKernel[T Float](x, w []T, dst *[2]T) bool { return false }

func rayleighKernel[T Float](m T, q, w, d []T) bool { return false }
