//go:build cuda && cgo && linux

package devicetest

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/roots"
)

// covariance returns the covariance of seeded normal samples.
func covariance(n int) *mat.SymDense {
	a := mat.NewSymDense(n, nil)
	r := rand.New(rand.NewPCG(4, 4))
	b := mat.NewDense(n, 2*n, nil)
	for i := range n {
		for j := range 2 * n {
			b.Set(i, j, r.NormFloat64())
		}
	}
	a.SymOuterK(1.0/float64(n), b)
	return a
}

// TestRoots: functions on the device satisfy their equation as those of the processor do, in both precisions.
func TestRoots(t *testing.T) {
	needDevice(t)
	for _, c := range []struct {
		method, ran string
		q           roots.Query
	}{
		{"auto", "", roots.Query{Power: -0.5}}, {"newton-schulz", "", roots.Query{Power: 0.5}}, {"newton", "", roots.Query{Power: -1.0 / 3}},
		{"order3", "", roots.Query{Power: -0.25}}, {"polar-express", "", roots.Query{Power: 0.25}}, {"newton", "", roots.Query{Power: -1}},
		{"auto", "jacobi", roots.Query{Power: math.Pi}}, {"jacobi", "", roots.Query{Power: -0.37}}, {"auto", "jacobi", roots.Query{Kind: roots.KindLog}},
		{"series", "", roots.Query{Kind: roots.KindLog}}, {"auto", "series", roots.Query{Kind: roots.KindExp}}, {"jacobi", "", roots.Query{Kind: roots.KindExp}},
		{"jacobi", "", roots.Query{Kind: roots.KindInv}},
	} {
		n := 40
		if c.q.Power == math.Pi {
			n = 70 // in blocks
		}
		a, single := covariance(n), make([]float32, n*n)
		for i := range n {
			for j := range n {
				single[i*n+j] = float32(a.At(i, j))
			}
		}
		var got, want mat.SymDense
		rep, err := roots.Compute(&got, a, c.q, &roots.Options{Method: c.method, Device: "cuda"})
		if err != nil {
			t.Fatalf("%s, %v: %v", c.method, c.q, err)
		}
		if c.ran != "" && rep.Method != c.ran {
			t.Errorf("%v: auto took %s", c.q, rep.Method)
		}
		if _, err := roots.Compute(&want, a, c.q, nil); err != nil {
			t.Fatal(err)
		}
		got32 := make([]float32, n*n)
		if _, err := roots.Compute32(got32, single, n, c.q, &roots.Options{Method: c.method, Device: "cuda"}); err != nil {
			t.Fatalf("%s, %v: %v", c.method, c.q, err)
		}
		size, off, off32 := 0.0, 0.0, 0.0
		for i := range n {
			for j := range n {
				size += want.At(i, j) * want.At(i, j)
				off += math.Pow(got.At(i, j)-want.At(i, j), 2)
				off32 += math.Pow(float64(got32[i*n+j])-want.At(i, j), 2)
			}
		}
		if e := math.Sqrt(off / size); !(e <= rep.Bound+1e-12) || !(rep.Residual < 1e-10) {
			t.Errorf("%s, %v: error %v, bound %v, residual %v", c.method, c.q, e, rep.Bound, rep.Residual)
		}
		if e := math.Sqrt(off32 / size); !(e <= 1e-3) {
			t.Errorf("%s, %v, float32: error %v", c.method, c.q, e)
		}
	}
}

// TestRootsRefused: what a device cannot do is named, and what no device can do is what it is on the processor.
func TestRootsRefused(t *testing.T) {
	needDevice(t)
	a := covariance(5)
	var method *roots.MethodError
	for _, name := range []string{"eigen", "newton-schulz", "series"} {
		if _, err := roots.Compute(mat.NewSymDense(5, nil), a, roots.Query{Power: math.Pi}, &roots.Options{Device: "cuda", Method: name}); !errors.As(err, &method) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var failed *engine.DeviceError
	if _, err := roots.Compute(mat.NewSymDense(5, nil), a, roots.Query{Kind: roots.KindSqrt}, &roots.Options{Device: "cuda:5"}); !errors.As(err, &failed) {
		t.Errorf("cuda:5: %v", err)
	}
	low := mat.NewSymDense(3, []float64{1, 1, 0, 1, 1, 0, 0, 0, 2})
	var definite *roots.NotPositiveDefiniteError
	if _, err := roots.Compute(mat.NewSymDense(3, nil), low, roots.Query{Kind: roots.KindLog}, &roots.Options{Device: "cuda"}); !errors.As(err, &definite) {
		t.Errorf("the logarithm of a singular matrix: %v", err)
	}
	var root, inverse mat.SymDense
	if _, err := roots.Compute(&root, low, roots.Query{Kind: roots.KindSqrt}, &roots.Options{Device: "cuda"}); err != nil || !(math.Abs(root.At(0, 1)-math.Sqrt(0.5)) < 1e-14) {
		t.Errorf("the root of a semi-definite matrix: %v, %v", mat.Formatted(&root), err)
	}
	rep, err := roots.Compute(&inverse, low, roots.Query{Kind: roots.KindInv}, &roots.Options{Device: "cuda", Cutoff: 1e-10})
	if err != nil || rep.Rank != 2 || !(math.Abs(inverse.At(0, 1)-0.25) < 1e-14) {
		t.Errorf("the pseudo-inverse: %v, %v", mat.Formatted(&inverse), err)
	}
}

// TestPolar: the polar factors of square and tall matrices are those of the processor, by both methods.
func TestPolar(t *testing.T) {
	needDevice(t)
	r := rand.New(rand.NewPCG(6, 6))
	for _, shape := range [][2]int{{1, 1}, {20, 20}, {60, 35}} {
		a := mat.NewDense(shape[0], shape[1], nil)
		a.Apply(func(int, int, float64) float64 { return r.NormFloat64() }, a)
		for _, method := range []string{"", "newton-schulz"} {
			var u, wantU mat.Dense
			var h, wantH mat.SymDense
			rep, err := roots.Polar(&u, &h, a, &roots.Options{Method: method, Device: "cuda"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := roots.Polar(&wantU, &wantH, a, nil); err != nil {
				t.Fatal(err)
			}
			if tol := 1e-12 + rep.Bound; !mat.EqualApprox(&u, &wantU, tol) || !mat.EqualApprox(&h, &wantH, 100*tol) || !(rep.Residual < 1e-12) {
				t.Errorf("%v, %s: residual %v, bound %v", shape, method, rep.Residual, rep.Bound)
			}
		}
	}
	var definite *roots.NotPositiveDefiniteError
	if _, err := roots.Polar(nil, nil, mat.NewDense(3, 2, nil), &roots.Options{Device: "cuda"}); !errors.As(err, &definite) {
		t.Errorf("zero: %v", err)
	}
}
