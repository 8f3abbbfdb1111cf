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
	"github.com/spdopt/spdopt/manifold/problem/internal/quadric"
	"github.com/spdopt/spdopt/manifold/solve"
)

// TestEllipsoidTolerance: the closed form ends at the tolerance and not much below, and other methods are measured by a closer one.
func TestEllipsoidTolerance(t *testing.T) {
	d := Data{Samples: dataOf(gallery.NearSphere(87, quadric.Iterative))}
	for _, tolerance := range []float64{1e-3, 1e-8, 1e-11} {
		r, err := Solve("ellipsoid", d, &Options{Solver: solve.Options{Tolerance: tolerance}})
		if err != nil {
			t.Fatal(err)
		}
		if !r.Converged || r.RelativeGradient > tolerance || r.RelativeGradient < tolerance/1e3 {
			t.Errorf("tolerance %g: converged %v at %g", tolerance, r.Converged, r.RelativeGradient)
		}
	}
	for what, start := range map[string]*mat.SymDense{"a start of 3 rows": identity(3), "a start": identity(quadric.Iterative)} {
		r, err := Solve("ellipsoid", d, &Options{Start: start})
		if n := start.SymmetricDim(); (err == nil) != (n == quadric.Iterative) {
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
	const n = quadric.Iterative
	x, stretch := gallery.NearSphere(89, n), gallery.SPD(90, n, 10)
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
	const n, tolerance = quadric.Iterative, 1e-10
	x, stretch := gallery.NearSphere(84, n), gallery.SPD(85, n, 1e4)
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
	const n = quadric.Iterative
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

// TestEllipsoidOfManyUnknowns: where normal equations take too long, the answers are those that they would give.
func TestEllipsoidOfManyUnknowns(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long on an emulated processor")
	}
	const n = 72
	plane := gallery.NearSphere(98, n)
	for i := range plane.Rows {
		plane.Set(i, n-1, plane.At(i, 0)-plane.At(i, 1))
	}
	cone := stretchedPoints(gallery.NearCone(99, n, 0), 100)
	for what, x := range map[string]dense.Matrix[float64]{"plane": plane, "cone": cone} {
		t.Log(what)
		refused(t, "ellipsoid", Data{Samples: dataOf(x)}, nil, "more than one quadric")
	}
	near := gallery.NearCone(99, n, 1e-3)
	for i := range near.Rows {
		row := near.Row(i)
		dense.Scale((1+1e-6*math.Sin(7*float64(i)))/math.Sqrt(dense.Dot(row, row)), row, row)
	}
	x := stretchedPoints(near, 100)
	r, err := Solve("ellipsoid", Data{Samples: dataOf(x)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Converged || r.RelativeGradient > 1e-8 {
		t.Errorf("near a cone: converged %v at %g", r.Converged, r.RelativeGradient)
	}
}

func stretchedPoints(x dense.Matrix[float64], kappa float64) dense.Matrix[float64] {
	y := dense.New[float64](x.Rows, x.Cols)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, gallery.SPD(93, x.Cols, kappa), 0, y)
	return y
}

// TestEllipsoidAcrossThreads: solutions have the same bits for any number of threads.
func TestEllipsoidAcrossThreads(t *testing.T) {
	d := Data{Samples: dataOf(gallery.NewStream(91).Normals(6000, quadric.Iterative))}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	want := map[string][]float64{}
	for _, procs := range []int{1, 2, 4} {
		runtime.GOMAXPROCS(procs)
		for _, method := range []string{"", "trust"} {
			r, err := Solve("ellipsoid", d, &Options{Method: method, Solver: solve.Options{MaxIterations: 5}})
			if err != nil {
				t.Fatal(err)
			}
			got := append(slices.Clone(r.Solution.RawSymmetric().Data), r.Objective, r.RelativeGradient)
			if procs == 1 {
				want[method] = got
			} else if !slices.Equal(got, want[method]) {
				t.Errorf("method %q, GOMAXPROCS=%d: other bits", method, procs)
			}
		}
	}
}

// TestEllipsoidOfSubspaces: points in two orthogonal subspaces, and those on a cone, are refused.
func TestEllipsoidOfSubspaces(t *testing.T) {
	const n = quadric.Iterative
	subspaces := gallery.NearSphere(86, n)
	for i := range subspaces.Rows {
		clear(subspaces.Row(i)[i%2*n/2 : i%2*n/2+n/2])
	}
	for what, x := range map[string]dense.Matrix[float64]{"subspaces": subspaces, "cone": gallery.NearCone(86, n, 0)} {
		t.Log(what)
		refused(t, "ellipsoid", Data{Samples: dataOf(x)}, nil, "more than one quadric")
	}
}
