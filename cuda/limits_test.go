//go:build cuda && cgo && linux

package cuda

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/spdopt/spdopt/cuda/internal/blas"
	"github.com/spdopt/spdopt/cuda/internal/emu"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// TestFewLines: kernels do not need a line of blocks for each matrix or array, of which a grid has at most 65,535.
func TestFewLines(t *testing.T) {
	emulated(t)
	before := mostGrid
	defer func() { mostGrid = before }()
	mostGrid = 2
	operations[float64](t, newBackend[float64](device(t)), 5, 70, 1e-12)
	d := device(t)
	run := func(lines int) []float32 {
		mostGrid = lines
		g := newRig(t, d, SpectralOptions{Every: 1, Precision: FP32})
		for range 2 {
			g.step(StepInfo{LR: 0.1})
		}
		return g.values()
	}
	if off := furthest(run(1), run(before)); off != 0 {
		t.Errorf("parameters differ by %v", off)
	}
	mostGrid = before
	l := newLauncher(d.blas, d.stream, d.single)
	if l.launch("narrow", 0, 1, 1, 1, 1); l.err != nil {
		t.Errorf("nothing to do: %v", l.err)
	}
	onDevice(t, d, func() error { l.launch("narrow", 1, before+1, 1, 1, 1); return nil })
	if l.err == nil || !strings.Contains(l.err.Error(), "1 x 65536 x 1 blocks") {
		t.Error("a grid that is too large is launched")
	}
	var limit *blas.LimitError
	if err := d.blas.Gemm(&blas.Product{Rows: 1 << 31, Cols: 1, Inner: 1, Count: 1}); !errors.As(err, &limit) {
		t.Errorf("a product that is too large: %v", err)
	}
}

// far is the distance of rows, and of matrices, so that three of them need indices beyond 2^31.
const far = 1 << 30

// sparse is memory of the device for numbers that are far from each other, of which the machine has only what is touched.
func sparse(t *testing.T, d *Device) []float32 {
	t.Helper()
	const n = 2*far + 64
	emu.Limit(64 << 30)
	t.Cleanup(func() { emu.Limit(8 << 30) })
	var at cu.DevicePtr
	onDevice(t, d, func() (err error) { at, err = cu.MemAlloc(4 * n); return err })
	r := resident{uintptr(at), uintptr(at) + 4*n}
	d.residents = append(d.residents, r)
	slices.SortFunc(d.residents, func(a, b resident) int { return int(a.at>>12) - int(b.at>>12) })
	t.Cleanup(func() {
		d.residents = slices.DeleteFunc(d.residents, func(o resident) bool { return o == r })
		onDevice(t, d, func() error { return cu.MemFree(at) })
	})
	return unsafe.Slice((*float32)(foreign(uintptr(at))), n)
}

// TestLargeStrides: indices of kernels have 64 bits. Matrices whose rows lie far apart, and matrices that lie far apart themselves, give what the processor gives for the
// same numbers side by side.
func TestLargeStrides(t *testing.T) {
	emulated(t)
	d := device(t)
	b, cpu, memory := newBackend[float32](d), engine.CPU[float32](), sparse(t, d)
	type batch = engine.Batch[float32]
	type calls = engine.Backend[float32]
	v := []float32{1, 2, 3, 1, 4, 9, 2, 3, 5}
	for _, form := range []batch{{Count: 1, Rows: 3, Cols: 3, Stride: far, Step: 3}, {Count: 3, Rows: 3, Cols: 3, Stride: 3, Step: far}} {
		n := 3 * form.Count
		square := func() batch {
			return batch{Count: form.Count, Rows: 3, Cols: 3, Stride: 3, Step: 9, Data: make([]float32, 3*n)}
		}
		filled := func(seed uint64) batch {
			x, r := square(), rand.New(rand.NewPCG(seed, 7))
			for i := range x.Data {
				x.Data[i] = float32(r.NormFloat64())
			}
			return x
		}
		into := func(f func(e calls, x, y batch)) func(calls, batch) []float32 {
			return func(e calls, x batch) []float32 { y := filled(2); f(e, x, y); return y.Data }
		}
		figures := func(f func(e calls, x batch, out []float64)) func(calls, batch) []float32 {
			return func(e calls, x batch) (all []float32) {
				out := make([]float64, form.Count)
				f(e, x, out)
				for _, o := range out {
					all = append(all, float32(o))
				}
				return all
			}
		}
		for name, f := range map[string]func(calls, batch) []float32{
			"Copy":         into(func(e calls, x, y batch) { e.Copy(x, y) }),
			"Copy back":    into(func(e calls, x, y batch) { e.Copy(y, x) }),
			"ScaleRows":    into(func(e calls, x, y batch) { e.ScaleRows(v[:n], x, 0, y) }),
			"ScaleCols":    into(func(e calls, x, y batch) { e.ScaleCols(v[:n], y, 1, x) }),
			"ColSums":      into(func(e calls, x, y batch) { e.ColSums(x, y.Data[:n]) }),
			"ColDots":      into(func(e calls, x, y batch) { e.ColDots(x, filled(3), y.Data[:n]) }),
			"RowDots":      into(func(e calls, x, y batch) { e.RowDots(x, filled(3), y.Data[:n]) }),
			"Softmax":      into(func(e calls, x, y batch) { e.Softmax(false, x, y.Data[:n]) }),
			"SoftmaxMap":   into(func(e calls, x, y batch) { e.Softmax(false, y, nil); e.SoftmaxMap(y, x) }),
			"AddRow":       into(func(e calls, x, _ batch) { e.AddRow(v[:3], 1, x) }),
			"Gemm":         into(func(e calls, x, y batch) { e.Gemm(dense.NoTrans, dense.Transposed, 1, x, x, 0, y) }),
			"Gemm into":    into(func(e calls, x, y batch) { e.Gemm(dense.NoTrans, dense.Transposed, 1, y, y, 1, x) }),
			"Transpose":    into(func(e calls, x, y batch) { e.Transpose(x, y) }),
			"Transpose to": into(func(e calls, x, y batch) { e.Transpose(y, x) }),
			"Mirror":       into(func(e calls, x, _ batch) { e.Mirror(x) }),
			"Diagonal":     into(func(e calls, x, y batch) { e.Diagonal(x, y.Data[:n]) }),
			"SetDiagonal":  into(func(e calls, x, _ batch) { e.SetDiagonal(v[:n], x) }),
			"BoundedAngle": into(func(e calls, x, y batch) { e.BoundedAngle(v[:n], v[:n], v[:n], x, y) }),
			"Combine":      into(func(e calls, x, y batch) { e.Combine(1, 2, y, 3, x, x) }),
			"Jacobi":       into(func(e calls, x, y batch) { e.Jacobi(x, 3, 8, 1e-7, y) }),
			"NormBound":    figures(func(e calls, x batch, out []float64) { e.NormBound(x, out) }),
			"NormEstimate": figures(func(e calls, x batch, out []float64) { e.NormEstimate(x, out) }),
			"FromIdentity": figures(func(e calls, x batch, out []float64) { e.FromIdentity(x, out) }),
			"Shorten": figures(func(e calls, x batch, out []float64) {
				ones := []float64{1, 1, 1}[:form.Count]
				e.Shorten(x, ones, ones, 0.5, ones[:1])
			}),
			"Gather":  into(func(e calls, x, y batch) { e.Gather(x.At(0), []int32{2, 0, 2}, y.At(0)) }),
			"Scatter": into(func(e calls, x, y batch) { e.Scatter(y.At(0), []int32{2, 0, 2}, x.At(0)) }),
		} {
			near := filled(1)
			apart := form
			apart.Data = memory
			copyBatch(&apart, &near)
			want, got := f(cpu, near), f(b, apart)
			back := square()
			copyBatch(&back, &apart)
			want, got = append(want, near.Data...), append(got, back.Data...)
			for i := range want {
				if !(math.Abs(float64(got[i]-want[i])) <= 1e-5*(1+math.Abs(float64(want[i])))) {
					t.Errorf("%s, %d matrices: element %d is %v, want %v", name, form.Count, i, got[i], want[i])
					break
				}
			}
		}
	}
}

// copyBatch copies matrices of one shape, whatever their strides are.
func copyBatch(to, from *engine.Batch[float32]) {
	for k := range to.Count {
		for i := range to.Rows {
			copy(to.Data[k*to.Step+i*to.Stride:][:to.Cols], from.Data[k*from.Step+i*from.Stride:][:to.Cols])
		}
	}
}
