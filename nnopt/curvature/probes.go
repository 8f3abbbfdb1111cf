package curvature

import (
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
)

// ProbeKind is the distribution of the random vectors of an estimator.
type ProbeKind string

// The kinds of probes.
const (
	Rademacher ProbeKind = "rademacher" // elements 1 and -1
	Normal     ProbeKind = "normal"
)

// mostElements bounds the elements of all vectors of an estimator: 16 GiB.
const mostElements = 1 << 31

// Probes say which random vectors an estimator uses.
type Probes struct {
	Products int       // products with the operator in all; must be positive and below the dimension where an estimator builds a basis
	Kind     ProbeKind // default Rademacher
	Rand     *rand.Rand
}

// Estimate is a number that was estimated, and how far it may be off.
type Estimate struct {
	Value float64
	// StdErr is the standard error of the mean over independent terms. It is 0 where only one term was taken.
	StdErr float64
}

// draw checks the probes and returns count of them, a row each, of n elements. multiple is what Products must be a multiple of.
func (p Probes) draw(n, count, multiple int) (dense.Matrix[float64], error) {
	if p.Products < 1 || p.Products%multiple != 0 {
		return dense.Matrix[float64]{}, dataError("products", "must be a positive multiple of %d, not %d", multiple, p.Products)
	}
	if p.Rand == nil {
		return dense.Matrix[float64]{}, errNoRandom
	}
	if n > 0 && count > mostElements/n {
		return dense.Matrix[float64]{}, dataError("products", "%d vectors of %d elements are too many to hold; take fewer", count, n)
	}
	m := dense.New[float64](count, n)
	for i := range m.Data {
		switch p.Kind {
		case "", Rademacher:
			m.Data[i] = 1 - 2*float64(p.Rand.Uint64()>>63)
		case Normal:
			m.Data[i] = p.Rand.NormFloat64()
		default:
			return m, dataError("probes", "must be rademacher or normal, not %q", p.Kind)
		}
	}
	return m, nil
}

// What a call lacks.
var (
	errNoRandom   = dataError("rand", "is nil; give the estimator a source of random numbers")
	errNoOperator = dataError("operator", "is nil")
	errNoNetwork  = dataError("network", "is nil")
	errNoRisk     = dataError("risk", "is nil or zero; make it with NewRisk")
)

// squareDim demands that an operator is square, and returns its dimension.
func squareDim(a Operator) (int, error) {
	if a == nil {
		return 0, errNoOperator
	}
	rows, cols := a.Dims()
	if rows != cols {
		return 0, dataError("operator", "is %d x %d; it must be square", rows, cols)
	}
	return rows, nil
}

// products returns A applied to the rows of x.
func products(a Operator, x dense.Matrix[float64]) (dense.Matrix[float64], error) {
	rows, _ := a.Dims()
	y := dense.New[float64](x.Rows, rows)
	for i := range x.Rows {
		a.MulTo(y.Row(i), x.Row(i))
		if k := notFinite(y.Row(i)); k >= 0 {
			return y, dataError("product", "element %d is %v", k, y.At(i, k))
		}
	}
	return y, nil
}

// checkPreconditioner demands the size of a preconditioner, if there is one.
func checkPreconditioner(p Operator, n int) error {
	if p == nil {
		return nil
	}
	if rows, cols := p.Dims(); rows != n || cols != n {
		return dataError("preconditioner", "is %d x %d for an operator of %d", rows, cols, n)
	}
	return nil
}

// meanOf returns the mean of numbers and its standard error.
func meanOf(x []float64) Estimate {
	n := float64(len(x))
	var mean, sum float64
	for _, v := range x {
		mean += v / n
	}
	for _, v := range x {
		sum += (v - mean) * (v - mean)
	}
	e := Estimate{Value: mean}
	if len(x) > 1 {
		e.StdErr = math.Sqrt(sum / (n - 1) / n)
	}
	return e
}
