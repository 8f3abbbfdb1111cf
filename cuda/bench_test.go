//go:build cuda && cgo && linux

package cuda

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// BenchmarkLarge measures what a root of a large matrix is made of, in memory of the device: a product and a combination; of single precision the product in every
// precision, in bfloat16 with the rounding of its operands. It means something on a GPU only; on the emulated driver it is skipped.
func BenchmarkLarge(b *testing.B) {
	d := device(b)
	if d.info.Name == "emulated device 0" {
		b.Skip("emulated")
	}
	for _, n := range []int{1024, 4096, 16384} {
		for _, p := range []engine.Precision{FP32, TF32, BF16} {
			b.Run(fmt.Sprintf("%s/%d", p, n), func(b *testing.B) {
				e, err := newBackend[float32](d).Rounded(p)
				if err != nil {
					b.Skip(err)
				}
				large(b, e, n)
			})
		}
		b.Run(fmt.Sprintf("float64/%d", n), func(b *testing.B) { large(b, engine.Backend[float64](newBackend[float64](d)), n) })
	}
}

func large[T dense.Float](b *testing.B, e engine.Backend[T], n int) {
	a, fast := arena(b, e), engine.Fast(e)
	r := rand.New(rand.NewPCG(1, 1))
	var m [3]dense.Matrix[T]
	for k := range m {
		m[k] = dense.Wrap(n, n, a.Alloc(n*n))
		for i := range n {
			m[k].Data[i*n+i] = T(r.NormFloat64())
		}
	}
	round := func() {
		fast.Gemm(dense.NoTrans, dense.NoTrans, 1, engine.One(m[0]), engine.One(m[1]), 0, engine.One(m[2]))
		e.Combine(1.5, -0.5, engine.One(m[2]), 0, engine.One(m[2]), engine.One(m[2]))
	}
	round() // moves the memory to the device
	for b.Loop() {
		round()
	}
	b.ReportMetric(2*float64(n)*float64(n)*float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e12, "TFLOP/s")
}
