package problem

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

// stepper makes one step of a specialised iteration: it sets next from p, where the objective has just been evaluated with the given gradient.
type stepper func(next, p *manifold.Frame, grad []float64, norm float64, memo solve.Memo) error

// drive runs a specialised iteration from the first point until the criteria say so, and certifies the result.
func drive(in instance, m *manifold.Affine, o *Options, step stepper) (*solve.Result, error) {
	p, err := firstPoint(in, o)
	if err != nil {
		return nil, err
	}
	var memo solve.Memo
	if w, ok := in.(solve.Memoizer); ok {
		memo = w.NewMemo()
	}
	p = p.Clone().(*manifold.Frame)
	next, grad := p.Clone().(*manifold.Frame), make([]float64, m.VectorLen())
	mon := iteration.NewMonitor(&o.Solver, m.VectorLen())
	var cost, norm, scale float64
	evaluate := func() error {
		if cost, err = in.Evaluate(p, grad, memo); err == nil {
			norm = math.Sqrt(m.Inner(p, grad, grad))
			if math.IsNaN(cost+norm) || math.IsInf(cost+norm, 0) {
				err = fmt.Errorf("cost %v and gradient norm %v; both must be finite", cost, norm)
			}
		}
		if err != nil {
			return fmt.Errorf("iteration %d: %w", mon.Status.Iteration, err)
		}
		return nil
	}
	if err := evaluate(); err != nil {
		return nil, err
	}
	scale = norm
	for {
		if s, ok := in.(solve.Scaler); ok {
			scale = s.GradientScale(cost)
		}
		if mon.Done(p, cost, norm, scale) {
			return certified(in, m, mon, p, grad, memo)
		}
		if err := step(next, p, grad, norm, memo); err != nil {
			return nil, fmt.Errorf("iteration %d: %w", mon.Status.Iteration+1, err)
		}
		if err := m.Check(next); err != nil {
			return nil, fmt.Errorf("iteration %d: %w", mon.Status.Iteration+1, err)
		}
		p, next = next, p
		mon.Step(norm)
		mon.Status.Evaluations++
		if err := evaluate(); err != nil {
			return nil, err
		}
	}
}

// certified closes the run at p, where the last evaluation left the gradient and the memo. The certificate is the objective's own, or the length of the
// Newton step.
func certified(in instance, m *manifold.Affine, mon *iteration.Monitor, p *manifold.Frame, grad []float64, memo solve.Memo) (*solve.Result, error) {
	if err := m.Complete(p); err != nil {
		return nil, err
	}
	c, products := solve.Certify(m, in, p, grad, memo)
	r := mon.Result(p, products)
	r.Certificate = c
	return r, nil
}

// relaxation makes gradient steps of the length that the curvature along the last one asks for (Barzilai and Borwein, IMA J. Numer. Anal. 8
// (1988)), between a tenth of and twice the step of the plain iteration.
type relaxation struct {
	plain      float64 // step of the plain iteration, a multiple of the gradient
	step, last []float64
	ready      bool    // step and last belong to the present frame
	curvature  float64 // the smallest one seen along a step, 0 before the first
}

func newRelaxation(plain float64, n int) *relaxation {
	return &relaxation{plain: plain, step: make([]float64, n), last: make([]float64, n)}
}

// next returns the step from a point with the given gradient. Coordinates of vectors stay as they are along a step (manifold.Affine).
func (r *relaxation) next(grad []float64) []float64 {
	theta := r.plain
	if r.ready {
		ss := dense.Dot(r.step, r.step)
		var sy float64
		for i, s := range r.step {
			sy += s * (grad[i] - r.last[i])
		}
		if sy > 0 {
			theta = min(max(ss/sy, r.plain/10), 2*r.plain)
			r.sawCurvature(sy / ss)
		}
	}
	copy(r.last, grad)
	dense.Scale(-theta, grad, r.step)
	r.ready = true
	return r.step
}

// sawCurvature notes the curvature along a step.
func (r *relaxation) sawCurvature(c float64) {
	if r.curvature == 0 || c < r.curvature {
		r.curvature = c
	}
}

// congruence returns the frame of F P F' for the symmetric P.
func congruence(m *manifold.Affine, f *manifold.Frame, p dense.Matrix[float64]) (*manifold.Frame, error) {
	if err := m.Complete(f); err != nil {
		return nil, err
	}
	n := p.Rows
	work, out := dense.New[float64](n, n), dense.New[float64](n, n)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, view(f.F()), p, 0, work)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, work, view(f.F()), 0, out)
	return manifold.NewFrame(symmetric(out))
}

// minusPlusIdentity sets grad = I - p.
func minusPlusIdentity(grad []float64, p dense.Matrix[float64]) {
	dense.Scale(-1, p.Data, grad)
	for i := range p.Rows {
		grad[i*p.Cols+i]++
	}
}
