//go:build cuda && cgo && linux

package devicetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/cuda"
	"github.com/spdopt/spdopt/cuda/internal/emu"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
)

var precisions = []nnopt.Precision{nnopt.FP32, nnopt.TF32, nnopt.BF16}

// batches counts the batches of products that have been computed, by the type that their operands had.
type batches map[string]int

func computed() batches {
	b := batches{}
	if _, err := cuda.Open(0); err != nil || !emu.InUse() {
		return b
	}
	for _, kind := range []string{"fp64", "fp32", "tf32", "bf16"} {
		b[kind] = emu.Calls("products " + kind)
	}
	return b
}

func (b batches) since() batches {
	n := computed()
	for kind := range n {
		n[kind] -= b[kind]
	}
	return n
}

// mustBe demands that products were in precision p where they may be rounded, and in TF32 at least elsewhere.
func (b batches) mustBe(t *testing.T, p nnopt.Precision, some bool) {
	t.Helper()
	wrong := b["fp32"] > 0 && p != nnopt.FP32 || b["tf32"] > 0 && p == nnopt.FP32 || b["bf16"] > 0 && p != nnopt.BF16
	if wrong || some != (b[string(p)] > 0) {
		t.Errorf("%s: products %v", p, b)
	}
}

// rounding are optimizers with products of matrices in single precision: on the device all of them have operands in the precision that is asked for.
var rounding = []string{"spectral", "eshampoo", "soap", "shampoo", "sirf-shampoo", "muon"}

// tolerances are the largest differences from float32 on the processor, relative to the largest change of a parameter in all steps.
var tolerances = map[nnopt.Precision]float64{nnopt.FP32: 2e-5, nnopt.TF32: 2e-3, nnopt.BF16: 1e-2}

// TestPrecisions: every optimizer ends on the device, with products in each precision, where it ends on the processor in float32, within tolerances, and its products
// were made so. Bases of spectral that turn by 45 degrees may turn either way where eigenvalues are equal: 5e-2.
func TestPrecisions(t *testing.T) {
	needDevice(t)
	for _, e := range nnopt.Optimizers() {
		t.Run(e.Name, func(t *testing.T) {
			start := blocks[float32](rand.New(rand.NewPCG(3, 5)))
			inEach(t, e.Name, start, strings.Contains(strings.Join(rounding, " ")+" ", e.Name+" "), func(device string, own map[string]any) []nnopt.Block[float32] {
				maps.Copy(own, options[e.Name])
				return descend[float32](t, e.Name, device, 12, own)
			})
		})
	}
	for _, c := range learning {
		t.Run(fmt.Sprint(c.name, c.options), func(t *testing.T) {
			start := newLearner[float32](t, c.name, "cpu", c.options).all
			inEach(t, c.name, start, true, func(device string, own map[string]any) []nnopt.Block[float32] {
				maps.Copy(own, c.options)
				return observes[float32](t, c.name, device, own)
			})
		})
	}
}

// inEach compares runs on the device with one on the processor.
func inEach(t *testing.T, name string, start []nnopt.Block[float32], some bool, run func(device string, own map[string]any) []nnopt.Block[float32]) {
	t.Helper()
	want := run("cpu", map[string]any{})
	for _, p := range precisions {
		before := computed()
		got := run("cuda", map[string]any{"precision": p})
		if emu.InUse() {
			before.since().mustBe(t, p, some)
		}
		tol := tolerances[p]
		if name == "spectral" && p != nnopt.FP32 {
			tol = 5e-2
		}
		if share := apart(got, want, start); !(share <= tol) {
			t.Errorf("%s: the parameters differ by a share of %.2g", p, share)
		}
	}
}

// apart returns the largest difference between parameters by the largest change since the start.
func apart(got, want, start []nnopt.Block[float32]) float64 {
	var worst, change float64
	for k := range want {
		for i, v := range want[k].Value {
			worst = max(worst, math.Abs(float64(got[k].Value[i]-v)))
			change = max(change, math.Abs(float64(v-start[k].Value[i])))
		}
	}
	return worst / change
}

// TestBasesStayOrthogonal: what takes the bases of spectral back to orthogonal ones, every 16th rotation, has no product in bfloat16, nor in float32 where tf32 is
// enough; what keeps them near is enough over many rotations.
func TestBasesStayOrthogonal(t *testing.T) {
	needEmulation(t)
	for _, own := range []string{``, `,"drop":true`} {
		opt, err := nnopt.New[float32]("spectral", []byte(`{"device":"cuda","precision":"bf16"`+own+`}`))
		if err != nil {
			t.Fatal(err)
		}
		all := shaped[float32](rand.New(rand.NewPCG(4, 2)), [2]int{36, 5})
		if err := opt.Init(all); err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(8, 1))
		var usual, restoring batches
		for step := 1; step <= 32; step++ {
			for i := range all[0].Grad {
				all[0].Grad[i] = float32(r.NormFloat64() / float64(1+i%5))
			}
			before := computed()
			if _, err := opt.Step(all, nnopt.StepInfo{LRScale: 1}); err != nil {
				t.Fatal(err)
			}
			switch step {
			case 31:
				usual = before.since()
			case 32:
				restoring = before.since()
			}
		}
		if usual["bf16"] == 0 || restoring["bf16"] != usual["bf16"] || restoring["tf32"]-usual["tf32"] != 4 || restoring["fp32"]+usual["fp32"] > 0 {
			t.Errorf("%s: products %v, and %v in a step that restores two bases", own, usual, restoring)
		}
		for _, s := range opt.State().Slots {
			if !strings.HasPrefix(s.Name, "basis") {
				continue
			}
			for i := range s.Rows {
				for j := range i + 1 {
					var dot float64
					for k := range s.Rows {
						dot += float64(s.Data[k*s.Cols+i]) * float64(s.Data[k*s.Cols+j])
					}
					if i == j {
						dot--
					}
					if math.Abs(dot) > 2e-3 {
						t.Fatalf("%s, %s: columns %d and %d have the inner product %g", own, s.Name, i, j, dot)
					}
				}
			}
		}
	}
}

// curves are optimizers with the largest differences of losses, relative to the first one. The bases of spectral may turn either way where eigenvalues are equal,
// which rounding decides in every precision.
var curves = map[string]map[nnopt.Precision]float64{
	"adamw":    {nnopt.FP32: 1e-6, "": 1e-3, nnopt.BF16: 4e-2},
	"spectral": {nnopt.FP32: 5e-3, nnopt.TF32: 5e-3, "": 1e-2},
}

// TestLossCurves: a small network with attention learns on the device, network and optimizer in each precision, as it learns on the processor, within these
// tolerances in every step, and its products were made so: by default in tf32, those of spectral in bf16.
func TestLossCurves(t *testing.T) {
	needDevice(t)
	for name, tolerances := range curves {
		want := curve(t, name, "cpu", "")
		if last := want[len(want)-1]; last > 0.6*want[0] {
			t.Errorf("%s: the loss goes from %v to %v only", name, want[0], last)
		}
		for p, tol := range tolerances {
			before := computed()
			got := curve(t, name, "cuda", p)
			if c := before.since(); emu.InUse() && p == "" {
				if planned := name == "spectral"; c["fp32"] > 0 || c["tf32"] == 0 || planned != (c["bf16"] > 0) {
					t.Errorf("%s, default: products %v", name, c)
				}
			} else if emu.InUse() {
				c.mustBe(t, p, true)
			}
			for step, v := range want {
				if !(math.Abs(got[step]-v) <= tol*want[0]) {
					t.Errorf("%s, %s, step %d: loss %v, want %v", name, p, step, got[step], v)
				}
			}
		}
	}
}

// curve returns the losses of a training on two examples of four positions.
func curve(t *testing.T, optimizer, device string, p nnopt.Precision) (losses []float64) {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 9))
	n := net.New(net.Layer[float32](net.Chain[float32](net.NewLinear[float32](r, 5, 6, net.LinearOptions{}), net.NewAttention[float32](r, 6, 2, true),
		net.NewActivation[float32](net.Tanh), net.NewLinear[float32](r, 6, 4, net.LinearOptions{}))), net.NewSquare[float32](false), 7)
	if err := n.UseRounded(device, p); err != nil {
		t.Fatal(err)
	}
	settings, err := json.Marshal(map[string]any{"lr": 0.05, "device": device, "precision": p})
	if err != nil {
		t.Fatal(err)
	}
	opt, err := nnopt.New[float32](optimizer, settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := opt.Init(n.Blocks()); err != nil {
		t.Fatal(err)
	}
	fresh := func(cols int) net.Matrix[float32] {
		m := net.Matrix[float32]{Rows: 8, Cols: cols, Stride: cols, Data: make([]float32, 8*cols)}
		for i := range m.Data {
			m.Data[i] = float32(r.NormFloat64())
		}
		return m
	}
	b := net.Batch[float32]{X: fresh(5), N: 2}
	b.Target.Values = fresh(4)
	for range 12 {
		losses = append(losses, n.Gradient(&b))
		if _, err := opt.Step(n.Blocks(), nnopt.StepInfo{LRScale: 1, BatchSize: 2}); err != nil {
			t.Fatal(err)
		}
	}
	return losses
}

// TestPrecisionRefused: what has no such precision says so. Parameters in float64 have products in float64.
func TestPrecisionRefused(t *testing.T) {
	needDevice(t)
	var option *nnopt.OptionError
	for _, settings := range []string{`{"precision":"bf16"}`, `{"precision":"fp16","device":"cuda"}`, `{"precision":"tf32","device":"cpu"}`} {
		if _, err := nnopt.New[float32]("muon", []byte(settings)); !errors.As(err, &option) || option.Option != "precision" {
			t.Errorf("%s: %v", settings, err)
		}
	}
	if _, err := nnopt.New[float64]("muon", []byte(`{"precision":"tf32","device":"cuda"}`)); !errors.As(err, &option) || option.Option != "precision" {
		t.Errorf("float64: %v", err)
	}
	n := net.New(net.Layer[float64](net.NewActivation[float64](net.Tanh)), net.NewSquare[float64](false), 7)
	var precision *engine.PrecisionError
	if err := n.UseRounded("cuda", nnopt.BF16); !errors.As(err, &precision) {
		t.Errorf("a network in float64: %v", err)
	}
	before := computed()
	descend[float64](t, "spectral", "cuda", 3, nil)
	if c := before.since(); emu.InUse() && (c["fp64"] == 0 || c["fp32"]+c["tf32"]+c["bf16"] > 0) {
		t.Errorf("float64: products %v", c)
	}
}
