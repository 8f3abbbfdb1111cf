package problem

import (
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// TestProcrustesFindsTheRotation: matrices and their images are matched exactly, by the rotation up to its sign.
func TestProcrustesFindsTheRotation(t *testing.T) {
	const n = 5
	q := gallery.Orthogonal(95, n)
	for _, m := range []int{2, 4} {
		r := solved(t, "procrustes", turned(n, m, 0), nil)
		if r.Objective > 1e-12 || !strings.Contains(r.Reason, "global minimum") {
			t.Errorf("%d pairs: objective %v, %+v", m, r.Objective, r.Certificate)
		}
		got := r.Part("rotation")
		sign := math.Copysign(1, got.At(0, 0)*q.At(0, 0))
		got.Scale(sign, got)
		if d := distanceRelative(got, dataOf(q)); d > 1e-6 {
			t.Errorf("%d pairs: rotation %g off", m, d)
		}
	}
}

// TestProcrustesOfOnePair reaches the lower bound; the rotation is orthogonal.
func TestProcrustesOfOnePair(t *testing.T) {
	r := solved(t, "procrustes", Data{Matrices: spdPair(6, 100)}, nil)
	bound := r.Part("lower_bound").At(0, 0)
	if math.Abs(r.Objective-bound) > 1e-9 {
		t.Errorf("objective %v, lower bound %v", r.Objective, bound)
	}
	d := r.Part("distances").At(0, 0)
	if math.Abs(d*d/2-r.Objective) > 1e-9 {
		t.Errorf("distance %v, objective %v", d, r.Objective)
	}
	var e mat.Dense
	e.Mul(r.Part("rotation"), r.Part("rotation").T())
	if distanceRelative(&e, identity(6)) > 1e-13 {
		t.Errorf("not orthogonal: %v", mat.Formatted(&e))
	}
}

// TestProcrustesStartsAtTheSolution: where the matrices of a side have common eigenvectors the start is the solution, whose cost is the lower bound.
func TestProcrustesStartsAtTheSolution(t *testing.T) {
	const m = 3
	for _, n := range []int{2, 5, 24} {
		r := gallery.NewStream(uint64(160 + n))
		vectors := [2]dense.Matrix[float64]{gallery.Orthogonal(161, n), gallery.Orthogonal(162, n)}
		var d Data
		for k := range 2 * m {
			v, scaled, product := vectors[k/m], dense.New[float64](n, n), dense.New[float64](n, n)
			for j := range n {
				root := math.Exp(float64(j)/float64(n) + 0.2*r.Normal()/float64(n))
				for i := range n {
					scaled.Set(i, j, v.At(i, j)*root)
				}
			}
			dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, scaled, scaled, 0, product)
			d.Matrices = append(d.Matrices, symmetric(product))
		}
		s := solved(t, "procrustes", d, nil)
		distances, sum := s.Part("distances"), 0.0
		for k := range m {
			sum += distances.At(k, 0) * distances.At(k, 0) / (2 * m)
		}
		bound := s.Part("lower_bound").At(0, 0)
		if math.Abs(s.Objective-bound) > 1e-10*bound || math.Abs(sum-bound) > 1e-10*bound || !strings.Contains(s.Reason, "global minimum") {
			t.Errorf("n = %d: cost %v, by distances %v, lower bound %v, %s", n, s.Objective, sum, bound, s.Reason)
		}
	}
}

// TestProcrustesFit: the point that a fit finds without decompositions is stationary and at the same cost for the objective itself, and L-BFGS ends there too.
func TestProcrustesFit(t *testing.T) {
	const n, m = 18, 3
	d := turned(n, m, 0.1)
	r := solved(t, "procrustes", d, nil)
	if r.Iterations > 8 || r.Evaluations != r.Iterations { // the last step needs none
		t.Errorf("%d iterations, %d evaluations: not those of a fit", r.Iterations, r.Evaluations)
	}
	frames, err := factorMatrices(d.Matrices)
	if err != nil {
		t.Fatal(err)
	}
	o, grad := newProcrustes(d.Matrices, frames), make([]float64, n*n)
	memo := o.NewMemo().(*procrustesMemo)
	cost, err := o.Evaluate(&rotation{r: dense.Of(r.Part("rotation").RawMatrix())}, grad, memo)
	if err != nil {
		t.Fatal(err)
	}
	norm := math.Sqrt(dense.Dot(grad, grad))
	if math.Abs(cost-r.Objective) > 1e-13*n || norm > r.GradientNorm || r.GradientNorm > 1e-8*math.Sqrt(n) {
		t.Errorf("cost %v and gradient %v, by decompositions %v and %v", r.Objective, r.GradientNorm, cost, norm)
	}
	for k, logs := range memo.logs {
		if want, got := math.Sqrt(dense.Dot(logs, logs)), r.Part("distances").At(k, 0); math.Abs(got-want) > 1e-10 {
			t.Errorf("distance %d: %v, by decompositions %v", k, got, want)
		}
	}
	other := solved(t, "procrustes", d, &Options{Method: "lbfgs"})
	if math.Abs(other.Objective-r.Objective) > 1e-12 {
		t.Errorf("cost %v, by L-BFGS %v", r.Objective, other.Objective)
	}
	exact := solved(t, "procrustes", d, &Options{Solver: solve.Options{Checkpoint: func(*solve.State) error { return nil }}})
	if c := exact.Certificate.Value; !(r.Certificate.Value < 1e-7) || math.Abs(exact.Objective-r.Objective) > 1e-12 {
		t.Errorf("certificate %v, cost %v; of the trust region alone %v, %v", r.Certificate.Value, r.Objective, c, exact.Objective)
	}
}

// TestProcrustesOfInverses: inverting all matrices changes no distance, and errors of the inverses are borne as well as those of the matrices.
func TestProcrustesOfInverses(t *testing.T) {
	d := turned(20, 3, 0.1)
	inverses := Data{}
	for _, a := range d.Matrices {
		f, err := manifold.NewFrame(a)
		if err != nil {
			t.Fatal(err)
		}
		f.Invert()
		inverses.Matrices = append(inverses.Matrices, f.Sym())
	}
	r, other := solved(t, "procrustes", d, nil), solved(t, "procrustes", inverses, nil)
	if math.Abs(r.Objective-other.Objective) > 1e-10 {
		t.Errorf("cost %v, of the inverses %v", r.Objective, other.Objective)
	}
}

// TestProcrustesFarApart: unrelated pairs, whose logarithms are large.
func TestProcrustesFarApart(t *testing.T) {
	a, b := scattered(8, 3, 1e5), scattered(8, 6, 1e5)
	r := solved(t, "procrustes", Data{Matrices: append(a[:3:3], b[3:]...)}, nil)
	if d := r.Part("distances"); d.At(0, 0) < fitWidth {
		t.Fatalf("distances %v are small", d)
	}
}

// TestProcrustesIllConditioned: where single precision does not bear the pairs the general trust region does all.
func TestProcrustesIllConditioned(t *testing.T) {
	const n, m = 20, 3
	a, q := gallery.KarcherScatter(40, n, m, 1e8), gallery.Orthogonal(41, n)
	s := gallery.NewStream(42)
	d := Data{Matrices: symmetrics(a)}
	for _, x := range a {
		c, e, b := dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n)
		for i := range e.Data {
			e.Data[i] = 0.003 * s.Normal()
		}
		for i := range n {
			e.Set(i, i, e.At(i, i)+1)
		}
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, q, e, 0, c)
		turnBack(c, x, b)
		d.Matrices = append(d.Matrices, symmetric(b))
	}
	r := solved(t, "procrustes", d, nil)
	if r.HessianProducts == 0 {
		t.Errorf("%d iterations without a product", r.Iterations)
	}
	exact := solved(t, "procrustes", d, &Options{Solver: solve.Options{Checkpoint: func(*solve.State) error { return nil }}})
	if exact.HessianProducts != r.HessianProducts || exact.Objective != r.Objective {
		t.Errorf("cost %v with %d products, of the trust region alone %v with %d", r.Objective, r.HessianProducts, exact.Objective, exact.HessianProducts)
	}
}

// TestProcrustesOfSimilarMatrices: eigenvalues that are nearly the same leave a Hessian that is small against its parts, which must not cost steps.
func TestProcrustesOfSimilarMatrices(t *testing.T) {
	for _, kappa := range []float64{1.2, 2} {
		if r := solved(t, "procrustes", noisy(30, 3, kappa), nil); r.Iterations > 8 || r.HessianProducts > 120 {
			t.Errorf("condition %g: %d iterations with %d products", kappa, r.Iterations, r.HessianProducts)
		}
	}
}

// TestProcrustesInUsedMemory: what recycled memory holds has no part in the solution.
func TestProcrustesInUsedMemory(t *testing.T) {
	const n = 41
	for name, d := range map[string]Data{"near": turned(n, 3, 0.1), "far": noisy(n, 3, 1e6)} {
		first := solved(t, "procrustes", d, nil)
		for k := range 200 {
			v := make([]float64, 1+(k%8)*n*n/2)
			for i := range v {
				v[i] = math.NaN()
			}
			dense.Recycle(v)
		}
		again := solved(t, "procrustes", d, nil)
		if again.Objective != first.Objective || again.HessianProducts != first.HessianProducts || !mat.Equal(again.Part("rotation"), first.Part("rotation")) ||
			!mat.Equal(again.Solution, first.Solution) {
			t.Errorf("%s: cost %v with %d products, at first %v with %d", name, again.Objective, again.HessianProducts, first.Objective, first.HessianProducts)
		}
	}
}

// TestProcrustesStops when told to.
func TestProcrustesStops(t *testing.T) {
	r, err := Solve("procrustes", turned(18, 3, 0.1), &Options{Solver: solve.Options{MaxIterations: 2}})
	if err != nil || r.Converged || r.Iterations != 2 {
		t.Errorf("%+v %v", r, err)
	}
}

// TestProcrustesGradient by central differences along a skew-symmetric direction.
func TestProcrustesGradient(t *testing.T) {
	const n = 4
	d := turned(n, 3, 0.5)
	frames, err := factorMatrices(d.Matrices)
	if err != nil {
		t.Fatal(err)
	}
	o := newProcrustes(d.Matrices, frames)
	g := newRotations(n)
	p := g.RandomPoint(source(3))
	grad, v := make([]float64, n*n), make([]float64, n*n)
	s := gallery.NewStream(4)
	for i := range n {
		for j := range i {
			v[i*n+j] = s.Normal() / 4
			v[j*n+i] = -v[i*n+j]
		}
	}
	if _, err := o.Evaluate(p, grad, nil); err != nil {
		t.Fatal(err)
	}
	slope := func(h float64) float64 {
		var f [2]float64
		for k, sign := range []float64{1, -1} {
			u, q := make([]float64, n*n), p.Clone()
			dense.Scale(sign*h, v, u)
			if err := g.Retract(q, p, u); err != nil {
				t.Fatal(err)
			}
			if f[k], err = o.Evaluate(q, nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		return (f[0] - f[1]) / (2 * h)
	}
	want := dense.Dot(grad, v)
	coarse, fine := math.Abs(slope(1e-2)-want), math.Abs(slope(1e-3)-want)
	if fine > 1e-4*math.Abs(want) || coarse/fine < 50 || coarse/fine > 200 {
		t.Errorf("slope %v, errors %g and %g: not of second order", want, coarse, fine)
	}
}

// TestRotationsTurn: what limits a step is the largest of its angles, not their number.
func TestRotationsTurn(t *testing.T) {
	const n = 41
	g := newRotations(n)
	q := gallery.Orthogonal(7, n)
	for _, c := range []struct {
		one, others float64 // angles
		fits        bool
	}{{1.7, 0.9, true}, {1.9, 0, true}, {2.1, 0.9, false}, {20, 0, false}, {math.NaN(), 0.1, false}} {
		u, v := dense.New[float64](n, n), make([]float64, n*n)
		for i := 0; i+1 < n; i += 2 {
			angle := c.others
			if i == 0 {
				angle = c.one
			}
			u.Set(i, i+1, angle)
			u.Set(i+1, i, -angle)
		}
		turnBack(q, u, dense.Wrap(n, n, v))
		from, to := &rotation{r: q}, &rotation{r: dense.New[float64](n, n)}
		err := g.Retract(to, from, v)
		if (err == nil) != c.fits {
			t.Errorf("angles %v and %v: %v", c.one, c.others, err)
		}
		if step, ok := err.(*manifold.StepError); err != nil && (!ok || step.Norm < c.one) {
			t.Errorf("angles %v and %v: %v", c.one, c.others, err)
		}
	}
}

func TestProcrustesBadInput(t *testing.T) {
	refused(t, "procrustes", Data{}, nil, "no matrices")
	refused(t, "procrustes", Data{Matrices: spdPair(3, 2)[:1]}, nil, "1 matrices are no pairs")
}
