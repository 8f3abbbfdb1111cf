package spectral

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

func general(m dense.Matrix[float64]) blas64.General {
	return blas64.General{Rows: m.Rows, Cols: m.Cols, Stride: m.Stride, Data: m.Data}
}

// destination returns dst as a rows x cols kernel matrix, sizing an empty one.
func destination(dst *mat.Dense, rows, cols int, op string) dense.Matrix[float64] {
	if dst.IsEmpty() && rows > 0 && cols > 0 {
		dst.ReuseAs(rows, cols)
	}
	if r, c := dst.Dims(); r != rows || c != cols {
		mistake("%s: destination is %d x %d, need %d x %d", op, r, c, rows, cols)
	}
	return dense.Of(dst.RawMatrix())
}

// destinationSym returns the storage of dst, of which the upper triangle is the matrix, sizing an empty one.
func destinationSym(dst *mat.SymDense, n int, op string) dense.Matrix[float64] {
	if dst.IsEmpty() && n > 0 {
		dst.ReuseAsSym(n)
	}
	if k := dst.SymmetricDim(); k != n {
		mistake("%s: destination is %d x %[2]d, need %d x %[3]d", op, k, n)
	}
	raw := dst.RawSymmetric()
	if raw.Uplo != blas.Upper {
		mistake("%s: destination must store its upper triangle", op)
	}
	return dense.Matrix[float64]{Rows: n, Cols: n, Stride: raw.Stride, Data: raw.Data}
}

// source returns x as a kernel matrix: its own storage if it has one, otherwise a copy in buf.
func source(x mat.Matrix, buf []float64) dense.Matrix[float64] {
	if raw, ok := x.(mat.RawMatrixer); ok {
		return dense.Of(raw.RawMatrix())
	}
	r, c := x.Dims()
	m := dense.Wrap(r, c, buf)
	for i := range r {
		row := m.Row(i)
		for j := range row {
			row[j] = x.At(i, j)
		}
	}
	return m
}
