package manifold

import "gonum.org/v1/gonum/mat"

// Comparison is a distance between SPD matrices that comes with means of many but with no Riemannian metric of its own.
type Comparison struct {
	Name     string // as used on the command line
	What     string // one line
	Distance func(a, b mat.Symmetric) (float64, error)
	// Mean and Median return what the iteration of the distance converges to; nil weights are equal.
	Mean, Median func(ms []mat.Symmetric, weights []float64) (*mat.SymDense, error)
}

// Comparisons returns every distance that is no metric of Metrics, in a fixed order.
func Comparisons() []Comparison {
	return []Comparison{
		stein,
		thompson,
	}
}
