package nnopt

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// sweeps turns bases of count matrices of one size towards their eigenvectors by bounded-angle sweeps, on a device: eigenFactor.approach for all in the same calls.
type sweeps struct {
	e          engine.Backend[float64]
	pause      func() // waits for what is read
	b, m       engine.Batch[float64]
	gen, q, w  engine.Batch[float64]
	d, s, r, x []float64 // a number for each row; d are the eigenvalues
	next       []float64
	bound, est []float64 // a number for each matrix
	live       []float64 // 1 for those that have to turn
	all        []float64 // a one
}

// newSweeps returns workspace for them: five times the matrices.
func newSweeps(e engine.Backend[float64], a *engine.Arena[float64], count, n int) *sweeps {
	s := &sweeps{e: e, pause: func() { engine.Wait(e) }}
	for _, b := range []*engine.Batch[float64]{&s.b, &s.m, &s.gen, &s.q, &s.w} {
		*b = squares(a.Alloc(count*n*n), count, n)
	}
	for _, v := range []*[]float64{&s.d, &s.s, &s.r, &s.x, &s.next} {
		*v = a.Alloc(count * n)
	}
	for _, v := range []*[]float64{&s.bound, &s.est, &s.live} {
		*v = a.Doubles(count)
	}
	s.all = a.Doubles(1)
	s.all[0] = 1
	return s
}

// restore makes a Newton-Schulz step.
func (s *sweeps) restore() {
	s.e.GemmSymmetric(dense.Transposed, dense.NoTrans, 1, s.b, s.b, 0, s.q)
	newtonSchulz(s.e, s.b, s.q, s.gen)
}

// approach turns the bases towards the eigenvectors of a, each until its coupling is at most o.tol. Bases and eigenvalues are there after the next wait.
func (s *sweeps) approach(a engine.Batch[float64], o *turning) {
	e := s.e
	e.Gemm(dense.NoTrans, dense.NoTrans, 1, a, s.b, 0, s.w)
	e.GemmSymmetric(dense.Transposed, dense.NoTrans, 1, s.b, s.w, 0, s.m)
	e.Diagonal(s.m, s.d)
	e.Blend(0, nil, 0, nil, s.x)
	low, high := eigenRange[float64]()
	f := engine.FactorBlocks[float64]{Tensors: a.Count, Cuts: 1, N: a.Rows, D: s.d, Step: a.Rows, M: s.m, Low: low, High: high}
	e.Adopt(f, s.d, s.x)
	for range o.sweeps {
		if !s.going(o.tol) {
			return
		}
		s.turn(o.maxNorm)
		e.Diagonal(s.m, s.next)
		e.Adopt(f, s.next, s.x)
		e.SetDiagonal(s.d, s.m)
	}
}

// going finds which matrices have to turn, and says whether there are some.
func (s *sweeps) going(tol float64) (some bool) {
	s.e.Coupled(s.m, tol, s.all, s.live)
	s.pause()
	for _, live := range s.live {
		some = some || live != 0
	}
	return some
}

// turn makes a sweep of those.
func (s *sweeps) turn(maxNorm float64) {
	e := s.e
	e.Power(s.d, 0.5, s.s)
	e.Power(s.d, -0.5, s.r)
	e.BoundedAngle(s.s, s.r, s.x, s.m, s.gen)
	e.NormBound(s.gen, s.bound)
	e.NormEstimate(s.gen, s.est)
	e.Shorten(s.gen, s.bound, s.est, maxNorm, s.live)
	e.Cayley(s.gen, 0, s.q)
	e.Combine(-1, 1, s.q, 0, s.q, s.q)
	e.Copy(s.b, s.gen)
	e.Gemm(dense.NoTrans, dense.NoTrans, 1, s.gen, s.q, 1, s.b)
	e.Copy(s.m, s.w)
	e.Gemm(dense.NoTrans, dense.NoTrans, 1, s.m, s.q, 1, s.w)
	e.Copy(s.w, s.m)
	e.Gemm(dense.Transposed, dense.NoTrans, 1, s.q, s.w, 1, s.m)
	e.Mirror(s.m)
}
