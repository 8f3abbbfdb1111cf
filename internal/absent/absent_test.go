package absent

import (
	"testing"

	"gonum.org/v1/gonum/mat"
)

// foreign is a type of a caller whose methods need no receiver.
type foreign struct{}

func (*foreign) Dims() (int, int)    { return 1, 1 }
func (*foreign) At(int, int) float64 { return 1 }
func (f *foreign) T() mat.Matrix     { return f }
func (*foreign) SymmetricDim() int   { return 1 }

// TestMatrix: nil interfaces and nil pointers of gonum's types are absent; empty matrices and those of other types are there.
func TestMatrix(t *testing.T) {
	for k, a := range []mat.Matrix{nil, (*mat.SymDense)(nil), (*mat.Dense)(nil), (*mat.VecDense)(nil), (*mat.DiagDense)(nil), (*mat.SymBandDense)(nil), (*mat.BandDense)(nil),
		(*mat.TriDense)(nil), (*mat.TriBandDense)(nil), (*mat.Tridiag)(nil), (*mat.Cholesky)(nil), (*mat.BandCholesky)(nil), mat.Symmetric(nil)} {
		if !Matrix(a) {
			t.Errorf("case %d: %T is there", k, a)
		}
	}
	for _, a := range []mat.Matrix{&mat.SymDense{}, &mat.Dense{}, mat.NewDiagDense(1, nil), mat.NewVecDense(1, nil), (*foreign)(nil), mat.Transpose{Matrix: &mat.Dense{}}} {
		if Matrix(a) {
			t.Errorf("%T is absent", a)
		}
	}
	if !Complex(nil) || !Complex((*mat.CDense)(nil)) || Complex(&mat.CDense{}) {
		t.Error("complex matrices")
	}
}

func TestFirst(t *testing.T) {
	one := mat.NewSymDense(1, nil)
	var none *mat.SymDense
	for want, ms := range map[int][]mat.Symmetric{0: {nil, one}, 1: {one, none, nil}, -1: {one, one}} {
		if got := First(ms); got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
}
