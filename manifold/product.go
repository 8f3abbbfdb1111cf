package manifold

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// ProductPoint is a tuple of points, the point type of Product.
type ProductPoint struct{ Parts []Point }

var _ Point = (*ProductPoint)(nil)

// Clone returns a deep copy.
func (p *ProductPoint) Clone() Point {
	c := &ProductPoint{Parts: make([]Point, len(p.Parts))}
	for i, q := range p.Parts {
		c.Parts[i] = q.Clone()
	}
	return c
}

// CopyFrom overwrites the receiver with q, which must be a *ProductPoint with parts of the same types and sizes.
func (p *ProductPoint) CopyFrom(q Point) {
	for i, r := range asProductPoint(q, len(p.Parts)).Parts {
		p.Parts[i].CopyFrom(r)
	}
}

func asProductPoint(p Point, k int) *ProductPoint {
	t, ok := p.(*ProductPoint)
	if !ok || len(t.Parts) != k {
		panic(Error(fmt.Sprintf("the point is not a *ProductPoint of %d parts", k)))
	}
	return t
}

// Product is the product of manifolds with the metric sum weight_i g_i. Points are *ProductPoint; the coordinates of a tangent vector are those
// of the parts, one after the other. Geodesics, logarithms and transports are those of the parts, distances add in squares. Exp, Log, Distance
// and RandomTangent work if every part has them; otherwise Exp, Log and Distance are errors that name the part.
type Product struct {
	parts   []Manifold
	weights []float64
	offsets []int // of the coordinates of part i; one more for the end
	free    bool
}

var (
	_ Manifold        = (*Product)(nil)
	_ Exponential     = (*Product)(nil)
	_ Logarithm       = (*Product)(nil)
	_ Distancer       = (*Product)(nil)
	_ RandomTangenter = (*Product)(nil)
	_ Checker         = (*Product)(nil)
	_ Completer       = (*Product)(nil)
	_ FreeTransporter = (*Product)(nil)
)

// ProductOptions configures NewProduct; the zero value is the default.
type ProductOptions struct {
	// Weights are the positive weights of the metrics of the parts; the default for nil is 1 for each.
	Weights []float64
}

// Validate returns an error that names the first field that is out of range.
func (o ProductOptions) Validate() error {
	for i, w := range o.Weights {
		if !(w > 0) || math.IsInf(w, 1) {
			return fmt.Errorf("manifold: Weights[%d] is %v, want a positive number", i, w)
		}
	}
	return nil
}

var product = Space{
	Name: "product",
	What: "products and powers of manifolds, with weights; an instance is affine-invariant SPD(n) x positive vectors(n)",
	New: func(n int) (Manifold, error) {
		a, err := NewAffine(n, AffineOptions{})
		if err != nil {
			return nil, err
		}
		b, err := NewPositive(n)
		if err != nil {
			return nil, err
		}
		return NewProduct([]Manifold{a, b}, ProductOptions{})
	},
}

// NewProduct returns the product of the parts, of which there must be at least one.
func NewProduct(parts []Manifold, o ProductOptions) (*Product, error) {
	if len(parts) == 0 {
		return nil, fmt.Errorf("manifold: a product needs at least one part")
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Weights != nil && len(o.Weights) != len(parts) {
		return nil, fmt.Errorf("manifold: there are %d Weights for %d parts", len(o.Weights), len(parts))
	}
	m := &Product{parts: append([]Manifold(nil), parts...), weights: make([]float64, len(parts)), offsets: make([]int, len(parts)+1), free: true}
	for i, p := range parts {
		if p == nil {
			return nil, fmt.Errorf("manifold: part %d is nil", i)
		}
		m.weights[i] = 1
		if o.Weights != nil {
			m.weights[i] = o.Weights[i]
		}
		m.offsets[i+1] = m.offsets[i] + p.VectorLen()
		f, ok := p.(FreeTransporter)
		m.free = m.free && ok && f.FreeTransport()
	}
	return m, nil
}

// NewPower returns the product of k copies of m.
func NewPower(m Manifold, k int) (*Product, error) {
	parts := make([]Manifold, max(k, 0))
	for i := range parts {
		parts[i] = m
	}
	return NewProduct(parts, ProductOptions{})
}

// Parts returns the number of parts.
func (m *Product) Parts() int { return len(m.parts) }

// Part returns part i and the weight of its metric.
func (m *Product) Part(i int) (Manifold, float64) { return m.parts[i], m.weights[i] }

// Vector returns the coordinates of part i within v, a view. A Riemannian gradient of the product has in it the gradient of the part, divided by
// the weight.
func (m *Product) Vector(v []float64, i int) []float64 {
	return v[m.offsets[i]:m.offsets[i+1]:m.offsets[i+1]]
}

// VectorLen returns the sum of those of the parts.
func (m *Product) VectorLen() int { return m.offsets[len(m.parts)] }

// Inner returns the weighted sum of the inner products of the parts.
func (m *Product) Inner(p Point, u, v []float64) float64 {
	var s float64
	t := asProductPoint(p, len(m.parts))
	for i, part := range m.parts {
		s += m.weights[i] * part.Inner(t.Parts[i], m.Vector(u, i), m.Vector(v, i))
	}
	return s
}

// move applies step, a move of one part, to all of them.
func (m *Product) move(dst, p Point, v []float64, step func(i int, dst, p Point, v []float64) error) error {
	to, from := asProductPoint(dst, len(m.parts)), asProductPoint(p, len(m.parts))
	for i := range m.parts {
		if err := step(i, to.Parts[i], from.Parts[i], m.Vector(v, i)); err != nil {
			return fmt.Errorf("part %d: %w", i, err)
		}
	}
	return nil
}

// Retract moves every part by its retraction.
func (m *Product) Retract(dst, p Point, v []float64) error {
	return m.move(dst, p, v, func(i int, dst, p Point, v []float64) error { return m.parts[i].Retract(dst, p, v) })
}

// Exp moves every part along its geodesic.
func (m *Product) Exp(dst, p Point, v []float64) error {
	return m.move(dst, p, v, func(i int, dst, p Point, v []float64) error {
		e, ok := m.parts[i].(Exponential)
		if !ok {
			return fmt.Errorf("the manifold has no exponential")
		}
		return e.Exp(dst, p, v)
	})
}

// Log writes the logarithms of the parts to v.
func (m *Product) Log(v []float64, p, q Point) error {
	return m.move(p, q, v, func(i int, p, q Point, v []float64) error {
		l, ok := m.parts[i].(Logarithm)
		if !ok {
			return fmt.Errorf("the manifold has no logarithm")
		}
		return l.Log(v, p, q)
	})
}

// Distance returns the root of the weighted sum of the squared distances of the parts.
func (m *Product) Distance(p, q Point) (float64, error) {
	a, b := asProductPoint(p, len(m.parts)), asProductPoint(q, len(m.parts))
	var s float64
	for i, part := range m.parts {
		d, ok := part.(Distancer)
		if !ok {
			return 0, fmt.Errorf("part %d: the manifold has no distance", i)
		}
		x, err := d.Distance(a.Parts[i], b.Parts[i])
		if err != nil {
			return 0, fmt.Errorf("part %d: %w", i, err)
		}
		s += m.weights[i] * x * x
	}
	return math.Sqrt(s), nil
}

// Transport carries the coordinates of every part.
func (m *Product) Transport(from, to Point, v []float64) {
	a, b := asProductPoint(from, len(m.parts)), asProductPoint(to, len(m.parts))
	for i, part := range m.parts {
		part.Transport(a.Parts[i], b.Parts[i], m.Vector(v, i))
	}
}

// FreeTransport reports whether every part keeps the coordinates.
func (m *Product) FreeTransport() bool { return m.free }

// Check checks every part that can be checked.
func (m *Product) Check(p Point) error {
	for i, q := range asProductPoint(p, len(m.parts)).Parts {
		if c, ok := m.parts[i].(Checker); ok {
			if err := c.Check(q); err != nil {
				return fmt.Errorf("part %d: %w", i, err)
			}
		}
	}
	return nil
}

// Complete completes every part that puts off work.
func (m *Product) Complete(p Point) error {
	for i, q := range asProductPoint(p, len(m.parts)).Parts {
		if err := complete(m.parts[i], q); err != nil {
			return fmt.Errorf("part %d: %w", i, err)
		}
	}
	return nil
}

// RandomPoint draws every part.
func (m *Product) RandomPoint(rng *rand.Rand) Point {
	p := &ProductPoint{Parts: make([]Point, len(m.parts))}
	for i, part := range m.parts {
		p.Parts[i] = part.RandomPoint(rng)
	}
	return p
}

// RandomTangent draws every part, with standard normal lengths, and scales v to unit norm. It panics if a part has no RandomTangent.
func (m *Product) RandomTangent(v []float64, p Point, rng *rand.Rand) {
	t := asProductPoint(p, len(m.parts))
	for i, part := range m.parts {
		r, ok := part.(RandomTangenter)
		if !ok {
			panic(Error(fmt.Sprintf("RandomTangent: part %d has none", i)))
		}
		x, length := m.Vector(v, i), rng.NormFloat64()/math.Sqrt(m.weights[i])
		r.RandomTangent(x, t.Parts[i], rng)
		for j := range x {
			x[j] *= length
		}
	}
	scale := 1 / math.Sqrt(m.Inner(p, v, v))
	for i := range v {
		v[i] *= scale
	}
}
