package solve

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

// bounded is d(S, B)^2/2 with bounds on log det S: equal to each number of equal, at most each of most. The minimizer is B e^(s/n) for the
// shift s of log det that the constraints ask for.
type bounded struct {
	*tug
	equal, most []float64
	spoil       func(c []float64) error
}

func (b *bounded) Constraints() (int, int) { return len(b.equal), len(b.most) }

func (b *bounded) Constrain(c []float64, p manifold.Point, _ Memo) error {
	for i, v := range append(append([]float64(nil), b.equal...), b.most...) {
		c[i] = p.(*manifold.Frame).LogDet() - v
	}
	if b.spoil != nil {
		return b.spoil(c)
	}
	return nil
}

func (b *bounded) ConstraintGradient(grad []float64, p manifold.Point, weights []float64, _ Memo) error {
	one := make([]float64, len(grad))
	n := b.m.Dim()
	for i := range n {
		one[i*n+i] = 1
	}
	b.m.FromWhitened(p.(*manifold.Frame), one)
	for _, w := range weights {
		dense.Axpy(w, one, grad)
	}
	return nil
}

func TestAugmentedLagrangian(t *testing.T) {
	const n = 3
	for _, kappa := range []int{1, 2} {
		m := affine(t, n, manifold.AffineOptions{Kappa: kappa})
		b := newTug(m, 0, 81)
		l := b.b.(*manifold.Frame).LogDet()
		for _, k := range []struct {
			equal, most []float64
			shift       float64
			multipliers []float64 // n kappa times
		}{
			{equal: []float64{l + 2}, shift: 2, multipliers: []float64{-2}},
			{equal: []float64{l - 3}, shift: -3, multipliers: []float64{3}},
			{most: []float64{l - 1.5}, shift: -1.5, multipliers: []float64{1.5}},
			{most: []float64{l + 1}, multipliers: []float64{0}},
			{equal: []float64{l - 1}, most: []float64{l + 5}, shift: -1, multipliers: []float64{1, 0}},
			{most: []float64{l - 1, l - 2, l}, shift: -2, multipliers: []float64{0, 2, 0}},
		} {
			r, err := AugmentedLagrangian(m, &bounded{tug: b, equal: k.equal, most: k.most}, manifold.IdentityFrame(n, 1), nil)
			if err != nil || !r.Converged || r.Violation > 1e-8 || r.Certificate.Kind != "none" {
				t.Errorf("kappa %d, equal %v, most %v: %+v %v", kappa, k.equal, k.most, r, err)
				continue
			}
			if d, err := m.Distance(r.Point, b.b); err != nil || math.Abs(d-math.Abs(k.shift)/math.Sqrt(n*float64(kappa))) > 1e-7 ||
				math.Abs(r.Point.(*manifold.Frame).LogDet()-l-k.shift) > 1e-7 {
				t.Errorf("kappa %d, equal %v, most %v: distance %v from B, shift %v, want %v (%v)", kappa, k.equal, k.most, d,
					r.Point.(*manifold.Frame).LogDet()-l, k.shift, err)
			}
			for i, y := range r.Multipliers {
				if want := k.multipliers[i] / (n * float64(kappa)); math.Abs(y-want) > 1e-6 {
					t.Errorf("kappa %d, equal %v, most %v: multiplier %d is %v, want %v", kappa, k.equal, k.most, i, y, want)
				}
			}
		}
	}
}

// traced is a log-det cost of which the trace of the matrix is given, in a unit in which one is a large number.
type traced struct {
	*logdet
	m    *manifold.Affine
	unit float64
}

func (f traced) Constraints() (int, int) { return 1, 0 }

func (f traced) Constrain(c []float64, p manifold.Point, _ Memo) error {
	s := p.(*manifold.Frame).Sym()
	c[0] = -float64(s.SymmetricDim())
	for i := range s.SymmetricDim() {
		c[0] += s.At(i, i)
	}
	c[0] *= f.unit
	return nil
}

func (f traced) ConstraintGradient(grad []float64, p manifold.Point, weights []float64, _ Memo) error {
	v := make([]float64, len(grad))
	f.m.Gradient(v, p, manifold.DenseOf(manifold.IdentityFrame(f.m.Dim(), 1).Sym()))
	dense.Axpy(weights[0]*f.unit, v, grad)
	return nil
}

// TestUnitsOfConstraints: a constraint in a unit that makes its gradient large costs about as many evaluations as in another, and multipliers and violations are in
// that unit. Where rounding in it keeps the sharp penalty from converging the run says so soon. A gradient that is not finite is named.
func TestUnitsOfConstraints(t *testing.T) {
	const n, unit = 4, 1e6
	m, start := affine(t, n, manifold.AffineOptions{}), manifold.IdentityFrame(n, 1)
	cost := newLogdet(n, 10, 3)
	want, err := AugmentedLagrangian(m, traced{cost, m, 1}, start, nil)
	if err != nil || !want.Converged {
		t.Fatalf("%+v %v", want, err)
	}
	for _, s := range []Solver{augmented, exactPenalty} {
		r, err := s.Run(m, traced{cost, m, unit}, start, nil)
		if err != nil || s.Name == augmented.Name && (!r.Converged || r.Violation > 1e-8 || r.Evaluations > 3*want.Evaluations) ||
			s.Name == exactPenalty.Name && !r.Converged && r.Reason.Name != "stalled" || r.Evaluations > 200000 {
			t.Errorf("%s: %+v (%d evaluations in another unit) %v", s.Name, r, want.Evaluations, err)
			continue
		}
		if math.Abs(r.Multipliers[0]*unit-want.Multipliers[0]) > 1e-3 || math.Abs(r.Objective-want.Objective) > 1e-5 {
			t.Errorf("%s: multiplier %v, want %v, cost %v, want %v", s.Name, r.Multipliers[0]*unit, want.Multipliers[0], r.Objective, want.Objective)
		}
		_, err = s.Run(m, traced{cost, m, 1e200}, start, nil)
		if err == nil || !strings.Contains(err.Error(), "the start: the gradient of constraint 0 has norm") {
			t.Errorf("%s: %v", s.Name, err)
		}
	}
}

func TestAugmentedLagrangianFailures(t *testing.T) {
	m, start := affine(t, 3, manifold.AffineOptions{}), manifold.IdentityFrame(3, 1)
	b := newTug(m, 0, 82)
	r, err := AugmentedLagrangian(m, &bounded{tug: b, equal: []float64{0, 1}}, start, nil)
	if err != nil || r.Converged || r.Reason.Name != "infeasible" || r.Violation < 0.4 {
		t.Errorf("contradicting constraints: %+v %v", r, err)
	}
	for _, f := range []Objective{newLogdet(3, 10, 1), &bounded{tug: b}} {
		if _, err := AugmentedLagrangian(m, f, start, nil); err == nil || !strings.Contains(err.Error(), "onstrain") {
			t.Errorf("without constraints: %v", err)
		}
	}
	broken, calls := errors.New("disk full"), 0
	spoilt := &bounded{tug: b, equal: []float64{0}, spoil: func(c []float64) error {
		if calls++; calls == 4 {
			return broken
		}
		return nil
	}}
	if _, err := AugmentedLagrangian(m, spoilt, start, nil); !errors.Is(err, broken) || !strings.Contains(err.Error(), "outer iteration 1") {
		t.Errorf("error %v, want the objective's with the iteration", err)
	}
	spoilt.spoil = func(c []float64) error { c[0] = math.NaN(); return nil }
	if _, err := AugmentedLagrangian(m, spoilt, start, nil); err == nil || !strings.Contains(err.Error(), "constraint 0 is NaN") {
		t.Errorf("NaN constraint: %v", err)
	}
	stopped, err := AugmentedLagrangian(m, &bounded{tug: b, equal: []float64{0}}, start, &Options{Callback: func(*Status) bool { return true }})
	if err != nil || stopped.Converged || stopped.Reason.Name != "callback" || stopped.Iterations != 1 {
		t.Errorf("callback: %+v %v", stopped, err)
	}
}

func TestAugmentedLagrangianResumes(t *testing.T) {
	m := affine(t, 3, manifold.AffineOptions{})
	checkResume(t, "augmented-lagrangian", 1, func(o *Options) (*Result, error) {
		return AugmentedLagrangian(m, &bounded{tug: newTug(m, 0, 83), equal: []float64{-1}, most: []float64{3}}, manifold.IdentityFrame(3, 1), o)
	})
}
