package eigen

import (
	"math"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
)

// TestOrthonormalise: rows of sizes from 1 to 1e-12, one of which depends on those before it, become orthonormal, and R brings them back.
func TestOrthonormalise(t *testing.T) {
	const rows, n = 5, 9
	x := gallery.NewStream(61).Normals(rows, n)
	for i := range rows {
		dense.Scale(math.Pow(1e-3, float64(i)), x.Row(i), x.Row(i))
	}
	dense.Blend(2, x.Row(0), -1, x.Row(1), x.Row(3))
	q := x.Clone()
	r := Orthonormalise(q)
	for i := range rows {
		for j := range i + 1 {
			want := 0.0
			if i == j {
				want = 1
			}
			if got := dense.Dot(q.Row(i), q.Row(j)); math.Abs(got-want) > 1e-14 {
				t.Errorf("rows %d and %d: inner product %g", i, j, got)
			}
		}
		for k := i + 1; k < rows; k++ {
			if r.At(k, i) != 0 {
				t.Errorf("R has %g below its diagonal", r.At(k, i))
			}
		}
	}
	back := dense.New[float64](rows, n)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, r, q, 0, back)
	for i := range rows {
		dense.Axpy(-1, x.Row(i), back.Row(i))
		if off := norm(back.Row(i)); off > 1e-14*norm(x.Row(i)) {
			t.Errorf("row %d is off by %g of %g", i, off, norm(x.Row(i)))
		}
	}
}

// TestProject: what is left is orthogonal, and the components make up for the rest.
func TestProject(t *testing.T) {
	const n = 7
	q := gallery.NewStream(62).Normals(3, n)
	Orthonormalise(q)
	x := gallery.NewStream(63).Normals(1, n)
	rest, sum := x.Clone(), x.Clone()
	left := Project(q, 3, rest.Data, func(k int, c float64) { dense.Axpy(-c, q.Row(k), sum.Data) })
	for k := range 3 {
		if c := dense.Dot(q.Row(k), rest.Data); math.Abs(c) > 1e-15 {
			t.Errorf("component %d left: %g", k, c)
		}
	}
	dense.Axpy(-1, rest.Data, sum.Data)
	if off := norm(sum.Data); off > 1e-15 || math.Abs(left-norm(rest.Data)) > 1e-15 {
		t.Errorf("components are off by %g, the norm is %g for %g", off, left, norm(rest.Data))
	}
}
