package roots

import (
	"errors"
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/spectral"
)

// ComputeFactor sets dst to the function of S that q names for a factor S = B diag(d) B^T: half a product, nothing is decomposed. An empty dst
// takes the size of S. Report.Bound holds for the matrix that the factor represents, whose basis is orthogonal to f.Defect.
func ComputeFactor(dst *mat.SymDense, f *spectral.Factor, q Query) (Report, error) {
	if err := present("dst", dst); err != nil {
		return Report{}, err
	}
	if f == nil {
		return Report{}, errors.New("roots: f is nil")
	}
	n := f.Dim()
	if dst.IsEmpty() && n > 0 {
		dst.ReuseAsSym(n)
	} else if dst.SymmetricDim() != n {
		mistake("ComputeFactor: dst is %d x %[1]d, the factor %d x %[2]d", dst.SymmetricDim(), n)
	}
	out := dense.New[float64](n, n)
	q.Columns = 0
	rep, err := computeFactor(out, dense.Matrix[float64]{}, f, q)
	if err == nil {
		for i := range n {
			for j := i; j < n; j++ {
				dst.SetSym(i, j, out.At(i, j))
			}
		}
	}
	return rep, err
}

func computeFactor(out, rhs dense.Matrix[float64], f *spectral.Factor, q Query) (Report, error) {
	q.N = f.Dim()
	rep := Report{Kind: q.Kind, N: q.N, Rank: q.N, Method: spectralMethod.Name, Residual: -1, Reason: "direct"}
	if err := q.normalise(); err != nil {
		return rep, err
	}
	rep.Power = q.Power
	if q.N == 0 {
		return rep, nil
	}
	j := &job[float64]{e: engine.CPU[float64](), Query: q, x: out, rhs: rhs, rep: &rep}
	w, order := sortedSpectrum(f.Eigenvalues())
	b := dense.New[float64](q.N, q.N)
	permuteColumns(b, dense.Of(f.Basis().RawMatrix()), order)
	if err := j.fromSpectrum(b, w); err != nil {
		return rep, err
	}
	scale(j.x, j.offset)
	// The eigenvalues are data here: only the products round, and the basis is orthogonal up to its defect.
	rep.Bound = 8*float64(q.N)*j.eps() + 2*f.Defect()
	return rep, nil
}
