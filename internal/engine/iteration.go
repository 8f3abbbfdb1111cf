package engine

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// Combine implements Iteration.
func (c *cpu[T]) Combine(c0, c1 T, a Batch[T], c2 T, b, y Batch[T]) {
	y.MustMatch("Combine", &a, &b)
	MustHave("Combine", y.Rows, y.Cols)
	c.runBlocks(blockTask[T]{do: combine[T]{}, alpha: c1, beta: c2, shift: c0, a: a, b: b, c: y}, y.Count, y.Count*y.Rows*y.Rows)
}

type combine[T dense.Float] struct{}

func (combine[T]) block(t *blockTask[T], k int) {
	a, b, y := t.a.At(k), t.b.At(k), t.c.At(k)
	for i := range y.Rows {
		out, r := y.Row(i), a.Row(i)
		if t.beta == 0 {
			for j, v := range r {
				out[j] = t.alpha * v
			}
		} else {
			s := b.Row(i)
			for j, v := range r {
				out[j] = t.alpha*v + t.beta*s[j]
			}
		}
		out[i] += t.shift
	}
}

// FromIdentity implements Iteration.
func (c *cpu[T]) FromIdentity(a Batch[T], dst []float64) {
	MustHave("FromIdentity", a.Rows, a.Cols)
	MustHave("FromIdentity", a.Count, len(dst))
	c.runBlocks(blockTask[T]{do: fromIdentity[T]{}, a: a, bounds: dst}, a.Count, a.Count*a.Rows*a.Rows)
}

type fromIdentity[T dense.Float] struct{}

func (fromIdentity[T]) block(t *blockTask[T], k int) {
	a := t.a.At(k)
	var s float64
	for i := range a.Rows {
		for j, v := range a.Row(i) {
			f := float64(v)
			if j == i {
				f--
			}
			s += f * f
		}
	}
	t.bounds[k] = math.Sqrt(s)
}
