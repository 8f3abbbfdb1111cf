package problem

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

var shrinkage = Problem{
	Name:  "shrinkage",
	What:  "covariance (1-s) S + s (tr S/n) I with the share s chosen for the smallest expected error, or with the diagonal of S as target; for fewer samples than dimensions too",
	Input: "zero-mean samples (N x n, N >= 2)",
	Takes: Samples,
	Own: []Method{{
		Name:   "oas",
		What:   "oracle approximating shrinkage, for Gaussian samples (Chen, Wiesel, Eldar and Hero, IEEE Trans. Signal Process. 58 (2010), eq. 23)",
		direct: shrinkBy(oasShare, shrinkClosedForm),
	}, {
		Name:   "ledoit-wolf",
		What:   "asymptotically optimal for any distribution with fourth moments (Ledoit and Wolf, J. Multivariate Anal. 88 (2004))",
		direct: shrinkBy(ledoitWolfShare, shrinkClosedForm),
	}, {
		Name:   "rblw",
		What:   "Rao-Blackwell improvement of Ledoit-Wolf for Gaussian samples (Chen et al., 2010, eq. 17)",
		direct: shrinkBy(rblwShare, shrinkClosedForm),
	}, schaeferStrimmer, {
		Name: "trust",
		What: "the share of oas, and the matrix as the Gaussian maximum a posteriori estimate: minimize log det X + (1-s) tr(X^-1 S) + s (tr S/n) tr(X^-1) by the " +
			"Riemannian trust region, as a cross-check",
		direct: shrinkBy(oasShare, shrinkTrust), resumes: true,
	}},
}

// shrinkData is what the formulas need: S = X'X/N, its trace and squared Frobenius norm, and the mean of ||x||^4.
type shrinkData struct {
	s                     dense.Matrix[float64]
	N, n                  float64
	trace, square, fourth float64
}

func oasShare(d *shrinkData) float64 {
	return ((1-2/d.n)*d.square + d.trace*d.trace) / ((d.N + 1 - 2/d.n) * d.spread())
}

func rblwShare(d *shrinkData) float64 {
	return ((d.N-2)/d.N*d.square + d.trace*d.trace) / ((d.N + 2) * d.spread())
}

func ledoitWolfShare(d *shrinkData) float64 { return (d.fourth - d.square) / (d.N * d.spread()) }

// spread is ||S - (tr S/n) I||_F^2.
func (d *shrinkData) spread() float64 { return d.square - d.trace*d.trace/d.n }

// samplesToShrink returns the samples, at least two, and what the estimates need of them.
func samplesToShrink(data *Data) (x dense.Matrix[float64], d *shrinkData, err error) {
	if x, err = checkSamples(data.Samples); err != nil {
		return x, nil, err
	}
	if x.Rows < 2 {
		return x, nil, tooFewToShrink(x.Rows)
	}
	return x, newShrinkData(x), nil
}

func newShrinkData(x dense.Matrix[float64]) *shrinkData {
	d := &shrinkData{s: dense.New[float64](x.Cols, x.Cols), N: float64(x.Rows), n: float64(x.Cols)}
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1/d.N, x, x, 0, d.s)
	dense.Mirror(d.s)
	for i := range x.Rows {
		q := dense.Dot(x.Row(i), x.Row(i))
		d.fourth += q * q / d.N
	}
	for i := range x.Cols {
		d.trace += d.s.At(i, i)
	}
	d.square = dense.Dot(d.s.Data, d.s.Data)
	return d
}

// shrinkBy chooses the share and has find return the estimate, which is given to it in closed form.
func shrinkBy(share func(*shrinkData) float64, find func(target *manifold.Frame, s float64, o *Options) (*solve.Result, error)) func(*Data, *Options) (*outcome, error) {
	return func(data *Data, o *Options) (*outcome, error) {
		x, d, err := samplesToShrink(data)
		if err != nil {
			return nil, err
		}
		if !(d.trace > 0) || math.IsInf(d.square+d.fourth, 1) {
			return nil, &DataError{Err: fmt.Errorf("the mean square of the samples is %v and that of their squares %v; both must be positive and finite", d.trace, d.fourth),
				Remedy: "scale the samples, or remove constant ones"}
		}
		s := 1.0
		if d.spread() > 0 {
			s = min(max(share(d), 0), 1)
		}
		dense.Scale(1-s, d.s.Data, d.s.Data)
		for i := range d.s.Rows {
			d.s.Set(i, i, d.s.At(i, i)+s*d.trace/d.n)
		}
		target, err := manifold.NewFrame(symmetric(d.s))
		if err != nil {
			return nil, &DataError{Where: fmt.Sprintf("estimate with share %.3g", s), Err: err, Remedy: "drop columns that depend on others"}
		}
		out := &outcome{n: x.Cols, count: x.Rows, solution: symmetric(d.s), parts: []Part{numberPart("share", s)}}
		if out.run, err = find(target, s, o); err != nil {
			return nil, fmt.Errorf("shrinkage: %w", err)
		}
		if out.run.Point != nil {
			out.solution = out.run.Point.(*manifold.Frame).Sym()
		}
		return out, nil
	}
}

func tooFewToShrink(count int) error {
	return &DataError{count: true, Err: fmt.Errorf("%d sample says nothing about its own accuracy", count), Remedy: "give at least two samples"}
}

func shrinkClosedForm(_ *manifold.Frame, s float64, _ *Options) (*solve.Result, error) {
	return &solve.Result{Converged: true, Evaluations: 1, Objective: s, Certificate: solve.Certificate{Kind: "closed-form"},
		Reason: solve.Reason{Name: "closed-form", Detail: fmt.Sprintf("a formula: share %.6g of the target", s), Converged: true}}, nil
}

// shrinkTrust runs the trust region on the log-determinant divergence from the target, from the multiple of the identity with its determinant.
func shrinkTrust(target *manifold.Frame, _ float64, o *Options) (*solve.Result, error) {
	m, err := manifold.NewAffine(target.Dim(), manifold.AffineOptions{Kappa: o.Kappa, Retraction: o.Retraction})
	if err != nil {
		return nil, err
	}
	l := newLogdet(m, target, 1)
	return solve.Trust(m, l, l.start(), &o.Solver)
}
