package eigen

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// unit is the unit roundoff of float64, 2^-53.
const unit = 1.0 / (1 << 53)

// maxSecularSteps bounds the iterations for one root. The interpolation converges cubically and the bracket guards it, so that three or
// four are usual.
const maxSecularSteps = 100

// poles are the data of a deflated secular equation: d strictly ascending, z2 > 0 with sum 1, rho > 0. Both slices are filled up to a
// multiple of dense.PoleLanes with poles of no weight beyond every root; k counts the real ones.
type poles struct {
	d, z2 []float64
	k     int
	rho   float64
}

// add appends a pole.
func (p *poles) add(d, z2 float64) {
	p.d, p.z2 = append(p.d, d), append(p.z2, z2)
	p.k++
}

// fill completes the slices. The data is scaled to norm 1 or less, so that no root passes 2.
func (p *poles) fill() {
	for len(p.d)%dense.PoleLanes != 0 {
		p.d, p.z2 = append(p.d, 8), append(p.z2, 0)
	}
}

// secularPoint is the secular function at one trial value origin + tau.
type secularPoint struct {
	w     float64 // 1/rho + sum z2/(d - lambda)
	dw    float64 // its derivative
	ddw   float64 // half its second derivative
	scale float64 // 1/rho + sum |z2/(d - lambda)|
}

func (p *poles) at(origin, tau float64) secularPoint {
	t := dense.PoleSums(p.d, p.z2, origin, tau)
	return secularPoint{w: 1/p.rho + t.Sum, dw: t.First, ddw: t.Second, scale: 1/p.rho + t.Abs}
}

// root finds root i (from 0) of 1 + rho sum z2_j/(d_j - lambda) = 0 as lambda = d[org] + tau, so that every d_j - lambda can be had
// as (d_j - d[org]) - tau with a small relative error. It lies between d[i] and d[i+1], the last one between d[k-1] and d[k-1] + rho.
//
// Starting value and origin as in Li, "Solving secular equations stably and efficiently" (LAPACK Working Note 89); the steps interpolate by
// two poles through value, slope and curvature (Borges and Gragg 1993), which converges cubically.
func (p *poles) root(i int) (org int, tau float64) {
	k, d := p.k, p.d
	if k == 1 {
		return 0, p.rho * p.z2[0]
	}
	var lo, hi float64
	if i == k-1 {
		org, tau, lo, hi = p.startLast()
	} else {
		org, tau, lo, hi = p.startInner(i)
	}
	left := min(i, k-2)
	origin := d[org]
	noise := unit * (8 + math.Sqrt(float64(k)))
	for range maxSecularSteps {
		f := p.at(origin, tau)
		if math.Abs(f.w) <= noise*(f.scale+math.Abs(tau)*f.dw) {
			break
		}
		if f.w < 0 {
			lo = tau
		} else {
			hi = tau
		}
		dl, dr := (d[left]-origin)-tau, (d[left+1]-origin)-tau
		eta, cubic := f.step(dl, dr, i == k-1)
		next := tau + eta
		if !(eta*f.w < 0 && next > lo && next < hi) {
			next, cubic = between(lo, hi), false
		}
		moved := math.Abs(next - tau)
		tau = next
		if moved <= 2*unit*math.Abs(tau) || cubic && moved <= 1e-7*min(math.Abs(dl), math.Abs(dr)) {
			break
		}
	}
	return org, tau
}

// step returns the distance to the root of c + s/(dl - eta) + S/(dr - eta), s, S >= 0, which has the value, slope and, where cubic, the
// curvature of the secular function at eta = 0. eta may be NaN or on the wrong side where the model has no root.
func (p secularPoint) step(dl, dr float64, last bool) (eta float64, cubic bool) {
	u := max(0, (p.ddw-p.dw/dr)/(1/dl-1/dr))
	v := p.dw - u
	cubic = v >= 0
	if !cubic {
		u, v = p.dw, 0
		if last {
			u, v = 0, p.dw
		}
	}
	s, t := u*dl*dl, v*dr*dr
	c := p.w - u*dl - v*dr
	a := c*(dl+dr) + s + t
	b := p.w * dl * dr
	root := math.Sqrt(max(0, a*a-4*b*c))
	if last {
		root = -root
	}
	if (a > 0) != last {
		eta = 2 * b / (a + root)
	} else {
		eta = (a - root) / (2 * c)
	}
	return eta, cubic
}

// between returns a value inside the bracket: the geometric mean where its ends differ much, else the midpoint.
func between(lo, hi float64) float64 {
	switch {
	case lo == 0:
		return hi / 16
	case hi == 0:
		return lo / 16
	case lo > 0 && hi > 16*lo:
		return math.Sqrt(lo) * math.Sqrt(hi)
	case hi < 0 && lo < 16*hi:
		return -math.Sqrt(-lo) * math.Sqrt(-hi)
	}
	return lo + (hi-lo)/2
}

// startInner picks the nearer pole of root i < k-1 as origin and solves the equation with all but its two neighbours frozen at the midpoint.
func (p *poles) startInner(i int) (org int, tau, lo, hi float64) {
	gap := p.d[i+1] - p.d[i]
	mid := gap / 2
	w := p.at(p.d[i], mid).w
	zl, zr := p.z2[i], p.z2[i+1]
	c := w + zl/mid - zr/(gap-mid)
	if w >= 0 {
		org, lo, hi = i, 0, mid
		a, b := c*gap+zl+zr, zl*gap
		root := math.Sqrt(math.Abs(a*a - 4*b*c))
		if a > 0 {
			tau = 2 * b / (a + root)
		} else {
			tau = (a - root) / (2 * c)
		}
	} else {
		org, lo, hi = i+1, -mid, 0
		a, b := c*gap-zl-zr, zr*gap
		root := math.Sqrt(math.Abs(a*a + 4*b*c))
		if a < 0 {
			tau = 2 * b / (a - root)
		} else {
			tau = -(a + root) / (2 * c)
		}
	}
	if !(tau > lo && tau < hi) {
		tau = between(lo, hi)
	}
	return org, tau, lo, hi
}

// startLast is startInner for the root above the largest pole.
func (p *poles) startLast() (org int, tau, lo, hi float64) {
	org = p.k - 1
	mid := p.rho / 2
	w := p.at(p.d[org], mid).w
	gap := p.d[org] - p.d[org-1]
	zl, zr := p.z2[org-1], p.z2[org]
	c := w + zl/(gap+mid) + zr/mid
	if w < 0 {
		lo, hi = mid, p.rho*(1+float64(8+p.k)*unit)
	} else {
		lo, hi = 0, mid
	}
	a, b := zl+zr-c*gap, zr*gap
	root := math.Sqrt(max(0, a*a+4*b*c))
	if a < 0 {
		tau = 2 * b / (root - a)
	} else {
		tau = (a + root) / (2 * c)
	}
	if !(tau > lo && tau < hi) {
		tau = lo + (hi-lo)/2
	}
	return org, tau, lo, hi
}
