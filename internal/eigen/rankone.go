package eigen

import "github.com/spdopt/spdopt/internal/dense"

// Solve decomposes diag(d) + rho z z^T. d may come in any order and rho may have any sign. It reports false if the data holds NaN or Inf or
// an eigenvalue overflows; the receiver is then not usable until the next Solve. d and z are only read.
//
// Eigenvalues are backward stable and the eigenvectors orthogonal to working precision, however close the eigenvalues: the roots are exact for
// weights recomputed from them (Gu and Eisenstat 1994, equation 3.3). O(n^2).
func (s *Secular) Solve(d, z []float64, rho float64) bool {
	if len(d) != len(z) {
		panic(dense.Error("Secular.Solve: d and z differ in length"))
	}
	if !s.prepare(d, z, rho) {
		return false
	}
	s.solve(nil)
	s.order()
	return s.k == 0 || finite(s.lam[s.k-1]/s.scale)
}

// applyRows bounds the workspace of Apply: so many rows are multiplied at a time.
const applyRows = 256

// Apply replaces q (m x n) by q U, U the eigenvectors of the last Solve: the columns of q are then the eigenvectors of
// q (diag(d) + rho z z^T) q^T in the order of Values. It costs one product of m x k by k x k, k the number of undeflated eigenvalues.
func (s *Secular) Apply(q dense.Matrix[float64]) {
	if q.Cols != s.n {
		panic(dense.Error("Secular.Apply: the columns of q do not fit the problem"))
	}
	whole := s.k == s.n && !s.negate && s.inOrder()
	rows := min(q.Rows, applyRows)
	s.buf = grow(s.buf, rows*s.n)
	if !whole {
		s.out = grow(s.out, rows*s.k)
	}
	ut := dense.Wrap(s.k, s.k, s.ut)
	for top := 0; top < q.Rows; top += rows {
		part := q.View(top, 0, min(rows, q.Rows-top), s.n)
		in := dense.Matrix[float64]{Rows: part.Rows, Cols: s.k, Stride: s.n, Data: s.buf}
		for i := range part.Rows {
			s.gather(part.Row(i), s.buf[i*s.n:][:s.n])
		}
		if whole {
			dense.Gemm(dense.NoTrans, dense.Transposed, 1, in, ut, 0, part)
			continue
		}
		out := dense.Wrap(part.Rows, s.k, s.out)
		if s.k > 0 {
			dense.Gemm(dense.NoTrans, dense.Transposed, 1, in, ut, 0, out)
		}
		for i := range part.Rows {
			row := part.Row(i)
			for j := range s.k {
				row[s.place[j]] = out.Data[i*s.k+j]
			}
			for j, v := range s.buf[i*s.n+s.k:][:len(s.drop)] {
				row[s.place[s.k+j]] = v
			}
		}
	}
}

// gather applies the deflating rotations to a row and writes the kept entries, then the dropped ones, to dst.
func (s *Secular) gather(row, dst []float64) {
	for _, r := range s.rot {
		x, y := row[r.a], row[r.b]
		row[r.a] = r.c*x + r.s*y
		row[r.b] = r.c*y - r.s*x
	}
	for j, i := range s.keep {
		dst[j] = row[i]
	}
	for j, i := range s.drop {
		dst[s.k+j] = row[i]
	}
}

func (s *Secular) inOrder() bool {
	for j, p := range s.place[:s.k] {
		if p != j {
			return false
		}
	}
	return true
}

// Matrix writes the orthogonal n x n matrix U of eigenvectors of diag(d) + rho z z^T, as columns in the order of Values, to u.
func (s *Secular) Matrix(u dense.Matrix[float64]) {
	if u.Rows != s.n || u.Cols != s.n {
		panic(dense.Error("Secular.Matrix: u does not fit the problem"))
	}
	u.Zero()
	for j := range s.k {
		row := u.Row(s.place[j])
		for p, i := range s.keep {
			row[i] = s.ut[j*s.k+p]
		}
	}
	for j, i := range s.drop {
		u.Set(s.place[s.k+j], i, 1)
	}
	for p := range s.n {
		row := u.Row(p)
		for t := len(s.rot) - 1; t >= 0; t-- {
			r := s.rot[t]
			x, y := row[r.a], row[r.b]
			row[r.a] = r.c*x - r.s*y
			row[r.b] = r.c*y + r.s*x
		}
	}
	transpose(u)
}

// transpose transposes the square u in place, by tiles.
func transpose(u dense.Matrix[float64]) {
	const tile = 16
	n := u.Rows
	for i0 := 0; i0 < n; i0 += tile {
		for j0 := i0; j0 < n; j0 += tile {
			for i := i0; i < min(i0+tile, n); i++ {
				row := u.Row(i)
				for j := max(j0, i+1); j < min(j0+tile, n); j++ {
					row[j], u.Data[j*u.Stride+i] = u.Data[j*u.Stride+i], row[j]
				}
			}
		}
	}
}

// RankOne turns the decomposition q diag(d) q^T (q n x n orthogonal, d in any order) into that of q diag(d) q^T + rho v v^T, in place: d
// becomes ascending. z, of length n, receives q^T v. It reports false, leaving q and d alone, if anything is NaN or Inf or overflows.
// O(n^2) and one product, less with deflation. 1000 updates at n = 200 leave q orthogonal to a few 1e-13.
func (s *Secular) RankOne(q dense.Matrix[float64], d []float64, rho float64, v, z []float64) bool {
	dense.Gemv(dense.Transposed, 1, q, v, 0, z)
	if !s.Solve(d, z, rho) {
		return false
	}
	s.Values(d)
	s.Apply(q)
	return true
}
