package solve

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/manifold"
)

func newRand(seed byte) *rand.Rand { return rand.New(rand.NewChaCha8([32]byte{seed})) }

func flockOptions(seed byte) *Options {
	return &Options{Stochastic: StochasticOptions{Source: rand.NewChaCha8([32]byte{seed})}}
}

// ripples is a cost with many local minima along the distance from the target, where it is 0.
func ripples(m *manifold.Affine, target manifold.Point) Cost {
	return func(p manifold.Point) (float64, error) {
		d, err := m.Distance(p, target)
		return d*d + 1 - math.Cos(6*d), err
	}
}

// TestSwarmLeavesLocalMinima: the swarm finds the best of many minima, which a simplex from the same start does not.
func TestSwarmLeavesLocalMinima(t *testing.T) {
	m := affine(t, 2, manifold.AffineOptions{})
	target := m.RandomPoint(newRand(31))
	f, start := ripples(m, target), manifold.IdentityFrame(2, 3)
	o := flockOptions(31)
	o.FirstStep = 2
	r, err := ParticleSwarm(m, f, start, o)
	if err != nil || !r.Converged || r.Reason.Name != "swarm" || r.Certificate.Kind != "none" || r.Evaluations > 20000 {
		t.Fatalf("%+v %v", r, err)
	}
	if d, err := m.Distance(r.Point, target); err != nil || d > 1e-6 {
		t.Errorf("the swarm ends %g from the minimizer, cost %g (%v)", d, r.Objective, err)
	}
	trapped, err := NelderMead(m, f, start, &Options{FirstStep: 0.1})
	if err != nil || trapped.Objective < 0.1 {
		t.Errorf("the cost has no local minima to leave: the simplex ends at %+v (%v)", trapped, err)
	}
}

// TestSwarmCarriesVelocities: where transport is not free, the result is that of the same swarm with free transport.
func TestSwarmCarriesVelocities(t *testing.T) {
	m := affine(t, 3, manifold.AffineOptions{})
	target := m.RandomPoint(newRand(32))
	r, err := ParticleSwarm(embeddedLog{embedded{m}}, squaredDistance(m, target), manifold.IdentityFrame(3, 1), flockOptions(32))
	if err != nil || !r.Converged {
		t.Fatalf("%+v %v", r, err)
	}
	if d, err := m.Distance(r.Point, target); err != nil || d > 1e-5 {
		t.Errorf("distance %g to the minimizer (%v)", d, err)
	}
}

// embeddedLog is embedded with the logarithm in its coordinates.
type embeddedLog struct{ embedded }

func (e embeddedLog) Log(v []float64, p, q manifold.Point) error {
	err := e.Affine.Log(v, p, q)
	e.rotate(v, e.angle(p))
	return err
}

func (e embeddedLog) RandomTangent(v []float64, p manifold.Point, rng *rand.Rand) {
	e.Affine.RandomTangent(v, p, rng)
	e.rotate(v, e.angle(p))
}

func TestSwarmStops(t *testing.T) {
	m := affine(t, 2, manifold.AffineOptions{})
	f, start := squaredDistance(m, manifold.IdentityFrame(2, 5)), manifold.IdentityFrame(2, 1)
	for name, change := range map[string]func(*Options){
		"iterations": func(o *Options) { o.MaxIterations = 3 }, "evaluations": func(o *Options) { o.Stop = EvaluationLimit(100) },
		"cost": func(o *Options) { o.Stop = CostBelow(0.5) }, "time": func(o *Options) { o.MaxTime = 1 },
	} {
		o := flockOptions(33)
		change(o)
		r, err := ParticleSwarm(m, f, start, o)
		if err != nil || r.Converged || r.Reason.Name != name {
			t.Errorf("%s: %+v %v", name, r, err)
			continue
		}
		if c, err := f(r.Point); err != nil || math.Abs(c-r.Objective) > 1e-12 {
			t.Errorf("%s: the point returned has cost %v, the result says %v (%v)", name, c, r.Objective, err)
		}
	}
	if _, err := ParticleSwarm(m, f, start, nil); err == nil || !strings.Contains(err.Error(), "Source") {
		t.Errorf("without a source: %v", err)
	}
	broken, count := errors.New("disk full"), 0
	if _, err := ParticleSwarm(m, Cost(func(p manifold.Point) (float64, error) {
		if count++; count == 90 {
			return 0, broken
		}
		return f(p)
	}), start, flockOptions(33)); !errors.Is(err, broken) {
		t.Errorf("error %v, want the objective's", err)
	}
	half := Cost(func(p manifold.Point) (float64, error) {
		if p.(*manifold.Frame).LogDet() > 1 {
			return math.Inf(1), nil
		}
		return f(p)
	})
	edge := flockOptions(34)
	edge.MaxIterations = 100
	r, err := ParticleSwarm(m, half, start, edge)
	if err != nil || math.Abs(r.Objective-math.Pow(2*math.Log(5)-1, 2)/2) > 1e-3 || math.Abs(r.Point.(*manifold.Frame).LogDet()-1) > 1e-3 {
		t.Errorf("domain with an edge: %+v %v, log det %v, want 1", r, err, r.Point.(*manifold.Frame).LogDet())
	}
}
