package nnopt

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
)

// blocksFor returns blocks of different shapes with seeded values.
func blocksFor[T Float](r *rand.Rand) []Block[T] {
	var all []Block[T]
	for k, shape := range [][2]int{{7, 5}, {1, 9}, {1, 1}, {16, 16}} {
		n := shape[0] * shape[1]
		b := Block[T]{Name: fmt.Sprintf("block%d", k), Rows: shape[0], Cols: shape[1], Value: make([]T, n), Grad: make([]T, n)}
		fill(r, b.Value)
		all = append(all, b)
	}
	return all
}

func fill[T Float](r *rand.Rand, x []T) {
	for i := range x {
		x[i] = T(r.NormFloat64())
	}
}

func source(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

func cloneBlocks[T Float](blocks []Block[T]) []Block[T] {
	out := slices.Clone(blocks)
	for k := range out {
		out[k].Value, out[k].Grad = slices.Clone(out[k].Value), slices.Clone(out[k].Grad)
	}
	return out
}

func equalBits[T Float](a, b []T) bool {
	return slices.EqualFunc(a, b, func(x, y T) bool { return math.Float64bits(float64(x)) == math.Float64bits(float64(y)) })
}

func sameValues[T Float](t *testing.T, what string, a, b []Block[T]) {
	t.Helper()
	for k := range a {
		if !equalBits(a[k].Value, b[k].Value) {
			t.Errorf("%s: block %s differs", what, a[k].Name)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// run takes steps with seeded gradients and returns the reports' last.
func run[T Float](t *testing.T, o Optimizer[T], blocks []Block[T], seed uint64, steps int) Report {
	t.Helper()
	r := source(seed)
	var last Report
	for range steps {
		for k := range blocks {
			fill(r, blocks[k].Grad)
		}
		var err error
		if last, err = o.Step(blocks, StepInfo{LRScale: 1, BatchSize: 8}); err != nil {
			t.Fatal(err)
		}
	}
	return last
}

// TestContract runs every optimizer of the registry through what the package promises, in both element types.
func TestContract(t *testing.T) {
	for _, e := range Optimizers() {
		t.Run(e.Name+"/float64", func(t *testing.T) { contract[float64](t, e) })
		t.Run(e.Name+"/float32", func(t *testing.T) { contract[float32](t, e) })
	}
}

func contract[T Float](t *testing.T, e Entry) {
	if e.What == "" {
		t.Error("no description")
	}
	fresh := func(options string) Optimizer[T] {
		t.Helper()
		o, err := New[T](e.Name, []byte(options))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	const decayed = `{"lr":0.01,"decay":0.1}`

	t.Run("lr scale 0 moves nothing", func(t *testing.T) {
		blocks := blocksFor[T](source(1))
		before := cloneBlocks(blocks)
		o := fresh(decayed)
		if err := o.Init(blocks); err != nil {
			t.Fatal(err)
		}
		sameValues(t, "Init", before, blocks)
		fill(source(2), blocks[0].Grad)
		if _, err := o.Step(blocks, StepInfo{}); err != nil {
			t.Fatal(err)
		}
		sameValues(t, "step", before, blocks)
	})

	t.Run("Init forgets everything", func(t *testing.T) {
		first, second := blocksFor[T](source(60)), blocksFor[T](source(61))[1:]
		second[0], second[2] = second[2], second[0]
		again := cloneBlocks(second)
		options := decayed
		if e.Name == "spectral" {
			options = `{"spread":true,"interval":2}`
		}
		used, unused := fresh(options), fresh(options)
		begin := func(o Optimizer[T], blocks []Block[T], layer string) {
			if s, ok := o.(StatsObserver[T]); ok {
				s.SetLayers([]Layer{{Weight: layer}})
			}
			if err := o.Init(blocks); err != nil {
				t.Fatal(err)
			}
		}
		begin(used, first, "block0")
		run(t, used, first, 62, 3)
		begin(used, second, "block3")
		begin(unused, again, "block3")
		run(t, used, second, 63, 3)
		run(t, unused, again, 63, 3)
		sameValues(t, "after another model", second, again)
	})

	t.Run("descends", func(t *testing.T) {
		blocks := blocksFor[T](source(3))
		o := fresh(`{"lr":0.05}`)
		switch e.Name {
		case "sirf-shampoo": // as the gradient vanishes its factors grow to 1/damping, which bounds the rate
			o = fresh(`{"lr":0.001}`)
		case "adagrad": // its rate falls with the root of the number of steps
			o = fresh(`{"lr":1}`)
		}
		if err := o.Init(blocks); err != nil {
			t.Fatal(err)
		}
		start, end := 0.0, 0.0
		for step := range 800 {
			end = 0
			for k := range blocks {
				for i, v := range blocks[k].Value { // the gradient of sum (1+i)/2 (v-1)^2
					weight := T(1+i%5) / 2
					blocks[k].Grad[i] = weight * (v - 1)
					end += float64(weight*(v-1)*(v-1)) / 2
				}
			}
			if step == 0 {
				start = end
			}
			if _, err := o.Step(blocks, StepInfo{LRScale: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if !(end < 1e-2*start) {
			t.Errorf("a quadratic went from %g to %g only", start, end)
		}
	})

	t.Run("resumes", func(t *testing.T) {
		straight, first := blocksFor[T](source(4)), blocksFor[T](source(4))
		o := fresh(decayed)
		must(0, o.Init(straight))
		run(t, o, straight, 5, 3)
		run(t, o, straight, 6, 3)
		a, b := fresh(decayed), fresh(decayed)
		must(0, a.Init(first))
		run(t, a, first, 5, 3)
		data := must(a.State().MarshalBinary())
		var st State[T]
		if err := st.UnmarshalBinary(data); err != nil {
			t.Fatal(err)
		}
		moved := cloneBlocks(first)
		must(0, b.Init(moved))
		if err := b.SetState(st); err != nil {
			t.Fatal(err)
		}
		if again := must(b.State().MarshalBinary()); !slices.Equal(again, data) {
			t.Error("the state changes on its way through SetState")
		}
		last := run(t, b, moved, 6, 3)
		sameValues(t, "resumed", straight, moved)
		if last.Step != 6 {
			t.Errorf("step %d after 6", last.Step)
		}
	})

	t.Run("threads", func(t *testing.T) {
		var first []Block[T]
		for _, procs := range []int{1, 2, 8} {
			old := runtime.GOMAXPROCS(procs)
			blocks := blocksFor[T](source(8))
			o := fresh(decayed)
			must(0, o.Init(blocks))
			run(t, o, blocks, 9, 5)
			runtime.GOMAXPROCS(old)
			if first == nil {
				first = blocks
			}
			sameValues(t, fmt.Sprintf("GOMAXPROCS %d", procs), first, blocks)
		}
	})

	t.Run("not finite", func(t *testing.T) { notFinite(t, fresh) })
	t.Run("extreme gradients", func(t *testing.T) { extremes(t, fresh) })
	t.Run("degenerate gradients", func(t *testing.T) { degenerate(t, fresh(`{"lr":0.001}`)) })

	t.Run("allocates nothing", func(t *testing.T) {
		blocks := blocksFor[T](source(10))
		o := fresh(decayed)
		must(0, o.Init(blocks))
		run(t, o, blocks, 11, 2)
		if n := allocs.PerRun(50, func() { must(o.Step(blocks, StepInfo{LRScale: 1})) }); n != 0 {
			t.Errorf("%v allocations per step", n)
		}
	})

	t.Run("groups", func(t *testing.T) {
		blocks, plain := blocksFor[T](source(12)), blocksFor[T](source(12))
		before := cloneBlocks(blocks)
		o, p := fresh(`{"lr":0.01,"decay":0.1,"groups":[{"match":"block0","freeze":true},{"match":"*1","no_decay":true}]}`), fresh(decayed)
		must(0, o.Init(blocks))
		must(0, p.Init(plain))
		run(t, o, blocks, 13, 2)
		run(t, p, plain, 13, 2)
		if !equalBits(blocks[0].Value, before[0].Value) {
			t.Error("a frozen block moved")
		}
		if equalBits(blocks[1].Value, plain[1].Value) || !equalBits(blocks[3].Value, plain[3].Value) {
			t.Error("no_decay acts on other blocks than those that match")
		}
	})

	t.Run("misuse", func(t *testing.T) { misuse(t, fresh) })
}

func notFinite[T Float](t *testing.T, fresh func(string) Optimizer[T]) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		blocks := blocksFor[T](source(14))
		stop, skip := fresh(`{}`), fresh(`{"non_finite":"skip"}`)
		must(0, stop.Init(blocks))
		must(0, skip.Init(blocks))
		run(t, skip, blocks, 15, 1)
		state := must(stop.State().MarshalBinary())
		before := cloneBlocks(blocks)
		blocks[1].Grad[3] = T(bad)
		_, err := stop.Step(blocks, StepInfo{LRScale: 1})
		var g *GradientError
		if !errors.As(err, &g) || g.Block != "block1" || g.Element != 3 {
			t.Errorf("%v: error %v", bad, err)
		}
		if !slices.Equal(state, must(stop.State().MarshalBinary())) {
			t.Errorf("%v: the state changed in spite of the error", bad)
		}
		report, err := skip.Step(blocks, StepInfo{LRScale: 1})
		if err != nil || !report.Skipped || report.Skips != 1 || report.Step != 1 {
			t.Errorf("%v: skip gave %+v, %v", bad, report, err)
		}
		sameValues(t, "skipped step", before, blocks)
	}
}

// extremes feeds gradients over 60 orders of magnitude: the parameters stay finite, and a later ordinary run still moves them.
func extremes[T Float](t *testing.T, fresh func(string) Optimizer[T]) {
	extreme(t, fresh(`{"lr":0.001,"non_finite":"skip","clip":{"norm":1}}`), true)
	extreme(t, fresh(`{"lr":0.001,"non_finite":"skip"}`), false)
}

func extreme[T Float](t *testing.T, o Optimizer[T], moves bool) {
	blocks := blocksFor[T](source(16))
	must(0, o.Init(blocks))
	for _, size := range []float64{0, 1e-30, 1e30, 0, 1e-38} {
		for range 50 {
			for k := range blocks {
				for i := range blocks[k].Grad {
					blocks[k].Grad[i] = T(size)
				}
			}
			if _, err := o.Step(blocks, StepInfo{LRScale: 1}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, s := range o.State().Slots {
		for i, v := range s.Data {
			if v-v != 0 {
				t.Fatalf("slot %s of %s, element %d: %v", s.Name, s.Block, i, v)
			}
		}
	}
	before := cloneBlocks(blocks)
	run(t, o, blocks, 17, 21) // odd: steps of one length and either sign cannot cancel
	for k := range blocks {
		for i, v := range blocks[k].Value {
			if v-v != 0 || moves && v == before[k].Value[i] {
				t.Fatalf("block %d, element %d: %v before, %v after", k, i, before[k].Value[i], v)
			}
		}
	}
}

func misuse[T Float](t *testing.T, fresh func(string) Optimizer[T]) {
	blocks := blocksFor[T](source(18))
	o := fresh(`{}`)
	if _, err := o.Step(blocks, StepInfo{LRScale: 1}); err == nil {
		t.Error("Step before Init succeeded")
	}
	must(0, o.Init(blocks))
	for name, spoil := range map[string]func(b []Block[T]){
		"shape": func(b []Block[T]) { b[0].Rows, b[0].Cols = b[0].Cols, b[0].Rows },
		"name":  func(b []Block[T]) { b[2].Name = "other" },
		"short": func(b []Block[T]) { b[1].Grad = b[1].Grad[:3] },
	} {
		changed := cloneBlocks(blocks)
		spoil(changed)
		var be *BlockError
		if _, err := o.Step(changed, StepInfo{LRScale: 1}); !errors.As(err, &be) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := o.Step(blocks[:2], StepInfo{LRScale: 1}); err == nil {
		t.Error("missing blocks were accepted")
	}
	if _, err := o.Step(blocks, StepInfo{LRScale: math.NaN()}); err == nil {
		t.Error("a NaN learning rate was accepted")
	}
	if err := fresh(`{}`).Init(append(cloneBlocks(blocks), blocks[0])); err == nil {
		t.Error("a name that is used twice was accepted")
	}
	if err := fresh(`{}`).Init([]Block[T]{{Name: "empty"}}); err == nil {
		t.Error("an empty block was accepted")
	}
	st := o.State()
	st.Optimizer = "another"
	if err := o.SetState(st); err == nil {
		t.Error("the state of another optimizer was accepted")
	}
	other := fresh(`{}`)
	must(0, other.Init(blocks[:1]))
	if st = o.State(); len(st.Slots) > 0 {
		if err := other.SetState(st); err == nil {
			t.Error("the state of another model was accepted")
		}
	}
	data := must(o.State().MarshalBinary())
	foreign := bytes.Replace(data, []byte(`"format":"`+stateFormat+`"`), []byte(`"format":"1"`), 1)
	for name, bad := range map[string][]byte{"another version": foreign, "half a file": data[:len(data)/2], "no file": nil} {
		var st State[T]
		if err := st.UnmarshalBinary(bad); err == nil {
			t.Errorf("the state of %s was read", name)
		}
	}
}

// degenerate feeds gradients of rank one for a thousand steps and none at all for another thousand: parameters and state stay finite, and a later
// ordinary run moves the parameters.
func degenerate[T Float](t *testing.T, o Optimizer[T]) {
	w := []Block[T]{{Name: "w", Rows: 6, Cols: 5, Value: make([]T, 30), Grad: make([]T, 30)}}
	must(0, o.Init(w))
	for step := range 2000 {
		for i := range w[0].Grad {
			w[0].Grad[i] = T(i/5) * T(1+i%5)
		}
		if step >= 1000 {
			clear(w[0].Grad)
		}
		must(o.Step(w, StepInfo{LRScale: 1}))
	}
	for _, s := range append(o.State().Slots, Slot[T]{Name: "parameters", Data: w[0].Value}) {
		for i, v := range s.Data {
			if v-v != 0 {
				t.Fatalf("slot %s, element %d: %v", s.Name, i, v)
			}
		}
	}
	before := cloneBlocks(w)
	run(t, o, w, 19, 21)
	for i, v := range w[0].Value {
		if v-v != 0 || v == before[0].Value[i] {
			t.Fatalf("element %d: %v before, %v after", i, before[0].Value[i], v)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for _, e := range Optimizers() {
		for _, text := range []string{
			`{"lr":-1}`, `{"decay":-0.1}`, `{"decay_kind":"strange"}`, `{"non_finite":"ignore"}`, `{"groups":[{"match":"["}]}`, `{"clip":{"norm":-1}}`,
			`{"no_such_option":1}`, `{"lr":"fast"}`, `{`, `{"lr":1} {}`, `{}}`,
		} {
			_, err := New[float64](e.Name, []byte(text))
			var o *OptionError
			if !errors.As(err, &o) {
				t.Errorf("%s %s: %v", e.Name, text, err)
			}
		}
		if _, err := New[float64](e.Name, []byte(`{"device":"abacus"}`)); err == nil || !strings.Contains(err.Error(), "abacus") {
			t.Errorf("%s: unknown device: %v", e.Name, err)
		}
	}
	for name, text := range map[string]string{
		"sgd": `{"momentum":1}`, "adamw": `{"beta2":1}`, "nadamw": `{"beta1":-0.5}`, "schedule-free-adamw": `{"form":"new"}`,
		"spectral": `{"statistics":"other"}`, "eshampoo": `{"tol":1}`, "soap": `{"beta2":1.5}`, "shampoo": `{"graft":"lamb"}`, "sirf-shampoo": `{"structure":"round"}`,
		"muon": `{"scale":"long"}`, "adagrad": `{"eps":-1}`, "singd": `{"input":"round"}`, "ikfac": `{"average":"median"}`, "lion": `{"beta1":1}`, "sign": `{"momentum":0.5,"no_momentum":true}`, "root-free-rmsprop": `{"eps":-1}`,
		"root-free-adamw": `{"beta2":1}`, "averaged": `{"inner":"schedule-free-adamw"}`, "schedule-free-sgd": `{"inner":"adamw"}`,
	} {
		if _, err := New[float64](name, []byte(text)); err == nil {
			t.Errorf("%s accepts %s", name, text)
		}
	}
	var u *UnknownError
	if _, err := New[float32]("adam", nil); !errors.As(err, &u) {
		t.Errorf("unknown optimizer: %v", err)
	}
}
