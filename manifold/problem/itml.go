package problem

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/itml"
	"github.com/spdopt/spdopt/manifold/solve"
)

// newITML checks the data and draws the pairs.
func newITML(d *Data, o *Options) (*itml.Objective, error) {
	x, err := checkSamples(d.Samples)
	if err != nil {
		return nil, err
	}
	if _, _, err := classes(d.Labels, x.Rows, "sample"); err != nil {
		return nil, err
	}
	m, err := manifold.NewAffine(x.Cols, manifold.AffineOptions{Kappa: o.Kappa, Retraction: o.Retraction})
	if err != nil {
		return nil, err
	}
	q, err := itml.New(m, x, d.Labels, itml.Options{Gamma: o.Gamma, Pairs: o.Pairs, Seed: o.Seed})
	if err != nil {
		return nil, &DataError{Where: "samples", Err: err, Remedy: "remove repeated samples, or scale the samples"}
	}
	return q, nil
}

// itmlBy runs a solver on the problem, by default from the identity.
func itmlBy(run func(*itml.Objective, *manifold.Frame, *Options) (*solve.Result, error)) func(*Data, *Options) (*outcome, error) {
	return func(d *Data, o *Options) (*outcome, error) {
		q, err := newITML(d, o)
		if err != nil {
			return nil, err
		}
		N, n := d.Samples.Dims()
		if err := o.startRows(n); err != nil {
			return nil, err
		}
		start := manifold.IdentityFrame(n, 1)
		if o.Start != nil {
			if start, err = o.startFrame(); err != nil {
				return nil, err
			}
		}
		r, err := run(q, start, o)
		if err != nil {
			return nil, fmt.Errorf("metric-learning: %w", err)
		}
		f := r.Point.(*manifold.Frame)
		parts := []Part{numberPart("pairs", float64(q.Pairs())), numberPart("pairs_beyond_bound", float64(q.Beyond(f)))}
		if gap := q.Gap(r.GradientNorm); !math.IsInf(gap, 1) {
			parts = append(parts, numberPart("gap", gap))
		}
		return &outcome{run: r, n: n, count: N, solution: f.Sym(), parts: parts}, nil
	}
}

// itmlNewton keeps to the trust region where states are written, which Newton's method has none of.
func itmlNewton(q *itml.Objective, start *manifold.Frame, o *Options) (*solve.Result, error) {
	if kept(o) {
		return itmlTrust(q, start, o)
	}
	return q.Newton(start, o.Start == nil, &o.Solver)
}

func itmlTrust(q *itml.Objective, start *manifold.Frame, o *Options) (*solve.Result, error) {
	return q.Trust(start, &o.Solver)
}

func itmlLBFGS(q *itml.Objective, start *manifold.Frame, o *Options) (*solve.Result, error) {
	return solve.LBFGS(q.Manifold, q, start, &o.Solver)
}

// itmlProjections always starts at the identity.
func itmlProjections(q *itml.Objective, _ *manifold.Frame, o *Options) (*solve.Result, error) {
	return q.Projections(&o.Solver)
}
