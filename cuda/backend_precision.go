//go:build cuda && cgo && linux

package cuda

import (
	"fmt"

	"github.com/spdopt/spdopt/cuda/internal/blas"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

var _ engine.Rounding[float32] = (*backend[float32])(nil)

// narrowCapability is that of the first devices with products of bfloat16 and tf32 numbers.
const narrowCapability = 80

// Rounded implements engine.Rounding: what is not Fast is made in tf32 at least, as in Spectral.
func (b *backend[T]) Rounded(p engine.Precision) (engine.Backend[T], error) {
	if b.kind == blas.Float64 {
		return nil, &engine.PrecisionError{Precision: p, What: "of float64 numbers there are none"}
	}
	own := newBackend[T](b.d)
	if p == FP32 {
		return own, nil
	}
	if c := b.d.info.Capability; c < narrowCapability {
		return nil, &Error{"choosing the precision of products", fmt.Sprintf("%s needs compute capability 8.0; this device has %d.%d", p, c/10, c%10), "use precision fp32"}
	}
	own.compute = blas.ComputeTF32
	if p == BF16 {
		own.fast = &narrowing[T]{own}
	}
	return own, nil
}

// Fast implements engine.Rounding.
func (b *backend[T]) Fast() engine.Backend[T] {
	if b.fast != nil {
		return b.fast
	}
	return b
}

// narrowing is a backend whose products have operands in bfloat16, which it makes where a product is to be.
type narrowing[T dense.Float] struct{ *backend[T] }

// Gemm implements engine.Products.
func (b *narrowing[T]) Gemm(ta, tb dense.Trans, alpha T, x, y engine.Batch[T], beta T, z engine.Batch[T]) {
	b.narrowed("Gemm", ta, tb, alpha, x, y, beta, z, false)
}

// GemmSymmetric implements engine.Products.
func (b *narrowing[T]) GemmSymmetric(ta, tb dense.Trans, alpha T, x, y engine.Batch[T], beta T, z engine.Batch[T]) {
	b.narrowed("GemmSymmetric", ta, tb, alpha, x, y, beta, z, true)
}

func (b *narrowing[T]) narrowed(op string, ta, tb dense.Trans, alpha T, x, y engine.Batch[T], beta T, z engine.Batch[T], mirrored bool) {
	inner := check(op, ta, tb, x.Count, x.Rows, x.Cols, y.Count, y.Rows, y.Cols, z.Count, z.Rows, z.Cols)
	b.c.begin()
	defer b.c.end()
	i, j, k := b.read(x), b.read(y), b.write(z)
	b.c.commit()
	from, with, out := b.view(i, x), b.view(j, y), b.view(k, z)
	left := b.narrow(from, &x)
	right := left
	if with != from || x.Rows != y.Rows || x.Cols != y.Cols {
		right = b.narrow(with, &y)
	}
	b.c.l.product(blas.Product{
		TransA: bool(ta), TransB: bool(tb), Rows: z.Rows, Cols: z.Cols, Inner: inner, Count: z.Count, Alpha: float64(alpha), Beta: float64(beta),
		A: left.operand(), B: right.operand(), C: out.operand(), Inputs: blas.BFloat16, Result: b.kind, Compute: blas.Compute32,
	})
	if mirrored {
		b.mirror(true, out, out, z.Count, z.Rows)
	}
}

// narrow copies matrices to bfloat16, for the time of the call, with rows of a multiple of 16 bytes, which is what the units for such products read.
func (b *narrowing[T]) narrow(v view, x *engine.Batch[T]) view {
	stride := (x.Cols + 7) &^ 7
	to, count := view{stride: stride, step: x.Rows * stride}, x.Count
	if x.Step == 0 {
		to.step, count = 0, min(count, 1)
	}
	if to.at = b.c.temp(2 * count * x.Rows * stride); b.c.ready() {
		b.c.l.matrix(v).matrix(to).int(count).int(x.Rows).int(x.Cols).each("narrow_matrices", count*x.Rows*x.Cols)
	}
	return to
}
