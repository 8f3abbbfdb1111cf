package enginetest

import (
	"fmt"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// figures are the operations on registers.
func figures[T dense.Float](e engine.Backend[T], x []T, on func(name string, call func(out engine.Batch[T]))) (all []Operation[T]) {
	registers := func(name string, count int, call func(r []float64)) {
		r, out := make([]float64, count), make([]T, count)
		all = append(all, Operation[T]{name, func() {
			call(r)
			for i, v := range r {
				out[i] = T(v)
			}
		}, out})
	}
	for _, n := range []int{1, 7, len(x)} {
		registers(fmt.Sprintf("Tally %d", n), 3, func(r []float64) { e.Tally(x[:n], r) })
	}
	long := make([]T, 1<<17+3)
	for i := range long {
		long[i] = T(i%7) - 2.5
	}
	registers("Tally long", 3, func(r []float64) { e.Tally(long, r) })
	program := []engine.Instruction{{Operator: engine.Set, To: 0, Value: 3}, {Operator: engine.Set, To: 1, Value: -0.5}}
	for o := engine.Plus; o <= engine.Pick; o++ {
		to := 2 * uint16(o)
		program = append(program, engine.Instruction{Operator: o, To: to, A: 0, B: 1}, engine.Instruction{Operator: engine.Set, To: to + 1, Value: 1},
			engine.Instruction{Operator: o, To: to + 1, A: 1, B: 0})
	}
	root := 2*uint16(engine.Root) + 1
	program = append(program, engine.Instruction{Operator: engine.Times, To: root, A: 0, B: 0}) // instead of the root of a negative number
	registers("Reckon", 2*int(engine.Pick)+2, func(r []float64) { clear(r); e.Reckon(program, r) })
	by := []float64{0.3, -0.7, 0}
	on("BlendBy", func(out engine.Batch[T]) { e.BlendBy(by[:1], x, by[1:], out.Data, out.Data) })
	on("BlendBy one", func(out engine.Batch[T]) { e.BlendBy(nil, x, by[1:], out.Data, out.Data) })
	on("BlendBy nothing", func(out engine.Batch[T]) { e.BlendBy(by[2:], x, nil, out.Data, out.Data); out.Data[0]++ })
	on("BlendBy alone", func(out engine.Batch[T]) { e.BlendBy(by[1:], x, nil, nil, out.Data) })
	return all
}
