package problem_test

import (
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold/problem"
)

// trials are covariance matrices of two conditions, the last one disturbed.
var trials = []mat.Symmetric{sym(2, 1, 0, 0, 4), sym(2, 1.2, 0.1, 0.1, 4), sym(2, 1, 0.2, 0.2, 4.5),
	sym(2, 5, 0, 0, 1), sym(2, 5, 0.1, 0.1, 1.1), sym(2, 6, 0.2, 0.2, 1), sym(2, 90, 0, 0, 90)}

func ExampleSolve_tangent() {
	r := show("tangent", problem.Data{Matrices: trials[:3]}, &problem.Options{Method: "principal", Parameters: problem.Parameters{Components: 1}})
	fmt.Printf("%.4f\nshare %.4f\n", mat.Formatted(r.Part("vectors")), r.Part("share").At(0, 0))
	// Output:
	// principal: true
	// ⎡1.0618  0.0979⎤
	// ⎣0.0979  4.1573⎦
	// ⎡-0.0582  -0.0662  -0.0382⎤
	// ⎢ 0.1225   0.0002  -0.0386⎥
	// ⎣-0.0643   0.0660   0.0768⎦
	// share 0.6617
}

func ExampleSolve_cluster() {
	r := show("cluster", problem.Data{Matrices: trials[:6]}, nil)
	fmt.Println(r.Part("labels").RawMatrix().Data, r.Certificate.Value < 1e-8)
	// Output:
	// kmeans: true
	// ⎡1.0618  0.0979⎤
	// ⎣0.0979  4.1573⎦
	// [0 0 0 1 1 1] true
}

func ExampleSolve_outliers() {
	r := show("outliers", problem.Data{Matrices: trials[3:]}, &problem.Options{Parameters: problem.Parameters{Threshold: 1.5}})
	fmt.Println(r.Part("normal").RawMatrix().Data)
	// Output:
	// potato: true
	// ⎡5.3106  0.0969⎤
	// ⎣0.0969  1.0316⎦
	// [1 1 1 0]
}

func ExampleSolve_recenter() {
	// The second session has another gain.
	d := problem.Data{Matrices: append(trials[:3:3], sym(2, 9, 0, 0, 36), sym(2, 10.8, 0.9, 0.9, 36), sym(2, 9, 1.8, 1.8, 40.5)), Labels: []int{0, 0, 0, 1, 1, 1}}
	r, err := problem.Solve("recenter", d, nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(mat.EqualApprox(r.Solution, sym(2, 1, 0, 0, 1), 1e-8))
	moved := r.Parts[3]
	fmt.Println(moved.Name, mat.EqualApprox(moved.Matrices[2], moved.Matrices[5], 1e-8))
	// Output:
	// true
	// matrices true
}

func ExampleSolve_csp() {
	r := show("csp", problem.Data{Matrices: trials[:6], Labels: []int{0, 0, 0, 1, 1, 1}}, nil)
	fmt.Printf("%.4f\n%.4f\n", mat.Formatted(r.Part("filters")), mat.Formatted(r.Part("variances")))
	// Output:
	// diagonalize: true
	// ⎡3.2000  0.1000⎤
	// ⎣0.1000  2.6000⎦
	// ⎡ 0.5593  -0.0113⎤
	// ⎣-0.0092   0.6204⎦
	// ⎡0.3329  1.6671⎤
	// ⎣1.6029  0.3971⎦
}
