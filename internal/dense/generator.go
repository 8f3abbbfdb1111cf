package dense

import (
	"math"
	"unsafe"
)

// BoundedAngle fills the skew-symmetric n with the generator of the bounded-angle (log-Jacobi) rotation that moves the eigenbasis of diag(d)
// towards that of diag(d) + t, where t is symmetric (its upper triangle is read) and every d is positive:
//
//	X_ij = t_ij/sqrt(d_i d_j), phi_ij = (d_j - d_i)/sqrt(d_i d_j) + x_j - x_i, theta_ij = 1/2 atan(2 X_ij/phi_ij), n_ij = tan(theta_ij/2).
//
// Where phi_ij = 0, theta_ij = pi/4 sign(X_ij). Every |theta_ij| <= pi/4, and to first order n_ij = t_ij/(2 (d_j - d_i)).
// x holds the (clipped, centred) diagonal of X, s and r = 1/s the square roots of d. n may be t.
//
// The tangent is computed from two square roots and one division. Values of |phi| and |2X| above 1e150 (1e18 in float32) are taken to be
// that large.
func BoundedAngle[T Float](s, r, x []T, t, n Matrix[T]) {
	m := t.Rows
	t.mustHave(m, m, "BoundedAngle")
	n.mustHave(m, m, "BoundedAngle")
	if len(s) != m || len(r) != m || len(x) != m {
		panic(Error("BoundedAngle: lengths do not fit"))
	}
	for i := range m {
		angles(s[i], r[i], x[i], s[i+1:], r[i+1:], x[i+1:], t.Row(i)[i+1:], n.Row(i)[i+1:])
	}
	MirrorSkew(n)
}

// FirstOrderAngle fills the skew-symmetric n with the published first-order generator n_ij = t_ij/(2 (d_j - d_i)), and zero where
// d_i = d_j. It is not bounded. The arguments are those of BoundedAngle.
func FirstOrderAngle[T Float](s, r []T, t, n Matrix[T]) {
	m := t.Rows
	t.mustHave(m, m, "FirstOrderAngle")
	n.mustHave(m, m, "FirstOrderAngle")
	if len(s) != m || len(r) != m {
		panic(Error("FirstOrderAngle: lengths do not fit"))
	}
	for i := range m {
		firstOrder(s[i], r[i], s[i+1:], r[i+1:], t.Row(i)[i+1:], n.Row(i)[i+1:])
	}
	MirrorSkew(n)
}

func angles[T Float](si, ri, xi T, s, r, x, t, out []T) {
	if len(out) == 0 || anglesKernel(si, ri, xi, s, r, x, t, out) {
		return
	}
	limit, tiny := portableLimits[T]()
	for j, v := range t {
		phi := T(s[j]*ri) - T(si*r[j]) + (x[j] - xi)
		v *= ri * r[j]
		v += v
		a, w := min(limit, T(math.Abs(float64(phi)))), min(limit, T(math.Abs(float64(v))))
		rho := T(math.Sqrt(float64(a*a + w*w)))
		sum := a + rho
		size := min(math.Sqrt2-1, w/max(tiny, sum+T(math.Sqrt(float64((rho+rho)*sum)))))
		if (phi < 0) != (v < 0) {
			size = -size
		}
		out[j] = size
	}
}

func portableLimits[T Float]() (limit, tiny T) {
	l, s := 1e150, 0x1p-1022
	if unsafe.Sizeof(limit) == 4 {
		l, s = 1e18, 0x1p-126
	}
	return T(l), T(s)
}

func firstOrder[T Float](si, ri T, s, r, t, out []T) {
	if len(out) == 0 || firstOrderKernel(si, ri, s, r, t, out) {
		return
	}
	for j, v := range t {
		gap := T(s[j]*ri) - T(si*r[j]) // rounded, so that equal d leave no gap
		if gap == 0 {
			out[j] = 0
			continue
		}
		out[j] = v * (ri * r[j]) / (gap + gap)
	}
}

// NormBound returns min(||n||_F, ||n||_1) >= ||n||_2 for a skew-symmetric or symmetric n, whose one norm and infinity norm agree.
func NormBound[T Float](n Matrix[T]) float64 {
	var squares, one float64
	for i := range n.Rows {
		abs, sq := norms(n.Row(i))
		squares += float64(sq)
		one = max(one, float64(abs))
	}
	if low, _ := squareRange[T](); one > 0 && one*one < low {
		squares = 0
		for i := range n.Rows {
			squares += ratios(n.Row(i), one)
		}
		return one * min(math.Sqrt(squares), 1)
	}
	return min(math.Sqrt(squares), one)
}

// squareRange bounds sums of squares that are right to rounding: below and above, elements that matter may have squares beyond the range of T.
func squareRange[T Float]() (low, high float64) {
	if unsafe.Sizeof(T(0)) == 4 {
		return 0x1p-80, math.MaxFloat32
	}
	return 0x1p-900, math.MaxFloat64
}

// ratios returns the sum of the squares of x over those of a size.
func ratios[T Float](x []T, size float64) (sum float64) {
	for _, v := range x {
		r := float64(v) / size
		sum += r * r
	}
	return sum
}

// norm2 returns ||x||_2, also where squares are beyond the range of T.
func norm2[T Float](x []T) float64 {
	squares := float64(Dot(x, x))
	if low, high := squareRange[T](); squares >= low && squares <= high {
		return math.Sqrt(squares)
	}
	var top float64
	for _, v := range x {
		top = max(top, math.Abs(float64(v)))
	}
	if top == 0 || !(top <= math.MaxFloat64) {
		return top
	}
	return top * math.Sqrt(ratios(x, top))
}

// NormEstimate estimates ||n||_2 of a skew-symmetric or symmetric n from below by three power steps from the row of the largest norm, a start that
// permutations and signs of the basis carry along. Typically it is right to a fifth. work needs 2 n elements.
func NormEstimate[T Float](n Matrix[T], work []T) float64 {
	n.mustHave(n.Rows, n.Rows, "NormEstimate")
	v, w := work[:n.Rows], work[n.Rows:2*n.Rows]
	var est float64
	for i := range n.Rows {
		if norm := norm2(n.Row(i)); norm > est {
			est = norm
			copy(v, n.Row(i))
		}
	}
	if est == 0 {
		return 0
	}
	norm := est
	for range 3 {
		for i := range v {
			v[i] /= T(norm)
		}
		Gemv(NoTrans, 1, n, v, 0, w)
		norm = norm2(w)
		if norm == 0 {
			break
		}
		est = max(est, norm)
		v, w = w, v
	}
	return est
}

// norms returns the sum of |x| and the sum of the squares.
func norms[T Float](x []T) (abs, squares T) {
	var d [2]T
	if len(x) == 0 || normsKernel(x, &d) {
		return d[0], d[1]
	}
	for _, v := range x {
		abs += T(math.Abs(float64(v)))
		squares += v * v
	}
	return abs, squares
}
