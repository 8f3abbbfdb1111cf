package quadric

import (
	"runtime"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
)

// TestPassesAcrossThreads: products where there are no kernels for forms have the same bits for any number of threads.
func TestPassesAcrossThreads(t *testing.T) {
	const n, count = Iterative, 6000
	x := gallery.NewStream(91).Normals(count, n)
	low := singlePoints(x)
	y, out := low.half.Clone(), dense.New[float32](n, n)
	y.Identity()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var want []float32
	for _, procs := range []int{1, 2, 4} {
		runtime.GOMAXPROCS(procs)
		low.product(y, out)
		if procs == 1 {
			want = slices.Clone(out.Data)
		} else if !slices.Equal(out.Data, want) {
			t.Errorf("GOMAXPROCS=%d: other bits", procs)
		}
	}
	if parts := len(low.passes.sums); parts < 4 {
		t.Errorf("%d parts", parts)
	}
}

func singlePoints(x dense.Matrix[float64]) *points[float32] {
	w := dense.New[float32](x.Rows, x.Cols)
	dense.ScaleSingle(1, x.Data, w.Data)
	return newPoints(w)
}
