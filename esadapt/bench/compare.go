package bench

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Comparison is how a later result stands to an earlier one in one dimension.
type Comparison struct {
	Dim           int
	Before, After float64 // areas
	Ratio         float64 // geometric mean of the expected running times to 1e-8, after over before, of functions that both solve
	Worst         float64 // largest such ratio
	WorstFunction string
	Lost          []string // solved before, not after
	Functions     []Ratio  // of the functions that both solve, in their order
}

// Ratio is how the expected running times to 1e-8 of two results stand to each other on one function.
type Ratio struct {
	Function string
	Ratio    float64 // after over before
	// Low and High bound it with 95 % confidence (percentiles of 2000 bootstrap samples of the trials, each drawn from those of its own result). A result of which some
	// samples have no success bounds nothing on one side: High is +Inf, or Low 0.
	Low, High     float64
	Before, After Successes
}

// Successes counts trials.
type Successes struct{ Solved, Trials int }

// Compare sets two results against each other, dimension by dimension, over the functions that both have.
func Compare(before, after []Trial) []Comparison {
	last := len(Targets()) - 1
	var out []Comparison
	for _, n := range Dims(after) {
		a, b := Select(before, n, ""), Select(after, n, "")
		if len(a) == 0 {
			continue
		}
		budget := min(factor(before, n), factor(after, n))
		c := Comparison{Dim: n, Before: Area(a, budget), After: Area(b, budget)}
		sum := 0.0
		for _, f := range functions(b) {
			old, now := Select(a, n, f), Select(b, n, f)
			_, m := ERT(old, last)
			_, k := ERT(now, last)
			switch {
			case m > 0 && k == 0:
				c.Lost = append(c.Lost, f)
			case m > 0 && k > 0:
				r := ratio(f, old, now, last)
				c.Functions = append(c.Functions, r)
				sum += math.Log(r.Ratio)
				if r.Ratio > c.Worst {
					c.Worst, c.WorstFunction = r.Ratio, f
				}
			}
		}
		c.Ratio = math.Exp(sum / float64(max(1, len(c.Functions))))
		out = append(out, c)
	}
	return out
}

// resamples is the number of bootstrap samples, bootSeed the seed of their draws.
const resamples, bootSeed = 2000, 20251109

// ratio compares the trials of one function.
func ratio(function string, before, after []Trial, target int) Ratio {
	old, m := ERT(before, target)
	now, k := ERT(after, target)
	r := Ratio{Function: function, Ratio: now / old, Before: Successes{m, len(before)}, After: Successes{k, len(after)}}
	random := rand.New(rand.NewPCG(bootSeed, uint64(target)))
	drawn := make([]float64, resamples)
	a, b := make([]Trial, len(before)), make([]Trial, len(after))
	for i := range drawn {
		old, m := ERT(redraw(a, before, random), target)
		now, k := ERT(redraw(b, after, random), target)
		switch drawn[i] = now / old; {
		case m == 0 && k == 0:
			drawn[i] = r.Ratio
		case m == 0:
			drawn[i] = 0
		}
	}
	slices.Sort(drawn)
	r.Low, r.High = drawn[resamples/40], drawn[resamples-1-resamples/40]
	return r
}

// redraw fills dst with trials drawn with replacement.
func redraw(dst, from []Trial, random *rand.Rand) []Trial {
	for i := range dst {
		dst[i] = from[random.IntN(len(from))]
	}
	return dst
}
