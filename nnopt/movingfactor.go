package nnopt

import "github.com/spdopt/spdopt/internal/dense"

// movingFactor is a factor K of an inverse, confined to a structure, that moves by products K <- K - b K m with a momentum m.
type movingFactor[T Float] struct {
	mode     int       // dimension of the tensor
	k, m     member[T] // factor and its momentum
	h, inner member[T] // what m is pulled to, and the projection of K^T K
}

// newMovingFactor wraps the fresh arrays of k, which becomes the identity, and m.
func newMovingFactor[T Float](mode int, p *pattern, k, m []T) movingFactor[T] {
	work := newPanels[T](p.n)
	f := movingFactor[T]{mode, member[T]{p, k, work}, member[T]{p, m, work}, member[T]{p, make([]T, p.size), work}, member[T]{p, make([]T, p.size), work}}
	f.k.addDiagonal(1)
	return f
}

func (f *movingFactor[T]) formInner() {
	clear(f.inner.data)
	f.inner.addInner(1, f.k)
}

// target adds ridge/2 K^T K - I/2 to h.
func (f *movingFactor[T]) target(ridge float64) {
	dense.Axpy(T(ridge/2), f.inner.data, f.h.data)
	f.h.addDiagonal(-0.5)
}

// follow sets m to keep m + take h.
func (f *movingFactor[T]) follow(keep, take T) {
	for i, v := range f.h.data {
		f.m.data[i] = keep*f.m.data[i] + take*v
	}
}

// move sets K to K - b K m, unless the result could leave the range of T; it says whether it did.
func (f *movingFactor[T]) move(b float64) bool {
	k, _ := f.k.norms()
	m, _ := f.m.norms()
	if !(k*(1+b*m) < largestGradient[T]()) {
		return false
	}
	f.k.addProduct(T(-b), f.m)
	return true
}
