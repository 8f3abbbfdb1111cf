package problem

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// cases gives every problem of the registry data of both kinds where it takes both.
func cases(n int, kappa float64) map[string][]Data {
	all := map[string][]Data{
		"mean":   {{Matrices: scattered(n, 5, kappa)}, {Matrices: scattered(n, 3, kappa), Weights: []float64{1, 0.5, 3}}},
		"logdet": {{Matrices: scattered(n, 1, kappa)}, {Samples: heavyTailed(n, kappa)}},
		"tyler":  {{Samples: heavyTailed(n, kappa)}},
	}
	maps.Copy(all, catalogueCases(n, kappa))
	return all
}

// riemannian returns the problems that the general solvers take.
func riemannian() (out []Problem) {
	for _, p := range List() {
		if p.prepare != nil {
			out = append(out, p)
		}
	}
	return out
}

// indirect returns the methods of the problem that work on the manifold.
func indirect(p Problem) []string {
	return slices.DeleteFunc(p.Methods(), func(name string) bool {
		m, err := p.method(name)
		return err == nil && m.direct != nil
	})
}

func source(seed uint64) *rand.Rand {
	return rand.New(rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}))
}

// TestEveryProblemWithEveryMethod: each converges, all methods of a problem agree, the solution has the gradient that is reported.
func TestEveryProblemWithEveryMethod(t *testing.T) {
	for _, p := range riemannian() {
		data := cases(8, 1e3)[p.Name]
		if data == nil {
			t.Fatalf("no test data for problem %s", p.Name)
		}
		for c, d := range data {
			var first *mat.SymDense
			for _, method := range indirect(p) {
				for _, kappa := range []int{1, 2} {
					t.Run(fmt.Sprintf("%s/%d/%s/%d", p.Name, c, method, kappa), func(t *testing.T) {
						r, err := p.Solve(d, &Options{Method: method, Kappa: kappa})
						if err != nil {
							t.Fatal(err)
						}
						if !r.Converged || r.Reason == "" || r.Advice != "" || r.RelativeGradient > 1e-8 {
							t.Errorf("did not converge: %+v", r)
						}
						if r.Problem != p.Name || r.Method != method || r.N != 8 || r.Count < 1 || r.Evaluations < 1 || r.Seconds <= 0 {
							t.Errorf("bookkeeping: %+v", r)
						}
						if r.Certificate.Kind == "none" || !(r.Certificate.Value <= 1e-5) {
							t.Errorf("certificate %+v", r.Certificate)
						}
						if first == nil {
							first = r.Solution
						}
						if d, err := manifold.Distance(first, r.Solution); err != nil || d > 1e-6 {
							t.Errorf("distance %v to the solution by %s (%v)", d, p.Methods()[0], err)
						}
					})
				}
			}
		}
	}
}

// TestRetractionsReachTheSameSolution runs the general solvers with every retraction.
func TestRetractionsReachTheSameSolution(t *testing.T) {
	d := Data{Samples: heavyTailed(6, 100)}
	want, err := Solve("tyler", d, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []manifold.Retraction{manifold.RationalStep, manifold.SecondOrderStep, manifold.GeodesicStep, manifold.SweepStep, manifold.TriangularStep} {
		for _, s := range solve.Solvers() {
			got, err := Solve("tyler", d, &Options{Method: s.Name, Retraction: r})
			if err != nil || !got.Converged {
				t.Errorf("%s with %v: %+v %v", s.Name, r, got, err)
				continue
			}
			if dist, _ := manifold.Distance(got.Solution, want.Solution); dist > 1e-6 {
				t.Errorf("%s with %v: distance %v", s.Name, r, dist)
			}
		}
	}
}

// TestDerivatives checks gradient and Hessian of every problem by the slope of their errors, in both metric conventions.
func TestDerivatives(t *testing.T) {
	for _, p := range riemannian() {
		for c, d := range cases(5, 50)[p.Name] {
			for _, kappa := range []int{1, 2} {
				in, m, err := p.instance(&d, &Options{Kappa: kappa})
				if err != nil {
					t.Fatal(err)
				}
				seed := uint64(11 + c)
				rng := source(seed)
				q := m.RandomPoint(rng)
				memo := in.(solve.Memoizer).NewMemo()
				scratch := in.(solve.Memoizer).NewMemo()
				grad, other := make([]float64, m.VectorLen()), make([]float64, m.VectorLen())
				if _, err := in.Evaluate(q, grad, memo); err != nil {
					t.Fatal(err)
				}
				cost := func(x manifold.Point) (float64, error) { return in.Evaluate(x, other, scratch) }
				if r, err := manifold.CheckGradient(m, q, cost, grad, rng); err != nil || !r.OK {
					t.Errorf("%s, case %d, kappa %d, seed %d: %v %v", p.Name, c, kappa, seed, r, err)
				}
				hess := func(dst, v []float64) error { return in.HessianVec(dst, q, v, memo) }
				if r, err := manifold.CheckHessian(m, q, cost, grad, hess, rng); err != nil || !r.OK {
					t.Errorf("%s, case %d, kappa %d, seed %d: %v %v", p.Name, c, kappa, seed, r, err)
				}
			}
		}
	}
}

func TestIllConditioned(t *testing.T) {
	if testing.Short() {
		t.Skip("n = 50 at condition 1e6")
	}
	const n = 50
	pd, c := pairs(n, 20, 1e6)
	for _, method := range []string{"newton", "richardson", "steepest", "lbfgs", "trust"} {
		r, err := Solve("mean", Data{Matrices: pd}, &Options{Method: method, Start: identity(n)})
		if err != nil || !r.Converged || r.RelativeGradient > 1e-8 {
			t.Errorf("pairs by %s: %+v %v", method, r, err)
			continue
		}
		if d, err := manifold.Distance(r.Solution, c); err != nil || d > r.Certificate.Value+1e-8 {
			t.Errorf("pairs by %s: distance %v to the known mean, certified %v (%v)", method, d, r.Certificate.Value, err)
		}
	}
	for _, run := range []struct {
		problem string
		d       Data
		methods []string
	}{
		{"mean", Data{Matrices: scattered(n, 20, 1e6)}, []string{"newton", "trust"}},
		{"logdet", Data{Matrices: []mat.Symmetric{symmetric(gallery.LogDet(n, 1e6))}}, []string{"closed-form", "steepest", "lbfgs", "trust"}},
		{"tyler", Data{Samples: heavyTailed(n, 1e6)}, []string{"fixed-point", "steepest", "lbfgs", "trust"}},
	} {
		for _, method := range run.methods {
			if r, err := Solve(run.problem, run.d, &Options{Method: method}); err != nil || !r.Converged || r.RelativeGradient > 1e-8 {
				t.Errorf("%s by %s: %+v %v", run.problem, method, r, err)
			}
		}
	}
}

// TestSameBitsForAnyThreads: the result does not depend on GOMAXPROCS.
func TestSameBitsForAnyThreads(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, p := range riemannian() {
		d := cases(40, 100)[p.Name][0]
		for _, method := range indirect(p)[:2] {
			var want []float64
			for _, threads := range []int{1, 2, 8} {
				runtime.GOMAXPROCS(threads)
				r, err := p.Solve(d, &Options{Method: method})
				if err != nil {
					t.Fatal(err)
				}
				got := append(slices.Clone(r.Solution.RawSymmetric().Data), r.Objective, r.GradientNorm)
				if want == nil {
					want = got
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s by %s differs between 1 and %d threads", p.Name, method, threads)
				}
			}
		}
	}
}

func TestBadInput(t *testing.T) {
	id := identity
	bad := mat.NewSymDense(2, []float64{1, 2, 2, 1})
	nan := mat.NewSymDense(2, []float64{1, math.NaN(), math.NaN(), 1})
	inSubspace := mat.NewDense(4, 2, []float64{1, 1, 2, 2, 3, 3, -1, -1})
	for _, c := range []struct {
		problem string
		d       Data
		o       *Options
		want    string
	}{
		{"mean", Data{}, nil, "no matrices"},
		{"mean", Data{Matrices: []mat.Symmetric{id(2), bad}}, nil, "matrix 1: not positive definite: smallest eigenvalue -1 (largest 3); add a small multiple"},
		{"mean", Data{Matrices: []mat.Symmetric{nan}}, nil, "matrix 0: the matrix has a NaN"},
		{"mean", Data{Matrices: []mat.Symmetric{id(2), id(3)}}, nil, "matrix 1: has 3 rows, but matrix 0 has 2"},
		{"mean", Data{Matrices: []mat.Symmetric{id(2)}, Weights: []float64{1, 2}}, nil, "2 weights for 1 matrices"},
		{"mean", Data{Matrices: []mat.Symmetric{id(2)}, Weights: []float64{-1}}, nil, "weight 0 is -1"},
		{"mean", Data{Matrices: []mat.Symmetric{id(2)}, Weights: []float64{0}}, nil, "sum to 0"},
		{"mean", Data{Matrices: []mat.Symmetric{id(2), id(2), id(2)}}, &Options{Start: id(3)}, "start: has 3 rows, want 2"},
		{"mean", Data{Matrices: []mat.Symmetric{id(2), id(2), id(2)}}, &Options{Start: bad}, "start: not positive definite"},
		{"logdet", Data{}, nil, "no matrices"},
		{"logdet", Data{Matrices: []mat.Symmetric{id(2), id(2)}}, nil, "2 matrices given, want one"},
		{"logdet", Data{Samples: mat.NewDense(2, 3, []float64{1, 2, 3, 4, 5, 7})}, nil, "2 samples of dimension 3 have a singular covariance"},
		{"logdet", Data{Samples: inSubspace}, nil, "subspace"},
		{"tyler", Data{}, nil, "no samples"},
		{"tyler", Data{Samples: mat.NewDense(3, 3, []float64{1, 2, 3, 4, 5, 7, 1, 0, 0})}, nil, "needs more samples than dimensions"},
		{"tyler", Data{Samples: mat.NewDense(3, 2, []float64{1, 2, 0, 0, 5, 7})}, nil, "sample 1: has norm 0"},
		{"tyler", Data{Samples: mat.NewDense(3, 2, []float64{1, 2, 0, math.NaN(), 5, 7})}, nil, "sample 1: entry 1 is NaN"},
		{"tyler", Data{Samples: inSubspace}, nil, "sample 0: 4 of the 4 samples point in its direction"},
		{"tyler", Data{Samples: mat.NewDense(5, 2, []float64{1, 2, 3, -1, -2, -4, 0.5, 1, 5, 7})}, nil, "sample 0: 3 of the 5 samples point"},
		{"tyler", Data{Samples: mat.NewDense(5, 3, []float64{1, 2, 3, 2, 1, 3, 1, 0, 1, 0, 1, 1, 2, 3, 5})}, nil, "the samples lie in a subspace"},
	} {
		_, err := Solve(c.problem, c.d, c.o)
		var de *DataError
		if err == nil || !errors.As(err, &de) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want a DataError with %q", c.problem, err, c.want)
		}
	}
	var ue *UnknownError
	if _, err := Solve("meen", Data{}, nil); !errors.As(err, &ue) || ue.Kind != "problem" || !slices.Contains(ue.Known, "mean") {
		t.Errorf("unknown problem: %v", err)
	}
	if _, err := Solve("mean", Data{}, &Options{Method: "newt"}); !errors.As(err, &ue) || ue.Kind != "method" || !slices.Contains(ue.Known, "newton") {
		t.Errorf("unknown method: %v", err)
	}
	for _, o := range []*Options{{Kappa: 5}, {Normalization: 7}, {Solver: solve.Options{Tolerance: -1}}, {Retraction: -1}} {
		if _, err := Solve("mean", Data{Matrices: []mat.Symmetric{id(2)}}, o); err == nil {
			t.Errorf("options %+v accepted", o)
		}
	}
}

// TestStopping: every own method honours the iteration limit, the callback and the criterion, and says that it did not converge.
func TestStopping(t *testing.T) {
	for _, p := range riemannian() {
		d := cases(8, 1e4)[p.Name][0]
		for _, method := range indirect(p) {
			if !iterative(method) {
				continue
			}
			for name, o := range map[string]solve.Options{
				"iterations":  {MaxIterations: 1},
				"callback":    {Callback: func(s *solve.Status) bool { return s.Iteration >= 1 }},
				"evaluations": {Stop: solve.EvaluationLimit(2)},
			} {
				r, err := p.Solve(d, &Options{Method: method, Solver: o})
				if err != nil || r.Converged || r.Iterations > 2 || r.Reason == "" {
					t.Errorf("%s by %s stopped by %s: %+v %v", p.Name, method, name, r, err)
				}
			}
		}
	}
}

// TestBeyondRounding: a tolerance below rounding ends in an answer that says so, not in an error or an endless run.
func TestBeyondRounding(t *testing.T) {
	for _, p := range riemannian() {
		d := cases(8, 1e4)[p.Name][0]
		for _, method := range indirect(p) {
			if !iterative(method) {
				continue
			}
			r, err := p.Solve(d, &Options{Method: method, Solver: solve.Options{Tolerance: 1e-30, AbsoluteTolerance: 1e-30}})
			slow := p.Name == "barycenter" || p.Name == "riccati" // ill-conditioned in this metric: first-order solvers take long
			if err != nil || r.Converged || r.Advice == "" || (!slow && (r.Iterations > 200 || r.RelativeGradient > 1e-10)) {
				t.Errorf("%s by %s: %+v %v", p.Name, method, r, err)
			}
		}
	}
}

// TestKnownMeans: one matrix, two (weighted: a point on the geodesic), commuting ones (the exponential of the mean logarithm), equal ones.
func TestKnownMeans(t *testing.T) {
	ms := scattered(6, 2, 1e3)
	between, err := manifold.Geodesic(ms[0], ms[1], 0.75)
	if err != nil {
		t.Fatal(err)
	}
	q := gallery.Orthogonal(7, 6)
	commuting, logs := make([]mat.Symmetric, 3), make([]float64, 6)
	for k := range commuting {
		w := gallery.Spectrum(6, 1e3)
		slices.Reverse(w[k : 4+k])
		for i, v := range w {
			logs[i] += math.Log(v) / 3
		}
		commuting[k] = symmetric(gallery.Compose(q, w))
	}
	for i, l := range logs {
		logs[i] = math.Exp(l)
	}
	for _, c := range []struct {
		name string
		d    Data
		want mat.Symmetric
	}{
		{"one", Data{Matrices: ms[:1]}, ms[0]},
		{"two", Data{Matrices: ms, Weights: []float64{1, 3}}, between},
		{"two by three", Data{Matrices: []mat.Symmetric{ms[0], ms[1], ms[1]}, Weights: []float64{1, 2, 1}}, between},
		{"commuting", Data{Matrices: commuting}, symmetric(gallery.Compose(q, logs))},
		{"equal", Data{Matrices: []mat.Symmetric{ms[0], ms[0], ms[0]}}, ms[0]},
	} {
		r, err := Solve("mean", c.d, &Options{Solver: solve.Options{Tolerance: 1e-11}})
		if err != nil || !r.Converged {
			t.Errorf("%s: %+v %v", c.name, r, err)
			continue
		}
		if d, err := manifold.Distance(r.Solution, c.want); err != nil || d > 1e-9 {
			t.Errorf("%s: distance %v to the known mean (%v)", c.name, d, err)
		}
	}
}

// TestIllConditionedPair: the closed form of two matrices of condition 1e6 loses digits to the condition 1e12 of their pencil; the gradient that is
// reported must not hide it. X A^-1 X = B is the equation of the mean of two.
func TestIllConditionedPair(t *testing.T) {
	const n = 10
	ms := scattered(n, 2, 1e6)
	for _, method := range []string{"newton", "trust"} {
		r, err := Solve("mean", Data{Matrices: ms}, &Options{Method: method})
		if err != nil || !r.Converged {
			t.Fatalf("%s: %+v %v", method, r, err)
		}
		f, err := manifold.NewFrame(r.Solution)
		if err != nil {
			t.Fatal(err)
		}
		var a, b, ainv, y, z mat.Dense
		a.CloneFrom(ms[0])
		if err := ainv.Inverse(&a); err != nil && !errors.As(err, new(mat.Condition)) {
			t.Fatal(err)
		}
		y.Mul(r.Solution, &ainv)
		b.Mul(&y, r.Solution)
		y.Mul(f.Inverse(), &b)
		z.Mul(&y, f.Inverse().T())
		y.Mul(f.Inverse(), ms[1])
		b.Mul(&y, f.Inverse().T())
		z.Sub(&z, &b)
		if e := mat.Norm(&z, 2) / mat.Norm(&b, 2); e > 1e-7 {
			t.Errorf("%s: X A^-1 X = B is off by %.1e relative to B", method, e)
		}
	}
}

// TestMeanInvariance: the mean moves with congruence and inversion.
func TestMeanInvariance(t *testing.T) {
	const n = 7
	ms := scattered(n, 4, 1e3)
	solved := func(ms []mat.Symmetric) *mat.SymDense {
		r, err := Solve("mean", Data{Matrices: ms}, &Options{Solver: solve.Options{Tolerance: 1e-11}})
		if err != nil || !r.Converged {
			t.Fatalf("%+v %v", r, err)
		}
		return r.Solution
	}
	g := mat.NewDense(n, n, gallery.NewStream(8).Normals(n, n).Data)
	congruent := func(a mat.Symmetric) *mat.SymDense {
		var x, y mat.Dense
		x.Mul(g, a)
		y.Mul(&x, g.T())
		s := mat.NewSymDense(n, nil)
		for i := range n {
			for j := i; j < n; j++ {
				s.SetSym(i, j, (y.At(i, j)+y.At(j, i))/2)
			}
		}
		return s
	}
	inverse := func(a mat.Symmetric) *mat.SymDense {
		f, err := manifold.NewFrame(a)
		if err != nil {
			t.Fatal(err)
		}
		f.Invert()
		return f.Sym()
	}
	x := solved(ms)
	for name, f := range map[string]func(mat.Symmetric) *mat.SymDense{"congruence": congruent, "inversion": inverse} {
		moved := make([]mat.Symmetric, len(ms))
		for k, a := range ms {
			moved[k] = f(a)
		}
		if d, err := manifold.Distance(solved(moved), f(x)); err != nil || d > 1e-8 {
			t.Errorf("%s: distance %v (%v)", name, d, err)
		}
	}
}

// TestTylerProperties: affine equivariance, invariance under scaling of single samples, the normalizations, and the fixed point equation.
func TestTylerProperties(t *testing.T) {
	const n = 5
	x := heavyTailed(n, 100)
	rows, _ := x.Dims()
	run := func(x *mat.Dense, o Options) *mat.SymDense {
		o.Solver.Tolerance = 1e-12
		r, err := Solve("tyler", Data{Samples: x}, &o)
		if err != nil || !r.Converged {
			t.Fatalf("%+v %v", r, err)
		}
		return r.Solution
	}
	s := run(x, Options{})
	if d := mat.Trace(s) - n; math.Abs(d) > 1e-12 {
		t.Errorf("trace is off by %v", d)
	}
	if d := mat.Det(run(x, Options{Normalization: DetOne})) - 1; math.Abs(d) > 1e-10 {
		t.Errorf("determinant is off by %v", d)
	}
	var inv mat.Dense
	if err := inv.Inverse(s); err != nil {
		t.Fatal(err)
	}
	rhs := mat.NewDense(n, n, nil)
	scaled := mat.DenseCopyOf(x)
	for i := range rows {
		v := mat.NewVecDense(n, slices.Clone(x.RawRowView(i)))
		var o mat.Dense
		o.Outer(float64(n)/float64(rows)/mat.Inner(v, &inv, v), v, v)
		rhs.Add(rhs, &o)
		for j := range n {
			scaled.Set(i, j, x.At(i, j)*math.Pow(-2, float64(i%5)))
		}
	}
	rhs.Sub(rhs, s)
	if e := mat.Norm(rhs, 2); e > 1e-10 {
		t.Errorf("the fixed point equation is off by %v", e)
	}
	if d, err := manifold.Distance(run(scaled, Options{}), s); err != nil || d > 1e-9 {
		t.Errorf("scaling samples moved the result by %v (%v)", d, err)
	}
	var costs []float64
	r, err := Solve("tyler", Data{Samples: x}, &Options{Solver: solve.Options{Callback: func(s *solve.Status) bool {
		costs = append(costs, s.Cost)
		return false
	}}})
	if err != nil || math.Abs(costs[len(costs)-1]-r.Objective) > 1e-10 || !slices.IsSortedFunc(costs, func(a, b float64) int {
		return cmp.Compare(b+1e-10, a)
	}) {
		t.Errorf("the costs along the run are %v, the objective is %v (%v)", costs, r.Objective, err)
	}
	g := mat.NewDense(n, n, gallery.NewStream(9).Normals(n, n).Data)
	var moved, a, b mat.Dense
	moved.Mul(x, g.T())
	a.Mul(g, s)
	b.Mul(&a, g.T())
	want := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			want.SetSym(i, j, b.At(i, j)*n/mat.Trace(&b))
		}
	}
	if d, err := manifold.Distance(run(&moved, Options{}), want); err != nil || d > 1e-8 {
		t.Errorf("affine equivariance is off by %v (%v)", d, err)
	}
}

// TestFollowedEigenbases: at condition 1e2 one decomposition per matrix is enough for a whole run from the default start.
func TestFollowedEigenbases(t *testing.T) {
	k := karcherOf(t, Data{Matrices: scattered(40, 10, 100)})
	r, err := followedIterate(k, &Options{Solver: solve.Options{Tolerance: 1e-12}}, newtonDirection)
	if err != nil || !r.Converged {
		t.Fatalf("%+v %v", r, err)
	}
	for i, s := range k.latest.spectra {
		if s.fresh != 1 || s.sweeps == 0 || s.residual > 1e-5 {
			t.Errorf("matrix %d: %d decompositions, %d sweeps, residual %.1e", i, s.fresh, s.sweeps, s.residual)
		}
	}
}

// TestLogarithmError: the first-order logarithm of a nearly diagonalised matrix is off by at most r^2, the slack that certificates add.
func TestLogarithmError(t *testing.T) {
	const n = 20
	for _, kappa := range []float64{10, 1e4} {
		for _, turn := range []float64{1e-1, 1e-2, 1e-3} {
			c := gallery.SPD(3, n, kappa)
			exact, near := newSpectrum(n), newSpectrum(n)
			team := newTeam(n, 1)
			id, chol := dense.New[float64](n, n), c.Clone()
			id.Identity()
			dense.Cholesky(chol)
			if err := exact.locate(id, id, chol, 1e-12, team.workers[0]); err != nil {
				t.Fatal(err)
			}
			logarithm := func(s *spectrum) dense.Matrix[float64] {
				w := team.workers[0]
				w.acc.Zero()
				s.addLog(1, w)
				dense.Mirror(w.acc)
				return w.acc.Clone()
			}
			want := logarithm(exact)
			// turn the exact basis by a small rotation
			gen, q := dense.New[float64](n, n), dense.New[float64](n, n)
			z := gallery.NewStream(4).Normals(n, n)
			for i := range n {
				for j := range n {
					gen.Set(i, j, turn*(z.At(i, j)-z.At(j, i))/n)
				}
			}
			dense.CayleyInverse(gen, q, make([]float64, dense.CayleyWork(n)))
			near.basis.Copy(exact.basis)
			dense.Gemm(dense.NoTrans, dense.NoTrans, 2, exact.basis, q, -1, near.basis)
			near.known = true
			if !near.follow(id, chol, math.Inf(1), team.workers[0], false) {
				t.Fatal("follow refused an infinite tolerance")
			}
			got := logarithm(near)
			dense.Axpy(-1, want.Data, got.Data)
			if e := math.Sqrt(dense.Dot(got.Data, got.Data)); e > near.residual*near.residual+1e-9 || near.residual < 1e-5 {
				t.Errorf("condition %g, turn %g: error %.2e, r^2 = %.2e", kappa, turn, e, near.residual*near.residual)
			}
		}
	}
}

// TestCertificateOnUnconvergedRuns: the bound holds where the run was cut short.
func TestCertificateOnUnconvergedRuns(t *testing.T) {
	ms := scattered(10, 6, 1e4)
	best, err := Solve("mean", Data{Matrices: ms}, &Options{Solver: solve.Options{Tolerance: 1e-12}})
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"newton", "richardson", "steepest", "lbfgs", "trust"} {
		for _, limit := range []int{1, 2, 4} {
			r, err := Solve("mean", Data{Matrices: ms}, &Options{Method: method, Solver: solve.Options{MaxIterations: limit}})
			if err != nil {
				t.Fatal(err)
			}
			d, err := manifold.Distance(r.Solution, best.Solution)
			if err != nil || !r.Certificate.Bound || d > r.Certificate.Value*(1+1e-9)+1e-9 {
				t.Errorf("%s after %d iterations: distance %.3e, certified %.3e (%v)", method, limit, d, r.Certificate.Value, err)
			}
		}
	}
}

// Scaling to trace n moves a nearly degenerate matrix by up to n^1/2 times as much as its shape.
func TestTylerCertificateHoldsForTheTrace(t *testing.T) {
	for _, n := range []int{2, 8} {
		rng := rand.New(rand.NewPCG(11, uint64(n)))
		x := mat.NewDense(4*n, n, nil)
		for i := range 4 * n {
			for j := range n {
				x.Set(i, j, rng.NormFloat64()*math.Pow(10, -3*float64(j)/float64(n-1)))
			}
		}
		for _, normalization := range []Normalization{TraceN, DetOne} {
			exact, err := Solve("tyler", Data{Samples: x}, &Options{Normalization: normalization, Solver: solve.Options{Tolerance: 1e-13}})
			if err != nil {
				t.Fatal(err)
			}
			for _, method := range []string{"fixed-point", "trust", "cg", "lbfgs", "steepest", "arc"} {
				r, err := Solve("tyler", Data{Samples: x}, &Options{Method: method, Normalization: normalization, Solver: solve.Options{Tolerance: 1e-3}})
				if err != nil {
					t.Fatal(err)
				}
				if d, err := manifold.Distance(r.Solution, exact.Solution); err != nil || !(d <= 1.1*r.Certificate.Value) {
					t.Errorf("%s, n = %d, normalization %v: %v away, stated %+v, %v", method, n, normalization, d, r.Certificate, err)
				}
			}
		}
	}
}
