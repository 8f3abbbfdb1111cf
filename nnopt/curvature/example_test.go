package curvature_test

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/net"
)

// regression is the mean squared error of y = w x + b on four points; its Hessian is (2/4) sum [x 1]^T [x 1].
func regression() *curvature.Risk[float64] {
	n := net.New[float64](net.NewLinear[float64](rand.New(rand.NewPCG(1, 1)), 1, 1, net.LinearOptions{}), net.NewSquare[float64](false), 1)
	for _, b := range n.Blocks() {
		b.Value[0] = 0
	}
	column := func(v ...float64) net.Matrix[float64] {
		return net.Matrix[float64]{Rows: len(v), Cols: 1, Stride: 1, Data: v}
	}
	b := &net.Batch[float64]{N: 4, X: column(0, 1, 2, 3), Target: net.Target[float64]{Values: column(1, 3, 5, 7)}}
	r, err := curvature.NewRisk(n, slices.Values([]*net.Batch[float64]{b}), curvature.RiskOptions{})
	if err != nil {
		panic(err)
	}
	return r
}

// matrix is a symmetric positive definite matrix with the eigenvalues 4, 2 and 1.
func matrix() curvature.Operator {
	return curvature.FromGonum(mat.NewSymDense(3, []float64{3, 1, 0, 1, 3, 0, 0, 0, 1}))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func ExampleNewRisk() {
	r := regression()
	g := make([]float64, r.Dim())
	fmt.Println(r.Loss(), r.Gradient(g), g)
	// Output: 21 21 [-17 -8]
}

func ExampleNewHessian() {
	h := curvature.NewHessian(regression())
	fmt.Println(mat.Formatted(curvature.ToGonum(h)))
	// Output:
	// ⎡7  3⎤
	// ⎣3  2⎦
}

func ExampleNewGGN() {
	g := curvature.NewGGN(regression())
	y := make([]float64, 2)
	g.MulTo(y, []float64{1, 1})
	fmt.Println(y)
	// Output: [10 5]
}

func ExampleNewMonteCarloGGN() {
	g, err := curvature.NewMonteCarloGGN(regression(), 20000, 1)
	check(err)
	y := make([]float64, 2)
	g.MulTo(y, []float64{1, 1})
	fmt.Printf("%.1f\n", y)
	// Output: [10.0 5.0]
}

func ExampleNewEmpiricalFisher() {
	f := curvature.NewEmpiricalFisher(regression())
	fmt.Println(mat.Formatted(curvature.ToGonum(f)))
	// Output:
	// ⎡275  103⎤
	// ⎣103   42⎦
}

func ExampleNewJacobian() {
	j := curvature.NewJacobian(regression())
	fmt.Println(mat.Formatted(curvature.ToGonum(j)))
	// Output:
	// ⎡0  1⎤
	// ⎢1  1⎥
	// ⎢2  1⎥
	// ⎣3  1⎦
}

func ExampleGGNDiagonal() {
	d, err := curvature.GGNDiagonal(regression(), curvature.Settings{})
	check(err)
	fmt.Println(d)
	// Output: [7 2]
}

// The factors of a linear regression are exact: their Kronecker product is the Hessian.
func ExampleCollectKFAC() {
	k, err := curvature.CollectKFAC(regression(), curvature.Settings{})
	check(err)
	f := k.Blocks[0]
	fmt.Println(f.Name(), f.A.Data, f.B.Data)
	inverse, err := k.Inverse(curvature.Damping{})
	check(err)
	step := []float64{-17, -8} // the gradient
	inverse.MulTo(step, step)
	fmt.Printf("%.4f\n", step) // minus the solution
	// Output:
	// weight [7 3 3 2] [1]
	// [-2.0000 -1.0000]
}

func ExampleCollectEKFAC() {
	e, err := curvature.CollectEKFAC(regression(), curvature.Settings{})
	check(err)
	fmt.Printf("%.4f %.4f\n", e.Trace(), e.LogDet(0))
	// Output: 9.0000 1.6094
}

func ExampleCollectKFOC() {
	k, err := curvature.CollectKFOC(regression(), curvature.Settings{}, curvature.KFOCOptions{})
	check(err)
	fmt.Printf("%.4f\n", mat.Formatted(curvature.ToGonum(k)))
	// Output:
	// ⎡7.0000  3.0000⎤
	// ⎣3.0000  2.0000⎦
}

func ExampleNewCollector() {
	r := regression()
	c, err := curvature.NewCollector(r.Net, curvature.Settings{Convention: curvature.InOutput})
	check(err)
	for b := range r.Data {
		c.Add(b)
	}
	k, err := c.KFAC()
	check(err)
	fmt.Println(k.Blocks[0].A.Data, k.Blocks[0].B.Data)
	// Output: [3.5 1.5 1.5 1] [2]
}

func ExampleNewTrackedInverse() {
	k, err := curvature.CollectKFAC(regression(), curvature.Settings{})
	check(err)
	inverse, err := curvature.NewTrackedInverse(k, 1e-9, nil)
	check(err)
	step := []float64{-17, -8}
	inverse.MulTo(step, step)
	fmt.Printf("%.4f\n", step)
	// Output: [-2.0000 -1.0000]
}

func ExampleChain() {
	a := curvature.Sum(matrix(), curvature.Scaled(2, curvature.Diagonal([]float64{1, 1, 1})))
	b := curvature.Submatrix(curvature.Chain(a, curvature.Adjoint(matrix())), []int{0, 2}, []int{0, 1})
	fmt.Println(mat.Formatted(curvature.ToGonum(b)))
	// Output:
	// ⎡16   8⎤
	// ⎣ 0   0⎦
}

func ExampleKronecker() {
	k := curvature.Kronecker(matrix(), curvature.Diagonal([]float64{1, 10}))
	det, _ := k.LogDet()
	fmt.Printf("%.0f %.4f\n", k.Trace(), det)
	// Output: 77 11.0666
}

func ExampleBlockDiagonal() {
	b := curvature.BlockDiagonal(curvature.Diagonal([]float64{2}), curvature.Damped(matrix(), 1))
	y := make([]float64, 4)
	b.MulTo(y, []float64{1, 1, 1, 1})
	fmt.Println(y)
	// Output: [2 5 5 2]
}

func ExampleNewCG() {
	inverse, err := curvature.NewCG(matrix(), curvature.SolveOptions{Tol: 1e-12})
	check(err)
	x := make([]float64, 3)
	s, err := inverse.Solve(x, []float64{4, 4, 1})
	fmt.Printf("%.4f %d %v\n", x, s.Iterations, err)
	// Output: [1.0000 1.0000 1.0000] 2 <nil>
}

func ExampleNewLSMR() {
	l, err := curvature.NewLSMR(curvature.NewJacobian(regression()), 0, curvature.SolveOptions{Tol: 1e-12})
	check(err)
	x := make([]float64, 2)
	_, err = l.Solve(x, []float64{1, 3, 5, 7})
	fmt.Printf("%.4f %v\n", x, err)
	// Output: [2.0000 1.0000] <nil>
}

func ExampleNewNeumann() {
	series, err := curvature.NewNeumann(matrix(), curvature.NeumannOptions{Scale: 0.4})
	check(err)
	x := make([]float64, 3)
	err = series.Solve(x, []float64{4, 4, 1})
	fmt.Printf("%.4f %v\n", x, err)
	// Output: [1.0000 1.0000 1.0000] <nil>
}

func ExampleHutchinsonTrace() {
	e, err := curvature.HutchinsonTrace(matrix(), curvature.Probes{Products: 1000, Rand: random()})
	check(err)
	fmt.Printf("%.1f +- %.1f\n", e.Value, e.StdErr)
	// Output: 7.0 +- 0.1
}

// rankOne has the trace 3 and the diagonal 0.75.
func rankOne() curvature.Operator {
	return curvature.Spectrum(net.Matrix[float64]{Rows: 4, Cols: 1, Stride: 1, Data: []float64{0.5, 0.5, 0.5, 0.5}}, []float64{3})
}

func ExampleHutchPP() {
	e, err := curvature.HutchPP(rankOne(), curvature.Probes{Products: 3, Kind: curvature.Normal, Rand: random()})
	check(err)
	fmt.Printf("%.4f\n", e.Value) // exact: the rank is 1
	// Output: 3.0000
}

func ExampleXTrace() {
	e, err := curvature.XTrace(rankOne(), curvature.Probes{Products: 4, Kind: curvature.Normal, Rand: random()})
	check(err)
	fmt.Printf("%.4f\n", e.Value) // exact: the rank is 1
	// Output: 3.0000
}

func ExampleXDiag() {
	d, err := curvature.XDiag(rankOne(), curvature.Probes{Products: 4, Kind: curvature.Normal, Rand: random()})
	check(err)
	fmt.Printf("%.4f\n", d)
	// Output: [0.7500 0.7500 0.7500 0.7500]
}

func ExampleHutchinsonDiagonal() {
	d, err := curvature.HutchinsonDiagonal(matrix(), curvature.Probes{Products: 4000, Rand: random()})
	check(err)
	fmt.Printf("%.1f\n", d)
	// Output: [3.0 3.0 1.0]
}

func ExampleSquaredFrobenius() {
	e, err := curvature.SquaredFrobenius(matrix(), curvature.Probes{Products: 4000, Rand: random()})
	check(err)
	fmt.Printf("%.0f\n", e.Value)
	// Output: 21
}

func ExampleSpectralDensity() {
	d, err := curvature.SpectralDensity(matrix(), curvature.DensityOptions{Points: 8, Repeats: 50}, random())
	check(err)
	fmt.Printf("%.1f to %.1f\n", d.Grid[0], d.Grid[7])
	// Output: 0.8 to 4.2
}

func ExampleLogSpectralDensity() {
	d, err := curvature.LogSpectralDensity(matrix(), curvature.DensityOptions{Points: 8, Boundaries: [2]float64{1, 4}}, random())
	check(err)
	fmt.Printf("%.2f to %.2f\n", d.Grid[0], d.Grid[7])
	// Output: 0.93 to 4.29
}

func ExampleBounds() {
	low, high, err := curvature.Bounds(matrix(), 1e-6, 10, random())
	check(err)
	fmt.Printf("%.4f %.4f\n", low, high)
	// Output: 1.0000 4.0000
}

func ExampleTopLanczos() {
	top, err := curvature.TopLanczos(matrix(), curvature.TopOptions{K: 2, Rand: random()})
	check(err)
	fmt.Printf("%.4f\n", top.Values)
	// Output: [4.0000 2.0000]
}

func ExampleTopLOBPCG() {
	top, err := curvature.TopLOBPCG(matrix(), nil, curvature.TopOptions{Which: curvature.Smallest, Rand: random()})
	check(err)
	fmt.Printf("%.4f\n", top.Values)
	// Output: [1.0000]
}

func ExampleCheck() {
	c, err := curvature.Check(curvature.NewGGN(regression()), random())
	check(err)
	fmt.Println(c.Repeats, c.Adjoint < 1e-14, c.Linearity < 1e-14)
	// Output: true true true
}

// Products hands an operator to a solver of another package.
func ExampleProducts() {
	y := mat.NewVecDense(3, nil)
	curvature.Products{Operator: matrix()}.MulVecTo(y, false, mat.NewVecDense(3, []float64{1, 1, 1}))
	fmt.Println(y.RawVector().Data)
	// Output: [4 4 1]
}

// The Hessian of the loss of a network as an operator: products without forming it, and formed where it is small.
func Example() {
	r := regression()
	h := curvature.NewHessian(r)
	y := make([]float64, r.Dim())
	h.MulTo(y, []float64{1, -1})
	fmt.Println(y)
	fmt.Println(mat.Formatted(curvature.ToGonum(h)))
	// Output:
	// [4 1]
	// ⎡7  3⎤
	// ⎣3  2⎦
}
