package influence

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
)

// Retrain trains the network anew on the training examples of the given numbers, in increasing order, and returns the measurement of each query. A seed
// selects the initial parameters and the order of the data.
type Retrain func(subset []int, seed uint64) ([]float64, error)

// mostNumbers bounds the numbers of examples in all subsets.
const mostNumbers = 1 << 30

// Subsets draws count random subsets, each with the given share of the numbers 0..n-1, sorted. Subsets of equal size leave the score of LDS unchanged when a
// constant is added to the scores of a query.
func Subsets(n, count int, share float64, r *rand.Rand) ([][]int, error) {
	size := int(math.Round(share * float64(n)))
	if count < 1 || size < 1 || size >= n || !(share > 0 && share < 1) {
		return nil, dataError("subsets", "%d subsets with a share of %v of %d examples: there must be at least one, and each must have at least one example and leave one out",
			count, share, n)
	}
	if count > mostNumbers/size {
		return nil, dataError("subsets", "%d subsets of %d examples are too many to hold", count, size)
	}
	if r == nil {
		return nil, dataError("rand", "is nil; give it a source of random numbers")
	}
	all := make([][]int, count)
	for k := range all {
		all[k] = r.Perm(n)[:size]
		slices.Sort(all[k])
	}
	return all, nil
}

// Measure retrains on every subset with every seed and returns the measurements by subset, seed and query.
func Measure(subsets [][]int, seeds []uint64, retrain Retrain) ([][][]float64, error) {
	if len(subsets) == 0 || len(seeds) == 0 {
		return nil, dataError("measurements", "need at least one subset and one seed")
	}
	if retrain == nil {
		return nil, dataError("retrain", "is nil; give the function that trains anew")
	}
	all := make([][][]float64, len(subsets))
	for k, subset := range subsets {
		if len(subset) == 0 {
			return nil, dataError("subset", "%d is empty", k)
		}
		for _, seed := range seeds {
			m, err := retrain(subset, seed)
			if err != nil {
				return nil, err
			}
			all[k] = append(all[k], m)
		}
	}
	return all, nil
}

// Predict returns for each subset and query the sum of the scores of the training examples that are not in the subset: by how much leaving them out is
// predicted to raise the measurement.
func Predict(scores Matrix[float64], subsets [][]int) (Matrix[float64], error) {
	if err := checkMatrix("scores", scores); err != nil {
		return Matrix[float64]{}, err
	}
	out := dense.New[float64](len(subsets), scores.Rows)
	in := make([]bool, scores.Cols)
	for k, subset := range subsets {
		if len(subset) == 0 {
			return out, dataError("subset", "%d is empty", k)
		}
		clear(in)
		for _, i := range subset {
			if i < 0 || i >= scores.Cols || in[i] {
				return out, dataError("subset", "%d holds number %d twice, or it is not one of the %d training examples", k, i, scores.Cols)
			}
			in[i] = true
		}
		for q := range scores.Rows {
			var sum float64
			for i, s := range scores.Row(q) {
				if !in[i] {
					sum += s
				}
			}
			out.Set(k, q, sum)
		}
	}
	return out, nil
}

// Mean is a mean over queries with the standard error of that mean (0 for a single query).
type Mean struct{ Value, StdErr float64 }

func meanOf(v []float64) (m Mean) {
	n := float64(len(v))
	for _, x := range v {
		m.Value += x / n
	}
	if len(v) < 2 {
		return m
	}
	var squares float64
	for _, x := range v {
		squares += (x - m.Value) * (x - m.Value)
	}
	m.StdErr = math.Sqrt(squares / (n - 1) / n)
	return m
}

// LDSResult is the linear datamodelling score (Park et al., arXiv:2303.14186, definition 3).
type LDSResult struct {
	Mean
	PerQuery []float64 // rank correlations, over subsets, of predictions and measurements averaged over seeds
}

// LDS compares scores (queries x training examples) with the measurements of retrained networks, by subset, seed and query.
func LDS(scores Matrix[float64], subsets [][]int, measured [][][]float64) (*LDSResult, error) {
	if err := checkMeasured(scores.Rows, len(subsets), measured); err != nil {
		return nil, err
	}
	predicted, err := Predict(scores, subsets)
	if err != nil {
		return nil, err
	}
	seeds := make([]int, len(measured[0]))
	for i := range seeds {
		seeds[i] = i
	}
	out := &LDSResult{}
	for q := range scores.Rows {
		p := make([]float64, len(subsets))
		for k := range p {
			p[k] = predicted.At(k, q)
		}
		rho, err := Spearman(p, averaged(measured, seeds, q))
		if err != nil {
			return nil, err
		}
		out.PerQuery = append(out.PerQuery, rho)
	}
	out.Mean = meanOf(out.PerQuery)
	return out, nil
}

func checkMeasured(queries, subsets int, measured [][][]float64) error {
	if len(measured) != subsets || subsets < 2 {
		return dataError("measurements", "of %d subsets for %d; two or more are needed", len(measured), subsets)
	}
	for k, seeds := range measured {
		if len(seeds) == 0 || len(seeds) != len(measured[0]) {
			return dataError("measurements", "subset %d has %d seeds, subset 0 has %d", k, len(seeds), len(measured[0]))
		}
		for s, m := range seeds {
			if len(m) != queries {
				return dataError("measurements", "subset %d, seed %d: %d queries instead of %d", k, s, len(m), queries)
			}
			if q := notFinite(m); q >= 0 {
				return dataError("measurements", "subset %d, seed %d, query %d: %v", k, s, q, m[q])
			}
		}
	}
	return nil
}

// averaged returns the measurement of query q for each subset, averaged over seeds.
func averaged(measured [][][]float64, seeds []int, q int) []float64 {
	out := make([]float64, len(measured))
	for k := range measured {
		for _, s := range seeds {
			out[k] += measured[k][s][q] / float64(len(seeds))
		}
	}
	return out
}

// Ceiling says how well measurements of retrained networks predict others that differ by the seed alone.
type Ceiling struct {
	Pairs  Mean // rank correlation of one seed with another, averaged over pairs
	Others Mean // of one seed with the mean of all others, averaged over seeds
}

// CeilingOf returns the ceiling of measurements by subset, seed and query; they need two seeds or more.
func CeilingOf(measured [][][]float64) (*Ceiling, error) {
	if len(measured) == 0 || len(measured[0]) < 2 {
		return nil, dataError("ceiling", "needs measurements with two seeds or more")
	}
	seeds, queries := len(measured[0]), len(measured[0][0])
	if err := checkMeasured(queries, len(measured), measured); err != nil {
		return nil, err
	}
	pairs, others := make([]float64, queries), make([]float64, queries)
	for q := range queries {
		for s := range seeds {
			var rest []int
			for t := range seeds {
				if t == s {
					continue
				}
				rest = append(rest, t)
				rho, err := Spearman(averaged(measured, []int{s}, q), averaged(measured, []int{t}, q))
				if err != nil {
					return nil, err
				}
				pairs[q] += rho / float64(seeds*(seeds-1))
			}
			rho, err := Spearman(averaged(measured, []int{s}, q), averaged(measured, rest, q))
			if err != nil {
				return nil, err
			}
			others[q] += rho / float64(seeds)
		}
	}
	return &Ceiling{meanOf(pairs), meanOf(others)}, nil
}

// Spearman returns the rank correlation of two lists of numbers; equal numbers share the mean of their ranks. A list of equal numbers has no ranks, which is
// an error, as are lists of different or too small length.
func Spearman(a, b []float64) (float64, error) {
	if len(a) != len(b) || len(a) < 2 {
		return 0, dataError("rank correlation", "of %d and %d numbers", len(a), len(b))
	}
	x, y := ranks(a), ranks(b)
	mean := float64(len(a)+1) / 2
	var xy, xx, yy float64
	for i := range x {
		xy += (x[i] - mean) * (y[i] - mean)
		xx += (x[i] - mean) * (x[i] - mean)
		yy += (y[i] - mean) * (y[i] - mean)
	}
	if xx == 0 || yy == 0 {
		return 0, dataError("rank correlation", "of numbers that are all equal")
	}
	return xy / math.Sqrt(xx*yy), nil
}

// ranks returns the ranks 1, 2, ... of the numbers.
func ranks(v []float64) []float64 {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case v[a] < v[b]:
			return -1
		case v[a] > v[b]:
			return 1
		}
		return 0
	})
	out := make([]float64, len(v))
	for from := 0; from < len(order); {
		end := from + 1
		for end < len(order) && v[order[end]] == v[order[from]] {
			end++
		}
		for _, i := range order[from:end] {
			out[i] = float64(from+1+end) / 2
		}
		from = end
	}
	return out
}
