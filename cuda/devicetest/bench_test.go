//go:build cuda && cgo && linux

package devicetest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/cuda/internal/emu"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/matfun"
)

// BenchmarkEigen decomposes batches of matrices, each of which passes the check of matfun.Eigen, from nothing (cold) and from the bases of matrices that
// differ by a hundredth (warm). SPDOPT_EIGEN lists the batches as COUNTxN; the default is all factors of GPT-2 small. bench/gpu/decompose.py sets it beside
// torch.linalg.eigh. On the emulated driver times mean nothing, and without SPDOPT_EIGEN it is skipped.
func BenchmarkEigen(b *testing.B) {
	if !present {
		b.Skip("no device")
	}
	sizes := os.Getenv("SPDOPT_EIGEN")
	if sizes == "" && emu.InUse() {
		b.Skip("emulated")
	}
	if sizes == "" {
		sizes = "60x768 12x2304 24x3072"
	}
	for _, size := range strings.Fields(sizes) {
		var count, n int
		if _, err := fmt.Sscanf(size, "%dx%d", &count, &n); err != nil || count < 1 || n < 1 {
			b.Fatalf("SPDOPT_EIGEN: %q is not COUNTxN", size)
		}
		for _, warm := range []bool{false, true} {
			start := map[bool]string{false: "cold", true: "warm"}[warm]
			b.Run("float32/"+size+"/"+start, func(b *testing.B) { eigen[float32](b, count, n, warm) })
			b.Run("float64/"+size+"/"+start, func(b *testing.B) { eigen[float64](b, count, n, warm) })
		}
	}
}

func eigen[T dense.Float](b *testing.B, count, n int, warm bool) {
	e, err := engine.Open[T]("cuda")
	if err != nil {
		b.Fatal(err)
	}
	arena := engine.NewArena(e)
	batch := func() engine.Batch[T] {
		return engine.Batch[T]{Count: count, Rows: n, Cols: n, Stride: n, Step: n * n, Data: arena.Alloc(count * n * n)}
	}
	a, g, q, d := batch(), batch(), batch(), arena.Alloc(count*n)
	r := rand.New(rand.NewPCG(7, 8))
	for i := range g.Data {
		g.Data[i] = T(r.NormFloat64())
	}
	e.GemmSymmetric(dense.NoTrans, dense.Transposed, 1/T(n), g, g, 0, a)
	s := matfun.NewEigen(e, arena, count, n)
	if warm {
		if _, err := s.Solve(a, q, d, false); err != nil {
			b.Fatal(err)
		}
		for i := range g.Data {
			g.Data[i] = T(r.NormFloat64())
		}
		e.GemmSymmetric(dense.NoTrans, dense.Transposed, 0.01/T(n), g, g, 0.99, a)
	}
	first := append([]T(nil), q.Data...)
	sweeps := 0
	for b.Loop() {
		if warm {
			b.StopTimer()
			copy(q.Data, first)
			b.StartTimer()
		}
		k, err := s.Solve(a, q, d, warm)
		if err != nil {
			b.Fatal(err)
		}
		sweeps += k
	}
	b.ReportMetric(float64(sweeps)/float64(b.N), "sweeps")
}
