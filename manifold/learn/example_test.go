package learn_test

import (
	"fmt"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold/learn"
)

func sym(v ...float64) mat.Symmetric { return mat.NewSymDense(2, v) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// low and high are two groups of covariance matrices.
var (
	low  = []mat.Symmetric{sym(1, 0, 0, 4), sym(1.2, 0.1, 0.1, 4), sym(1, 0.2, 0.2, 4.5)}
	high = []mat.Symmetric{sym(5, 0, 0, 1), sym(5, 0.1, 0.1, 1.1), sym(6, 0.2, 0.2, 1)}
	both = append(append([]mat.Symmetric(nil), low...), high...)
)

func ExampleDistances() {
	fmt.Printf("%.4f\n", mat.Formatted(must(learn.Distances(both[2:5], ""))))
	// Output:
	// ⎡0.0000  2.2100  2.1450⎤
	// ⎢2.2100  0.0000  0.1121⎥
	// ⎣2.1450  0.1121  0.0000⎦
}

func ExampleNewTangentSpace() {
	space := must(learn.NewTangentSpace(sym(1, 0, 0, 4), learn.TangentOptions{}))
	x := must(space.Vectors(low[1:]))
	fmt.Printf("%.4f\n", mat.Formatted(x))
	back := must(space.Matrices(x))
	fmt.Printf("%.4f\n", mat.Formatted(back[0]))
	// Output:
	// ⎡ 0.1813   0.0645  -0.0011⎤
	// ⎣-0.0046   0.1337   0.1135⎦
	// ⎡1.2000  0.1000⎤
	// ⎣0.1000  4.0000⎦
}

func ExampleTangentSpaceOf() {
	space := must(learn.TangentSpaceOf(both, learn.TangentOptions{Metric: "log-euclidean"}))
	fmt.Println(space.Len(), must(space.Kernel(both)).SymmetricDim())
	fmt.Printf("%.4f\n", mat.Formatted(space.Reference()))
	// Output:
	// 3 6
	// ⎡2.3740  0.0887⎤
	// ⎣0.0887  2.0708⎦
}

func ExampleAlign() {
	// The second session was measured with another gain.
	session := []int{0, 0, 0, 1, 1, 1}
	var data []mat.Symmetric
	for i, s := range append(append([]mat.Symmetric(nil), low...), low...) {
		var scaled mat.SymDense
		scaled.ScaleSym(float64(1+8*session[i]), s)
		data = append(data, &scaled)
	}
	a := must(learn.Align(data, session, learn.AlignOptions{}))
	moved := must(a.Apply(data, session))
	fmt.Printf("%.4f\n%.4f\n", mat.Formatted(moved[1]), mat.Formatted(moved[4]))
	// Output:
	// ⎡1.1303  0.0001⎤
	// ⎣0.0001  0.9621⎦
	// ⎡1.1303  0.0001⎤
	// ⎣0.0001  0.9621⎦
}

func ExampleKMeans() {
	c := must(learn.KMeans(both, learn.KMeansOptions{Source: rand.NewChaCha8([32]byte{1})}))
	fmt.Println(c.Labels, c.Converged)
	fmt.Printf("%.4f\n", mat.Formatted(c.Centres[1]))
	fmt.Println(must(c.Assign([]mat.Symmetric{sym(2, 0, 0, 9)})))
	// Output:
	// [0 0 0 1 1 1] true
	// ⎡5.3106  0.0969⎤
	// ⎣0.0969  1.0316⎦
	// [0]
}

func ExampleNewPotato() {
	p := must(learn.NewPotato(append(low, sym(90, 0, 0, 4)), learn.PotatoOptions{Threshold: 1.5}))
	fmt.Println(p.Normal)
	z := must(p.Scores([]mat.Symmetric{sym(1.1, 0, 0, 4), sym(30, 0, 0, 4)}))
	fmt.Println(z[0] < 1.5, z[1] < 1.5, learn.Probability(z[1]) < 1e-6)
	// Output:
	// [true true true false]
	// true false true
}

func ExampleNewNeighbours() {
	b := must(learn.NewNeighbours(both, []int{0, 0, 0, 1, 1, 1}, learn.NeighbourOptions{Count: 3}))
	labels, shares, err := b.Classify([]mat.Symmetric{sym(1, 0, 0, 3), sym(4, 0, 0, 1)})
	fmt.Println(labels, shares, err)
	// Output: [0 1] [1 1] <nil>
}

func ExampleNewPrincipalAxes() {
	space := must(learn.TangentSpaceOf(both, learn.TangentOptions{}))
	p := must(learn.NewPrincipalAxes(space, both, learn.PrincipalOptions{}))
	fmt.Printf("%.3f\n", p.Share)
	end := must(p.Matrices(mat.NewDense(1, 2, []float64{1, 0})))
	fmt.Printf("%.4f\n%.4f\n", mat.Formatted(p.Space.Reference()), mat.Formatted(end[0]))
	// Output:
	// [0.996 0.003]
	// ⎡2.3734  0.0749⎤
	// ⎣0.0749  2.0704⎦
	// ⎡5.0597  0.0942⎤
	// ⎣0.0942  1.0782⎦
}

func ExampleCommonSpatialPatterns() {
	p := must(learn.CommonSpatialPatterns(both, []int{0, 0, 0, 1, 1, 1}, learn.PatternOptions{Count: 2}))
	fmt.Printf("%.4f\n%.3f\n", mat.Formatted(p.Filters), p.Value)
	// Output:
	// ⎡ 0.5593  -0.0113⎤
	// ⎣-0.0092   0.6204⎦
	// [0.334 0.301]
}

// From covariance matrices to a classifier: vectors that keep distances to first order for linear methods, or the nearest examples directly.
func Example() {
	space := must(learn.TangentSpaceOf(both, learn.TangentOptions{}))
	x := must(space.Vectors(both))
	rows, cols := x.Dims()
	fmt.Println(rows, "matrices,", cols, "features")

	near := must(learn.NewNeighbours(both, []int{0, 0, 0, 1, 1, 1}, learn.NeighbourOptions{}))
	labels, _, err := near.Classify([]mat.Symmetric{sym(1.1, 0, 0, 3), sym(4, 0.3, 0.3, 1)})
	fmt.Println(labels, err)
	// Output:
	// 6 matrices, 3 features
	// [0 1] <nil>
}
