package curvature

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/golden"
	"github.com/spdopt/spdopt/nnopt/net"
)

type goldenFactors struct {
	A, B  [][]float64
	Error float64 `json:"rel_err_vs_ggn"`
}

type goldenLayer struct {
	Layer, Type                       string
	Weight                            json.RawMessage
	Bias                              []float64
	Stride, Padding, Kernel, Dilation []int
	GGN                               [][]float64 `json:"ggn_rvec_joint"`
}

type goldenCase struct {
	Name, Loss, Reduction string
	R                     float64
	X, Y, Output          json.RawMessage
	Value                 float64 `json:"loss_value"`
	Layers                []goldenLayer
	KFAC                  map[string]map[string]goldenFactors
}

func goldenCases(t testing.TB) (cases []goldenCase) {
	t.Helper()
	golden.Load(t, "kfac_cases.json", &cases)
	if len(cases) != 13 {
		t.Fatalf("%d cases", len(cases))
	}
	return cases
}

func source(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

func near(t testing.TB, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Errorf("%s: %v, want %v within %g", what, got, want, tol)
	}
}

func compare(t testing.TB, what string, got dense.Matrix[float64], want [][]float64) {
	t.Helper()
	if len(want) != got.Rows || len(want[0]) != got.Cols {
		t.Fatalf("%s: %d x %d, want %d x %d", what, got.Rows, got.Cols, len(want), len(want[0]))
	}
	for i, row := range want {
		for j, v := range row {
			if math.Abs(got.At(i, j)-v) > 1e-9*(1+math.Abs(v)) {
				t.Fatalf("%s: (%d, %d) is %v, want %v", what, i, j, got.At(i, j), v)
			}
		}
	}
}

// build returns the network of a case with its weights, and the batch.
func (c *goldenCase) build(t testing.TB) (*net.Net[float64], *net.Batch[float64]) {
	x, shape := golden.Flat(t, c.X)
	y, yshape := golden.Flat(t, c.Y)
	n := shape[0]
	b := &net.Batch[float64]{N: n}
	if len(shape) == 4 {
		x = golden.ChannelsLast(x, n, shape[1])
		b.X = dense.Wrap(len(x)/shape[1], shape[1], x)
	} else {
		width := shape[len(shape)-1]
		b.X = dense.Wrap(len(x)/width, width, x)
	}
	var loss net.Loss[float64]
	if c.Loss == "MSELoss" {
		loss = net.NewSquare[float64](c.Reduction == "sum")
		width := yshape[len(yshape)-1]
		if len(yshape) == 4 {
			y, width = golden.ChannelsLast(y, n, yshape[1]), yshape[1]
		}
		b.Target.Values = dense.Wrap(len(y)/width, width, y)
	} else {
		loss = &net.CrossEntropy[float64]{Sum: c.Reduction == "sum"}
		for _, v := range y {
			b.Target.Classes = append(b.Target.Classes, int32(v))
		}
	}
	return net.New[float64](net.Chain(c.layers(t, shape)...), loss, 1), b
}

func (c *goldenCase) layers(t testing.TB, shape []int) (layers []net.Layer[float64]) {
	height, width := 0, 0
	if len(shape) == 4 {
		height, width = shape[2], shape[3]
	}
	for k, l := range c.Layers {
		w, dims := golden.Flat(t, l.Weight)
		var weight, bias *net.Param[float64]
		if l.Type == "Linear" {
			layer := net.NewLinear[float64](source(1), dims[1], dims[0], net.LinearOptions{})
			layers, weight, bias = append(layers, layer), layer.Weight, layer.Bias
		} else {
			w = golden.ChannelsLast(w, dims[0], dims[1])
			layer := net.NewConv2d[float64](source(1), net.ConvOptions{
				In: dims[1], Out: dims[0], Height: height, Width: width, Kernel: l.Kernel[0], KernelWidth: l.Kernel[1],
				Stride: l.Stride[0], StrideWidth: l.Stride[1], Padding: l.Padding[0], PaddingWidth: l.Padding[1],
			})
			height, width = layer.OutputSize()
			layers, weight, bias = append(layers, layer), layer.Weight, layer.Bias
		}
		copy(weight.Value.V.Data, w)
		copy(bias.Value.V.Data, l.Bias)
		layers = append(layers, c.between(k)...)
	}
	return layers
}

// between returns what stands behind layer k.
func (c *goldenCase) between(k int) []net.Layer[float64] {
	last := k == len(c.Layers)-1
	switch c.Name {
	case "one_datum_mse_mean", "one_datum_ce_mean", "one_datum_mse_sum", "one_datum_ce_sum", "nonlinear_ce_mean":
		return []net.Layer[float64]{net.NewActivation[float64](net.Tanh)}
	case "reduce_setting_S5_sumpool":
		if last {
			return []net.Layer[float64]{net.NewGlobalPool[float64](net.Sum)}
		}
	case "reduce_setting_S5_meanpool", "conv_net_global_meanpool":
		if last {
			return []net.Layer[float64]{net.NewGlobalPool[float64](net.Mean)}
		}
		if c.Layers[k].Type == "Conv2d" {
			return []net.Layer[float64]{net.NewActivation[float64](net.Tanh)}
		}
	case "mixed_pool_after_layer0":
		if k == 0 {
			return []net.Layer[float64]{net.NewGlobalPool[float64](net.Mean)}
		}
	}
	return nil
}

// risk returns the risk of a case, the examples cut into batches of the given size (0 for one).
func (c *goldenCase) risk(t testing.TB, size int) *Risk[float64] {
	t.Helper()
	n, b := c.build(t)
	r, err := NewRisk(n, slices.Values([]*net.Batch[float64]{b}), RiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if size > 0 {
		return r.cut(t, b, size)
	}
	return r
}

// cut returns the same risk with the examples of its batch in smaller batches.
func (r *Risk[T]) cut(t testing.TB, b *net.Batch[T], size int) *Risk[T] {
	t.Helper()
	var all []*net.Batch[T]
	for at := 0; at < b.N; at += size {
		p := r.part(b, at, min(at+size, b.N))
		all = append(all, &p)
	}
	out, err := NewRisk(r.Net, slices.Values(all), RiskOptions{Training: r.training})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// place returns where entry (row, col) of the joint matrix of the file stands in the joint matrix of the network: from channel, pixel to pixel, channel.
func (l *goldenLayer) place(col, din int) int {
	if l.Type != "Conv2d" || col == din {
		return col
	}
	pixels := l.Kernel[0] * l.Kernel[1]
	return col%pixels*(din/pixels) + col/pixels
}

// reordered returns the matrix m of the network in the order of the file.
func (l *goldenLayer) reordered(m dense.Matrix[float64], din, out int) dense.Matrix[float64] {
	place := func(i int) int {
		in := din + 1
		return i/in*in + l.place(i%in, din)
	}
	p := dense.New[float64](m.Rows, m.Cols)
	for i := range m.Rows {
		for j := range m.Cols {
			p.Set(i, j, m.At(place(i), place(j)))
		}
	}
	return p
}

// block returns an operator's diagonal block of the joint matrix of factors f, formed column by column.
func block(a Operator, f *Factors) dense.Matrix[float64] {
	dim, _ := a.Dims()
	out, in := f.Dims()
	m := dense.New[float64](out*in, out*in)
	x, y := make([]float64, dim), make([]float64, dim)
	v := dense.New[float64](out, in)
	for k := range out * in {
		v.Zero()
		v.Data[k] = 1
		clear(x)
		f.Scatter(v, x)
		a.MulTo(y, x)
		f.Gather(y, v)
		for i, e := range v.Data {
			m.Set(i, k, e)
		}
	}
	return m
}

func relativeError(a, b dense.Matrix[float64]) float64 {
	var sum float64
	for i, v := range a.Data {
		d := v - b.Data[i]
		sum += d * d
	}
	return math.Sqrt(sum) / norm(b.Data)
}

// TestGoldenFactors compares the Gauss-Newton blocks, every factor and its error with those of another implementation, for the flavours, kinds of sharing and
// conventions, with one batch and with uneven ones.
func TestGoldenFactors(t *testing.T) {
	compared := 0
	for _, c := range goldenCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			for _, size := range []int{0, 1, 4} {
				r := c.risk(t, size)
				near(t, "loss", r.Loss(), c.Value, 1e-9*(1+c.Value))
				near(t, "R", r.Factor(), c.R, 1e-12*c.R)
				ggn := NewGGN(r)
				for key, want := range c.KFAC {
					flavour, sharing := keyOf(t, key)
					for _, convention := range []Convention{InInput, InOutput, Even} {
						k, err := CollectKFAC(r, Settings{Flavour: flavour, Sharing: sharing, Convention: convention})
						if err != nil {
							t.Fatal(err)
						}
						for i := range k.Blocks {
							compared += c.compareFactors(t, k, i, want[c.Layers[i].Layer], ggn)
						}
					}
				}
			}
		})
	}
	if compared < 300 {
		t.Errorf("only %d blocks were compared", compared)
	}
}

func keyOf(t *testing.T, key string) (Flavour, Sharing) {
	for _, f := range []Flavour{Type2, Empirical} {
		for _, s := range []Sharing{Expand, Reduce} {
			if key == string(f)+"/"+string(s) {
				return f, s
			}
		}
	}
	t.Fatalf("unknown flavour %q", key)
	return "", ""
}

// compareFactors compares one layer: A and B in the convention of the file, their product in all.
func (c *goldenCase) compareFactors(t *testing.T, k *KFAC, i int, want goldenFactors, ggn Operator) int {
	t.Helper()
	f, l := &k.Blocks[i], &c.Layers[i]
	din := f.Weight.Cols
	reference := block(ggn, f)
	compare(t, "GGN", l.reordered(reference, din, f.Weight.Rows), l.GGN)
	if k.Convention == InInput {
		a := dense.New[float64](din+1, din+1)
		for p := range a.Rows {
			for q := range a.Cols {
				a.Set(p, q, f.A.At(l.place(p, din), l.place(q, din)))
			}
		}
		compare(t, "A of "+l.Layer, a, want.A)
		compare(t, "B of "+l.Layer, f.B, want.B)
	}
	near(t, "error of "+l.Layer, relativeError(block(k, f), reference), want.Error, 1e-9)
	return 1
}

type goldenDamping struct {
	A, B, GGN     [][]float64
	EKFAC         [][]float64 `json:"ekfac_dense"`
	KFOC          [][]float64 `json:"kfoc_dense"`
	Sum           float64     `json:"ekfac_eigenvalue_sum_equals_trace"`
	Top           float64     `json:"kfoc_top_singular_value"`
	Trace         float64     `json:"trace_kfac"`
	LogDet        float64     `json:"logdet_kfac_damped_exact"`
	Damping       float64
	Split         map[string]float64 `json:"pi_dampings"`
	V             [][]float64
	Heuristic     [][]float64        `json:"inv_heuristic"`
	Exact         [][]float64        `json:"inv_exact"`
	EKFACInverse  [][]float64        `json:"inv_ekfac"`
	FrobeniusLoss map[string]float64 `json:"err_fro"`
}

// TestGoldenDamping compares EKFAC, KFOC, their errors, traces, log-determinants and the damped inverses with numbers from another implementation.
func TestGoldenDamping(t *testing.T) {
	var file struct {
		Case   string
		Layers map[string]goldenDamping
	}
	golden.Load(t, "kfac_ekfac_kfoc_damping.json", &file)
	if len(file.Layers) != 2 {
		t.Fatalf("%d layers", len(file.Layers))
	}
	cases := goldenCases(t)
	c := cases[slices.IndexFunc(cases, func(c goldenCase) bool { return c.Name == file.Case })]
	for _, size := range []int{0, 4} {
		r := c.risk(t, size)
		k, err := CollectKFAC(r, Settings{})
		if err != nil {
			t.Fatal(err)
		}
		e, err := CollectEKFAC(r, Settings{})
		if err != nil {
			t.Fatal(err)
		}
		best, err := CollectKFOC(r, Settings{}, KFOCOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range c.Layers {
			want := file.Layers[l.Layer]
			f := &k.Blocks[i]
			compare(t, "EKFAC", block(e, f), want.EKFAC)
			compare(t, "KFOC", block(best, f), want.KFOC)
			one := NewKFAC([]Factors{*f}, k.dim)
			near(t, "trace of KFAC", one.Trace(), want.Trace, 1e-9)
			det, err := one.LogDet(want.Damping)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "log-determinant", det, want.LogDet, 1e-9*(1+math.Abs(want.LogDet)))
			near(t, "Frobenius norm of KFOC", NewKFAC(best.Blocks[i:i+1], k.dim).Frobenius(), want.Top, 1e-9)
			var sum float64
			for _, v := range e.Spectra[i].Values.Data {
				sum += v
			}
			near(t, "trace of EKFAC", sum, want.Sum, 1e-9)
			ggn := block(NewGGN(r), f)
			for name, a := range map[string]Operator{"kfac": k, "ekfac": e, "kfoc": best} {
				near(t, "error of "+name, relativeError(block(a, f), ggn)*norm(ggn.Data), want.FrobeniusLoss[name], 1e-9)
			}
			compareInverses(t, k, e, f, &want)
		}
	}
}

func compareInverses(t *testing.T, k *KFAC, e *Eigen, f *Factors, want *goldenDamping) {
	t.Helper()
	out, in := f.Dims()
	apply := func(a Operator, err error) dense.Matrix[float64] {
		if err != nil {
			t.Fatal(err)
		}
		v := dense.New[float64](out, in)
		for i, row := range want.V {
			copy(v.Row(i), row)
		}
		x := make([]float64, k.dim)
		f.Scatter(v, x)
		a.MulTo(x, x)
		f.Gather(x, v)
		return v
	}
	pi, err := k.Inverse(Damping{Pi, want.Damping})
	compare(t, "inverse with pi", apply(pi, err), want.Heuristic)
	exact, err := k.Inverse(Damping{Exact, want.Damping})
	compare(t, "exact inverse", apply(exact, err), want.Exact)
	corrected, err := e.Inverse(want.Damping)
	compare(t, "inverse of EKFAC", apply(corrected, err), want.EKFACInverse)
}
