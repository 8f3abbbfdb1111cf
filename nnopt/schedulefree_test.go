package nnopt

import "testing"

// TestScheduleFreeEdges: without interpolation (a Beta1 too small to count) gradients are taken at z, and steps of length zero, in which all weights are zero,
// leave the average where it is instead of dividing by their sum.
func TestScheduleFreeEdges(t *testing.T) {
	o := must(NewScheduleFree[float64](ScheduleFree{Beta1: 1e-300}))
	blocks := blocksFor[float64](source(22))
	must(0, o.Init(blocks))
	for k := range 5 {
		run(t, o, blocks, uint64(k), 1)
		if !equalBits(blocks[0].Value, o.State().Slots[sfZ].Data) {
			t.Fatal("y differs from z without interpolation")
		}
	}

	o = must(NewScheduleFree[float64](ScheduleFree{}))
	must(0, o.Init(blocks))
	before := cloneBlocks(blocks)
	for range 3 {
		must(o.Step(blocks, StepInfo{LRScale: 0}))
	}
	sameValues(t, "after steps of length zero", before, blocks)
	must(0, o.(Averager[float64]).Eval(blocks))
	sameValues(t, "average after steps of length zero", before, blocks)
}
