package nnopt

import (
	"fmt"
	"math"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/spectral"
)

// The factor of a dimension that is cut is block-diagonal: gradients whose blocks have all signs, one for each block of rows and of columns, add up to such
// statistics, so that the whole factors of spectral.Kron, which learn from all of them, stay block-diagonal and are those that one gradient teaches.
func TestSpectralBlocks(t *testing.T) {
	for _, dims := range [][]int{{6, 5}, {9}, {3, 7}, {5, 2, 6}} {
		t.Run(fmt.Sprint(dims), func(t *testing.T) { spectralBlocks(t, dims) })
	}
}

func spectralBlocks(t *testing.T, dims []int) {
	n := product(dims)
	const beta, damping = 0.05, 0.01
	shaping := Shaping{Order: len(dims), Tensors: []Tensor{{"w", dims}}, MaxDim: 4}
	o := must(NewSpectral[float64](Spectral{Settings: Settings{LR: 1}, NoMomentum: true, Beta2: beta, Damping: damping, Drop: true, Shaping: shaping}))
	w := []Block[float64]{{Name: "w", Rows: dims[0], Cols: n / dims[0], Value: make([]float64, n), Grad: make([]float64, n)}}
	must(0, o.Init(w))
	k := spectral.NewKron(1, dims...)
	r := source(uint64(n))
	for update := 1; update <= 12; update++ {
		fill(r, w[0].Grad)
		if update == 1 {
			k = spectral.NewKron(dense.Dot(w[0].Grad, w[0].Grad)/float64(n)+damping, dims...)
		}
		clear(w[0].Value)
		must(o.Step(w, StepInfo{LRScale: 1}))
		k.Learn(allSigns(dims, &shaping, w[0].Grad), beta/(1-math.Pow(1-beta, float64(update)+1)), 1, damping, nil)
		step := make([]float64, n)
		k.Pow(-0.5, step, w[0].Grad)
		for i := range step {
			step[i] = -step[i]
		}
		within(t, fmt.Sprintf("update %d", update), w[0].Value, step, 1e-6)
	}
	for i, d := range dims {
		blocks := (d + 3) / 4
		name := fmt.Sprintf("basis0.%d", i)
		if blocks > 1 {
			name += fmt.Sprintf(".%d", blocks-1)
		}
		if size := shaping.cuts(d)[blocks-1]; len(slotOf(t, o, "w", name)) != size*size {
			t.Errorf("slot %s has not %d elements", name, size*size)
		}
	}
}

// allSigns returns x with every choice of signs of the blocks of every dimension.
func allSigns(dims []int, s *Shaping, x []float64) [][]float64 {
	all := [][]float64{x}
	stride := len(x)
	for _, d := range dims {
		stride /= d
		from := 0
		for _, size := range s.cuts(d) {
			for _, y := range all {
				flipped := append([]float64(nil), y...)
				for i := range flipped {
					if at := i / stride % d; at >= from && at < from+size {
						flipped[i] = -flipped[i]
					}
				}
				all = append(all, flipped)
			}
			from += size
		}
	}
	return all
}

// The blocks of a factor that is cut are the exact moving averages of the blocks on the diagonal of G G^T/n, as that of a whole factor is of G G^T/n.
func TestSpectralBlocksFollowExactAverage(t *testing.T) {
	whole, average, _, _ := followed[float64](Spectral{Interval: 4}, 300)
	within(t, "S", whole.Data, average.Data, 1e-10)
	const m, n = 6, 9
	o := must(NewSpectral[float64](Spectral{Interval: 4, Shaping: Shaping{MaxDim: 3}, Statistics: ShampooStatistics, Beta2: 0.05, Damping: 1e-30}))
	w := []Block[float64]{{Name: "w", Rows: m, Cols: n, Value: make([]float64, m*n), Grad: make([]float64, m*n)}}
	must(0, o.Init(w))
	r := source(8) // the gradients of followed
	for range 300 {
		fill(r, w[0].Grad)
		for i := range m {
			row := w[0].Grad[i*n : (i+1)*n]
			dense.Scale(float64(1+i*i), row, row)
		}
		must(o.Step(w, StepInfo{LRScale: 1}))
	}
	for k := range 2 {
		b, c := dense.Wrap(3, 3, slotOf(t, o, "w", fmt.Sprintf("basis0.0.%d", k))), dense.Wrap(3, 3, slotOf(t, o, "w", fmt.Sprintf("coupling0.0.%d", k)))
		dense.Mirror(c)
		half, s := dense.New[float64](3, 3), dense.New[float64](3, 3)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, b, c, 0, half)
		dense.Gemm(dense.NoTrans, dense.Transposed, 1, half, b, 0, s)
		for i := range 3 {
			within(t, fmt.Sprintf("row %d of block %d", i, k), s.Row(i), average.Row(3*k + i)[3*k:3*k+3], 1e-10)
		}
	}
}

// A transposed problem has the transposed solution also where dimensions are cut, and one block as large as the dimension is a whole factor, bit for bit.
func TestSpectralBlocksInvariances(t *testing.T) {
	const m, n = 7, 10
	run := func(most int, transposed bool) []float64 {
		o := must(NewSpectral[float64](Spectral{Interval: 3, Shaping: Shaping{MaxDim: most}}))
		w := []Block[float64]{{Name: "w", Rows: m, Cols: n, Value: make([]float64, m*n), Grad: make([]float64, m*n)}}
		if transposed {
			w[0].Rows, w[0].Cols = n, m
		}
		must(0, o.Init(w))
		r := source(22)
		g := make([]float64, m*n)
		for range 30 {
			fill(r, g)
			copy(w[0].Grad, g)
			if transposed {
				dense.Transpose(dense.Wrap(n, m, w[0].Grad), dense.Wrap(m, n, g))
			}
			must(o.Step(w, StepInfo{LRScale: 1}))
		}
		if transposed {
			dense.Transpose(dense.Wrap(m, n, g), dense.Wrap(n, m, w[0].Value))
			return g
		}
		return w[0].Value
	}
	within(t, "transposed", run(4, true), run(4, false), 1e-9)
	within(t, "one block", run(10, false), run(0, false), 0)
}

// TestCuts: a dimension is cut into as few pieces as fit, which cover it, none larger than asked for, none much larger than the others.
func TestCuts(t *testing.T) {
	for _, c := range []struct {
		d, most int
		want    []int
	}{
		{784, 256, []int{208, 192, 192, 192}}, {768, 256, []int{256, 256, 256}}, {257, 256, []int{144, 113}}, {199, 100, []int{100, 99}}, {5, 2, []int{2, 2, 1}}, {256, 256, []int{256}},
		{7, 3, []int{3, 2, 2}},
	} {
		pieces := (&Shaping{MaxDim: c.most}).pieces("w", c.d, 3)
		var got []int
		for k := 0; k < len(pieces); k += len(pieces) / len(c.want) {
			got = append(got, pieces[k].dims[0])
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%d within %d: %v, want %v", c.d, c.most, got, c.want)
		}
	}
	r := source(1)
	for range 2000 {
		d, most := 1+r.IntN(3000), 1+r.IntN(600)
		pieces := (&Shaping{MaxDim: most}).pieces("w", 1, d)
		end, smallest, largest := 0, d, 0
		for _, p := range pieces {
			if p.offset != end {
				t.Fatalf("%d within %d: a piece starts at %d, the one before ends at %d", d, most, p.offset, end)
			}
			end += p.dims[0]
			smallest, largest = min(smallest, p.dims[0]), max(largest, p.dims[0])
		}
		if end != d || len(pieces) != (d+most-1)/most || largest > most || len(pieces) > 1 && smallest < 1 || largest-smallest > 16*len(pieces) {
			t.Fatalf("%d within %d: %d pieces of %d to %d elements", d, most, len(pieces), smallest, largest)
		}
	}
}
