package gram

import (
	"errors"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
)

// TestFrame: a column that is the sum of others is told from one that is short, though rounding makes the second moment definite.
func TestFrame(t *testing.T) {
	for seed := range uint64(20) {
		short, dependent := gallery.NewStream(seed).Normals(50, 4), gallery.NewStream(seed).Normals(50, 4)
		for i := range short.Rows {
			short.Row(i)[3] *= 1e-7
			row := dependent.Row(i)
			row[3] = row[0] + row[1] + row[2]
		}
		if f, err := frameOf(short); err != nil || f.F().At(0, 1) != 0 {
			t.Errorf("seed %d: short column: %v", seed, err)
		}
		var fault *manifold.PointError
		if _, err := frameOf(dependent); !errors.As(err, &fault) {
			t.Errorf("seed %d: dependent column: %v", seed, err)
		}
	}
	for seed := range uint64(20) {
		nearly := gallery.NewStream(seed).Normals(50, 4)
		for i := range nearly.Rows {
			row := nearly.Row(i)
			row[3] = row[2] // the difference of the others, a thousand times
			row[2] = row[0] + row[1] + 1e-3*row[3]
		}
		if _, err := frameOf(nearly); err == nil {
			t.Errorf("seed %d: a column that depends on others through one that nearly does passes", seed)
		}
	}
	ones := dense.New[float64](2, 2)
	for i := range ones.Data {
		ones.Data[i] = 1
	}
	if _, err := frameOf(ones); err == nil || !strings.Contains(err.Error(), "not positive definite") {
		t.Errorf("equal columns: %v", err)
	}
}

func frameOf(x dense.Matrix[float64]) (*manifold.Frame, error) {
	s := dense.New[float64](x.Cols, x.Cols)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1/float64(x.Rows), x, x, 0, s)
	return Frame(mat.NewSymDense(x.Cols, s.Data), x)
}

// TestCentreOfConstantColumns: whatever their number, and next to columns that are not constant.
func TestCentreOfConstantColumns(t *testing.T) {
	for _, c := range []float64{2, 0.1, 1. / 3, 1e6 + 0.1, -7e-5, 1e300} {
		x := gallery.NewStream(3).Normals(37, 3)
		var want float64
		for i := range x.Rows {
			x.Row(i)[1] = c
			want += x.At(i, 0) / 37
		}
		y := x.Clone()
		mean := Centre(y)
		if mean[1] != c || math.Abs(mean[0]-want) > 1e-15 {
			t.Errorf("mean %v, want %v and %v", mean, want, c)
		}
		for i := range y.Rows {
			if y.At(i, 1) != 0 || math.Abs(y.At(i, 0)-(x.At(i, 0)-want)) > 1e-14 {
				t.Fatalf("row %d: %v of %v", i, y.Row(i), x.Row(i))
			}
		}
	}
}
