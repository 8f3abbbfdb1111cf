package nnopt

import (
	"github.com/spdopt/spdopt/internal/golden"
	"math"
	"slices"
	"testing"
)

type sfGolden struct {
	P0    [][]float64
	Grads [][][]float64
	Runs  []struct {
		Name  string
		Hyper struct {
			LR            float64
			Betas         [2]float64
			WeightDecay   float64 `json:"weight_decay"`
			WarmupSteps   int     `json:"warmup_steps"`
			R             float64
			InnerMomentum float64 `json:"inner_momentum"`
		}
		X, Y, Z  [][][]float64
		ExpAvgSq [][]float64 `json:"exp_avg_sq"`
		XEval    [][]float64 `json:"x_eval"`
	}
}

func near(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= tol*(1+math.Abs(want[i]))) {
			t.Fatalf("%s: element %d is %.17g, want %.17g", what, i, got[i], want[i])
		}
	}
}

func TestScheduleFreeGolden(t *testing.T) {
	var g sfGolden
	golden.Load(t, "schedule_free_adamw.json", &g)
	forms := map[string]ScheduleFreeForm{"paper weight-decay variant": SFPaper, g.Runs[len(g.Runs)-1].Name: SFAlgoPerf}
	for _, run := range g.Runs {
		h := run.Hyper
		o := must(NewScheduleFree[float64](ScheduleFree{
			Settings: Settings{LR: h.LR, Decay: h.WeightDecay}, Beta1: h.Betas[0], Beta2: h.Betas[1], Warmup: h.WarmupSteps, R: h.R,
			InnerMomentum: h.InnerMomentum, Form: forms[run.Name],
		}))
		p := slices.Concat(g.P0...)
		blocks := []Block[float64]{{Name: "p", Rows: 2, Cols: 3, Value: p}}
		must(0, o.Init([]Block[float64]{{Name: "p", Rows: 2, Cols: 3, Value: p, Grad: make([]float64, 6)}}))
		for k, grad := range g.Grads {
			blocks[0].Grad = slices.Concat(grad...)
			if run.X != nil { // y is the point of this run's gradients
				near(t, run.Name+" y", p, slices.Concat(run.Y[k]...), 1e-12)
			}
			must(o.Step(blocks, StepInfo{LRScale: 1}))
			slots := o.State().Slots
			near(t, run.Name+" z", slots[sfZ].Data, slices.Concat(run.Z[k]...), 1e-12)
			if run.X != nil {
				near(t, run.Name+" x", slots[sfX].Data, slices.Concat(run.X[k]...), 1e-12)
			} else {
				near(t, run.Name+" y", p, slices.Concat(run.Y[k]...), 1e-12)
			}
		}
		if run.XEval == nil {
			continue
		}
		near(t, run.Name+" v", o.State().Slots[sfV].Data, slices.Concat(run.ExpAvgSq...), 1e-12)
		must(0, o.(Averager[float64]).Eval(blocks))
		near(t, run.Name+" x", p, slices.Concat(run.XEval...), 1e-12)
	}
}

// TestScheduleFreeIdentities: Beta1 = 1 is primal averaging (y = x), a constant rate with plain weights makes x the mean of all z, and Eval and
// Train are exact exchanges in which no step is possible.
func TestScheduleFreeIdentities(t *testing.T) {
	o := must(NewScheduleFree[float64](ScheduleFree{Beta1: 1, PlainMean: true}))
	blocks := blocksFor[float64](source(20))
	must(0, o.Init(blocks))
	mean := make([]float64, blocks[0].Len())
	for k := range 12 {
		run(t, o, blocks, uint64(k), 1)
		slots := o.State().Slots
		if !equalBits(blocks[0].Value, slots[sfX].Data) {
			t.Fatal("y differs from x for Beta1 = 1")
		}
		for i, z := range slots[sfZ].Data {
			mean[i] += (z - mean[i]) / float64(k+1)
		}
	}
	near(t, "mean of z", blocks[0].Value, mean, 1e-14)

	o = must(NewScheduleFree[float64](ScheduleFree{}))
	must(0, o.Init(blocks))
	run(t, o, blocks, 21, 5)
	before := cloneBlocks(blocks)
	a := o.(Averager[float64])
	must(0, a.Eval(blocks))
	if equalBits(before[0].Value, blocks[0].Value) {
		t.Error("Eval changes nothing")
	}
	if _, err := o.Step(blocks, StepInfo{LRScale: 1}); err == nil {
		t.Error("a step between Eval and Train was possible")
	}
	if a.Eval(blocks) == nil {
		t.Error("Eval twice was accepted")
	}
	must(0, a.Train(blocks))
	sameValues(t, "after Eval and Train", before, blocks)
}

// TestAdamOracle compares AdamW, NadamW and SGD with their textbook formulas, written in another order and in float64.
func TestAdamOracle(t *testing.T) {
	const lr, decay, b1, b2, eps, steps = 0.02, 0.3, 0.8, 0.95, 1e-6, 7
	settings := Settings{LR: lr, Decay: decay}
	adam := must(NewAdamW[float64](AdamW{Settings: settings, Beta1: b1, Beta2: b2, Eps: eps}))
	nadam := must(NewNadamW[float64](NadamW{Settings: settings, Beta1: b1, Beta2: b2, Eps: eps}))
	nesterov := must(NewSGD[float64](SGD{Settings: settings, Momentum: b1, Nesterov: true}))
	plain := must(NewSGD[float64](SGD{Settings: Settings{LR: lr, Decay: decay, DecayKind: L2}, NoMomentum: true}))
	for name, c := range map[string]struct {
		o    Optimizer[float64]
		next func(w, g, m, v float64, k int) float64 // m, v: sums of Beta^(k-j) (g_j or g_j^2)
	}{
		"adamw": {adam, func(w, g, m, v float64, k int) float64 {
			mhat := m * (1 - b1) / (1 - math.Pow(b1, float64(k)))
			vhat := v * (1 - b2) / (1 - math.Pow(b2, float64(k)))
			return w - lr*mhat/(math.Sqrt(vhat)+eps) - lr*decay*w
		}},
		"nadamw": {nadam, func(w, g, m, v float64, k int) float64 {
			mhat := (b1*m*(1-b1) + (1-b1)*g) / (1 - math.Pow(b1, float64(k)))
			vhat := v * (1 - b2) / (1 - math.Pow(b2, float64(k)))
			return w - lr*mhat/(math.Sqrt(vhat)+eps) - lr*decay*w
		}},
		"nesterov": {nesterov, func(w, g, m, _ float64, _ int) float64 { return w - lr*(g+b1*m) - lr*decay*w }},
		"l2":       {plain, func(w, g, _, _ float64, _ int) float64 { return w - lr*g - lr*decay*w }},
	} {
		blocks := blocksFor[float64](source(22))[:1]
		must(0, c.o.Init(blocks))
		w := slices.Clone(blocks[0].Value)
		m, v := make([]float64, len(w)), make([]float64, len(w))
		r := source(23)
		for k := 1; k <= steps; k++ {
			fill(r, blocks[0].Grad)
			for i, g := range blocks[0].Grad {
				m[i] = b1*m[i] + g
				v[i] = b2*v[i] + g*g
				w[i] = c.next(w[i], g, m[i], v[i], k)
			}
			must(c.o.Step(blocks, StepInfo{LRScale: 1}))
			near(t, name, blocks[0].Value, w, 1e-13)
		}
	}
}

// TestDecayKinds: with a zero gradient the parameters shrink by the documented factor, which is the same for all kinds at rate 1.
func TestDecayKinds(t *testing.T) {
	const lambda = 0.1
	for _, at := range []struct{ lr, scale float64 }{{0.5, 0.25}, {0.5, 1}, {1, 1}} {
		lr, scale := at.lr, at.scale
		for kind, want := range map[DecayKind]float64{
			"": 1 - lambda*lr*scale, Decoupled: 1 - lambda*lr*scale, Corrected: 1 - lambda*lr*scale*scale, Independent: 1 - lambda*scale,
			L2: 1 - lambda*lr*scale,
		} {
			o := must(NewSGD[float64](SGD{Settings: Settings{LR: lr, Decay: lambda, DecayKind: kind}}))
			blocks := blocksFor[float64](source(24))[:1]
			must(0, o.Init(blocks))
			before := cloneBlocks(blocks)
			must(o.Step(blocks, StepInfo{LRScale: scale}))
			for i, v := range blocks[0].Value {
				if ratio := v / before[0].Value[i]; math.Abs(ratio-want) > 1e-14 {
					t.Fatalf("%s at rate %v, scale %v: factor %v, want %v", kind, lr, scale, ratio, want)
				}
			}
		}
	}
}

func TestClipping(t *testing.T) {
	for _, c := range []struct {
		clip Clip
		want float64 // norm of the whole step of plain SGD with rate 1
	}{{Clip{}, 5 * math.Sqrt(2)}, {Clip{Norm: 1}, 1}, {Clip{BlockNorm: 2}, 2 * math.Sqrt(2)}, {Clip{Norm: 100, BlockNorm: 100}, 5 * math.Sqrt(2)}} {
		o := must(NewSGD[float64](SGD{Settings: Settings{LR: 1, Clip: c.clip}, NoMomentum: true}))
		blocks := []Block[float64]{
			{Name: "a", Rows: 1, Cols: 2, Value: make([]float64, 2), Grad: []float64{3, 4}},
			{Name: "b", Rows: 1, Cols: 1, Value: make([]float64, 1), Grad: []float64{5}},
		}
		must(0, o.Init(blocks))
		r := must(o.Step(blocks, StepInfo{LRScale: 1}))
		var sum float64
		for _, b := range blocks {
			for _, v := range b.Value {
				sum += v * v
			}
		}
		if math.Abs(math.Sqrt(sum)-c.want) > 1e-14 || math.Abs(r.GradNorm-5*math.Sqrt2) > 1e-14 {
			t.Errorf("%+v: step of norm %v, want %v; report %+v", c.clip, math.Sqrt(sum), c.want, r)
		}
	}
}

func TestSchedule(t *testing.T) {
	for _, shape := range Shapes() {
		s := Schedule{Shape: shape, Warmup: 10, Steps: 110, Final: 0.05}
		must(0, s.Validate())
		if s.At(0) != 0.1 || s.At(9) != 1 {
			t.Errorf("%s: warm-up gives %v and %v", shape, s.At(0), s.At(9))
		}
		last := 1.0
		for k := 9; k < 130; k++ {
			v := s.At(k)
			if v > last || v < 0.05 {
				t.Fatalf("%s: %v at step %d after %v", shape, v, k, last)
			}
			last = v
		}
	}
	cosine := Schedule{Shape: Cosine, Steps: 100}
	if v := cosine.At(50); math.Abs(v-0.5) > 1e-15 {
		t.Errorf("cosine at half is %v", v)
	}
	if v := cosine.At(100); v != 0 {
		t.Errorf("cosine ends at %v", v)
	}
	for _, bad := range []Schedule{{Shape: "up"}, {Shape: Cosine}, {Warmup: -1}, {Final: 2}, {Shape: Linear, Warmup: 5, Steps: 5}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is valid", bad)
		}
	}
}

func FuzzState(f *testing.F) {
	o := must(NewScheduleFree[float32](ScheduleFree{}))
	blocks := blocksFor[float32](source(30))
	must(0, o.Init(blocks))
	f.Add(must(o.State().MarshalBinary()))
	f.Fuzz(func(t *testing.T, content []byte) {
		var st State[float32]
		if err := st.UnmarshalBinary(content); err != nil {
			return
		}
		if _, err := st.MarshalBinary(); err != nil {
			t.Fatalf("what was accepted cannot be written: %v", err)
		}
		o := must(NewScheduleFree[float32](ScheduleFree{}))
		must(0, o.Init(blocks))
		if o.SetState(st) == nil {
			must(o.Step(blocks, StepInfo{}))
		}
	})
}
