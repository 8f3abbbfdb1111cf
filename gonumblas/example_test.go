package gonumblas_test

import (
	"fmt"

	"github.com/spdopt/spdopt/gonumblas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/blas/gonum"
	"gonum.org/v1/gonum/mat"
)

// An application chooses the implementation once, at its start; every product of gonum's mat then runs on it.
func Example() {
	blas64.Use(gonumblas.Implementation{})
	defer blas64.Use(gonum.Implementation{})

	a := mat.NewDense(2, 3, []float64{1, 2, 3, 4, 5, 6})
	var aat mat.Dense
	aat.Mul(a, a.T())
	fmt.Println(mat.Formatted(&aat))
	// Output:
	// ⎡14  32⎤
	// ⎣32  77⎦
}
