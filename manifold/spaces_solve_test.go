package manifold_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// geometry is a manifold with exponential, logarithm and distance.
type geometry interface {
	manifold.Manifold
	manifold.Exponential
	manifold.Logarithm
	manifold.Distancer
	manifold.RandomTangenter
}

// frechet is the cost 1/2 mean d(x, A_k)^2 on any geometry.
type frechet struct {
	m    geometry
	data []manifold.Point
	v    []float64
}

func (f *frechet) Evaluate(p manifold.Point, grad []float64, _ solve.Memo) (float64, error) {
	var cost float64
	clear(grad)
	for _, a := range f.data {
		if err := f.m.Log(f.v, p, a); err != nil {
			return 0, err
		}
		cost += f.m.Inner(p, f.v, f.v) / float64(2*len(f.data))
		for i := range grad {
			grad[i] -= f.v[i] / float64(len(f.data))
		}
	}
	return cost, nil
}

// TestSolversOnEverySpace: every solver reaches the Frechet mean in every metric and space.
func TestSolversOnEverySpace(t *testing.T) {
	makers := map[string]func(int) (manifold.Manifold, error){}
	for _, g := range manifold.Metrics() {
		makers[g.Name] = g.New
	}
	for _, s := range manifold.Spaces() {
		makers[s.Name] = s.New
	}
	for name, create := range makers {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewChaCha8([32]byte{7}))
			m := must(create(4)).(geometry)
			f := &frechet{m: m, v: make([]float64, m.VectorLen())}
			center := m.RandomPoint(rng)
			for range 4 {
				m.RandomTangent(f.v, center, rng)
				p := center.Clone()
				if err := m.Exp(p, center, f.v); err != nil {
					t.Fatal(err)
				}
				f.data = append(f.data, p)
			}
			want, _, err := manifold.Mean(m, f.data, nil, manifold.MeanOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range solve.Solvers() {
				r, err := s.Run(m, f, f.data[0], &solve.Options{Tolerance: 1e-9})
				if err != nil || !r.Converged {
					t.Errorf("%s: %v, %+v", s.Name, err, r)
					continue
				}
				if d, err := m.Distance(r.Point, want); err != nil || d > 1e-7 {
					t.Errorf("%s: ends %.2e from the mean (%v)", s.Name, d, err)
				}
			}
		})
	}
}

// likelihood is the cost tr(T S) - log det S through Matrices alone; its minimizer is T^-1.
type likelihood struct {
	m manifold.Matrices
	t mat.Symmetric
}

func (f likelihood) Evaluate(p manifold.Point, grad []float64, _ solve.Memo) (float64, error) {
	var s mat.SymDense
	f.m.MatrixOf(&s, p)
	var c mat.Cholesky
	if !c.Factorize(&s) {
		return 0, errors.New("not positive definite")
	}
	var inv mat.SymDense
	if err := c.InverseTo(&inv); err != nil {
		return 0, err
	}
	var g, ts mat.Dense
	g.Sub(f.t, &inv)
	f.m.Gradient(grad, p, &g)
	ts.Mul(f.t, &s)
	return mat.Trace(&ts) - c.LogDet(), nil
}

// TestLikelihoodInEveryMetric: the same optimum whatever the metric.
func TestLikelihoodInEveryMetric(t *testing.T) {
	target := mat.NewSymDense(3, []float64{2, 0.5, 0.1, 0.5, 1, -0.3, 0.1, -0.3, 0.7})
	for _, g := range manifold.Metrics() {
		m := must(g.New(3)).(manifold.Matrices)
		start := must(m.PointOf(mat.NewSymDense(3, []float64{1, 0, 0, 0, 1, 0, 0, 0, 1})))
		r, err := solve.LBFGS(m, likelihood{m, target}, start, &solve.Options{Tolerance: 1e-9})
		if err != nil || !r.Converged {
			t.Errorf("%s: %v %+v", g.Name, err, r)
			continue
		}
		var s mat.SymDense
		m.MatrixOf(&s, r.Point)
		var id mat.Dense
		id.Mul(&s, target)
		for i := range 3 {
			id.Set(i, i, id.At(i, i)-1)
		}
		if e := mat.Norm(&id, 2); e > 1e-7 {
			t.Errorf("%s: ||S T - I|| = %.2e", g.Name, e)
		}
	}
}

// nearness is the cost |Q S - I|^2 / 2 with minimizer Q^-1, badly conditioned in every metric.
type nearness struct {
	m manifold.Matrices
	q mat.Symmetric
}

func (f nearness) Evaluate(p manifold.Point, grad []float64, _ solve.Memo) (float64, error) {
	var s mat.SymDense
	f.m.MatrixOf(&s, p)
	var r, g mat.Dense
	r.Mul(f.q, &s)
	for i := range s.SymmetricDim() {
		r.Set(i, i, r.At(i, i)-1)
	}
	g.Mul(f.q, &r)
	f.m.Gradient(grad, p, &g)
	norm := mat.Norm(&r, 2)
	return norm * norm / 2, nil
}

// TestSolversStayInCone: at condition 1e6 the metrics whose cone has a boundary end with a positive definite matrix and a finite cost, or say
// why not.
func TestSolversStayInCone(t *testing.T) {
	q := mat.NewSymDense(4, nil)
	for i, d := range []float64{1e-3, 1e-1, 10, 1e3} {
		q.SetSym(i, i, d)
	}
	for _, name := range []string{"bures-wasserstein", "power-euclidean"} {
		g := must(manifold.MetricByName(name))
		m := must(g.New(4)).(manifold.Matrices)
		start := must(m.PointOf(mat.NewSymDense(4, []float64{1, 0.3, 0, 0, 0.3, 1, 0.3, 0, 0, 0.3, 1, 0.3, 0, 0, 0.3, 1})))
		for _, s := range solve.Solvers() {
			f := nearness{m, q}
			before := must(f.Evaluate(start, make([]float64, m.VectorLen()), nil))
			r, err := s.Run(m, f, start, &solve.Options{MaxIterations: 200})
			if err != nil {
				var pe *manifold.PointError
				if !errors.As(err, &pe) {
					t.Errorf("%s, %s: %v", name, s.Name, err)
				}
				continue
			}
			var x mat.SymDense
			m.MatrixOf(&x, r.Point)
			if low := r.Point.(*manifold.EigenPoint).Eigenvalues()[0]; !(low > 0) || !(r.Objective < before) {
				t.Errorf("%s, %s: smallest eigenvalue %v, cost %v from %v", name, s.Name, low, r.Objective, before)
			}
			t.Logf("%s, %s: %v, cost %.3g, %d iterations, smallest eigenvalue %.3g", name, s.Name, r.Reason.Name, r.Objective, r.Iterations, r.Point.(*manifold.EigenPoint).Eigenvalues()[0])
		}
	}
}
