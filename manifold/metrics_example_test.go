package manifold_test

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/spectral"
)

func ExampleMetricByName() {
	for _, name := range []string{"affine-invariant", "log-euclidean", "bures-wasserstein", "log-cholesky", "power-euclidean"} {
		g := must(manifold.MetricByName(name))
		fmt.Printf("%s %.4f\n", name, must(g.Distance(a, b)))
	}
	// Output:
	// affine-invariant 1.3028
	// log-euclidean 1.2672
	// bures-wasserstein 0.8782
	// log-cholesky 0.8132
	// power-euclidean 1.7932
}

func ExampleMetric_Mean() {
	g := must(manifold.MetricByName("bures-wasserstein"))
	fmt.Printf("%.4f\n", mat.Formatted(must(g.Mean([]mat.Symmetric{a, b}, []float64{1, 3}))))
	// Output:
	// ⎡3.4199  0.2904⎤
	// ⎣0.2904  1.1855⎦
}

func ExampleMetric_Median() {
	g := must(manifold.MetricByName("log-euclidean"))
	outlier := mat.NewSymDense(2, []float64{1e6, 0, 0, 1e6})
	fmt.Printf("%.4f\n", mat.Formatted(must(g.Median([]mat.Symmetric{a, a, b, outlier}, nil))))
	// Output:
	// ⎡2.0000  1.0000⎤
	// ⎣1.0000  2.0000⎦
}

func ExampleMetric_Exp() {
	g := must(manifold.MetricByName("bures-wasserstein"))
	fmt.Printf("%.4f\n", mat.Formatted(must(g.Exp(b, mat.NewSymDense(2, []float64{1, 0.5, 0.5, -1})))))
	_, err := g.Exp(b, mat.NewSymDense(2, []float64{1, 0, 0, -2}))
	fmt.Println(err)
	// Output:
	// ⎡5.0725  0.5000⎤
	// ⎣0.5000  0.2900⎦
	// manifold: the step leaves the domain of the Bures-Wasserstein exponential: I + L_S(U) is not positive definite; shorten it: smallest eigenvalue 0 (largest 1.125)
}

func ExampleMetric_Log() {
	g := must(manifold.MetricByName("log-cholesky"))
	fmt.Printf("%.4f\n", mat.Formatted(must(g.Log(a, b))))
	// Output:
	// ⎡ 1.3863  -0.6534⎤
	// ⎣-0.6534  -1.6082⎦
}

func ExampleMetric_Geodesic() {
	g := must(manifold.MetricByName("power-euclidean"))
	fmt.Printf("%.4f\n", mat.Formatted(must(g.Geodesic(a, b, 0.5))))
	// Output:
	// ⎡2.8660  0.5245⎤
	// ⎣0.5245  1.4330⎦
}

func ExampleMetric_Transport() {
	g := must(manifold.MetricByName("log-euclidean"))
	xi := mat.NewSymDense(2, []float64{1, 0, 0, 0})
	moved := must(g.Transport(a, b, xi))
	fmt.Printf("%.4f\n", mat.Formatted(moved))
	fmt.Printf("%.6f %.6f\n", must(g.Inner(a, xi, xi)), must(g.Inner(b, moved, moved)))
	// Output:
	// ⎡ 2.4319  -0.3607⎤
	// ⎣-0.3607   0.0587⎦
	// 0.428646 0.428646
}

func ExampleMean() {
	m := must(manifold.NewOrthogonal(2))
	turn := func(t float64) manifold.Point {
		return must(manifold.NewOrthogonalPoint(mat.NewDense(2, 2, []float64{math.Cos(t), -math.Sin(t), math.Sin(t), math.Cos(t)})))
	}
	x, _, err := manifold.Mean(m, []manifold.Point{turn(0), turn(1)}, []float64{1, 3}, manifold.MeanOptions{})
	q := must(x, err).(*manifold.OrthogonalPoint).Q()
	fmt.Printf("%.4f\n", math.Atan2(q.At(1, 0), q.At(0, 0)))
	// Output: 0.7500
}

func ExampleMedian() {
	m := must(manifold.NewPositive(1))
	point := func(x float64) manifold.Point { return must(manifold.NewPositivePoint([]float64{x})) }
	x, _, err := manifold.Median(m, []manifold.Point{point(1), point(2), point(1000)}, nil, manifold.MeanOptions{})
	fmt.Printf("%.4f\n", must(x, err).(*manifold.PositivePoint).X)
	// Output: [2.0000]
}

func ExampleNewLogEuclidean() {
	m := must(manifold.NewLogEuclidean(2))
	p, q := must(m.PointOf(a)), must(m.PointOf(b))
	fmt.Printf("%.6f\n", must(m.Distance(p, q)))
	// Output: 1.267186
}

func ExampleNewBures() {
	m := must(manifold.NewBures(2, manifold.BuresOptions{Retraction: manifold.BuresSquare}))
	p := must(m.PointOf(b))
	v, q := make([]float64, m.VectorLen()), p.Clone()
	m.Whiten(v, p, mat.NewSymDense(2, []float64{1, 0, 0, -3}))
	if err := m.Retract(q, p, v); err != nil {
		panic(err)
	}
	var s mat.SymDense
	m.MatrixOf(&s, q)
	fmt.Printf("%.4f\n", mat.Formatted(&s))
	// Output:
	// ⎡5.1331  0.0000⎤
	// ⎣0.0000  0.3906⎦
}

func ExampleNewLogCholesky() {
	m := must(manifold.NewLogCholesky(2))
	p := must(m.PointOf(a)).(*manifold.CholeskyPoint)
	fmt.Printf("%.4f\n", mat.Formatted(p.L()))
	// Output:
	// ⎡1.4142  0.0000⎤
	// ⎣0.7071  1.2247⎦
}

func ExampleNewPowerEuclidean() {
	harmonic := must(manifold.NewPowerEuclidean(2, manifold.PowerOptions{Alpha: -1}))
	x, _, err := manifold.Mean(harmonic, []manifold.Point{must(harmonic.PointOf(a)), must(harmonic.PointOf(b))}, nil, manifold.MeanOptions{})
	fmt.Printf("%.4f\n", mat.Formatted(must(x, err).(*manifold.EigenPoint).Sym()))
	// Output:
	// ⎡2.3529  0.4706⎤
	// ⎣0.4706  1.2941⎦
}

func ExampleNewEigenPoint() {
	fmt.Printf("%.4f\n", must(manifold.NewEigenPoint(a)).Eigenvalues())
	// Output: [1.0000 3.0000]
}

func ExampleSteinDistance() {
	fmt.Printf("%.6f\n", must(manifold.SteinDistance(a, b)))
	// Output: 0.452179
}

func ExampleSteinMean() {
	fmt.Printf("%.4f\n", mat.Formatted(must(manifold.SteinMean([]mat.Symmetric{a, b}, nil, manifold.MeanOptions{}))))
	// Output:
	// ⎡2.6561  0.4861⎤
	// ⎣0.4861  1.3932⎦
}

func ExampleSteinMedian() {
	fmt.Printf("%.4f\n", mat.Formatted(must(manifold.SteinMedian([]mat.Symmetric{a, a, b}, nil, manifold.MeanOptions{}))))
	// Output:
	// ⎡2.0000  1.0000⎤
	// ⎣1.0000  2.0000⎦
}

func ExampleThompsonDistance() {
	fmt.Printf("%.6f\n", must(manifold.ThompsonDistance(a, b)))
	// Output: 1.053795
}

func ExampleThompsonGeodesic() {
	fmt.Printf("%.4f\n", mat.Formatted(must(manifold.ThompsonGeodesic(a, b, 0.5))))
	// Output:
	// ⎡2.6561  0.4861⎤
	// ⎣0.4861  1.3932⎦
}

func ExampleThompsonMean() {
	fmt.Printf("%.4f\n", mat.Formatted(must(manifold.ThompsonMean([]mat.Symmetric{a, b}, nil, manifold.MeanOptions{}))))
	// Output:
	// ⎡2.6561  0.4861⎤
	// ⎣0.4861  1.3932⎦
}

func ExampleThompsonMedian() {
	fmt.Printf("%.4f\n", mat.Formatted(must(manifold.ThompsonMedian([]mat.Symmetric{a, a, b}, nil, manifold.MeanOptions{}))))
	// Output:
	// ⎡2.0000  1.0000⎤
	// ⎣1.0000  2.0000⎦
}

func ExampleComparisons() {
	for _, c := range manifold.Comparisons() {
		fmt.Printf("%s %.4f\n", c.Name, must(c.Distance(a, b)))
	}
	// Output:
	// stein 0.4522
	// thompson 1.0538
}

func ExampleSpaces() {
	for _, s := range manifold.Spaces() {
		fmt.Println(s.Name)
	}
	// Output:
	// product
	// positive
	// fixed-determinant
	// orthogonal
	// hermitian
	// block-diagonal
	// kronecker
	// banded
	// oblique
	// correlation
	// generalized-bures
	// simplex
}

func ExampleNewProduct() {
	spd, scale := must(manifold.NewAffine(2, manifold.AffineOptions{})), must(manifold.NewPositive(1))
	m := must(manifold.NewProduct([]manifold.Manifold{spd, scale}, manifold.ProductOptions{Weights: []float64{1, 4}}))
	p := &manifold.ProductPoint{Parts: []manifold.Point{must(manifold.NewFrame(a)), must(manifold.NewPositivePoint([]float64{1}))}}
	q := &manifold.ProductPoint{Parts: []manifold.Point{must(manifold.NewFrame(a)), must(manifold.NewPositivePoint([]float64{math.E}))}}
	fmt.Printf("%.4f\n", must(m.Distance(p, q)))
	// Output: 2.0000
}

func ExampleNewPower() {
	m := must(manifold.NewPower(must(manifold.NewOrthogonal(3)), 5))
	fmt.Println(m.Parts(), m.VectorLen())
	// Output: 5 15
}

func ExampleNewPositive() {
	m := must(manifold.NewPositive(2))
	fmt.Printf("%.4f\n", must(m.Distance(must(manifold.NewPositivePoint([]float64{1, 2})), must(manifold.NewPositivePoint([]float64{math.E, 2})))))
	// Output: 1.0000
}

func ExampleNewOblique() {
	// A correlation matrix is X X^T for unit rows; here two rows a right angle apart move towards each other.
	m := must(manifold.NewOblique(2, 2))
	p := must(manifold.NewUnitRows(mat.NewDense(2, 2, []float64{3, 0, 0, 1})))
	q := p.Clone()
	if err := m.Retract(q, p, []float64{0, math.Pi / 12, math.Pi / 12, 0}); err != nil {
		panic(err)
	}
	var c mat.Dense
	x := q.(*manifold.UnitRows).X()
	c.Mul(x, x.T())
	fmt.Printf("%.4f %.4f\n", c.At(0, 0), c.At(0, 1))
	fmt.Printf("%.4f\n", must(m.Distance(p, q)))
	// Output:
	// 1.0000 0.5000
	// 0.3702
}

func ExampleNewFixedDet() {
	m := must(manifold.NewFixedDet(2, manifold.FixedDetOptions{LogDet: math.Log(3)}))
	p := must(m.PointOf(a))
	v, q := make([]float64, m.VectorLen()), p.Clone()
	m.Whiten(v, p, mat.NewSymDense(2, []float64{1, 0, 0, 0}))
	if err := m.Retract(q, p, v); err != nil {
		panic(err)
	}
	fmt.Printf("%.6f\n", mat.Det(q.(*manifold.Frame).Sym()))
	// Output: 3.000000
}

func ExampleNewOrthogonal() {
	m := must(manifold.NewOrthogonal(2))
	p := must(manifold.NewOrthogonalPoint(mat.NewDiagDense(2, []float64{1, 1})))
	q := p.Clone()
	if err := m.Exp(q, p, []float64{-math.Sqrt2 * math.Pi / 6}); err != nil {
		panic(err)
	}
	fmt.Printf("%.4f\n", mat.Formatted(q.(*manifold.OrthogonalPoint).Q()))
	// Output:
	// ⎡ 0.8660  -0.5000⎤
	// ⎣ 0.5000   0.8660⎦
}

func ExampleNewHermitian() {
	m := must(manifold.NewHermitian(2, manifold.HermitianOptions{}))
	p := must(m.PointOf(mat.NewCDense(2, 2, []complex128{2, 1i, -1i, 2})))
	q := must(m.PointOf(mat.NewCDense(2, 2, []complex128{1, 0, 0, 1})))
	fmt.Printf("%.6f\n", must(m.Distance(p, q)))
	// Output: 1.098612
}

func ExampleNewBlockDiagonal() {
	m := must(manifold.NewBlockDiagonal([]int{2, 1}, manifold.AffineOptions{}))
	_, err := m.PointOf(mat.NewSymDense(3, []float64{2, 1, 0, 1, 2, 0.1, 0, 0.1, 1}))
	fmt.Println(err)
	// Output: manifold: element (1,2) is 0.1, outside the diagonal blocks; set it to zero or join the blocks
}

func ExampleNewKronecker() {
	m := must(manifold.NewKronecker([]int{2, 2}, manifold.AffineOptions{}))
	f, g := must(spectral.FromSym(a)), must(spectral.FromSym(b))
	p := must(m.PointOfKron(must(spectral.KronOf(1, f, g))))
	q := must(m.PointOfKron(must(spectral.KronOf(1, g, f))))
	fmt.Printf("%.6f\n", must(m.Distance(p, q)))
	// Output: 2.573739
}

func ExampleNewBanded() {
	m := must(manifold.NewBanded(4, 1))
	fmt.Println(m.VectorLen())
	// Output: 7
}

func ExampleCheckRetraction() {
	m := must(manifold.NewOrthogonal(4))
	rng := rand.New(rand.NewChaCha8([32]byte{5}))
	r := must(manifold.CheckRetraction(m, m.RandomPoint(rng), 2, rng))
	fmt.Printf("%v %.1f\n", r.OK, r.Slope)
	// Output: true 3.0
}

func ExamplePowerMean() {
	a, b := mat.NewSymDense(2, []float64{1, 0, 0, 4}), mat.NewSymDense(2, []float64{9, 0, 0, 4})
	for _, p := range []float64{-1, 0, 0.5, 1} {
		x, err := manifold.PowerMean([]mat.Symmetric{a, b}, nil, p, manifold.MeanOptions{})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%4.1f: %.3f\n", p, x.At(0, 0))
	}
	// Output:
	// -1.0: 1.800
	//  0.0: 3.000
	//  0.5: 4.000
	//  1.0: 5.000
}

func ExampleKullbackMean() {
	a, b := mat.NewSymDense(1, []float64{1}), mat.NewSymDense(1, []float64{9})
	x, err := manifold.KullbackMean([]mat.Symmetric{a, b}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.3f\n", x.At(0, 0))
	// Output:
	// 3.000
}

func ExampleKullbackMeanOf() {
	x, err := manifold.KullbackMeanOf([]*manifold.Frame{manifold.IdentityFrame(1, 1), manifold.IdentityFrame(1, 9)}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.3f\n", x.At(0, 0))
	// Output:
	// 3.000
}

func ExampleNewInterval() {
	m, err := manifold.NewPowerEuclidean(2, manifold.PowerOptions{Alpha: 1})
	if err != nil {
		panic(err)
	}
	s, err := manifold.NewInterval(m, mat.NewSymDense(2, []float64{1, 0, 0, 1}), mat.NewSymDense(2, []float64{4, 1, 1, 3}))
	if err != nil {
		panic(err)
	}
	// The matrix between the two with the smallest second diagonal entry and the largest first one.
	z, _ := s.Ends()
	if err := s.Extreme(z, []float64{-1, 0, 0, 1}); err != nil {
		panic(err)
	}
	fmt.Printf("%.4f\n", mat.Formatted(z.(*manifold.EigenPoint).Sym()))
	// Output:
	// ⎡3.9184  0.6091⎤
	// ⎣0.6091  1.1271⎦
}

func ExampleNewCorrelation() {
	m, err := manifold.NewCorrelation(2)
	if err != nil {
		panic(err)
	}
	var points []manifold.Point
	for _, covariance := range []float64{0.5, -1} {
		c, err := manifold.CorrelationOf(mat.NewSymDense(2, []float64{4, covariance, covariance, 1}))
		if err != nil {
			panic(err)
		}
		p, err := m.PointOf(c)
		if err != nil {
			panic(err)
		}
		points = append(points, p)
	}
	mean, _, err := manifold.Mean(m, points, nil, manifold.MeanOptions{})
	if err != nil {
		panic(err)
	}
	var s mat.SymDense
	m.MatrixOf(&s, mean)
	fmt.Printf("%.4f\n", mat.Formatted(&s))
	// Output:
	// ⎡ 1.0000  -0.1576⎤
	// ⎣-0.1576   1.0000⎦
}

func ExampleNewGeneralizedBures() {
	m, err := manifold.NewGeneralizedBures(mat.NewSymDense(2, []float64{4, 0, 0, 1}), manifold.BuresOptions{})
	if err != nil {
		panic(err)
	}
	p, err := m.PointOf(mat.NewSymDense(2, []float64{4, 0, 0, 1}))
	if err != nil {
		panic(err)
	}
	q, err := m.PointOf(mat.NewSymDense(2, []float64{16, 0, 0, 1}))
	if err != nil {
		panic(err)
	}
	d, err := m.Distance(p, q)
	fmt.Printf("%.4f %v\n", d, err)
	// Output: 1.0000 <nil>
}

func ExampleNewSimplex() {
	m, err := manifold.NewSimplex(2, 2)
	if err != nil {
		panic(err)
	}
	p, err := m.PointOf([]mat.Symmetric{mat.NewSymDense(2, []float64{0.5, 0.25, 0.25, 0.5}), mat.NewSymDense(2, []float64{0.5, -0.25, -0.25, 0.5})})
	if err != nil {
		panic(err)
	}
	for _, s := range m.MatricesOf(p) {
		fmt.Printf("%.2f\n", mat.Formatted(s))
	}
	// Output:
	// ⎡0.50  0.25⎤
	// ⎣0.25  0.50⎦
	// ⎡ 0.50  -0.25⎤
	// ⎣-0.25   0.50⎦
}
