package manifold

import (
	"github.com/spdopt/spdopt/internal/dense"
)

// pencil sets c = F_p^-1 T F_p^-T, T the matrix of q; it uses one matrix of p's scratch space.
func pencil(c dense.Matrix[float64], p, q *Frame) {
	w := p.scratch(1)[0]
	if p.lower && q.lower {
		dense.MulTriangles(p.inverse(), q.matrix(), w)
		dense.TriangleGram(dense.NoTrans, w, c)
		dense.MirrorLower(c)
		return
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, p.inverse(), q.matrix(), 0, w)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, w, w, 0, c)
	dense.Mirror(c)
}

// pencilValues returns the eigenvalues of p^-1 q in ascending order, in the scratch space of p.
func pencilValues(p, q *Frame) ([]float64, error) {
	c := p.scratch(2)[1]
	pencil(c, p, q)
	return positiveValues(c, p)
}

// pencilEigen returns the eigenvectors of F_p^-1 T F_p^-T, as columns, and its eigenvalues in ascending order, in the scratch space of p.
func pencilEigen(p, q *Frame) (dense.Matrix[float64], []float64, error) {
	c := p.scratch(2)[1]
	pencil(c, p, q)
	if !p.solver.Sym(c, p.values) || !(p.values[0] > 0) {
		return c, nil, indefinitePencil(p.values)
	}
	return c, p.values, nil
}

// positiveValues returns the eigenvalues of c, which is overwritten, in the scratch space of p. One that is not positive is an error.
func positiveValues(c dense.Matrix[float64], p *Frame) ([]float64, error) {
	if !p.solver.Values(c, p.values) || !(p.values[0] > 0) {
		return nil, indefinitePencil(p.values)
	}
	return p.values, nil
}

func indefinitePencil(values []float64) *PointError {
	return &PointError{What: "the pencil of the two points is not positive definite to rounding", Min: values[0], Max: values[len(values)-1]}
}

// pencilRange sets c = F_p^-1 T F_p^-T and returns its extreme eigenvalues.
func pencilRange(c dense.Matrix[float64], p, q *Frame) (low, high float64, err error) {
	pencil(c, p, q)
	w := p.scratch(2)[1]
	w.Copy(c)
	values, err := positiveValues(w, p)
	if err != nil {
		return 0, 0, err
	}
	return values[0], values[len(values)-1], nil
}
