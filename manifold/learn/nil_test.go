package learn

import (
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestNilMatrices: a matrix that is nil, or a nil pointer, is an error that names it.
func TestNilMatrices(t *testing.T) {
	one, two := mat.NewSymDense(2, []float64{1, 0, 0, 2}), mat.NewSymDense(2, []float64{3, 1, 1, 2})
	var none *mat.SymDense
	good, bad := []mat.Symmetric{one, two, one, two}, []mat.Symmetric{one, none, one, two}
	labels := []int{0, 1, 0, 1}
	space, err := NewTangentSpace(one, TangentOptions{})
	if err != nil {
		t.Fatal(err)
	}
	axes, err := NewPrincipalAxes(space, good, PrincipalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	align, err := Align(good, labels, AlignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	patterns, err := CommonSpatialPatterns(good, labels, PatternOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"tangent space":  func() error { _, err := NewTangentSpace(none, TangentOptions{}); return err },
		"of a mean":      func() error { _, err := TangentSpaceOf(bad, TangentOptions{}); return err },
		"vectors":        func() error { _, err := space.Vectors(bad); return err },
		"kernel":         func() error { _, err := space.Kernel(bad); return err },
		"matrices":       func() error { _, err := space.Matrices((*mat.Dense)(nil)); return err },
		"principal axes": func() error { _, err := NewPrincipalAxes(space, bad, PrincipalOptions{}); return err },
		"no space":       func() error { _, err := NewPrincipalAxes(nil, good, PrincipalOptions{}); return err },
		"scores":         func() error { _, err := axes.Scores(bad); return err },
		"of scores":      func() error { _, err := axes.Matrices(nil); return err },
		"distances":      func() error { _, err := Distances(bad, ""); return err },
		"align":          func() error { _, err := Align(bad, labels, AlignOptions{}); return err },
		"aligned":        func() error { _, err := align.Apply(bad, labels); return err },
		"k-means":        func() error { _, err := KMeans(bad, KMeansOptions{}); return err },
		"neighbours":     func() error { _, err := NewNeighbours(bad, labels, NeighbourOptions{}); return err },
		"patterns":       func() error { _, err := CommonSpatialPatterns(bad, labels, PatternOptions{}); return err },
		"filtered":       func() error { _, err := patterns.Apply(bad); return err },
		"potato":         func() error { _, err := NewPotato(bad, PotatoOptions{}); return err },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), "nil") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
