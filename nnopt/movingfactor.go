package nnopt

import "github.com/spdopt/spdopt/internal/engine"

// movingFactor is a factor K of an inverse, confined to a structure, that moves by products K <- K - b K m with a momentum m.
type movingFactor[T Float] struct {
	mode     int       // dimension of the tensor
	k, m     member[T] // factor and its momentum
	h, inner member[T] // what m is pulled to, and the projection of K^T K

	trace, ridge, by engine.Figure // of inner, what it is added with to h, and -b, in a step that learns
}

// movingFigures is how many registers a factor takes in a step.
const movingFigures = 64

// newMovingFactor wraps the fresh arrays of k, which becomes the identity, and m.
func newMovingFactor[T Float](mode int, p *pattern, k, m []T) movingFactor[T] {
	work := newPanels[T](p)
	f := movingFactor[T]{
		mode: mode, k: member[T]{p, k, work}, m: member[T]{p, m, work},
		h: member[T]{p, make([]T, p.size), work}, inner: member[T]{p, make([]T, p.size), work},
	}
	f.k.addDiagonal(1)
	return f
}

// place moves the factor's workspace to the memory of a device; k and m lie there already.
func (f *movingFactor[T]) place(e engine.Backend[T], a *engine.Arena[T]) {
	f.k.panel.place(f.k.pattern, e, a)
	f.h.data, f.inner.data = a.Alloc(len(f.h.data)), a.Alloc(len(f.inner.data))
}

// clearTarget starts h afresh.
func (f *movingFactor[T]) clearTarget() { f.h.zero(f.h.data) }

// formInner sets inner, and finds its mean trace.
func (f *movingFactor[T]) formInner(q *engine.Reckoning[T]) {
	f.inner.zero(f.inner.data)
	f.inner.addInner(1, f.k)
	f.trace = f.inner.meanTrace(q)
}

// target adds ridge K^T K - I/2 to h, and finds whether the result is finite.
func (f *movingFactor[T]) target(q *engine.Reckoning[T]) (finite engine.Figure) {
	f.k.panel.e.BlendBy(nil, f.h.data, q.Register(f.ridge), f.inner.data, f.h.data)
	f.h.addDiagonal(-0.5)
	return f.h.finite(q)
}

// follow sets m to keep m + take h.
func (f *movingFactor[T]) follow(q *engine.Reckoning[T], keep, take engine.Figure) {
	f.k.panel.e.BlendBy(q.Register(keep), f.m.data, q.Register(take), f.h.data, f.m.data)
}

// shorten sets by to -b, or to 0 unless wanted, and where K - b K m could leave the range of T; it finds whether it could not.
func (f *movingFactor[T]) shorten(q *engine.Reckoning[T], b, m, wanted engine.Figure) (fits engine.Figure) {
	k, _ := f.k.norms(q)
	fits = q.Below(q.Times(k, q.Plus(q.Number(1), q.Times(b, m))), q.Number(largestGradient[T]()))
	f.by = q.Pick(q.Times(fits, wanted), q.Minus(q.Number(0), b), q.Number(0))
	return fits
}

// move sets K to K - b K m.
func (f *movingFactor[T]) move(q *engine.Reckoning[T]) { f.k.addProduct(q.Register(f.by), f.m) }
