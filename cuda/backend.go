//go:build cuda && cgo && linux

package cuda

import (
	"unsafe"

	"gorgonia.org/cu"

	"github.com/spdopt/spdopt/cuda/internal/blas"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// backend is the engine on a device. Slices of ordinary memory are copied to the device and back in every call; those of Alloc stay there. Calls
// return when their results are there.
type backend[T dense.Float] struct {
	d       *Device
	c       call
	kind    blas.Type
	compute blas.Compute
	fast    *narrowing[T] // for products in bfloat16, or nil
	numbers [32]T         // of an update
	one     [1][]T
	results []float64 // managed memory
	rates   []float64 // numbers of Rates
}

var (
	_ engine.Backend[float32]   = (*backend[float32])(nil)
	_ engine.Backend[float64]   = (*backend[float64])(nil)
	_ engine.Allocator[float64] = (*backend[float64])(nil)
	_ engine.Sized              = (*backend[float64])(nil)
	_ engine.Deferrer           = (*backend[float64])(nil)
)

func open[T dense.Float](index int) (engine.Backend[T], error) {
	d, err := Open(index)
	if err != nil {
		return nil, err
	}
	return newBackend[T](d), nil
}

func newBackend[T dense.Float](d *Device) *backend[T] { return joined[T](d, &backlog{}) }

// joined returns a backend that shares its work with others.
func joined[T dense.Float](d *Device, w *backlog) *backend[T] {
	b := &backend[T]{d: d, kind: blas.Float64, compute: blas.Compute64}
	m, kernels := d.double, uint64(doubleEntry)
	if unsafe.Sizeof(T(0)) == 4 {
		b.kind, b.compute, m, kernels = blas.Float32, blas.Compute32, d.single, kernelEntry
	}
	b.c.d, b.c.l, b.c.backlog = d, newLauncher(d.blas, d.stream, m), w
	b.c.l.tape, b.c.l.kind, b.c.l.room = &w.tape, kernels, b.c.room
	return b
}

// Double implements engine.Doubled.
func (b *backend[T]) Double() engine.Backend[float64] {
	if own, ok := any(b).(*backend[float64]); ok {
		return own
	}
	return joined[float64](b.d, b.c.backlog)
}

// Name implements engine.Backend.
func (b *backend[T]) Name() string { return b.d.name() }

// Memory implements engine.Sized.
func (b *backend[T]) Memory() int { return b.d.info.Memory }

// Alloc implements engine.Allocator: memory that both the device and the processor reach, and that moves to whoever uses it.
func (b *backend[T]) Alloc(n int) []T {
	p, err := b.d.allocate(n * int(unsafe.Sizeof(T(0))))
	if err != nil {
		panic(&engine.DeviceError{Name: b.Name(), Err: err})
	}
	return unsafe.Slice((*T)(p), n)
}

// Free implements engine.Allocator.
func (b *backend[T]) Free(memory []T) {
	b.d.giveBack(uintptr(unsafe.Pointer(unsafe.SliceData(memory))))
}

// Reserve implements engine.Allocator: the memory waits in the pool, which gives it back to the driver when a call finds none of the size it wants.
func (b *backend[T]) Reserve(n int) {
	leave, err := b.d.enter()
	if err == nil {
		defer leave()
		var p cu.DevicePtr
		if p, err = b.d.pool.take(n * int(unsafe.Sizeof(T(0)))); err == nil {
			b.d.pool.put(p)
			if err = b.d.wait(); err == nil {
				err = b.d.staging.room(n * int(unsafe.Sizeof(T(0))))
			}
		}
	}
	if err != nil {
		panic(&engine.DeviceError{Name: b.Name(), Err: err})
	}
}

// Owns implements engine.Allocator.
func (b *backend[T]) Owns(memory []T) bool {
	b.d.mu.Lock()
	defer b.d.mu.Unlock()
	at := uintptr(unsafe.Pointer(unsafe.SliceData(memory)))
	return b.d.isResident(at, at+uintptr(len(memory))*unsafe.Sizeof(T(0)))
}

// number adds a number of type T to the arguments of a launch.
func (b *backend[T]) number(v T) *launcher {
	if b.kind == blas.Float32 {
		return b.c.l.float32(float64(v))
	}
	return b.c.l.float64(float64(v))
}

// put puts numbers on the device, for work that is the same in every step but for them.
func put[E any](c *call, v []E) uintptr {
	if !c.ready() {
		return 0
	}
	bytes := bytesOf(v)
	room, at, err := c.room(len(bytes))
	if err != nil {
		c.err, c.l.err = err, err
		return 0
	}
	copy(room, bytes)
	return at
}

// span cuts the data of a batch to what it uses.
func span[T any](count, rows, cols, stride, step int, data []T) []T {
	if count == 0 || rows == 0 || cols == 0 {
		return nil
	}
	return data[:(count-1)*step+(rows-1)*stride+cols]
}

func (b *backend[T]) read(x engine.Batch[T]) int  { return addBatch(&b.c, x, false) }
func (b *backend[T]) write(x engine.Batch[T]) int { return addBatch(&b.c, x, true) }

func addBatch[T dense.Float](c *call, x engine.Batch[T], write bool) int {
	return add(c, span(x.Count, x.Rows, x.Cols, x.Stride, x.Step, x.Data), write)
}

// view is operand i, which holds x, on the device.
func (b *backend[T]) view(i int, x engine.Batch[T]) view {
	return view{b.c.at(i), max(x.Stride, x.Cols), x.Step}
}

func (v view) operand() blas.Operand { return blas.Operand{At: v.at, Stride: v.stride, Step: v.step} }

// square returns temporary memory for count matrices of n x n.
func (b *backend[T]) square(count, n int) view {
	return view{b.c.temp(count * n * n * int(unsafe.Sizeof(T(0)))), n, n * n}
}

// product describes c = alpha op(a) op(b) + beta c.
func (b *backend[T]) product(ta, tb dense.Trans, alpha float64, x, y view, inner int, beta float64, z view, count, rows, cols int) {
	b.c.l.product(blas.Product{
		TransA: bool(ta), TransB: bool(tb), Rows: rows, Cols: cols, Inner: inner, Count: count, Alpha: alpha, Beta: beta,
		A: x.operand(), B: y.operand(), C: z.operand(), Inputs: b.kind, Result: b.kind, Compute: b.compute,
	})
}

// check demands that the shapes of a product fit and returns the inner dimension.
func check(op string, ta, tb dense.Trans, aCount, aRows, aCols, bCount, bRows, bCols, cCount, rows, cols int) int {
	engine.MustPair(op, aCount, bCount, cCount)
	if ta {
		aRows, aCols = aCols, aRows
	}
	if tb {
		bRows, bCols = bCols, bRows
	}
	engine.MustHave(op, rows, aRows)
	engine.MustHave(op, cols, bCols)
	engine.MustHave(op, aCols, bRows)
	return aCols
}

// Gemm implements engine.Products.
func (b *backend[T]) Gemm(ta, tb dense.Trans, alpha T, x, y engine.Batch[T], beta T, z engine.Batch[T]) {
	inner := check("Gemm", ta, tb, x.Count, x.Rows, x.Cols, y.Count, y.Rows, y.Cols, z.Count, z.Rows, z.Cols)
	b.c.begin()
	defer b.c.end()
	i, j, k := b.read(x), b.read(y), b.write(z)
	b.c.commit()
	b.product(ta, tb, float64(alpha), b.view(i, x), b.view(j, y), inner, float64(beta), b.view(k, z), z.Count, z.Rows, z.Cols)
}

// GemmSymmetric implements engine.Products. It makes the whole product: cuBLAS has no batches of halves.
func (b *backend[T]) GemmSymmetric(ta, tb dense.Trans, alpha T, x, y engine.Batch[T], beta T, z engine.Batch[T]) {
	inner := check("GemmSymmetric", ta, tb, x.Count, x.Rows, x.Cols, y.Count, y.Rows, y.Cols, z.Count, z.Rows, z.Cols)
	b.c.begin()
	defer b.c.end()
	i, j, k := b.read(x), b.read(y), b.write(z)
	b.c.commit()
	out := b.view(k, z)
	b.product(ta, tb, float64(alpha), b.view(i, x), b.view(j, y), inner, float64(beta), out, z.Count, z.Rows, z.Cols)
	b.mirror(true, out, out, z.Count, z.Rows)
}

// mirror makes y symmetric from a triangle of x.
func (b *backend[T]) mirror(upper bool, x, y view, count, n int) {
	b.c.l.flag(upper).matrix(x).matrix(y).int(count).int(n).each("mirror", count*n*n)
}

// GemmNarrow implements engine.Products. Devices and element types without products of bfloat16 widen the operands first.
func (b *backend[T]) GemmNarrow(ta, tb dense.Trans, alpha T, x, y engine.NarrowBatch, beta T, z engine.Batch[T]) {
	inner := check("GemmNarrow", ta, tb, x.Count, x.Rows, x.Cols, y.Count, y.Rows, y.Cols, z.Count, z.Rows, z.Cols)
	b.c.begin()
	defer b.c.end()
	xs, ys := span(x.Count, x.Rows, x.Cols, x.Stride, x.Step, x.Data), span(y.Count, y.Rows, y.Cols, y.Stride, y.Step, y.Data)
	i, j, k := add(&b.c, xs, false), add(&b.c, ys, false), b.write(z)
	b.c.commit()
	p := blas.Product{
		TransA: bool(ta), TransB: bool(tb), Rows: z.Rows, Cols: z.Cols, Inner: inner, Count: z.Count, Alpha: float64(alpha), Beta: float64(beta),
		A: blas.Operand{At: b.c.at(i), Stride: x.Stride, Step: x.Step}, B: blas.Operand{At: b.c.at(j), Stride: y.Stride, Step: y.Step},
		C: b.view(k, z).operand(), Inputs: blas.BFloat16, Result: b.kind, Compute: blas.Compute32,
	}
	if b.kind == blas.Float64 || b.d.info.Capability < narrowCapability {
		p.Inputs, p.Compute = b.kind, b.compute
		p.A.At, p.B.At = b.widened(p.A.At, len(xs)), b.widened(p.B.At, len(ys))
	}
	b.c.l.product(p)
}

func (b *backend[T]) widened(at uintptr, n int) uintptr {
	wide := b.c.temp(n * int(unsafe.Sizeof(T(0))))
	if b.c.ready() {
		b.c.l.ptr(at).ptr(wide).int(n).each("widen", n)
	}
	return wide
}

// Narrow implements engine.Movement.
func (b *backend[T]) Narrow(x []T, dst []engine.BFloat16) {
	engine.MustHave("Narrow", len(x), len(dst))
	b.c.begin()
	defer b.c.end()
	i, j := add(&b.c, x, false), add(&b.c, dst, true)
	b.c.commit()
	b.c.l.ptr(b.c.at(i)).ptr(b.c.at(j)).int(len(x)).each("narrow", len(x))
}

// Widen implements engine.Movement.
func (b *backend[T]) Widen(x []engine.BFloat16, dst []T) {
	engine.MustHave("Widen", len(x), len(dst))
	b.c.begin()
	defer b.c.end()
	i, j := add(&b.c, x, false), add(&b.c, dst, true)
	b.c.commit()
	b.c.l.ptr(b.c.at(i)).ptr(b.c.at(j)).int(len(x)).each("widen", len(x))
}

// update starts the numbers of an update: the order is that of the kernels.
func (b *backend[T]) update(u engine.Update) []T {
	return append(b.numbers[:0], T(u.LR), T(u.GradScale), T(u.L2), T(1-u.Decay))
}

// Momentum implements engine.Updates.
func (b *backend[T]) Momentum(u engine.Momentum, w, g, m []T) {
	numbers := append(b.update(u.Update), T(u.Mu))
	if u.Mu == 0 {
		m = nil
	} else {
		engine.MustHave("Momentum", len(w), len(m))
	}
	engine.MustHave("Momentum", len(w), len(g))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j, k := add(c, w, true), add(c, g, false), add(c, m, true)
	c.commit()
	c.l.ptr(put(c, numbers)).flag(u.Nesterov).ptr(c.at(i)).ptr(c.at(j)).ptr(c.at(k)).int(len(w)).each("momentum", len(w))
}

// Adam implements engine.Updates.
func (b *backend[T]) Adam(u engine.Adam, w, g, m, v []T) { b.adam("Adam", u, w, g, m, nil, v) }

// AdamNarrow implements engine.Updates.
func (b *backend[T]) AdamNarrow(u engine.Adam, w, g []T, m []engine.BFloat16, v []T) {
	b.adam("AdamNarrow", u, w, g, nil, m, v)
}

func (b *backend[T]) adam(op string, u engine.Adam, w, g, m []T, narrow []engine.BFloat16, v []T) {
	engine.MustHave(op, len(w), len(g), len(m)+len(narrow), len(v))
	numbers := append(b.update(u.Update), T(u.Beta1), T(1-u.Beta1), T(u.Beta2), T(1-u.Beta2), T(u.Eps), T(u.A), T(u.B), T(u.C))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j, k, l, h := add(c, w, true), add(c, g, false), add(c, m, true), add(c, narrow, true), add(c, v, true)
	c.commit()
	c.l.ptr(put(c, numbers)).ptr(c.at(i)).ptr(c.at(j)).ptr(c.at(k)).ptr(c.at(l)).ptr(c.at(h)).int(len(w)).each("adam", len(w))
}

// ScheduleFree implements engine.Updates.
func (b *backend[T]) ScheduleFree(u engine.ScheduleFree, y, g, m, v, z, x []T) {
	engine.MustHave("ScheduleFree", len(y), len(g), len(v), len(z), len(x))
	if u.A == 0 {
		m = nil
	} else {
		engine.MustHave("ScheduleFree", len(y), len(m))
	}
	numbers := append(b.update(u.Update), T(u.Beta1), T(1-u.Beta1), T(u.Beta2), T(1-u.Beta2), T(u.Eps), T(u.A), T(u.B), T(u.C),
		T(u.Inner), T(1-u.Inner), T(u.Mix), T(1-u.Mix), T(u.Decay))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j, k := add(c, y, true), add(c, g, false), add(c, m, true)
	p, q, r := add(c, v, true), add(c, z, true), add(c, x, true)
	c.commit()
	c.l.ptr(put(c, numbers)).flag(u.DecayAverage).ptr(c.at(i)).ptr(c.at(j)).ptr(c.at(k)).ptr(c.at(p)).ptr(c.at(q)).ptr(c.at(r)).int(len(y)).each("schedule_free", len(y))
}

// Sign implements engine.Updates.
func (b *backend[T]) Sign(u engine.Sign, w, g, m []T) {
	engine.MustHave("Sign", len(w), len(g), len(m))
	numbers := append(b.update(u.Update), T(u.Beta1), T(1-u.Beta1), T(u.Beta2), T(1-u.Beta2))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j, k := add(c, w, true), add(c, g, false), add(c, m, true)
	c.commit()
	c.l.ptr(put(c, numbers)).ptr(c.at(i)).ptr(c.at(j)).ptr(c.at(k)).int(len(w)).each("sign", len(w))
}

// AdaGrad implements engine.Updates.
func (b *backend[T]) AdaGrad(u engine.AdaGrad, w, g, s []T) {
	engine.MustHave("AdaGrad", len(w), len(g), len(s))
	numbers := append(b.update(u.Update), T(u.Eps), T(u.Most))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j, k := add(c, w, true), add(c, g, false), add(c, s, true)
	c.commit()
	c.l.ptr(put(c, numbers)).ptr(c.at(i)).ptr(c.at(j)).ptr(c.at(k)).int(len(w)).each("adagrad", len(w))
}

// RootFree implements engine.Updates.
func (b *backend[T]) RootFree(u engine.RootFree, w, g, s, m []T) {
	engine.MustHave("RootFree", len(w), len(g), len(s))
	if u.Mu == 0 && !u.Average {
		m = nil
	} else {
		engine.MustHave("RootFree", len(w), len(m))
	}
	numbers := append(b.update(u.Update), T(u.Take), T(u.Beta2), T(u.Correction), T(u.Eps), T(u.Mu), T(1-u.Mu), T(u.Inside))
	b.c.begin()
	defer b.c.end()
	c := &b.c
	i, j, k, l := add(c, w, true), add(c, g, false), add(c, s, true), add(c, m, true)
	c.commit()
	c.l.ptr(put(c, numbers)).flag(u.Average).ptr(c.at(i)).ptr(c.at(j)).ptr(c.at(k)).ptr(c.at(l)).int(len(w)).each("root_free", len(w))
}
