package nnopt

import "github.com/spdopt/spdopt/internal/engine"

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

// place moves the factor's workspace to the memory of a device; k and m lie there already.
func (f *movingFactor[T]) place(e engine.Backend[T], a *engine.Arena[T]) {
	f.k.panel.place(e, a)
	f.h.data, f.inner.data = a.Alloc(len(f.h.data)), a.Alloc(len(f.inner.data))
}

// clearTarget starts h afresh.
func (f *movingFactor[T]) clearTarget() { f.k.panel.e.Blend(0, nil, 0, nil, f.h.data) }

func (f *movingFactor[T]) formInner() {
	f.k.panel.e.Blend(0, nil, 0, nil, f.inner.data)
	f.inner.addInner(1, f.k)
}

// target adds ridge/2 K^T K - I/2 to h.
func (f *movingFactor[T]) target(ridge float64) {
	f.k.panel.e.Blend(1, f.h.data, T(ridge/2), f.inner.data, f.h.data)
	f.h.addDiagonal(-0.5)
}

// follow sets m to keep m + take h.
func (f *movingFactor[T]) follow(keep, take T) {
	f.k.panel.e.Blend(keep, f.m.data, take, f.h.data, f.m.data)
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
