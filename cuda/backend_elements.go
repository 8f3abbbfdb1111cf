//go:build cuda && cgo && linux

package cuda

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// used is x, or nothing where its factor is 0.
func used[T dense.Float](op string, factor T, x []T, n int) []T {
	if factor == 0 {
		return nil
	}
	engine.MustHave(op, n, len(x))
	return x
}

// Blend implements engine.Elements.
func (b *backend[T]) Blend(f T, x []T, g T, z, y []T) {
	x, z = used("Blend", f, x, len(y)), used("Blend", g, z, len(y))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j, k := add(c, x, false), add(c, z, false), add(c, y, true)
	c.commit()
	b.numbers[0], b.numbers[1] = f, g
	c.l.ptr(put(c, b.numbers[:2])).ptr(c.at(i)).ptr(c.at(j)).ptr(c.at(k)).int(len(y)).each("blend", len(y))
}

// Multiply implements engine.Elements.
func (b *backend[T]) Multiply(x, z []T, keep T, y []T) {
	engine.MustHave("Multiply", len(y), len(x), len(z))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j, k := add(c, x, false), add(c, z, false), add(c, y, true)
	c.commit()
	c.l.ptr(c.at(i)).ptr(c.at(j))
	b.number(keep).ptr(c.at(k)).int(len(y)).each("multiply", len(y))
}

// AddSquares implements engine.Elements.
func (b *backend[T]) AddSquares(keep, take, more T, x, v []T) {
	engine.MustHave("AddSquares", len(v), len(x))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j := add(c, x, false), add(c, v, true)
	c.commit()
	b.numbers[0], b.numbers[1], b.numbers[2] = keep, take, more
	c.l.ptr(put(c, b.numbers[:3])).ptr(c.at(i)).ptr(c.at(j)).int(len(v)).each("add_squares", len(v))
}

// DivideRoot implements engine.Elements.
func (b *backend[T]) DivideRoot(v []T, correction, eps float64, y []T) {
	engine.MustHave("DivideRoot", len(y), len(v))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j := add(c, v, false), add(c, y, true)
	c.commit()
	u := [2]float64{correction, eps}
	c.l.ptr(put(c, u[:])).ptr(c.at(i)).ptr(c.at(j)).int(len(y)).each("divide_root", len(y))
}

// Power implements engine.Elements.
func (b *backend[T]) Power(x []T, e float64, y []T) {
	engine.MustHave("Power", len(y), len(x))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j := add(c, x, false), add(c, y, true)
	c.commit()
	c.l.ptr(c.at(i)).float64(e).ptr(c.at(j)).int(len(y)).each("power", len(y))
}

// Apply implements engine.Elements.
func (b *backend[T]) Apply(kind engine.Curve, x, f, slope, bend []T) {
	engine.MustHave("Apply", len(x), len(f), len(slope))
	if bend != nil {
		engine.MustHave("Apply", len(x), len(bend))
	}
	if kind < engine.ReLU || kind > engine.Logistic {
		panic(engine.Error("Apply: no such curve"))
	}
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j, k, l := add(c, x, false), add(c, f, true), add(c, slope, true), add(c, bend, true)
	c.commit()
	c.l.int(int(kind)).ptr(c.at(i)).ptr(c.at(j)).ptr(c.at(k)).ptr(c.at(l)).int(len(x)).each("curve", len(x))
}

// AddRow implements engine.Elements.
func (b *backend[T]) AddRow(row []T, keep T, y engine.Batch[T]) {
	engine.MustHave("AddRow", y.Cols, len(row))
	b.c.begin()
	defer b.c.end()
	i, j := add(&b.c, row, false), b.write(y)
	b.c.commit()
	b.c.l.ptr(b.c.at(i))
	b.number(keep).matrix(b.view(j, y)).int(y.Count).int(y.Rows).int(y.Cols).each("add_row", y.Count*y.Rows*y.Cols)
}

// Mask implements engine.Elements.
func (b *backend[T]) Mask(m engine.Mask[T], mask []T) {
	b.c.begin()
	defer b.c.end()
	i := add(&b.c, mask, true)
	b.c.commit()
	u := [3]uint64{m.Seed, m.Step, m.Limit()}
	b.c.l.ptr(put(&b.c, u[:]))
	b.number(m.Keep).ptr(b.c.at(i)).int(len(mask)).each("mask", len(mask))
}

// Copy implements engine.Movement.
func (b *backend[T]) Copy(x, y engine.Batch[T]) {
	x.MustMatch("Copy", &y)
	b.c.begin()
	defer b.c.end()
	i, j := b.read(x), b.write(y)
	b.c.commit()
	b.c.l.matrix(b.view(i, x)).matrix(b.view(j, y)).int(x.Count).int(x.Rows).int(x.Cols).each("copy", x.Count*x.Rows*x.Cols)
}

// Transpose implements engine.Elements.
func (b *backend[T]) Transpose(x, y engine.Batch[T]) {
	engine.MustHave("Transpose", x.Count, y.Count)
	engine.MustHave("Transpose", x.Rows, y.Cols)
	engine.MustHave("Transpose", x.Cols, y.Rows)
	b.c.begin()
	defer b.c.end()
	i, j := b.read(x), b.write(y)
	b.c.commit()
	b.c.l.matrix(b.view(i, x)).matrix(b.view(j, y)).int(x.Count).int(x.Rows).int(x.Cols).tiles("transpose", x.Rows, x.Cols, x.Count)
}

// Mirror implements engine.Elements.
func (b *backend[T]) Mirror(x engine.Batch[T]) {
	engine.MustHave("Mirror", x.Rows, x.Cols)
	b.c.begin()
	defer b.c.end()
	i := b.write(x)
	b.c.commit()
	b.mirror(true, b.view(i, x), b.view(i, x), x.Count, x.Rows)
}

// Diagonal implements engine.Elements.
func (b *backend[T]) Diagonal(x engine.Batch[T], d []T) { b.diagonal("Diagonal", false, x, d) }

// SetDiagonal implements engine.Elements.
func (b *backend[T]) SetDiagonal(d []T, x engine.Batch[T]) { b.diagonal("SetDiagonal", true, x, d) }

func (b *backend[T]) diagonal(op string, set bool, x engine.Batch[T], d []T) {
	engine.MustHave(op, x.Rows, x.Cols)
	engine.MustHave(op, x.Count*x.Rows, len(d))
	b.c.begin()
	defer b.c.end()
	i, j := addBatch(&b.c, x, set), add(&b.c, d, !set)
	b.c.commit()
	b.c.l.flag(set).matrix(b.view(i, x)).ptr(b.c.at(j)).int(x.Count).int(x.Rows).each("diagonal", len(d))
}

// NormEstimate implements engine.Spectral.
func (b *backend[T]) NormEstimate(n engine.Batch[T], est []float64) {
	engine.MustHave("NormEstimate", n.Rows, n.Cols)
	engine.MustHave("NormEstimate", n.Count, len(est))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j := b.read(n), add(c, est, true)
	c.commit()
	rows := n.Count * n.Rows
	work := c.temp(32 * rows)
	packed := b.square(n.Count, n.Rows)
	if !c.ready() {
		return
	}
	norms, v, w := work+uintptr(8*rows), work+uintptr(16*rows), work+uintptr(24*rows)
	c.l.either(b.view(i, n), false).int(n.Rows).int(n.Cols).ptr(work).ptr(norms).rows("row_norms", rows)
	c.l.matrix(b.view(i, n)).matrix(packed).int(n.Count).int(n.Rows).int(n.Cols).each("copy", rows*n.Cols)
	c.l.operand(packed.at, false).ptr(norms).int(n.Rows).ptr(v).ptr(c.at(j)).rows("power_start", n.Count)
	for range 3 {
		c.l.operand(packed.at, false).ptr(v).int(n.Rows).ptr(w).rows("power_step", rows)
		c.l.ptr(w).int(n.Rows).ptr(v).ptr(c.at(j)).rows("power_norm", n.Count)
	}
}

// form is a pool in the order of the kernels.
func form(p *engine.Pool) [6]int32 {
	return [...]int32{int32(p.Height), int32(p.Width), int32(p.Window), int32(p.Stride), int32(p.OutHeight), int32(p.OutWidth)}
}

// chosenOf are the rows that the maxima are in, nothing for other pools.
func chosenOf(p *engine.Pool, chosen []int32) []int32 {
	if !p.Max {
		return nil
	}
	return chosen
}

// Choose implements engine.Pooling.
func (b *backend[T]) Choose(p engine.Pool, x dense.Matrix[T], outputs int, chosen []int32) {
	p.Max = true
	p.MustPool("Choose", x.Rows, outputs, x.Cols, chosen)
	f, xb := form(&p), engine.One(x)
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j, k := add(c, f[:], false), b.read(xb), add(c, chosen, true)
	c.commit()
	c.l.ptr(c.at(i)).ptr(c.at(j)).int(x.Stride).int(x.Rows).int(outputs).int(x.Cols).ptr(c.at(k)).each("pool_choose", outputs*x.Cols)
}

// Reduce implements engine.Pooling.
func (b *backend[T]) Reduce(p engine.Pool, x dense.Matrix[T], chosen []int32, y dense.Matrix[T]) {
	engine.MustHave("Reduce", x.Cols, y.Cols)
	p.MustPool("Reduce", x.Rows, y.Rows, x.Cols, chosen)
	f, xb, yb := form(&p), engine.One(x), engine.One(y)
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, h, j, k := add(c, f[:], false), add(c, chosenOf(&p, chosen), false), b.read(xb), b.write(yb)
	c.commit()
	c.l.ptr(c.at(i))
	b.number(T(p.Weight)).ptr(c.at(h)).ptr(c.at(j)).int(x.Stride).int(x.Rows).ptr(c.at(k)).int(y.Stride).int(y.Rows).int(y.Cols).
		each("pool_reduce", y.Rows*y.Cols)
}

// Spread implements engine.Pooling.
func (b *backend[T]) Spread(p engine.Pool, y dense.Matrix[T], chosen []int32, x dense.Matrix[T]) {
	engine.MustHave("Spread", x.Cols, y.Cols)
	p.MustPool("Spread", x.Rows, y.Rows, x.Cols, chosen)
	f, xb, yb := form(&p), engine.One(x), engine.One(y)
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, h, j, k := add(c, f[:], false), add(c, chosenOf(&p, chosen), false), b.read(yb), b.write(xb)
	c.commit()
	c.l.ptr(c.at(i))
	b.number(T(p.Weight)).ptr(c.at(h)).ptr(c.at(j)).int(y.Stride).int(y.Rows).ptr(c.at(k)).int(x.Stride).int(x.Rows).int(x.Cols).
		each("pool_spread", x.Rows*x.Cols)
}

// CrossEntropy implements engine.Losses.
func (b *backend[T]) CrossEntropy(l engine.CrossEntropy[T]) {
	l.Must()
	values := l.Values
	if l.Classes != nil {
		values = engine.Batch[T]{}
	}
	b.c.begin()
	defer b.c.end()
	c := &b.c
	h, v, o, p := add(c, l.Classes, false), b.read(values), b.read(l.Out), b.read(l.P)
	n, cost, g, d := add(c, l.Norms, false), add(c, l.Cost, true), b.write(l.G), b.write(l.D)
	c.commit()
	b.numbers[0], b.numbers[1] = l.Factor, T(l.Smoothing)
	c.l.ptr(put(c, b.numbers[:2])).ptr(c.at(h)).matrix(b.view(v, values)).matrix(b.view(o, l.Out)).matrix(b.view(p, l.P)).ptr(c.at(n)).ptr(c.at(cost)).
		matrix(b.view(g, l.G)).matrix(b.view(d, l.D)).flag(l.Flat).int(l.Out.Rows).int(l.Out.Cols).rows("cross_entropy", l.Out.Count*l.Out.Rows)
}

// Misfits implements engine.Losses.
func (b *backend[T]) Misfits(kind engine.Misfit, factor T, out, dout, target, g, dg engine.Batch[T], cost []float64) {
	engine.MustMisfits(&out, &dout, &target, &g, &dg, cost)
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j, k, l, m, n := b.read(out), b.read(dout), b.read(target), b.write(g), b.write(dg), add(c, cost, true)
	c.commit()
	b.numbers[0] = factor
	c.l.int(int(kind)).ptr(put(c, b.numbers[:1])).matrix(b.view(i, out)).matrix(b.view(j, dout)).matrix(b.view(k, target)).matrix(b.view(l, g)).matrix(b.view(m, dg)).
		ptr(c.at(n)).int(out.Rows).int(out.Cols).rows("misfits", out.Count*out.Rows)
}
