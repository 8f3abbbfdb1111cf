package dense

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestSymmetricProduct(t *testing.T) {
	const n = 5
	r := rand.New(rand.NewPCG(43, 1))
	a, b, dst, work := New[float64](n, n), New[float64](n, n), New[float64](n, n), New[float64](n, n)
	for _, m := range []Matrix[float64]{a, b} {
		for i := range m.Data {
			m.Data[i] = r.NormFloat64()
		}
		Mirror(m)
	}
	SymmetricProduct(dst, a, b, work)
	for i := range n {
		for j := range n {
			if want := (Dot(a.Row(i), b.Row(j)) + Dot(b.Row(i), a.Row(j))) / 2; math.Abs(dst.At(i, j)-want) > 1e-14 || dst.At(i, j) != dst.At(j, i) {
				t.Errorf("element %d, %d is %g, want %g", i, j, dst.At(i, j), want)
			}
		}
	}
}

func TestDiagonals(t *testing.T) {
	l := Wrap(2, 2, []float64{2, 0, 7, 3})
	if got, want := LogDetSquare(l), math.Log(36); math.Abs(got-want) > 1e-15 {
		t.Errorf("log det %g, want %g", got, want)
	}
	m := Matrix[float64]{Rows: 2, Cols: 2, Stride: 3, Data: []float64{1, 1, 1, 1, 1}}
	m.AddDiagonal(2)
	if want := []float64{3, 1, 1, 1, 3}; Sum(m.Data) != Sum(want) || m.At(0, 0) != 3 || m.At(1, 1) != 3 {
		t.Errorf("%v, want %v", m.Data, want)
	}
}
