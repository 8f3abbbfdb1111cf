package solve

import "math"

// Constants of the line search, as in Hager and Zhang (2005), section 5.
const (
	armijoSlope   = 0.1  // delta: sufficient decrease
	wolfeSlope    = 0.9  // sigma: sufficient flattening
	costSlack     = 1e-6 // epsilon: relative increase of the cost that a step judged by its slope may show
	maxLineTrials = 40
	roundedTrials = 5 // of a search where the gradient may be nothing but rounding
)

// lineSearch finds a step t along the descent direction d from x (slope0 < 0 there), trying t = first. reference is the cost to improve on:
// x's own, or a running average for a nonmonotone search. A step is accepted by sufficient decrease (and, if curvature is set, sufficient
// flattening: Wolfe's condition with run.flatness, on both sides if run.strong), or, when its cost cannot be told from the reference, by its
// slope alone. Where the flattening cannot be had the longest step with sufficient decrease is taken. On success y holds the accepted point.
func (r *run) lineSearch(d []float64, slope0, first, reference float64, curvature bool) (t float64, ok bool, err error) {
	slack := costSlack * math.Abs(reference)
	lo, hi := 0.0, math.Inf(1)
	slopeLo, slopeHi := slope0, math.Inf(1)
	t = first
	best := 0.0 // the longest step so far that decreases the cost enough but may still be too short
	trials := maxLineTrials
	if r.status.GradientNorm <= r.status.GradientRounding {
		trials = roundedTrials
	}
	for range trials {
		slope, err := r.try(t, d)
		if err != nil {
			return 0, false, err
		}
		cost := r.y.cost
		decreased := cost <= reference+armijoSlope*t*slope0
		flat := slope >= r.flatness*slope0 && (!r.strong || slope <= -r.flatness*slope0)
		if decreased && (flat || !curvature) {
			return t, true, nil
		}
		if decreased {
			best = max(best, t)
		}
		level := cost <= reference+slack
		if level && flat && slope <= (2*armijoSlope-1)*slope0 {
			return t, true, nil
		}
		switch {
		case cost > r.x.cost+slack || slope >= 0:
			hi, slopeHi = t, slope
			if cost > r.x.cost+slack {
				slopeHi = math.Inf(1)
			}
		default:
			lo, slopeLo = t, slope
		}
		next := nextTrial(lo, hi, slopeLo, slopeHi, slope0, cost-r.x.cost, t)
		if next == t || !(next > 0) || (best > 0 && hi < 1.05*lo) {
			break
		}
		t = next
	}
	if best == 0 {
		return 0, false, nil
	}
	_, err = r.try(best, d)
	return best, err == nil && r.y.cost <= reference, err
}

// nextTrial picks the next step: the secant of the slopes where both ends have one, quadratic interpolation of the costs after a step that
// went too high, and growth while no upper end is known.
func nextTrial(lo, hi, slopeLo, slopeHi, slope0, rise, t float64) float64 {
	switch {
	case math.IsInf(hi, 1):
		grow := 4.0
		if slopeLo > slope0 {
			grow = min(10, max(1.5, slope0/(slope0-slopeLo)))
		}
		return t * grow
	case finite(slopeHi):
		s := lo + (hi-lo)*slopeLo/(slopeLo-slopeHi)
		return min(max(s, lo+0.05*(hi-lo)), hi-0.05*(hi-lo))
	case lo == 0 && finite(rise):
		s := -slope0 * t * t / (2 * (rise - slope0*t))
		return min(max(s, 0.1*t), 0.5*t)
	default:
		return lo + 0.3*(hi-lo)
	}
}
