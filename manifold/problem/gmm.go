package problem

import (
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/mixture"
	"github.com/spdopt/spdopt/manifold/solve"
)

var gmm = Problem{
	Name:  "gmm",
	What:  "Gaussian mixture by maximum likelihood; the solution is the covariance of the mixture, with weights, means and covariances beside it",
	Input: "samples (N x n) and the number of components",
	Takes: Samples,
	Uses:  []string{"components", "seed"},
	Own: []Method{{
		Name: "accelerated-em",
		What: "expectation-maximization, each step to the largest likelihood over the plane of its step and the last one, from the best of four seeded starts " +
			"(k-means++, 10 steps of em each, 20 for the better two); from there em alone where that ends in a collapse",
		direct: gmmBy(true),
	}, {
		Name:   "trust",
		What:   "Riemannian trust region on lifted matrices of order n + 1 (Hosseini and Sra, Math. Program. 181 (2020)), from the same start",
		direct: gmmTrust, resumes: true,
	}, {
		Name:   "em",
		What:   "expectation-maximization from the same start, as a cross-check",
		direct: gmmBy(false),
	}},
}

// gmmStart checks the data and returns the best start.
func gmmStart(d *Data, o *Options) (*mixture.Mixture, error) {
	x, err := checkSamples(d.Samples)
	if err != nil {
		return nil, err
	}
	k := o.Components
	if k == 0 {
		k = 2
	}
	if x.Rows <= k*x.Cols {
		return nil, &DataError{count: true, Err: fmt.Errorf("%d samples of dimension %d for %d components: each needs more samples than dimensions", x.Rows, x.Cols, k),
			Remedy: "give more samples, fewer components, or " + shrinkageRemedy}
	}
	s, err := mixture.NewSamples(x)
	if err != nil {
		return nil, &DataError{Where: "sample covariance", Err: err, Remedy: "the samples lie in a hyperplane: drop dependent columns, or " + shrinkageRemedy}
	}
	g, err := s.Start(k, o.Seed)
	if err != nil {
		return nil, gmmError(err)
	}
	return g, nil
}

func gmmError(err error) error {
	return &DataError{Err: err, Remedy: "ask for fewer components, give more samples, or try another seed"}
}

// gmmBy runs steps of EM, as they are or accelerated, from the best start.
func gmmBy(accelerated bool) func(*Data, *Options) (*outcome, error) {
	return func(d *Data, o *Options) (*outcome, error) {
		g, err := gmmStart(d, o)
		if err != nil {
			return nil, err
		}
		r, err := g.Ascend(&o.Solver, accelerated)
		if err != nil {
			return nil, gmmError(err)
		}
		return gmmOutcome(d, g, r), nil
	}
}

// gmmTrust maximizes the likelihood over lifted matrices from the starts of em.
func gmmTrust(d *Data, o *Options) (*outcome, error) {
	g, err := gmmStart(d, o)
	if err != nil {
		return nil, err
	}
	l, start, err := g.Lifted()
	if err != nil {
		return nil, gmmError(err)
	}
	r, err := solve.Trust(l.Manifold, l, start, &o.Solver)
	if err != nil {
		return nil, err
	}
	if err := l.Lower(g, r.Point.(*manifold.ProductPoint)); err != nil {
		return nil, gmmError(err)
	}
	return gmmOutcome(d, g, r), nil
}

// gmmOutcome is that of a run to a mixture.
func gmmOutcome(d *Data, g *mixture.Mixture, r *solve.Result) *outcome {
	N, n := d.Samples.Dims()
	e := g.Estimate()
	return &outcome{run: r, n: n, count: N, solution: e.Total, parts: []Part{vectorPart("weights", e.Weights),
		{Name: "means", Matrices: []*mat.Dense{e.Means}}, {Name: "covariances", Matrices: e.Covariances}, vectorPart("labels", e.Labels)}}
}
