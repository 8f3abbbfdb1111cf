package bench

import (
	"math"

	"github.com/spdopt/spdopt/esadapt/bbob"
)

// Area is the area below the empirical distribution of running times over all targets of the trials, on a logarithmic axis from 1 to budget evaluations
// per variable (at least 2): 1 means that every target is reached within n evaluations, 0 that none is reached.
func Area(trials []Trial, budget int) float64 {
	var sum float64
	count := 0
	budget = max(2, budget)
	for _, t := range trials {
		for _, h := range t.Hits {
			count++
			if h > 0 && h <= budget*t.Dim {
				sum += 1 - max(0, math.Log(float64(h)/float64(t.Dim)))/math.Log(float64(budget))
			}
		}
	}
	return sum / float64(max(1, count))
}

// ERT is the expected running time to a target (index into Targets): the evaluations of all trials, those of successful ones up to the hit, over the number
// of successes; +Inf without success.
func ERT(trials []Trial, target int) (ert float64, successes int) {
	var spent float64
	for _, t := range trials {
		if h := t.Hits[target]; h > 0 {
			spent += float64(h)
			successes++
		} else {
			spent += float64(t.Evaluations)
		}
	}
	if successes == 0 {
		return math.Inf(1), 0
	}
	return spent / float64(successes), successes
}

// Select returns the trials of a dimension (0 means all) and function ("" means all).
func Select(trials []Trial, dim int, function string) []Trial {
	var out []Trial
	for _, t := range trials {
		if (dim == 0 || t.Dim == dim) && (function == "" || t.Function == function) {
			out = append(out, t)
		}
	}
	return out
}

// Solved counts the functions that at least one trial brought to a target, and the share of all trials that got there.
func Solved(trials []Trial, target int) (functions int, rate float64) {
	seen := make(map[string]bool)
	hits := 0
	for _, t := range trials {
		if t.Hits[target] > 0 {
			seen[t.Function] = true
			hits++
		}
	}
	return len(seen), float64(hits) / float64(max(1, len(trials)))
}

// GroupArea is Area restricted to one family of functions.
func GroupArea(trials []Trial, budget int, g bbob.Group) float64 {
	var in []Trial
	for _, t := range trials {
		if d, err := bbob.Lookup(t.Function); err == nil && d.Group == g {
			in = append(in, t)
		}
	}
	return Area(in, budget)
}
