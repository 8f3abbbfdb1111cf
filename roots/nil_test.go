package roots

import (
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/spectral"
)

// TestNilMatrices: a matrix that is nil, or a nil pointer, is an error that names it.
func TestNilMatrices(t *testing.T) {
	one, full := mat.NewSymDense(1, []float64{1}), mat.NewDense(1, 1, []float64{1})
	var dst mat.SymDense
	var wide mat.Dense
	tracker, err := NewTracker(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	var none *mat.SymDense
	query := Query{Kind: KindSqrt}
	for name, call := range map[string]func() error{
		"a":                           func() error { _, err := Pow(&dst, nil, 2, nil); return err },
		"a (typed)":                   func() error { _, err := Log(&dst, none, nil); return err },
		"dst":                         func() error { _, err := Inv(nil, one, nil); return err },
		"x":                           func() error { _, err := Apply(&wide, one, (*mat.Dense)(nil), query, nil); return err },
		"dst (2)":                     func() error { _, err := Apply(nil, one, full, query, nil); return err },
		"a (2)":                       func() error { _, err := Apply(&wide, none, full, query, nil); return err },
		"a (3)":                       func() error { _, err := Polar(nil, nil, (*mat.Dense)(nil), nil); return err },
		"x (2)":                       func() error { _, err := Verify(none, one, Report{}, nil); return err },
		"a (4)":                       func() error { _, err := Verify(one, nil, Report{}, nil); return err },
		"u":                           func() error { _, err := VerifyPolar(nil, full, Report{}); return err },
		"a (5)":                       func() error { _, err := tracker.Follow(none); return err },
		"x (3)":                       func() error { _, err := tracker.ApplyPow(1, &wide, nil); return err },
		"dst (3)":                     func() error { _, err := tracker.FormPow(1, nil); return err },
		"f":                           func() error { _, err := ComputeFactor(&dst, nil, query); return err },
		"the product with the matrix": func() error { _, err := ApplyProduct([]float64{1}, []float64{1}, nil, query, nil); return err },
		"dst (4)":                     func() error { _, err := ComputeFactor(none, spectral.Identity(1, 1), query); return err },
	} {
		what, _, _ := strings.Cut(name, " (")
		if err := call(); err == nil || err.Error() != "roots: "+what+" is nil" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMisfitsPanic: shapes that do not fit panic with Error, whatever the mistake.
func TestMisfitsPanic(t *testing.T) {
	one, two := []float32{1}, mat.NewDense(2, 1, []float64{1, 1})
	tracker, err := NewTracker32(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	query := Query{Kind: KindSqrt}
	for name, call := range map[string]func(){
		"n":               func() { _, _ = Compute32(one, one, -1, query, nil) },
		"k":               func() { _, _ = Apply32(one, one, one, 1, -1, query, nil) },
		"short":           func() { _, _ = Pow32(one, one, 2, 0.5, nil) },
		"polar":           func() { _, _ = VerifyPolar(mat.NewDense(1, 1, nil), two, Report{}) },
		"vectors":         func() { _, _ = tracker.FollowVectors(0.1, one, -1) },
		"tracked columns": func() { _, _ = tracker.ApplyPow(0.5, one, one, -1) },
	} {
		func() {
			defer func() {
				if _, ours := recover().(Error); !ours {
					t.Errorf("%s: no Error", name)
				}
			}()
			call()
		}()
	}
}

// TestChooseOfInfiniteCondition ends.
func TestChooseOfInfiniteCondition(t *testing.T) {
	for _, k := range []Kind{KindSqrt, KindLog, KindExp, Kind(-1)} {
		if m := Choose(Query{Kind: k, Power: 0.5, N: 5, Cond: math.Inf(1), Top: math.Inf(1)}); m == nil {
			t.Errorf("%v: no method", k)
		}
	}
}
