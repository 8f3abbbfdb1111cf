package enginetest

import (
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// Deviation is how far what an operation of a backend writes is from what that of the processor in float64 does.
type Deviation struct {
	Name    string
	Largest float64 // of |got - want| / (1 + |want|); NaN where something is not a number
	Narrow  bool    // numbers in bfloat16 take part, so that a float32 that rounds the other way counts as much as one of those
	Idle    bool    // nothing was written
}

// Deviations calls every operation of the backend once, on seeded operands of about the given size.
func Deviations[T dense.Float](b engine.Backend[T], seed uint64, count, n int) (all []Deviation) {
	want := Operations(engine.CPU[float64](), seed, count, n)
	for i, o := range Operations(b, seed, count, n) {
		before := slices.Clone(o.Out)
		o.Call()
		want[i].Call()
		d := Deviation{Name: o.Name, Narrow: o.Name == "AdamNarrow" || o.Name == "GemmNarrow" || o.Name == "Widen", Idle: slices.Equal(before, o.Out)}
		for j, v := range want[i].Out {
			d.Largest = max(d.Largest, math.Abs(float64(o.Out[j])-v)/(1+math.Abs(v)))
		}
		all = append(all, d)
	}
	return all
}
