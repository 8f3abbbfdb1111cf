package design

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

const (
	// newtonNear is the residual, relative to d, below which Newton steps are tried; each costs k^3/3 for k points, and far from the optimum the points
	// without weight are too many.
	newtonNear = 0.05
	// newtonFull is the Newton decrement up to which steps are taken whole; beyond, they are shortened as log det, which is self-concordant, asks for.
	newtonFull = 0.25
	// newtonSlack is by how much log det M may fall in a Newton step, relative to d: rounding.
	newtonSlack = 1e-13
)

// newton makes a Newton step, computes g afresh and returns log det M, given the one before, and how far weights moved. A step that the equations
// do not allow, or that lowers log det M without halving the residual (near the optimum the former is rounding), is taken back, and ok false.
func (s *Design) newton(logDet float64) (value, moved float64, ok bool, err error) {
	before, residual := s.p[0], s.residual() // p is of use in exchanges only
	copy(before, s.u)
	if moved, ok = s.newtonStep(); !ok {
		copy(s.u, before)
		return logDet, 0, false, nil
	}
	if value, err = s.refresh(); err == nil && (value >= logDet-newtonSlack*float64(s.y.Cols) || s.residual() <= residual/2) {
		return value, moved, true, nil
	}
	copy(s.u, before)
	value, err = s.refresh()
	return value, 0, false, err
}

// residual returns the larger of what extremes says of both sides.
func (s *Design) residual() float64 {
	_, _, above, below := s.extremes()
	return max(above, below)
}

// newtonStep makes a step of the projected Newton method (Bertsekas, SIAM J. Control Optim. 20 (1982) 221-246) on log det M(u) - d (sum u - 1), u >= 0,
// whose gradient is g - d and whose Hessian is -G, G_ij = (y_i' M^-1 y_j)^2, over the points that have weight or want some; weights that would become
// negative become zero. It returns the length of the step, or false where there are too many such points, or the equations are singular.
func (s *Design) newtonStep() (moved float64, ok bool) {
	d := float64(s.y.Cols)
	free := s.free[:0]
	for i, g := range s.g {
		if s.u[i] > 0 || g > d {
			free = append(free, i)
		}
	}
	s.free = free
	k := len(free)
	if most := s.y.Cols * (s.y.Cols + 1) / 2; k > most || k > largestSupport {
		return 0, false
	}
	g, w := s.squares(free), dense.Wrap(k, 1, s.p[1][:k])
	for a, i := range free {
		w.Data[a] = s.g[i] - d
	}
	if dense.Cholesky(g) >= 0 {
		return 0, false
	}
	dense.SolveLower(dense.NoTrans, g, w)
	step, decrement := 1.0, math.Sqrt(dense.Dot(w.Data, w.Data))
	if decrement > newtonFull {
		step = 1 / (1 + decrement)
	}
	dense.SolveLower(dense.Transposed, g, w)
	var square, sum float64
	for a, i := range free {
		before := s.u[i]
		s.u[i] = max(before+step*w.Data[a], 0)
		square += (s.u[i] - before) * (s.u[i] - before)
		sum += s.u[i]
	}
	if !(sum > 0) || math.IsInf(square, 1) {
		return 0, false
	}
	dense.Scale(1/sum, s.u, s.u)
	return math.Sqrt(square), true
}

// squares returns the lower triangle of G, G_ij = (y_i' M^-1 y_j)^2, for the points of that index. The next call overwrites it.
func (s *Design) squares(index []int) dense.Matrix[float64] {
	k, d := len(index), s.y.Cols
	y, t := s.rest.View(0, 0, k, d), dense.Wrap(k, d, s.z[:k*d])
	s.copyPoints(index, y)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, y, s.inv, 0, t)
	if cap(s.gram) < k*k {
		s.gram = make([]float64, k*k)
	}
	g := dense.Wrap(k, k, s.gram[:k*k])
	dense.GemmLower(dense.NoTrans, dense.Transposed, 1, t, y, 0, g)
	s.parts.Run(k, passRows(k), func(_, from, to int) {
		for a := from; a < to; a++ {
			row := g.Row(a)[:a+1]
			dense.Multiply(row, row, row)
		}
	})
	return g
}
