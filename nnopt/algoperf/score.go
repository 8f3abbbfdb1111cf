package algoperf

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Rules are those of a version of the benchmark.
type Rules struct {
	Name       string
	MaxRatio   float64 // times above it count as missed; the profiles end there
	Grid       int     // points of the trapezoid rule
	Variants   bool    // held-out variants gate their base workloads
	Studies    int
	SelfBudget float64 // factor on budgets in the self-tuning ruleset
}

// V05 are the rules of the competition of 2024 (arXiv:2502.15015).
func V05() Rules { return Rules{"v0.5", 4, 100, true, 5, 3} }

// V06 are those of the leaderboard after it.
func V06() Rules { return Rules{"v0.6", 4, 100, false, 3, 1.5} }

// RulesByName returns the rules called v0.5 or v0.6, or an *UnknownError.
func RulesByName(name string) (Rules, error) {
	for _, r := range []Rules{V05(), V06()} {
		if r.Name == name {
			return r, nil
		}
	}
	return Rules{}, &UnknownError{"rules", name}
}

// Table holds the times to the targets, the outcome of a comparison.
type Table struct {
	Submissions []string
	Workloads   []string
	Base        map[string]string  // of the held-out variants
	Budget      map[string]float64 // seconds
	Seconds     [][]float64        // by submission and workload; +Inf is missed, NaN not run
}

// Validate reports times that cannot be.
func (t *Table) Validate() error {
	if t == nil || len(t.Submissions) == 0 || len(t.Workloads) == 0 {
		return errors.New("there is nothing to score")
	}
	if len(t.Seconds) != len(t.Submissions) {
		return fmt.Errorf("times of %d submissions, not of %d", len(t.Seconds), len(t.Submissions))
	}
	for i, s := range t.Submissions {
		if len(t.Seconds[i]) != len(t.Workloads) {
			return fmt.Errorf("%s: times of %d workloads, not of %d", s, len(t.Seconds[i]), len(t.Workloads))
		}
		for j, w := range t.Workloads {
			if v := t.Seconds[i][j]; v <= 0 || math.IsInf(v, -1) {
				return fmt.Errorf("%s on %s: a time of %v s", s, w, v)
			}
		}
	}
	for v, b := range t.Base {
		if !slices.Contains(t.Workloads, b) || t.Base[b] != "" {
			return fmt.Errorf("variant %s: its base workload %q is not there", v, b)
		}
	}
	return nil
}

// Scores is what the rules make of a table.
type Scores struct {
	Rules     Rules
	Reference string
	Workloads []string // those that score
	Rows      []Score  // from the best to the worst
}

// Score is the row of a submission.
type Score struct {
	Submission string
	Score      float64   // area below the profile, by the trapezoid rule on the grid
	Exact      float64   // the same, exactly
	Speed      float64   // geometric mean of the times over those of the reference; NaN without one
	Seconds    []float64 // by workload
	Ratios     []float64 // to the fastest, after the rules; +Inf where missed
	Why        []string  // by workload, why a ratio is infinite; "" where it is not
	Missing    []string  // workloads and variants that were not run; they count as missed
}

// Compute scores a table. reference names the submission that times are compared with; with "" none is.
//
// The score of s is 1/(R-1) times the integral from 1 to R = Rules.MaxRatio of rho_s, the share of the workloads on which s takes at most tau times as long as
// the fastest submission (performance profiles: Dolan and More, arXiv:cs/0102001; as a score: Dahl et al., arXiv:2306.07179, section 4.5).
func (r Rules) Compute(t *Table, reference string) (*Scores, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	if reference != "" && !slices.Contains(t.Submissions, reference) {
		return nil, &UnknownError{"reference", reference}
	}
	out := &Scores{Rules: r, Reference: reference}
	for _, w := range t.Workloads {
		if t.Base[w] == "" {
			out.Workloads = append(out.Workloads, w)
		}
	}
	ratio := r.ratios(t)
	for i, s := range t.Submissions {
		row := Score{Submission: s, Speed: math.NaN()}
		for j, w := range t.Workloads {
			if math.IsNaN(t.Seconds[i][j]) {
				row.Missing = append(row.Missing, w)
			}
			if t.Base[w] != "" {
				continue
			}
			v, why := r.gated(t, ratio[i], j, t.Seconds[i])
			row.Seconds, row.Ratios, row.Why = append(row.Seconds, t.Seconds[i][j]), append(row.Ratios, v), append(row.Why, why)
		}
		row.Score, row.Exact = r.Trapezoid(row.Ratios), r.Integral(row.Ratios)
		if reference != "" {
			row.Speed = t.speed(i, slices.Index(t.Submissions, reference))
		}
		out.Rows = append(out.Rows, row)
	}
	slices.SortStableFunc(out.Rows, func(a, b Score) int { return cmp.Compare(b.Score, a.Score) })
	return out, nil
}

// ratios divides the times by the least on each workload; above MaxRatio, missed and not run are infinite.
func (r Rules) ratios(t *Table) [][]float64 {
	all := make([][]float64, len(t.Submissions))
	for i := range all {
		all[i] = make([]float64, len(t.Workloads))
	}
	for j := range t.Workloads {
		best := math.Inf(1)
		for i := range all {
			if v := t.Seconds[i][j]; v < best {
				best = v
			}
		}
		for i := range all {
			all[i][j] = t.Seconds[i][j] / best
			if !(all[i][j] <= r.MaxRatio) {
				all[i][j] = math.Inf(1)
			}
		}
	}
	return all
}

// gated returns the ratio on base workload j, infinite if a variant of it was missed, and why it is infinite.
func (r Rules) gated(t *Table, ratios []float64, j int, seconds []float64) (float64, string) {
	inf := math.Inf(1)
	switch v := seconds[j]; {
	case math.IsNaN(v):
		return inf, "not run"
	case math.IsInf(v, 1):
		return inf, "missed"
	case math.IsInf(ratios[j], 1):
		return inf, "too slow"
	}
	if r.Variants {
		for k, w := range t.Workloads {
			if t.Base[w] == t.Workloads[j] && math.IsInf(ratios[k], 1) {
				return inf, "variant " + w
			}
		}
	}
	return ratios[j], ""
}

// Profile returns the share of ratios that are at most tau.
func Profile(ratios []float64, tau float64) float64 {
	n := 0
	for _, v := range ratios {
		if v <= tau {
			n++
		}
	}
	return float64(n) / float64(len(ratios))
}

// Trapezoid returns the score by the trapezoid rule on Rules.Grid equally spaced points from 1 to MaxRatio, as the published scores are computed.
func (r Rules) Trapezoid(ratios []float64) float64 {
	step := (r.MaxRatio - 1) / float64(r.Grid-1)
	at := func(k int) float64 {
		if k == r.Grid-1 {
			return r.MaxRatio
		}
		return 1 + float64(k)*step
	}
	sum := 0.0
	for k := range r.Grid - 1 {
		sum += (at(k+1) - at(k)) * (Profile(ratios, at(k)) + Profile(ratios, at(k+1))) / 2
	}
	return sum / (r.MaxRatio - 1)
}

// Integral returns the exact integral: the mean of max(0, (MaxRatio-r)/(MaxRatio-1)).
func (r Rules) Integral(ratios []float64) float64 {
	sum := 0.0
	for _, v := range ratios {
		sum += max(0, (r.MaxRatio-v)/(r.MaxRatio-1))
	}
	return sum / float64(len(ratios))
}

// speed returns the geometric mean over the base workloads of the times of i over those of the reference, with budget + 1 s for what was missed.
func (t *Table) speed(i, reference int) float64 {
	sum, n := 0.0, 0
	for j, w := range t.Workloads {
		if t.Base[w] != "" {
			continue
		}
		sum += math.Log(t.finite(i, j) / t.finite(reference, j))
		n++
	}
	return math.Exp(sum / float64(n))
}

func (t *Table) finite(i, j int) float64 {
	if v := t.Seconds[i][j]; v < math.Inf(1) {
		return v
	}
	return t.Budget[t.Workloads[j]] + 1
}

// Median returns the median, that of an even number being the mean of the two in the middle. Infinite values count as larger than all others.
func Median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	if n == 0 {
		return math.NaN()
	}
	return (s[(n-1)/2] + s[n/2]) / 2
}
