package problem

import (
	"math"
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// aboutCentre returns the matrices as they are seen through a matrix of that condition: data about a centre of about its square.
func aboutCentre(ms []mat.Symmetric, condition float64) []mat.Symmetric {
	n := ms[0].SymmetricDim()
	root := symmetric(gallery.SPD(gallery.MeanSeed+1, n, condition))
	for k, a := range ms {
		var t, c mat.Dense
		t.Mul(root, a)
		c.Mul(&t, root)
		s := mat.NewSymDense(n, nil)
		for i := range n {
			for j := i; j < n; j++ {
				s.SetSym(i, j, (c.At(i, j)+c.At(j, i))/2)
			}
		}
		ms[k] = s
	}
	return ms
}

// TestWhitened: the mean and the median of data about an ill-conditioned centre are found with a search in single precision, from given starts, too, within the certified distance of
// those by decompositions, with the same bits on any number of threads.
func TestWhitened(t *testing.T) {
	old := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(old)
	for name, d := range map[string]Data{
		"few":     {Matrices: aboutCentre(scattered(24, 3, 30), 1e3)},
		"many":    {Matrices: aboutCentre(scattered(31, 21, 10), 1e3)},
		"weights": {Matrices: aboutCentre(scattered(40, 6, 20), 1e2), Weights: []float64{1, 0, 3, 2, 1, 1}},
		"large":   {Matrices: aboutCentre(scattered(largestBundled+1, 3, 10), 1e3)},
		"larger":  {Matrices: aboutCentre(scattered(largestFour+4, 3, 10), 1e3)},
	} {
		for _, problem := range []string{"mean", "median"} {
			k := karcherOf(t, d)
			if problem == "median" {
				k = medianOf(t, d, 1).karcherObjective
			}
			if k.whitening == nil || k.frames != nil || k.singleStart(problem == "median") == nil {
				t.Fatalf("%s, %s: no search in single precision", name, problem)
			}
			runtime.GOMAXPROCS(1)
			got := solved(t, problem, d, nil)
			runtime.GOMAXPROCS(3)
			if again := solved(t, problem, d, nil); !slices.Equal(again.Solution.RawSymmetric().Data, got.Solution.RawSymmetric().Data) {
				t.Errorf("%s, %s: other bits on 3 threads", name, problem)
			}
			var truth *solve.Result
			var err error
			if problem == "mean" {
				truth, err = followedIterate(k, &Options{Solver: solve.Options{Tolerance: 1e-11}}, newtonDirection)
			} else {
				truth, err = followedIterate(medianOf(t, d, 1), &Options{Solver: solve.Options{Tolerance: 1e-11}}, newtonDirection)
			}
			if err != nil || !truth.Converged {
				t.Fatal(name, problem, err, truth)
			}
			at := truth.Point.(*manifold.Frame).Sym()
			given := solved(t, problem, d, &Options{Start: d.Matrices[0]})
			for _, r := range []*Result{got, given} {
				if e, err := manifold.Distance(r.Solution, at); err != nil || e > 1.1*r.Certificate.Value+1e-9 {
					t.Errorf("%s, %s: distance %.3g, certified %+v (%v)", name, problem, e, r.Certificate, err)
				}
			}
		}
	}
}

// TestWhiteningUnfit: scattered data, and those that are singular but for the last digits, are left as they are.
func TestWhiteningUnfit(t *testing.T) {
	for name, d := range map[string]Data{
		"scattered": {Matrices: scattered(30, 5, 1e6)},
		"small":     {Matrices: aboutCentre(scattered(5, 5, 10), 1e3)},
		"two":       {Matrices: aboutCentre(scattered(30, 2, 10), 1e3)},
		"singular":  {Matrices: aboutCentre(scattered(30, 5, 10), 1e6)},
	} {
		if k := karcherOf(t, d); k.whitening != nil || k.mean != nil {
			t.Errorf("%s: whitened", name)
		}
	}
}

// TestWhitening: the mean is L L', and there and back is where one was.
func TestWhitening(t *testing.T) {
	ms := aboutCentre(scattered(33, 4, 10), 100)
	weights := []float64{0.1, 0.2, 0.3, 0.4}
	var upper []dense.Matrix[float64]
	sum := mat.NewSymDense(33, nil)
	for k, a := range ms {
		upper = append(upper, upperOf(a))
		var part mat.SymDense
		part.ScaleSym(weights[k], a)
		sum.AddSym(sum, &part)
	}
	w := newWhitening(upper, weights)
	x := view(manifold.DenseOf(sum))
	w.look(x)
	for i := range 33 {
		x.Set(i, i, x.At(i, i)-1)
	}
	if e := math.Sqrt(dense.Dot(x.Data, x.Data)); e > 1e-10 {
		t.Errorf("the mean is %.3g from the identity", e)
	}
	x = view(manifold.DenseOf(ms[1]))
	y := x.Clone()
	w.look(y)
	w.back(y)
	if e := differenceRelative(y.Data, x.Data); e > 1e-11 {
		t.Errorf("there and back is %.3g away", e)
	}
}
