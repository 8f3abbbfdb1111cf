package dense

import "math"

// BoundedAngle fills the skew-symmetric n with the generator of the bounded-angle (log-Jacobi) rotation that moves the eigenbasis of diag(d)
// towards that of diag(d) + t, where t is symmetric (its upper triangle is read) and every d is positive:
//
//	X_ij = t_ij/sqrt(d_i d_j), phi_ij = (d_j - d_i)/sqrt(d_i d_j) + x_j - x_i, theta_ij = 1/2 atan(2 X_ij/phi_ij), n_ij = tan(theta_ij/2).
//
// Where phi_ij = 0, theta_ij = pi/4 sign(X_ij). Every |theta_ij| <= pi/4, and to first order n_ij = t_ij/(2 (d_j - d_i)).
// x holds the (clipped, centred) diagonal of X, s and r = 1/s the square roots of d. n may be t.
func BoundedAngle[T Float](s, r, x []T, t, n Matrix[T]) {
	m := t.Rows
	for i := range m {
		n.Set(i, i, 0)
		for j := i + 1; j < m; j++ {
			X := float64(t.At(i, j) * (r[i] * r[j]))
			phi := float64(s[j]*r[i] - s[i]*r[j] + (x[j] - x[i]))
			v := T(math.Tan(math.Atan2(2*X, math.Abs(phi)) / 4))
			if phi < 0 {
				v = -v
			}
			n.Set(i, j, v)
			n.Set(j, i, -v)
		}
	}
}

// NormBound returns min(||n||_F, sqrt(||n||_1 ||n||_inf)) >= ||n||_2.
func NormBound[T Float](n Matrix[T]) float64 {
	var fro, inf float64
	cols := make([]float64, n.Cols)
	for i := range n.Rows {
		var row float64
		for j, v := range n.Row(i) {
			a := math.Abs(float64(v))
			fro += a * a
			row += a
			cols[j] += a
		}
		inf = max(inf, row)
	}
	var one float64
	for _, c := range cols {
		one = max(one, c)
	}
	return min(math.Sqrt(fro), math.Sqrt(one*inf))
}
