package problem

import (
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/learn"
)

var recenter = Problem{
	Name: "recenter",
	What: "matrices of several sessions or subjects moved to a common centre: X becomes M^-1/2 X M^-1/2 with the mean M of its domain; the solution is the mean of " +
		"the matrices moved",
	Input: "SPD matrices (an m x n x n stack or several files) and the domain of each as its label; without labels there is one domain",
	Takes: Matrices | Labels,
	Own: []Method{{
		Name:   "center",
		What:   "every domain gets the mean I (Zanini et al., IEEE Trans. Biomed. Eng. 65 (2018))",
		direct: recenterBy(false),
	}, {
		Name:   "center-scale",
		What:   "and the mean square distance 1 from it, in the affine-invariant metric (Rodrigues, Jutten and Congedo, IEEE Trans. Biomed. Eng. 66 (2019))",
		direct: recenterBy(true),
	}},
	geometric: true,
}

func recenterBy(scale bool) func(*Data, *Options) (*outcome, error) {
	return func(d *Data, o *Options) (*outcome, error) {
		if _, err := factorMatrices(d.Matrices); err != nil {
			return nil, err
		}
		domains := d.Labels
		if domains == nil {
			domains = make([]int, len(d.Matrices))
		}
		for i, l := range domains {
			if l < 0 {
				return nil, &DataError{Where: "labels", Err: fmt.Errorf("label %d is %d: the domain is unknown", i, l), Remedy: "number the domains from 0"}
			}
		}
		if o.elsewhere() && scale {
			return nil, optionsf("recenter by center-scale works in the affine-invariant metric only; take the method center")
		}
		metric := o.Metric
		if metric == fisherName {
			metric = affineName // the same means; the dispersion is that of the affine-invariant metric
		}
		a, err := learn.Align(d.Matrices, domains, learn.AlignOptions{Metric: metric, Scale: scale})
		if err != nil {
			return nil, refusal(err)
		}
		moved, err := a.Apply(d.Matrices, domains)
		if err != nil {
			return nil, refusal(err)
		}
		return recentered(a, moved, o)
	}
}

// recentered reports the matrices moved, with the run of their mean: its distance from I tells how well the means were found.
func recentered(a *learn.Alignment, moved []*mat.SymDense, o *Options) (*outcome, error) {
	all, names := make([]mat.Symmetric, len(moved)), make([]float64, len(a.Domains))
	matrices, means := Part{Name: "matrices"}, Part{Name: "means"}
	for i, s := range moved {
		all[i], matrices.Matrices = s, append(matrices.Matrices, manifold.DenseOf(s))
	}
	for k, s := range a.Means {
		names[k], means.Matrices = float64(a.Domains[k]), append(means.Matrices, manifold.DenseOf(s))
	}
	options := Options{Kappa: o.Kappa, Solver: o.Solver}
	options.Solver.Checkpoint = nil
	r, err := mean.Solve(Data{Matrices: all}, &options)
	if err != nil {
		return nil, err
	}
	return &outcome{run: runOf(r), n: r.N, count: len(moved), solution: r.Solution, parts: []Part{vectorPart("domains", names), vectorPart("dispersions", a.Dispersion),
		means, matrices}}, nil
}
