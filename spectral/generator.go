package spectral

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// generator fills gen by the rule, from the off-diagonal of the upper triangle of m (the increment in the eigenbasis) and x.
func (f *frame) generator(rule RotationRule, d []float64) {
	dense.Sqrt(f.s, d)
	for i, v := range f.s {
		f.r[i] = 1 / v
	}
	if rule == TiesToZero {
		dense.FirstOrderAngle(f.s, f.r, f.m, f.gen)
		return
	}
	dense.BoundedAngle(f.s, f.r, f.x, f.m, f.gen)
	if rule == HalfAngle {
		for i, v := range f.gen.Data {
			f.gen.Data[i] = math.Atan(v)
		}
	}
}

// jacobi fills gen with tan(theta/2) for the Jacobi angles theta_ij = 1/2 atan(2 m_ij/(m_jj - m_ii)) of the upper triangle of m, whose
// eigenvalues may have any sign: the bounded angle in coordinates with equal s, scaled by a power of two so that nothing leaves its range.
func (f *frame) jacobi() {
	var top float64
	for i := range f.n {
		top = max(top, math.Abs(f.m.At(i, i)))
	}
	r := 1.0
	if top > 0 {
		r = math.Ldexp(1, -math.Ilogb(top)/2)
	}
	for i := range f.n {
		f.s[i], f.r[i], f.x[i] = 1, r, r*r*f.m.At(i, i)
	}
	dense.BoundedAngle(f.s, f.r, f.x, f.m, f.gen)
}

// coupling returns max |m_ij|/sqrt(|m_ii m_jj|) over the upper triangle of m. Entries below the rounding of m itself, 4 eps max |m_ii|,
// count as zero.
func coupling(m dense.Matrix[float64], root []float64) float64 {
	var top float64
	for i := range root {
		v := math.Abs(m.At(i, i))
		top = max(top, v)
		root[i] = math.Sqrt(v)
	}
	noise := 4 * 0x1p-52 * top
	var c float64
	for i, ri := range root {
		for j := i + 1; j < len(root); j++ {
			if v := math.Abs(m.At(i, j)); v > noise && v > c*ri*root[j] {
				c = v / (ri * root[j])
			}
		}
	}
	return c
}

// offDiagonal returns the Frobenius norm of the off-diagonal of the symmetric m relative to that of m, from its upper triangle, without
// overflow for any finite m.
func offDiagonal(m dense.Matrix[float64]) float64 {
	var top float64
	for i := range m.Rows {
		for _, v := range m.Row(i)[i:] {
			top = max(top, math.Abs(v))
		}
	}
	if top == 0 {
		return 0
	}
	c := math.Ldexp(1, -math.Ilogb(top))
	var diag, off float64
	for i := range m.Rows {
		row := m.Row(i)[i:]
		diag += (c * row[0]) * (c * row[0])
		for _, v := range row[1:] {
			off += (c * v) * (c * v)
		}
	}
	return math.Sqrt(2 * off / (diag + 2*off))
}

func finiteUpper(m dense.Matrix[float64]) bool {
	for i := range m.Rows {
		if _, bad := firstNotFinite(m.Row(i)[i:]); bad {
			return false
		}
	}
	return true
}
