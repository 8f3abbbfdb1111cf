package manifold_test

import (
	"fmt"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
)

// tr X along geodesics through the identity is tr exp(tV): its gradient there is I and its Hessian the identity map.
func ExampleCheckHessian() {
	m := must(manifold.NewAffine(2, manifold.AffineOptions{}))
	p := manifold.IdentityFrame(2, 1)
	trace := func(q manifold.Point) (float64, error) { return mat.Trace(q.(*manifold.Frame).Sym()), nil }
	hessian := func(scale float64) func(dst, v []float64) error {
		return func(dst, v []float64) error {
			for i := range v {
				dst[i] = scale * v[i]
			}
			return nil
		}
	}
	rng := rand.New(rand.NewChaCha8([32]byte{1}))
	gradient := []float64{1, 0, 0, 1}
	right := must(manifold.CheckHessian(m, p, trace, gradient, hessian(1), rng))
	wrong := must(manifold.CheckHessian(m, p, trace, gradient, hessian(2), rng))
	fmt.Println(right.OK, wrong.OK)
	// Output: true false
}

// The transport that comes with a retraction agrees with parallel transport to first order.
func ExampleCheckTransport() {
	m := must(manifold.NewAffine(2, manifold.AffineOptions{}))
	r := must(manifold.CheckTransport(m, must(manifold.NewFrame(a)), rand.New(rand.NewChaCha8([32]byte{1}))))
	fmt.Println(r.OK)
	// Output: true
}

// A matrix with its digits kept: S is given by the Cholesky factor of its inverse.
func ExampleFrameOfInverse() {
	f := must(manifold.FrameOfInverse(mat.NewDense(2, 2, []float64{1e6, 0, 1, 1})))
	fmt.Printf("%.3g\n", mat.Formatted(manifold.DenseOf(f.Sym())))
	// Output:
	// ⎡ 1e-12  -1e-12⎤
	// ⎣-1e-12       1⎦
}

// s = L'L: the frame of the inverse has F^-1 = L.
func ExampleNewInverseFrame() {
	f := must(manifold.NewInverseFrame(mat.NewSymDense(2, []float64{5, 2, 2, 1})))
	fmt.Printf("%.3g\n", mat.Formatted(f.Inverse()))
	fmt.Printf("%.3g\n", mat.Formatted(f.Sym()))
	// Output:
	// ⎡1  0⎤
	// ⎣2  1⎦
	// ⎡ 1  -2⎤
	// ⎣-2   5⎦
}

func ExampleFrameOf() {
	f := must(manifold.FrameOf(mat.NewDense(2, 2, []float64{1e6, -1, 1e6, 1})))
	fmt.Printf("%.3g\n", mat.Formatted(f.Inverse()))
	fmt.Printf("log det S = %.4f\n", f.LogDet())
	// Output:
	// ⎡5e-07  5e-07⎤
	// ⎣ -0.5    0.5⎦
	// log det S = 29.0173
}

func ExampleNewFrameIn() {
	memory := make([]float64, 2*2*2)
	for _, scale := range []float64{1, 4} {
		var s mat.SymDense
		s.ScaleSym(scale, a)
		f := must(manifold.NewFrameIn(memory, &s)) // the frame before is of no use any more
		fmt.Printf("%.4f\n", f.F().At(0, 0))
	}
	// Output:
	// 1.4142
	// 2.8284
}

func ExampleNewCholeskyPoint() {
	p := must(manifold.NewCholeskyPoint(a))
	fmt.Printf("%.4f\n", mat.Formatted(p.L()))
	fmt.Println(manifold.CheckSPD(mat.NewSymDense(2, []float64{1, 2, 2, 1})))
	// Output:
	// ⎡1.4142  0.0000⎤
	// ⎣0.7071  1.2247⎦
	// not positive definite: smallest eigenvalue -1 (largest 3)
}
