package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

// spectrum keeps the eigendecomposition of C = W W', W = F^-1 L with A = L L', while F moves. With M = B' C B the basis B need not diagonalise C
// fully: the logarithm is taken to first order in the remaining off-diagonal part (Daleckii and Krein),
//
//	log(D + E)_ij = E_ij (l_i - l_j)/(d_i - d_j) + O(r^2),  r = ||D^-1/2 E D^-1/2||_F,  l = log d.
type spectrum struct {
	basis    dense.Matrix[float64]
	logs     []float64           // logarithms of the diagonal of B' C B
	roots    []float64           // square roots of the diagonal
	inverse  []float64           // and their inverses
	residual float64             // r
	rounding float64             // estimate of the error of logs from a decomposition that did not see small eigenvalues
	known    bool                // basis is near an eigenbasis
	limit    int                 // of sweeps in place of a decomposition
	fresh    int                 // decompositions so far
	sweeps   int                 // sweeps so far
	double   *curvature[float64] // made on the first product
	single   *curvature[float32]
}

const (
	// A sweep costs about 5 products, a fresh decomposition 20 at n = 50, 10 at 100, 6 at 200, 3 at 1000. Measured on scattered data: from r = 1.2 three
	// sweeps reach 0.02, from 0.7 two reach 0.004.
	farResidual  = 1.2
	slowResidual = 0.3 // above it a sweep must halve r
	sweepLimit   = 5
	patientLimit = 40
	maxAngle     = 2 // bound of the 2-norm of a rotation's generator
)

func newSpectrum(n int) *spectrum {
	return &spectrum{basis: dense.New[float64](n, n), logs: make([]float64, n), roots: make([]float64, n),
		inverse: make([]float64, n), limit: sweepLimit}
}

// locate finds the spectrum of C to residual at most tol, by bounded-angle sweeps from the present basis if that is near, otherwise afresh. A
// fresh decomposition of C knows an eigenvalue to eps ||C|| only; if tol^2 asks for more, sweeps from its basis sharpen the small ones.
func (s *spectrum) locate(inv, invT, chol dense.Matrix[float64], tol float64, w *worker) error {
	if s.double != nil {
		s.double.ready = false
	}
	if s.single != nil {
		s.single.ready = false
	}
	if s.known && s.follow(inv, chol, tol, w, false) {
		return nil
	}
	dense.MulLower(dense.Transposed, chol, invT, w.t[0])
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, w.t[0], w.t[0], 0, s.basis)
	dense.Mirror(s.basis)
	n := len(s.logs)
	s.known = w.solver.Sym(s.basis, s.logs)
	s.fresh++
	s.residual, s.rounding = 0, 4*0x1p-52*s.logs[n-1]/s.logs[0]
	if s.known && s.logs[0] > 0 && s.rounding <= 0.3*tol*tol {
		s.scale()
		return nil
	}
	if s.known && s.follow(inv, chol, tol, w, true) {
		return nil
	}
	s.known = false
	return &manifold.PointError{What: "a data matrix seen from the point is not positive definite to rounding", Min: s.logs[0], Max: s.logs[n-1]}
}

// scale fills roots, inverse and logs from the eigenvalues in logs.
func (s *spectrum) scale() {
	dense.Sqrt(s.roots, s.logs)
	for i, v := range s.roots {
		s.inverse[i] = 1 / v
	}
	dense.Log(s.logs, s.logs)
}

// follow sweeps B towards the eigenbasis. V = W' B is kept so that M = V' V has small relative errors in its small entries too. It gives up
// where a fresh decomposition is cheaper, unless it is told to be patient.
func (s *spectrum) follow(inv, chol dense.Matrix[float64], tol float64, w *worker, patient bool) bool {
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, inv, s.basis, 0, w.t[1])
	dense.MulLower(dense.Transposed, chol, w.t[1], w.t[0])
	for sweep, last := 0, math.Inf(1); ; sweep++ {
		if !s.project(w) {
			return false
		}
		if s.residual <= tol {
			s.rounding = 0
			s.scale()
			return true
		}
		slow := sweep == s.limit || s.residual > farResidual || (s.residual > slowResidual && s.residual > 0.5*last)
		if slow && !patient || sweep == patientLimit {
			return false
		}
		last = s.residual
		s.sweep(w)
		s.sweeps++
	}
}

// project computes the upper triangle of M = V' V, its diagonal into logs, and the residual.
func (s *spectrum) project(w *worker) bool {
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, w.t[0], w.t[0], 0, w.m)
	for i := range s.logs {
		s.logs[i] = w.m.At(i, i)
		if !(s.logs[i] > 0) || math.IsInf(s.logs[i], 1) {
			return false
		}
	}
	dense.Sqrt(s.roots, s.logs)
	for i, r := range s.roots {
		s.inverse[i] = 1 / r
	}
	var sum float64
	for i := range s.logs {
		row, scale := w.m.Row(i), s.inverse[i]
		for j := i + 1; j < len(row); j++ {
			x := row[j] * scale * s.inverse[j]
			sum += x * x
		}
	}
	s.residual = math.Sqrt(2 * sum)
	return true
}

// sweep makes one bounded-angle rotation of the basis and of V in w.t[0].
func (s *spectrum) sweep(w *worker) {
	gen, q := w.t[2], w.t[3]
	dense.BoundedAngle(s.roots, s.inverse, w.zero, w.m, gen)
	if bound := dense.NormBound(gen); bound > maxAngle {
		for i := range gen.Data {
			gen.Data[i] *= maxAngle / bound
		}
	}
	dense.CayleyInverse(gen, q, w.work) // the rotation is 2 q - I
	gen.Copy(s.basis)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 2, s.basis, q, -1, gen)
	s.basis, w.t[2] = gen, s.basis
	w.t[1].Copy(w.t[0])
	dense.Gemm(dense.NoTrans, dense.NoTrans, 2, w.t[0], q, -1, w.t[1])
	w.t[0], w.t[1] = w.t[1], w.t[0]
}

// squares returns ||log C||_F^2 to the accuracy of the residual.
func (s *spectrum) squares() float64 { return dense.Dot(s.logs, s.logs) }

// addLog adds weight * log C to the upper triangle of w.acc; w is as locate left it.
func (s *spectrum) addLog(weight float64, w *worker) {
	s.addFunction(weight, s.logs, w, func(row, m []float64, i int) { s.logRow(weight, row, m, i) })
}

// logRow computes what row i of B' weight log(C) B has right of its diagonal from row i of B' C B.
func (s *spectrum) logRow(weight float64, row, m []float64, i int) {
	l, ri, qi := s.logs[i], s.roots[i], s.inverse[i]
	scale := weight * qi
	for j := i + 1; j < len(row); j++ {
		row[j] = m[j] * scale * s.inverse[j] * sinhQuotient(l-s.logs[j], ri*s.inverse[j]-s.roots[j]*qi)
	}
}

// logTimes sets dst = B' weight log(C) B x; w is as locate left it.
func (s *spectrum) logTimes(weight float64, x, dst dense.Matrix[float64], w *worker) {
	if s.residual == 0 {
		for i, l := range s.logs {
			dense.Scale(weight*l, x.Row(i), dst.Row(i))
		}
		return
	}
	y := w.t[0]
	for i, l := range s.logs {
		row := y.Row(i)
		row[i] = weight * l
		s.logRow(weight, row, w.m.Row(i), i)
	}
	dense.Mirror(y)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, y, x, 0, dst)
}

// addRoot adds weight * C^1/2 likewise: (D + E)^1/2_ij = E_ij/(d_i^1/2 + d_j^1/2) + O(r^2), with an error of at most r^2/2 times the largest root.
func (s *spectrum) addRoot(weight float64, w *worker) {
	s.addFunction(weight, s.roots, w, func(row, m []float64, i int) {
		ri := s.roots[i]
		for j := i + 1; j < len(row); j++ {
			row[j] = weight * m[j] / (ri + s.roots[j])
		}
	})
}

// addFunction adds weight * f(C) to the upper triangle of w.acc, given the values of f on the diagonal of B' C B and a function that computes what row i of
// B' weight f(C) B has right of its diagonal from row i of B' C B.
func (s *spectrum) addFunction(weight float64, values []float64, w *worker, right func(row, m []float64, i int)) {
	y, t := w.t[0], w.t[1]
	if s.residual == 0 {
		for i := range values {
			row, out := s.basis.Row(i), t.Row(i)
			for j, b := range row {
				out[j] = weight * b * values[j]
			}
		}
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, t, s.basis, 1, w.acc)
		return
	}
	for i, v := range values {
		row := y.Row(i)
		row[i] = weight * v
		right(row, w.m.Row(i), i)
	}
	dense.Mirror(y)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, s.basis, y, 0, t)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, t, s.basis, 1, w.acc)
}

// sinhQuotient returns (d/2)/sinh(d/2) given d and twice the hyperbolic sine.
func sinhQuotient(d, twiceSinh float64) float64 {
	if math.Abs(d) < 1e-3 {
		return 1 - d*d/24
	}
	return d / twiceSinh
}

// addHessian adds weight times the Hessian product of the term with eta to w.acc.
func (s *spectrum) addHessian(weight float64, of term, eta dense.Matrix[float64], w *worker) {
	if s.double == nil {
		s.double = newCurvature[float64](len(s.logs))
	}
	if !s.double.ready {
		s.double.set(s, weight, of)
	}
	s.double.add(eta, w.t[0], w.t[1], w.acc, false)
}

// addHessian32 is addHessian in single precision, of operands rounded to bfloat16 if so told.
func (s *spectrum) addHessian32(weight float64, of term, eta dense.Matrix[float32], rounded bool, w *singleWorker) {
	if s.single == nil {
		s.single = newCurvature[float32](len(s.logs))
	}
	if !s.single.ready {
		s.single.set(s, weight, of)
	}
	s.single.add(eta, w.t[0], w.t[1], w.acc, rounded)
}
