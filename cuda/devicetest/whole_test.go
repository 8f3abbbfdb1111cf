//go:build cuda && cgo && linux

package devicetest

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

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

// attempts is an optimizer with blocks, and the same on the processor.
type attempts struct {
	t        *testing.T
	opt, cpu nnopt.Optimizer[float32]
	b, own   []nnopt.Block[float32]
	steps    int
}

func newAttempts(t *testing.T, name, options string, resident bool) *attempts {
	a := &attempts{t: t}
	for _, device := range []string{"cuda", "cpu"} {
		opt, err := nnopt.New[float32](name, []byte(`{"lr":0.01,"decay":0.1,"device":"`+device+`"`+options+`}`))
		if err != nil {
			t.Fatal(err)
		}
		all := shaped[float32](rand.New(rand.NewPCG(6, 2)), [2]int{7, 5}, [2]int{5, 7}, [2]int{7, 5}, [2]int{1, 6})
		if device == "cuda" {
			if a.opt, a.b = opt, all; resident {
				onDevice(t, all, device)
			}
		} else {
			a.cpu, a.own = opt, all
		}
		if err := opt.Init(all); err != nil {
			t.Fatal(err)
		}
	}
	return a
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

// step takes a step, and the same on the processor if it succeeds.
func (a *attempts) step() error {
	a.gradients(a.b)
	if _, err := a.opt.Step(a.b, nnopt.StepInfo{LRScale: 1, BatchSize: 2}); err != nil {
		return err
	}
	a.gradients(a.own)
	if _, err := a.cpu.Step(a.own, nnopt.StepInfo{LRScale: 1, BatchSize: 2}); err != nil {
		a.t.Fatal(err)
	}
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

// TestWholeOrNot: whatever a step finds no memory for, and whichever launch or copy the device refuses, parameters, state and count are as before, in memory of the
// device and in ordinary memory; the steps after it go where the processor goes.
func TestWholeOrNot(t *testing.T) {
	needEmulation(t)
	for _, c := range []struct {
		name, options string
		resident      bool
	}{
		{"adamw", ``, true}, {"sgd", `,"momentum":0.9`, false}, {"schedule-free-adamw", ``, false}, {"root-free-adamw", ``, true}, {"muon", ``, true}, {"muon", ``, false},
		{"spectral", `,"diag_vectors":true`, true}, {"spectral", `,"interval":2`, false}, {"shampoo", `,"interval":50`, true}, {"soap", `,"interval":50`, false}, {"sirf-shampoo", ``, false},
	} {
		t.Run(c.name+c.options, func(t *testing.T) {
			a := newAttempts(t, c.name, c.options, c.resident)
			for _, call := range []string{"cuLaunchKernel", "cublasGemmStridedBatchedEx", "cuMemcpyHtoDAsync", "cuGraphInstantiateWithFlags", "cuMemAlloc", "cuMemAllocHost", "cuGraphLaunch"} {
				a.withFailing(call)
			}
			a.withoutMemory()
			if err := a.step(); err != nil {
				t.Fatal(err)
			}
			compare(t, a.b, a.own, 1e-3)
		})
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

// withFailing makes the calls of a step fail in turn.
func (a *attempts) withFailing(call string) {
	for k := 1; ; k = max(k+1, k*3/2) {
		before, calls := a.now(), emu.Calls(call)
		emu.Fail(call, k, 2)
		err := a.step()
		emu.Fail(call, 0, 0)
		if err != nil {
			a.refused(call, before)
		}
		if err == nil && emu.Calls(call)-calls < k {
			return
		}
	}
}
