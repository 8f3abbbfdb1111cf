package manifold_test

import (
	"fmt"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/spectral"
)

var (
	a = mat.NewSymDense(2, []float64{2, 1, 1, 2})
	b = mat.NewSymDense(2, []float64{4, 0, 0, 1})
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ExampleDistance() {
	fmt.Printf("%.6f\n", must(manifold.Distance(a, b)))
	// Output: 1.302848
}

func ExampleGeodesic() {
	g := must(manifold.Geodesic(a, b, 0.5))
	fmt.Printf("%.4f\n", mat.Formatted(g))
	fmt.Printf("%.6f %.6f\n", must(manifold.Distance(a, g)), must(manifold.Distance(g, b)))
	// Output:
	// ⎡2.6561  0.4861⎤
	// ⎣0.4861  1.3932⎦
	// 0.651424 0.651424
}

func ExampleExp() {
	xi := must(manifold.Log(a, b))
	fmt.Printf("%.4f\n", mat.Formatted(must(manifold.Exp(a, xi))))
	// Output:
	// ⎡4.0000  0.0000⎤
	// ⎣0.0000  1.0000⎦
}

func ExampleLog() {
	xi := must(manifold.Log(mat.NewSymDense(2, []float64{1, 0, 0, 1}), b))
	fmt.Printf("%.4f\n", mat.Formatted(xi))
	// Output:
	// ⎡1.3863  0.0000⎤
	// ⎣0.0000  0.0000⎦
}

func ExampleTransport() {
	xi := mat.NewSymDense(2, []float64{1, 0, 0, 0})
	fmt.Printf("%.4f\n", mat.Formatted(must(manifold.Transport(a, b, xi))))
	// Output:
	// ⎡ 2.5879  -0.2257⎤
	// ⎣-0.2257   0.0197⎦
}

func ExampleNewAffine() {
	m := must(manifold.NewAffine(2, manifold.AffineOptions{Kappa: 2, Retraction: manifold.SecondOrderStep}))
	p, q := must(manifold.NewFrame(a)), manifold.IdentityFrame(2, 1)
	v := make([]float64, m.VectorLen())
	m.Whiten(v, p, mat.NewSymDense(2, []float64{0.2, 0, 0, 0.1}))
	if err := m.Retract(q, p, v); err != nil {
		panic(err)
	}
	fmt.Printf("%.4f\n", mat.Formatted(q.Sym()))
	// Output:
	// ⎡2.2138  0.9965⎤
	// ⎣0.9965  2.1034⎦
}

func ExampleSpectralFrame() {
	f := must(spectral.FromSym(a))
	m := must(manifold.NewAffine(2, manifold.AffineOptions{Retraction: manifold.SweepStep}))
	p := manifold.SpectralFrame(f)
	q := p.Clone().(*manifold.Frame)
	if err := m.Retract(q, p, []float64{0.1, 0, 0, -0.1}); err != nil {
		panic(err)
	}
	fmt.Printf("%.4f\n", q.Factor().Eigenvalues())
	// Output:
	// [1.1052 2.7145]
}

func ExampleCheckGradient() {
	m := must(manifold.NewAffine(2, manifold.AffineOptions{}))
	p := must(manifold.NewFrame(a))
	trace := func(q manifold.Point) (float64, error) { return mat.Trace(q.(*manifold.Frame).Sym()), nil }
	rng := rand.New(rand.NewChaCha8([32]byte{1}))
	grad := make([]float64, m.VectorLen())
	m.Gradient(grad, p, mat.NewSymDense(2, []float64{1, 0, 0, 1}))
	right := must(manifold.CheckGradient(m, p, trace, grad, rng))
	m.Gradient(grad, p, mat.NewSymDense(2, []float64{1, 0, 0, 1.1}))
	wrong := must(manifold.CheckGradient(m, p, trace, grad, rng))
	fmt.Printf("%v %.1f, %v %.1f\n", right.OK, right.Slope, wrong.OK, wrong.Slope)
	// Output: true 2.0, false 1.0
}

func ExampleMetrics() {
	for _, m := range manifold.Metrics() {
		fmt.Println(m.Name)
	}
	// Output:
	// affine-invariant
	// fisher-rao
	// log-euclidean
	// bures-wasserstein
	// log-cholesky
	// power-euclidean
	// euclidean
	// inverse-euclidean
	// cholesky
}

// The same two matrices in every geometry: distance, and the trace of the point halfway.
func Example() {
	for _, g := range manifold.Metrics()[:5] {
		half := must(g.Geodesic(a, b, 0.5))
		fmt.Printf("%-18s %.4f  %.4f\n", g.Name, must(g.Distance(a, b)), mat.Trace(half))
	}
	// Output:
	// affine-invariant   1.3028  4.0493
	// fisher-rao         0.9213  4.0493
	// log-euclidean      1.2672  4.0923
	// bures-wasserstein  0.8782  4.3072
	// log-cholesky       0.8132  4.1782
}
