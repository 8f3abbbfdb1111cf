package solve

import (
	"errors"
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

var nelderMead = Solver{
	Name:  "nelder-mead",
	What:  "Nelder-Mead simplices in tangent spaces, restarted until a restart gains nothing; costs only, for few dimensions",
	Needs: "nothing but a cost; a manifold with RandomTangent",
	Run:   NelderMead,
}

// Cost is an objective without derivatives, for NelderMead.
type Cost func(p manifold.Point) (float64, error)

// Evaluate implements Objective; asking for a gradient is an error.
func (c Cost) Evaluate(p manifold.Point, grad []float64, _ Memo) (float64, error) {
	if grad != nil {
		return 0, errors.New("the objective has no gradient; use NelderMead")
	}
	return c(p)
}

const (
	simplexRestart = 0.1   // size of the simplex of a restart, in units of the first
	simplexGain    = 1e-12 // relative decrease of the cost below which a restart gained nothing
)

// NelderMead minimizes a cost without derivatives: the method of Nelder and Mead with the dimension-dependent coefficients of Gao and Han
// (Comput. Optim. Appl. 51 (2012) 259-277, equation 4.1) on coordinates of the tangent space at a base point. When every vertex is within
// Options.Tolerance of the best one, in the metric, the best vertex becomes the base of a new, smaller simplex; the run has converged when
// such a restart gains nothing. There is no certificate, and Result.GradientNorm is +Inf: nothing is known about it. The default of
// Options.MaxIterations is 500 times the dimension. One or two evaluations per iteration; memory: one vector for each dimension. Meant for
// up to about 20 dimensions.
func NelderMead(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error) {
	r, err := prepare("nelder-mead", m, f, start, o, true)
	if err != nil {
		return nil, err
	}
	s, err := newSimplex(r)
	if err != nil {
		return nil, err
	}
	if o == nil || o.MaxIterations == 0 {
		r.o.MaxIterations = 500 * len(s.basis)
	}
	if err := r.keep(s.fields); err != nil {
		return nil, err
	}
	if s.cost == nil {
		if err := s.build(s.first); err != nil {
			return nil, err
		}
	}
	for !r.done() {
		if err := s.step(); err != nil {
			return nil, err
		}
		r.status.Iteration++
		r.observe(nil, s.cost[0], math.Inf(1), 1)
		if r.status.StepNorm = s.size(); r.status.StepNorm > r.o.Tolerance {
			continue
		}
		if stop, err := s.restart(); err != nil {
			return nil, err
		} else if stop {
			r.reason = Reason{Name: "simplex", Converged: true, Detail: fmt.Sprintf("simplex of size %.3g, and a restart gained nothing", r.status.StepNorm)}
			return r.result()
		}
	}
	if err := s.adopt(); err != nil {
		return nil, err
	}
	return r.result()
}

// simplex is a set of tangent vectors at the point x of the run, sorted by the cost that their retractions have.
type simplex struct {
	r             *run
	basis         [][]float64 // orthonormal at x
	v             [][]float64
	cost          []float64 // nil before the first simplex
	center, trial []float64
	other         []float64
	first, last   float64 // size of the first simplex; cost at the last restart
}

func newSimplex(r *run) (*simplex, error) {
	n := len(r.x.grad)
	s := &simplex{r: r, center: make([]float64, n), trial: make([]float64, n), other: make([]float64, n), last: math.Inf(1)}
	if err := s.span(); err != nil {
		return nil, err
	}
	for range len(s.basis) + 1 {
		s.v = append(s.v, make([]float64, n))
	}
	var err error
	s.first, err = r.firstSize()
	return s, err
}

// firstSize returns the size of the first simplex or swarm. Below the tolerance it would count as one that has converged.
func (r *run) firstSize() (float64, error) {
	switch size := r.o.FirstStep; {
	case size == 0:
		return 1, nil
	case !(size > r.o.Tolerance):
		return 0, fmt.Errorf("solve: %s: FirstStep is %g, want more than Tolerance, %g: the run ends when its points are as near to each other as that", r.name, size, r.o.Tolerance)
	default:
		return size, nil
	}
}

// span sets basis to an orthonormal basis of the tangent space at x.
func (s *simplex) span() (err error) {
	s.basis, err = tangentBasis("nelder-mead", s.r.m, s.r.x.point, math.MaxInt)
	return err
}

func (s *simplex) fields(c *codec) {
	d := len(s.basis)
	if c.integer(&d); d != len(s.basis) {
		c.fail("a simplex in %d dimensions, this run has %d", d, len(s.basis))
		return
	}
	if s.cost == nil {
		s.cost = make([]float64, len(s.v))
	}
	c.vector(s.cost)
	for i := range s.v {
		c.vector(s.v[i])
	}
	c.float(&s.first)
	c.float(&s.last)
}

// build makes the simplex of x and the ends of the basis vectors times the size.
func (s *simplex) build(size float64) error {
	if s.cost == nil {
		s.cost = make([]float64, len(s.v))
	}
	for i, v := range s.v {
		clear(v)
		if i > 0 {
			dense.Axpy(size, s.basis[i-1], v)
		}
		var err error
		if s.cost[i], err = s.evaluate(v); err != nil {
			return err
		}
	}
	s.sort()
	return nil
}

func (s *simplex) evaluate(v []float64) (float64, error) {
	_, err := s.r.try(1, v)
	return s.r.y.cost, err
}

// sort orders the vertices by cost; equal ones keep their order.
func (s *simplex) sort() {
	for i := 1; i < len(s.v); i++ {
		for j := i; j > 0 && s.cost[j] < s.cost[j-1]; j-- {
			s.cost[j], s.cost[j-1] = s.cost[j-1], s.cost[j]
			s.v[j], s.v[j-1] = s.v[j-1], s.v[j]
		}
	}
}

// size returns the largest distance of a vertex from the best one.
func (s *simplex) size() float64 {
	var most float64
	for _, v := range s.v[1:] {
		for i := range v {
			s.other[i] = v[i] - s.v[0][i]
		}
		most = max(most, s.r.m.Inner(s.r.x.point, s.other, s.other))
	}
	return math.Sqrt(most)
}

// step replaces the worst vertex by a reflected, expanded or contracted one, or shrinks the simplex.
func (s *simplex) step() error {
	d := len(s.basis)
	n := float64(d)
	expand, contract, shrink := 1+2/n, 0.75-0.5/n, 1-1/n
	if d == 1 {
		contract, shrink = 0.5, 0.5
	}
	clear(s.center)
	for _, v := range s.v[:d] {
		dense.Axpy(1/n, v, s.center)
	}
	reflected, err := s.probe(s.trial, 1)
	if err != nil {
		return err
	}
	switch {
	case reflected < s.cost[0]:
		further, err := s.probe(s.other, expand)
		if err != nil {
			return err
		}
		if further < reflected {
			s.replace(s.other, further)
		} else {
			s.replace(s.trial, reflected)
		}
		return nil
	case reflected < s.cost[d-1]:
		s.replace(s.trial, reflected)
		return nil
	}
	limit, along := s.cost[d], -contract
	if reflected < limit {
		limit, along = reflected, contract
	}
	contracted, err := s.probe(s.other, along)
	if err != nil {
		return err
	}
	if contracted < limit {
		s.replace(s.other, contracted)
		return nil
	}
	return s.shrink(shrink)
}

// probe sets v to center + t (center - worst) and returns its cost.
func (s *simplex) probe(v []float64, t float64) (float64, error) {
	worst := s.v[len(s.v)-1]
	for i, c := range s.center {
		v[i] = c + t*(c-worst[i])
	}
	return s.evaluate(v)
}

func (s *simplex) replace(v []float64, cost float64) {
	last := len(s.v) - 1
	copy(s.v[last], v)
	s.cost[last] = cost
	s.sort()
}

// shrink moves every vertex towards the best one.
func (s *simplex) shrink(factor float64) error {
	for k, v := range s.v[1:] {
		for i, b := range s.v[0] {
			v[i] = b + factor*(v[i]-b)
		}
		var err error
		if s.cost[k+1], err = s.evaluate(v); err != nil {
			return err
		}
	}
	s.sort()
	return nil
}

// adopt makes the best vertex the point x.
func (s *simplex) adopt() error {
	r := s.r
	if cost, err := s.evaluate(s.v[0]); err != nil {
		return err
	} else if cost > r.x.cost {
		return nil
	}
	r.x, r.y = r.y, r.x
	r.status.Cost, r.status.Point = r.x.cost, r.x.point
	return nil
}

// restart moves x to the best vertex and builds a smaller simplex there, unless the last restart gained nothing.
func (s *simplex) restart() (stop bool, err error) {
	if err := s.adopt(); err != nil {
		return false, err
	}
	if s.last-s.r.x.cost <= simplexGain*math.Max(1, math.Abs(s.r.x.cost)) {
		return true, nil
	}
	s.last = s.r.x.cost
	if err := s.span(); err != nil {
		return false, err
	}
	return false, s.build(simplexRestart * s.first)
}
