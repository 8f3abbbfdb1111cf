package manifold

import "math/rand/v2"

// Point is a place on a manifold. Each Manifold documents the concrete type that it works on.
type Point interface {
	// Clone returns a deep copy.
	Clone() Point
	// CopyFrom overwrites the receiver with p, which must have the same concrete type and size; otherwise it panics with Error.
	CopyFrom(p Point)
}

// Manifold is what a solver needs. Tangent vectors are slices of VectorLen numbers in coordinates that the manifold chooses; sums and
// multiples of the coordinates are sums and multiples of the vectors.
type Manifold interface {
	// VectorLen returns the number of float64 that hold a tangent vector.
	VectorLen() int
	// Inner returns the Riemannian inner product of u and v at p.
	Inner(p Point, u, v []float64) float64
	// Retract moves from p along v and writes the result to dst, which must not be p. The curve t -> Retract(t v) leaves p with velocity v.
	// A vector that is not finite, or too long for the result to be represented, is an error (*StepError), and dst is then unspecified.
	Retract(dst, p Point, v []float64) error
	// Transport carries v from the tangent space at from to the one at to, in place, where to was reached from from by Retract.
	Transport(from, to Point, v []float64)
	// RandomPoint returns a point drawn from rng.
	RandomPoint(rng *rand.Rand) Point
}

// Exponential is implemented by manifolds that can follow geodesics exactly.
type Exponential interface {
	// Exp is Retract along the geodesic that leaves p with velocity v.
	Exp(dst, p Point, v []float64) error
}

// Logarithm is implemented by manifolds that can invert the exponential map.
type Logarithm interface {
	// Log writes to v the tangent vector at p whose geodesic reaches q at time 1.
	Log(v []float64, p, q Point) error
}

// Distancer is implemented by manifolds with a computable geodesic distance.
type Distancer interface {
	// Distance returns the length of the shortest path from p to q.
	Distance(p, q Point) (float64, error)
}

// RandomTangenter is implemented by manifolds that can draw tangent vectors.
type RandomTangenter interface {
	// RandomTangent fills v with a tangent vector of unit norm at p.
	RandomTangent(v []float64, p Point, rng *rand.Rand)
}

// Checker is implemented by manifolds that can tell whether a point is still one. Solvers call it on every accepted point.
type Checker interface {
	// Check returns a *PointError if p is not a finite point of the manifold. It may repair redundant storage in p.
	Check(p Point) error
}

// Completer is implemented by manifolds whose Retract puts off part of the work on a point. Solvers call it on the point they return.
type Completer interface {
	// Complete finishes p, or returns a *PointError if that shows it not to be a point of the manifold.
	Complete(p Point) error
}

// FreeTransporter is implemented by manifolds whose Transport keeps the coordinates, so that solvers need not call it.
type FreeTransporter interface {
	// FreeTransport reports whether Transport leaves the coordinates of every vector as they are.
	FreeTransport() bool
}

// Isometric is implemented by manifolds all of whose tangent spaces one linear map takes to vectors of fewer numbers, inner products to dot products. Where
// transport is free, solvers that keep many vectors keep these.
type Isometric interface {
	// ImageLen returns the length of an image.
	ImageLen() int
	// Image writes the image of v to dst.
	Image(dst, v []float64)
	// Preimage writes the vector with the given image to v.
	Preimage(v, image []float64)
}

// Whitened is implemented by manifolds of SPD matrices whose points are *Frame. Problems write the differential W of their cost in
// whitened coordinates, df[F eta F^T] = tr(W eta), and the manifold turns it into its Riemannian gradient.
type Whitened interface {
	// FromWhitened overwrites the whitened differential w at p with the Riemannian gradient.
	FromWhitened(p *Frame, w []float64)
}
