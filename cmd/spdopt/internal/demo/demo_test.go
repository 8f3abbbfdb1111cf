package demo

import (
	"errors"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold/problem"
)

// failing returns the names of the checks that fail.
func failing(r *Result) (names []string) {
	for _, c := range r.Checks {
		if !c.Passed() {
			names = append(names, c.Name)
		}
	}
	return names
}

// The checks of the demo must notice wrong results: here a diagonal shrinkage of four matrices stands in for the digits, to be quick.
func TestChecksNoticeWrongResults(t *testing.T) {
	all, err := load()
	if err != nil {
		t.Fatal(err)
	}
	var small []mat.Symmetric
	for _, a := range all[:4] {
		s := mat.NewSymDense(40, nil)
		for i := range 40 {
			for j := i; j < 40; j++ {
				s.SetSym(i, j, a.At(70+i, 70+j))
			}
		}
		small = append(small, s)
	}
	fresh := func() *Result {
		r := &Result{Seed: 1}
		for _, f := range []func([]mat.Symmetric) error{r.solveMean, r.takeRoot, r.measure} {
			if err := f(small); err != nil {
				t.Fatal(err)
			}
		}
		return r
	}
	for name, spoil := range map[string]func(r *Result){
		"": func(*Result) {},
		"the logarithms of the digits at the mean cancel": func(r *Result) {
			r.Mean.Solution.ScaleSym(1.001, r.Mean.Solution)
		},
		"R^4 M = I for the inverse fourth root R":             func(r *Result) { r.Root.SetSym(0, 0, r.Root.At(0, 0)*1.0001) },
		"distances satisfy the triangle inequality":           func(r *Result) { r.Distances[2][1] = 1e3 },
		"the mean is nearer to all digits than any digit is":  func(r *Result) { r.ToMean[0] = 1e3 },
		"the mean converged (relative gradient)":              func(r *Result) { r.Mean.RelativeGradient = 1e-3 },
		"the mean of the inverses is the inverse of the mean": func(r *Result) { r.Mean = &problem.Result{Solution: small[0].(*mat.SymDense)} },
	} {
		r := fresh()
		spoil(r)
		if err := r.check(small); err != nil {
			t.Fatal(err)
		}
		bad := failing(r)
		if r.Passed() != (name == "") {
			t.Errorf("%q: Passed() = %v, failing %q", name, r.Passed(), bad)
		}
		found := name == ""
		for _, b := range bad {
			found = found || b == name
		}
		if !found {
			t.Errorf("%q is not noticed; failing are %q", name, bad)
		}
	}
}

func TestExtremes(t *testing.T) {
	r := &Result{Distances: [][]float64{{0, 5, 9}, {5, 0, 2}, {9, 2, 0}}}
	if near, far := r.Extremes(); near != [2]int{1, 2} || far != [2]int{0, 2} {
		t.Errorf("near %v, far %v", near, far)
	}
}

func TestRunStopsWhenTold(t *testing.T) {
	stop := errors.New("stop")
	if _, err := Run(1, func(string) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
}
