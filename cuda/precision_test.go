//go:build cuda && cgo && linux

package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// TestNarrowProducts: products in bfloat16 are those of the rounded operands, whatever these are: parts of other matrices, matrices between whose rows others lie, one
// matrix for all, twice the same.
func TestNarrowProducts(t *testing.T) {
	e, err := newBackend[float32](device(t)).Rounded(BF16)
	if err != nil {
		t.Skip(err)
	}
	fast, r := engine.Fast(e), rand.New(rand.NewPCG(3, 1))
	numbers := make([]float32, 600)
	for i := range numbers {
		numbers[i] = float32(r.NormFloat64())
	}
	batch := func(count, rows, cols, stride, step, from int) engine.Batch[float32] {
		return engine.Batch[float32]{Count: count, Rows: rows, Cols: cols, Stride: stride, Step: step, Data: numbers[from:]}
	}
	tight := batch(3, 7, 5, 5, 35, 0)
	for name, c := range map[string]struct {
		ta, tb dense.Trans
		x, y   engine.Batch[float32]
	}{
		"without gaps":      {dense.NoTrans, dense.Transposed, tight, batch(3, 4, 5, 5, 20, 200)},
		"parts":             {dense.Transposed, dense.NoTrans, batch(2, 6, 3, 11, 70, 4), batch(2, 6, 9, 13, 80, 150)},
		"heads":             {dense.NoTrans, dense.Transposed, batch(3, 6, 4, 36, 4, 0), batch(3, 6, 4, 36, 4, 12)},
		"one for all":       {dense.NoTrans, dense.NoTrans, batch(3, 8, 7, 7, 0, 2), batch(3, 7, 5, 5, 35, 100)},
		"twice the same":    {dense.Transposed, dense.NoTrans, tight, tight},
		"of the same place": {dense.NoTrans, dense.NoTrans, batch(1, 4, 6, 6, 0, 0), batch(1, 6, 4, 4, 0, 0)},
	} {
		rows, cols := c.x.Rows, c.y.Cols
		if c.ta {
			rows = c.x.Cols
		}
		if c.tb {
			cols = c.y.Rows
		}
		z := engine.Batch[float32]{Count: c.x.Count, Rows: rows, Cols: cols, Stride: cols, Step: rows * cols, Data: slices.Clone(numbers[:c.x.Count*rows*cols])}
		want := slices.Clone(z.Data)
		for k := range z.Count {
			rounded := func(m dense.Matrix[float32]) dense.Matrix[float64] {
				out := dense.New[float64](m.Rows, m.Cols)
				for i := range m.Rows {
					for j, v := range m.Row(i) {
						out.Set(i, j, float64(dense.Round(v).Float32()))
					}
				}
				return out
			}
			p := dense.New[float64](rows, cols)
			dense.Gemm(c.ta, c.tb, 1.5, rounded(c.x.At(k)), rounded(c.y.At(k)), 0, p)
			for i, v := range p.Data {
				want[k*rows*cols+i] = 0.5*want[k*rows*cols+i] + float32(v)
			}
		}
		fast.Gemm(c.ta, c.tb, 1.5, c.x, c.y, 0.5, z)
		near(t, name, z.Data, want)
		if name != "twice the same" {
			continue
		}
		copy(z.Data, numbers)
		fast.Gemm(c.ta, c.tb, 1, c.x, c.y, 0, z)
		want = slices.Clone(z.Data)
		fast.GemmSymmetric(c.ta, c.tb, 1, c.x, c.y, 0, z)
		near(t, name+", symmetric", z.Data, want)
	}
}

func near(t *testing.T, name string, got, want []float32) {
	t.Helper()
	for i, v := range want {
		if !(math.Abs(float64(got[i]-v)) <= 1e-5*(1+math.Abs(float64(v)))) {
			t.Errorf("%s, element %d: %v, want %v", name, i, got[i], v)
			return
		}
	}
}

// TestRoundedOperations: every operation, with products in each precision, gives what the processor gives in float64, to 4e-3 where it may use tf32 and 4e-2 in bfloat16.
func TestRoundedOperations(t *testing.T) {
	for p, tol := range map[engine.Precision]float64{FP32: 1e-4, TF32: 4e-3, BF16: 4e-2} {
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			e, err := newBackend[float32](device(t)).Rounded(p)
			if err != nil {
				t.Skip(err)
			}
			operations(t, engine.Fast(e), 2, 7, tol)
		})
	}
}
