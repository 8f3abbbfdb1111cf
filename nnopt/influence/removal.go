package influence

import "slices"

// Removal is what a measurement became after training examples had been removed.
type Removal struct {
	Removed int
	Change  Mean      // of the measurement against that of networks trained on all examples, over queries
	Changes []float64 // of each query, averaged over seeds
}

// Top returns the numbers of the k largest scores, the largest first; of equal scores the smaller number.
func Top(scores []float64, k int) []int {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	return order[:min(max(k, 0), len(order))]
}

// WithoutTop retrains, for each query by itself, without the k training examples of the largest scores, which are predicted to raise its measurement most
// when they go, for each of the counts, and compares with networks trained on all examples with the same seeds. It trains (1 + queries x counts) x seeds
// times.
func WithoutTop(scores Matrix[float64], counts []int, seeds []uint64, retrain Retrain) ([]Removal, error) {
	if err := checkMatrix("scores", scores); err != nil {
		return nil, err
	}
	if len(seeds) == 0 || scores.Rows == 0 {
		return nil, dataError("removal", "needs at least one seed and one query")
	}
	whole := make([]int, scores.Cols)
	for i := range whole {
		whole[i] = i
	}
	before, err := overSeeds(whole, scores.Rows, seeds, retrain)
	if err != nil {
		return nil, err
	}
	var all []Removal
	for _, k := range counts {
		if k < 1 || k >= scores.Cols {
			return nil, dataError("removal", "of %d of %d training examples: it must be at least 1 and leave 1", k, scores.Cols)
		}
		r := Removal{Removed: k}
		for q := range scores.Rows {
			after, err := overSeeds(without(scores.Cols, Top(scores.Row(q), k)), scores.Rows, seeds, retrain)
			if err != nil {
				return nil, err
			}
			r.Changes = append(r.Changes, after[q]-before[q])
		}
		r.Change = meanOf(r.Changes)
		all = append(all, r)
	}
	return all, nil
}

// without returns the numbers 0..n-1 apart from some.
func without(n int, some []int) (rest []int) {
	gone := make([]bool, n)
	for _, i := range some {
		gone[i] = true
	}
	for i, g := range gone {
		if !g {
			rest = append(rest, i)
		}
	}
	return rest
}

func overSeeds(subset []int, queries int, seeds []uint64, retrain Retrain) ([]float64, error) {
	measured, err := Measure([][]int{subset}, seeds, retrain)
	if err != nil {
		return nil, err
	}
	for s, m := range measured[0] {
		if len(m) != queries {
			return nil, dataError("measurements", "seed %d: %d queries instead of %d", s, len(m), queries)
		}
		if q := notFinite(m); q >= 0 {
			return nil, dataError("measurements", "seed %d, query %d: %v", s, q, m[q])
		}
	}
	mean := make([]float64, queries)
	for q := range mean {
		for _, m := range measured[0] {
			mean[q] += m[q] / float64(len(seeds))
		}
	}
	return mean, nil
}
