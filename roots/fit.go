package roots

import "math"

// rational is an approximation x^p ~ c0 + sum w_j/(x + s_j) with s_j >= 0 on [lo, hi], with |error| <= err max x^p there.
type rational struct {
	p, lo, hi, target float64
	s, w              []float64
	err, constant     float64
	a                 []float64 // workspace of the least squares problem
}

// maxPoles bounds the size of a fit; more poles than that do not help in double precision.
const maxPoles = 28

// require makes r approximate x^p on at least [lo, hi] to target relative to the largest value, and reports whether that succeeded. A fit that
// covers the interval is kept. Fitting costs some 10^6 flops.
//
// The poles are spread evenly in the logarithm over an interval somewhat wider than the data (which is nearly what the optimal ones do) and
// the weights fitted by least squares on a logarithmic grid; the error is measured on a grid four times finer and raised by a half.
func (r *rational) require(p, lo, hi, target float64) bool {
	if r.p == p && lo >= r.lo && hi <= r.hi && r.hi/r.lo <= 64*hi/lo && r.target == target && len(r.s) > 0 {
		return r.err <= target
	}
	r.p, r.lo, r.hi, r.target = p, lo/2, hi*2, target
	if p == -1 {
		r.s, r.w, r.err, r.constant = append(r.s[:0], 0), append(r.w[:0], 1), 0, 0
		return true
	}
	r.err = math.Inf(1)
	var bestS, bestW [maxPoles + 1]float64
	count, constant := 0, 0.0
	for n := max(4, fitPoles(r.hi/r.lo, target)-2); n <= maxPoles && r.err > target; n++ {
		for _, below := range [...]float64{0.02, 0.05, 0.1} {
			for _, above := range [...]float64{0.5, 3, 10, 30} {
				if e := r.try(n, below, above); e < r.err {
					r.err, count, constant = e, n, r.constant
					copy(bestS[:], r.s)
					copy(bestW[:], r.w)
					if e <= target {
						break
					}
				}
			}
			if r.err <= target {
				break
			}
		}
	}
	r.constant = constant
	r.s, r.w = append(r.s[:0], bestS[:count]...), append(r.w[:0], bestW[:count]...)
	return r.err <= target
}

// fitPoles predicts the number of poles for an interval of ratio cond, from measured fits.
func fitPoles(cond, target float64) int {
	return int(math.Ceil(3 + math.Log(1/target)*(0.25+math.Log(cond)/25)))
}

// try fits n poles between lo below and hi above and returns the error, relative to the largest value on the interval. The constant term c0
// is fitted with the weights.
func (r *rational) try(n int, below, above float64) float64 {
	l0, l1 := math.Log(r.lo*below), math.Log(r.hi*above)
	r.s = r.s[:0]
	for j := range n {
		r.s = append(r.s, math.Exp(l0+(l1-l0)*float64(j)/float64(n-1)))
	}
	span := math.Log(r.hi / r.lo)
	points := max(5*n, int(8*span))
	cols := n + 2 // n poles, the constant, the right-hand side
	if cap(r.a) < points*cols {
		r.a = make([]float64, points*cols)
	}
	a := r.a[:points*cols]
	top := math.Max(math.Pow(r.lo, r.p), math.Pow(r.hi, r.p))
	for i := range points {
		x := r.lo * math.Exp(span*float64(i)/float64(points-1))
		row := a[i*cols : (i+1)*cols]
		for j, s := range r.s {
			row[j] = (r.lo + s) / (x + s)
		}
		row[n] = 1
		row[n+1] = math.Pow(x, r.p) / top
	}
	var sol [maxPoles + 1]float64
	leastSquares(a, points, cols, sol[:n+1])
	r.w, r.constant = r.w[:0], sol[n]*top
	size := 0.0
	for j, s := range r.s {
		size += math.Abs(sol[j])
		r.w = append(r.w, sol[j]*(r.lo+s)*top)
	}
	if size > 1e3 {
		return math.Inf(1)
	}
	var worst float64
	for i := range 4 * points {
		x := r.lo * math.Exp(span*float64(i)/float64(4*points-1))
		v := sol[n] - math.Pow(x, r.p)/top
		for j, s := range r.s {
			v += sol[j] * (r.lo + s) / (x + s)
		}
		worst = max(worst, math.Abs(v))
	}
	return 1.5 * worst
}

// leastSquares solves the rows x (cols-1) problem whose right-hand side is the last column of the row-major a, by Householder reflections; a
// is overwritten. Columns that depend on the earlier ones to rounding get the coefficient 0.
func leastSquares(a []float64, rows, cols int, sol []float64) {
	n := cols - 1
	at := func(i, j int) *float64 { return &a[i*cols+j] }
	for k := range n {
		var s float64
		for i := k; i < rows; i++ {
			s += *at(i, k) * *at(i, k)
		}
		alpha := math.Copysign(math.Sqrt(s), -*at(k, k))
		sol[k] = alpha
		if alpha == 0 {
			continue
		}
		*at(k, k) -= alpha
		h := alpha * *at(k, k)
		for j := k + 1; j < cols; j++ {
			var d float64
			for i := k; i < rows; i++ {
				d += *at(i, k) * *at(i, j)
			}
			d /= h
			for i := k; i < rows; i++ {
				*at(i, j) += d * *at(i, k)
			}
		}
	}
	for k := n - 1; k >= 0; k-- {
		v := *at(k, n)
		for j := k + 1; j < n; j++ {
			v -= *at(k, j) * sol[j]
		}
		if d := sol[k]; math.Abs(d) > 1e-14 {
			sol[k] = v / d
		} else {
			sol[k] = 0
		}
	}
}
