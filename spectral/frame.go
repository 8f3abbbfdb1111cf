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
	norm      float64               // ||gen||_2 as bound left it: its upper bound nu, or the estimate where that acted
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

// scratch returns the first half of the workspace as an n x n matrix.
func (f *frame) scratch() dense.Matrix[float64] { return dense.Wrap(f.n, f.n, f.work) }

// project sets the upper triangle of m to w B^T A B for the full symmetric A in scratch(); gen is overwritten.
func (f *frame) project(w float64) {
	dense.Gemm(dense.NoTrans, dense.NoTrans, w, f.scratch(), f.b, 0, f.gen)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, f.b, f.gen, 0, f.m)
}

// tinyNorm is the ||N||_2 below which I + 2N + 2N^2 is the Cayley map to working precision: it differs by 2 ||N||^3 < 6e-14, its defect is
// 4 ||N||^4 < 4e-18.
const tinyNorm = 0x1p-15

// turn sets q to the Cayley rotation of the generator gen and the basis to B q. norm is (about) ||gen||_2.
func (f *frame) turn(factors int, norm float64) {
	switch {
	case factors > 0:
		f.rough = true
		dense.CayleyTruncated(f.gen, factors, f.q, f.work)
	case norm < tinyNorm:
		dense.GemmUpper(dense.NoTrans, dense.NoTrans, 2, f.gen, f.gen, 0, f.q)
		dense.Mirror(f.q)
		dense.Axpy(2, f.gen.Data, f.q.Data)
		f.shiftRotation(1)
	default:
		dense.CayleyInverse(f.gen, f.q, f.work)
		dense.Scale(2, f.q.Data, f.q.Data)
		f.shiftRotation(-1)
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, f.b, f.q, 0, f.gen)
	f.b, f.gen = f.gen, f.b
	f.turns++
}

// shiftRotation adds c I to q.
func (f *frame) shiftRotation(c float64) {
	for i := range f.n {
		f.q.Data[i*f.q.Stride+i] += c
	}
}

// advance replaces the full symmetric m by the upper triangle of q^T m q; the first half of work is overwritten.
func (f *frame) advance() {
	w := f.scratch()
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, f.m, f.q, 0, w)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, f.q, w, 0, f.m)
}

// rotatedDiagonal sets dst to the diagonal of q^T m q for the full symmetric m, by half a product; the first half of work is overwritten.
func (f *frame) rotatedDiagonal(dst []float64) {
	dense.RotatedDiagonal(f.q, f.m, dst, f.work)
}

// rotatedWeights adds the diagonal of q^T diag(w) q to dst, the weighted column sums of the squares of q.
func (f *frame) rotatedWeights(w, dst []float64) {
	n, k := len(dst), 0
	for ; k+4 <= f.n; k += 4 {
		w0, w1, w2, w3 := w[k], w[k+1], w[k+2], w[k+3]
		q0, q1, q2, q3 := f.q.Row(k)[:n], f.q.Row(k + 1)[:n], f.q.Row(k + 2)[:n], f.q.Row(k + 3)[:n]
		for i := range dst {
			dst[i] += (w0*q0[i]*q0[i] + w1*q1[i]*q1[i]) + (w2*q2[i]*q2[i] + w3*q3[i]*q3[i])
		}
	}
	for ; k < f.n; k++ {
		for i, v := range f.q.Row(k) {
			dst[i] += w[k] * v * v
		}
	}
}

// bound scales gen to ||gen||_2 <= step.MaxNorm and ||gen||_F <= step.FrobeniusCap and returns the factor. Where overflow made entries NaN or
// so large that norms overflow, they are set to zero, that plane does not turn, or clipped first.
func (f *frame) bound(step *Step) float64 {
	nu := dense.NormBound(f.gen)
	if !(nu < 1e140) {
		for i, v := range f.gen.Data {
			if v != v {
				v = 0
			}
			f.gen.Data[i] = min(max(v, -1e100), 1e100)
		}
		nu = dense.NormBound(f.gen)
	}
	if nu > step.MaxNorm && !step.GuaranteedNorm && step.Factors == 0 {
		nu = min(nu, dense.NormEstimate(f.gen, f.probe))
	}
	f.rough = f.rough || nu > 1 && step.MaxNorm > 1
	c := 1.0
	if nu > step.MaxNorm {
		c = step.MaxNorm / nu
	}
	if step.FrobeniusCap > 0 {
		var sum float64
		for i := range f.n {
			sum += dense.Dot(f.gen.Row(i), f.gen.Row(i))
		}
		if norm := math.Sqrt(sum); c*norm > step.FrobeniusCap {
			c = step.FrobeniusCap / norm
		}
	}
	f.norm = c * nu
	if c < 1 {
		dense.Scale(c, f.gen.Data, f.gen.Data)
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
	w := f.scratch()
	var sum float64
	for i := range f.n {
		sum += dense.Dot(w.Row(i), w.Row(i))
	}
	return math.Sqrt(sum)
}

// gramError sets scratch() to scale (B^T B - I).
func (f *frame) gramError(scale float64) {
	w := f.scratch()
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
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, f.b, f.scratch(), 1, f.gen)
	f.b, f.gen = f.gen, f.b
}
