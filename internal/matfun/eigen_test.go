package matfun

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/gallery"
)

// hard are spectra of n eigenvalues of which each breaks some method: clusters, semi-definite, graded, all equal, all zero, tiny and huge ones.
func hard(n int) map[string][]float64 {
	all := map[string][]float64{}
	for name, f := range map[string]func(i int) float64{
		"both signs": func(i int) float64 { return float64(i - n/3) },
		"clusters":   func(i int) float64 { return float64(3*i/n) + 1e-9*float64(i) },
		"low rank":   func(i int) float64 { return max(0, float64(i+1-n+(n+3)/4)) },
		"graded":     func(i int) float64 { return math.Pow(1e-12, 1-float64(i+1)/float64(n)) },
		"equal":      func(int) float64 { return 2 },
		"zero":       func(int) float64 { return 0 },
		"tiny":       func(i int) float64 { return 1e-30 * float64(i+1) },
		"huge":       func(i int) float64 { return 1e30 * float64(i+1) },
	} {
		for i := range n {
			all[name] = append(all[name], f(i))
		}
	}
	return all
}

// symmetric is a batch with gaps between rows and matrices.
func symmetric[T dense.Float](n int, all []dense.Matrix[float64]) engine.Batch[T] {
	b := engine.Batch[T]{Count: len(all), Rows: n, Cols: n, Stride: n + 1, Step: n*(n+1) + 3}
	b.Data = make([]T, b.Count*b.Step)
	for k, m := range all {
		for i := range n {
			for j, v := range m.Row(i) {
				b.Data[k*b.Step+i*b.Stride+j] = T(v)
			}
		}
	}
	return b
}

// decomposed checks a decomposition against its definition and the eigenvalues, in units of what rounding allows: ||A Q - Q D|| <= 16 n eps ||A||,
// ||Q'Q - I|| <= 16 sqrt(n) eps, ascending eigenvalues within (2 n + 8) eps ||A|| of those of the matrix as it is stored.
func decomposed[T dense.Float](t *testing.T, what string, a, q engine.Batch[T], d []T) {
	t.Helper()
	n := a.Rows
	for k := range a.Count {
		m, v := dense.New[float64](n, n), dense.New[float64](n, n)
		for i := range n {
			for j := range n {
				m.Set(i, j, float64(a.At(k).At(i, j)))
				v.Set(i, j, float64(q.At(k).At(i, j)))
			}
		}
		w, oracle := make([]float64, n), m.Clone()
		if !eigen.Sym(oracle, w) {
			t.Fatal("no decomposition")
		}
		norm := max(-w[0], w[n-1])
		r, g := dense.New[float64](n, n), dense.New[float64](n, n)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, m, v, 0, r)
		dense.Gemm(dense.Transposed, dense.NoTrans, 1, v, v, 0, g)
		var residual, defect float64
		for i := range n {
			for j := range n {
				residual = math.Hypot(residual, r.At(i, j)-v.At(i, j)*float64(d[k*n+j]))
			}
			g.Set(i, i, g.At(i, i)-1)
			defect = math.Hypot(defect, math.Sqrt(dense.Dot(g.Row(i), g.Row(i))))
		}
		eps := Eps[T]()
		if limit := 16 * float64(n) * eps * norm; !(residual <= limit) {
			t.Errorf("%s: residual %.3g, allowed are %.3g", what, residual, limit)
		}
		if limit := 16 * math.Sqrt(float64(n)) * eps; !(defect <= limit) {
			t.Errorf("%s: defect %.3g, allowed are %.3g", what, defect, limit)
		}
		for i, l := range w {
			if i > 0 && d[k*n+i] < d[k*n+i-1] || !(math.Abs(float64(d[k*n+i])-l) <= float64(2*n+8)*eps*norm) {
				t.Errorf("%s: eigenvalue %d is %v, want %v", what, i, d[k*n+i], l)
				break
			}
		}
	}
}

// TestEigen: sizes around those of the blocks, in both precisions, all spectra of a size at once: matrices of a batch do not see each other.
func TestEigen(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 24, 47, 48, 49, 72, 97, 130} {
		var all []dense.Matrix[float64]
		spectra := hard(n)
		for _, name := range slices.Sorted(maps.Keys(spectra)) {
			all = append(all, gallery.Compose(gallery.Orthogonal(uint64(len(name)), n), spectra[name]))
		}
		decompose[float64](t, n, all)
		decompose[float32](t, n, all)
	}
}

func decompose[T dense.Float](t *testing.T, n int, all []dense.Matrix[float64]) {
	t.Helper()
	a := symmetric[T](n, all)
	q := symmetric[T](n, all)
	d := make([]T, a.Count*n)
	s := NewEigen(engine.CPU[T](), nil, a.Count, n)
	sweeps, err := s.Solve(a, q, d, false)
	if err != nil {
		t.Fatalf("%T, n = %d: %v", d[0], n, err)
	}
	decomposed(t, fmt.Sprintf("%T, n = %d, %d sweeps", d[0], n, sweeps), a, q, d)
	// From the basis of a neighbour, and from one that is none.
	for i := range a.Data {
		q.Data[i] += T(1e-4) * q.Data[(i+7)%len(q.Data)]
	}
	warm, err := s.Solve(a, q, d, true)
	if err != nil {
		t.Fatal(err)
	}
	decomposed(t, fmt.Sprintf("%T, n = %d, warm, %d sweeps", d[0], n, warm), a, q, d)
	if warm > sweeps+2 {
		t.Errorf("%T, n = %d: %d sweeps from a near basis, %d from none", d[0], n, warm, sweeps)
	}
	q.Data[0] = T(math.NaN())
	if _, err := s.Solve(a, q, d, true); err != nil {
		t.Fatal(err)
	}
	decomposed(t, fmt.Sprintf("%T, n = %d, from NaN", d[0], n), a, q, d)
}

// TestEigenWarm: from a basis at a small distance few sweeps are left.
func TestEigenWarm(t *testing.T) {
	const n = 150
	w := make([]float64, n)
	for i := range w {
		w[i] = math.Pow(0.9, float64(n-i))
	}
	a, b := gallery.Compose(gallery.Orthogonal(1, n), w), gallery.Compose(gallery.Orthogonal(2, n), w)
	q, d := symmetric[float64](n, []dense.Matrix[float64]{a}), make([]float64, n)
	s := NewEigen(engine.CPU[float64](), nil, 1, n)
	cold, err := s.Solve(symmetric[float64](n, []dense.Matrix[float64]{a}), q, d, false)
	if err != nil {
		t.Fatal(err)
	}
	for i := range a.Data {
		a.Data[i] += 1e-6 * b.Data[i]
	}
	near := symmetric[float64](n, []dense.Matrix[float64]{a})
	warm, err := s.Solve(near, q, d, true)
	if err != nil || warm > 4 || cold > 12 {
		t.Errorf("%d sweeps, then %d, %v", cold, warm, err)
	}
	decomposed(t, "warm", near, q, d)
}

// TestEigenNotFinite: numbers that are none are an error that names the matrix.
func TestEigenNotFinite(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		m := gallery.SPD(1, 5, 10)
		broken := m.Clone()
		broken.Set(2, 2, bad)
		a := symmetric[float64](5, []dense.Matrix[float64]{m, broken})
		_, err := NewEigen(engine.CPU[float64](), nil, 2, 5).Solve(a, symmetric[float64](5, []dense.Matrix[float64]{m, m}), make([]float64, 10), false)
		var e *DecompositionError
		if !errors.As(err, &e) || e.Matrix != 1 {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
