package problem

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// affineName is the metric that every problem uses unless told otherwise.
const affineName = "affine-invariant"

// Metrics returns the names that Options.Metric may have, the default first. For mean and median the metric is that of the distances, and the answer
// depends on it; for mean the names of manifold.Averages follow, means that no metric belongs to. For the others it is the geometry that the general solvers move in, and the answer does not. Of the problems that
// every method solves directly only those on sets of matrices (tangent, cluster, outliers, recenter) have any: their distances and means are of that metric.
func (p Problem) Metrics() (names []string) {
	if p.prepare == nil && !p.geometric {
		return nil
	}
	names = metricNames()
	if p.Name == mean.Name {
		for _, a := range manifold.Averages() {
			names = append(names, a.Name)
		}
	}
	return names
}

const (
	steinName = "stein" // whose mean has a gradient to report
	powerName = "power"
	flatName  = "power-euclidean"
)

// elsewhere tells whether the options ask for a metric that is not the affine-invariant one. The Fisher-Rao metric is that with Kappa 2.
func (o *Options) elsewhere() bool {
	return o.Metric != "" && o.Metric != affineName && o.Metric != fisherName
}

const fisherName = "fisher-rao"

// checkMetric refuses a metric that the problem or the method does not know.
func (p Problem) checkMetric(o *Options) error {
	if o.Metric != "" && !slices.Contains(p.Metrics(), o.Metric) {
		return &UnknownError{Kind: "metric", Name: o.Metric, Known: p.Metrics()}
	}
	if o.Metric == affineName && o.Kappa > 1 || o.Metric == fisherName && o.Kappa == 1 || o.elsewhere() && o.Kappa > 1 {
		return optionsf("Kappa is %d, but the metric %s has another", o.Kappa, o.Metric)
	}
	if o.Power != 0 && !(p.Name == mean.Name && o.Metric == powerName) && !(slices.Contains(p.Uses, "power") && o.Metric == flatName) {
		return optionsf("Power is %v, but only the metrics %s and, of mean, %s have one", o.Power, flatName, powerName)
	}
	return nil
}

// outcomeElsewhere solves the problem in the metric of the options.
func (p Problem) outcomeElsewhere(d *Data, o *Options) (*outcome, string, error) {
	if p.Name == mean.Name || p.Name == median.Name {
		if o.Method != "" {
			return nil, "", optionsf("in the metric %s %s has one method; name none", o.Metric, p.Name)
		}
		c, err := averageElsewhere(p.Name, d, o)
		if _, unknown := manifold.MetricByName(o.Metric); unknown != nil {
			return c, o.Metric, err
		}
		return c, "frechet", err
	}
	name := o.Method
	if name == "" {
		name = "trust"
	}
	if i := slices.IndexFunc(solve.Solvers(), func(s solve.Solver) bool { return s.Name == name }); i < 0 {
		return nil, "", optionsf("the method %s works in the affine-invariant metric only; use one of %s", name, strings.Join(p.Methods()[len(p.Own):], ", "))
	}
	c, err := p.solveElsewhere(d, o, name)
	return c, name, err
}

// solveElsewhere runs a general solver in another metric. Derivatives are converted; Hessian products are differences of gradients. The certificate
// is that of the affine-invariant metric all the same.
func (p Problem) solveElsewhere(d *Data, o *Options, name string) (*outcome, error) {
	in, m, err := p.instance(d, o)
	if err != nil {
		return nil, err
	}
	c := &outcome{}
	c.n, c.count = in.size()
	g, err := manifold.MetricByName(o.Metric)
	if err != nil {
		return nil, err
	}
	other, err := g.New(c.n)
	if err != nil {
		return nil, err
	}
	first, err := firstPoint(in, o)
	if err != nil {
		return nil, err
	}
	move := other.(manifold.Matrices)
	start, err := move.PointOf(first.Sym())
	if err != nil {
		return nil, &DataError{Where: "start", Err: err}
	}
	solver, err := solve.ByName(name)
	if err != nil {
		return nil, err
	}
	if c.run, err = solver.Run(other, newConverted(in, move, c.n), start, &o.Solver); err != nil {
		return nil, err
	}
	var s mat.SymDense
	move.MatrixOf(&s, c.run.Point)
	frame, err := manifold.NewFrame(&s)
	if err != nil {
		return nil, fmt.Errorf("the result: %w", err)
	}
	here, err := solve.Trust(m, in, frame, &solve.Options{AbsoluteTolerance: math.MaxFloat64})
	if err != nil {
		return nil, err
	}
	c.run.Point, c.run.Certificate = frame, here.Certificate
	if v, ok := in.(verifier); ok {
		v.verify(in, c.run, &o.Solver)
	} else {
		distrust(c.run, &o.Solver)
	}
	c.finish(in, o)
	return c, nil
}

// distrust takes back that a run has converged if its certificate is above the root of the tolerance: in metrics that have a unit gradients of small or large matrices say
// little, and those whose squares leave the range of float64 nothing.
func distrust(r *solve.Result, o *solve.Options) {
	limit := math.Sqrt(o.WithDefaults(1).Tolerance)
	if !r.Converged || r.Certificate.Kind == "none" || r.Certificate.Value <= limit {
		return
	}
	r.Converged = false
	r.Reason = solve.Reason{Name: "far", Detail: fmt.Sprintf("%s, but the minimizer is %.3g away by its certificate (limit %.3g)", r.Reason.Detail, r.Certificate.Value, limit),
		Advice: "take the affine-invariant metric, or scale the data"}
}

// converted is an instance as a function on the points of another metric.
type converted struct {
	in    instance
	move  manifold.Matrices
	s     mat.SymDense
	w     []float64
	g, t  dense.Matrix[float64]
	given *mat.Dense // g as gonum has it
}

func newConverted(in instance, move manifold.Matrices, n int) *converted {
	c := &converted{in: in, move: move, w: make([]float64, n*n), g: dense.New[float64](n, n), t: dense.New[float64](n, n)}
	c.given = mat.NewDense(n, n, c.g.Data)
	return c
}

// NewMemo implements solve.Memoizer.
func (c *converted) NewMemo() solve.Memo { return c.in.(solve.Memoizer).NewMemo() }

// Evaluate implements solve.Objective: a Cholesky factorization and four products besides the evaluation. The Euclidean gradient is F^-T W F^-1 for the
// whitened differential W.
func (c *converted) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	c.move.MatrixOf(&c.s, p)
	f, err := manifold.NewFrame(&c.s)
	if err != nil {
		return math.Inf(1), err
	}
	cost, err := c.in.Evaluate(f, c.w, memo)
	if err != nil || cost-cost != 0 {
		return cost, err
	}
	inv, n := view(f.Inverse()), c.g.Rows
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, inv, dense.Wrap(n, n, c.w), 0, c.t)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, c.t, inv, 0, c.g)
	c.move.Gradient(grad, p, c.given)
	return cost, nil
}
