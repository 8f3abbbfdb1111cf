package problem

import (
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold/learn"
	"github.com/spdopt/spdopt/manifold/solve"
)

var tangent = Problem{
	Name:  "tangent",
	What:  "tangent vectors of SPD matrices at their mean, as features for linear methods; the solution is the mean",
	Input: "SPD matrices (an m x n x n stack or several files)",
	Takes: Matrices | Weights,
	Uses:  []string{"components"},
	Own: []Method{{
		Name:   "vectors",
		What:   "logarithms at the mean in an orthonormal basis, n(n+1)/2 numbers for each matrix (Barachant et al., IEEE Trans. Biomed. Eng. 59 (2012))",
		direct: tangentBy(nil),
	}, {
		Name:   "principal",
		What:   "the same with their principal axes, principal geodesic analysis in the linear approximation (Fletcher et al., IEEE Trans. Med. Imaging 23 (2004))",
		direct: tangentBy(principalParts),
	}},
	geometric: true,
}

// tangentBy maps the matrices at their mean; more adds what a method finds besides.
func tangentBy(more func(space *learn.TangentSpace, d *Data, o *Options) ([]Part, error)) func(*Data, *Options) (*outcome, error) {
	return func(d *Data, o *Options) (*outcome, error) {
		options := Options{Metric: o.Metric, Kappa: o.Kappa, Solver: o.Solver}
		options.Solver.Checkpoint = nil // it is the mean's run, not this one
		center, err := mean.Solve(Data{Matrices: d.Matrices, Weights: d.Weights}, &options)
		if err != nil {
			return nil, err
		}
		space, err := learn.NewTangentSpace(center.Solution, learn.TangentOptions{Metric: setMetric(o)})
		if err != nil {
			return nil, refusal(err)
		}
		x, err := space.Vectors(d.Matrices)
		if err != nil {
			return nil, refusal(err)
		}
		c := &outcome{run: runOf(center), n: center.N, count: center.Count, solution: center.Solution, parts: []Part{{Name: "vectors", Matrices: []*mat.Dense{x}}}}
		if more != nil {
			parts, err := more(space, d, o)
			if err != nil {
				return nil, refusal(err)
			}
			c.parts = append(c.parts, parts...)
		}
		return c, nil
	}
}

func principalParts(space *learn.TangentSpace, d *Data, o *Options) ([]Part, error) {
	p, err := learn.NewPrincipalAxes(space, d.Matrices, learn.PrincipalOptions{Count: o.Components})
	if err != nil {
		return nil, err
	}
	scores, err := p.Scores(d.Matrices)
	if err != nil {
		return nil, err
	}
	return []Part{vectorPart("variance", p.Variance), vectorPart("share", p.Share), {Name: "axes", Matrices: []*mat.Dense{p.Axes}},
		{Name: "scores", Matrices: []*mat.Dense{scores}}}, nil
}

// runOf returns the run of a problem that was solved on the way.
func runOf(r *Result) *solve.Result {
	return &solve.Result{Converged: r.Converged, Reason: solve.Reason{Name: r.Problem, Detail: r.Reason, Converged: r.Converged, Advice: r.Advice},
		Iterations: r.Iterations, Evaluations: r.Evaluations, HessianProducts: r.HessianProducts, Objective: r.Objective, GradientNorm: r.GradientNorm,
		RelativeGradient: r.RelativeGradient, Certificate: r.Certificate}
}
