package problem

import (
	"runtime"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold/solve"
)

// TestEllipsoidAcrossThreads: solutions, and products where there are no kernels for forms, have the same bits for any number of threads.
func TestEllipsoidAcrossThreads(t *testing.T) {
	const n, count = quadricIterative, 6000
	x := gallery.NewStream(91).Normals(count, n)
	low := quadricPoints32(x)
	y, out := low.half.Clone(), dense.New[float32](n, n)
	y.Identity()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	want := map[string][]float64{}
	for _, procs := range []int{1, 2, 4} {
		runtime.GOMAXPROCS(procs)
		for _, method := range []string{"", "trust"} {
			r, err := Solve("ellipsoid", Data{Samples: dataOf(x)}, &Options{Method: method, Solver: solve.Options{MaxIterations: 5}})
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
		low.product(y, out)
		got := make([]float64, len(out.Data))
		widen(got, out.Data)
		if procs == 1 {
			want["product"] = got
		} else if !slices.Equal(got, want["product"]) {
			t.Errorf("product, GOMAXPROCS=%d: other bits", procs)
		}
	}
	if parts := len(low.passes.sums); parts < 4 {
		t.Errorf("%d parts", parts)
	}
}

func quadricPoints32(x dense.Matrix[float64]) *quadricPoints[float32] {
	w := dense.New[float32](x.Rows, x.Cols)
	narrow(w.Data, x.Data)
	return newQuadricPoints(w)
}
