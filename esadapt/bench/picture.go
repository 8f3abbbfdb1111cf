package bench

import (
	"math"
	"slices"
)

// RunningTimes is the empirical distribution of running times of the trials of a dimension: points (evaluations per variable, share of all pairs of trial and target that
// were reached within them), one for every running time, in ascending order, with the largest budget at the end.
func RunningTimes(trials []Trial, dim int) (points [][2]float64) {
	var times []float64
	pairs := 0
	for _, t := range Select(trials, dim, "") {
		pairs += len(t.Hits)
		for _, h := range t.Hits {
			if h > 0 {
				times = append(times, float64(h)/float64(dim))
			}
		}
	}
	slices.Sort(times)
	for i, v := range times {
		if i+1 == len(times) || times[i+1] > v {
			points = append(points, [2]float64{v, float64(i+1) / float64(pairs)})
		}
	}
	if pairs > 0 {
		points = append(points, [2]float64{float64(factor(trials, dim)), float64(len(times)) / float64(pairs)})
	}
	return points
}

// Profile is the performance profile of several results over the problems (function, dimension) that all of them have; Dolan and More: "Benchmarking optimization
// software with performance profiles" (2002). Curve k holds points (factor, share of problems on which result k needs at most that factor times the expected
// evaluations to 1e-8 of the best result), one for every factor.
func Profile(results ...[]Trial) [][][2]float64 {
	last := len(Targets()) - 1
	ratios := make([][]float64, len(results))
	problems := 0
	for _, n := range Dims(results[0]) {
		for _, f := range functions(Select(results[0], n, "")) {
			ert, best, all := make([]float64, len(results)), math.Inf(1), true
			for k, r := range results {
				trials := Select(r, n, f)
				all = all && len(trials) > 0
				ert[k], _ = ERT(trials, last)
				best = min(best, ert[k])
			}
			if !all {
				continue
			}
			problems++
			for k, v := range ert {
				if !math.IsInf(v, 1) {
					ratios[k] = append(ratios[k], v/best)
				}
			}
		}
	}
	curves := make([][][2]float64, len(results))
	for k, r := range ratios {
		slices.Sort(r)
		for i, v := range r {
			if i+1 == len(r) || r[i+1] > v {
				curves[k] = append(curves[k], [2]float64{v, float64(i+1) / float64(problems)})
			}
		}
	}
	return curves
}
