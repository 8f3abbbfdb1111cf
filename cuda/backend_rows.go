//go:build cuda && cgo && linux

package cuda

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// ScaleRows implements engine.Rows.
func (b *backend[T]) ScaleRows(s []T, x engine.Batch[T], beta T, y engine.Batch[T]) {
	engine.MustHave("ScaleRows", x.Count*x.Rows, len(s))
	b.scale("ScaleRows", "scale_rows", s, x, beta, y)
}

// ScaleCols implements engine.Rows.
func (b *backend[T]) ScaleCols(s []T, x engine.Batch[T], beta T, y engine.Batch[T]) {
	engine.MustHave("ScaleCols", x.Count*x.Cols, len(s))
	b.scale("ScaleCols", "scale_cols", s, x, beta, y)
}

func (b *backend[T]) scale(op, kernel string, s []T, x engine.Batch[T], beta T, y engine.Batch[T]) {
	x.MustMatch(op, &y)
	b.c.begin()
	defer b.c.end()
	i, j, k := add(&b.c, s, false), b.read(x), b.write(y)
	b.c.commit()
	b.c.l.ptr(b.c.at(i)).matrix(b.view(j, x))
	b.number(beta).matrix(b.view(k, y)).int(x.Count).int(x.Rows).int(x.Cols).each(kernel, x.Count*x.Rows*x.Cols)
}

// ColSums implements engine.Rows.
func (b *backend[T]) ColSums(x engine.Batch[T], sum []T) {
	engine.MustHave("ColSums", x.Count*x.Cols, len(sum))
	b.c.begin()
	defer b.c.end()
	i, j := b.read(x), add(&b.c, sum, true)
	b.c.commit()
	b.c.l.matrix(b.view(i, x)).matrix(view{}).int(x.Count).int(x.Rows).int(x.Cols).ptr(b.c.at(j)).each("col_sums", x.Count*x.Cols)
}

// ColDots implements engine.Rows.
func (b *backend[T]) ColDots(x, y engine.Batch[T], sum []T) {
	x.MustMatch("ColDots", &y)
	engine.MustHave("ColDots", x.Count*x.Cols, len(sum))
	b.c.begin()
	defer b.c.end()
	i, j, k := b.read(x), b.read(y), add(&b.c, sum, true)
	b.c.commit()
	b.c.l.matrix(b.view(i, x)).matrix(b.view(j, y)).int(x.Count).int(x.Rows).int(x.Cols).ptr(b.c.at(k)).each("col_sums", x.Count*x.Cols)
}

// RowDots implements engine.Rows.
func (b *backend[T]) RowDots(x, y engine.Batch[T], dst []T) {
	x.MustMatch("RowDots", &y)
	engine.MustHave("RowDots", x.Count*x.Rows, len(dst))
	b.c.begin()
	defer b.c.end()
	i, j, k := b.read(x), b.read(y), add(&b.c, dst, true)
	b.c.commit()
	b.c.l.matrix(b.view(i, x)).matrix(b.view(j, y)).int(x.Rows).int(x.Cols).ptr(b.c.at(k)).rows("row_dots", x.Count*x.Rows)
}

// Softmax implements engine.Rows.
func (b *backend[T]) Softmax(causal bool, x engine.Batch[T], norms []T) {
	if norms != nil {
		engine.MustHave("Softmax", x.Count*x.Rows, len(norms))
	}
	if causal && x.Rows > x.Cols {
		panic(engine.Error("Softmax: a causal row has no column for itself"))
	}
	b.c.begin()
	defer b.c.end()
	i, j := b.write(x), add(&b.c, norms, true)
	b.c.commit()
	b.c.l.flag(causal).matrix(b.view(i, x)).int(x.Rows).int(x.Cols).ptr(b.c.at(j)).rows("softmax", x.Count*x.Rows)
}

// SoftmaxMap implements engine.Rows.
func (b *backend[T]) SoftmaxMap(p, d engine.Batch[T]) {
	p.MustMatch("SoftmaxMap", &d)
	b.c.begin()
	defer b.c.end()
	i, j := b.read(p), b.write(d)
	b.c.commit()
	b.c.l.matrix(b.view(i, p)).matrix(b.view(j, d)).int(p.Rows).int(p.Cols).rows("softmax_map", p.Count*p.Rows)
}

// SoftmaxMapTangent implements engine.Rows.
func (b *backend[T]) SoftmaxMapTangent(p, dp, g, dg engine.Batch[T]) {
	p.MustMatch("SoftmaxMapTangent", &dp, &g, &dg)
	b.c.begin()
	defer b.c.end()
	i, j, k, l := b.read(p), b.read(dp), b.write(g), b.write(dg)
	b.c.commit()
	b.c.l.matrix(b.view(i, p)).matrix(b.view(j, dp)).matrix(b.view(k, g)).matrix(b.view(l, dg)).int(p.Rows).int(p.Cols).rows("softmax_map_tangent", p.Count*p.Rows)
}

// vectors returns the number of vectors of a normalisation, whose batches must have one shape and one stride.
func vectors[T dense.Float](op string, n *engine.Normalisation[T], others ...*engine.Batch[T]) int {
	n.H.MustMatch(op, others...)
	for _, o := range others {
		if o.Stride != n.H.Stride || o.Step != n.H.Step {
			panic(engine.Error(op + ": the strides differ"))
		}
	}
	count := n.H.Count * n.H.Rows
	if n.Columns {
		count = n.H.Count * n.H.Cols
	}
	engine.MustHave(op, count, len(n.Scale))
	return count
}

// Normalise implements engine.Normaliser.
func (b *backend[T]) Normalise(n engine.Normalisation[T], x engine.Batch[T]) {
	count := vectors("Normalise", &n, &x)
	b.c.begin()
	defer b.c.end()
	i, j, k := b.read(x), b.write(n.H), add(&b.c, n.Scale, true)
	b.c.commit()
	b.c.l.flag(n.Center).flag(n.Columns)
	b.number(T(n.Eps)).ptr(b.c.at(i)).ptr(b.c.at(j)).int(x.Stride).int(x.Step).int(x.Rows).int(x.Cols).ptr(b.c.at(k)).rows("normalise", count)
}

// NormaliseMap implements engine.Normaliser.
func (b *backend[T]) NormaliseMap(n engine.Normalisation[T], x, y engine.Batch[T]) {
	count := vectors("NormaliseMap", &n, &x, &y)
	b.c.begin()
	defer b.c.end()
	h, s, d, i, j := b.read(n.H), add(&b.c, n.Scale, false), add(&b.c, n.Bend, true), b.read(x), b.write(y)
	b.c.commit()
	b.c.l.flag(n.Center).flag(n.Columns).ptr(b.c.at(h)).ptr(b.c.at(s)).ptr(b.c.at(d)).ptr(b.c.at(i)).ptr(b.c.at(j)).
		int(x.Stride).int(x.Step).int(x.Rows).int(x.Cols).rows("normalise_map", count)
}

// NormaliseMapTangent implements engine.Normaliser.
func (b *backend[T]) NormaliseMapTangent(n engine.Normalisation[T], x, dx, y, dy engine.Batch[T]) {
	engine.MustHave("NormaliseMapTangent", len(n.Scale), len(n.Bend))
	count := vectors("NormaliseMapTangent", &n, &n.DH, &x, &dx, &y, &dy)
	b.c.begin()
	defer b.c.end()
	h, dh, s, d := b.read(n.H), b.read(n.DH), add(&b.c, n.Scale, false), add(&b.c, n.Bend, false)
	i, j, k, l := b.read(x), b.read(dx), b.read(y), b.write(dy)
	b.c.commit()
	c := &b.c
	c.l.flag(n.Center).flag(n.Columns).ptr(c.at(h)).ptr(c.at(dh)).ptr(c.at(s)).ptr(c.at(d)).ptr(c.at(i)).ptr(c.at(j)).ptr(c.at(k)).ptr(c.at(l)).
		int(x.Stride).int(x.Step).int(x.Rows).int(x.Cols).rows("normalise_map_tangent", count)
}

// Gather implements engine.Movement.
func (b *backend[T]) Gather(table dense.Matrix[T], index []int32, dst dense.Matrix[T]) {
	b.rowsOf("Gather", table, index, dst, false)
}

// Scatter implements engine.Movement.
func (b *backend[T]) Scatter(src dense.Matrix[T], index []int32, table dense.Matrix[T]) {
	b.rowsOf("Scatter", table, index, src, true)
}

// rowsOf gathers rows of the table into rows, or adds rows to those of the table.
func (b *backend[T]) rowsOf(op string, table dense.Matrix[T], index []int32, rows dense.Matrix[T], back bool) {
	engine.MustHave(op, len(index), rows.Rows)
	engine.MustHave(op, table.Cols, rows.Cols)
	for _, i := range index {
		if i < 0 || int(i) >= table.Rows {
			panic(engine.Error(op + ": an index is no row of the table"))
		}
	}
	t, r := engine.One(table), engine.One(rows)
	b.c.begin()
	defer b.c.end()
	i, j, k := addBatch(&b.c, t, back), add(&b.c, index, false), addBatch(&b.c, r, !back)
	b.c.commit()
	c := &b.c
	if back {
		c.l.ptr(c.at(k)).int(rows.Stride).ptr(c.at(j)).ptr(c.at(i)).int(table.Stride).int(rows.Rows).int(rows.Cols).each("scatter", rows.Cols)
		return
	}
	c.l.ptr(c.at(i)).int(table.Stride).ptr(c.at(j)).ptr(c.at(k)).int(rows.Stride).int(rows.Rows).int(rows.Cols).each("gather", rows.Rows*rows.Cols)
}

// WeighRows implements engine.Movement.
func (b *backend[T]) WeighRows(a engine.Sparse[T], x dense.Matrix[T], keep T, y dense.Matrix[T]) {
	a.Must(x, y)
	xb, yb := engine.One(x), engine.One(y)
	b.c.begin()
	defer b.c.end()
	c := &b.c
	from, index, weight, i, j := add(c, a.Start, false), add(c, a.Index, false), add(c, a.Weight, false), b.read(xb), b.write(yb)
	c.commit()
	c.l.ptr(c.at(from)).ptr(c.at(index)).ptr(c.at(weight)).ptr(c.at(i)).int(x.Stride)
	b.number(keep).ptr(c.at(j)).int(y.Stride).int(y.Rows).int(y.Cols).each("weigh_rows", y.Rows*y.Cols)
}

// geometry is a window in the order of the kernels.
func geometry(w *engine.Window) [11]int32 {
	return [...]int32{int32(w.Height), int32(w.Width), int32(w.Channels), int32(w.Groups), int32(w.KernelHeight), int32(w.KernelWidth), int32(w.Dilation),
		int32(w.StrideHeight), int32(w.StrideWidth), int32(w.PaddingHeight), int32(w.PaddingWidth)}
}

// Patches implements engine.Movement.
func (b *backend[T]) Patches(w engine.Window, images, patches engine.Batch[T]) {
	engine.MustFit("Patches", &w, &images, &patches)
	_, across := w.Size()
	form := geometry(&w)
	b.c.begin()
	defer b.c.end()
	g, i, j := add(&b.c, form[:], false), b.read(images), b.write(patches)
	b.c.commit()
	b.c.l.ptr(b.c.at(g)).ptr(b.c.at(i)).int(images.Step).matrix(b.view(j, patches)).int(patches.Count).int(patches.Rows).int(patches.Cols).int(across).
		each("patches", patches.Count*patches.Rows*patches.Cols)
}

// Pixels implements engine.Movement.
func (b *backend[T]) Pixels(w engine.Window, patches, images engine.Batch[T]) {
	engine.MustFit("Pixels", &w, &images, &patches)
	down, across := w.Size()
	form := geometry(&w)
	b.c.begin()
	defer b.c.end()
	g, i, j := add(&b.c, form[:], false), b.read(patches), b.write(images)
	b.c.commit()
	b.c.l.ptr(b.c.at(g)).matrix(b.view(i, patches)).ptr(b.c.at(j)).int(images.Step).int(images.Count).int(down).int(across).
		each("pixels", images.Count*images.Rows*images.Cols)
}
