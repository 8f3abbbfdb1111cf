package problem

import (
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
)

// The benchmark recipes of internal/gallery as Data.

func symmetrics(ms []dense.Matrix[float64]) []mat.Symmetric {
	out := make([]mat.Symmetric, len(ms))
	for i, m := range ms {
		out[i] = symmetric(m)
	}
	return out
}

// scattered returns count matrices with the same spectrum in independent eigenbases.
func scattered(n, count int, kappa float64) []mat.Symmetric {
	return symmetrics(gallery.KarcherScatter(gallery.MeanSeed, n, count, kappa))
}

// pairs returns count matrices C^1/2 exp(+-S_j) C^1/2, whose mean is C, and C.
func pairs(n, count int, kappa float64) ([]mat.Symmetric, *mat.SymDense) {
	a, c := gallery.KarcherPair(gallery.MeanSeed, n, count/2, kappa)
	return symmetrics(a), symmetric(c)
}

// heavyTailed returns 4n samples of a multivariate t distribution.
func heavyTailed(n int, kappa float64) *mat.Dense {
	x := gallery.Tyler(n, kappa)
	return mat.NewDense(x.Rows, x.Cols, x.Data)
}

func identity(n int) *mat.SymDense {
	s := mat.NewSymDense(n, nil)
	for i := range n {
		s.SetSym(i, i, 1)
	}
	return s
}

func arithmeticMean(ms []mat.Symmetric) *mat.SymDense {
	sum := mat.NewSymDense(ms[0].SymmetricDim(), nil)
	for _, m := range ms {
		sum.AddSym(sum, m)
	}
	sum.ScaleSym(1/float64(len(ms)), sum)
	return sum
}
