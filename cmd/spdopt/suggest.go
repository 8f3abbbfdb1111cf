package main

import (
	"slices"
	"strings"
)

// synonyms are names that flags have here, in the protocol of serve and in other programs for the same thing; the likeliest of a line stands first.
var synonyms = [][]string{
	{"max-evals", "budget", "evals", "evaluations", "max-evaluations", "max-fevals", "maxfev", "maxfevals", "max-trials"},
	{"max-iterations", "steps", "iterations", "max-iter", "maxiter", "max-steps", "n-iter"},
	{"max-seconds", "timeout", "time", "time-limit", "max-time"},
	{"popsize", "population", "population-size", "pop-size", "lambda"},
	{"sigma0", "sigma", "step-size"},
	{"x0", "start", "init", "initial"},
	{"dim", "dimension", "dimensions", "variables"},
	{"jobs", "in-flight", "workers", "threads", "n-jobs", "parallel"},
	{"tol", "tolerance", "eps", "epsilon"},
	{"data", "in", "input", "file"},
	{"out", "output"},
	{"method", "opt", "strategy", "algorithm", "optimizer", "solver"},
	{"fn", "cmd", "function", "objective"},
	{"cmd", "command", "program"},
	{"power", "exponent"},
	{"batch", "batch-size"},
	{"device", "gpu", "cuda"},
	{"seed", "random-seed", "random-state"},
	{"quiet", "silent"},
	{"verbose", "debug"},
}

// sameThing returns the known name that means what name means, or "".
func sameThing(name string, known []string) string {
	dashes := name[:len(name)-len(strings.TrimLeft(name, "-"))]
	for _, group := range synonyms {
		if !slices.Contains(group, strings.ReplaceAll(name[len(dashes):], "_", "-")) {
			continue
		}
		for _, other := range group {
			if slices.Contains(known, dashes+other) {
				return dashes + other
			}
		}
	}
	return ""
}

// nearest returns the known name that means the same as name, or differs from it by the fewest typing errors whatever the case, or "" if none is similar.
func nearest(name string, known []string) string {
	if same := sameThing(name, known); same != "" && !slices.Contains(known, name) {
		return same
	}
	best, distance := "", max(1, len(name)/3)+1
	for _, k := range known {
		if d := typingErrors(strings.ToLower(name), strings.ToLower(k)); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// typingErrors is the number of insertions, deletions, replacements and swaps of neighbours that turn a into b.
func typingErrors(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			same := 1
			if a[i-1] == b[j-1] {
				same = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+same)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
