package problem

import (
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold/learn"
	"github.com/spdopt/spdopt/manifold/solve"
)

var csp = Problem{
	Name: "csp",
	What: "common spatial patterns: linear combinations of the variables whose variances tell classes of covariance matrices apart; the solution is the mean of " +
		"the class means, which the filters make I on its diagonal",
	Input: "SPD matrices (an m x n x n stack or several files) and a label for each",
	Takes: Matrices | Labels,
	Uses:  []string{"components"},
	Own: []Method{{
		Name: "diagonalize",
		What: "generalised eigenvectors of the arithmetic means of two classes (Ramoser et al., IEEE Trans. Rehabil. Eng. 8 (2000)); joint diagonalization of more, " +
			"ordered by mutual information (Grosse-Wentrup and Buss, IEEE Trans. Biomed. Eng. 55 (2008))",
		direct: cspByDiagonalizing,
	}},
}

func cspByDiagonalizing(d *Data, o *Options) (*outcome, error) {
	if _, err := factorMatrices(d.Matrices); err != nil {
		return nil, err
	}
	_, members, err := classes(d.Labels, len(d.Matrices), "matrix")
	if err != nil {
		return nil, err
	}
	n := d.Matrices[0].SymmetricDim()
	var examples []mat.Symmetric
	var labels []int
	total := mat.NewSymDense(n, nil)
	for _, g := range members {
		for _, i := range g {
			examples, labels = append(examples, d.Matrices[i]), append(labels, d.Labels[i])
			var part mat.SymDense
			part.ScaleSym(1/float64(len(g)*len(members)), d.Matrices[i])
			total.AddSym(total, &part)
		}
	}
	p, err := learn.CommonSpatialPatterns(examples, labels, learn.PatternOptions{Count: o.Components})
	if err != nil {
		return nil, refusal(err)
	}
	names := make([]float64, len(p.Classes))
	for k, l := range p.Classes {
		names[k] = float64(l)
	}
	r := &solve.Result{Converged: true, Evaluations: 1, Objective: p.Value[0], Certificate: solve.Certificate{Kind: "closed-form"},
		Reason: solve.Reason{Name: "diagonal", Converged: true, Detail: fmt.Sprintf("%d filters of %d classes", len(p.Value), len(names))}}
	if len(names) > 2 {
		r.Certificate.Kind = "none"
	}
	return &outcome{run: r, n: n, count: len(examples), solution: total, parts: []Part{vectorPart("classes", names), vectorPart("values", p.Value),
		{Name: "filters", Matrices: []*mat.Dense{p.Filters}}, {Name: "patterns", Matrices: []*mat.Dense{p.Patterns}},
		{Name: "variances", Matrices: []*mat.Dense{p.Variance}}}}, nil
}
