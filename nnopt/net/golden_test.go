package net

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
)

type kfacLayer struct {
	Layer, Type                       string
	Weight                            json.RawMessage
	Bias                              []float64
	Stride, Padding, Kernel, Dilation []int
	GGN                               [][]float64 `json:"ggn_rvec_joint"`
}

type kfacCase struct {
	Name, Loss, Reduction string
	X, Y, Output          json.RawMessage
	Value                 float64 `json:"loss_value"`
	Layers                []kfacLayer
}

// flat returns the numbers of nested lists in their order, and the lengths of the lists.
func flat(t *testing.T, text json.RawMessage) (values []float64, shape []int) {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	var walk func(v any, depth int)
	walk = func(v any, depth int) {
		list, ok := v.([]any)
		if !ok {
			values = append(values, v.(float64))
			return
		}
		if depth == len(shape) {
			shape = append(shape, len(list))
		}
		for _, e := range list {
			walk(e, depth+1)
		}
	}
	walk(v, 0)
	return values, shape
}

// channelsLast turns images x channels x positions into images x positions x channels.
func channelsLast(v []float64, images, channels int) []float64 {
	positions := len(v) / images / channels
	out := make([]float64, len(v))
	for n := range images {
		for c := range channels {
			for s := range positions {
				out[(n*positions+s)*channels+c] = v[(n*channels+c)*positions+s]
			}
		}
	}
	return out
}

// build returns the network of a case with its weights, and the batch.
func (c *kfacCase) build(t *testing.T) (*Net[float64], *Batch[float64]) {
	x, shape := flat(t, c.X)
	y, yshape := flat(t, c.Y)
	n := shape[0]
	b := &Batch[float64]{N: n}
	images := len(shape) == 4
	if images {
		x = channelsLast(x, n, shape[1])
		b.X = dense.Wrap(len(x)/shape[1], shape[1], x)
	} else {
		width := shape[len(shape)-1]
		b.X = dense.Wrap(len(x)/width, width, x)
	}
	var loss Loss[float64]
	if c.Loss == "MSELoss" {
		loss = NewSquare[float64](c.Reduction == "sum")
		width := yshape[len(yshape)-1]
		if len(yshape) == 4 {
			y, width = channelsLast(y, n, yshape[1]), yshape[1]
		}
		b.Target.Values = dense.Wrap(len(y)/width, width, y)
	} else {
		loss = &CrossEntropy[float64]{Sum: c.Reduction == "sum"}
		for _, v := range y {
			b.Target.Classes = append(b.Target.Classes, int32(v))
		}
	}
	return New[float64](Chain(c.layers(t, shape)...), loss, 1), b
}

func (c *kfacCase) layers(t *testing.T, shape []int) (layers []Layer[float64]) {
	height, width := 0, 0
	if len(shape) == 4 {
		height, width = shape[2], shape[3]
	}
	for k, l := range c.Layers {
		w, dims := flat(t, l.Weight)
		var weight, bias *Param[float64]
		if l.Type == "Linear" {
			layer := NewLinear[float64](source(1), dims[1], dims[0], LinearOptions{})
			layers, weight, bias = append(layers, layer), layer.Weight, layer.Bias
		} else {
			w = channelsLast(w, dims[0], dims[1])
			layer := NewConv2d[float64](source(1), ConvOptions{
				In: dims[1], Out: dims[0], Height: height, Width: width, Kernel: l.Kernel[0], KernelWidth: l.Kernel[1],
				Stride: l.Stride[0], StrideWidth: l.Stride[1], Padding: l.Padding[0], PaddingWidth: l.Padding[1],
			})
			height, width = layer.OutputSize()
			layers, weight, bias = append(layers, layer), layer.Weight, layer.Bias
		}
		copy(weight.Value.V.Data, w)
		copy(bias.Value.V.Data, l.Bias)
		switch c.Name {
		case "one_datum_mse_mean", "one_datum_ce_mean", "one_datum_mse_sum", "one_datum_ce_sum", "nonlinear_ce_mean":
			layers = append(layers, NewActivation[float64](Tanh))
		case "reduce_setting_S5_sumpool":
			if k == len(c.Layers)-1 {
				layers = append(layers, NewGlobalPool[float64](Sum))
			}
		case "reduce_setting_S5_meanpool", "conv_net_global_meanpool":
			if k == len(c.Layers)-1 {
				layers = append(layers, NewGlobalPool[float64](Mean))
			} else if l.Type == "Conv2d" {
				layers = append(layers, NewActivation[float64](Tanh))
			}
		case "mixed_pool_after_layer0":
			if k == 0 {
				layers = append(layers, NewGlobalPool[float64](Mean))
			}
		}
	}
	return layers
}

// TestKFACCases compares outputs, losses and every entry of the Gauss-Newton blocks with those that another implementation computed.
func TestKFACCases(t *testing.T) {
	data, err := os.ReadFile("../../testdata/golden/kfac_cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []kfacCase
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) != 13 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			n, b := c.build(t)
			want, shape := flat(t, c.Output)
			if len(shape) == 4 {
				want = channelsLast(want, shape[0], shape[1])
			}
			value, out := n.Evaluate(b)
			for i, v := range want {
				near(t, "output", out.Data[i], v, 1e-9*(1+math.Abs(v)))
			}
			near(t, "loss", value, c.Value, 1e-9*(1+c.Value))
			c.checkGGN(t, n, b)
		})
	}
}

// checkGGN compares the blocks column by column. Blocks number 2k and 2k+1 are weight and bias of layer k.
func (c *kfacCase) checkGGN(t *testing.T, n *Net[float64], b *Batch[float64]) {
	blocks := n.Blocks()
	product := make([]float64, n.Dim())
	start := 0
	for k, l := range c.Layers {
		w := blocks[2*k]
		// place returns where entry (row, col) of the joint matrix [W b] stands among the parameters
		place := func(row, col int) int {
			if col == w.Cols {
				return start + w.Len() + row
			}
			if l.Type == "Conv2d" { // from channel, pixel to pixel, channel
				pixels := l.Kernel[0] * l.Kernel[1]
				col = col%pixels*(w.Cols/pixels) + col/pixels
			}
			return start + row*w.Cols + col
		}
		for i := range l.GGN {
			clear(product)
			product[place(i/(w.Cols+1), i%(w.Cols+1))] = 1
			n.GGNVP(b, product, product)
			for j, want := range l.GGN[i] {
				near(t, "GGN", product[place(j/(w.Cols+1), j%(w.Cols+1))], want, 1e-9*(1+math.Abs(want)))
			}
		}
		start += w.Len() + blocks[2*k+1].Len()
	}
}
