package quadric

import (
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
)

// precision is one of products, with the steps that a quadric near a sphere may take.
type precision struct {
	name string
	most int
}

// precisions are those of the fastest products.
var precisions = []precision{{"bytes", 95}, {"bfloat16", 90}, {"single precision", 85}}

// system returns a System whose products are in the precision, as far as the processor has such.
func (p precision) system(x dense.Matrix[float64]) *System {
	s := NewSystem(x, NewPasses[float64](x.Rows, x.Cols))
	if p.name != "bytes" && s.bytes != nil {
		s.withoutBytes()
	}
	if p.name == "single precision" {
		s.rounded = nil
	}
	return s
}

// TestByConjugateGradients: the iteration finds the quadric of the points before they were stretched, stretched, whatever products the processor has. The normal equations of
// stretched points, whose condition is the fourth power of that of the stretch, find it to as many digits as that leaves.
func TestByConjugateGradients(t *testing.T) {
	const n = Iterative
	for _, kappa := range []float64{1, 1e4} {
		x, stretch := gallery.NearSphere(84, n), gallery.SPD(85, n, math.Sqrt(kappa))
		y := dense.New[float64](x.Rows, n)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, stretch, 0, y)
		round := directly(t, x)
		var inverse, want mat.Dense
		if err := inverse.Inverse(dataOf(stretch)); err != nil {
			t.Fatal(err)
		}
		want.Product(&inverse, dataOf(round), &inverse)
		if d := distanceRelative(dataOf(directly(t, y)), &want); d > 1e-13+kappa*kappa*0x1p-53 {
			t.Errorf("condition %g: the solution of the normal equations is %g away", kappa, d)
		}
		for _, precision := range precisions {
			s := precision.system(y)
			got, outcome := s.quickly(1e-12)
			if outcome == Undecided {
				t.Fatalf("condition %g: gave up after %d steps", kappa, s.steps)
			}
			if d := distanceRelative(dataOf(got), &want); d > 3e-10 {
				t.Errorf("condition %g: %g away from the stretched quadric", kappa, d)
			}
			if s.steps > precision.most {
				t.Errorf("condition %g, %s: %d steps, want at most %d", kappa, precision.name, s.steps, precision.most)
			}
		}
	}
}

// TestByConjugateGradientsSeesNullSpaces: points in two orthogonal subspaces do not determine what couples these, though the equations for what
// they determine are as good as any. Points on a cone leave one direction of 528 open.
func TestByConjugateGradientsSeesNullSpaces(t *testing.T) {
	const n = Iterative
	half := func(row []float64, i int) []float64 { return row[i%2*n/2 : i%2*n/2+n/2] }
	for name, flatten := range map[string]func(row []float64, i int){
		"subspaces": func(row []float64, i int) { clear(half(row, i)) },
		"cone": func(row []float64, _ int) {
			for i := range 2 {
				h := half(row, i)
				dense.Scale(1/math.Sqrt(dense.Dot(h, h)), h, h)
			}
		},
	} {
		x := gallery.NearSphere(86, n)
		for i := range x.Rows {
			flatten(x.Row(i), i)
		}
		for _, precision := range precisions {
			s := precision.system(x)
			if _, outcome := s.quickly(1e-12); outcome != Undecided {
				t.Errorf("%s: took singular equations for regular ones", name)
			}
		}
		if _, outcome := Directly(x); outcome != Singular {
			t.Errorf("%s: normal equations end with outcome %d", name, outcome)
		}
	}
}

// TestGain: equal gains reach the total.
func TestGain(t *testing.T) {
	for _, total := range []float64{0.9, 0.3, 1e-2, 1e-4, 1.1e-4, 3e-9} {
		const least = 1e-2
		left, solves := total, 0
		for left < 0.99 {
			g := nextGain(left, least)
			if g < 0.7*least || g >= 1 {
				t.Fatalf("%g of %g is left: next gain %g", left, total, g)
			}
			left /= g
			solves++
		}
		if most := int(math.Ceil(math.Log(total) / math.Log(least))); solves > most {
			t.Error(fmt.Sprint(total, ": ", solves, " solves, want ", most))
		}
	}
}

func dataOf(x dense.Matrix[float64]) *mat.Dense { return mat.NewDense(x.Rows, x.Cols, x.Data) }

// distanceRelative returns the largest difference of elements relative to the largest element of b.
func distanceRelative(a, b mat.Matrix) float64 {
	var off, size float64
	rows, cols := a.Dims()
	for i := range rows {
		for j := range cols {
			off, size = max(off, math.Abs(a.At(i, j)-b.At(i, j))), max(size, math.Abs(b.At(i, j)))
		}
	}
	return off / size
}

// directly solves the normal equations of points that determine a quadric.
func directly(t *testing.T, x dense.Matrix[float64]) dense.Matrix[float64] {
	t.Helper()
	out, outcome := Directly(x)
	if outcome != Solved {
		t.Fatalf("normal equations: outcome %d", outcome)
	}
	dense.Mirror(out)
	return out
}

// TestNearCone: low precision solves ill-conditioned equations, since errors of products leave nothing in the direction of I, whose eigenvalue is the largest.
func TestNearCone(t *testing.T) {
	const n = Iterative
	for seed := uint64(92); seed < 100; seed++ {
		x := gallery.NearCone(seed, n, 0.02)
		s := NewSystem(x, NewPasses[float64](x.Rows, n))
		got, outcome := s.quickly(1e-10)
		if outcome == Undecided {
			t.Errorf("seed %d: gave up after %d steps", seed, s.steps)
			continue
		}
		if d := distanceRelative(dataOf(got), dataOf(directly(t, x))); d > 3e-6 {
			t.Errorf("seed %d: %g away from the quadric of the normal equations", seed, d)
		}
	}
}

// TestBytes: products are in bytes where the processor has them and equations are good enough, which those of points near a cone are not, nor those of few points.
func TestBytes(t *testing.T) {
	const n = Iterative
	sphere := gallery.NearSphere(101, n)
	for what, c := range map[string]struct {
		x     dense.Matrix[float64]
		bytes bool
	}{
		"sphere":     {sphere, dense.NewByteForms(n, 1) != nil},
		"cone":       {gallery.NearCone(101, n, 0.02), false},
		"few points": {sphere.View(0, 0, 3*n*(n+1)/4, n), false},
	} {
		s := NewSystem(c.x, NewPasses[float64](c.x.Rows, n))
		if _, outcome := s.quickly(1e-10); outcome == Undecided || (s.bytes != nil) != c.bytes {
			t.Errorf("%s: outcome %d, bytes: %v", what, outcome, s.bytes != nil)
		}
	}
}
