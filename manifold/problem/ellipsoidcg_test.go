package problem

import (
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// nearSphere returns twice as many points as there are unknowns, near the unit sphere in n dimensions.
func nearSphere(seed uint64, n int) dense.Matrix[float64] {
	x := gallery.NewStream(seed).Normals(n*(n+1), n)
	for i := range x.Rows {
		row := x.Row(i)
		dense.Scale((1+1e-2*math.Sin(float64(i)))/math.Sqrt(dense.Dot(row, row)), row, row)
	}
	return x
}

// TestQuadricByConjugateGradients: the iteration finds what the normal equations do, and for stretched points the stretched quadric, whatever products the processor has.
func TestQuadricByConjugateGradients(t *testing.T) {
	const n = quadricIterative
	for _, kappa := range []float64{1, 1e4} {
		x, stretch := nearSphere(84, n), gallery.SPD(85, n, math.Sqrt(kappa))
		y := dense.New[float64](x.Rows, n)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, stretch, 0, y)
		round, err := quadricDirectly(x)
		if err != nil {
			t.Fatal(err)
		}
		dense.Mirror(round)
		var inverse, want mat.Dense
		if err := inverse.Inverse(dataOf(stretch)); err != nil {
			t.Fatal(err)
		}
		want.Product(&inverse, dataOf(round), &inverse)
		direct, err := quadricDirectly(y)
		if err != nil {
			t.Fatal(err)
		}
		dense.Mirror(direct)
		for _, low := range []bool{true, false} {
			s := newQuadricSystem(y, newQuadricPasses[float64](y.Rows, n))
			if !low {
				s.rounded = nil
			}
			got, _, ok := s.quadric(1e-12)
			if !ok {
				t.Fatalf("condition %g: gave up after %d steps", kappa, s.steps)
			}
			if d, e := distanceRelative(dataOf(got), &want), distanceRelative(dataOf(got), dataOf(direct)); d > 1e-9 || e > 1e-9 {
				t.Errorf("condition %g: %g away from the stretched quadric, %g from that of the normal equations", kappa, d, e)
			}
			if most := map[bool]int{true: 95, false: 90}[low]; s.steps > most {
				t.Errorf("condition %g, low precision %v: %d steps, want at most %d", kappa, low, s.steps, most)
			}
		}
	}
}

// TestQuadricByConjugateGradientsSeesNullSpaces: points in two orthogonal subspaces do not determine what couples these, though the equations for what
// they determine are as good as any. Points on a cone leave one direction of 528 open.
func TestQuadricByConjugateGradientsSeesNullSpaces(t *testing.T) {
	const n = quadricIterative
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
		x := nearSphere(86, n)
		for i := range x.Rows {
			flatten(x.Row(i), i)
		}
		for _, low := range []bool{true, false} {
			s := newQuadricSystem(x, newQuadricPasses[float64](x.Rows, n))
			if !low {
				s.rounded = nil
			}
			if _, _, ok := s.quadric(1e-12); ok {
				t.Errorf("%s: took singular equations for regular ones", name)
			}
		}
		refused(t, "ellipsoid", Data{Samples: dataOf(x)}, nil, "more than one quadric")
	}
}

// TestEllipsoidTolerance: the closed form ends at the tolerance and not much below, and other methods are measured by a closer one.
func TestEllipsoidTolerance(t *testing.T) {
	d := Data{Samples: dataOf(nearSphere(87, quadricIterative))}
	for _, tolerance := range []float64{1e-3, 1e-8, 1e-11} {
		r, err := Solve("ellipsoid", d, &Options{Solver: solve.Options{Tolerance: tolerance}})
		if err != nil {
			t.Fatal(err)
		}
		if !r.Converged || r.RelativeGradient > tolerance || r.RelativeGradient < tolerance/1e3 {
			t.Errorf("tolerance %g: converged %v at %g", tolerance, r.Converged, r.RelativeGradient)
		}
	}
	for what, start := range map[string]*mat.SymDense{"a start of 3 rows": identity(3), "a start": identity(quadricIterative)} {
		r, err := Solve("ellipsoid", d, &Options{Start: start})
		if n := start.SymmetricDim(); (err == nil) != (n == quadricIterative) {
			t.Errorf("%s: %v", what, err)
		} else if err == nil && r.RelativeGradient > 1e-8 {
			t.Errorf("%s: relative gradient %g", what, r.RelativeGradient)
		}
	}
	r, err := Solve("ellipsoid", d, &Options{Method: "trust", Solver: solve.Options{Tolerance: 1e-10}})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Converged || r.Certificate.Value > 1e-8 {
		t.Errorf("trust region: converged %v, %v", r.Converged, r.Certificate)
	}
}

// TestEllipsoidStart: what is kept of the start is what the objective has there, up to single precision.
func TestEllipsoidStart(t *testing.T) {
	const n = quadricIterative
	x, stretch := nearSphere(89, n), gallery.SPD(90, n, 10)
	y := dense.New[float64](x.Rows, n)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, stretch, 0, y)
	m, err := manifold.NewAffine(n, manifold.AffineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	in, err := ellipsoid.prepare(&Data{Samples: dataOf(y)}, func(int) (*manifold.Affine, error) { return m, nil }, &Options{})
	if err != nil {
		t.Fatal(err)
	}
	e := in.(*ellipsoidObjective)
	want, _, err := e.measure(e.from, e.NewMemo().(*ellipsoidMemo))
	if err != nil {
		t.Fatal(err)
	}
	if d := math.Abs(e.atStart.cost/want.cost - 1); d > 1e-12 {
		t.Errorf("cost %g, want %g", e.atStart.cost, want.cost)
	}
	var off float64
	for i, v := range want.gradient {
		off += (v - e.atStart.gradient[i]) * (v - e.atStart.gradient[i])
	}
	if off = math.Sqrt(off / dense.Dot(want.gradient, want.gradient)); off > 1e-6 {
		t.Errorf("gradient off by %g", off)
	}
}

// TestEllipsoidStretched: the tolerance is met for points that are stretched by 1e4, whose quadric rounds by more than what is left.
func TestEllipsoidStretched(t *testing.T) {
	const n, tolerance = quadricIterative, 1e-10
	x, stretch := nearSphere(84, n), gallery.SPD(85, n, 1e4)
	y := dense.New[float64](x.Rows, n)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, stretch, 0, y)
	r, err := Solve("ellipsoid", Data{Samples: dataOf(y)}, &Options{Solver: solve.Options{Tolerance: tolerance}})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Converged || r.RelativeGradient > tolerance {
		t.Errorf("converged %v at %g", r.Converged, r.RelativeGradient)
	}
}

// TestEllipsoidThatIsHyperboloid: points near a hyperboloid are refused, after a solution in double precision without frames.
func TestEllipsoidThatIsHyperboloid(t *testing.T) {
	const n = quadricIterative
	x := gallery.NewStream(88).Normals(2*n*(n+1), n)
	rows := 0
	for i := range x.Rows {
		row := x.Row(i)
		if q := dense.Dot(row, row) - 1.5*row[0]*row[0]; q > 0.1 {
			dense.Scale((1+1e-3*math.Sin(float64(i)))/math.Sqrt(q), row, x.Row(rows))
			rows++
		}
	}
	refused(t, "ellipsoid", Data{Samples: dataOf(x.View(0, 0, rows, n))}, nil, "no ellipsoid around the origin")
}

// TestQuadricGain: equal gains reach the total.
func TestQuadricGain(t *testing.T) {
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
