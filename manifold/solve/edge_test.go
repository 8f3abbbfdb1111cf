package solve

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

// identically is the logdet objective whose minimizer is the identity, where its gradient is zero, with a preconditioner.
type identically struct{ *logdet }

// Precondition implements Preconditioner.
func (identically) Precondition(dst []float64, _ manifold.Point, v []float64, _ Memo) error {
	copy(dst, v)
	return nil
}

func identity(n int) identically {
	l := newLogdet(n, 1, 1)
	l.chol.Identity()
	return identically{l}
}

// TestZeroGradient: a start with a gradient of zero has converged, with a preconditioner and with states too.
func TestZeroGradient(t *testing.T) {
	m, start := affine(t, 3, manifold.AffineOptions{}), manifold.IdentityFrame(3, 1)
	for _, s := range append(Solvers(), bfgs) {
		states := 0
		r, err := s.Run(m, identity(3), start, &Options{Checkpoint: func(*State) error { states++; return nil }})
		if err != nil || !r.Converged || r.Iterations != 0 || r.GradientNorm != 0 || math.IsNaN(r.RelativeGradient) || states != 1 {
			t.Errorf("%s: %+v %v, %d states", s.Name, r, err, states)
		}
	}
}

// inUnits is a cost in other units, with the gradient scale of the original in them.
type inUnits struct {
	*logdet
	unit float64
}

// Evaluate implements Objective.
func (u inUnits) Evaluate(p manifold.Point, grad []float64, memo Memo) (float64, error) {
	cost, err := u.logdet.Evaluate(p, grad, memo)
	dense.Scale(u.unit, grad, grad)
	return cost * u.unit, err
}

// GradientScale implements Scaler.
func (u inUnits) GradientScale(float64) float64 { return u.unit }

// TestUnits: a small unit of a cost with a scale of its own is no convergence.
func TestUnits(t *testing.T) {
	m, start := affine(t, 4, manifold.AffineOptions{}), manifold.IdentityFrame(4, 1)
	for _, s := range Solvers() {
		for _, unit := range []float64{1, 0x1p-80} {
			r, err := s.Run(m, inUnits{newLogdet(4, 50, 5), unit}, start, &Options{Tolerance: 1e-6})
			if err != nil || !r.Converged || !(r.GradientNorm <= 1e-6*unit) {
				t.Errorf("%s in units of %g: %+v %v", s.Name, unit, r, err)
			}
		}
	}
}

// TestTinyTolerance: a tolerance whose quotient with the rounding level overflows is refused; before, everything was converged.
func TestTinyTolerance(t *testing.T) {
	o := &Options{Tolerance: 1e-320}
	if err := o.Validate(); err == nil || !strings.Contains(err.Error(), "1e-100") {
		t.Errorf("%v", err)
	}
}

// TestFirstSize: points nearer to each other than the tolerance at the start are no minimizer.
func TestFirstSize(t *testing.T) {
	m, start := affine(t, 2, manifold.AffineOptions{}), manifold.IdentityFrame(2, 1)
	cost := Cost(func(p manifold.Point) (float64, error) { return math.Pow(p.(*manifold.Frame).LogDet()-1, 2), nil })
	o := &Options{FirstStep: 1e-9, Stochastic: StochasticOptions{Source: rand.NewChaCha8([32]byte{})}}
	for _, s := range []Solver{nelderMead, swarm} {
		if r, err := s.Run(m, cost, start, o); err == nil || !strings.Contains(err.Error(), "FirstStep") {
			t.Errorf("%s: %+v %v", s.Name, r, err)
		}
	}
}

// still is a manifold without tangent vectors.
type still struct{ *manifold.Affine }

// RandomTangent implements manifold.RandomTangenter.
func (still) RandomTangent(v []float64, _ manifold.Point, _ *rand.Rand) { clear(v) }

// TestNoTangent: a manifold without tangent vectors is refused by the solvers that need a basis.
func TestNoTangent(t *testing.T) {
	m, start := still{affine(t, 2, manifold.AffineOptions{})}, manifold.IdentityFrame(2, 1)
	if _, err := NelderMead(m, Cost(func(manifold.Point) (float64, error) { return 3, nil }), start, nil); err == nil || !strings.Contains(err.Error(), "no tangent vector") {
		t.Errorf("nelder-mead: %v", err)
	}
	if _, err := BFGS(m, newLogdet(2, 3, 1), start, nil); err == nil || !strings.Contains(err.Error(), "no tangent vector") {
		t.Errorf("bfgs: %v", err)
	}
}

// offVolume is a cost whose minimizer is the start, with a constraint on log det X.
type offVolume struct {
	*logdet
	equality bool
}

// Constraints implements Constrained.
func (o offVolume) Constraints() (equalities, inequalities int) {
	if o.equality {
		return 1, 0
	}
	return 0, 1
}

// Constrain implements Constrained.
func (o offVolume) Constrain(c []float64, p manifold.Point, _ Memo) error {
	c[0] = p.(*manifold.Frame).LogDet() + 1
	return nil
}

// ConstraintGradient implements Constrained.
func (o offVolume) ConstraintGradient(grad []float64, p manifold.Point, weights []float64, _ Memo) error {
	for i := 0; i < len(grad); i += p.(*manifold.Frame).Dim() + 1 {
		grad[i] += weights[0]
	}
	return nil
}

// TestConstraintsAtMinimizer: a start that minimizes the cost but not under the constraints has no gradient to measure others by, and the methods for
// constraints converge all the same.
func TestConstraintsAtMinimizer(t *testing.T) {
	m, start := affine(t, 3, manifold.AffineOptions{}), manifold.IdentityFrame(3, 1)
	for _, s := range []Solver{augmented, exactPenalty} {
		for _, equality := range []bool{true, false} {
			r, err := s.Run(m, offVolume{identity(3).logdet, equality}, start, &Options{MaxIterations: 100})
			if err != nil || !r.Converged || math.Abs(r.Point.(*manifold.Frame).LogDet()+1) > 1e-5 {
				t.Errorf("%s, equality %v: %+v %v", s.Name, equality, r, err)
			}
		}
	}
}

// TestEdgeOfDomain: where gradients cannot be evaluated on either side of a point, the solvers that take differences of them end there with a reason, not with
// an error that asks for Hessian products.
func TestEdgeOfDomain(t *testing.T) {
	m, start := affine(t, 3, manifold.AffineOptions{}), manifold.IdentityFrame(3, 1)
	for name, run := range map[string]Minimize{"trust": Trust, "arc": CubicRegularization} {
		l := newLogdet(3, 10, 1)
		l.fail = func(evaluation int) (float64, error) {
			if evaluation > 1 {
				return 0, &manifold.PointError{What: "singular"}
			}
			return 0, nil
		}
		r, err := run(m, l, start, nil)
		if err != nil || r.Converged || r.Reason.Name != "edge" || !strings.Contains(r.Reason.Advice, "affine-invariant") || r.Point.(*manifold.Frame).LogDet() != 0 {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
}

// ravine is log det S, which has no minimum: runs reach points that are singular to rounding.
type ravine struct{}

// Evaluate implements Objective, as a caller does who asks the frame for its matrix; the whitened gradient is I.
func (ravine) Evaluate(p manifold.Point, grad []float64, _ Memo) (float64, error) {
	f := p.(*manifold.Frame)
	s, n := f.Sym(), f.Dim()
	for i := range grad {
		grad[i] = 0
		if i%(n+1) == 0 {
			grad[i] = 1
		}
	}
	return f.LogDet() + 0*s.At(0, 0), nil
}

// Terms and BatchGradient implement Sum.
func (ravine) Terms() int { return 1 }

func (r ravine) BatchGradient(grad []float64, p manifold.Point, _ []int) error {
	_, err := r.Evaluate(p, grad, nil)
	return err
}

// TestSingularOnTheWay: an objective that asks for a frame which rounding no longer allows shortens the step or ends the run, and does not panic.
func TestSingularOnTheWay(t *testing.T) {
	m, start := affine(t, 4, manifold.AffineOptions{}), manifold.IdentityFrame(4, 1)
	for _, s := range append(Solvers(), bfgs, nelderMead, sgd) {
		o := &Options{MaxIterations: 200, Stochastic: StochasticOptions{Source: rand.NewChaCha8([32]byte{}), Rate: 50, Decay: 1e-9}}
		r, err := s.Run(m, ravine{}, start, o)
		var singular *manifold.PointError
		if err == nil && (r.Converged || !finite(r.Objective)) || err != nil && !errors.As(err, &singular) {
			t.Errorf("%s: %+v %v", s.Name, r, err)
		}
	}
}
