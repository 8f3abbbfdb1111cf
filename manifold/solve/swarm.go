package solve

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

var swarm = Solver{
	Name:  "particle-swarm",
	What:  "particles drawn to their own best points and the best of all along geodesics, until they meet; costs only",
	Needs: "nothing but a cost; Options.Stochastic.Source; a manifold with RandomTangent and Log",
	Run:   ParticleSwarm,
}

// Constants of Clerc and Kennedy (IEEE Trans. Evol. Comput. 6 (2002) 58-73), with which a swarm contracts without a limit on velocities.
const (
	swarmInertia = 0.729844 // of the velocity
	swarmPull    = 1.496180 // towards each of the two best points, times a number drawn from [0, 1)
	swarmMost    = 40       // particles, or ten for each dimension if that is less
)

// ParticleSwarm minimizes a cost without derivatives by a swarm (Borckmans, Ishteva and Absil, ANTS 2010; Kennedy and Eberhart, 1995): the velocity of a particle
// is an inertia times the last one, carried along, plus random parts of the logarithms of its own best point and of the best of all. The swarm starts around the
// start, at distances up to twice Options.FirstStep (default 1), which should be as wide as the minimizer is far; with few particles it may meet elsewhere than at
// a minimizer. The run has converged when no particle's best point is farther than Options.Tolerance from the best of all. An iteration moves every particle:
// min(40, 10 d) evaluations; the default of Options.MaxIterations is 1000. There is no certificate, and Result.GradientNorm is +Inf: nothing is known about it.
func ParticleSwarm(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error) {
	if o == nil || o.Stochastic.Source == nil {
		return nil, errors.New("solve: particle-swarm needs Options.Stochastic.Source")
	}
	log, ok1 := m.(manifold.Logarithm)
	draw, ok2 := m.(manifold.RandomTangenter)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("solve: particle-swarm needs a manifold with RandomTangent and Log, not %T", m)
	}
	r, err := prepare("particle-swarm", m, f, start, o, true)
	if err != nil {
		return nil, err
	}
	s, err := newFlock(r, log)
	if err != nil {
		return nil, err
	}
	if r.o.Restore == nil {
		if err := s.spread(draw); err != nil {
			return nil, err
		}
	}
	if err := r.keep(s.fields); err != nil {
		return nil, err
	}
	for !r.done() {
		if r.status.Iteration > 0 && r.status.StepNorm <= r.o.Tolerance {
			r.reason = Reason{Name: "swarm", Converged: true, Detail: fmt.Sprintf("every particle's best point is within %.3g of the best of all", r.status.StepNorm)}
			break
		}
		if err := s.step(); err != nil {
			return nil, err
		}
	}
	if r.x.cost != s.cost[s.best] {
		r.x.point.CopyFrom(s.own[s.best])
		r.x.cost = s.cost[s.best]
		r.status.Cost, r.status.Point = r.x.cost, r.x.point
	}
	return r.result()
}

// flock is the state of ParticleSwarm.
type flock struct {
	r        *run
	log      manifold.Logarithm
	source   *rand.ChaCha8
	rng      *rand.Rand
	at, own  []manifold.Point // positions, and the best that each particle has seen
	velocity [][]float64
	cost     []float64 // at own
	best     int       // particle with the least of them
	radius   float64   // of the first swarm
	pull     []float64
}

func newFlock(r *run, log manifold.Logarithm) (*flock, error) {
	s := &flock{r: r, log: log, source: r.o.Stochastic.Source, pull: make([]float64, len(r.x.grad))}
	var err error
	if s.radius, err = r.firstSize(); err != nil {
		return nil, err
	}
	s.rng = rand.New(s.source)
	for range min(swarmMost, 10*len(r.x.grad)) {
		s.at, s.own = append(s.at, r.x.point.Clone()), append(s.own, r.x.point.Clone())
		s.velocity = append(s.velocity, make([]float64, len(r.x.grad)))
		s.cost = append(s.cost, r.x.cost)
	}
	return s, nil
}

func (s *flock) fields(c *codec) {
	count := len(s.at)
	if c.integer(&count); count != len(s.at) {
		c.fail("a swarm of %d particles, this run has %d", count, len(s.at))
		return
	}
	for i := range s.at {
		if c.err == nil {
			c.opaque("a particle", s.at[i])
		}
		if c.err == nil {
			c.opaque("a best point", s.own[i])
		}
		c.vector(s.velocity[i])
		c.float(&s.cost[i])
	}
	c.integer(&s.best)
	if c.err == nil {
		c.opaque("the random source", s.source)
	}
	if s.best < 0 || s.best >= len(s.at) {
		c.fail("best particle %d of %d", s.best, len(s.at))
	}
}

// spread moves all particles but the first away from the start, and gives every one a velocity.
func (s *flock) spread(draw manifold.RandomTangenter) error {
	for i, v := range s.velocity {
		draw.RandomTangent(v, s.at[i], s.rng)
		dense.Scale(2*s.radius*s.rng.Float64(), v, v)
		if i > 0 {
			if err := s.move(i); err != nil {
				return err
			}
		}
		draw.RandomTangent(v, s.at[i], s.rng)
		dense.Scale(s.radius*s.rng.Float64(), v, v)
	}
	s.choose()
	return nil
}

// move takes particle i along its velocity, which is carried along, and evaluates it there. A step that cannot be taken halves the velocity instead.
func (s *flock) move(i int) error {
	r := s.r
	err := r.m.Retract(r.y.point, s.at[i], s.velocity[i])
	if err == nil && r.check != nil {
		err = r.check.Check(r.y.point)
	}
	if err == nil {
		err = r.evaluate(&r.y)
	}
	if err != nil {
		if !mendable(err) {
			return fmt.Errorf("solve: iteration %d: %w", r.status.Iteration+1, err)
		}
		dense.Scale(0.5, s.velocity[i], s.velocity[i])
		return nil
	}
	if !r.free {
		r.m.Transport(s.at[i], r.y.point, s.velocity[i])
	}
	s.at[i], r.y.point = r.y.point, s.at[i]
	if r.y.cost < s.cost[i] {
		s.cost[i] = r.y.cost
		s.own[i].CopyFrom(s.at[i])
	}
	return nil
}

// choose finds the best of all.
func (s *flock) choose() {
	for i, c := range s.cost {
		if c < s.cost[s.best] {
			s.best = i
		}
	}
}

// step moves every particle.
func (s *flock) step() error {
	leader := s.best
	for i, v := range s.velocity {
		dense.Scale(swarmInertia, v, v)
		for _, to := range []int{i, leader} {
			if err := s.log.Log(s.pull, s.at[i], s.own[to]); err == nil { // points without a path between them do not attract
				dense.Axpy(swarmPull*s.rng.Float64(), s.pull, v)
			}
		}
		if err := s.move(i); err != nil {
			return err
		}
	}
	s.choose()
	r := s.r
	r.status.Iteration++
	r.status.StepNorm = s.size()
	r.observe(nil, s.cost[s.best], math.Inf(1), 1)
	return nil
}

// size returns the largest distance of a best point from the best of all.
func (s *flock) size() float64 {
	var most float64
	centre := s.own[s.best]
	for i, p := range s.own {
		if i == s.best {
			continue
		}
		if err := s.log.Log(s.pull, p, centre); err != nil {
			return math.Inf(1)
		}
		most = max(most, s.r.m.Inner(p, s.pull, s.pull))
	}
	return math.Sqrt(most)
}
