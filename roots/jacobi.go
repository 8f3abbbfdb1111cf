package roots

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/matfun"
)

var jacobiMethod = Method{
	Name:   "jacobi",
	device: true,
	Title:  "eigendecomposition by two-sided block Jacobi, any function; made of products, in the precision of the input, for devices",
	Source: "Golub and Van Loan, Matrix Computations, 8.5; Luk and Park, Math. Comp. 52 (1989)",
	Can:    eigenMethod.Can,
	Work:   func(q Query) float64 { return jacobiWork + applyWork(q, 2) },
	exact:  true,
	Bound:  func(q Query) float64 { return q.rounding(8) },
	rate:   rate{13, 22, 24, 152, 142, 63, 15, 15, 15, 15},
	run64:  runJacobi[float64],
	run32:  runJacobi[float32],
}

// jacobiWork is the work of eight sweeps, which a cold start takes, in products.
const jacobiWork = 50

func runJacobi[T dense.Float](j *job[T]) error {
	n := j.N
	q, w := j.new(n, n), make([]T, n)
	sweeps, err := matfun.NewEigen(j.e, j.arena, 1, n).Solve(engine.One(j.a), engine.One(q), w, false)
	if err != nil {
		return &MethodError{j.rep.Method, err.Error()}
	}
	j.rep.Iterations += sweeps
	j.count(jacobiWork / 8 * float64(sweeps+1) * float64(n) * float64(n) * float64(n))
	values := make([]float64, n)
	for i, v := range w {
		values[i] = float64(v)
	}
	if noise := 4 * float64(n) * j.eps() * values[n-1]; j.Single && j.needsPositive() && j.cutoff == 0 && values[0] <= noise {
		return &MethodError{j.rep.Method, "the smallest eigenvalue is below what float32 shows"}
	}
	f := make([]float64, n)
	if err := j.mapSpectrum(values, f); err != nil {
		return err
	}
	if !j.Single {
		j.spectrum = values
	}
	j.lo, j.hi = values[0], values[n-1]
	for i, v := range f {
		w[i] = T(v)
	}
	j.formOnEngine(q, w)
	return nil
}

// formOnEngine sets x to q diag(f) q^T, or to its product with the right-hand sides, where the job computes.
func (j *job[T]) formOnEngine(q dense.Matrix[T], f []T) {
	if j.Columns == 0 {
		y := j.new(j.N, j.N)
		j.e.ScaleCols(f, engine.One(q), 0, engine.One(y))
		j.symm(dense.NoTrans, dense.Transposed, 1, y, q, j.x)
		return
	}
	y := j.new(j.N, j.Columns)
	j.gemm(dense.Transposed, dense.NoTrans, 1, q, j.rhs, 0, y)
	j.e.ScaleRows(f, engine.One(y), 0, engine.One(y))
	j.gemm(dense.NoTrans, dense.NoTrans, 1, q, y, 0, j.x)
}
