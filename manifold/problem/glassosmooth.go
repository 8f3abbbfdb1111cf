package problem

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

const (
	smoothFirst = 0.1  // width of the smoothing at the start, of entries in units in which the variances are 1
	smoothLast  = 1e-9 // and at the end
	smoothStep  = 0.03 // from one to the next
	smoothZero  = 1e3  // entries below so many widths are zero
)

// smooth minimizes with |t| replaced by (t^2 + w^2)^1/2, which is smooth, by a Riemannian trust region, and lets w fall. The cost itself has a kink
// at every zero that the solution is sought for, so that no Riemannian solver for smooth costs applies to it directly.
func (r *glassoRun) smooth() error {
	n, o := r.s.Rows, *r.mon.Options
	m, err := manifold.NewAffine(n, manifold.AffineOptions{})
	if err != nil {
		return err
	}
	p, err := manifold.NewFrame(symmetric(r.theta))
	if err != nil {
		return err
	}
	width := smoothFirst
	for {
		f, err := FromEuclidean(m, r.smoothed(width))
		if err != nil {
			return err
		}
		last := width <= smoothLast*1.001 || n == 1
		stage := o
		stage.Checkpoint, stage.Restore = nil, nil // a state would be that of one stage
		stage.MaxIterations = o.MaxIterations - r.mon.Status.Iteration
		if !last {
			stage.Tolerance = max(o.Tolerance, 1e-4)
		}
		run, err := solve.Trust(m, f, p, &stage)
		if err != nil {
			return err
		}
		p = run.Point.(*manifold.Frame)
		r.mon.Status.Iteration += run.Iterations
		r.mon.Status.Evaluations += run.Evaluations
		r.mon.Status.HessianProducts += run.HessianProducts
		r.mon.Reason = run.Reason
		if all, over := solve.IterationLimit(o.MaxIterations).Check(&r.mon.Status); over && run.Reason.Name == all.Name {
			r.mon.Reason = all // of all stages
		}
		if last || r.mon.Status.Iteration >= o.MaxIterations || run.Reason.Name == "callback" || run.Reason.Name == "time" {
			break
		}
		width = max(width*smoothStep, smoothLast)
	}
	r.theta.Copy(view(manifold.DenseOf(p.Sym())))
	for i := range n {
		for j := range n {
			if i != j && math.Abs(r.theta.At(i, j)) <= smoothZero*width {
				r.theta.Set(i, j, 0)
			}
		}
	}
	r.mon.Options.Callback = nil // the stages have called it
	return r.settle()
}

// settle states how far theta is from optimality. The smoothing may leave ten times the tolerance.
func (r *glassoRun) settle() error {
	sub := dense.New[float64](r.s.Rows, r.s.Rows)
	var ok bool
	if r.cost, ok = r.evaluate(r.theta); !ok {
		return &manifold.PointError{What: "the smoothed solution without its small entries is not positive definite; use newton"}
	}
	reason, left := r.mon.Reason, r.residual(sub, r.theta)
	switch {
	case r.mon.Done(nil, r.cost, left, r.scale) && r.mon.Reason.Converged:
	case left <= 10*r.mon.Target():
		r.mon.Reason = solve.Reason{Name: "smoothing", Converged: true, Detail: fmt.Sprintf("smoothed solution, relative subgradient %.3g", left/r.scale)}
	case reason.Converged:
		r.mon.Reason = solve.Reason{Name: "smoothing", Detail: fmt.Sprintf("smoothed solution, but relative subgradient %.3g", left/r.scale), Advice: "use newton"}
	default:
		r.mon.Reason = reason
	}
	return nil
}

// smoothed is the cost with the smoothed penalty.
func (r *glassoRun) smoothed(width float64) Euclidean {
	n := r.s.Rows
	each := func(s *mat.SymDense, visit func(i, j int, t, root float64)) {
		for i := range n {
			for j := i; j < n; j++ {
				t := s.At(i, j)
				visit(i, j, t, math.Sqrt(t*t+width*width))
			}
		}
	}
	full, work, out, inverse := dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n), newLastInverse(n)
	return Euclidean{
		N: n,
		Cost: func(s *mat.SymDense) float64 {
			cost := r.logs - inverse.logDet(s)
			each(s, func(i, j int, t, root float64) {
				if i == j {
					cost += r.s.At(i, i) * t
				} else {
					cost += 2 * (r.s.At(i, j)*t + r.rho.At(i, j)*(root-width))
				}
			})
			return cost
		},
		Gradient: func(g, s *mat.SymDense) {
			inv := inverse.of(s)
			each(s, func(i, j int, t, root float64) {
				g.SetSym(i, j, r.s.At(i, j)-inv.At(i, j)+r.rho.At(i, j)*t/root)
			})
		},
		Hessian: func(h, s, u *mat.SymDense) {
			inv := inverse.of(s)
			fill(full, u)
			dense.Gemm(dense.NoTrans, dense.NoTrans, 1, inv, full, 0, work)
			dense.Gemm(dense.NoTrans, dense.NoTrans, 1, work, inv, 0, out)
			each(s, func(i, j int, _, root float64) {
				h.SetSym(i, j, out.At(i, j)+r.rho.At(i, j)*(width/root)*(width/root)/root*u.At(i, j))
			})
		},
	}
}

// lastInverse keeps the Cholesky factor and the inverse of the last matrix that it was asked about.
type lastInverse struct {
	at           []float64 // that matrix
	factor, full dense.Matrix[float64]
	log          float64 // of the determinant
	inverted     bool    // full is its inverse
}

func newLastInverse(n int) *lastInverse {
	return &lastInverse{factor: dense.New[float64](n, n), full: dense.New[float64](n, n)}
}

// logDet returns log det S, -Inf if S is not positive definite.
func (l *lastInverse) logDet(s *mat.SymDense) float64 {
	data := s.RawSymmetric().Data
	if slices.Equal(data, l.at) {
		return l.log
	}
	l.at, l.inverted, l.log = append(l.at[:0], data...), false, 0
	fill(l.factor, s)
	if dense.Cholesky(l.factor) >= 0 {
		l.log = math.Inf(-1)
		return l.log
	}
	for i := range l.factor.Rows {
		l.log += 2 * math.Log(l.factor.At(i, i))
	}
	return l.log
}

// of returns S^-1 for a positive definite S; it is overwritten when the next matrix comes.
func (l *lastInverse) of(s *mat.SymDense) dense.Matrix[float64] {
	l.logDet(s)
	if !l.inverted {
		dense.InvertLower(l.factor)
		dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, l.factor, l.factor, 0, l.full)
		dense.Mirror(l.full)
		l.inverted = true
	}
	return l.full
}
