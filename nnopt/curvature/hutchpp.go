package curvature

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// HutchPP estimates the trace of a square operator by Hutch++ (Meyer et al., arXiv:2010.09649): with Q an orthonormal basis of A S for a third of the
// probes, tr(Q^T A Q) plus Hutchinson's estimate of what is left. Products must be a multiple of 3, and a third of it below the dimension. It is exact
// once a third of the products reaches the rank, and its error falls like 1/Products for positive semidefinite operators.
func HutchPP(a Operator, p Probes) (Estimate, error) {
	n, err := squareDim(a)
	if err != nil {
		return Estimate{}, err
	}
	g, err := p.draw(n, 2*p.Products/3, 3)
	if err != nil {
		return Estimate{}, err
	}
	m := p.Products / 3
	if m >= n {
		return Estimate{}, dataError("products", "a third of %d is not below the dimension %d; form the operator instead", p.Products, n)
	}
	return hutchPP(a, g.View(0, 0, m, n), g.View(m, 0, m, n))
}

func hutchPP(a Operator, sketch, g dense.Matrix[float64]) (Estimate, error) {
	q, err := products(a, sketch)
	if err != nil {
		return Estimate{}, err
	}
	eigen.Orthonormalise(q)
	aq, err := products(a, q)
	if err != nil {
		return Estimate{}, err
	}
	var base float64
	for i := range q.Rows {
		base += dense.Dot(q.Row(i), aq.Row(i))
	}
	rest := g.Clone()
	for i := range rest.Rows {
		eigen.Project(q, q.Rows, rest.Row(i), func(int, float64) {})
	}
	e, err := hutchinsonTrace(a, rest)
	e.Value += base
	return e, err
}
