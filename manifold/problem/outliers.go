package problem

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/manifold/learn"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

var outliers = Problem{
	Name:  "outliers",
	What:  "matrices too far from the mean of the others: scores are standardised logarithms of the distances; the solution is the mean of the normal ones",
	Input: "SPD matrices (an m x n x n stack or several files)",
	Takes: Matrices,
	Uses:  []string{"threshold"},
	Own: []Method{{
		Name:   "potato",
		What:   "rounds of means and rejections until none is rejected (Barachant, Andreev and Congedo, The Riemannian potato, 2013)",
		direct: outliersByPotato,
	}},
	geometric: true,
}

func outliersByPotato(d *Data, o *Options) (*outcome, error) {
	frames, err := factorMatrices(d.Matrices)
	if err != nil {
		return nil, err
	}
	n := frames[0].Dim()
	mon := iteration.NewMonitor(&o.Solver, n*n)
	p, err := learn.NewPotato(d.Matrices, learn.PotatoOptions{Metric: setMetric(o), Threshold: o.Threshold, MaxIterations: mon.Options.MaxIterations,
		Stop: func(rounds int, rejected float64) bool {
			mon.Status.Iteration, mon.Status.Evaluations = rounds, rounds
			return mon.Done(nil, rejected, math.Inf(1), 1)
		}})
	if err != nil {
		return nil, refusal(err)
	}
	scores, err := p.Scores(d.Matrices)
	if err != nil {
		return nil, refusal(err)
	}
	chances, normal, count := make([]float64, len(scores)), make([]float64, len(scores)), 0
	for i, z := range scores {
		if chances[i] = learn.Probability(z); p.Normal[i] {
			normal[i] = 1
			count++
		}
	}
	r := &solve.Result{Converged: p.Converged, Iterations: p.Iterations, Evaluations: p.Iterations, Objective: float64(len(frames)-count) / float64(len(frames)),
		GradientNorm: p.Residual, RelativeGradient: p.Residual, Certificate: certifyCentre(o, p.Residual),
		Reason: solve.Reason{Name: "rounds", Converged: p.Converged, Detail: fmt.Sprintf("%d of %d matrices rejected in %d rounds", len(frames)-count, len(frames), p.Iterations)}}
	if p.Stopped {
		r.Reason = mon.Reason
	}
	return &outcome{run: r, n: n, count: len(frames), solution: p.Centre, parts: []Part{vectorPart("scores", scores),
		vectorPart("probabilities", chances), vectorPart("normal", normal)}}, nil
}
