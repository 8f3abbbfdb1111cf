package spectral

import (
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
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

// ScaleShift replaces S by c S + ridge I exactly, in O(n). With RankOne it makes the exact moving average of outer products. It returns a *DataError
// and leaves the factor alone if an eigenvalue would leave [2^-1000, 2^1000].
func (f *Factor) ScaleShift(c, ridge float64) error {
	for i, v := range f.d {
		f.next[i] = c*v + ridge
		if !(f.next[i] >= smallest && f.next[i] <= largest) {
			return &DataError{"scale and shift", fmt.Sprintf("eigenvalue %.3g would become %.3g; it must lie within [2^-1000, 2^1000]", v, f.next[i])}
		}
	}
	f.d, f.next = f.next, f.d
	return nil
}

func (f *Factor) rankOne(rho float64, v []float64) error {
	dense.Gemv(dense.Transposed, 1, f.b, v, 0, f.x)
	if !f.secular.Solve(f.d, f.x, rho) {
		return &DataError{"rank-one update", "the vector or its weight holds NaN or Inf, or S + rho v v^T overflows"}
	}
	f.secular.Values(f.next)
	if err := inRange("rank-one update", f.next); err != nil {
		return err
	}
	f.secular.Apply(f.b)
	f.d, f.next = f.next, f.d
	f.turns++
	return nil
}

// manyVectors is the number of vectors above which one decomposition costs less than as many rank-one updates.
const manyVectors = 6

// RankK replaces S by S + V diag(w) V^T exactly, V n x k; a nil w means all 1. Up to six vectors are as many rank-one updates, positive weights
// first, so that every intermediate matrix is positive definite if the result is; more are one symmetric eigendecomposition of the formed result.
// The eigenpairs come out in ascending order. A nil V is a *DataError. On error the factor is left as it was.
func (f *Factor) RankK(v *mat.Dense, w []float64) error {
	if v == nil {
		return &DataError{"vectors", "are nil"}
	}
	n, k := v.Dims()
	if n != f.n || w != nil && len(w) != k {
		mistake("RankK: vectors are %d x %d with %d weights, the factor dimension %d", n, k, len(w), f.n)
	}
	f.ready()
	if k > manyVectors {
		return f.decomposeSum(v, w)
	}
	f.kept.save(f)
	vec := f.lowWork(n)
	before := f.turns
	for _, negative := range []bool{false, true} {
		for l := range k {
			rho := weightOf(w, l)
			if rho == 0 || (rho < 0) != negative {
				continue
			}
			mat.Col(vec, l, v)
			if err := f.rankOne(rho, vec); err != nil {
				f.kept.restore(f)
				return fmt.Errorf("vector %d of %d: %w", l, k, err)
			}
		}
	}
	f.monitor(before)
	return nil
}

func weightOf(w []float64, l int) float64 {
	if w == nil {
		return 1
	}
	return w[l]
}

// decomposeSum is RankK by one decomposition of S + V diag(w) V^T.
func (f *Factor) decomposeSum(v *mat.Dense, w []float64) error {
	n, k := v.Dims()
	f.scaledBasis(0.5, f.gen)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, f.gen, f.gen, 0, f.m)
	scaled := dense.Wrap(n, k, f.lowWork(n*k))
	for i := range n {
		for l, x := range v.RawRowView(i) {
			scaled.Set(i, l, weightOf(w, l)*x)
		}
	}
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, scaled, dense.Of(v.RawMatrix()), 1, f.m)
	if !finiteUpper(f.m) || !eigen.Sym(f.m, f.next) {
		return &DataError{"rank-k update", "a vector or weight holds NaN or Inf, or S + V diag(w) V^T overflows"}
	}
	if err := inRange("rank-k update", f.next); err != nil {
		return err
	}
	f.b.Copy(f.m)
	f.d, f.next = f.next, f.d
	f.turns++
	f.monitor(f.turns - 1)
	return nil
}

// inRange reports ascending eigenvalues d outside the range that a factor keeps.
func inRange(what string, d []float64) error {
	if lo, hi := d[0], d[len(d)-1]; !(lo >= smallest && hi <= largest) {
		return &DataError{what, fmt.Sprintf("the result has the eigenvalues %.3g to %.3g; they must lie within [2^-1000, 2^1000]", lo, hi)}
	}
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
