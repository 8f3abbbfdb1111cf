package problem_test

import (
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem"
	"github.com/spdopt/spdopt/manifold/solve"
)

func ExampleSolve() {
	d := problem.Data{Matrices: []mat.Symmetric{
		mat.NewSymDense(2, []float64{2, 1, 1, 2}),
		mat.NewSymDense(2, []float64{4, 0, 0, 1}),
		mat.NewSymDense(2, []float64{1, 0, 0, 3}),
	}}
	r, err := problem.Solve("mean", d, nil)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s by %s: converged %v\n%.4f\n", r.Problem, r.Method, r.Converged, mat.Formatted(r.Solution))
	fmt.Printf("within %.0e of the mean, proved: %v\n", 1e-7, r.Certificate.Value < 1e-7 && r.Certificate.Bound)
	// Output:
	// mean by newton: converged true
	// ⎡1.9297  0.3084⎤
	// ⎣0.3084  1.7604⎦
	// within 1e-07 of the mean, proved: true
}

func ExampleMean() {
	m, err := problem.Mean([]mat.Symmetric{
		mat.NewSymDense(2, []float64{1, 0, 0, 4}),
		mat.NewSymDense(2, []float64{4, 0, 0, 1}),
		mat.NewSymDense(2, []float64{2, 0, 0, 2}),
	}, nil)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%.4f\n", mat.Formatted(m))
	// Output:
	// ⎡2.0000  0.0000⎤
	// ⎣0.0000  2.0000⎦
}

func ExampleSolve_tyler() {
	// Eight samples; the scale of each does not matter.
	x := mat.NewDense(8, 2, []float64{3, 1, -100, -40, 1, 2, -2, 0, 0.5, -1, 10, 10, -3, 1, 0, 7})
	r, err := problem.Solve("tyler", problem.Data{Samples: x}, &problem.Options{Normalization: problem.DetOne})
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s: %v, det %.4f\n%.4f\n", r.Method, r.Converged, mat.Det(r.Solution), mat.Formatted(r.Solution))
	// Output:
	// fixed-point: true, det 1.0000
	// ⎡1.5239  0.4106⎤
	// ⎣0.4106  0.7669⎦
}

func ExampleSolve_badData() {
	d := problem.Data{Matrices: []mat.Symmetric{mat.NewSymDense(2, []float64{1, 2, 2, 1})}}
	_, err := problem.Solve("mean", d, nil)
	fmt.Println(err)
	// Output: matrix 0: not positive definite: smallest eigenvalue -1 (largest 3); add a small multiple of the identity to it (jitter), or replace it by the nearest SPD matrix
}

func ExampleList() {
	for _, p := range problem.List()[:3] {
		fmt.Println(p.Name, p.Methods())
	}
	// Output:
	// mean [newton richardson steepest lbfgs trust cg arc]
	// logdet [closed-form steepest lbfgs trust cg arc]
	// tyler [fixed-point steepest lbfgs trust cg arc]
}

func ExampleFromEuclidean() {
	// The SPD matrix closest to indefinite data in the Frobenius norm, kept away from the boundary by a log-barrier.
	data := mat.NewSymDense(2, []float64{1, 2, 2, 1})
	m, err := manifold.NewAffine(2, manifold.AffineOptions{})
	if err != nil {
		panic(err)
	}
	f, err := problem.FromEuclidean(m, problem.Euclidean{
		N: 2,
		Cost: func(s *mat.SymDense) float64 {
			var d mat.Dense
			d.Sub(s, data)
			l, _ := mat.LogDet(s)
			return mat.Norm(&d, 2)*mat.Norm(&d, 2)/2 - 0.01*l
		},
		Gradient: func(g, s *mat.SymDense) {
			var inv mat.Dense
			if inv.Inverse(s) != nil {
				return
			}
			for i := range 2 {
				for j := i; j < 2; j++ {
					g.SetSym(i, j, s.At(i, j)-data.At(i, j)-0.01*inv.At(i, j))
				}
			}
		},
	})
	if err != nil {
		panic(err)
	}
	r, err := solve.LBFGS(m, f, manifold.IdentityFrame(2, 1), nil)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%v\n%.4f\n", r.Converged, mat.Formatted(r.Point.(*manifold.Frame).Sym()))
	// Output:
	// true
	// ⎡1.5066  1.4967⎤
	// ⎣1.4967  1.5066⎦
}

// A robust covariance of samples with an outlier, and how far it can be from the exact one.
func Example() {
	x := mat.NewDense(9, 2, []float64{3, 1, -10, -4, 1, 2, -2, 0, 0.5, -1, 10, 10, -3, 1, 0, 7, 500, -500})
	r, err := problem.Solve("student", problem.Data{Samples: x}, nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(r.Method, r.Converged, r.Count, "samples")
	fmt.Printf("%.3f\n", mat.Formatted(r.Solution))
	fmt.Println(r.Certificate.Kind, r.Certificate.Value < 1e-6)
	// Output:
	// fixed-point true 9 samples
	// ⎡16.682   3.510⎤
	// ⎣ 3.510  13.079⎦
	// newton-step true
}
