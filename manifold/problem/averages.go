package problem

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

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
	n := frames[0].Dim()
	if err := o.startRows(n); err != nil {
		return nil, err
	}
	run := newAveraging(o, n)
	if a, err := manifold.AverageByName(o.Metric); err == nil {
		return run.byEquation(a, d, frames, weights)
	}
	m, err := averagedMetric(o, n)
	if err != nil {
		return nil, err
	}
	move := m.(manifold.Matrices)
	settings := run.options
	if o.Start != nil {
		if settings.Start, err = move.PointOf(o.Start); err != nil {
			return nil, &DataError{Where: "start", Err: err}
		}
	}
	points := make([]manifold.Point, len(frames))
	err = dense.Each(len(points), len(points)*n*n*n, func(k int) (err error) {
		if points[k], err = move.PointOf(d.Matrices[k]); err != nil {
			return &DataError{Where: fmt.Sprintf("matrix %d", k), Err: err}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	average := manifold.Mean
	if name == median.Name {
		average = manifold.Median
	}
	x, report, err := average(m, points, weights, settings)
	r, err := run.result(report, err)
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

// averagedMetric returns the manifold whose distances are averaged.
func averagedMetric(o *Options, n int) (manifold.Manifold, error) {
	if o.Metric == flatName {
		return manifold.NewPowerEuclidean(n, manifold.PowerOptions{Alpha: o.Power})
	}
	g, err := manifold.MetricByName(o.Metric)
	if err != nil {
		return nil, err
	}
	return g.New(n)
}

// averaging lets the callback and the criteria of the options watch the iteration of a mean of package manifold.
type averaging struct {
	o       *Options
	mon     *iteration.Monitor
	options manifold.MeanOptions
	stopped bool
}

func newAveraging(o *Options, n int) *averaging {
	r := &averaging{o: o, mon: iteration.NewMonitor(&o.Solver, n*n)}
	r.options = manifold.MeanOptions{Tolerance: r.mon.Options.Tolerance, MaxIterations: r.mon.Options.MaxIterations, Stop: func(m manifold.MeanReport) bool {
		s := &r.mon.Status
		if s.Iteration == 0 {
			s.GradientNorm = m.Residual
			s.Note()
		}
		s.Iteration, s.Evaluations = m.Iterations, m.Iterations+1
		r.stopped = r.mon.Done(nil, m.Spread*m.Spread/2, m.Residual, m.Spread)
		return r.stopped
	}}
	return r
}

// result turns the report of a mean into a result; an iteration that ended early is one that did not converge.
func (a *averaging) result(report manifold.MeanReport, err error) (*solve.Result, error) {
	r := &solve.Result{Converged: true, Iterations: report.Iterations, Evaluations: report.Iterations + 1, GradientNorm: report.Residual,
		Reason: solve.Reason{Name: "step-left", Converged: true, Detail: fmt.Sprintf("step of norm %.3g left", report.Residual)}}
	var short *manifold.ConvergenceError
	switch {
	case errors.As(err, &short) && a.stopped:
		r.Converged, r.Reason = a.mon.Reason.Converged, a.mon.Reason
	case errors.As(err, &short):
		r.Converged, r.Reason = false, solve.Reason{Name: "iterations", Detail: short.Error(), Advice: "allow more iterations, a larger tolerance, or start closer"}
	case err != nil:
		return nil, &DataError{Err: err}
	}
	if report.Spread > 0 {
		r.RelativeGradient = report.Residual / report.Spread
	}
	return r, nil
}

// byEquation is a mean of manifold.Averages. The objective is half the mean square affine-invariant distance from it, which the Karcher mean makes least; for
// the Stein mean see steinResult.
func (a *averaging) byEquation(kind manifold.Average, d *Data, frames []*manifold.Frame, weights []float64) (*outcome, error) {
	if a.o.Start != nil {
		first, err := manifold.NewFrame(a.o.Start)
		if err != nil {
			return nil, &DataError{Where: "start", Err: err}
		}
		a.options.Start = first
	}
	x, report, err := kind.Mean(d.Matrices, weights, manifold.AverageOptions{MeanOptions: a.options, Power: a.o.Power})
	r, err := a.result(report, err)
	if err != nil {
		return nil, err
	}
	c := &outcome{run: r, n: frames[0].Dim(), count: len(frames), solution: x}
	if kind.Name == steinName {
		return c, steinResult(r, x, frames, weights)
	}
	r.Certificate = solve.Certificate{Kind: "step-left", Value: report.Residual}
	f, err := manifold.NewFrame(x)
	if err != nil {
		return nil, err
	}
	m, err := manifold.NewAffine(c.n, manifold.AffineOptions{})
	if err != nil {
		return nil, err
	}
	distances := make([]float64, len(frames))
	spaces := dense.Spaces[manifold.Frame]{Make: func() *manifold.Frame { return f.Clone().(*manifold.Frame) }}
	err = dense.Each(len(frames), len(frames)*c.n*c.n*c.n, func(k int) (err error) {
		from := spaces.Take()
		defer spaces.Give(from)
		distances[k], err = m.Distance(from, frames[k])
		return err
	})
	if err != nil {
		return nil, err
	}
	for k, distance := range distances {
		r.Objective += weights[k] * distance * distance / 2
	}
	return c, nil
}

// steinResult completes the result of the mean under the Stein distance with the gradient of sum w_k [log det (X + A_k)/2 - log det (X A_k)/2]: whitened
// sum w_k ((I + C_k)^-1 - I/2), C_k = F^-1 A_k F^-T. The cost is convex along geodesics, with second derivative 1/4 where all matrices
// agree: four times the gradient norm estimates the distance.
func steinResult(r *solve.Result, x *mat.SymDense, frames []*manifold.Frame, weights []float64) error {
	f, err := manifold.NewFrame(x)
	if err != nil {
		return err
	}
	n := f.Dim()
	c, t, grad := dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n)
	r.Objective = 0
	for k, fa := range frames {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, view(f.Inverse()), view(fa.F()), 0, t)
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, t, t, 0, c)
		dense.Mirror(c)
		for i := range n {
			c.Set(i, i, c.At(i, i)+1)
		}
		sum, err := manifold.NewFrame(symmetric(c))
		if err != nil {
			return err
		}
		dense.GemmUpper(dense.Transposed, dense.NoTrans, weights[k], view(sum.Inverse()), view(sum.Inverse()), 1, grad)
		r.Objective += weights[k] * (sum.LogDet() - float64(n)*math.Ln2 - (fa.LogDet()-f.LogDet())/2)
		for i := range n {
			grad.Set(i, i, grad.At(i, i)-weights[k]/2)
		}
	}
	dense.Mirror(grad)
	norm := math.Sqrt(dense.Dot(grad.Data, grad.Data))
	r.GradientNorm, r.RelativeGradient, r.Certificate = norm, norm, solve.Certificate{Kind: "gradient", Value: 4 * norm}
	return nil
}
