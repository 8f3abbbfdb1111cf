package solve

import (
	"encoding"
	"errors"
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

var blackBox = Solver{
	Name:  "cma",
	What:  "ask and tell, as of an evolution strategy, on whitened coordinates of the tangent space at the start; costs only",
	Needs: "nothing but a cost; Options.Sampler; a manifold with RandomTangent",
	Run:   BlackBox,
}

// Sampler proposes vectors and learns from their costs, as an evolution strategy does. The strategies of package esadapt have these methods, but go on for
// ever unless what holds one is a SamplerStopper. Ask returns the vectors of a generation, which Tell gets the costs of, in their order; +Inf stands for a point that cannot be used. The bytes
// hold everything that the next generation depends on.
type Sampler interface {
	Ask() [][]float64
	Tell(f []float64) error
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// SamplerStopper is implemented by samplers that know when to stop. A strategy of package esadapt becomes one so:
//
//	type search struct{ esadapt.Strategy }
//
//	func (s search) Stopped() (solve.Reason, bool) {
//		for _, r := range s.Stop() {
//			return solve.Reason{Name: string(r.Code), Detail: r.Detail, Converged: r.Success, Advice: r.Next}, true
//		}
//		return solve.Reason{}, false
//	}
type SamplerStopper interface {
	// Stopped returns the reason if another generation is pointless.
	Stopped() (Reason, bool)
}

const blackBoxGenerations = 100000

// BlackBox minimizes a cost without derivatives by a Sampler, which Options.Sampler makes for the dimension of the manifold: the vector c stands for
// the retraction of sum c_i b_i, with an orthonormal basis b of the tangent space at the start, so that one unit is one unit of the metric in every
// direction. On SPD matrices in whitened coordinates that makes every matrix a vector and none of the vectors leaves the cone. An iteration is a
// generation; the default of Options.MaxIterations is 100000. There is no certificate, and Result.GradientNorm is +Inf: nothing is known about it.
// Memory: one vector for each dimension. It stops when the sampler does, if that is a SamplerStopper, and otherwise by the options alone.
func BlackBox(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error) {
	if o == nil || o.Sampler == nil {
		return nil, errors.New("solve: cma needs Options.Sampler")
	}
	r, err := prepare("cma", m, f, start, o, true)
	if err != nil {
		return nil, err
	}
	if o.MaxIterations == 0 {
		r.o.MaxIterations = blackBoxGenerations
	}
	s := &generations{r: r}
	if s.basis, err = tangentBasis("cma", m, r.x.point, math.MaxInt); err != nil {
		return nil, err
	}
	if s.sampler, err = o.Sampler(len(s.basis)); err != nil {
		return nil, fmt.Errorf("solve: cma: %w", err)
	}
	s.v, s.best, s.cost = make([]float64, m.VectorLen()), make([]float64, len(s.basis)), r.x.cost
	if err := r.keep(s.fields); err != nil {
		return nil, err
	}
	for !r.done() {
		if reason, stop := s.stopped(); stop {
			r.reason = reason
			break
		}
		if err := s.step(); err != nil {
			return nil, err
		}
	}
	if err := s.adopt(); err != nil {
		return nil, err
	}
	return r.result()
}

// generations is the state of BlackBox: the base point is x of the run.
type generations struct {
	r       *run
	sampler Sampler
	basis   [][]float64
	v       []float64
	costs   []float64
	best    []float64 // coordinates of the best point
	cost    float64   // and its cost
}

func (s *generations) fields(c *codec) {
	c.vector(s.best)
	c.float(&s.cost)
	if c.err == nil {
		c.opaque("the sampler", s.sampler)
	}
}

func (s *generations) stopped() (Reason, bool) {
	if t, ok := s.sampler.(SamplerStopper); ok {
		return t.Stopped()
	}
	return Reason{}, false
}

// evaluate returns the cost at the coordinates; y is the point.
func (s *generations) evaluate(c []float64) (float64, error) {
	clear(s.v)
	for i, b := range s.basis {
		dense.Axpy(c[i], b, s.v)
	}
	_, err := s.r.try(1, s.v)
	return s.r.y.cost, err
}

// step evaluates a generation.
func (s *generations) step() error {
	r := s.r
	all := s.sampler.Ask()
	if len(all) == 0 {
		return fmt.Errorf("solve: iteration %d: the sampler proposes no point", r.status.Iteration+1)
	}
	s.costs = s.costs[:0]
	for _, c := range all {
		if len(c) != len(s.basis) {
			return fmt.Errorf("solve: iteration %d: the sampler proposes %d coordinates, want %d", r.status.Iteration+1, len(c), len(s.basis))
		}
		cost, err := s.evaluate(c)
		if err != nil {
			return err
		}
		if s.costs = append(s.costs, cost); cost < s.cost {
			s.cost = cost
			copy(s.best, c)
		}
	}
	if err := s.sampler.Tell(s.costs); err != nil {
		return fmt.Errorf("solve: iteration %d: %w", r.status.Iteration+1, err)
	}
	r.status.Iteration++
	r.observe(nil, s.cost, math.Inf(1), 1)
	return nil
}

// adopt makes the best point the point x.
func (s *generations) adopt() error {
	r := s.r
	if cost, err := s.evaluate(s.best); err != nil || cost > r.x.cost {
		return err
	}
	r.x, r.y = r.y, r.x
	r.status.Cost, r.status.Point = r.x.cost, r.x.point
	return nil
}
