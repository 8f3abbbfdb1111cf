package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// andersonMemory is the number of differences that acceleration keeps unless it says otherwise.
const andersonMemory = 5

// anderson extrapolates a fixed point iteration x <- x + r(x): it combines the last points so that their residuals r nearly cancel (Anderson, J. ACM
// 12 (1965) 547-560; Walker and Ni, SIAM J. Numer. Anal. 49 (2011) 1715-1735, in the form with differences).
type anderson struct {
	x, r       []float64 // the last point and its residual
	known      bool      // there is one
	dx, dr     [][]float64
	count      int // differences that are kept, the newest first
	ex, er     [][]float64
	correction []float64
	rest       []float64
}

// newAnderson is for points of n elements. vector makes vectors, whose contents do not matter.
func newAnderson(n, memory int, vector func(n int) []float64) *anderson {
	a := &anderson{x: vector(n), r: vector(n), correction: vector(n), rest: vector(n)}
	for range memory {
		a.dx, a.dr = append(a.dx, vector(n)), append(a.dr, vector(n))
		a.ex, a.er = append(a.ex, vector(n)), append(a.er, vector(n))
	}
	return a
}

// forget drops what is known.
func (a *anderson) forget() { a.known, a.count = false, 0 }

// add makes x, with residual r, the present point. It returns -<dx, dr>/<dx, dx> of the difference to the last one, the curvature along it, or
// 1 if there is none. With free, constants have no effect on the residual and are left out of that.
func (a *anderson) add(x, r []float64, free bool) float64 {
	curvature := 1.0
	if a.known {
		last := len(a.dx) - 1
		dx, dr := a.dx[last], a.dr[last]
		copy(a.dx[1:], a.dx[:last])
		copy(a.dr[1:], a.dr[:last])
		a.dx[0], a.dr[0] = dx, dr
		for i, v := range x {
			dx[i], dr[i] = v-a.x[i], r[i]-a.r[i]
		}
		a.count = min(a.count+1, len(a.dx))
		s, c := dense.Dot(dx, dx), -dense.Dot(dx, dr)
		if free {
			mx, mr := meanOf(dx), meanOf(dr)
			s, c = s-mx*mx*float64(len(x)), c+mx*mr*float64(len(x))
		}
		if s > 0 {
			curvature = c / s
		}
	}
	copy(a.x, x)
	copy(a.r, r)
	a.known = true
	return curvature
}

// next returns the correction c and what is left of the residual, so that the step from the present point is c + B rest, where the iteration is x + B
// r for some approximate inverse B. The differences are made orthonormal, the newest first; those that depend on newer ones are left out.
func (a *anderson) next() (correction, rest []float64) {
	clear(a.correction)
	copy(a.rest, a.r)
	kept := 0
	for k := range a.count {
		er, ex := a.er[kept], a.ex[kept]
		copy(er, a.dr[k])
		copy(ex, a.dx[k])
		size := math.Sqrt(dense.Dot(er, er))
		for j := range kept {
			c := dense.Dot(a.er[j], er)
			dense.Axpy(-c, a.er[j], er)
			dense.Axpy(-c, a.ex[j], ex)
		}
		left := math.Sqrt(dense.Dot(er, er))
		if !(left > 1e-8*size) {
			continue
		}
		dense.Scale(1/left, er, er)
		dense.Scale(1/left, ex, ex)
		c := dense.Dot(er, a.rest)
		dense.Axpy(-c, er, a.rest)
		dense.Axpy(-c, ex, a.correction)
		kept++
	}
	return a.correction, a.rest
}

func meanOf(x []float64) float64 {
	var s float64
	for _, v := range x {
		s += v
	}
	return s / float64(len(x))
}
