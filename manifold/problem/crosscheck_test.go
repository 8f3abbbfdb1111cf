package problem

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/design"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

// TestCrossChecks: every problem has a method of its own and a general Riemannian solver to check it by. That they agree is tested by
// TestEveryProblemWithEveryMethod and TestDirectMethods, which run every method of every problem.
func TestCrossChecks(t *testing.T) {
	sets := []string{"tangent", "cluster", "outliers", "recenter", "csp"} // say what a set of matrices is like; their means are those of problem mean
	for _, p := range List() {
		var general bool
		for _, name := range p.Methods() {
			_, err := solve.ByName(name)
			general = general || err == nil
		}
		if (!general || len(p.Methods()) < 2) && !slices.Contains(sets, p.Name) {
			t.Errorf("%s has only the methods %v", p.Name, p.Methods())
		}
	}
}

// inner returns the objectives that direct methods give to the solvers, on instances of order n.
func inner(t *testing.T, n int) map[string]struct {
	m manifold.Manifold
	f solve.Objective
} {
	type pair = struct {
		m manifold.Manifold
		f solve.Objective
	}
	fail := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	c := view(manifold.DenseOf(indefinite(n)))
	square, err := manifold.NewOblique(n, n)
	fail(err)
	unit := newFactorFit(c, 0.7, 1)
	unit.unit = square

	onSphere, _, err := design.New(view(heavyTailed(n, 10)), 0).OnSphere()
	fail(err)

	clouds, err := gmmStart(&Data{Samples: twoClouds(n)}, &Options{Parameters: Parameters{Components: 3}})
	fail(err)
	mixture, _, err := clouds.Lifted()
	fail(err)

	affine, err := manifold.NewAffine(n, manifold.AffineOptions{})
	fail(err)
	s, _, rho, err := glassoData(&Data{Samples: heavyTailed(n, 10)}, &Options{})
	fail(err)
	o := Options{}
	lasso, err := FromEuclidean(affine, newGlassoRun(s, rho, wholeBlock(n), iteration.NewMonitor(&o.Solver, n*n)).smoothed(0.3))
	fail(err)

	d := turned(n, 3, 0.1)
	frames, err := factorMatrices(d.Matrices)
	fail(err)
	turn := newProcrustes(d.Matrices, frames)

	learn, err := newITML(ptr(labelled(n)), &Options{Kappa: 2, Parameters: Parameters{Pairs: 300}})
	fail(err)

	return map[string]pair{
		"itml":                  {learn.Manifold, learn},
		"factor with unit rows": {square, unit},
		"free factor":           {matrixSpace{n}, newFactorFit(c, 1, 1)},
		"design on the sphere":  {onSphere.Manifold, onSphere},
		"lifted mixture":        {mixture.Manifold, mixture},
		"smoothed lasso":        {affine, lasso},
		"procrustes":            {skewTangents{newRotations(n)}, turn},
	}
}

func ptr(d Data) *Data { return &d }

// skewTangents draws tangent vectors of the rotations, for the checks.
type skewTangents struct{ *rotations }

func (s skewTangents) RandomTangent(v []float64, _ manifold.Point, rng *rand.Rand) {
	for i := range s.n {
		for j := range i {
			x := rng.NormFloat64()
			v[i*s.n+j], v[j*s.n+i] = x, -x
		}
	}
	dense.Scale(1/math.Sqrt(dense.Dot(v, v)), v, v)
}

// TestInnerDerivatives checks gradient and Hessian of every objective behind a direct method by the slope of their errors.
func TestInnerDerivatives(t *testing.T) {
	for name, c := range inner(t, 5) {
		rng := source(41)
		p := c.m.RandomPoint(rng)
		var memo, scratch solve.Memo
		if m, ok := c.f.(solve.Memoizer); ok {
			memo, scratch = m.NewMemo(), m.NewMemo()
		}
		grad, other := make([]float64, c.m.VectorLen()), make([]float64, c.m.VectorLen())
		if _, err := c.f.Evaluate(p, grad, memo); err != nil {
			t.Fatal(name, err)
		}
		cost := func(x manifold.Point) (float64, error) { return c.f.Evaluate(x, other, scratch) }
		if r, err := manifold.CheckGradient(c.m, p, cost, grad, rng); err != nil || !r.OK {
			t.Errorf("%s, seed 41: %v %v", name, r, err)
		}
		h, ok := c.f.(solve.Hessian)
		if !ok {
			continue
		}
		hess := func(dst, v []float64) error { return h.HessianVec(dst, p, v, memo) }
		if r, err := manifold.CheckHessian(c.m, p, cost, grad, hess, rng); err != nil || !r.OK {
			t.Errorf("%s, seed 41: %v %v", name, r, err)
		}
	}
}

// TestDesignCertificate: at every tolerance the certified distance is above the true one, and it falls with the residual, not with its root.
func TestDesignCertificate(t *testing.T) {
	for _, problem := range []string{"dopt", "mve"} {
		x := Data{Samples: dataOf(gallery.NewStream(73).Normals(60, 5))}
		moment := func(tol float64, method string) (*mat.SymDense, *Result) {
			r := solved(t, problem, x, &Options{Method: method, Solver: solve.Options{Tolerance: tol}})
			m := mat.NewSymDense(5, nil)
			u := r.Part("weights")
			rows := 5
			if problem == "mve" {
				rows = 6
				m = mat.NewSymDense(6, nil)
			}
			y := mat.NewVecDense(rows, nil)
			for i := range 60 {
				for j := range 5 {
					y.SetVec(j, x.Samples.At(i, j))
				}
				if rows == 6 {
					y.SetVec(5, 1)
				}
				m.SymRankOne(m, u.At(i, 0), y)
			}
			return m, r
		}
		best, _ := moment(1e-13, "exchange")
		for _, method := range []string{"exchange", "trust"} {
			for _, tol := range []float64{1e-2, 1e-4, 1e-6, 1e-8} {
				m, r := moment(tol, method)
				d, err := manifold.Distance(m, best)
				if err != nil || d > r.Certificate.Value+1e-10 || !r.Certificate.Bound {
					t.Errorf("%s by %s to %g: %g from the optimum, certified %+v (%v)", problem, method, tol, d, r.Certificate, err)
				}
				if tol <= 1e-6 && r.Certificate.Value > 100*tol {
					t.Errorf("%s by %s to %g: certified distance %g", problem, method, tol, r.Certificate.Value)
				}
				most := 1e4 * tol * tol
				if problem == "mve" { // what blowing the ellipsoid up adds
					most = 5 * tol
				}
				if gap := r.Part("log_det_gap").At(0, 0); tol <= 1e-6 && gap > most {
					t.Errorf("%s by %s to %g: gap %g", problem, method, tol, gap)
				}
			}
		}
	}
}

// TestMixtureCertificate: the estimate is about the distance to the end of a run to a finer tolerance.
func TestMixtureCertificate(t *testing.T) {
	x := dataOf(gallery.NewStream(81).Normals(400, 4))
	for i := range 150 {
		x.Set(i, 0, x.At(i, 0)+3)
	}
	d := Data{Samples: x}
	fine := solved(t, "gmm", d, &Options{Method: "trust", Solver: solve.Options{Tolerance: 1e-12}})
	for _, tol := range []float64{1e-3, 1e-5} {
		r := solved(t, "gmm", d, &Options{Solver: solve.Options{Tolerance: tol}})
		off := math.Abs(r.Part("weights").At(0, 0)/fine.Part("weights").At(0, 0) - 1)
		if c := r.Certificate; c.Kind != "newton-step" || c.Bound || c.Value < off/2 || c.Value > 1e3*tol {
			t.Errorf("to %g: %+v, but a weight is off by %g", tol, c, off)
		}
	}
	if fine.Certificate.Kind != "newton-step" || fine.Certificate.Value > 1e-10 {
		t.Errorf("fine run: %+v", fine.Certificate)
	}
}

// TestEveryResultIsCertified: every method of every problem states a gradient norm and a finite bound or estimate of the distance to the optimum.
func TestEveryResultIsCertified(t *testing.T) {
	all := resumeData(5)
	for _, p := range List() {
		c := all[p.Name]
		for _, name := range p.Methods() {
			o := c.options
			o.Method = name
			r, err := p.Solve(c.data, &o)
			if err != nil {
				t.Fatalf("%s by %s: %v", p.Name, name, err)
			}
			if !r.Converged || r.Certificate.Kind == "none" || !(r.Certificate.Value >= 0) || math.IsInf(r.Certificate.Value, 1) || !(r.GradientNorm >= 0) {
				t.Errorf("%s by %s: gradient norm %v, certificate %+v, converged %v: %s", p.Name, name, r.GradientNorm, r.Certificate, r.Converged, r.Reason)
			}
		}
	}
}
