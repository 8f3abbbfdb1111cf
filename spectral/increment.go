package spectral

import (
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/absent"
	"github.com/spdopt/spdopt/internal/dense"
)

// Increment describes the target of an Update,
//
//	(1-Decay) S + DenseWeight Dense + Vectors diag(Weights) Vectors^T + Ridge I.
//
// Every part may be left out. The zero value is the target S itself.
type Increment struct {
	// Decay is the fraction of S that is forgotten.
	Decay float64
	// Dense is an n x n symmetric matrix, or nil.
	Dense mat.Symmetric
	// DenseWeight multiplies Dense; 0 means 1.
	DenseWeight float64
	// Vectors is n x k, one vector a column, or nil.
	Vectors *mat.Dense
	// Weights holds k weights of any sign for the columns of Vectors; nil means all 1.
	Weights []float64
	// Ridge adds a multiple of the identity.
	Ridge float64
	// InBasis says that Dense and Vectors are given in the eigenbasis: B^T T B and B^T V instead of T and V.
	InBasis bool
	// Congruent says that S Dense S and S Vectors are meant instead of Dense and Vectors, which is how a gradient enters.
	Congruent bool

	rows dense.Matrix[float64] // the vectors of an Accumulator, k x n, one a row, instead of Vectors
}

// Gradient is one descent step of length beta along the Riemannian gradient: S - beta kappa S G S to first order, for G = dL/dS. kappa = 2 is
// the Fisher-Rao metric 1/2 tr(S^-1 X S^-1 Y), kappa = 1 the affine-invariant metric without the factor 1/2.
func Gradient(g mat.Symmetric, beta, kappa float64) Increment {
	return weighted(Increment{Congruent: true}, g, -beta*kappa)
}

// InverseGradient is the step of Gradient for a gradient H = dL/d(S^-1) = -S G S with respect to the inverse: S + beta kappa H.
func InverseGradient(h mat.Symmetric, beta, kappa float64) Increment {
	return weighted(Increment{}, h, beta*kappa)
}

// MovingAverage is the step (1 - beta gamma) S + beta (Q + ridge I): the natural-gradient step (kappa = 2) of the objective
// 1/2 (gamma log det S + tr(S^-1 (Q + ridge I))), whose minimum is S = (Q + ridge I)/gamma. gamma = 1 is the exponential moving average.
func MovingAverage(q mat.Symmetric, beta, gamma, ridge float64) Increment {
	return weighted(Increment{Decay: beta * gamma, Ridge: beta * ridge}, q, beta)
}

// weighted adds w a to t; it leaves a out when w = 0, which DenseWeight would read as "not given".
func weighted(t Increment, a mat.Symmetric, w float64) Increment {
	if w != 0 {
		t.Dense, t.DenseWeight = a, w
	}
	return t
}

// lowRank is T = rows^T diag(w) rows in the eigenbasis; rows is k x n, one vector a row.
type lowRank struct {
	rows, scaled, turned dense.Matrix[float64] // B^T V, the same times w, and after the rotation
	w                    []float64             // nil: all 1
}

func (t *lowRank) weight(l int) float64 { return weightOf(t.w, l) }

func (t *Increment) check(n int) {
	if t.Dense != nil && absent.Matrix(t.Dense) {
		mistake("increment: Dense is a nil pointer; leave it nil")
	}
	if t.Dense != nil && t.Dense.SymmetricDim() != n {
		mistake("increment: Dense is %d x %[1]d, the factor %d x %[2]d", t.Dense.SymmetricDim(), n)
	}
	if t.Vectors != nil {
		r, k := t.Vectors.Dims()
		if r != n {
			mistake("increment: Vectors has %d rows, the factor dimension %d", r, n)
		}
		if t.Weights != nil && len(t.Weights) != k {
			mistake("increment: %d Weights for %d Vectors", len(t.Weights), k)
		}
	}
}

// vectors returns the vectors of t as they are stored: n x k, or k x n where rows is set.
func (t *Increment) vectors() dense.Matrix[float64] {
	if t.Vectors != nil {
		return dense.Of(t.Vectors.RawMatrix())
	}
	return t.rows
}

// symmetricTo fills the full n x n dst from the symmetric a times w.
func symmetricTo(dst dense.Matrix[float64], a mat.Symmetric, w float64) {
	n := dst.Rows
	if raw, ok := a.(mat.RawSymmetricer); ok {
		s := raw.RawSymmetric()
		for i := range n {
			from := s.Data[i*s.Stride+i : i*s.Stride+n]
			to := dst.Row(i)[i:]
			copy(to, from)
			if w != 1 {
				for j, v := range to {
					to[j] = w * v
				}
			}
		}
	} else {
		for i := range n {
			row := dst.Row(i)
			for j := i; j < n; j++ {
				row[j] = w * a.At(i, j)
			}
		}
	}
	dense.Mirror(dst)
}

// finite reports whether every number in t is.
func (t *Increment) finite() bool {
	if v := t.Decay + t.Ridge + t.DenseWeight; v-v != 0 {
		return false
	}
	if _, bad := firstNotFinite(t.Weights); bad {
		return false
	}
	if v := t.vectors(); v.Rows > 0 {
		for i := range v.Rows {
			if _, bad := firstNotFinite(v.Row(i)); bad {
				return false
			}
		}
	}
	if t.Dense != nil {
		n := t.Dense.SymmetricDim()
		for i := range n {
			for j := i; j < n; j++ {
				if v := t.Dense.At(i, j); v-v != 0 {
					return false
				}
			}
		}
	}
	return true
}
