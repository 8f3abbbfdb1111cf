package design

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold/problem/internal/bound"
	"github.com/spdopt/spdopt/manifold/solve"
)

// certify bounds how far log det M lies below its maximum and the distance of M from the optimal M*, in the affine-invariant metric.
//
// With c_i = g_i - d, a = max c and L the eigenvalues of E = M^-1/2 (M* - M) M^-1/2, concavity gives tr E = sum u*_i c_i <= a, and so the gap
// sum log(1 + L) is at most a minus sum (L - log(1 + L)): the theorem of Kiefer and Wolfowitz, which bounds ||E|| by about (2 a)^1/2. More is
// known. Points with g_i < d (1 + a/2 - (a (4 + a - 4/d))^1/2 / 2) have no weight in any optimum (Harman and Pronzato, Statist. Probab.
// Lett. 77 (2007) 90-94). On the others, and those with weight now, let G_ij = (y_i' M^-1 y_j)^2: with w = u* - u then ||E||_F^2 = w' G w and
// tr E = w'c, since c'u = 0; w_i >= -u_i, so that a negative c_i may count as zero if s gets its
// -c_i u_i. If G is regular, tr E <= r ||E|| + s, r^2 = c' G^-1 c, and with sum (L - log(1 + L)) >= ||E||^2/(2 (1 + ||E||)) follows
// e^2 <= 2 (1 + e) (r e + s) for e = ||E||, and a gap of at most r e + s: linear in the residual where the general bound is its root.
func (s *Design) certify() (gap float64, c solve.Certificate) {
	_, _, above, _ := s.extremes()
	d := float64(s.y.Cols)
	gap = d * math.Log1p(max(above, 0))
	c = solve.Certificate{Kind: "kiefer-wolfowitz", Value: bound.LogDet(gap), Bound: true}
	r, rest := s.supportResidual(s.floor())
	if !(r < 0.25) {
		return gap, c
	}
	size := (r + rest + math.Sqrt((r+rest)*(r+rest)+2*rest*(1-2*r))) / (1 - 2*r)
	if !(size < 0.5) {
		return gap, c
	}
	gap = min(gap, r*size+rest)
	// The logarithms of 1 + L are at most |L|/(1 - ||E||).
	if v := size / (1 - size); v < c.Value {
		c = solve.Certificate{Kind: "optimal-support", Value: v, Bound: true}
	}
	return gap, c
}

// floor returns the g below which a point has no weight in any optimum, see certify, whatever rounding has done to g: at an optimum it is d, where those of all points with weight lie.
func (s *Design) floor() float64 {
	_, _, above, _ := s.extremes()
	d := float64(s.y.Cols)
	a := d * max(above, 0)
	return d * (1 - roundingOfG + a/2 - math.Sqrt(max(a*(4+a-4/d), 0))/2)
}

// roundingOfG is that of g, relative to d.
const roundingOfG = 1e-10

// largestSupport bounds the memory, k^2 numbers for k points, and the k^3/3 operations of Newton steps and of supportResidual.
const largestSupport = 4000

// supportResidual returns r and s of certify, infinite where G is singular to rounding or too large. Points with g below the floor are left out
// unless they have weight.
func (s *Design) supportResidual(floor float64) (r, rest float64) {
	var support []int
	d := float64(s.y.Cols)
	for i, g := range s.g {
		if s.u[i] > 0 || g >= floor {
			support = append(support, i)
		}
	}
	k := len(support)
	if most := s.y.Cols * (s.y.Cols + 1) / 2; k > most || k > largestSupport {
		return math.Inf(1), 0
	}
	c := dense.New[float64](k, 1)
	for a, i := range support {
		c.Data[a] = s.g[i] - d
		if below := -c.Data[a]; s.u[i] < 1e-2*below {
			rest += s.u[i] * below
			c.Data[a] = 0
		}
	}
	g, largest := s.squares(support), 0.0
	for a := range k {
		largest = max(largest, g.At(a, a))
	}
	if dense.Cholesky(g) >= 0 {
		return math.Inf(1), 0
	}
	smallest := math.Inf(1)
	for a := range k {
		smallest = min(smallest, g.At(a, a)*g.At(a, a))
	}
	if smallest <= 1e-12*largest {
		return math.Inf(1), 0
	}
	dense.SolveLower(dense.NoTrans, g, c)
	rounding := 0x1p-50 * d * math.Sqrt(float64(k)/max(smallest, math.SmallestNonzeroFloat64))
	return math.Sqrt(dense.Dot(c.Data, c.Data)) + rounding, rest
}
