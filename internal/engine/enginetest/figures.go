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
		registers(fmt.Sprintf("Tally %d", n), 3, func(r []float64) { e.Tally(x[:n], 1, r) })
	}
	registers("Tally parts", 9, func(r []float64) { e.Tally(x[:len(x)/3*3], 3, r) })
	long := make([]T, 2<<17+6)
	for i := range long {
		long[i] = T(i%7) - 2.5
	}
	registers("Tally long", 3, func(r []float64) { e.Tally(long[:len(long)/2], 1, r) })
	registers("Tally long parts", 6, func(r []float64) { e.Tally(long, 2, r) })
	program := []engine.Instruction{{Operator: engine.Set, To: 0, Value: 3}, {Operator: engine.Set, To: 1, Value: -0.5}}
	for o := engine.Plus; o <= engine.Pick; o++ {
		to := 2 * uint32(o)
		program = append(program, engine.Instruction{Operator: o, To: to, A: 0, B: 1}, engine.Instruction{Operator: engine.Set, To: to + 1, Value: 1},
			engine.Instruction{Operator: o, To: to + 1, A: 1, B: 0})
	}
	root := 2*uint32(engine.Root) + 1
	program = append(program, engine.Instruction{Operator: engine.Times, To: root, A: 0, B: 0}) // instead of the root of a negative number
	last := 2*int(engine.Pick) + 2
	registers("Reckon", last, func(r []float64) { clear(r); e.Reckon(program, 1, r) })
	apart := append([]engine.Instruction{{Operator: engine.Set, To: 0, A: 2, Value: 5}}, program[1:]...)
	registers("Reckon parts", 3*last, func(r []float64) { clear(r); r[0], r[2] = 3, 7; e.Reckon(apart, 3, r) })
	sum := []engine.Instruction{{Operator: engine.Set, To: 0, Value: 1}}
	for range 5000 { // more than devices keep room for
		sum = append(sum, engine.Instruction{Operator: engine.Plus, To: 1, A: 1, B: 0})
	}
	registers("Reckon long", 2, func(r []float64) { clear(r); e.Reckon(sum, 1, r) })
	by := []float64{0.3, -0.7, 0}
	whole := func(x []T) engine.Batch[T] { return rows(x, 1) }
	on("BlendBy", func(out engine.Batch[T]) { e.BlendBy(by[:1], whole(x), by[1:2], whole(out.Data), whole(out.Data)) })
	on("BlendBy one", func(out engine.Batch[T]) { e.BlendBy(nil, whole(x), by[1:2], whole(out.Data), whole(out.Data)) })
	on("BlendBy nothing", func(out engine.Batch[T]) {
		e.BlendBy(by[2:], whole(x), nil, whole(out.Data), whole(out.Data))
		out.Data[0]++
	})
	on("BlendBy alone", func(out engine.Batch[T]) { e.BlendBy(by[1:2], whole(x), nil, engine.Batch[T]{}, whole(out.Data)) })
	on("BlendBy rows", func(out engine.Batch[T]) {
		part, apart := rows(out.Data[:len(out.Data)/3*3], 3), rows(x[:len(x)/3*3], 3)
		part.Cols, apart.Cols = part.Cols-1, apart.Cols-1
		e.BlendBy(by, apart, by[1:2], part, part)
	})
	return all
}

// rows views x as batches of one row each.
func rows[T dense.Float](x []T, count int) engine.Batch[T] {
	n := len(x) / count
	return engine.Batch[T]{Count: count, Rows: 1, Cols: n, Stride: n, Step: n, Data: x}
}
