package eigen

import (
	"cmp"
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
)

// rotation mixes two columns (or rows) a and b: a <- c a + s b, b <- c b - s a.
type rotation struct {
	a, b int
	c, s float64
}

// Secular holds the decomposition of diag(d) + rho z z^T and the memory for it, which is kept from call to call. The zero value is ready.
//
//	var s Secular
//	if s.Solve(d, z, rho) { s.Values(d); s.Apply(q) }
//
// turns the eigenvalues d and the basis q of a matrix into those of q (diag(d) + rho z z^T) q^T.
type Secular struct {
	n      int
	negate bool    // rho < 0: the problem solved is -diag(d) - rho z z^T
	scale  float64 // power of two that the eigenvalues were multiplied by
	poles          // the deflated problem, for z of unit norm; pole i is that of column keep[i]

	dall []float64 // by original index: scaled (and negated) d with the rotations applied
	zall []float64 // and z
	sort []int     // original indices by ascending d
	rot  []rotation

	keep []int // original index of pole i < k, ascending
	drop []int // original indices whose eigenvalue is d itself

	lam   []float64 // root j < k, scaled
	ut    []float64 // k x k: row j is eigenvector j in the order of keep, or of a caller's column order
	place []int     // where root j, then dropped value j-k, stands among the ascending results
	zhat  []float64
	buf   []float64
	out   []float64

	task   secularTask
	shared dense.Parallel
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// prepare scales, sorts and deflates the problem. It reports false for data that is not finite or whose sum overflows.
func (s *Secular) prepare(d, z []float64, rho float64) bool {
	n := len(d)
	s.n, s.rot = n, s.rot[:0]
	s.dall, s.zall, s.sort = grow(s.dall, n), grow(s.zall, n), grow(s.sort, n)
	s.keep, s.drop = grow(s.keep, n)[:0], grow(s.drop, n)[:0]
	s.k, s.d, s.z2 = 0, grow(s.d, n+dense.PoleLanes)[:0], grow(s.z2, n+dense.PoleLanes)[:0]
	if !s.normalise(d, z, rho) {
		return false
	}
	ascending := true
	for i := range n {
		s.sort[i] = i
		ascending = ascending && (i == 0 || s.dall[i-1] <= s.dall[i])
	}
	if !ascending {
		slices.SortFunc(s.sort, func(a, b int) int {
			return cmp.Or(cmp.Compare(s.dall[a], s.dall[b]), cmp.Compare(a, b))
		})
	}
	s.deflate()
	return true
}

// normalise fills s.dall, s.zall, s.rho and s.scale: unit z, rho >= 0, norm about one.
func (s *Secular) normalise(d, z []float64, rho float64) bool {
	var dmax, zmax float64
	for i, v := range d {
		dmax = max(dmax, math.Abs(v))
		zmax = max(zmax, math.Abs(z[i]))
	}
	if !finite(dmax) || !finite(zmax) || !finite(rho) {
		return false
	}
	s.negate = rho < 0
	var norm float64
	if zmax > 0 {
		for _, v := range z {
			v /= zmax
			norm += v * v
		}
		norm = math.Sqrt(norm)
	}
	weight := math.Abs(rho) * (norm * zmax) * (norm * zmax)
	if !finite(weight) {
		return false
	}
	s.scale = powerScale(max(dmax, weight))
	s.rho = weight * s.scale
	sign := s.scale
	if s.negate {
		sign = -sign
	}
	for i, v := range d {
		s.dall[i] = v * sign
		s.zall[i] = 0
		if s.rho > 0 {
			s.zall[i] = z[i] / zmax / norm
		}
	}
	return true
}

// deflate splits the sorted indices into keep and drop, as LAPACK's dlaed2 does: a weight that moves no eigenvalue by more than a few units
// of rounding of the norm is dropped, and of two poles that close a rotation makes the weight of one vanish.
func (s *Secular) deflate() {
	var dmax float64
	for _, v := range s.dall {
		dmax = max(dmax, math.Abs(v))
	}
	tol := 8 * unit * max(dmax, s.rho)
	prev := -1
	for _, i := range s.sort {
		if s.rho*math.Abs(s.zall[i]) <= tol {
			s.drop = append(s.drop, i)
			continue
		}
		if prev >= 0 && s.rotate(prev, i, tol) {
			s.drop = append(s.drop, prev)
		} else if prev >= 0 {
			s.keepPole(prev)
		}
		prev = i
	}
	if prev >= 0 {
		s.keepPole(prev)
	}
	s.fill()
	slices.SortFunc(s.drop, func(a, b int) int {
		return cmp.Or(cmp.Compare(s.dall[a], s.dall[b]), cmp.Compare(a, b))
	})
}

// rotate moves the weight of p to its neighbour q, d[p] <= d[q], if the coupling this leaves is below tol.
func (s *Secular) rotate(p, q int, tol float64) bool {
	norm := math.Hypot(s.zall[p], s.zall[q])
	c, sn := s.zall[q]/norm, -s.zall[p]/norm
	gap := s.dall[q] - s.dall[p]
	if math.Abs(gap*c*sn) > tol {
		return false
	}
	s.zall[q], s.zall[p] = norm, 0
	dp, dq := s.dall[p], s.dall[q]
	s.dall[q] = dp*sn*sn + dq*c*c
	s.dall[p] = dp*c*c + dq*sn*sn
	s.rot = append(s.rot, rotation{a: p, b: q, c: c, s: sn})
	return true
}

func (s *Secular) keepPole(i int) {
	s.keep = append(s.keep, i)
	s.add(s.dall[i], s.zall[i]*s.zall[i])
}

// order merges the k roots with the dropped values: s.place tells where each stands in the ascending results.
func (s *Secular) order() {
	s.place = grow(s.place, s.n)
	i, j := 0, 0
	for pos := range s.n {
		at := pos
		if s.negate {
			at = s.n - 1 - pos
		}
		if j == len(s.drop) || i < s.k && s.lam[i] <= s.dall[s.drop[j]] {
			s.place[i] = at
			i++
		} else {
			s.place[s.k+j] = at
			j++
		}
	}
}

// Values writes the eigenvalues, ascending, to dst.
func (s *Secular) Values(dst []float64) {
	back := 1 / s.scale
	if s.negate {
		back = -back
	}
	for j := range s.k {
		dst[s.place[j]] = s.lam[j] * back
	}
	for j, i := range s.drop {
		dst[s.place[s.k+j]] = s.dall[i] * back
	}
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// powerScale returns a power of two that brings v to the order of one; 1 for 0. It is within 2^-1000 and 2^1000, so that it and its
// inverse are normal numbers.
func powerScale(v float64) float64 {
	if v == 0 {
		return 1
	}
	_, e := math.Frexp(v)
	return math.Ldexp(1, -min(max(e, -1000), 1000))
}
