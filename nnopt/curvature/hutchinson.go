package curvature

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// HutchinsonTrace estimates the trace of a square operator by the mean of g^T A g over Products probes g (Hutchinson 1989). The error falls like the
// inverse root of their number.
func HutchinsonTrace(a Operator, p Probes) (Estimate, error) {
	n, err := squareDim(a)
	if err != nil {
		return Estimate{}, err
	}
	g, err := p.draw(n, p.Products, 1)
	if err != nil {
		return Estimate{}, err
	}
	return hutchinsonTrace(a, g)
}

func hutchinsonTrace(a Operator, g dense.Matrix[float64]) (Estimate, error) {
	y, err := products(a, g)
	if err != nil {
		return Estimate{}, err
	}
	forms := make([]float64, g.Rows)
	for i := range forms {
		forms[i] = dense.Dot(g.Row(i), y.Row(i))
	}
	return meanOf(forms), nil
}

// HutchinsonDiagonal estimates the diagonal of a square operator by the mean of g o A g over Products probes g.
func HutchinsonDiagonal(a Operator, p Probes) ([]float64, error) {
	n, err := squareDim(a)
	if err != nil {
		return nil, err
	}
	g, err := p.draw(n, p.Products, 1)
	if err != nil {
		return nil, err
	}
	return hutchinsonDiagonal(a, g)
}

func hutchinsonDiagonal(a Operator, g dense.Matrix[float64]) ([]float64, error) {
	y, err := products(a, g)
	if err != nil {
		return nil, err
	}
	d := make([]float64, g.Cols)
	for i := range g.Rows {
		for j, v := range g.Row(i) {
			d[j] += v * y.At(i, j) / float64(g.Rows)
		}
	}
	return d, nil
}

// SquaredFrobenius estimates the square of the Frobenius norm of any operator by the mean of ||A g||^2 over Products probes g, of the transposed operator
// where it has fewer rows than columns.
func SquaredFrobenius(a Operator, p Probes) (Estimate, error) {
	if a == nil {
		return Estimate{}, errNoOperator
	}
	a = upright(a)
	_, cols := a.Dims()
	g, err := p.draw(cols, p.Products, 1)
	if err != nil {
		return Estimate{}, err
	}
	return squaredFrobenius(a, g)
}

// upright returns A or A^T, whichever has at least as many rows as columns.
func upright(a Operator) Operator {
	if rows, cols := a.Dims(); rows < cols {
		return Adjoint(a)
	}
	return a
}

func squaredFrobenius(a Operator, g dense.Matrix[float64]) (Estimate, error) {
	y, err := products(a, g)
	if err != nil {
		return Estimate{}, err
	}
	squares := make([]float64, g.Rows)
	for i := range squares {
		squares[i] = dense.Dot(y.Row(i), y.Row(i))
		if math.IsInf(squares[i], 1) {
			return Estimate{}, dataError("product", "its square overflows")
		}
	}
	return meanOf(squares), nil
}
