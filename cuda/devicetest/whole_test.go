//go:build cuda && cgo && linux

package devicetest

import (
	"encoding/json"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spdopt/spdopt/cuda/internal/emu"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/nnopt"
)

// squeeze makes the device give all memory that waits for reuse back.
func squeeze(t *testing.T) {
	t.Helper()
	e, err := engine.Open[float32]("cuda")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("there is memory beyond the limit")
		}
	}()
	emu.Limit(1)
	defer emu.Limit(8 << 30)
	e.(engine.Allocator[float32]).Alloc(1 << 20)
}

// settled returns the memory in use once nothing that is not referred to has any left.
func settled(t *testing.T) int {
	t.Helper()
	const enough = 5
	used := -1
	for same := 0; same < enough; {
		runtime.GC()
		time.Sleep(2 * time.Millisecond) // cleanups run after the collection
		squeeze(t)
		if now := emu.Used(); now == used {
			same++
		} else {
			used, same = now, 0
		}
	}
	return used
}

// attempts is an optimizer with blocks, and the same on the processor.
type attempts struct {
	t        *testing.T
	opt, cpu nnopt.Optimizer[float32]
	b, own   []nnopt.Block[float32]
	stats    bool // it learns from statistics of layers
	seen     bool // those of the next step
	steps    int
}

// newAttempts makes them. With blocks in the memory of the device the step of the processor follows that.
func newAttempts(t *testing.T, name, options string, resident bool) *attempts {
	a := &attempts{t: t}
	for _, device := range []string{"cuda", "cpu"} {
		own := `"precision":"fp32","device":"cuda"` + options
		if device == "cpu" {
			own = `"device":"cpu"` + options + `,"precision":"fp32"`
		}
		opt, err := nnopt.New[float32](name, []byte(`{"lr":0.01,"decay":0.1,`+own+`}`))
		if err != nil {
			t.Fatal(err)
		}
		all := shaped[float32](rand.New(rand.NewPCG(6, 2)), [2]int{7, 5}, [2]int{5, 7}, [2]int{7, 5}, [2]int{1, 7})
		if device == "cuda" {
			if a.opt, a.b = opt, all; resident {
				onDevice(t, all, device)
			}
		} else {
			a.cpu, a.own = opt, all
		}
		if name == "kfac" || name == "singd" || name == "ikfac" {
			a.stats = true
			opt.(nnopt.StatsObserver[float32]).SetLayers([]nnopt.Layer{{Weight: "block0", Bias: "block3"}, {Weight: "block1"}})
		}
		if strings.Contains(options, "reject") {
			opt.(nnopt.ObjectiveUser[float32]).SetObjective(&halfSquares{all})
		}
		if err := opt.Init(all); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// halfSquares is the objective of half the squares of all values. It loses the gradients.
type halfSquares struct{ all []nnopt.Block[float32] }

func (h *halfSquares) Loss() (sum float64) {
	for _, b := range h.all {
		for _, v := range b.Value {
			sum += float64(v) * float64(v) / 2
		}
	}
	return sum
}

func (h *halfSquares) CurvatureTo(dst, x []float32) {
	copy(dst, x)
	for _, b := range h.all {
		clear(b.Grad)
	}
}

// gradients sets the gradients of the next step.
func (a *attempts) gradients(b []nnopt.Block[float32]) {
	r := rand.New(rand.NewPCG(uint64(a.steps), 1))
	for k := range b {
		for i := range b[k].Grad {
			b[k].Grad[i] = float32(r.NormFloat64())
		}
	}
}

// observe lets an optimizer see the statistics of the next step.
func (a *attempts) observe(opt nnopt.Optimizer[float32]) error {
	if !a.stats {
		return nil
	}
	r := rand.New(rand.NewPCG(uint64(a.steps), 2))
	matrix := func(cols int) nnopt.Matrix[float32] {
		m := nnopt.Matrix[float32]{Rows: 9, Cols: cols, Stride: cols, Data: make([]float32, 9*cols)}
		for i := range m.Data {
			m.Data[i] = float32(r.NormFloat64())
		}
		return m
	}
	return opt.(nnopt.StatsObserver[float32]).Observe([]nnopt.Stats[float32]{
		{Weight: "block0", Bias: "block3", In: matrix(5), Out: matrix(7), Reps: 1}, {Weight: "block1", In: matrix(7), Out: matrix(5), Reps: 1},
	})
}

// step takes a step, and the same on the processor if it succeeds. What was observed for a step that failed is there for the next one.
func (a *attempts) step() error {
	a.gradients(a.b)
	if !a.seen {
		if err := a.observe(a.opt); err != nil {
			return err
		}
		a.seen = true
	}
	if _, err := a.opt.Step(a.b, nnopt.StepInfo{LRScale: 1, BatchSize: 2}); err != nil {
		return err
	}
	a.gradients(a.own)
	if err := a.observe(a.cpu); err != nil {
		a.t.Fatal(err)
	}
	if _, err := a.cpu.Step(a.own, nnopt.StepInfo{LRScale: 1, BatchSize: 2}); err != nil {
		a.t.Fatal(err)
	}
	a.seen = false
	a.steps++
	return nil
}

// now is everything that a step changes.
func (a *attempts) now() string {
	a.gradients(a.b)
	text, err := json.Marshal([]any{a.opt.State(), a.b})
	if err != nil {
		a.t.Fatal(err)
	}
	return string(text)
}

// refused demands that a step that failed has changed nothing.
func (a *attempts) refused(what string, before string) {
	a.t.Helper()
	if a.now() != before {
		a.t.Errorf("%s: a refused step has changed something", what)
	}
}

// TestWholeOrNot: whatever a step finds no memory for, and whichever launch, product or copy the device refuses, in steps that bring bases, roots or inverses up to date
// and in others, parameters, state and count are as before, in memory of the device and in ordinary memory; the steps after it go where the processor goes.
func TestWholeOrNot(t *testing.T) {
	needEmulation(t)
	var tried []string
	for k, c := range []struct{ name, options string }{
		{"adamw", ``}, {"adamw", `,"narrow_moment":true`}, {"nadamw", ``}, {"sgd", `,"momentum":0.9`}, {"lion", ``}, {"sign", ``}, {"adagrad", ``}, {"root-free-adamw", ``},
		{"root-free-rmsprop", ``}, {"schedule-free-adamw", ``}, {"schedule-free-sgd", ``}, {"averaged", `,"inner":"adamw"`},
		{"muon", ``}, {"muon", `,"exact":true,"nesterov":true`}, {"muon", `,"precision":"bf16"`},
		{"spectral", `,"diag_vectors":true`}, {"spectral", `,"precision":""`}, {"spectral", `,"interval":2`}, {"spectral", `,"published":true`}, {"spectral", `,"tol":0.05,"drop":true`},
		{"spectral", `,"statistics":"shampoo","max_sweeps":2`}, {"spectral", `,"bfloat16":true`},
		{"shampoo", `,"interval":2,"eps":0.01`}, {"shampoo", `,"interval":2,"eps":0.01,"kl":true,"trace_scaling":true`}, {"shampoo", `,"interval":2,"eps":0.01,"roots":"newton"`},
		{"shampoo", `,"interval":2,"eps":0.01,"roots":"series","graft":"none"`}, {"shampoo", `,"interval":2,"eps":0.01,"sweeps":true`},
		{"eshampoo", `,"interval":2,"start":9,"tol":0.2`}, {"soap", `,"interval":2,"start":9,"iterations":2,"tol":0.1`},
		{"sirf-shampoo", ``}, {"singd", `,"interval":2`}, {"ikfac", `,"interval":1`},
		{"kfac", `,"interval":2`}, {"kfac", `,"interval":2,"model":"factors"`}, {"kfac", `,"interval":2,"reject":true`}, {"kfac", `,"interval":2,"reject":true,"adapt_every":2`}, {"kfac", `,"interval":2,"inverse":"exact"`}, {"kfac", `,"interval":2,"inverse":"tracked"`},
	} {
		tried = append(tried, c.name)
		t.Run(c.name+c.options, func(t *testing.T) {
			a := newAttempts(t, c.name, c.options, k%2 == 0)
			for strings.Contains(c.options, "start") && a.steps < 9 { // before, bases are arbitrary
				a.succeed()
			}
			kinds := 1
			if strings.Contains(c.options, "interval") {
				kinds = 2 // refreshes and ordinary steps in turn
			}
			for kind := range kinds {
				for _, call := range []string{"cuLaunchKernel", "cublasGemmStridedBatchedEx", "cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuMemsetD8Async", "cuGraphInstantiateWithFlags",
					"cuMemAlloc", "cuMemAllocHost", "cuGraphLaunch"} {
					a.until(kinds, kind)
					a.withFailing(call)
				}
				a.until(kinds, kind)
				a.withoutMemory()
			}
			a.succeed()
			tol := 1e-5
			switch {
			case c.name == "spectral" && (strings.Contains(c.options, "tol") || strings.Contains(c.options, "max_sweeps")):
				tol = 5e-3 // rounding decides how bases turn; in float64 TestSpectralVariants holds them together
			case strings.Contains(c.options, "precision"):
				tol = 2e-3 // products in bfloat16
			case c.name == "spectral":
				tol = 1e-3
			}
			compare(t, a.b, a.own, tol)
		})
	}
	for _, o := range nnopt.Optimizers() {
		if !slices.Contains(tried, o.Name) {
			t.Errorf("%s has not been tried", o.Name)
		}
	}
}

// succeed takes a step that must not fail.
func (a *attempts) succeed() {
	if err := a.step(); err != nil {
		a.t.Fatal(err)
	}
}

// until takes steps until the next one is of a kind, of so many that come in turn.
func (a *attempts) until(kinds, kind int) {
	for a.steps%kinds != kind {
		a.succeed()
	}
}

// withoutMemory takes a step with so much memory that one piece more can be had each time, until it goes through.
func (a *attempts) withoutMemory() {
	failures := 0
	for room := 0; room < 1<<20; room = max(256, room*5/4) {
		before := a.now()
		squeeze(a.t)
		emu.Limit(emu.Used() + room)
		err := a.step()
		emu.Limit(8 << 30)
		if err == nil {
			return
		}
		failures++
		a.refused("without memory", before)
	}
	a.t.Errorf("%d steps in turn have failed", failures)
}

// withFailing makes the calls of one kind in a step fail in turn.
func (a *attempts) withFailing(call string) {
	for k := 1; ; k = max(k+1, k*3/2) {
		before, calls := a.now(), emu.Calls(call)
		emu.Fail(call, k, 2)
		err := a.step()
		emu.Fail(call, 0, 0)
		if err != nil {
			a.refused(call, before)
		} else if emu.Calls(call)-calls < k {
			return
		}
	}
}
