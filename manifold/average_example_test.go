package manifold_test

import (
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
)

// three are matrices of different shape.
func three() []mat.Symmetric {
	return []mat.Symmetric{
		mat.NewSymDense(2, []float64{2, 1, 1, 2}),
		mat.NewSymDense(2, []float64{1, 0, 0, 5}),
		mat.NewSymDense(2, []float64{3, -1, -1, 1}),
	}
}

func ExampleAverages() {
	for _, a := range manifold.Averages() {
		x, _, err := a.Mean(three(), nil, manifold.AverageOptions{})
		if err != nil {
			panic(err)
		}
		fmt.Printf("%-9s %.4f %.4f %.4f\n", a.Name, x.At(0, 0), x.At(0, 1), x.At(1, 1))
	}
	// Output:
	// stein     1.6680 -0.0197 1.8794
	// thompson  1.6678 -0.0355 1.8639
	// kullback  1.6677 -0.0643 1.8421
	// power     1.8370 -0.0096 2.2646
	// ale       1.6737 -0.0252 1.8569
	// alm       1.6680 -0.0378 1.8637
	// bmp       1.6679 -0.0362 1.8638
	// cheap     1.6678 -0.0391 1.8639
}

func ExampleAverageByName() {
	a := must(manifold.AverageByName("power"))
	x, report, err := a.Mean(three(), []float64{1, 2, 1}, manifold.AverageOptions{Power: -0.5})
	fmt.Printf("%.4f, residual below 1e-9: %v\n", must(x, err).At(0, 0), report.Residual < 1e-9)
	// Output:
	// 1.3619, residual below 1e-9: true
}

func ExampleALEMean() {
	fmt.Printf("%.4f\n", mat.Formatted(must(manifold.ALEMean(three(), nil, manifold.MeanOptions{}))))
	// Output:
	// ⎡ 1.6737  -0.0252⎤
	// ⎣-0.0252   1.8569⎦
}

func ExampleALMMean() {
	fmt.Printf("%.4f\n", mat.Formatted(must(manifold.ALMMean(three(), manifold.MeanOptions{}))))
	// Output:
	// ⎡ 1.6680  -0.0378⎤
	// ⎣-0.0378   1.8637⎦
}

func ExampleBMPMean() {
	fmt.Printf("%.4f\n", mat.Formatted(must(manifold.BMPMean(three(), manifold.MeanOptions{}))))
	// Output:
	// ⎡ 1.6679  -0.0362⎤
	// ⎣-0.0362   1.8638⎦
}

func ExampleCheapMean() {
	fmt.Printf("%.4f\n", mat.Formatted(must(manifold.CheapMean(three(), nil, manifold.MeanOptions{}))))
	// Output:
	// ⎡ 1.6678  -0.0391⎤
	// ⎣-0.0391   1.8639⎦
}

func ExampleKullbackDivergence() {
	one, two := mat.NewSymDense(1, []float64{1}), mat.NewSymDense(1, []float64{4})
	fmt.Printf("%.4f %.4f\n", must(manifold.KullbackDivergence(one, two)), must(manifold.KullbackDivergence(two, one)))
	// Output:
	// 0.3181 0.8069
}

func ExampleJointDiagonalizer() {
	ms := three()[:2] // two matrices become diagonal exactly
	b := must(manifold.JointDiagonalizer(ms, nil, manifold.MeanOptions{}))
	for _, s := range ms {
		var w, d mat.Dense
		w.Mul(b, s)
		d.Mul(&w, b.T())
		fmt.Println(d.At(0, 1)*d.At(0, 1) < 1e-24*d.At(0, 0)*d.At(1, 1))
	}
	// Output:
	// true
	// true
}

func ExampleNewCholesky() {
	m := must(manifold.NewCholesky(2))
	p, q := must(m.PointOf(three()[0])), must(m.PointOf(three()[1]))
	fmt.Printf("%.4f\n", must(m.Distance(p, q)))
	// Output:
	// 1.3017
}
