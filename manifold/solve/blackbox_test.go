package solve

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

// climber is a small evolution strategy: ten samples around the best point, with a step that grows after a success and shrinks otherwise.
type climber struct {
	x     []float64
	f     float64
	sigma float64
	rng   *rand.ChaCha8
	asked [][]float64
}

func newClimber(dim int) (Sampler, error) {
	c := &climber{x: make([]float64, dim), f: math.Inf(1), sigma: 1, rng: rand.NewChaCha8([32]byte{5})}
	for range 10 {
		c.asked = append(c.asked, make([]float64, dim))
	}
	return c, nil
}

func (c *climber) Ask() [][]float64 {
	draw := rand.New(c.rng)
	for _, v := range c.asked {
		for i, x := range c.x {
			v[i] = x + c.sigma*draw.NormFloat64()
		}
	}
	return c.asked
}

func (c *climber) Tell(f []float64) error {
	better := false
	for i, v := range f {
		if v < c.f {
			c.f, better = v, true
			copy(c.x, c.asked[i])
		}
	}
	if better {
		c.sigma *= 1.3
	} else {
		c.sigma /= 1.6
	}
	return nil
}

func (c *climber) Stopped() (Reason, bool) {
	return Reason{Name: "small", Detail: "the step is small", Converged: true}, c.sigma < 1e-9
}

func (c *climber) MarshalBinary() ([]byte, error) {
	b, err := c.rng.MarshalBinary()
	for _, v := range append([]float64{c.f, c.sigma}, c.x...) {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b, err
}

func (c *climber) UnmarshalBinary(data []byte) error {
	k := len(data) - 8*(len(c.x)+2)
	if k < 0 {
		return errors.New("too short")
	}
	for i, p := range append([]*float64{&c.f, &c.sigma}, pointers(c.x)...) {
		*p = math.Float64frombits(binary.LittleEndian.Uint64(data[k+8*i:]))
	}
	return c.rng.UnmarshalBinary(data[:k])
}

func pointers(v []float64) (all []*float64) {
	for i := range v {
		all = append(all, &v[i])
	}
	return all
}

// TestBlackBox: a distance to a matrix falls to the rounding of its square root, and what the sampler does wrong is an error that names the generation.
func TestBlackBox(t *testing.T) {
	m := affine(t, 3, manifold.AffineOptions{Kappa: 2})
	target := m.RandomPoint(rand.New(rand.NewChaCha8([32]byte{3})))
	start := manifold.IdentityFrame(3, 1)
	r, err := BlackBox(m, squaredDistance(m, target), start, &Options{Sampler: newClimber})
	if err != nil || !r.Converged || r.Reason.Name != "small" || r.Certificate.Kind != "none" || r.Evaluations < 10*r.Iterations {
		t.Fatalf("%+v %v", r, err)
	}
	if d, err := m.Distance(r.Point, target); err != nil || d > 1e-6 || math.Abs(r.Objective-d*d) > 1e-13 {
		t.Errorf("distance %v to the minimizer, cost %v (%v)", d, r.Objective, err)
	}
	for what, sampler := range map[string]func(int) (Sampler, error){
		"Sampler":     nil,
		"no point":    func(int) (Sampler, error) { return &climber{sigma: 1}, nil },
		"coordinates": func(dim int) (Sampler, error) { return newClimber(dim + 1) },
		"broken":      func(int) (Sampler, error) { return nil, errors.New("broken") },
	} {
		if _, err := BlackBox(m, squaredDistance(m, target), start, &Options{Sampler: sampler}); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestBlackBoxAllocatesNothing(t *testing.T) {
	m := affine(t, 3, manifold.AffineOptions{})
	cost := Cost(func(p manifold.Point) (float64, error) {
		inv := p.(*manifold.Frame).Inverse().RawMatrix().Data
		return dense.Dot(inv, inv) + p.(*manifold.Frame).LogDet(), nil
	})
	run := func(iterations int) func() {
		return func() {
			if _, err := BlackBox(m, cost, manifold.IdentityFrame(3, 2), &Options{MaxIterations: iterations, Sampler: newClimber}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if more := allocs.Growth(3, run(2), run(22)); more >= 25 { // one random source for each generation of the sampler
		t.Errorf("%v allocations more in 22 generations than in 2", more)
	}
}
