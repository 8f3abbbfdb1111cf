package net

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt"
)

// transformer returns a small causal language model and a batch for it.
func transformer[T Float](r *rand.Rand) (*Net[T], *Batch[T]) {
	const tokens, width, length, examples = 11, 8, 6, 4
	table := NewEmbedding[T](r, tokens, width)
	block := Chain[T](
		NewResidual[T](Chain[T](NewLayerNorm[T](width), NewAttention[T](r, width, 2, true), NewDropout[T](0.1, 1))),
		NewResidual[T](Chain[T](NewRMSNorm[T](width), NewLinear[T](r, width, 16, LinearOptions{}), NewActivation[T](GELU),
			NewLinear[T](r, 16, width, LinearOptions{}))),
	)
	n := New[T](Chain[T](table, NewPositions[T](r, length, width), block, NewLayerNorm[T](width), NewTied(table)), &CrossEntropy[T]{}, 5)
	b := &Batch[T]{N: examples, X: dense.New[T](examples*length, 1)}
	for i := range b.X.Data {
		b.X.Data[i] = T(r.IntN(tokens))
		b.Target.Classes = append(b.Target.Classes, int32(r.IntN(tokens)))
	}
	return n, b
}

// convnet returns a small image classifier and a batch for it.
func convnet[T Float](r *rand.Rand) (*Net[T], *Batch[T]) {
	n := New[T](Chain[T](
		NewConv2d[T](r, ConvOptions{In: 2, Out: 4, Height: 6, Width: 6, Padding: 1}), NewBatchNorm[T](4), NewActivation[T](ReLU),
		NewPool[T](Max, PoolOptions{Height: 6, Width: 6}), NewFlatten[T](), NewLinear[T](r, 36, 3, LinearOptions{}),
	), &CrossEntropy[T]{Smoothing: 0.1}, 5)
	b := &Batch[T]{N: 5, X: dense.New[T](5*36, 2)}
	for i := range b.X.Data {
		b.X.Data[i] = T(r.NormFloat64())
	}
	b.Target.Classes = []int32{0, 2, 1, -1, 2}
	return n, b
}

// products runs everything that a network can do and returns all numbers.
func products[T Float](n *Net[T], b *Batch[T]) (all []T) {
	r := source(9)
	v, dst := make([]T, n.Dim()), make([]T, n.Dim())
	for i := range v {
		v[i] = T(r.NormFloat64())
	}
	all = append(all, T(n.Gradient(b)))
	for _, block := range n.Blocks() {
		all = append(all, block.Grad...)
	}
	n.HVP(b, v, dst)
	all = append(all, dst...)
	n.GGNVP(b, v, dst)
	all = append(all, dst...)
	return append(all, n.JVP(b, v).Data...)
}

func TestPassesRepeatAndAllocateNothing(t *testing.T) {
	for name, build := range map[string]func(r *rand.Rand) (*Net[float32], *Batch[float32]){"transformer": transformer[float32], "convnet": convnet[float32]} {
		var first []float32
		for _, procs := range []int{1, 2, 8} {
			old := runtime.GOMAXPROCS(procs)
			n, b := build(source(3))
			got := products(n, b)
			runtime.GOMAXPROCS(old)
			if first == nil {
				first = got
			}
			if !slices.Equal(first, got) {
				t.Errorf("%s: GOMAXPROCS %d gives other bits", name, procs)
			}
		}
		n, b := build(source(3))
		v := make([]float32, n.Dim())
		n.HVP(b, v, v)
		n.GGNVP(b, v, v)
		stats := n.Stats(nil)
		for what, f := range map[string]func(){
			"gradient": func() { n.Gradient(b) }, "HVP": func() { n.HVP(b, v, v) }, "GGN": func() { n.GGNVP(b, v, v) }, "evaluation": func() { n.Evaluate(b) },
			"statistics": func() { stats = n.Stats(stats[:0]) },
		} {
			if got := allocs.PerRun(20, f); got != 0 {
				t.Errorf("%s: %v allocations per %s", name, got, what)
			}
		}
	}
}

func TestFloat32FollowsFloat64(t *testing.T) {
	compare := func(name string, single []float32, double []float64) {
		var num, den float64
		for i, v := range double {
			num += (v - float64(single[i])) * (v - float64(single[i]))
			den += v * v
		}
		if rel := math.Sqrt(num / den); !(rel < 3e-5) {
			t.Errorf("%s: relative difference %.2g between float32 and float64", name, rel)
		}
	}
	n32, b32 := transformer[float32](source(4))
	n64, b64 := transformer[float64](source(4))
	compare("transformer", products(n32, b32), products(n64, b64))
	c32, d32 := convnet[float32](source(4))
	c64, d64 := convnet[float64](source(4))
	compare("convnet", products(c32, d32), products(c64, d64))
}

// TestStats: the gradient of each weight matrix is Out^T In of its layer, with the rows of the examples next to each other.
func TestStats(t *testing.T) {
	for name, build := range map[string]func(r *rand.Rand) (*Net[float64], *Batch[float64]){"transformer": transformer[float64], "convnet": convnet[float64]} {
		n, b := build(source(6))
		n.Gradient(b)
		grads := map[string]nnopt.Block[float64]{}
		for _, block := range n.Blocks() {
			grads[block.Name] = block
		}
		all := n.Stats(nil)
		if len(all) < 2 {
			t.Fatalf("%s: %d layers observed", name, len(all))
		}
		for _, s := range all {
			g, ok := grads[s.Weight]
			if !ok || s.In.Rows != b.N*s.Reps || s.Out.Rows != s.In.Rows {
				t.Fatalf("%s: statistics %q of %d and %d rows, %d reps", name, s.Weight, s.In.Rows, s.Out.Rows, s.Reps)
			}
			if name == "transformer" && g.Name == n.Blocks()[0].Name {
				continue // tied: the gradient has a part from the embedding
			}
			product := dense.New[float64](g.Rows, g.Cols)
			dense.Gemm(dense.Transposed, dense.NoTrans, 1, s.Out, s.In, 0, product)
			for i, v := range product.Data {
				near(t, name+" "+s.Weight, g.Grad[i], v, 1e-13*(1+math.Abs(v)))
			}
		}
	}
}

// TestConvolution compares with the defining sums, over many sizes.
func TestConvolution(t *testing.T) {
	for seed := range uint64(60) {
		r := source(seed)
		groups := 1 + r.IntN(2)
		o := ConvOptions{
			In: groups * (1 + r.IntN(2)), Out: groups * (1 + r.IntN(2)), Height: 4 + r.IntN(4), Width: 4 + r.IntN(4), Kernel: 1 + r.IntN(3),
			KernelWidth: 1 + r.IntN(3), Stride: 1 + r.IntN(2), StrideWidth: 1 + r.IntN(2), Padding: r.IntN(3), PaddingWidth: 1 + r.IntN(2),
			Dilation: 1, Groups: groups,
		}
		if o.Kernel < 3 && o.KernelWidth < 3 {
			o.Dilation = 1 + r.IntN(2)
		}
		c := NewConv2d[float64](r, o)
		const n = 2
		x := dense.Wrap(n*o.Height*o.Width, o.In, gaussian(r, n*o.Height*o.Width*o.In))
		y := c.Forward(&Pass[float64]{N: n}, Dual[float64]{V: x}).V
		per := o.In / groups
		height, width := c.OutputSize()
		for row := range y.Rows {
			image, i, j := row/(height*width), row%(height*width)/width, row%width
			for k := range o.Out {
				want := c.Bias.Value.V.Data[k]
				for a := range o.Kernel {
					for b := range o.KernelWidth {
						py, px := i*o.Stride+a*o.Dilation-o.Padding, j*o.StrideWidth+b*o.Dilation-o.PaddingWidth
						if py < 0 || py >= o.Height || px < 0 || px >= o.Width {
							continue
						}
						for ch := range per {
							group := k / (o.Out / groups)
							want += c.Weight.Value.V.At(k, (a*o.KernelWidth+b)*per+ch) * x.At((image*o.Height+py)*o.Width+px, group*per+ch)
						}
					}
				}
				near(t, fmt.Sprintf("seed %d, row %d, channel %d", seed, row, k), y.At(row, k), want, 1e-12)
			}
		}
	}
}

func TestDropout(t *testing.T) {
	d := NewDropout[float64](0.3, 7)
	x := dense.Wrap(200, 50, slices.Repeat([]float64{1}, 10000))
	mask := func(seed, step uint64, train bool) []float64 {
		y := d.Forward(&Pass[float64]{N: 200, Train: train, Seed: seed, Step: step}, Dual[float64]{V: x}).V
		return slices.Clone(y.Data)
	}
	first := mask(1, 1, true)
	zeros := 0
	for _, v := range first {
		if v == 0 {
			zeros++
		} else {
			near(t, "kept value", v, 1/0.7, 1e-15)
		}
	}
	near(t, "share of zeros", float64(zeros)/10000, 0.3, 0.02)
	if !slices.Equal(first, mask(1, 1, true)) {
		t.Error("the same step has another mask")
	}
	if slices.Equal(first, mask(1, 2, true)) || slices.Equal(first, mask(2, 1, true)) {
		t.Error("another step or seed has the same mask")
	}
	if !slices.Equal(mask(1, 1, false), x.Data) {
		t.Error("dropout acts outside of training")
	}
}

// TestBatchNormRunning: after many batches of one distribution the running averages are its mean and variance, and evaluation uses them.
func TestBatchNormRunning(t *testing.T) {
	b := NewBatchNorm[float64](1)
	r := source(3)
	for range 200 {
		x := dense.Wrap(500, 1, gaussian(r, 500))
		for i := range x.Data {
			x.Data[i] = 3 + 2*x.Data[i]
		}
		b.Forward(&Pass[float64]{N: 500, Train: true}, Dual[float64]{V: x})
	}
	arrays := b.Arrays("")
	near(t, "mean", arrays[0].Value[0], 3, 0.1)
	near(t, "variance", arrays[1].Value[0], 4, 0.3)
	y := b.Forward(&Pass[float64]{N: 2}, Dual[float64]{V: dense.Wrap(2, 1, []float64{3, 5})}).V
	near(t, "at the mean", y.Data[0], 0, 0.05)
	near(t, "one deviation above", y.Data[1], 1, 0.05)
	// its gradient in evaluation is that of an affine map
	gx := b.Backward(&Pass[float64]{N: 2}, Dual[float64]{V: dense.Wrap(2, 1, []float64{1, 1})}, true).V
	near(t, "slope", gx.Data[0], (y.Data[1]-y.Data[0])/2, 1e-12)
}

// TestCausal: a later token does not change the outputs at earlier positions.
func TestCausal(t *testing.T) {
	n, b := transformer[float64](source(8))
	before := slices.Clone(n.Forward(b).Data)
	b.X.Data[5] = float64((int(b.X.Data[5]) + 1) % 11) // the last token of the first example
	after := n.Forward(b)
	cols := after.Cols
	if !slices.Equal(before[:5*cols], after.Data[:5*cols]) || slices.Equal(before[5*cols:6*cols], after.Data[5*cols:6*cols]) {
		t.Error("the mask is not causal")
	}
}

func TestMisuse(t *testing.T) {
	r := source(1)
	for name, f := range map[string]func(){
		"token": func() {
			NewEmbedding[float64](r, 3, 2).Forward(&Pass[float64]{N: 1}, Dual[float64]{V: dense.Wrap(1, 1, []float64{3})})
		},
		"heads":      func() { NewAttention[float64](r, 5, 2, true) },
		"conv":       func() { NewConv2d[float64](r, ConvOptions{In: 3, Out: 4, Height: 5, Width: 5, Groups: 2}) },
		"small conv": func() { NewConv2d[float64](r, ConvOptions{In: 1, Out: 1, Height: 2, Width: 2, Kernel: 5}) },
		"activation": func() { NewActivation[float64]("step") },
		"dropout":    func() { NewDropout[float64](1, 0) },
		"graph":      func() { NewAggregate[float64](&Graph{Start: []int{0, 1}, Neighbours: []int32{4}}) },
		"direction":  func() { n, b := convnet[float64](r); n.JVP(b, make([]float64, 3)) },
	} {
		func() {
			defer func() {
				err, _ := recover().(error)
				var e Error
				if !errors.As(err, &e) {
					t.Errorf("%s: panic %v is no net.Error", name, err)
				}
			}()
			f()
		}()
	}
	l := &CrossEntropy[float64]{}
	for name, target := range map[string]Target[float64]{
		"label": {Classes: []int32{0, 3}}, "few": {Classes: []int32{0}}, "none": {Classes: []int32{-1, -1}}, "shape": {Values: dense.New[float64](2, 2)},
	} {
		if l.Check(2, 3, &target) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestSuspectInInference: a look for numbers that are not finite leaves the running averages of a network in evaluation alone.
func TestSuspectInInference(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	n := New[float64](Chain[float64](NewBatchNorm[float64](3), NewLinear[float64](r, 3, 1, LinearOptions{})), NewSquare[float64](false), 1)
	n.Inference = true
	x := dense.New[float64](4, 3)
	for i := range x.Data {
		x.Data[i] = 5 + r.NormFloat64()
	}
	if where := n.Suspect(&Batch[float64]{X: x, N: 4}); where != "" {
		t.Errorf("finite numbers are suspected in %s", where)
	}
	if mean := n.Arrays()[0]; mean.Value[0] != 0 {
		t.Errorf("%s moved to %v", mean.Name, mean.Value)
	}
}

func TestSuspect(t *testing.T) {
	n, b := transformer[float32](source(2))
	if where := n.Suspect(b); where != "" {
		t.Errorf("a healthy network: %q", where)
	}
	table := n.Blocks()[1].Value // the positions
	old := table[0]
	table[0] = float32(math.NaN())
	if where := n.Suspect(b); !strings.Contains(where, "positions") {
		t.Errorf("a parameter that is not a number: %q", where)
	}
	table[0] = old
	for _, block := range n.Blocks() {
		if strings.HasSuffix(block.Name, "1.weight") {
			for i := range block.Value {
				block.Value[i] = 3e38
			}
			break
		}
	}
	if where := n.Suspect(b); !strings.HasPrefix(where, "layer 2.1") {
		t.Errorf("weights that overflow: %q", where)
	}
}

// doubled is a layer as a program of its own has one: it runs another layer and doubles the outputs.
type doubled struct{ inner Layer[float64] }

func (d doubled) Forward(p *Pass[float64], x Dual[float64]) Dual[float64] {
	return twice(d.inner.Forward(p, x))
}

func (d doubled) Backward(p *Pass[float64], g Dual[float64], need bool) Dual[float64] {
	return d.inner.Backward(p, twice(g), need)
}

func (d doubled) Params(prefix string) []*Param[float64] { return d.inner.Params(prefix + "inner.") }

func twice(x Dual[float64]) Dual[float64] {
	out := Dual[float64]{V: x.V.Clone()}
	dense.Scale(2, x.V.Data, out.V.Data)
	if x.D.Data != nil {
		out.D = x.D.Clone()
		dense.Scale(2, x.D.Data, out.D.Data)
	}
	return out
}

// TestLayersOfOthers: layers inside a layer of another package are trained, and their blocks are listed as without statistics.
func TestLayersOfOthers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	linear := NewLinear[float64](r, 3, 2, LinearOptions{})
	n := New[float64](Chain[float64](doubled{linear}, NewLinear[float64](r, 2, 2, LinearOptions{})), NewSquare[float64](false), 1)
	if names, seen := n.Unobserved(), len(n.Layers()); len(names) != 2 || seen != 1 || len(n.Blocks()) != 4 {
		t.Errorf("unobserved %v, %d layers with statistics", names, seen)
	}
	b := &Batch[float64]{N: 2, X: dense.Wrap(2, 3, []float64{1, 2, 3, -1, 0, 2}), Target: Target[float64]{Values: dense.New[float64](2, 2)}}
	if n.Gradient(b); dense.Dot(linear.Weight.Grad.V.Data, linear.Weight.Grad.V.Data) == 0 {
		t.Error("no gradient reaches the inner layer")
	}
}
