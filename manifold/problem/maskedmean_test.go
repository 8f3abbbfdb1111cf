package problem

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// hide returns a copy of a without the variables.
func hide(a mat.Symmetric, variables ...int) *mat.SymDense {
	n := a.SymmetricDim()
	b := mat.NewSymDense(n, nil)
	b.CopySym(a)
	for _, i := range variables {
		for j := range n {
			b.SetSym(i, j, math.NaN())
		}
	}
	return b
}

// TestMaskedMeanOfPyRiemann: pyRiemann (manifold/testdata/means.py) iterates to where sum w_k E_k Log(E_k' X E_k -> A_k) E_k' vanishes, which is not the gradient
// of the sum of squared distances that it states: the vector of the small matrices is not carried to X as a covector. The minimum lies lower.
func TestMaskedMeanOfPyRiemann(t *testing.T) {
	text, err := os.ReadFile("../testdata/means.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Matrices [][][]float64
		Hidden   [][]int
		Weights  []float64
		Means    struct{ Masked [][]float64 }
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	d := Data{Weights: golden.Weights}
	for k, m := range golden.Matrices {
		d.Matrices = append(d.Matrices, hide(mat.NewSymDense(4, slices.Concat(m...)), golden.Hidden[k]...))
	}
	theirs := mat.NewSymDense(4, slices.Concat(golden.Means.Masked...))
	terms, err := maskedTerms(d.Matrices)
	if err != nil {
		t.Fatal(err)
	}
	cost := func(x *mat.SymDense) (sum float64) {
		for k, term := range terms {
			e, err := manifold.Distance(partOf(x, term.known), term.part)
			if err != nil {
				t.Fatal(err)
			}
			sum += golden.Weights[k] / 5 * e * e / 2
		}
		return sum
	}
	equation := mat.NewSymDense(4, nil)
	for k, term := range terms {
		l, err := manifold.Log(partOf(theirs, term.known), term.part)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range term.known {
			for j, c := range term.known[i:] {
				equation.SetSym(r, c, equation.At(r, c)+golden.Weights[k]*l.At(i, i+j))
			}
		}
	}
	if e := mat.Norm(equation, 2); e > 1e-2 { // its iteration ends when its step has become short, not when this has
		t.Errorf("their equation is off by %v", e)
	}
	for _, method := range []string{"newton", "completion", "lbfgs"} {
		r := solved(t, "masked-mean", d, &Options{Method: method, Solver: solve.Options{Tolerance: 1e-11}})
		if c := cost(r.Solution); math.Abs(c-r.Objective) > 1e-12 || !(c < cost(theirs)-1e-3) {
			t.Errorf("%s: cost %v, reported %v; theirs %v", method, c, r.Objective, cost(theirs))
		}
	}
	r := solved(t, "masked-mean", d, &Options{Start: theirs})
	if e, err := manifold.Distance(r.Solution, solved(t, "masked-mean", d, nil).Solution); err != nil || e > 1e-6 {
		t.Errorf("from their mean the minimum is %v away (%v)", e, err)
	}
}

// TestMaskedMeanOfParts: parts of one matrix have that matrix as their mean, whatever the condition; matrices that lack nothing have their Karcher mean.
func TestMaskedMeanOfParts(t *testing.T) {
	c := symmetric(gallery.SPD(3, 7, 1e6))
	d := Data{Matrices: []mat.Symmetric{hide(c, 0, 1), hide(c, 2), hide(c, 3, 4, 5), hide(c, 6), hide(c, 1, 6)}}
	r := solved(t, "masked-mean", d, nil)
	if e, err := manifold.Distance(r.Solution, c); err != nil || e > 1e-5 || r.Objective > 1e-14 {
		t.Errorf("distance %v, objective %v (%v)", e, r.Objective, err)
	}
	tight := &Options{Solver: solve.Options{Tolerance: 1e-11}}
	full := Data{Matrices: scattered(5, 4, 1e3), Weights: []float64{1, 2, 3, 1}}
	want, r := solved(t, "mean", full, tight), solved(t, "masked-mean", full, tight)
	if e, err := manifold.Distance(r.Solution, want.Solution); err != nil || e > 1e-7 || math.Abs(r.Objective-want.Objective) > 1e-9 {
		t.Errorf("distance %v, objective %v, of the mean %v (%v)", e, r.Objective, want.Objective, err)
	}
}

// TestCompletionIsNearest: the distance of the parts is that of X from A completed by the regression of X, and no completion is nearer.
func TestCompletionIsNearest(t *testing.T) {
	x, a := symmetric(gallery.SPD(4, 3, 10)), symmetric(gallery.SPD(5, 3, 10))
	in, m := instanceOf(t, "masked-mean", Data{Matrices: []mat.Symmetric{hide(a, 2), x}, Weights: []float64{1, 1e-300}})
	f, err := manifold.NewFrame(x)
	if err != nil {
		t.Fatal(err)
	}
	cost, err := in.Evaluate(f, make([]float64, m.VectorLen()), in.(solve.Memoizer).NewMemo())
	if err != nil {
		t.Fatal(err)
	}
	var known, b mat.Dense
	known.Inverse(x.SliceSym(0, 2))
	b.Mul(mat.NewDense(1, 2, []float64{x.At(2, 0), x.At(2, 1)}), &known)
	completed := func(off0, off1, rest float64) float64 {
		whole := mat.NewSymDense(3, nil)
		whole.CopySym(a)
		var cross, inner mat.Dense
		cross.Mul(&b, a.SliceSym(0, 2))
		whole.SetSym(2, 0, cross.At(0, 0)+off0)
		whole.SetSym(2, 1, cross.At(0, 1)+off1)
		inner.Mul(&cross, b.T())
		var part mat.Dense
		part.Mul(&b, mat.NewDense(2, 1, []float64{x.At(2, 0), x.At(2, 1)}))
		whole.SetSym(2, 2, inner.At(0, 0)+x.At(2, 2)-part.At(0, 0)+rest)
		d, err := manifold.Distance(x, whole)
		if err != nil {
			t.Fatal(err)
		}
		return d * d / 2
	}
	best := completed(0, 0, 0)
	if math.Abs(best-cost) > 1e-10*cost {
		t.Errorf("cost %v, half the squared distance from the completion %v", cost, best)
	}
	for _, h := range [][3]float64{{1e-2, 0, 0}, {-1e-2, 0, 0}, {0, 1e-2, 0}, {0, -1e-2, 0}, {0, 0, 1e-2}, {0, 0, -1e-2}} {
		if c := completed(h[0], h[1], h[2]); c < best {
			t.Errorf("another completion is nearer by %g", best-c)
		}
	}
}

func instanceOf(t *testing.T, name string, d Data) (instance, *manifold.Affine) {
	t.Helper()
	p, err := ByName(name)
	if err != nil {
		t.Fatal(err)
	}
	in, m, err := p.instance(&d, &Options{})
	if err != nil {
		t.Fatal(err)
	}
	return in, m
}

// TestMaskedCostIsNotConvex: along the geodesic exp(t [0 1; 1 0]) the first variance is cosh t, so that the squared distance of its logarithm from 1 has a
// maximum in the middle.
func TestMaskedCostIsNotConvex(t *testing.T) {
	id := identity(2)
	variance := mat.NewSymDense(2, []float64{math.E, math.NaN(), math.NaN(), math.NaN()})
	in, m := instanceOf(t, "masked-mean", Data{Matrices: []mat.Symmetric{variance, id}, Weights: []float64{1, 1e-12}})
	at := func(s float64) float64 {
		x := mat.NewSymDense(2, []float64{math.Cosh(s), math.Sinh(s), math.Sinh(s), math.Cosh(s)})
		f, err := manifold.NewFrame(x)
		if err != nil {
			t.Fatal(err)
		}
		c, err := in.Evaluate(f, make([]float64, m.VectorLen()), in.(solve.Memoizer).NewMemo())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if middle, side := at(0), at(1); math.Abs(middle-0.5) > 1e-9 || !(side < middle-0.1) {
		t.Errorf("cost %v in the middle, %v beside it", middle, side)
	}
}

func TestMaskedMeanBadInput(t *testing.T) {
	a := symmetric(gallery.SPD(4, 3, 10))
	half := hide(a, 1)
	half.SetSym(1, 2, 3)
	hole := mat.NewSymDense(3, nil)
	hole.CopySym(a)
	hole.SetSym(0, 1, math.NaN())
	for want, ms := range map[string][]mat.Symmetric{
		"no matrices given": nil,
		"matrix 1: the diagonal entry 1 is NaN, but entry (1,2) is 3; a missing variable has a row and a column of NaN": {a, half},
		"matrix 1: the matrix has a NaN":                             {a, hole},
		"matrix 0: knows no variable; remove it":                     {hide(a, 0, 1, 2), a},
		"no matrix knows variable 2":                                 {hide(a, 2), hide(a, 2)},
		"no matrix knows variables 1 and 2 together":                 {hide(a, 1), hide(a, 2)},
		"matrix 1: has 2 rows, but matrix 0 has 3":                   {a, identity(2)},
		"matrix 0: not positive definite: smallest eigenvalue -1 (l": {hide(mat.NewSymDense(3, []float64{1, 2, 0, 2, 1, 0, 0, 0, 1}), 2), a},
	} {
		_, err := Solve("masked-mean", Data{Matrices: ms}, nil)
		var de *DataError
		if !errors.As(err, &de) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want a DataError with %q", err, want)
		}
	}
	if _, err := Solve("masked-mean", Data{Matrices: []mat.Symmetric{a, hide(a, 0)}, Weights: []float64{0, 1}}, nil); err == nil || !strings.Contains(err.Error(), "knows variable 0") {
		t.Errorf("a matrix without weight: %v", err)
	}
}
