package dense_test

import (
	"fmt"

	"github.com/spdopt/spdopt/internal/dense"
)

func ExampleGemm() {
	a := dense.Wrap(2, 3, []float64{1, 2, 3, 4, 5, 6})
	c := dense.New[float64](2, 2)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, a, a, 0, c)
	fmt.Println(c.Data)
	// Output: [14 32 32 77]
}

func ExampleGemmUpper() {
	x := dense.Wrap(2, 3, []float32{1, 2, 3, 4, 5, 6})
	c := dense.New[float32](2, 2)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, x, x, 0, c)
	dense.Mirror(c)
	fmt.Println(c.Data)
	// Output: [14 32 32 77]
}

// The Cayley map of a generator N is Q = 2 (I - N)^-1 - I, a rotation; in two dimensions, by 2 atan n.
func ExampleCayleyInverse() {
	n := dense.Wrap(2, 2, []float64{0, 0.5, -0.5, 0})
	x := dense.New[float64](2, 2)
	dense.CayleyInverse(n, x, make([]float64, dense.CayleyWork(2)))
	for i := range 2 {
		for j := range 2 {
			q := 2 * x.At(i, j)
			if i == j {
				q--
			}
			fmt.Printf("%5.2f", q)
		}
		fmt.Println()
	}
	// Output:
	//  0.60 0.80
	// -0.80 0.60
}

func ExampleCholesky() {
	a := dense.Wrap(2, 2, []float64{4, 2, 2, 10})
	fmt.Println(dense.Cholesky(a), a.Data)
	b := dense.Wrap(2, 2, []float64{1, 2, 2, 1})
	fmt.Println(dense.Cholesky(b))
	// Output:
	// -1 [2 0 1 3]
	// 1
}

func ExampleInvertUpper() {
	a := dense.Wrap(2, 2, []float64{4, 2, 2, 2})
	ok := dense.InvertUpper(a, make([]float64, dense.InverseWork(2)))
	dense.Mirror(a)
	fmt.Println(ok, a.Data)
	// Output: true [0.5 -0.5 -0.5 1]
}

func ExampleSolveLower() {
	l := dense.Wrap(2, 2, []float64{2, 0, 1, 3})
	b := dense.Wrap(2, 1, []float64{4, 8})
	dense.SolveLower(dense.NoTrans, l, b)
	fmt.Println(b.Data)
	// Output: [2 2]
}

// A tie of the eigenvalues with a positive coupling gives the largest angle, theta = pi/4.
func ExampleBoundedAngle() {
	s, r, x := []float64{1, 1}, []float64{1, 1}, []float64{0, 0}
	t := dense.Wrap(2, 2, []float64{0, 0.1, 0.1, 0})
	dense.BoundedAngle(s, r, x, t, t)
	fmt.Printf("%.4f\n", t.Data)
	// Output: [0.0000 0.4142 -0.4142 0.0000]
}

func ExamplePow() {
	x := []float64{16, 1, 0.0625}
	dense.Pow(x, x, -0.25)
	fmt.Printf("%.3f\n", x)
	// Output: [0.500 1.000 2.000]
}

// The numbers of a stream do not depend on how it is cut into calls.
func ExampleFillNormal() {
	key := [2]uint64{42, 1}
	whole, part := make([]float64, 5), make([]float64, 2)
	dense.FillNormal(whole, key, 0)
	dense.FillNormal(part, key, 3)
	fmt.Println(whole[3] == part[0], whole[4] == part[1])
	// Output: true true
}
