package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// adi solves Lyapunov's equation (H Y + Y H)/2 = R with symmetric positive definite H approximately, in products and inverses in single precision: by the alternating
// direction implicit iteration from zero with optimal shifts p_j (Wachspress, "The ADI Model Problem", Springer 2013), written as Y = sum G_j R G_j with symmetric
// functions G_j of H, which is a positive definite operator whatever the rounding. For eigenvalues l and m of H it is 2 (1 - r(l) r(m))/(l + m), r(l) = prod
// (l - p_j)/(l + p_j), where the exact inverse is 2/(l + m).
type adi struct {
	h, v, y   dense.Matrix[float32]
	g         dense.Matrix[float32] // G_1, G_2, ... on top of each other
	s         dense.Matrix[float32] // G_1 R, G_2 R, ... side by side
	work      []float32
	x, hx     []float32
	shifts    []float64
	scale     float64 // H over this is h
	low, high float64 // bounds of the eigenvalues of h
}

const (
	// adiCondition is the condition of H up to which adi takes less time than an eigendecomposition.
	adiCondition = 1e4
	// adiError is the largest |r(l) r(m)| for eigenvalues in the interval that the shifts are made for.
	adiError = 0.02
	// normSteps is the number of power steps that estimate a norm, normMargin what they may miss.
	normSteps  = 4
	normMargin = 1.2
)

func newADI(n int) *adi {
	return &adi{h: dense.New[float32](n, n), v: dense.New[float32](n, n), y: dense.New[float32](n, n), work: make([]float32, dense.InverseWork(n)),
		x: make([]float32, n), hx: make([]float32, n)}
}

// set prepares the solver for H, and returns false where the condition of that is beyond adiCondition.
func (a *adi) set(h dense.Matrix[float64]) bool {
	if a.scale = math.Sqrt(dense.Dot(h.Data, h.Data)); !(a.scale > 0) || math.IsInf(a.scale, 1) {
		return false
	}
	dense.ScaleSingle(1/a.scale, h.Data, a.h.Data)
	if !a.invert(0) {
		return false
	}
	a.low, a.high = 1/math.Sqrt(float64(dense.Dot(a.v.Data, a.v.Data))), 1
	least, most := max(a.low, 1/(normMargin*a.norm(a.v))), min(a.high, normMargin*a.norm(a.h))
	if !(most <= adiCondition*least) {
		return false
	}
	a.shifts = adiShifts(a.shifts[:0], least, max(least, most))
	return a.expand()
}

// invert sets v to the inverse of h + p.
func (a *adi) invert(p float64) bool {
	a.v.Copy(a.h)
	for i := range a.v.Rows {
		a.v.Row(i)[i] += float32(p)
	}
	if !dense.InvertUpper(a.v, a.work) {
		return false
	}
	dense.Mirror(a.v)
	return true
}

// norm estimates the spectral norm of the symmetric m from below.
func (a *adi) norm(m dense.Matrix[float32]) (norm float64) {
	for i := range a.x {
		a.x[i] = 1 + float32(i%7)/8
	}
	for range normSteps {
		dense.Scale(1/float32(math.Sqrt(float64(dense.Dot(a.x, a.x)))), a.x, a.x)
		dense.Gemv(dense.NoTrans, 1, m, a.x, 0, a.hx)
		norm = math.Sqrt(float64(dense.Dot(a.hx, a.hx)))
		a.x, a.hx = a.hx, a.x
	}
	return norm
}

// adiShifts appends the optimal shifts for eigenvalues from low to high, as many as adiError needs: high dn(u) with u in the middle of equal parts of a quarter
// period, the complementary modulus of dn being low/high. The error of so many is 4 exp(-pi^2 count/log(4 high/low)) at most.
func adiShifts(to []float64, low, high float64) []float64 {
	count := math.Ceil(math.Log(4/adiError) * math.Log(4*high/low) / (math.Pi * math.Pi))
	q := newQuarterPeriod(low / high)
	for j := range int(count) {
		to = append(to, high*math.Exp(q.logDelta((float64(j)+0.5)/count)))
	}
	return to
}

// expand sets the G_j = 2 p_j^1/2 prod_{i<j} (H - p_i) / prod_{i<=j} (H + p_i), in partial fractions.
func (a *adi) expand() bool {
	k, n := len(a.shifts), a.h.Rows
	if a.g.Rows != k*n {
		a.g, a.s = dense.New[float32](k*n, n), dense.New[float32](n, k*n)
	}
	for i, p := range a.shifts {
		if !a.invert(p) {
			return false
		}
		for j := i; j < k; j++ {
			c, g := float32(a.residue(i, j)), a.g.View(j*n, 0, n, n)
			if i == 0 {
				dense.Scale(c, a.v.Data, g.Data)
			} else {
				dense.Axpy(c, a.v.Data, g.Data)
			}
		}
	}
	return true
}

// residue returns the residue of G_j at -p_i.
func (a *adi) residue(i, j int) float64 {
	p := a.shifts
	c := 2 * math.Sqrt(p[j])
	for l, q := range p[:j+1] {
		if l < j {
			c *= -p[i] - q
		}
		if l != i {
			c /= q - p[i]
		}
	}
	return c
}

// solve writes Y to dst, which may be r.
func (a *adi) solve(dst, r dense.Matrix[float64]) {
	size := math.Sqrt(dense.Dot(r.Data, r.Data))
	if !(size > 0) {
		clear(dst.Data)
		return
	}
	n := a.h.Rows
	dense.ScaleSingle(1/size, r.Data, a.v.Data)
	for j := range a.shifts {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, a.g.View(j*n, 0, n, n), a.v, 0, a.s.View(0, j*n, n, n))
	}
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, 1, a.s, a.g, 0, a.y)
	dense.Mirror(a.y)
	dense.AddDouble(a.y.Data, a.y.Data, dst.Data)
	dense.Scale(size/(2*a.scale), dst.Data, dst.Data)
}

// share returns a lower bound of the eigenvalues of Y -> (H Y + Y H)/2 after solve, for all eigenvalues from low to high; 1 is exact.
func (a *adi) share() float64 {
	below, above := 1.0, 1.0
	for _, p := range a.shifts {
		below *= (a.low - p) / (a.low + p)
		above *= (a.high - p) / (a.high + p)
	}
	return 1 - max(below*below, above*above)
}

// lyapunovInverse solves Lyapunov's equation by adi where the condition of H makes that the faster way, otherwise by an eigendecomposition.
type lyapunovInverse struct {
	n     int
	adi   *adi
	exact *pencil
	fast  bool
}

func (l *lyapunovInverse) set(h dense.Matrix[float64]) error {
	if l.adi == nil {
		l.adi = newADI(l.n)
	}
	if l.fast = l.adi.set(h); l.fast {
		return nil
	}
	if l.exact == nil {
		l.exact = newPencil(l.n)
	}
	return l.exact.decompose(h)
}

// solve writes Y to dst, which may be r.
func (l *lyapunovInverse) solve(dst, r dense.Matrix[float64]) {
	if l.fast {
		l.adi.solve(dst, r)
	} else {
		l.exact.solve(dst, r)
	}
}

// adiRounding is what single precision may add to the length of a solution, relatively.
const adiRounding = 0.01

// bounds returns a lower bound of the smallest eigenvalue of H and the largest factor by which an exact solution is longer than that of solve.
func (l *lyapunovInverse) bounds() (least, longer float64) {
	if l.fast {
		return (1 - adiRounding) * l.adi.scale * l.adi.low, (1 + adiRounding) / l.adi.share()
	}
	return l.exact.mu[0], 1
}
