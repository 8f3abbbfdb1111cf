package problem

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

var metricLearning = Problem{
	Name:  "metric-learning",
	What:  "Mahalanobis metric from classes: minimize tr(X S) + tr(X^-1 D), S and D the mean squares of differences within and between classes; or ITML",
	Input: "samples (N x n) and a label for each",
	Takes: Samples | Labels,
	Uses:  []string{"gamma", "pairs", "seed"},
	Own: []Method{{
		Name: "gmml",
		What: "the geometric mean of S^-1 and D (Zadeh, Hosseini and Sra, ICML 2016)",
		run:  riccatiClosedForm.run,
	}, {
		Name: "itml",
		What: "information-theoretic metric learning (Davis et al., ICML 2007), another cost: the log-det divergence from I with slack on pairs; Newton's method with " +
			"the slacks eliminated and a certified gap; the trust region where the equations would be large or states are kept",
		direct: itmlBy(itmlNewton), resumes: true,
	}, {
		Name:   "itml-trust",
		What:   "the same by a Riemannian trust region",
		direct: itmlBy(itmlTrust), resumes: true,
	}, {
		Name:   "itml-projections",
		What:   "the same by the authors' cyclic Bregman projections: linear convergence, as a cross-check",
		direct: itmlBy(itmlProjections),
	}, {
		Name:   "itml-lbfgs",
		What:   "the same by Riemannian L-BFGS",
		direct: itmlBy(itmlLBFGS), resumes: true,
	}},
	prepare: func(d *Data, m func(int) (*manifold.Affine, error), o *Options) (instance, error) {
		x, err := checkSamples(d.Samples)
		if err != nil {
			return nil, err
		}
		_, members, err := classes(d.Labels, x.Rows, "sample")
		if err != nil {
			return nil, err
		}
		within, between := pairScatter(x, members)
		s, err := manifold.NewInverseFrame(symmetric(within))
		if err != nil {
			return nil, &DataError{Where: "scatter within classes", Err: err, Remedy: "give more samples than dimensions and classes together, drop dependent columns, or use the method itml, which needs no inverse"}
		}
		b, err := manifold.NewFrame(symmetric(between))
		if err != nil {
			return nil, &DataError{Where: "scatter between classes", Err: err, Remedy: "give more samples"}
		}
		return newRiccati(b, s, x.Rows, m, o)
	},
}

// pairScatter returns the means of (x - y)(x - y)' over pairs of one class and over pairs of two: with sums s and second moments M of a set of c
// samples, the sum over its pairs is c M - s s'.
func pairScatter(x dense.Matrix[float64], members [][]int) (within, between dense.Matrix[float64]) {
	n := x.Cols
	within, between = dense.New[float64](n, n), dense.New[float64](n, n)
	all, allSum := dense.New[float64](n, n), make([]float64, n)
	var count, pairs float64
	center := make([]float64, n)
	for _, g := range members {
		for _, i := range g {
			dense.Axpy(1, x.Row(i), center)
			count++
		}
	}
	dense.Scale(1/count, center, center)
	e := make([]float64, n)
	for _, g := range members {
		one, sum := dense.New[float64](n, n), make([]float64, n)
		for _, i := range g {
			copy(e, x.Row(i))
			dense.Axpy(-1, center, e)
			dense.Ger(1, e, e, one)
			dense.Axpy(1, e, sum)
		}
		c := float64(len(g))
		dense.Axpy(1, one.Data, all.Data)
		dense.Axpy(1, sum, allSum)
		dense.Axpy(c, one.Data, within.Data)
		dense.Ger(-1, sum, sum, within)
		pairs += c * (c - 1) / 2
	}
	dense.Axpy(count, all.Data, between.Data)
	dense.Ger(-1, allSum, allSum, between)
	dense.Axpy(-1, within.Data, between.Data)
	dense.Scale(1/max(pairs, 1), within.Data, within.Data)
	dense.Scale(1/(count*(count-1)/2-pairs), between.Data, between.Data)
	return within, between
}
