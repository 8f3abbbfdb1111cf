package problem

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

func medianOf(t *testing.T, d Data, kappa int) *medianObjective {
	t.Helper()
	p, err := ByName("median")
	if err != nil {
		t.Fatal(err)
	}
	in, _, err := p.instance(&d, &Options{Kappa: kappa})
	if err != nil {
		t.Fatal(err)
	}
	return in.(*medianObjective)
}

// TestMedianMethods: Newton's method ends where Weiszfeld's iteration and the trust region do, in both conventions of the metric, with few matrices and many,
// equal and unequal weights, from the search in single precision and without it.
func TestMedianMethods(t *testing.T) {
	for name, d := range map[string]Data{
		"three":           {Matrices: scattered(24, 3, 1e2)},
		"many":            {Matrices: scattered(30, 12, 1e2)},
		"weights":         {Matrices: scattered(40, 4, 30), Weights: []float64{1, 0, 1.2, 1.1}},
		"ill-conditioned": {Matrices: scattered(12, 5, 1e6)},
		"pairs":           {Matrices: func() []mat.Symmetric { ms, _ := pairs(26, 6, 10); return ms }()},
	} {
		for kappa := 1; kappa <= 2; kappa++ {
			r := solved(t, "median", d, &Options{Kappa: kappa})
			if r.Method != "newton" || r.Iterations > 4 {
				t.Errorf("%s, kappa %d: %d iterations by %s", name, kappa, r.Iterations, r.Method)
			}
			for _, other := range []string{"weiszfeld", "trust"} {
				o := solved(t, "median", d, &Options{Kappa: kappa, Method: other})
				if e := distanceRelative(r.Solution, o.Solution); e > 1e-6 {
					t.Errorf("%s, kappa %d: %g away from %s", name, kappa, e, other)
				}
				if math.Abs(r.Objective-o.Objective) > 1e-9*r.Objective {
					t.Errorf("%s, kappa %d: objective %v, %s %v", name, kappa, r.Objective, other, o.Objective)
				}
			}
		}
	}
}

// TestSingleMedian: the first point in single precision has a small gradient in double precision, and the Hessian products of the search are those of the
// cost to a few percent. Near a matrix of the data there is no such point.
func TestSingleMedian(t *testing.T) {
	for name, d := range map[string]Data{
		"three":   {Matrices: scattered(24, 3, 1e2)},
		"many":    {Matrices: scattered(40, 20, 1e2)},
		"weights": {Matrices: scattered(50, 4, 30), Weights: []float64{1, 0, 1.2, 1.1}},
	} {
		k := medianOf(t, d, 1)
		p := k.singleStart(true)
		if p == nil {
			t.Errorf("%s: no first point", name)
			continue
		}
		grad, memo := make([]float64, k.n*k.n), k.NewMemo()
		if _, err := k.Evaluate(p, grad, memo); err != nil {
			t.Fatal(err)
		}
		if g := math.Sqrt(k.m.Inner(p, grad, grad)); g > 1e-5 {
			t.Errorf("%s: gradient %.3g", name, g)
		}
		s := k.single
		for i, d := range memo.(*medianMemo).distances {
			if e := math.Abs(math.Sqrt(s.median.squares[i]) - d); e > 2e-3*d && k.weights[i] > 0 {
				t.Errorf("%s: distance %v, in single precision %v", name, d, math.Sqrt(s.median.squares[i]))
			}
		}
		v := symmetricNormals(7, k.n)
		want := make([]float64, k.n*k.n)
		if err := k.HessianVec(want, p, v, memo); err != nil {
			t.Fatal(err)
		}
		got, shifted := make([]float64, k.n*k.n), newShiftedMedian(k, &Options{})
		near := shifted.NewMemo()
		if _, err := shifted.Evaluate(p, grad, near); err != nil {
			t.Fatal(err)
		}
		shifted.hessianVec32(got, v, nil, p, near)
		if e := differenceRelative(got, want); e > 0.005 {
			t.Errorf("%s: Hessian product %.3g away", name, e)
		}
		// Along a logarithm the part that the mean's Hessian has and the median's lacks is largest.
		one := karcherOf(t, Data{Matrices: d.Matrices[:1]})
		if _, err := one.Evaluate(p, v, one.NewMemo()); err != nil {
			t.Fatal(err)
		}
		if err := k.HessianVec(want, p, v, memo); err != nil {
			t.Fatal(err)
		}
		shifted.hessianVec32(got, v, nil, p, near)
		if e := differenceRelative(got, want); e > 0.005 {
			t.Errorf("%s: Hessian product with a logarithm %.3g away", name, e)
		}
	}
	k := medianOf(t, Data{Matrices: scattered(24, 4, 10)}, 1)
	s := newSingleSearch(k.karcherObjective, true)
	s.width = 2
	dense.ScaleSingle(1, k.data()[2].Data, s.x.Data)
	s.invert()
	if s.weigh(newRationalLog(2, 5)) {
		t.Error("a gradient in single precision at a matrix of the data")
	}
}

func symmetricNormals(seed uint64, n int) []float64 {
	r := rand.New(rand.NewPCG(seed, 0))
	v := dense.New[float64](n, n)
	for i := range v.Data {
		v.Data[i] = r.NormFloat64()
	}
	dense.Mirror(v)
	return v.Data
}

func differenceRelative(got, want []float64) float64 {
	var e, total float64
	for i, w := range want {
		e += (got[i] - w) * (got[i] - w)
		total += w * w
	}
	return math.Sqrt(e / total)
}

// TestMedianNearData: duplicates, matrices with half of the weight and the end of a geodesic are found as data; a median near a matrix is none.
func TestMedianNearData(t *testing.T) {
	ms := scattered(5, 6, 1e3)
	twice := append(ms[:4:4], ms[2], ms[2])
	for name, c := range map[string]struct {
		d    Data
		want mat.Symmetric
	}{
		"duplicates":  {Data{Matrices: twice}, ms[2]},
		"half":        {Data{Matrices: ms, Weights: []float64{1, 1, 1, 5, 1, 1}}, ms[3]},
		"two unequal": {Data{Matrices: ms[:2], Weights: []float64{1, 1.001}}, ms[1]},
		"nearly half": {Data{Matrices: ms, Weights: []float64{1, 1, 1, 4.9, 1, 1}}, ms[3]},
	} {
		for _, method := range []string{"newton", "weiszfeld"} {
			r := solved(t, "median", c.d, &Options{Method: method})
			if e := distanceRelative(r.Solution, c.want); e > 1e-12 || r.Certificate.Kind != "data-point" || !r.Certificate.Bound {
				t.Errorf("%s by %s: %g away, %+v", name, method, e, r.Certificate)
			}
		}
	}
	r := solved(t, "median", Data{Matrices: ms, Weights: []float64{1, 1, 1, 2, 1, 1}}, nil)
	if r.Certificate.Kind == "data-point" || distanceRelative(r.Solution, ms[3]) < 1e-3 {
		t.Errorf("twice the weight of the others: %+v", r)
	}
}

// TestMedianRandom: on small random data, with duplicates, outliers and unequal weights, Newton's method ends no higher than Weiszfeld's iteration.
func TestMedianRandom(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 5))
		n, m := 1+r.IntN(6), 3+r.IntN(5)
		d := Data{Matrices: scattered(n, m, math.Pow(10, 4*r.Float64()))}
		for i := range d.Matrices {
			d.Weights = append(d.Weights, float64(1+r.IntN(3)))
			switch r.IntN(5) {
			case 0:
				d.Matrices[i] = d.Matrices[r.IntN(m)]
			case 1:
				var far mat.SymDense
				far.ScaleSym(math.Pow(10, 8*r.Float64()-4), d.Matrices[i])
				d.Matrices[i] = &far
			}
		}
		got, err := Solve("median", d, nil)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		other, err := Solve("median", d, &Options{Method: "weiszfeld"})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !got.Converged && other.Converged || got.Objective > other.Objective*(1+1e-8) {
			t.Errorf("seed %d: %v %s, objective %v; weiszfeld %v %s, %v", seed, got.Converged, got.Reason, got.Objective, other.Converged, other.Reason, other.Objective)
		}
	}
}

// TestMedianOnThreads: the bits do not depend on threads, where matrices are inverted side by side and where they are inverted one by one.
func TestMedianOnThreads(t *testing.T) {
	old := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(old)
	for _, d := range []Data{
		{Matrices: scattered(30, 13, 300), Weights: []float64{1, 2, 3, 4, 5, 6, 7, 6, 5, 4, 3, 2, 1}},
		{Matrices: scattered(45, 3, 1e2)},
		{Matrices: scattered(205, 5, 10)},
		{Matrices: scattered(260, 3, 10)},
	} {
		var first *Result
		for _, procs := range []int{1, 3} {
			runtime.GOMAXPROCS(procs)
			r := solved(t, "median", d, nil)
			if first == nil {
				first = r
			} else if !slices.Equal(first.Solution.RawSymmetric().Data, r.Solution.RawSymmetric().Data) || first.GradientNorm != r.GradientNorm {
				t.Errorf("%d rows: other bits on %d threads", d.Matrices[0].SymmetricDim(), procs)
			}
		}
		if first.Iterations > 2 {
			t.Errorf("%d rows: %d iterations", d.Matrices[0].SymmetricDim(), first.Iterations)
		}
	}
}

// TestRadialPreconditioner: it inverts a multiple of the identity less what the median's Hessian lacks of the mean's, whatever the weights, and leaves vectors alone where there are many
// matrices.
func TestRadialPreconditioner(t *testing.T) {
	for name, d := range map[string]Data{
		"three":   {Matrices: scattered(25, 3, 1e2)},
		"weights": {Matrices: scattered(40, 4, 30), Weights: []float64{1, 0, 1.2, 1.1}},
		"single":  {Matrices: scattered(largestFour+4, 3, 10)},
		"many":    {Matrices: scattered(24, mostDeflated+1, 30)},
	} {
		k := medianOf(t, d, 1)
		p := k.start()
		s := newShiftedMedian(k, &Options{})
		memo, v, got := s.NewMemo(), symmetricNormals(5, k.n), make([]float64, k.n*k.n)
		if _, err := s.Evaluate(p, got, memo); err != nil {
			t.Fatal(name, err)
		}
		if err := s.Precondition(got, p, v, memo); err != nil {
			t.Fatal(name, err)
		}
		if len(d.Matrices) > mostDeflated {
			if !slices.Equal(got, v) {
				t.Errorf("%s: other than v", name)
			}
			continue
		}
		back, log := slices.Clone(got), make([]float64, len(got))
		for i, a := range d.Matrices {
			one := karcherOf(t, Data{Matrices: []mat.Symmetric{a}})
			if _, err := one.Evaluate(p, log, one.NewMemo()); err != nil {
				t.Fatal(name, err)
			}
			dense.Axpy(-s.hessian.weights[i]/meanCurvature(s.hessian.width)*dense.Dot(log, got)/dense.Dot(log, log), log, back)
		}
		if e := differenceRelative(back, v); e > 1e-5 {
			t.Errorf("%s: %.3g away from v", name, e)
		}
	}
}

// TestMedianCertificateOfFewRows: next to a line through the data the curvature is far below that across it.
func TestMedianCertificateOfFewRows(t *testing.T) {
	for seed := range uint64(12) {
		n := int(2 + seed%2)
		var ms []mat.Symmetric
		for k := range uint64(4) {
			ms = append(ms, symmetric(gallery.SPD(10*seed+k, n, 10)))
		}
		data := Data{Matrices: ms}
		exact := solved(t, "median", data, &Options{Solver: solve.Options{Tolerance: 1e-13}})
		for _, method := range []string{"newton", "weiszfeld", "trust", "lbfgs", "cg"} {
			for _, tolerance := range []float64{1e-3, 1e-5} {
				r := solved(t, "median", data, &Options{Method: method, Solver: solve.Options{Tolerance: tolerance}})
				d, err := manifold.Distance(r.Solution, exact.Solution)
				if err != nil || !(d <= 1.2*r.Certificate.Value+1e-9) {
					t.Errorf("seed %d, %s, tolerance %g: %g away, %+v, %v", seed, method, tolerance, d, r.Certificate, err)
				}
			}
		}
	}
}

// TestMedianTriesFew: in a cluster far from a few outliers, next to which every matrix is near, hardly any is tried as the median.
func TestMedianTriesFew(t *testing.T) {
	ms := scattered(6, 40, 3)
	for k := range 2 {
		var far mat.SymDense
		far.ScaleSym(1e8, ms[k])
		ms[k] = &far
	}
	k := medianOf(t, Data{Matrices: ms}, 1)
	r, err := followedFrom(k, k.startFromMeans(), &Options{}, newtonDirection)
	if err != nil || !r.Converged {
		t.Fatal(err, r)
	}
	tried := 0
	for _, yes := range k.tried {
		if yes {
			tried++
		}
	}
	if tried > r.Iterations {
		t.Errorf("%d matrices tried in %d iterations", tried, r.Iterations)
	}
}

// TestMedianOfFewRows: where all data lie in about one direction the curvature across it says little of the distance, which is that of Newton's step then, from the search in single
// precision, too.
func TestMedianOfFewRows(t *testing.T) {
	const n, count = 5, 80
	direction, ms := symmetricNormals(4, n), []mat.Symmetric{}
	for k := range count {
		a := symmetricNormals(uint64(10+k), n)
		dense.Blend(0.1, a, float64(k)/count-0.4, direction, a)
		var e mat.Dense
		e.Exp(mat.NewDense(n, n, a))
		ms = append(ms, symmetric(view(&e)))
	}
	d := Data{Matrices: ms}
	k := medianOf(t, d, 1)
	if k.singleStart(true) == nil {
		t.Fatal("no search in single precision")
	}
	truth, err := followedFrom(medianOf(t, d, 1), medianOf(t, d, 1).startFromMeans(), &Options{Solver: solve.Options{Tolerance: 1e-12}}, newtonDirection)
	if err != nil || !truth.Converged {
		t.Fatal(err, truth)
	}
	for _, tolerance := range []float64{1e-8, 1e-5} {
		r := solved(t, "median", d, &Options{Solver: solve.Options{Tolerance: tolerance}})
		e, err := manifold.Distance(r.Solution, truth.Point.(*manifold.Frame).Sym())
		if err != nil || e > 1.1*r.Certificate.Value+1e-12 {
			t.Errorf("tolerance %g: distance %.3g, certified %+v (%v)", tolerance, e, r.Certificate, err)
		}
	}
}
