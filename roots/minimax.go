package roots

import "math"

// quintic holds the odd polynomial a x + b x^3 + c x^5.
type quintic struct{ a, b, c float64 }

func (p quintic) at(x float64) float64 {
	s := x * x
	return x * (p.a + s*(p.b+s*p.c))
}

// minimaxQuintic returns the odd polynomial of degree 5 that best approximates 1 on [l, u], 0 < l < u, in the maximum norm, and its error,
// by Remez exchange on four points: l, u and the two interior extrema, whose squares are the roots of a + 3 b s + 5 c s^2 (Polar Express,
// Amsel, Persson, Musco and Gower 2025; Chen and Chow 2014). On short intervals it returns the limit (15, -10, 3)/8 scaled to the middle,
// whose error is as small to rounding.
func minimaxQuintic(l, u float64) (quintic, float64) {
	if u-l < 1e-3*u {
		m := 2 / (l + u)
		p := quintic{15. / 8 * m, -10. / 8 * m * m * m, 3. / 8 * m * m * m * m * m}
		return p, max(math.Abs(1-p.at(l)), math.Abs(1-p.at(u)))
	}
	q, r := l+(u-l)/4, l+3*(u-l)/4
	var p quintic
	var e float64
	for range 60 {
		p, e = equioscillate(l, q, r, u)
		disc := math.Sqrt(max(9*p.b*p.b-20*p.a*p.c, 0))
		q1, r1 := math.Sqrt((-3*p.b-disc)/(10*p.c)), math.Sqrt((-3*p.b+disc)/(10*p.c))
		moved := max(math.Abs(q1-q), math.Abs(r1-r))
		q, r = q1, r1
		if !(moved > 1e-14*u) {
			break
		}
	}
	return p, math.Abs(e)
}

// equioscillate solves p(x_i) + (-1)^i e = 1 at the four points for the coefficients of p and e.
func equioscillate(x0, x1, x2, x3 float64) (quintic, float64) {
	var m [4][5]float64
	sign := 1.0
	for i, x := range [4]float64{x0, x1, x2, x3} {
		m[i] = [5]float64{x, x * x * x, x * x * x * x * x, sign, 1}
		sign = -sign
	}
	for c := range 4 {
		piv := c
		for i := c + 1; i < 4; i++ {
			if math.Abs(m[i][c]) > math.Abs(m[piv][c]) {
				piv = i
			}
		}
		m[c], m[piv] = m[piv], m[c]
		for i := range 4 {
			if i == c {
				continue
			}
			f := m[i][c] / m[c][c]
			for k := c; k < 5; k++ {
				m[i][k] -= f * m[c][k]
			}
		}
	}
	return quintic{m[0][4] / m[0][0], m[1][4] / m[1][1], m[2][4] / m[2][2]}, m[3][4] / m[3][3]
}

// schedule is a sequence of polynomials whose composition maps [lower, 1] to [1-error, 1+error]; each is the minimax one for the interval that
// its predecessors leave, which is the best composition of its length (greedy optimality, Polar Express Theorem 3.1).
type schedule struct {
	polys []quintic
	error float64
}

// polarSchedule returns the schedule for singular values in [lower, 1] down to the error tol. Intervals wider than 1e3 to 1 are entered as if
// they were so: the polynomial then amplifies smaller values by its slope at 0 and stays within reach of the next interval, where the exact
// minimax polynomial would oscillate down to values that rounding destroys. Every interval is widened by the rounding of the step before it, in an
// arithmetic of unit roundoff eps; the next polynomial is steep at the ends and would amplify what lies outside.
func polarSchedule(lower, tol, eps float64) schedule {
	s := schedule{error: 1 - lower}
	l, u := lower, 1.0
	for len(s.polys) < 60 && s.error > tol {
		p, e := minimaxQuintic(max(l, u*1e-3), u)
		s.polys = append(s.polys, p)
		noise := 4 * eps * u * (math.Abs(p.a) + u*u*(math.Abs(p.b)+u*u*math.Abs(p.c)))
		if l < u*1e-3 {
			l = min(p.at(l), 1-e)
		} else {
			l = 1 - e
		}
		s.error = max(1-l, e)
		l, u = max(l-noise, l/2), 1+e+noise
		if e < 1e-14 {
			break
		}
	}
	return s
}

// polarSteps predicts the length of polarSchedule: each polynomial multiplies the smallest singular value by about 4 until all are within reach
// of 1, and the error is cubed afterwards.
func polarSteps(lower, tol float64) float64 {
	cubings := math.Log(max(1, -math.Log10(tol))) / math.Log(3)
	return max(1, math.Ceil(0.5+1.66*math.Log10(0.5/lower)+cubings))
}
