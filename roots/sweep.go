package roots

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// rotate makes one sweep: the bounded-angle generator N of m, Q = (I+N)(I-N)^-1, m <- Q^T m Q and B <- B Q, in 3.5 products. With
// Z = (I-N)^-1, Q = 2 Z - I.
func (t *tracker[T]) rotate() {
	n := t.n
	g, z := t.w1, t.w2
	dense.BoundedAngle(t.s, t.r, t.x, t.m, g)
	if nu := dense.NormBound(g); nu > maxGenerator {
		c := T(maxGenerator / nu)
		for i := range n {
			row := g.Row(i)
			for k := range row {
				row[k] *= c
			}
		}
	}
	dense.CayleyInverse(g, z, t.cayley)
	// g <- 2 m Z - m = m Q, then m <- Q^T (m Q) = 2 Z^T g - g.
	g.Copy(t.m)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 2, t.m, z, -1, g)
	t.m.Copy(g)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 2, z, g, -1, t.m)
	dense.Mirror(t.m)
	g.Copy(t.b)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 2, t.b, z, -1, g)
	t.b, t.w1 = g, t.b
	t.addNoise(t.unit() * t.fro)
	t.debt, t.base = 0, 0
	t.rotations++
	t.orth += defectPerSweep * math.Sqrt(float64(n)) * t.eps()
	if t.sweeps++; t.sweeps >= defectEvery {
		t.watch()
	}
	t.certify(nil)
}

const (
	// maxGenerator bounds ||N||_2, as the default of spectral.Step does.
	maxGenerator = 0.7
	// defectEvery is how many rotations lie between two measurements of the defect, each of which adds at most defectPerSweep sqrt(n) units of rounding (1 to 2 on
	// average).
	defectEvery    = 16
	defectPerSweep = 6
	// defectLimit64 and defectLimit32 trigger a re-orthogonalisation.
	defectLimit64, defectLimit32 = 2e-13, 2e-5
)

// watch measures the defect of the basis and repairs it where it is above the limit.
func (t *tracker[T]) watch() {
	t.sweeps = 0
	limit := defectLimit64
	if t.eps() > 1e-10 {
		limit = defectLimit32
	}
	if t.defect() > limit {
		t.orthogonalise()
	}
}

// orthogonalise makes one Newton-Schulz step B <- B (I - S/2), S = B^T B - I, which squares the defect, and moves M = B^T A B along: M <- (I - S/2) M (I - S/2).
func (t *tracker[T]) orthogonalise() {
	t.defect()
	polyIdentity(t.w1, 1.5, -0.5, t.w1, 0, t.w1)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, t.w1, t.m, 0, t.w2)
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, 1, t.w2, t.w1, 0, t.m)
	dense.Mirror(t.m)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, t.b, t.w1, 0, t.w2)
	t.b, t.w2 = t.w2, t.b
	t.addNoise(t.unit() * t.fro)
	t.defect()
	t.sweeps = 0
}

// diagonalise sweeps until the off-diagonal part is rounding.
func (t *tracker[T]) diagonalise() error {
	if !t.valid {
		return errNoMatrix
	}
	floor := 4 * math.Sqrt(float64(t.n)) * t.eps()
	for i := 0; t.n > 0 && t.tau > floor; i++ {
		if i == maxSweeps {
			return t.refresh()
		}
		t.rotate()
	}
	return nil
}

// maxSweeps is how many sweeps are made in one call before something else is tried.
const maxSweeps = 8
