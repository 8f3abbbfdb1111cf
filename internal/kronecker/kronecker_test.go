package kronecker

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
)

func random[T dense.Float](seed uint64, rows, cols int) dense.Matrix[T] {
	r := rand.New(rand.NewPCG(seed, 5))
	m := dense.New[T](rows, cols)
	for i := range m.Data {
		m.Data[i] = T(r.NormFloat64())
	}
	return m
}

// semidefinite returns X^T X/rows.
func semidefinite(seed uint64, n, rows int) dense.Matrix[float64] {
	x, m := random[float64](seed, rows, n), dense.New[float64](n, n)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1/float64(rows), x, x, 0, m)
	return m
}

// TestOuter compares sums over uneven batches, with and without an appended number, with columns of zeros and of few other numbers, with sums over elements.
func TestOuter(t *testing.T) {
	t.Run("float64", func(t *testing.T) { outer[float64](t, 1e-12) })
	t.Run("float32", func(t *testing.T) { outer[float32](t, 1e-3) })
}

// sparsity says which elements are zero, for matrices of 270 columns.
var sparsity = map[string]func(i, j int) bool{
	"none":        func(int, int) bool { return false },
	"one":         func(_, j int) bool { return j == 7 },
	"many":        func(_, j int) bool { return j < 29 || j > 45 && j < 90 || j == 269 },
	"all but one": func(_, j int) bool { return j != 12 },
	"all":         func(int, int) bool { return true },
	"scattered":   func(i, j int) bool { return j%3 != 0 && (7*i+j)%41 != 0 },
	"rare":        func(i, j int) bool { return (7*i+j)%41 != 0 },
	"half":        func(i, j int) bool { return (i+j)%2 != 0 },
	"unsampled":   func(i, j int) bool { return j < 140 && i%2 == 0 }, // what the sample of even rows does not show
}

func outer[T dense.Float](t *testing.T, tol float64) {
	const cols = 270
	var o Outer[T]
	for name, zero := range sparsity {
		for _, one := range []float64{0, 3} { // the last batch has another number
			size := cols
			if one != 0 {
				size++
			}
			got, want := dense.New[float64](size, size), dense.New[float64](size, size)
			for k, rows := range []int{3, 300, 1024, 30} {
				x := random[T](uint64(k), rows, cols)
				for i := range rows {
					for j, v := range x.Row(i) {
						if zero(i, j) {
							v = 0
						}
						x.Set(i, j, v)
					}
				}
				if one != 0 && k == 3 {
					one++
				}
				o.Add(x, one, got)
				for i := range rows {
					addOuter(x.Row(i), one, want)
				}
			}
			o.Flush(got)
			o.Flush(got) // nothing is left
			for p := range size {
				for q := p; q < size; q++ {
					if d := math.Abs(got.At(p, q) - want.At(p, q)); !(d <= tol*(1+math.Abs(want.At(p, q)))) {
						t.Fatalf("%s, %g: (%d, %d) is %g, want %g", name, one, p, q, got.At(p, q), want.At(p, q))
					}
				}
			}
		}
	}
}

// addOuter adds x1 x1^T to the upper triangle of sum.
func addOuter[T dense.Float](x []T, one float64, sum dense.Matrix[float64]) {
	x1 := make([]float64, sum.Rows)
	x1[sum.Rows-1] = one
	for j, v := range x {
		x1[j] = float64(v)
	}
	for p, v := range x1 {
		dense.Axpy(v, x1[p:], sum.Row(p)[p:])
	}
}

func TestOuterAllocatesNothing(t *testing.T) {
	var o Outer[float32]
	x, sum := random[float32](1, 300, 280), dense.New[float64](281, 281)
	for i := range x.Rows {
		clear(x.Row(i)[i%20:][:260])
	}
	run := func() { o.Add(x, 1, sum); o.Add(x, 1, sum); o.Flush(sum) }
	run()
	if n := allocs.PerRun(10, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCollapseAndGroups(t *testing.T) {
	x := dense.Wrap(4, 2, []float64{1, 2, 3, 4, 5, 6, 7, 8})
	sums, means := dense.New[float64](2, 2), dense.New[float64](4, 1)
	Collapse(x, 2, sums)
	AverageGroups(x, means)
	if fmt.Sprint(sums.Data, means.Data) != "[4 6 12 14] [1.5 3.5 5.5 7.5]" {
		t.Errorf("%v %v", sums.Data, means.Data)
	}
}

// TestSplit: the dampings of the factors multiply to that of the product and have the ratio of the mean eigenvalues; a factor of size 1 gets none, so that
// the whole is exact.
func TestSplit(t *testing.T) {
	b, a := semidefinite(1, 4, 9), semidefinite(2, 6, 9)
	onB, onA := Split(Pi, b, a, 0.3)
	if math.Abs(onB*onA-0.3) > 1e-15 || math.Abs(onB/onA-MeanTrace(b)/MeanTrace(a)) > 1e-12 {
		t.Errorf("%g, %g", onB, onA)
	}
	if onB, onA = Split(Plain, b, a, 0.3); onB != 0.3 || onA != 0.3 {
		t.Errorf("plain: %g, %g", onB, onA)
	}
	one := dense.Wrap(1, 1, []float64{5})
	if onB, onA = Split(Pi, b, one, 0.3); onB != 0.3/5 || onA != 0 {
		t.Errorf("scalar A: %g, %g", onB, onA)
	}
	if onB, onA = Split(Plain, one, a, 0.3); onA != 0.3/5 || onB != 0 {
		t.Errorf("scalar B: %g, %g", onB, onA)
	}
	zero := dense.New[float64](4, 4)
	if onB, onA = Split(Pi, zero, a, 0.25); onB != 0.5 || onA != 0.5 {
		t.Errorf("zero factor: %g, %g", onB, onA)
	}
}

// TestInverse multiplies the inverse of every kind with the matrix that it inverts.
func TestInverse(t *testing.T) {
	b, a := semidefinite(1, 4, 9), semidefinite(2, 6, 9)
	for _, kind := range []Kind{Exact, Plain, Pi} {
		inv := NewInverse(4, 6)
		const d = 0.2
		if err := inv.Set(kind, b, a, d); err != nil {
			t.Fatal(err)
		}
		x := random[float64](3, 4, 6)
		y, w := x.Clone(), dense.New[float64](4, 6)
		if kind == Exact {
			apply(b, a, x, y, w)
			dense.Axpy(d, x.Data, y.Data)
		} else {
			onB, onA := Split(kind, b, a, d)
			apply(shifted(b, onB), shifted(a, onA), x, y, w)
		}
		inv.Apply(y)
		for i, v := range x.Data {
			if math.Abs(y.Data[i]-v) > 1e-12 {
				t.Fatalf("%s: element %d is %g, want %g", kind, i, y.Data[i], v)
			}
		}
		if n := allocs.PerRun(5, func() { inv.Apply(y) }); n != 0 {
			t.Errorf("%s: %v allocations", kind, n)
		}
	}
}

func apply(b, a, x, y, w dense.Matrix[float64]) {
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, b, x, 0, w)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, w, a, 0, y)
}

func shifted(m dense.Matrix[float64], d float64) dense.Matrix[float64] {
	m = m.Clone()
	for i := range m.Rows {
		m.Data[i*m.Stride+i] += d
	}
	return m
}

func TestInvert(t *testing.T) {
	m := semidefinite(4, 7, 3)
	inv, w, p := m.Clone(), dense.New[float64](7, 7), dense.New[float64](7, 7)
	if err := Invert(inv, 0.1, "A", w); err != nil {
		t.Fatal(err)
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, shifted(m, 0.1), inv, 0, p)
	for i := range 7 {
		for j := range 7 {
			want := 0.0
			if i == j {
				want = 1
			}
			if math.Abs(p.At(i, j)-want) > 1e-12 {
				t.Fatalf("(%d, %d) is %g", i, j, p.At(i, j))
			}
		}
	}
}

// TestSingular: damping 0 on factors without full rank is an error of every kind, as are factors that are not finite.
func TestSingular(t *testing.T) {
	full, low := semidefinite(1, 4, 9), semidefinite(2, 6, 3)
	bad := full.Clone()
	bad.Data[0] = math.NaN()
	for _, kind := range []Kind{Exact, Plain, Pi} {
		inv := NewInverse(4, 6)
		var e *SingularError
		if err := inv.Set(kind, full, low, 0); !errors.As(err, &e) {
			t.Errorf("%s: %v", kind, err)
		}
		if err := inv.Set(kind, bad, low, 1); !errors.As(err, &e) {
			t.Errorf("%s, NaN: %v", kind, err)
		}
		if err := inv.Set(kind, full, low, 1e-3); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if err := Invert(low.Clone(), 0, "A", dense.New[float64](6, 6)); err == nil {
		t.Error("a singular matrix has an inverse")
	}
}
