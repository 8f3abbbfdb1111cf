package roots

import (
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
		"a":         func() error { _, err := Pow(&dst, nil, 2, nil); return err },
		"a (typed)": func() error { _, err := Log(&dst, none, nil); return err },
		"dst":       func() error { _, err := Inv(nil, one, nil); return err },
		"x":         func() error { _, err := Apply(&wide, one, (*mat.Dense)(nil), query, nil); return err },
		"dst (2)":   func() error { _, err := Apply(nil, one, full, query, nil); return err },
		"a (2)":     func() error { _, err := Apply(&wide, none, full, query, nil); return err },
		"a (3)":     func() error { _, err := Polar(nil, nil, (*mat.Dense)(nil), nil); return err },
		"x (2)":     func() error { _, err := Verify(none, one, Report{}, nil); return err },
		"a (4)":     func() error { _, err := Verify(one, nil, Report{}, nil); return err },
		"u":         func() error { _, err := VerifyPolar(nil, full, Report{}); return err },
		"a (5)":     func() error { _, err := tracker.Follow(none); return err },
		"x (3)":     func() error { _, err := tracker.ApplyPow(1, &wide, nil); return err },
		"dst (3)":   func() error { _, err := tracker.FormPow(1, nil); return err },
		"f":         func() error { _, err := ComputeFactor(&dst, nil, query); return err },
		"dst (4)":   func() error { _, err := ComputeFactor(none, spectral.Identity(1, 1), query); return err },
	} {
		what, _, _ := strings.Cut(name, " ")
		if err := call(); err == nil || err.Error() != "roots: "+what+" is nil" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
