package esadapt

import (
	"fmt"
	"slices"
)

// outlook watches a restarted run for the time when it can no longer beat what earlier runs found: its values are worse than the best by much more than
// they vary within a generation and over the recent ones, which is how a run looks that converges to a worse local minimum. Ending it there saves the
// evaluations that would only settle its last digits.
type outlook struct {
	recent ring
	before float64 // best value of the earlier runs
}

// outlookFactor is how many times the recent variation the distance to the best must be.
const outlookFactor = 10.0

func (o *outlook) reset(n, lambda int, before float64) {
	o.recent.values = resize(o.recent.values, 10+30*n/lambda)
	o.recent.n, o.before = 0, before
}

// hopeless takes the values of a generation.
func (o *outlook) hopeless(f []float64) (string, bool) {
	low, high := slices.Min(f), slices.Max(f)
	o.recent.push(low)
	if o.recent.n < len(o.recent.values) {
		return "", false
	}
	variation := max(high-low, o.recent.span())
	gap := slices.Min(o.recent.values) - o.before
	if !finite(gap, variation) || gap <= outlookFactor*variation {
		return "", false
	}
	return fmt.Sprintf("%.3g above the best, values within %.3g", gap, variation), true
}

func (o *outlook) archive(a *archive) {
	o.recent.archive(a)
	a.float(&o.before)
}
