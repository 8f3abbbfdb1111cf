package curvature_test

import (
	"fmt"

	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/net"
)

// Dense, from an eigenvector, and back to a matrix.
func ExampleForm() {
	q := net.Matrix[float64]{Rows: 2, Cols: 1, Stride: 1, Data: []float64{0.6, 0.8}}
	fmt.Printf("%.2f\n", curvature.Form(curvature.Spectrum(q, []float64{10})).Data)
	d := curvature.NewDense(net.Matrix[float64]{Rows: 2, Cols: 2, Stride: 2, Data: []float64{2, 1, 1, 3}})
	fmt.Println(curvature.Form(d).Data)
	// Output:
	// [3.60 4.80 4.80 6.40]
	// [2 1 1 3]
}

// The curvature of the bias alone, as a part of the whole.
func ExampleIndices() {
	r := regression()
	layout := curvature.Layout(r.Net)
	all, err := curvature.Indices(layout, "bias")
	check(err)
	fmt.Println(layout[0].Name, layout[1].Name, all)
	part := curvature.Submatrix(curvature.NewHessian(r), all, all)
	fmt.Println(curvature.Form(part).Data)
	// Output:
	// weight bias [1]
	// [2]
}

// Factors of one's own as an operator, and the eigenvalues of a decomposition corrected by the data.
func ExampleNewKFAC() {
	r := regression()
	k, err := curvature.CollectKFAC(r, curvature.Settings{})
	check(err)
	again := curvature.NewKFAC(k.Blocks, r.Net.Dim())
	e, err := again.Decompose()
	check(err)
	check(curvature.Correct(e, r, curvature.Settings{}))
	fmt.Printf("%.4f %.4f\n", again.Trace(), e.Trace())
	// Output: 9.0000 9.0000
}
