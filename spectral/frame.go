package spectral

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// defectTrigger is the estimated ||B^T B - I||_2 at which B is re-orthogonalised: far enough below 1e-12 for an estimate that can be low by a
// factor of about two, and for the checkEvery exact rotations (each good to a few 1e-15) between two estimates.
const (
	defectTrigger = 2e-13
	checkEvery    = 8
)

// frame is an orthogonal basis together with the workspace that turns it.
type frame struct {
	n     int
	b     dense.Matrix[float64] // the basis, eigenvectors as columns
	turns uint64                // rotations made so far; part of the state, because it decides when the defect is estimated

	m, gen, q dense.Matrix[float64] // target in the basis; generator, then the next basis; rotation
	work      []float64             // 2 n^2
	s, r, x   []float64             // sqrt(d), 1/sqrt(d), relative diagonal of the increment
	probe     []float64             // 2 n
	defect    float64               // last estimate of ||B^T B - I||_2
	rough     bool                  // a rotation since the last estimate was not orthogonal to working precision
}

// ready allocates the workspace on first use.
func (f *frame) ready() {
	if f.work != nil || f.n == 0 {
		return
	}
	n := f.n
	f.m, f.gen, f.q = dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n)
	f.work = make([]float64, dense.CayleyWork(n))
	v := make([]float64, 5*n)
	f.s, f.r, f.x, f.probe = v[:n], v[n:2*n], v[2*n:3*n], v[3*n:]
}

// scratch returns the first or second half of the workspace as an n x n matrix.
func (f *frame) scratch(half int) dense.Matrix[float64] {
	return dense.Wrap(f.n, f.n, f.work[half*f.n*f.n:])
}

// project sets the upper triangle of m to w B^T A B for the full symmetric A in scratch(0); gen is overwritten.
func (f *frame) project(w float64) {
	dense.Gemm(dense.NoTrans, dense.NoTrans, w, f.scratch(0), f.b, 0, f.gen)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, f.b, f.gen, 0, f.m)
}

// turn sets q to the Cayley rotation of the generator gen and the basis to B q.
func (f *frame) turn(factors int) {
	if factors > 0 {
		f.rough = true
		dense.CayleyTruncated(f.gen, factors, f.q, f.work)
	} else {
		dense.CayleyInverse(f.gen, f.q, f.work)
		for i := range f.n {
			row := f.q.Row(i)
			for j := range row {
				row[j] *= 2
			}
			row[i]--
		}
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, f.b, f.q, 0, f.gen)
	f.b, f.gen = f.gen, f.b
	f.turns++
}

// advance replaces the full symmetric m by the upper triangle of q^T m q; the first half of work is overwritten.
func (f *frame) advance() {
	w := f.scratch(0)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, f.m, f.q, 0, w)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, f.q, w, 0, f.m)
}

// rotatedDiagonal sets dst to the diagonal of q^T m q for the full symmetric m, by half a product: with m = L + L^T, L holding half the
// diagonal, it is twice the column sums of q * (L q). The diagonal of m and the first half of work are overwritten.
func (f *frame) rotatedDiagonal(dst []float64) {
	for i := range f.n {
		f.m.Data[i*f.m.Stride+i] /= 2
	}
	w := f.scratch(0)
	dense.MulLower(dense.NoTrans, f.m, f.q, w)
	clear(dst)
	for k := range f.n {
		wk := w.Row(k)[:len(dst)]
		for i, v := range f.q.Row(k)[:len(dst)] {
			dst[i] += v * wk[i]
		}
	}
	for i := range dst {
		dst[i] *= 2
	}
}

// bound scales gen to ||gen||_2 <= maxNorm and ||gen||_F <= frobenius (where that is positive) and returns the factor. An entry that
// overflow made NaN or Inf is set to zero first: that plane does not turn.
func (f *frame) bound(maxNorm, frobenius float64) float64 {
	nu := dense.NormBound(f.gen)
	if !(nu < math.Inf(1)) {
		for i, v := range f.gen.Data {
			if v-v != 0 {
				f.gen.Data[i] = 0
			}
		}
		nu = dense.NormBound(f.gen)
	}
	f.rough = f.rough || nu > 1 && maxNorm > 1
	c := 1.0
	if nu > maxNorm {
		c = maxNorm / nu
	}
	if frobenius > 0 {
		var sum float64
		for i := range f.n {
			sum += dense.Dot(f.gen.Row(i), f.gen.Row(i))
		}
		if norm := math.Sqrt(sum); c*norm > frobenius {
			c = frobenius / norm
		}
	}
	if c < 1 {
		for i, v := range f.gen.Data {
			f.gen.Data[i] = c * v
		}
	}
	return c
}

// monitor estimates the defect where it is due, after a truncated or huge rotation and after every checkEvery others, and re-orthogonalises
// until it is below the trigger. before is the count of turns at the last call.
func (f *frame) monitor(before uint64) (acted bool) {
	if !f.rough && f.turns/checkEvery == before/checkEvery {
		return false
	}
	f.rough = false
	f.estimateDefect()
	for range 60 {
		if f.defect <= defectTrigger {
			break
		}
		f.reorthogonalize()
		f.estimateDefect()
		acted = true
	}
	return acted
}

// estimateDefect estimates ||B^T B - I||_2 by two power steps from a pseudo-random vector that depends on nothing but n and turns.
func (f *frame) estimateDefect() {
	v, w := f.probe[:f.n], f.probe[f.n:]
	h := f.turns*0x9e3779b97f4a7c15 + 1
	for i := range v {
		h ^= h << 13
		h ^= h >> 7
		h ^= h << 17
		v[i] = float64(int64(h)) * 0x1p-63
	}
	f.defect = 0
	for range 2 {
		norm := math.Sqrt(dense.Dot(v, v))
		if norm == 0 {
			return
		}
		for i := range v {
			v[i] /= norm
		}
		dense.Gemv(dense.NoTrans, 1, f.b, v, 0, w)
		dense.Gemv(dense.Transposed, -1, f.b, w, 1, v)
		f.defect = max(f.defect, math.Sqrt(dense.Dot(v, v)))
	}
}

// exactDefect returns ||B^T B - I||_F, an upper bound of the 2-norm, by half a product.
func (f *frame) exactDefect() float64 {
	f.gramError(1)
	w := f.scratch(0)
	var sum float64
	for i := range f.n {
		sum += dense.Dot(w.Row(i), w.Row(i))
	}
	return math.Sqrt(sum)
}

// gramError sets scratch(0) to scale (B^T B - I).
func (f *frame) gramError(scale float64) {
	w := f.scratch(0)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, scale, f.b, f.b, 0, w)
	dense.Mirror(w)
	for i := range f.n {
		w.Data[i*w.Stride+i] -= scale
	}
}

// reorthogonalize makes one Newton-Schulz step B <- B + B (I - B^T B)/2, which takes a defect e to 3/4 e^2, by one and a half products.
func (f *frame) reorthogonalize() {
	f.gramError(-0.5)
	f.gen.Copy(f.b)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, f.b, f.scratch(0), 1, f.gen)
	f.b, f.gen = f.gen, f.b
}
