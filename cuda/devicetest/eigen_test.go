//go:build cuda && cgo && linux

package devicetest

import (
	"fmt"
	"math"
	"runtime"
	"testing"

	"github.com/spdopt/spdopt/cuda/internal/emu"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/internal/matfun"
)

// TestEigen: eigendecompositions on the device, of spectra with clusters, low rank, both signs and none, below and above the size of a block and with
// threads in either order, meet their definition as those of the processor do: ||A Q - Q D|| <= 16 n eps ||A||, ||Q'Q - I|| <= 16 sqrt(n) eps, and
// eigenvalues within n eps ||A|| of the processor's, cold and from the basis that was found.
func TestEigen(t *testing.T) {
	needDevice(t)
	for _, backwards := range []bool{false, true} {
		if backwards && !emu.InUse() {
			continue
		}
		if backwards {
			emu.Order(true)
			defer emu.Order(false)
		}
		sizes := []int{1, 6, 33, 60}
		if backwards {
			sizes = sizes[2:3]
		}
		for _, n := range sizes {
			decompose[float64](t, n, 0x1p-53)
			decompose[float32](t, n, 0x1p-24)
		}
	}
}

func decompose[T dense.Float](t *testing.T, n int, eps float64) {
	t.Helper()
	var all []dense.Matrix[float64]
	for k, f := range []func(i int) float64{
		func(i int) float64 { return float64(i - n/3) }, func(i int) float64 { return float64(3*i/n) + 1e-9*float64(i) },
		func(i int) float64 { return max(0, float64(i-3*n/4)) }, func(int) float64 { return 0 },
	} {
		w := make([]float64, n)
		for i := range w {
			w[i] = f(i)
		}
		all = append(all, gallery.Compose(gallery.Orthogonal(uint64(k+1), n), w))
	}
	solve := func(device string, warm bool) (q engine.Batch[T], d []T) {
		e, err := engine.Open[T](device)
		if err != nil {
			t.Fatal(err)
		}
		arena := engine.NewArena(e)
		defer runtime.KeepAlive(arena)
		batch := func() engine.Batch[T] {
			return engine.Batch[T]{Count: len(all), Rows: n, Cols: n, Stride: n, Step: n * n, Data: arena.Alloc(len(all) * n * n)}
		}
		a, q := batch(), batch()
		for k, m := range all {
			for i, v := range m.Data {
				a.At(k).Data[i] = T(v)
			}
		}
		d = make([]T, len(all)*n)
		s := matfun.NewEigen(e, arena, len(all), n)
		if _, err := s.Solve(a, q, d, false); err != nil {
			t.Fatal(err)
		}
		if warm {
			if sweeps, err := s.Solve(a, q, d, true); err != nil || sweeps > 2 {
				t.Errorf("%T, n = %d: %d sweeps from the result, %v", d[0], n, sweeps, err)
			}
		}
		q.Data = append([]T(nil), q.Data...)
		return q, d
	}
	_, want := solve("cpu", false)
	for _, warm := range []bool{false, true} {
		q, d := solve("cuda", warm)
		for k, m := range all {
			norm := math.Max(math.Abs(float64(want[k*n])), math.Abs(float64(want[k*n+n-1])))
			what := fmt.Sprintf("%T, n = %d, matrix %d, warm %v", d[0], n, k, warm)
			var residual, defect float64
			for i := range n {
				if diff := math.Abs(float64(d[k*n+i] - want[k*n+i])); !(diff <= float64(2*n+8)*eps*norm) {
					t.Fatalf("%s: eigenvalue %d is %v, on the processor %v", what, i, d[k*n+i], want[k*n+i])
				}
				for j := range n {
					r, g := -float64(q.At(k).At(i, j))*float64(d[k*n+j]), 0.0
					for l := range n {
						r += float64(T(m.At(i, l))) * float64(q.At(k).At(l, j))
						g += float64(q.At(k).At(l, i)) * float64(q.At(k).At(l, j))
					}
					if i == j {
						g--
					}
					residual, defect = math.Hypot(residual, r), math.Hypot(defect, g)
				}
			}
			if !(residual <= 16*float64(n)*eps*norm) || !(defect <= 16*math.Sqrt(float64(n))*eps) {
				t.Errorf("%s: residual %.3g, defect %.3g", what, residual, defect)
			}
		}
	}
}
