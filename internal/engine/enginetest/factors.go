package enginetest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// factors are the operations on factors of groups of tensors: count tensors with two factors, one of them of two blocks. The second tensor fails, the third has
// never learned, the first gets a gradient that is too large where there are more.
func factors[T dense.Float](e engine.Backend[T], r *rand.Rand, count, n int) (all []Operation[T]) {
	numbers := func(v ...float64) []float64 {
		out := make([]float64, count)
		for k := range out {
			out[k] = v[k%len(v)]
		}
		return out
	}
	add := func(name string, size int, call func(out []T)) {
		out := make([]T, size)
		start := Positive[T](r, size)
		all = append(all, Operation[T]{name, func() { copy(out, start); call(out) }, out})
	}
	pick := func(out []T, v []float64) {
		for k, x := range v {
			out[k] = T(x)
		}
	}
	x, sums := Positive[T](r, count*n), make([]float64, count)
	add("Squares", count, func(out []T) { e.Squares(x, sums); pick(out, sums) })
	add("InverseSums", count, func(out []T) { e.InverseSums(x, sums); pick(out, sums) })
	one, two, flags, turn := numbers(0.5, 0, 2), numbers(0.5, 3), numbers(1, 0), numbers(0, 1)
	add("BlendEach", count*n, func(out []T) { e.BlendEach(0.9, 0.1, one, x, out) })
	add("PowerEach", count*n, func(out []T) { e.PowerEach(x, -0.5, two, out) })
	rates := engine.Rates[T]{
		Sizes: []int{n, 3}, Size: 3 * float64(n), Others: 2, Batch: 1.5, Beta2: 0.1, Gamma: 1, Damping: 1e-3, Exponent: -0.5, Low: 1e-20, High: 1e20, Surprise: 1e3,
		Due: numbers(1, 1, 0), Squares: numbers(3e7, math.Inf(1), 5), Traces: slices.Concat(numbers(2, 3), numbers(1, 5)), Found: make([]float64, 11*count), Usual: numbers(0.4, 0.2),
	}
	for _, c := range []struct {
		gamma              float64
		plain, exponential bool
	}{{1, false, false}, {0.5, false, true}, {1, true, false}, {0.5, true, false}} {
		add(fmt.Sprint("Rates ", c), 11*count+2*count, func(out []T) {
			q := rates
			q.Gamma, q.Plain, q.Exponential, q.Totals = c.gamma, c.plain, c.exponential, out[11*count:]
			for k := range count {
				q.Totals[2*k], q.Totals[2*k+1] = 0.3, T(k)
				if k == 2 {
					q.Totals[2*k] = 0
				}
			}
			e.Rates(q)
			pick(out, q.Found)
			if c.exponential {
				e.Lead(q, one)
				pick(out, q.Found)
			}
		})
	}
	d := Positive[T](r, count*(2*n+1))
	blocks := engine.FactorBlocks[T]{Tensors: count, Cuts: 2, N: n, Step: 2*n + 1, Low: 0.6, High: 1.8}
	m, h := Random[T](r, 2*count, n, n), Random[T](r, 2*count, n, n)
	on := func(name string, call func(f engine.FactorBlocks[T], rest []T)) {
		vectors := 8 * count * n
		add(name, len(m.Data)+len(d)+vectors, func(out []T) {
			f := blocks
			f.M = m
			f.M.Data, f.D = out[:len(m.Data)], out[len(m.Data):len(m.Data)+len(d)]
			copy(f.M.Data, m.Data)
			copy(f.D, d)
			call(f, out[len(m.Data)+len(d):])
		})
	}
	on("Target", func(f engine.FactorBlocks[T], v []T) {
		part := 2 * count * n
		e.Target(f, h, one, two, one, flags, v[:part], v[part:2*part], v[2*part:3*part], v[3*part:])
	})
	on("Means", func(f engine.FactorBlocks[T], v []T) {
		e.Means(f, true, sums)
		pick(v, sums)
		sums[0] = 1e3
		e.Means(f, false, sums)
		pick(v[count:], sums)
	})
	on("AddUp", func(f engine.FactorBlocks[T], v []T) {
		part := 2 * count * n
		e.AddUp(f, v[:part], true, sums)
		e.AddUp(f, v[part:2*part], false, sums)
		e.Lessen(f, sums, 3*n, v[:part], v[part:2*part])
	})
	coupled, dropped := make([]float64, 2*count), slices.Concat(turn, flags)
	on("Coupled", func(f engine.FactorBlocks[T], v []T) {
		for i, tol := range [...]float64{0, 0.5, 1.5, 1e9} {
			e.Coupled(f.M, tol, flags, coupled)
			pick(v[2*count*i:], coupled)
		}
	})
	next, rel := Positive[T](r, 2*count*n), Positive[T](r, 2*count*n)
	next[1], next[n] = -1, 0
	on("Adopt", func(f engine.FactorBlocks[T], _ []T) { e.Adopt(f, next, rel) })
	on("Rescale", func(f engine.FactorBlocks[T], _ []T) { e.Rescale(f, two, nil) })
	on("Rescale dropping", func(f engine.FactorBlocks[T], _ []T) { e.Rescale(f, two, turn) })
	on("Rescale dropping blocks", func(f engine.FactorBlocks[T], _ []T) { e.Rescale(f, two, dropped) })
	add("Centre", count*n+count, func(out []T) {
		e.Centre(out[:count*n], 0.6, 1.8, flags, sums)
		pick(out[count*n:], sums)
	})
	generators := Random[T](r, 2*count, n, n)
	bounds, estimates, live := slices.Concat(numbers(0.5, 2), numbers(3, 1)), slices.Concat(numbers(0.1, 0.6), numbers(2, 3)), numbers(1, 1, 0)
	add("Shorten", len(generators.Data), func(out []T) {
		g := generators
		g.Data = out
		e.Shorten(g, bounds, estimates, 0.7, live)
	})
	return all
}
