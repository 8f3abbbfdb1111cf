package engine

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
)

func numbers(r *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = r.NormFloat64()
	}
	return v
}

// TestGemm compares batches with overlapping strides, as the heads of an attention have them, with sums.
func TestGemm(t *testing.T) {
	const count, rows, width = 3, 4, 2
	r := rand.New(rand.NewPCG(1, 1))
	a := Batch[float64]{Count: count, Rows: rows, Cols: width, Stride: count * width, Step: width, Data: numbers(r, rows*count*width)}
	b := Batch[float64]{Count: count, Rows: rows, Cols: width, Stride: width, Data: numbers(r, rows*width)} // one matrix for all
	c := Batch[float64]{Count: count, Rows: rows, Cols: rows, Stride: rows, Step: rows * rows, Data: numbers(r, count*rows*rows)}
	before := slices.Clone(c.Data)
	CPU[float64]().Gemm(dense.NoTrans, dense.Transposed, 2, a, b, 0.5, c)
	for k := range count {
		for i := range rows {
			for j := range rows {
				want := 0.5 * before[k*rows*rows+i*rows+j]
				for l := range width {
					want += 2 * a.Data[i*a.Stride+k*width+l] * b.Data[j*width+l]
				}
				if got := c.At(k).At(i, j); math.Abs(got-want) > 1e-13 {
					t.Errorf("matrix %d, element (%d, %d): %v, want %v", k, i, j, got, want)
				}
			}
		}
	}
	defer func() {
		if _, ok := recover().(Error); !ok {
			t.Error("batches of different length were multiplied")
		}
	}()
	a.Count = 2
	CPU[float64]().Gemm(dense.NoTrans, dense.Transposed, 1, a, b, 0, c)
}

func TestSumSquares(t *testing.T) {
	e := CPU[float32]()
	for n := range 11 {
		g := make([]float32, n)
		var want, top float64
		for i := range g {
			g[i] = float32(i+1) * float32(1-2*(i%2))
			want += float64(i+1) * float64(i+1)
			top = float64(i + 1)
		}
		if sum, largest := e.SumSquares(g); sum != want || largest != top {
			t.Errorf("%d numbers: %v and %v, want %v and %v", n, sum, largest, want, top)
		}
	}
	for i := range 6 {
		g := make([]float32, 6)
		g[i] = float32(math.NaN())
		if sum, largest := e.SumSquares(g); sum == sum || largest == largest {
			t.Errorf("NaN at %d: %v and %v", i, sum, largest)
		}
	}
	if sum, largest := e.SumSquares([]float32{1e30}); math.IsInf(sum, 1) || largest < 1e29 {
		t.Errorf("1e30: %v and %v", sum, largest)
	}
}

// mirror is a device for tests: the processor under another name.
type mirror struct{ Backend[float32] }

func (mirror) Name() string { return "mirror" }

func TestDevices(t *testing.T) {
	broken := errors.New("no driver")
	Register(Device{
		Name:    "mirror",
		Float32: func(int) (Backend[float32], error) { return mirror{CPU[float32]()}, nil },
		Float64: func(int) (Backend[float64], error) { return nil, broken },
	})
	if !slices.Equal(Devices(), []string{"cpu", "mirror"}) {
		t.Errorf("devices %v", Devices())
	}
	if b, err := Open[float32]("mirror"); err != nil || b.Name() != "mirror" {
		t.Errorf("open: %v", err)
	}
	if _, err := Open[float64]("mirror"); !errors.Is(err, broken) {
		t.Errorf("a device without a driver: %v", err)
	}
	for _, name := range []string{"", "cpu"} {
		if b, err := Open[float64](name); err != nil || b.Name() != "cpu" {
			t.Errorf("open %q: %v", name, err)
		}
	}
	var failed *DeviceError
	if _, err := Open[float64]("mirror:3"); !errors.As(err, &failed) || failed.Name != "mirror:3" {
		t.Errorf("an indexed device without a driver: %v", err)
	}
	var unknown *UnknownError
	for _, name := range []string{"mirror:x", "mirror:", "mirror:-1", "mirror:+1", "mirror:1:2", "mirror:99999999999", "cpu:0", ":1"} {
		if _, err := Open[float32](name); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "use cpu, mirror; of several the number follows a colon, as in mirror:1") {
			t.Errorf("open %q: %v", name, err)
		}
	}
	if _, err := Open[float32]("abacus"); !errors.As(err, &unknown) || len(unknown.Known) != 2 {
		t.Errorf("an absent device: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a name was registered twice")
		}
	}()
	Register(Device{Name: "mirror"})
}

// TestRegistersRunOut: a Reckoning does not give one register to two figures.
func TestRegistersRunOut(t *testing.T) {
	q := NewReckoning(CPU[float64](), nil, 2, 3)
	q.Number(1)
	last := q.Plus(q.Numbers([]float64{2, 3}), 0)
	q.Run()
	if q.Value(last, 0) != 3 || q.Value(last, 1) != 4 {
		t.Errorf("%v", q.Register(last))
	}
	defer func() {
		if _, ok := recover().(Error); !ok {
			t.Error("a register more than there are")
		}
	}()
	q.Number(1)
}
