package problem

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// affineName is the metric that every problem uses unless told otherwise.
const affineName = "affine-invariant"

// Metrics returns the names that Options.Metric may have, the default first. For mean and median the metric is that of the distances, and the answer
// depends on it; for the others it is the geometry that the general solvers move in, and the answer does not. Problems that every method solves
// directly have none.
func (p Problem) Metrics() (names []string) {
	if p.prepare == nil {
		return nil
	}
	for _, g := range manifold.Metrics() {
		names = append(names, g.Name)
	}
	if p.Name == mean.Name {
		names = append(names, steinName)
	}
	return names
}

// steinName is the comparison whose mean has a gradient to report.
const steinName = "stein"

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
		return fmt.Errorf("problem: Kappa is %d, but the metric %s has another", o.Kappa, o.Metric)
	}
	return nil
}

// outcomeElsewhere solves the problem in the metric of the options.
func (p Problem) outcomeElsewhere(d *Data, o *Options) (*outcome, string, error) {
	if p.Name == mean.Name || p.Name == median.Name {
		if o.Method != "" {
			return nil, "", fmt.Errorf("problem: in the metric %s %s has one method, leave Method empty", o.Metric, p.Name)
		}
		c, err := averageElsewhere(p.Name, d, o)
		return c, "frechet", err
	}
	name := o.Method
	if name == "" {
		name = "trust"
	}
	if i := slices.IndexFunc(solve.Solvers(), func(s solve.Solver) bool { return s.Name == name }); i < 0 {
		return nil, "", fmt.Errorf("problem: the method %s works in the affine-invariant metric only; use one of %v", name, p.Methods()[len(p.Own):])
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
		v.verify(c.run, &o.Solver)
	}
	c.solution = in.finish(frame, o)
	if w, ok := in.(withParts); ok {
		c.parts = w.parts(frame, c.solution)
	}
	return c, nil
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

// averageElsewhere is the Frechet mean or the geometric median in another metric.
func averageElsewhere(name string, d *Data, o *Options) (*outcome, error) {
	frames, err := factorMatrices(d.Matrices)
	if err != nil {
		return nil, err
	}
	weights, err := normalizedWeights(d.Weights, len(frames))
	if err != nil {
		return nil, err
	}
	if o.Metric == steinName {
		return steinOutcome(d, weights, o)
	}
	n := frames[0].Dim()
	g, err := manifold.MetricByName(o.Metric)
	if err != nil {
		return nil, err
	}
	m, err := g.New(n)
	if err != nil {
		return nil, err
	}
	move := m.(manifold.Matrices)
	settings := averageOptions(o)
	if o.Start != nil {
		if settings.Start, err = move.PointOf(o.Start); err != nil {
			return nil, &DataError{Where: "start", Err: err}
		}
	}
	points := make([]manifold.Point, len(frames))
	for k, a := range d.Matrices {
		if points[k], err = move.PointOf(a); err != nil {
			return nil, &DataError{Where: fmt.Sprintf("matrix %d", k), Err: err}
		}
	}
	average := manifold.Mean
	if name == median.Name {
		average = manifold.Median
	}
	x, report, err := average(m, points, weights, settings)
	r, err := averageResult(report, err)
	if err != nil {
		return nil, err
	}
	// Where the metric is flat the cost of the mean is exactly quadratic: the gradient norm is the distance.
	r.Certificate = solve.Certificate{Kind: "step-left", Value: report.Residual}
	r.Objective = report.Spread
	if name == mean.Name {
		r.Objective = report.Spread * report.Spread / 2
		if o.Metric != "bures-wasserstein" {
			r.Certificate = solve.Certificate{Kind: "strong-convexity", Value: report.Residual, Bound: true}
		}
	}
	solution := mat.NewSymDense(n, nil)
	move.MatrixOf(solution, x)
	return &outcome{run: r, n: n, count: len(frames), solution: solution}, nil
}

func averageOptions(o *Options) manifold.MeanOptions {
	s := o.Solver.WithDefaults(1)
	return manifold.MeanOptions{Tolerance: s.Tolerance, MaxIterations: s.MaxIterations}
}

// averageResult turns the report of a mean into a result; an iteration that ended early is one that did not converge.
func averageResult(report manifold.MeanReport, err error) (*solve.Result, error) {
	r := &solve.Result{Converged: true, Iterations: report.Iterations, Evaluations: report.Iterations + 1, GradientNorm: report.Residual,
		Reason: solve.Reason{Name: "step-left", Converged: true, Detail: fmt.Sprintf("step of norm %.3g left", report.Residual)}}
	var short *manifold.ConvergenceError
	switch {
	case errors.As(err, &short):
		r.Converged, r.Reason = false, solve.Reason{Name: "iterations", Detail: short.Error(), Advice: "allow more iterations, a larger tolerance, or start closer"}
	case err != nil:
		return nil, err
	}
	if report.Spread > 0 {
		r.RelativeGradient = report.Residual / report.Spread
	}
	return r, nil
}

// steinOutcome is the mean under the Stein distance, with the gradient of sum w_k [log det (X + A_k)/2 - log det (X A_k)/2]: whitened
// sum w_k ((I + C_k)^-1 - I/2), C_k = F^-1 A_k F^-T. The cost is convex along geodesics, with second derivative 1/4 where all matrices
// agree: four times the gradient norm estimates the distance.
func steinOutcome(d *Data, weights []float64, o *Options) (*outcome, error) {
	x, err := manifold.SteinMean(d.Matrices, weights, averageOptions(o))
	if err != nil {
		return nil, err
	}
	f, err := manifold.NewFrame(x)
	if err != nil {
		return nil, err
	}
	n := f.Dim()
	c, t, grad := dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n)
	cost := 0.0
	for k, a := range d.Matrices {
		fa, err := manifold.NewFrame(a)
		if err != nil {
			return nil, err
		}
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, view(f.Inverse()), view(fa.F()), 0, t)
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, t, t, 0, c)
		dense.Mirror(c)
		for i := range n {
			c.Set(i, i, c.At(i, i)+1)
		}
		sum, err := manifold.NewFrame(symmetric(c))
		if err != nil {
			return nil, err
		}
		dense.GemmUpper(dense.Transposed, dense.NoTrans, weights[k], view(sum.Inverse()), view(sum.Inverse()), 1, grad)
		cost += weights[k] * (sum.LogDet() - float64(n)*math.Ln2 - (fa.LogDet()-f.LogDet())/2)
		for i := range n {
			grad.Set(i, i, grad.At(i, i)-weights[k]/2)
		}
	}
	dense.Mirror(grad)
	norm := math.Sqrt(dense.Dot(grad.Data, grad.Data))
	r := &solve.Result{Converged: true, Evaluations: 1, Objective: cost, GradientNorm: norm, RelativeGradient: norm,
		Reason:      solve.Reason{Name: "fixed-point", Converged: true, Detail: fmt.Sprintf("the fixed point has settled, gradient norm %.3g", norm)},
		Certificate: solve.Certificate{Kind: "gradient", Value: 4 * norm}}
	return &outcome{run: r, n: n, count: len(d.Matrices), solution: x}, nil
}
