package esadapt

import (
	"fmt"
	"slices"
)

// outlook watches a restarted run for the time when it can no longer beat what earlier runs found: at the rate at which its values vary within a generation and over the
// recent ones, it would not come down to the best in as many generations as the longest earlier run took. That is how a run looks that converges to a worse
// local minimum. Ending it there saves the evaluations that would only settle its last digits.
type outlook struct {
	recent  ring
	before  float64 // best value of the earlier runs
	longest int     // generations of the longest earlier run
}

// outlookFactor is how many times the recent variation the distance to the best must be at least.
const outlookFactor = 10.0

// reset starts a run; looked says that the one before it only looked along the axes.
func (o *outlook) reset(n, lambda int, before float64, looked bool) {
	if !looked {
		o.longest = max(o.longest, o.recent.n)
	}
	o.recent.values = resize(o.recent.values, 10+30*n/lambda)
	clear(o.recent.values)
	o.recent.n, o.before = 0, before
}

// hopeless takes the values of a generation; a first run has always hope.
func (o *outlook) hopeless(f []float64, first bool) (string, bool) {
	low, high := slices.Min(f), slices.Max(f)
	o.recent.push(low)
	if first || o.recent.n < len(o.recent.values) {
		return "", false
	}
	variation := max(high-low, o.recent.span())
	gap := slices.Min(o.recent.values) - o.before
	patience := max(outlookFactor, float64(o.longest)/float64(len(o.recent.values)))
	if !finite(gap, variation) || gap <= patience*variation {
		return "", false
	}
	return fmt.Sprintf("%.3g above the best, values within %.3g", gap, variation), true
}

func (o *outlook) archive(a *archive) {
	o.recent.archive(a)
	a.float(&o.before)
	a.int(&o.longest)
}
