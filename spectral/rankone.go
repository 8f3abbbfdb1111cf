package spectral

import (
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

// RankOne replaces S by S + rho v v^T exactly (to rounding), by the secular equation: O(n^2) and one product, less where eigenvalues deflate.
// The eigenpairs come out in ascending order. It returns a *DataError and leaves the factor alone if a number is not finite or the result is
// not positive definite, which only a negative rho can cause.
//
// Method: the roots of Li (LAPACK Working Note 89) with the eigenvectors of Gu and Eisenstat (1994), orthogonal to working precision however
// close the eigenvalues. B is re-orthogonalised by the measured defect as in Update.
func (f *Factor) RankOne(rho float64, v []float64) error {
	if len(v) != f.n {
		mistake("RankOne: vector of length %d, the factor dimension %d", len(v), f.n)
	}
	if f.n == 0 {
		return nil
	}
	f.ready()
	if err := f.rankOne(rho, v); err != nil {
		return err
	}
	f.monitor(f.turns - 1)
	return nil
}

func (f *Factor) rankOne(rho float64, v []float64) error {
	dense.Gemv(dense.Transposed, 1, f.b, v, 0, f.x)
	if !f.secular.Solve(f.d, f.x, rho) {
		return &DataError{"rank-one update", "the vector or its weight holds NaN or Inf, or S + rho v v^T overflows"}
	}
	f.secular.Values(f.next)
	if lo, hi := f.next[0], f.next[f.n-1]; !(lo >= smallest && hi <= largest) {
		return &DataError{"rank-one update", fmt.Sprintf("S + rho v v^T has the eigenvalues %.3g to %.3g; they must lie within [2^-1000, 2^1000]", lo, hi)}
	}
	f.secular.Apply(f.b)
	f.d, f.next = f.next, f.d
	f.turns++
	return nil
}

// RankK replaces S by S + V diag(w) V^T exactly, V n x k, as k rank-one updates; a nil w means all 1. Positive weights go first, so that every
// intermediate matrix is positive definite if the result is. On error the factor is left as it was.
func (f *Factor) RankK(v *mat.Dense, w []float64) error {
	n, k := v.Dims()
	if n != f.n || w != nil && len(w) != k {
		mistake("RankK: vectors are %d x %d with %d weights, the factor dimension %d", n, k, len(w), f.n)
	}
	f.ready()
	f.kept.save(f)
	rows := f.lowWork(n)
	before := f.turns
	for _, negative := range []bool{false, true} {
		for l := range k {
			rho := 1.0
			if w != nil {
				rho = w[l]
			}
			if rho == 0 || (rho < 0) != negative {
				continue
			}
			mat.Col(rows, l, v)
			if err := f.rankOne(rho, rows); err != nil {
				f.kept.restore(f)
				return fmt.Errorf("vector %d of %d: %w", l, k, err)
			}
		}
	}
	f.monitor(before)
	return nil
}

// kept is a copy of the state of a factor, for a step that may have to be undone.
type kept struct {
	b, d  []float64
	turns uint64
}

func (s *kept) save(f *Factor) {
	s.b = append(s.b[:0], f.b.Data...)
	s.d = append(s.d[:0], f.d...)
	s.turns = f.turns
}

func (s *kept) restore(f *Factor) {
	copy(f.b.Data, s.b)
	copy(f.d, s.d)
	f.turns = s.turns
}
