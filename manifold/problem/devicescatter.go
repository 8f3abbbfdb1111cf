package problem

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

// scatterElements are the samples, what they look like from the point and their multiples, and nineteen matrices, with room for vectors.
func scatterElements(n, count int) int { return 3*count*(n+1) + 20*n*n }

var tylerDevice = &deviceMethod{run64: tylerOnDevice[float64], run32: tylerOnDevice[float32], elements: scatterElements}

// scatterDevice is the way of an M-estimator of scatter whose loss depends on the options.
func scatterDevice(choose func(o *Options, n int) (loss, float64)) *deviceMethod {
	return &deviceMethod{elements: scatterElements,
		run64: func(d *Data, o *Options, p *place[float64]) (*outcome, error) {
			return scatterOnDevice(d, o, p, choose)
		},
		run32: func(d *Data, o *Options, p *place[float32]) (*outcome, error) {
			return scatterOnDevice(d, o, p, choose)
		},
	}
}

// deviceScatter minimizes log det X + (1/N) sum rho(x' X^-1 x). With z = G x, q = z'z and P = (1/N) sum rho'(q) z z' a step is F <- F exp(eta/2), where eta is
// log P far from the solution, the fixed-point map X <- F P F', and near it the multiple of P - I that the last step suggests; the scale, which the
// fixed-point map follows slowly, takes Newton's step by itself.
type deviceScatter[T dense.Float] struct {
	*place[T]
	at       *moving[T]
	x, z, u  engine.Batch[T] // samples, seen from the point, weighted
	q        []T
	loss     loss
	p        engine.Batch[T]
	eta      engine.Batch[T]
	dev, old engine.Batch[T] // P - I, and at the last point, both without their trace
	unit     engine.Batch[T]
	diag     []T
	logDet   float64
	sum      float64 // of rho
	scale    float64 // curvature along I
	trace    float64 // of P - I, by the number of rows
}

func newDeviceScatter[T dense.Float](x dense.Matrix[float64], p *place[T], rho loss) *deviceScatter[T] {
	N, n := x.Rows, x.Cols
	s := &deviceScatter[T]{place: p, at: newMoving(p, n), x: p.batch(1, N, n), z: p.batch(1, N, n), u: p.batch(1, N, n), q: make([]T, N), loss: rho, diag: make([]T, n)}
	load(s.x.Data, x.Data)
	for _, b := range []*engine.Batch[T]{&s.p, &s.eta, &s.dev, &s.old, &s.unit} {
		*b = s.at.w.Take()
	}
	s.Combine(1, 0, s.unit, 0, s.unit, s.unit)
	return s
}

// evaluate computes P at the present point and returns ||P - I||.
func (s *deviceScatter[T]) evaluate() float64 {
	N, n := s.x.Rows, s.x.Cols
	s.Gemm(dense.NoTrans, dense.Transposed, 1, s.x, s.at.g, 0, s.z)
	s.RowDots(s.z, s.z, s.q)
	s.sum, s.scale = 0, 0
	for i, v := range s.q {
		q := float64(v)
		rho, first, second := s.loss(q)
		s.sum += rho
		s.scale += (first + second*q) * q / (float64(N) * float64(n))
		s.q[i] = T(first / float64(N))
	}
	s.ScaleRows(s.q, s.z, 0, s.u)
	s.GemmSymmetric(dense.Transposed, dense.NoTrans, 1, s.u, s.z, 0, s.p)
	s.RowDots(s.p, s.unit, s.diag)
	s.trace = -1
	for _, v := range s.diag {
		s.trace += float64(v) / float64(n)
	}
	s.old, s.dev = s.dev, s.old
	s.Combine(T(-1-s.trace), 1, s.p, 0, s.p, s.dev)
	var norm [1]float64
	s.FromIdentity(s.p, norm[:])
	return norm[0]
}

func (s *deviceScatter[T]) cost() float64 { return s.logDet + s.sum/float64(s.x.Rows) }

// move takes the step along eta.
func (s *deviceScatter[T]) move() error {
	if err := s.at.move(1, s.eta); err != nil {
		return err
	}
	s.RowDots(s.eta, s.unit, s.diag)
	for _, v := range s.diag {
		s.logDet += float64(v)
	}
	s.at.accept()
	return nil
}

func (s *deviceScatter[T]) run(o *Options) (*iteration.Monitor, float64, error) {
	n := s.x.Cols
	mon := iteration.NewMonitor(&o.Solver, n*n)
	theta, curvature, ready := 1.0, 1.0, false
	for {
		norm := s.evaluate()
		if mon.Done(nil, s.cost(), norm, math.Sqrt(float64(n))) {
			return mon, curvature, nil
		}
		if norm <= 1 {
			if before := s.dot(s.old, s.old); ready && before > 0 {
				r := s.dot(s.old, s.dev) / before
				if c := (1 - r) / theta; c > 0 {
					curvature = min(curvature, c)
				}
				theta = secant(theta, r, 0.5, 2)
			}
			along := min(max(s.trace/max(s.scale, 1e-6), -1), 1)
			if s.scale < 1e-6 {
				along = 0
			}
			s.Combine(T(along), T(theta), s.dev, 0, s.dev, s.eta)
			ready = true
		} else {
			if err := s.at.w.Log(s.p, s.eta); err != nil {
				return nil, 0, &DataError{Err: err, Remedy: "too many samples lie in a proper subspace: remove repeated samples, or " + shrinkageRemedy}
			}
			theta, ready = 1, false
		}
		if err := s.move(); err != nil {
			return nil, 0, err
		}
		mon.Step(norm)
		mon.Status.Evaluations++
	}
}

// finish runs the iteration; normalise fixes the scale of the result and returns its stretcher's stretch.
func (s *deviceScatter[T]) finish(o *Options, normalise func(*mat.SymDense) float64) (*outcome, error) {
	mon, curvature, err := s.run(o)
	if err != nil {
		return nil, err
	}
	x := s.at.matrix()
	distance := normalise(x) * mon.Status.GradientNorm / curvature
	return finishRun(mon, solve.Certificate{Kind: "secant-curvature", Value: distance}, s.x.Cols, s.x.Rows, x), nil
}

func scatterOnDevice[T dense.Float](d *Data, o *Options, p *place[T], choose func(o *Options, n int) (loss, float64)) (*outcome, error) {
	x, err := checkSamples(d.Samples)
	if err != nil {
		return nil, err
	}
	rho, reach := choose(o, x.Cols)
	if err := scatterExists(x, reach); err != nil {
		return nil, err
	}
	s := newDeviceScatter(x, p, rho)
	s.GemmSymmetric(dense.Transposed, dense.NoTrans, T(1/float64(x.Rows)), s.x, s.x, 0, s.p)
	if err := s.at.w.Log(s.p, s.eta); err != nil {
		return nil, singularCovariance(err)
	}
	if err := s.move(); err != nil {
		return nil, err
	}
	return s.finish(o, func(*mat.SymDense) float64 { return 1 })
}

func tylerOnDevice[T dense.Float](d *Data, o *Options, p *place[T]) (*outcome, error) {
	x, err := checkSamples(d.Samples)
	if err != nil {
		return nil, err
	}
	t := &tylerObjective{x: x, z: dense.New[float64](x.Rows, x.Cols), q: make([]float64, x.Rows), c: make([]float64, x.Rows)}
	if err := t.checkDirections(); err != nil {
		return nil, err
	}
	n := float64(x.Cols)
	s := newDeviceScatter(x, p, func(q float64) (float64, float64, float64) { return n * math.Log(q), n / q, -n / (q * q) })
	return s.finish(o, func(x *mat.SymDense) float64 {
		scale := math.Exp(-s.logDet / n)
		if o.Normalization == TraceN {
			scale = n / mat.Trace(x)
		}
		x.ScaleSym(scale, x)
		return t.stretch(x, o)
	})
}
