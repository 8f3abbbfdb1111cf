package matfun

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/gallery"
)

// oracle returns f(a) from the decomposition.
func oracle(a dense.Matrix[float64], f func(float64) float64) dense.Matrix[float64] {
	q, w := a.Clone(), make([]float64, a.Rows)
	if !eigen.Sym(q, w) {
		panic("no decomposition")
	}
	z, y := q.Clone(), dense.New[float64](a.Rows, a.Rows)
	for i := range z.Rows {
		for j := range w {
			z.Set(i, j, z.At(i, j)*f(w[j]))
		}
	}
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, z, q, 0, y)
	return y
}

// spectra are those of the matrices of a batch: far apart, so that one matrix of a batch is done long before another.
var spectra = [][]float64{{1, 1, 1, 1, 1}, {0.01, 0.3, 2, 50, 1000}, {0.9, 0.95, 1, 1.05, 1.1}}

func batch[T dense.Float](w *Work[T], sign float64) (engine.Batch[T], []dense.Matrix[float64]) {
	b := w.Take()
	var all []dense.Matrix[float64]
	for k, s := range spectra {
		l := append([]float64(nil), s...)
		l[1] *= sign
		m := gallery.Compose(gallery.Orthogonal(uint64(k+1), 5), l)
		all = append(all, m)
		for i, v := range m.Data {
			b.At(k).Data[i] = T(v)
		}
	}
	return b, all
}

func check[T dense.Float](t *testing.T, what string, got engine.Batch[T], all []dense.Matrix[float64], f func(float64) float64, tol float64) {
	t.Helper()
	for k := range all {
		want := oracle(all[k], f)
		var off, size float64
		for i, v := range want.Data {
			off = math.Hypot(off, float64(got.At(k).Data[i])-v)
			size = math.Hypot(size, v)
		}
		if !(off <= tol*(1+size)) {
			t.Errorf("%T, %s of matrix %d: error %.3g, size %.3g", got.Data[0], what, k, off, size)
		}
	}
}

// TestFunctions holds every function to the decomposition, in both precisions.
func TestFunctions(t *testing.T) {
	functions[float64](t, 1e-10) // of a condition number of 1e5
	functions[float32](t, 2e-2)
}

func functions[T dense.Float](t *testing.T, tol float64) {
	w := New(engine.CPU[T](), nil, len(spectra), 5)
	a, all := batch(w, 1)
	y, z := w.Take(), w.Take()
	for _, c := range []struct {
		what string
		call func() error
		y, z func(float64) float64
	}{
		{"sqrt", func() error { return w.Sqrt(a, y, z) }, math.Sqrt, func(l float64) float64 { return 1 / math.Sqrt(l) }},
		{"log", func() error { return w.Log(a, y) }, math.Log, nil},
		{"abs", func() error { return w.Abs(a, y) }, math.Abs, nil},
	} {
		if err := c.call(); err != nil {
			t.Fatal(c.what, err)
		}
		check(t, c.what, y, all, c.y, tol)
		if c.z != nil {
			check(t, c.what+" inverse", z, all, c.z, tol)
		}
	}
	b, indefinite := batch(w, -1)
	if err := w.Abs(b, y); err != nil {
		t.Fatal(err)
	}
	check(t, "abs", y, indefinite, math.Abs, 1e-2*tol)
	w.Scaled([]float64{1, 1e-2, -3}, b, b)
	if err := w.Exp(b, y, z); err != nil {
		t.Fatal(err)
	}
	for k, c := range []float64{1, 1e-2, -3} {
		for i := range indefinite[k].Data {
			indefinite[k].Data[i] *= c
		}
	}
	check(t, "exp", y, indefinite, math.Exp, tol)
	check(t, "exp of the negative", z, indefinite, func(l float64) float64 { return math.Exp(-l) }, tol)
}

// TestNotPositive: what has no root is an error that names the matrix, and so are numbers that are not finite.
func TestNotPositive(t *testing.T) {
	w := New(engine.CPU[float64](), nil, len(spectra), 5)
	y, z := w.Take(), w.Take()
	for bad := range spectra {
		mixed, _ := batch(w, 1)
		indefinite, _ := batch(w, -1)
		copy(mixed.At(bad).Data, indefinite.At(bad).Data)
		for _, err := range []error{w.Sqrt(mixed, y, z), w.Log(mixed, y)} {
			var e *Error
			if !errors.As(err, &e) || e.Matrix != bad || !strings.Contains(e.Error(), "not positive definite") {
				t.Errorf("matrix %d is indefinite: %v", bad, err)
			}
		}
		w.Give(mixed, indefinite)
	}
}

func TestNotFinite(t *testing.T) {
	w := New(engine.CPU[float64](), nil, len(spectra), 5)
	y, z := w.Take(), w.Take()
	for _, v := range []float64{math.NaN(), math.Inf(1)} {
		for bad := range spectra {
			b, _ := batch(w, 1)
			b.At(bad).Data[0] = v
			for _, err := range []error{w.Abs(b, y), w.Exp(b, y, z), w.Sqrt(b, y, z), w.Log(b, y)} {
				var e *Error
				if !errors.As(err, &e) || e.Matrix != bad {
					t.Errorf("%v in matrix %d: %v", v, bad, err)
				}
			}
			w.Give(b)
		}
	}
}

func TestTooLargeForExp(t *testing.T) {
	w := New(engine.CPU[float64](), nil, len(spectra), 5)
	b, _ := batch(w, 1)
	w.Scaled([]float64{1, 1e3, 1}, b, b)
	err := w.Exp(b, w.Take(), w.Take())
	var e *Error
	if !errors.As(err, &e) || e.Matrix != 1 || !strings.Contains(e.Error(), "norm") {
		t.Error(err)
	}
}

// TestLogTrace: the errors of single precision in the diagonal of a logarithm are of one sign, and must not add up to more than 2e-5 of the log-determinant.
func TestLogTrace(t *testing.T) {
	const n = 128
	spectrum, want := make([]float64, n), 0.0
	for i := range spectrum {
		spectrum[i] = 0.3 + 2.2*float64(i)/n
		want += math.Log(spectrum[i])
	}
	w := New(engine.CPU[float32](), nil, 1, n)
	a, l := w.Take(), w.Take()
	for i, v := range gallery.Compose(gallery.Orthogonal(3, n), spectrum).Data {
		a.Data[i] = float32(v)
	}
	if err := w.Log(a, l); err != nil {
		t.Fatal(err)
	}
	got := 0.0
	for i := range n {
		got += float64(l.Data[i*n+i])
	}
	if off := math.Abs(got - want); !(off <= 2e-5*want) {
		t.Errorf("log det is %v, off by %.2g", want, off)
	}
}

// TestLargeRoots: roots of matrices whose norms are bounded by powers of them, which would overflow and underflow as they stand.
func TestLargeRoots(t *testing.T) {
	const n = 70
	scales := []float64{1e-120, 1, 1e120}
	w := New(engine.CPU[float64](), nil, len(scales), n)
	a, y, z, square := w.Take(), w.Take(), w.Take(), w.Take()
	for k, scale := range scales {
		spectrum := make([]float64, n)
		for i := range spectrum {
			spectrum[i] = scale * math.Pow(10, -4*float64(i)/n)
		}
		copy(a.At(k).Data, gallery.Compose(gallery.Orthogonal(uint64(k+1), n), spectrum).Data)
	}
	if err := w.Sqrt(a, y, z); err != nil {
		t.Fatal(err)
	}
	w.Product(y, y, square)
	for k, scale := range scales {
		for i, v := range a.At(k).Data {
			if off := math.Abs(square.At(k).Data[i] - v); !(off <= 1e-12*scale) {
				t.Fatalf("scale %g: the square of the root is off by %.2g", scale, off)
			}
		}
	}
}
