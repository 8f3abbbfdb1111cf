package selftest

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/gallery"
)

func TestAllPassHere(t *testing.T) {
	for _, c := range Run() {
		if !c.Passed() {
			t.Errorf("%+v", c)
		}
	}
}

func TestChecksCanFail(t *testing.T) {
	for name, c := range map[string]Check{
		"over the limit": Measure("", 1, func() (float64, error) { return 1.1, nil }),
		"NaN":            Measure("", 1, func() (float64, error) { return math.NaN(), nil }),
		"Inf":            Measure("", 1, func() (float64, error) { return math.Inf(1), nil }),
		"error":          Measure("", 1, func() (float64, error) { return 0, errors.New("no") }),
	} {
		if c.Passed() {
			t.Errorf("%s passes", name)
		}
	}
	a := symmetric(gallery.SPD(1, 8, 10))
	if e := RootResidual(a, a); e < 0.1 {
		t.Errorf("a matrix passes for its own inverse fourth root: %g", e)
	}
}

func TestCongruenceErrorSeesItsArguments(t *testing.T) {
	a, b := symmetric(gallery.SPD(1, 8, 10)), symmetric(gallery.SPD(2, 8, 10))
	e, err := CongruenceError(a, b, gallery.NewStream(3).Normals(8, 8))
	if err != nil || e > 1e-12 {
		t.Errorf("%g, %v", e, err)
	}
	if _, err := CongruenceError(a, mat.NewSymDense(8, nil), gallery.NewStream(3).Normals(8, 8)); err == nil {
		t.Error("a zero matrix is no error")
	}
}

func ExampleMeasure() {
	c := Measure("sqrt(2)^2 = 2", 1e-15, func() (float64, error) { return math.Abs(math.Sqrt2*math.Sqrt2-2) / 2, nil })
	fmt.Println(c.Passed())
	// Output: true
}
