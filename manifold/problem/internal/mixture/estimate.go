package mixture

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

// plain makes the corners of the lifted matrices 1.
func (g *Mixture) plain() {
	var sum float64
	for c := range g.parts {
		p := &g.parts[c]
		root := p.l.At(0, 0)
		p.share *= math.Exp((1-1/(root*root))/2) / root
		for i := range p.l.Rows {
			p.l.Set(i, 0, p.l.At(i, 0)/root)
		}
		p.invert()
		sum += p.share
	}
	for c := range g.parts {
		g.parts[c].share /= sum
	}
}

// labels names the component with the largest responsibility for every sample.
func (g *Mixture) labels() []float64 {
	labels := make([]float64, g.resp.Cols)
	for i := range labels {
		best := 0
		for c := range g.resp.Rows {
			if g.resp.At(c, i) > g.resp.At(best, i) {
				best = c
			}
		}
		labels[i] = float64(best)
	}
	return labels
}

// Estimate is a mixture in the coordinates that the samples came in.
type Estimate struct {
	Weights     []float64
	Means       *mat.Dense    // one a row
	Covariances []*mat.Dense  // of the components
	Total       *mat.SymDense // covariance of the mixture
	Labels      []float64     // the component of each sample
}

// Estimate returns the mixture.
func (g *Mixture) Estimate() Estimate {
	n, k := g.y.Cols-1, len(g.parts)
	e := Estimate{Weights: make([]float64, k), Means: mat.NewDense(k, n, nil), Total: g.pooled.Sym()}
	g.plain()
	g.stage = double
	g.respond()
	for c, p := range g.parts {
		e.Weights[c] = p.share
		f, s := dense.New[float64](n, n), dense.New[float64](n, n)
		dense.MulLower(dense.NoTrans, dense.Of(g.pooled.F().RawMatrix()), p.l.View(1, 1, n, n), f)
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, f, f, 0, s)
		dense.Mirror(s)
		e.Covariances = append(e.Covariances, mat.NewDense(n, n, s.Data))
		m := make([]float64, n)
		for i := range m {
			m[i] = p.l.At(i+1, 0)
		}
		to := e.Means.RawRowView(c)
		copy(to, g.mean)
		dense.Gemv(dense.NoTrans, 1, dense.Of(g.pooled.F().RawMatrix()), m, 1, to)
	}
	e.Labels = g.labels()
	return e
}
