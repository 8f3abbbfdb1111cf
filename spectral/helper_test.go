package spectral

import (
	"iter"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// newRand returns the test's own generator and prints its seed if the test fails.
func newRand(t testing.TB, seed uint64) *rand.Rand {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	return rand.New(rand.NewChaCha8(key))
}

func randDense(r *rand.Rand, m, n int) *mat.Dense {
	d := mat.NewDense(m, n, nil)
	for i := range m {
		for j := range n {
			d.Set(i, j, r.NormFloat64())
		}
	}
	return d
}

func randSym(r *rand.Rand, n int) *mat.SymDense {
	s := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			s.SetSym(i, j, r.NormFloat64())
		}
	}
	return s
}

func randOrthogonal(r *rand.Rand, n int) *mat.Dense {
	var qr mat.QR
	qr.Factorize(randDense(r, n, n))
	var q mat.Dense
	qr.QTo(&q)
	return &q
}

// randFactor has eigenvalues spread geometrically over [1, cond] in random order, with a little jitter.
func randFactor(t testing.TB, r *rand.Rand, n int, cond float64) *Factor {
	t.Helper()
	d := make([]float64, n)
	for i, p := range r.Perm(n) {
		e := 0.0
		if n > 1 {
			e = float64(p) / float64(n-1)
		}
		d[i] = math.Pow(cond, e) * (1 + 0.01*r.Float64())
	}
	f, err := FromEigen(randOrthogonal(r, n), d)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func formed(f *Factor) *mat.SymDense {
	var s mat.SymDense
	f.ToSym(&s)
	return &s
}

func relDiff(a, b mat.Matrix) float64 {
	var d mat.Dense
	d.Sub(a, b)
	return mat.Norm(&d, 2) / mat.Norm(b, 2)
}

// spd returns a random SPD matrix as V V^T/k, k = n + 2.
func spd(r *rand.Rand, n int) *mat.SymDense {
	v := randDense(r, n, n+2)
	s := mat.NewSymDense(n, nil)
	s.SymOuterK(1/float64(n+2), v)
	return s
}

// ordered iterates in the order of the names, so that a test draws the same numbers every time.
func ordered(m map[string]Step) iter.Seq2[string, Step] {
	return func(yield func(string, Step) bool) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if !yield(name, m[name]) {
				return
			}
		}
	}
}
