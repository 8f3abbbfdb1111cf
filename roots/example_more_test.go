package roots_test

import (
	"errors"
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/roots"
	"github.com/spdopt/spdopt/spectral"
)

func ExamplePow_overflow() {
	a := mat.NewSymDense(2, []float64{2, 1, 1, 2}) // eigenvalues 3 and 1
	var x mat.SymDense
	_, err := roots.Pow(&x, a, 1000, nil)
	var e *roots.RangeError
	fmt.Println(errors.As(err, &e), e.Usable)
	fmt.Println(err)
	// Output:
	// true 646
	// roots: power 1000 overflows: eigenvalue 3 maps to 10^477.121; the largest usable power of this sign is 646, or scale the matrix
}

func ExamplePow_cutoff() {
	a := mat.NewSymDense(2, []float64{1, 1, 1, 1}) // eigenvalues 2 and 0
	var x mat.SymDense
	rep, err := roots.Pow(&x, a, -1, &roots.Options{Cutoff: 1e-12})
	fmt.Printf("%.2f rank %d, %d dropped below %.0e %v\n", x.At(0, 1), rep.Rank, len(rep.Dropped), rep.DroppedMax+1e-15, err)
	// Output: 0.25 rank 1, 1 dropped below 1e-15 <nil>
}

// A method named refined corrects the decomposition by a residual in twice the precision; without a tolerance it is the default.
func ExamplePow_accuracy() {
	a := mat.NewSymDense(2, []float64{1 + 0x1p-40, 1, 1, 1 + 0x1p-40}) // condition 2^41
	var x mat.SymDense
	for _, o := range []*roots.Options{{Tol: 1e-2}, nil} {
		rep, err := roots.Pow(&x, a, -0.5, o)
		fmt.Println(rep.Method, rep.Bound < 1e-2, rep.Bound < 1e-6, err)
	}
	// Output:
	// eigen true false <nil>
	// refined true true <nil>
}

func ExampleVerify() {
	a := mat.NewSymDense(2, []float64{10, 6, 6, 10})
	var x mat.SymDense
	rep, err := roots.Sqrt(&x, a, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := roots.Verify(&x, a, rep, nil)
	fmt.Println(v.Road != rep.Method, v.Holds(rep.Bound), err)
	x.SetSym(0, 1, 1.001*x.At(0, 1))
	v, err = roots.Verify(&x, a, rep, nil)
	fmt.Println(v.Holds(rep.Bound), err)
	// Output:
	// true true <nil>
	// false <nil>
}

func ExampleVerifyPolar() {
	a := mat.NewDense(3, 2, []float64{3, 0, 0, 4, 0, 3})
	var u mat.Dense
	rep, err := roots.Polar(&u, nil, a, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := roots.VerifyPolar(&u, a, rep)
	fmt.Println(v.Road, v.Holds(rep.Bound), err)
	// Output: newton-schulz true <nil>
}

func ExampleVerification_Holds() {
	v := roots.Verification{Difference: 3e-12, Promise: 1e-12}
	fmt.Println(v.Holds(1e-12), v.Holds(2e-12))
	// Output: false true
}

func ExampleCompute32() {
	a := []float32{10, 6, 6, 10}
	rep, err := roots.Compute32(a, a, 2, roots.Query{Kind: roots.KindInv}, nil)
	fmt.Printf("%.4f %t %v\n", a, rep.Bound < 1e-5, err)
	// Output: [0.1562 -0.0938 -0.0938 0.1562] true <nil>
}

func ExampleApply32() {
	a, x := []float32{10, 6, 6, 10}, []float32{1, 1}
	_, err := roots.Apply32(x, a, x, 2, 1, roots.Query{Power: -0.5}, nil)
	fmt.Printf("%.4f %v\n", x, err)
	// Output: [0.2500 0.2500] <nil>
}

func ExampleByName() {
	m, err := roots.ByName("cholesky-polar")
	fmt.Println(m.Can(roots.Query{Power: -0.5}), m.Can(roots.Query{Power: 0.37}), err)
	_, err = roots.ByName("colesky")
	fmt.Println(err != nil)
	// Output:
	// true false <nil>
	// true
}

func ExampleMethod_Cost() {
	m, err := roots.ByName("eigen")
	if err != nil {
		fmt.Println(err)
		return
	}
	small, large := m.Cost(roots.Query{Power: -0.5, N: 16, Cond: 100}), m.Cost(roots.Query{Power: -0.5, N: 1024, Cond: 100})
	fmt.Println(small > 10*large, "in products of the same size")
	// Output: true in products of the same size
}

func ExampleKinds() {
	fmt.Println(roots.Kinds())
	// Output: [pow sqrt inv log exp polar]
}

func ExampleParseKind() {
	k, err := roots.ParseKind("inv")
	fmt.Println(k == roots.KindInv, err)
	// Output: true <nil>
}

func ExampleOptions_Validate() {
	fmt.Println((&roots.Options{Tol: -1}).Validate())
	// Output: roots: option Tol = -1 must be finite and not negative
}

func ExampleTracker_Start() {
	f := spectral.Identity(2, 4)
	t, err := roots.NewTracker(2, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	t.Start(f)
	var x mat.SymDense
	_, err = t.FormPow(-0.5, &x)
	fmt.Println(x.At(0, 0), err)
	g, err := t.Factor()
	fmt.Println(g.Eigenvalues(), t.Defect() < 1e-14, err)
	// Output:
	// 0.5 <nil>
	// [4 4] true <nil>
}

func ExampleTracker32() {
	t, err := roots.NewTracker32(2, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err = t.Follow([]float32{10, 6, 6, 10}); err != nil {
		fmt.Println(err)
		return
	}
	if _, err = t.FollowVectors(0, []float32{1, 1}, 1); err != nil {
		fmt.Println(err)
		return
	}
	y := make([]float32, 2)
	rep, err := t.ApplyPow(-0.5, y, []float32{1, 1}, 1)
	fmt.Printf("%.3f %t %v\n", y, rep.Bound < 1e-3, err)
	// Output: [0.236 0.236] true <nil>
}
