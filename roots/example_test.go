package roots_test

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/roots"
	"github.com/spdopt/spdopt/spectral"
)

func ExamplePow() {
	a := mat.NewSymDense(2, []float64{10, 6, 6, 10}) // eigenvalues 16 and 4
	var x mat.SymDense
	rep, err := roots.Pow(&x, a, -0.5, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.4f\n", mat.Formatted(&x))
	fmt.Printf("condition %.0f, within the bound: %t\n", rep.Cond(), math.Abs(x.At(0, 0)-0.375) < rep.Bound)
	// Output:
	// ⎡ 0.3750  -0.1250⎤
	// ⎣-0.1250   0.3750⎦
	// condition 4, within the bound: true
}

func ExamplePow_indefinite() {
	a := mat.NewSymDense(2, []float64{1, 2, 2, 1})
	var x mat.SymDense
	_, err := roots.Pow(&x, a, -0.5, nil)
	fmt.Println(err)
	rep, err := roots.Pow(&x, a, -0.5, &roots.Options{Ridge: 2})
	fmt.Printf("%.4f %v\n", rep.LambdaMin, err)
	// Output:
	// roots: power -0.5 needs a positive-definite matrix: smallest eigenvalue -1 (largest 3, 1 not positive to working precision); add a ridge (Options.Ridge, Options.RelativeRidge) or drop them (Options.Cutoff)
	// 1.0000 <nil>
}

func ExampleSqrt() {
	var x mat.SymDense
	rep, err := roots.Sqrt(&x, mat.NewSymDense(2, []float64{10, 6, 6, 10}), &roots.Options{Method: "cholesky-polar"})
	fmt.Printf("%.3f %.3f %s %v\n", x.At(0, 0), x.At(0, 1), rep.Method, err)
	// Output: 3.000 1.000 cholesky-polar <nil>
}

func ExampleInv() {
	var x mat.SymDense
	singular := mat.NewSymDense(2, []float64{2, 2, 2, 2})
	rep, err := roots.Inv(&x, singular, &roots.Options{Cutoff: 1e-12})
	fmt.Printf("%.3f rank %d %v\n", x.At(0, 1), rep.Rank, err)
	// Output: 0.125 rank 1 <nil>
}

func ExampleLog() {
	var l, back mat.SymDense
	if _, err := roots.Log(&l, mat.NewSymDense(2, []float64{10, 6, 6, 10}), nil); err != nil {
		fmt.Println(err)
	}
	_, err := roots.Exp(&back, &l, nil)
	fmt.Printf("%.4f %.4f %v\n", l.At(0, 0), back.At(0, 0), err)
	// Output: 2.0794 10.0000 <nil>
}

func ExampleExp() {
	var x mat.SymDense
	_, err := roots.Exp(&x, mat.NewSymDense(2, []float64{0, 1, 1, 0}), &roots.Options{Method: "pade"})
	fmt.Printf("%.6f %.6f %v\n", x.At(0, 0), x.At(0, 1), err)
	// Output: 1.543081 1.175201 <nil>
}

func ExamplePolar() {
	var u mat.Dense
	var h mat.SymDense
	// A rotation by 90 degrees after a stretch.
	_, err := roots.Polar(&u, &h, mat.NewDense(2, 2, []float64{0, -1, 2, 0}), nil)
	fmt.Printf("%.3f\n%.3f\n%v\n", mat.Formatted(&u), mat.Formatted(&h), err)
	// Output:
	// ⎡ 0.000  -1.000⎤
	// ⎣ 1.000   0.000⎦
	// ⎡2.000  0.000⎤
	// ⎣0.000  1.000⎦
	// <nil>
}

func ExampleCompute() {
	a := mat.NewSymDense(2, []float64{2, 1, 1, 2})
	kind, err := roots.ParseKind("pow")
	if err != nil {
		fmt.Println(err)
	}
	var x mat.SymDense
	rep, err := roots.Compute(&x, a, roots.Query{Kind: kind, Power: -0.25}, &roots.Options{Method: "newton"})
	fmt.Println(rep.Method, rep.Reason, rep.Residual < 1e-14, rep.ResidualOf, err)
	// Output: newton converged true ||X^s A X^t - I||/||I||, s + t = -1/p <nil>
}

func ExampleComputeFactor() {
	f, err := spectral.FromSym(mat.NewSymDense(2, []float64{10, 6, 6, 10}))
	if err != nil {
		fmt.Println(err)
		return
	}
	var x mat.SymDense
	_, err = roots.ComputeFactor(&x, f, roots.Query{Power: 0.5})
	fmt.Printf("%.3f %v\n", x.At(0, 0), err)
	// Output: 3.000 <nil>
}

func ExampleApply() {
	a := mat.NewSymDense(2, []float64{10, 6, 6, 10})
	x := mat.NewDense(2, 1, []float64{1, 1})
	var y mat.Dense
	_, err := roots.Apply(&y, a, x, roots.Query{Power: -0.5}, nil)
	fmt.Printf("%.4f %v\n", y.At(0, 0), err)
	// Output: 0.2500 <nil>
}

func ExampleApplyProduct() {
	// The one-dimensional Laplacian of 200 points plus the identity, known by its product only.
	mul := func(dst, src []float64) {
		for i, v := range src {
			dst[i] = 3 * v
			if i > 0 {
				dst[i] -= src[i-1]
			}
			if i+1 < len(src) {
				dst[i] -= src[i+1]
			}
		}
	}
	x, y := make([]float64, 200), make([]float64, 200)
	x[100] = 1
	rep, err := roots.ApplyProduct(y, x, mul, roots.Query{Power: -0.5}, &roots.Options{Lower: 1, Tol: 1e-8})
	fmt.Printf("%.6f %t %t %v\n", y[100], rep.Bound < 1e-8, rep.Iterations < 40, err)
	// Output: 0.642638 true true <nil>
}

func ExamplePow32() {
	a := []float32{10, 6, 6, 10}
	x := make([]float32, 4)
	rep, err := roots.Pow32(x, a, 2, -0.5, nil)
	fmt.Printf("%.4f %t %v\n", x, rep.Promoted == "", err)
	// Output: [0.3750 -0.1250 -0.1250 0.3750] true <nil>
}

func ExampleTracker() {
	a := mat.NewSymDense(2, []float64{10, 6, 6, 10})
	t, err := roots.NewTracker(2, &roots.TrackerOptions{Tol: 1e-8})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := t.Follow(a); err != nil {
		fmt.Println(err)
		return
	}
	// A <- 0.9 A + v v^T, then A^(-1/2) x.
	v := mat.NewDense(2, 1, []float64{1, 0})
	if _, err := t.FollowUpdate(spectral.Increment{Decay: 0.1, Vectors: v}); err != nil {
		fmt.Println(err)
		return
	}
	var y mat.Dense
	rep, err := t.ApplyPow(-0.5, &y, mat.NewDense(2, 1, []float64{1, 1}))
	fmt.Printf("%.6f %.6f certified to 1e-8: %t %v\n", y.At(0, 0), y.At(1, 0), rep.Bound <= 1e-8, err)
	// Output: 0.248469 0.270265 certified to 1e-8: true <nil>
}

func ExampleMethods() {
	for _, m := range roots.Methods() {
		if m.Can(roots.Query{Power: 0.37}) {
			fmt.Println(m.Name)
		}
	}
	// Output:
	// eigen
	// refined
	// rational
	// pade
	// spectral
	// jacobi
}

func ExampleChoose() {
	m := roots.Choose(roots.Query{Kind: roots.KindInv, Power: -1, N: 500, Cond: 1e4, Tol: 1e-6})
	exact := roots.Choose(roots.Query{Kind: roots.KindInv, Power: -1, N: 500, Cond: 1e4}) // as accurate as can be
	fmt.Println(m.Name, exact.Name)
	// Output: cholesky refined
}

// A power with what is known of its error, and the same applied to vectors without forming it.
func Example() {
	a := mat.NewSymDense(2, []float64{10, 6, 6, 10}) // eigenvalues 16 and 4
	var x mat.SymDense
	rep, err := roots.Pow(&x, a, -0.25, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.6f\n", mat.Formatted(&x))
	fmt.Println("residual below 1e-14:", rep.Residual < 1e-14, "bound below 1e-13:", rep.Bound < 1e-13)
	// Output:
	// ⎡ 0.603553  -0.103553⎤
	// ⎣-0.103553   0.603553⎦
	// residual below 1e-14: true bound below 1e-13: true
}
