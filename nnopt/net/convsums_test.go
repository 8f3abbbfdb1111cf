package net

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
)

// TestPatchSums: the sums over positions that a convolution makes from its pixels are those of its patches, which it does not read: they are spoilt.
func TestPatchSums(t *testing.T) {
	for _, o := range []ConvOptions{
		{}, {Kernel: 1}, {Kernel: 2, Stride: 2}, {Padding: 1}, {Kernel: 2, Dilation: 3, Padding: 2}, {KernelWidth: 1, StrideWidth: 3, PaddingWidth: 2},
		{Kernel: 5, KernelWidth: 2, Padding: 3, PaddingWidth: -1, Stride: 2, StrideWidth: 1}, {Kernel: 2, Groups: 2}, {Groups: 4, Stride: 2, Padding: 1, Dilation: 2, NoBias: true},
	} {
		o.In, o.Out, o.Height, o.Width = 4, 4, 7, 6
		r := rand.New(rand.NewPCG(3, 1))
		conv := NewConv2d[float64](r, o)
		n := New[float64](conv, NewSquare[float64](false), 1)
		const images = 3
		b := &Batch[float64]{X: dense.New[float64](images*42, 4), N: images}
		for i := range b.X.Data {
			b.X.Data[i] = r.NormFloat64()
		}
		n.Linearize(b)
		s := n.Stats(nil)[0]
		want, got := dense.New[float64](images, s.In.Cols), dense.New[float64](images, s.In.Cols)
		for i := range s.In.Rows {
			dense.Axpy(1, s.In.Row(i), want.Row(i/s.Reps))
			got.Data[i%len(got.Data)] = 7 // is overwritten
		}
		for i := range s.In.Data {
			s.In.Data[i] = math.NaN()
		}
		s.Sums(got)
		for i, v := range got.Data {
			if !(math.Abs(v-want.Data[i]) <= 1e-12) {
				t.Fatalf("%+v: element %d is %v, want %v", o, i, v, want.Data[i])
			}
		}
		if a := allocs.PerRun(10, func() { s.Sums(got) }); a != 0 {
			t.Errorf("%+v: %v allocations", o, a)
		}
	}
}
