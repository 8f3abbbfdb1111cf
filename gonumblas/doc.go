// Package gonumblas offers the dense kernels of spdopt as an implementation of gonum's BLAS, so that an application can make its own gonum
// code faster:
//
//	blas64.Use(gonumblas.Implementation{})
//	blas32.Use(gonumblas.Implementation{})
//
// Nothing in spdopt installs it: that choice belongs to the program, since it is global to it.
package gonumblas

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// Implementation is gonum's own BLAS with the products, triangular solves and matrix-vector products of float64 and float32 replaced: Xgemm,
// Xsyrk, Xsyr2k, Xsymm, Xtrmm, Xtrsm, Xgemv (unit increments) and Xger (unit increments). Everything else is gonum's. Arguments that gonum
// rejects panic with gonum's messages. Results have the same bits for any GOMAXPROCS, and differ from gonum's by rounding, and where there are NaN or Inf:
// alpha = 0 reads no operand, as in the reference BLAS, and otherwise 0 times NaN is NaN, where gonum skips some zeros.
type Implementation struct{ gonum.Implementation }

var (
	_ blas.Float64 = Implementation{}
	_ blas.Float32 = Implementation{}
)
