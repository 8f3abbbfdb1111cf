//go:build cuda && cgo && linux

package cuda

import (
	"github.com/spdopt/spdopt/internal/engine"
)

// Squares implements engine.Factors.
func (b *backend[T]) Squares(x []T, sums []float64) {
	each := engine.MustPart("Squares", len(x), len(sums))
	n, count := pieces(each), len(sums)
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j := add(c, x, false), add(c, sums, true)
	c.commit()
	work := c.temp(16 * max(n, 1) * count)
	if !c.ready() || n == 0 {
		return
	}
	c.l.ptr(c.at(i)).int(each).int(count).int(piece).ptr(work).ptr(work+uintptr(8*n*count)).launch("pieces", n, min(count, mostGrid), 1, rowThreads, 1)
	c.l.ptr(work).int(n).ptr(c.at(j)).rows("add_up", count)
}

// InverseSums implements engine.Factors.
func (b *backend[T]) InverseSums(d []T, sums []float64) {
	n := engine.MustPart("InverseSums", len(d), len(sums))
	b.c.begin()
	defer b.c.end()
	i, j := add(&b.c, d, false), add(&b.c, sums, true)
	b.c.commit()
	b.c.l.ptr(b.c.at(i)).int(n).ptr(b.c.at(j)).rows("inverse_sums", len(sums))
}

// Rates implements engine.Factors.
func (b *backend[T]) Rates(r engine.Rates[T]) {
	r.Must()
	u := append(b.rates[:0], r.Size, r.Others, r.Batch, r.Beta2, r.Gamma, r.Damping, r.Exponent, r.Low, r.High, r.Surprise, flagged(r.Plain), flagged(r.Exponential))
	for _, n := range r.Sizes {
		u = append(u, float64(n))
	}
	u = append(u, r.Due...)
	b.rates = u
	b.c.begin()
	defer b.c.end()
	c := &b.c
	shape := r.Traces
	if r.Plain {
		shape = r.Usual
	}
	i, j, k, l := add(c, r.Squares, false), add(c, shape, false), add(c, r.Totals, true), add(c, r.Found, true)
	c.commit()
	c.l.ptr(put(c, u)).ptr(c.at(i)).ptr(c.at(j)).int(len(r.Sizes)).int(len(r.Squares)).ptr(c.at(k)).ptr(c.at(l)).each("rates", len(r.Squares))
}

func flagged(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Lead implements engine.Factors.
func (b *backend[T]) Lead(r engine.Rates[T], scales []float64) {
	engine.MustHave("Lead", len(r.Squares), len(scales))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j, k, l := add(c, scales, false), add(c, r.Of(engine.RateLearns), false), add(c, r.Totals, true), add(c, r.Of(engine.RateLead), true)
	c.commit()
	c.l.float64(r.Low).float64(r.High).float64(r.Exponent).int(len(scales)).ptr(c.at(i)).ptr(c.at(j)).ptr(c.at(k)).ptr(c.at(l)).each("lead", len(scales))
}

// BlendEach implements engine.Factors.
func (b *backend[T]) BlendEach(keep, take T, by []float64, x, y []T) {
	engine.MustHave("BlendEach", len(y), len(x))
	n := engine.MustPart("BlendEach", len(y), len(by))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j, k := add(c, by, false), add(c, x, false), add(c, y, true)
	c.commit()
	b.numbers[0], b.numbers[1] = keep, take
	c.l.ptr(put(c, b.numbers[:2])).ptr(c.at(i)).ptr(c.at(j)).ptr(c.at(k)).lines("blend_each", n, len(by))
}

// PowerEach implements engine.Factors.
func (b *backend[T]) PowerEach(x []T, e float64, by []float64, y []T) {
	engine.MustHave("PowerEach", len(y), len(x))
	n := engine.MustPart("PowerEach", len(y), len(by))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j, k := add(c, x, false), add(c, by, false), add(c, y, true)
	c.commit()
	c.l.ptr(c.at(i)).float64(e).ptr(c.at(j)).ptr(c.at(k)).lines("power_each", n, len(by))
}

// factorBlocks adds what a kernel is told about f; d and m are its operands.
func (b *backend[T]) factorBlocks(f *engine.FactorBlocks[T], d, m int) *launcher {
	return b.c.l.ptr(b.c.at(d)).int(f.Step).matrix(b.view(m, f.M)).int(f.Tensors).int(f.M.Count).int(f.N)
}

// Target implements engine.Factors.
func (b *backend[T]) Target(f engine.FactorBlocks[T], h engine.Batch[T], keep, gram, ridge, learns []float64, s, r, x, next []T) {
	f.Must("Target", len(s), len(r), len(x), len(next))
	f.M.MustMatch("Target", &h)
	engine.MustHave("Target", f.Tensors, len(keep), len(gram), len(ridge), len(learns))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	d, m, i := add(c, f.D, false), b.write(f.M), b.read(h)
	p, g, e, l := add(c, keep, false), add(c, gram, false), add(c, ridge, false), add(c, learns, false)
	si, ri, xi, ni := add(c, s, true), add(c, r, true), add(c, x, true), add(c, next, true)
	c.commit()
	b.factorBlocks(&f, d, m).matrix(b.view(i, h)).ptr(c.at(p)).ptr(c.at(g)).ptr(c.at(e)).ptr(c.at(l)).ptr(c.at(si)).ptr(c.at(ri)).ptr(c.at(xi)).ptr(c.at(ni)).
		each("target", f.M.Count*f.N*f.N)
}

// Means implements engine.Factors.
func (b *backend[T]) Means(f engine.FactorBlocks[T], first bool, means []float64) {
	f.Must("Means")
	engine.MustHave("Means", f.Tensors, len(means))
	b.c.begin()
	defer b.c.end()
	d, k := add(&b.c, f.D, false), add(&b.c, means, true)
	b.c.commit()
	b.c.l.ptr(b.c.at(d)).int(f.Step).int(f.N).int(f.Cuts).flag(first).ptr(b.c.at(k)).rows("means", f.Tensors)
}

// AddUp implements engine.Factors.
func (b *backend[T]) AddUp(f engine.FactorBlocks[T], x []T, first bool, sums []float64) {
	f.Must("AddUp", len(x))
	engine.MustHave("AddUp", f.Tensors, len(sums))
	b.c.begin()
	defer b.c.end()
	i, k := add(&b.c, x, false), add(&b.c, sums, true)
	b.c.commit()
	b.c.l.ptr(b.c.at(i)).int(f.N).int(f.Cuts).flag(first).ptr(b.c.at(k)).rows("increments", f.Tensors)
}

// Lessen implements engine.Factors.
func (b *backend[T]) Lessen(f engine.FactorBlocks[T], sums []float64, n int, x, next []T) {
	f.Must("Lessen", len(x), len(next))
	engine.MustHave("Lessen", f.Tensors, len(sums))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	d, m, i, j, k := add(c, f.D, false), b.write(f.M), add(c, sums, false), add(c, x, true), add(c, next, true)
	c.commit()
	b.factorBlocks(&f, d, m).ptr(c.at(i)).int(n).ptr(c.at(j)).ptr(c.at(k)).each("lessen", f.M.Count*f.N)
}

// Shorten implements engine.Factors.
func (b *backend[T]) Shorten(n engine.Batch[T], bounds, estimates []float64, limit float64, live []float64) {
	engine.MustHave("Shorten", n.Count, len(bounds), len(estimates))
	engine.MustPart("Shorten", n.Count, len(live))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j, k, l := b.write(n), add(c, bounds, false), add(c, estimates, false), add(c, live, false)
	c.commit()
	c.l.matrix(b.view(i, n)).int(n.Count).int(n.Rows).int(n.Cols).ptr(c.at(j)).ptr(c.at(k)).float64(limit).ptr(c.at(l)).int(len(live)).
		each("shorten", n.Count*n.Rows*n.Cols)
}

// Coupled implements engine.Factors.
func (b *backend[T]) Coupled(m engine.Batch[T], tol float64, turns, live []float64) {
	engine.MustHave("Coupled", m.Rows, m.Cols)
	engine.MustHave("Coupled", m.Count, len(live))
	engine.MustPart("Coupled", m.Count, len(turns))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j, k := b.read(m), add(c, turns, false), add(c, live, true)
	c.commit()
	rows := c.temp(8 * m.Count * m.Rows)
	if c.ready() {
		c.l.matrix(b.view(i, m)).int(m.Rows).float64(tol).ptr(rows).rows("coupled_rows", m.Count*m.Rows)
		c.l.ptr(rows).int(m.Rows).ptr(c.at(j)).int(len(turns)).ptr(c.at(k)).rows("coupled", m.Count)
	}
}

// Adopt implements engine.Factors.
func (b *backend[T]) Adopt(f engine.FactorBlocks[T], next, x []T) {
	f.Must("Adopt", len(next), len(x))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	d, m, i, j := add(c, f.D, true), b.read(f.M), add(c, next, false), add(c, x, false)
	c.commit()
	b.factorBlocks(&f, d, m).float64(f.Low).float64(f.High).ptr(c.at(i)).ptr(c.at(j)).each("adopt", f.M.Count*f.N)
}

// Centre implements engine.Factors.
func (b *backend[T]) Centre(d []T, low, high float64, learns, scales []float64) {
	n := engine.MustPart("Centre", len(d), len(learns))
	engine.MustHave("Centre", len(learns), len(scales))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j, k := add(c, d, true), add(c, learns, false), add(c, scales, true)
	c.commit()
	c.l.ptr(c.at(i)).int(n).float64(low).float64(high).ptr(c.at(j)).ptr(c.at(k)).rows("centre", len(learns))
}

// Rescale implements engine.Factors.
func (b *backend[T]) Rescale(f engine.FactorBlocks[T], scales, drops []float64) {
	f.Must("Rescale")
	engine.MustHave("Rescale", f.Tensors, len(scales))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	d, m, i, j := add(c, f.D, false), b.write(f.M), add(c, scales, false), add(c, drops, false)
	c.commit()
	b.factorBlocks(&f, d, m).ptr(c.at(i)).ptr(c.at(j)).int(len(drops)).each("rescale", f.M.Count*f.N*f.N)
}
