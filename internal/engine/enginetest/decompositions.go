package enginetest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// decompositions are rotations of well separated spectra in one block and in several, rows of which some depend on others, inverses, and conversions.
func decompositions[T dense.Float](e engine.Backend[T], r *rand.Rand, count, n int) (all []Operation[T]) {
	sym := Symmetric(Random[T](r, count, n, n), 1)
	for k := range count {
		m := sym.At(k)
		for i := range n {
			for j := range n {
				m.Set(i, j, m.At(i, j)/T(4*n))
			}
			m.Set(i, i, m.At(i, i)+T(i))
		}
	}
	for _, size := range []int{divisor(n, 45), divisor(n, 5)} {
		v := Random[T](r, count*(n/size), size, size)
		all = append(all, Operation[T]{fmt.Sprintf("Jacobi %d", size), func() { e.Jacobi(sym, size, 3, 1e-7, v) }, v.Data})
	}
	w, spare := Random[T](r, count, n-1, n), Random[T](r, count, n-1, n)
	copy(w.At(0).Row(2), w.At(0).Row(0))
	copy(w.At(count-1).Row(3), w.At(count-1).Row(0))
	copy(spare.At(count-1).Row(3), w.At(count-1).Row(1))
	squares := make([]T, count*(n-1))
	e.RowDots(w, w, squares)
	out, start := Copy(w), slices.Clone(w.Data)
	all = append(all, Operation[T]{"Orthonormalise", func() {
		copy(out.Data, start)
		e.Orthonormalise(0, min(n-1, 30), out, spare, squares)
	}, out.Data})
	definite, inverse := Random[T](r, count, n, n), Random[T](r, count, n, n)
	for k := range count {
		for i := range n {
			definite.At(k).Set(i, i, T(2*n))
		}
	}
	single, wide := make([]float32, len(definite.Data)), make([]T, len(definite.Data))
	return append(all,
		Operation[T]{"Invert", func() { copy(inverse.Data, definite.Data); e.Invert(inverse) }, inverse.Data},
		Operation[T]{"FromSingle", func() { e.ToSingle(definite.Data, single); e.FromSingle(single, wide) }, wide})
}

// divisor returns the largest divisor of n up to most.
func divisor(n, most int) int {
	for d := min(n, most); ; d-- {
		if n%d == 0 {
			return d
		}
	}
}
