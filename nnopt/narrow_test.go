package nnopt

import (
	"math"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
)

// TestNarrowMoment: AdamW with its first moment in bfloat16 stays near AdamW, holds the moment in two bytes per element, resumes with equal bits
// and allocates nothing.
func TestNarrowMoment(t *testing.T) {
	t.Run("float64", func(t *testing.T) { narrowMoment[float64](t) })
	t.Run("float32", func(t *testing.T) { narrowMoment[float32](t) })
}

func narrowMoment[T Float](t *testing.T) {
	const options = `{"lr":0.01,"decay":0.1,"narrow_moment":true}`
	wide, narrow := blocksFor[T](source(30)), blocksFor[T](source(30))
	a, b := must(New[T]("adamw", []byte(`{"lr":0.01,"decay":0.1}`))), must(New[T]("adamw", []byte(options)))
	must(0, a.Init(wide))
	must(0, b.Init(narrow))
	run(t, a, wide, 31, 20)
	run(t, b, narrow, 31, 20)
	var off, moved float64
	start := blocksFor[T](source(30))
	for k := range wide {
		for i, v := range wide[k].Value {
			off += math.Pow(float64(v-narrow[k].Value[i]), 2)
			moved += math.Pow(float64(v-start[k].Value[i]), 2)
		}
	}
	if share := math.Sqrt(off / moved); !(share > 0 && share < 5e-3) {
		t.Errorf("the way of 20 steps differs by a share of %v", share)
	}
	for _, block := range b.(*stepper[T]).blocks {
		if m := block.slots[0]; m.Data != nil || len(m.narrow) != block.rows*block.cols {
			t.Errorf("block %s keeps %d elements of T and %d narrow ones", block.name, len(m.Data), len(m.narrow))
		}
	}

	state := must(b.State().MarshalBinary())
	var st State[T]
	must(0, st.UnmarshalBinary(state))
	resumed, c := cloneBlocks(narrow), must(New[T]("adamw", []byte(options)))
	must(0, c.Init(resumed))
	must(0, c.SetState(st))
	if !slices.Equal(state, must(c.State().MarshalBinary())) {
		t.Error("the state changes on its way through SetState")
	}
	run(t, b, narrow, 32, 3)
	run(t, c, resumed, 32, 3)
	sameValues(t, "resumed", narrow, resumed)
	if n := allocs.PerRun(20, func() { must(b.Step(narrow, StepInfo{LRScale: 1})) }); n != 0 {
		t.Errorf("%v allocations per step", n)
	}
	st.Slots[0].Data = st.Slots[0].Data[:1]
	if c.SetState(st) == nil {
		t.Error("a state with a slot that is too short was accepted")
	}
}
