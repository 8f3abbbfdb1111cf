package problem_test

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold/problem"
)

// show solves a problem and prints its solution.
func show(name string, d problem.Data, o *problem.Options) *problem.Result {
	r, err := problem.Solve(name, d, o)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s: %v\n%.4f\n", r.Method, r.Converged, mat.Formatted(r.Solution))
	return r
}

func sym(n int, v ...float64) mat.Symmetric { return mat.NewSymDense(n, v) }

func points(cols int, v ...float64) *mat.Dense { return mat.NewDense(len(v)/cols, cols, v) }

var cloud = points(2, 3, 1, -1, -2, 1, 2, -2, 0, 0.5, -1, 2, 2, -3, 1, 0, -3)

func ExampleSolve_nearestCorrelation() {
	r := show("nearest-correlation", problem.Data{Matrices: []mat.Symmetric{sym(3, 1, 1, 0, 1, 1, 1, 0, 1, 1)}}, nil)
	fmt.Println(r.Certificate.Kind, r.Certificate.Value < 1e-6)
	// Output:
	// newton: true
	// ⎡1.0000  0.7607  0.1573⎤
	// ⎢0.7607  1.0000  0.7607⎥
	// ⎣0.1573  0.7607  1.0000⎦
	// duality-gap true
}

func ExampleSolve_nearestSPD() {
	show("nearest-spd", problem.Data{Matrices: []mat.Symmetric{sym(2, 1, 2, 2, 1)}}, &problem.Options{Parameters: problem.Parameters{Floor: 0.1}})
	// Output:
	// eigen: true
	// ⎡1.6500  1.3500⎤
	// ⎣1.3500  1.6500⎦
}

func ExampleSolve_itml() {
	// Two classes that differ in the second coordinate only: the metric learned looks there.
	d := problem.Data{Samples: points(2, 0, 0, 3, 0.1, -2, 0.2, 1, -0.1, 0, 2, 3, 2.1, -2, 1.9, 1, 2), Labels: []int{0, 0, 0, 0, 1, 1, 1, 1}}
	r := show("metric-learning", d, &problem.Options{Method: "itml"})
	fmt.Println(r.Certificate.Kind, r.Certificate.Bound, r.Certificate.Value < 1e-7, r.Solution.At(1, 1) > 10*r.Solution.At(0, 0))
	// Output:
	// itml: true
	// ⎡ 0.0580  -0.0387⎤
	// ⎣-0.0387   5.2421⎦
	// self-concordance true true true
}

func ExampleProblem_Metrics() {
	p, err := problem.ByName("mean")
	if err != nil {
		panic(err)
	}
	d := problem.Data{Matrices: []mat.Symmetric{sym(1, 1), sym(1, 4), sym(1, 16)}}
	for _, metric := range p.Metrics() {
		r, err := p.Solve(d, &problem.Options{Metric: metric})
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s %.4f\n", metric, r.Solution.At(0, 0))
	}
	// Output:
	// affine-invariant 4.0000
	// fisher-rao 4.0000
	// log-euclidean 4.0000
	// bures-wasserstein 5.4444
	// log-cholesky 4.0000
	// power-euclidean 5.4444
	// euclidean 7.0000
	// inverse-euclidean 2.2857
	// cholesky 5.4444
	// stein 4.0000
	// thompson 4.0000
	// kullback 4.0000
	// power 5.4444
	// ale 4.0000
	// alm 4.0000
	// bmp 4.0000
	// cheap 4.0000
}

func ExampleSolve_shrinkage() {
	// Two samples in three dimensions.
	r := show("shrinkage", problem.Data{Samples: points(3, 5, 2, 1, 4, 1, 0)}, nil)
	fmt.Printf("share %.4f\n", r.Part("share").At(0, 0))
	// Output:
	// oas: true
	// ⎡9.3117  0.8170  0.2918⎤
	// ⎢0.8170  7.2109  0.1167⎥
	// ⎣0.2918  0.1167  6.9774⎦
	// share 0.8833
}

func ExampleSolve_student() {
	show("student", problem.Data{Samples: cloud}, &problem.Options{Parameters: problem.Parameters{Nu: 5}})
	// Output:
	// fixed-point: true
	// ⎡3.2178  1.0234⎤
	// ⎣1.0234  2.8789⎦
}

func ExampleSolve_huber() {
	show("huber", problem.Data{Samples: cloud}, nil)
	// Output:
	// fixed-point: true
	// ⎡3.9236  1.0417⎤
	// ⎣1.0417  3.3333⎦
}

func ExampleSolve_barycenter() {
	// The square roots are averaged where the matrices commute.
	show("barycenter", problem.Data{Matrices: []mat.Symmetric{sym(2, 1, 0, 0, 4), sym(2, 9, 0, 0, 16)}}, nil)
	// Output:
	// newton: true
	// ⎡4.0000  0.0000⎤
	// ⎣0.0000  9.0000⎦
}

func ExampleSolve_median() {
	// One matrix far away does not move the median.
	show("median", problem.Data{Matrices: []mat.Symmetric{sym(2, 2, 0, 0, 2), sym(2, 2, 0, 0, 2), sym(2, 1e9, 0, 0, 1)}}, nil)
	// Output:
	// newton: true
	// ⎡2.0000  0.0000⎤
	// ⎣0.0000  2.0000⎦
}

func ExampleSolve_glasso() {
	r := show("glasso", problem.Data{Matrices: []mat.Symmetric{sym(3, 2, 1, 0.1, 1, 2, 0.1, 0.1, 0.1, 1)}}, &problem.Options{Parameters: problem.Parameters{Rho: 0.2}})
	fmt.Println(r.Part("edges").At(0, 0), "edge,", r.Part("components").At(0, 0), "components")
	// Output:
	// newton: true
	// ⎡ 0.5952  -0.2381   0.0000⎤
	// ⎢-0.2381   0.5952   0.0000⎥
	// ⎣ 0.0000   0.0000   1.0000⎦
	// 1 edge, 2 components
}

func ExampleSolve_kronMLE() {
	d := problem.Data{Rows: 2, Samples: points(4, 1, 2, 0, 1, -1, 0, 3, 1, 2, -1, 1, 1, 0, 2, -2, 1)}
	r := show("kron-mle", d, nil)
	fmt.Printf("%.4f\n", mat.Formatted(r.Part("columns")))
	// Output:
	// flip-flop: true
	// ⎡1.0536  0.2474⎤
	// ⎣0.2474  0.9464⎦
	// ⎡2.7946  0.3806⎤
	// ⎣0.3806  1.5022⎦
}

func ExampleSolve_mve() {
	// The ellipse of least area around a square is a circle.
	r := show("mve", problem.Data{Samples: points(2, 0, 0, 2, 0, 0, 2, 2, 2)}, nil)
	fmt.Printf("center %.4f %.4f\n", r.Part("center").At(0, 0), r.Part("center").At(1, 0))
	// Output:
	// exchange: true
	// ⎡0.5000  0.0000⎤
	// ⎣0.0000  0.5000⎦
	// center 1.0000 1.0000
}

func ExampleSolve_dopt() {
	// The best places to measure a straight line on [-1, 1] are its ends.
	r := show("dopt", problem.Data{Samples: points(2, 1, -1, 1, -0.5, 1, 0, 1, 0.5, 1, 1)}, nil)
	fmt.Printf("%.2f\n", mat.Formatted(r.Part("weights").T()))
	// Output:
	// exchange: true
	// ⎡1.0000  0.0000⎤
	// ⎣0.0000  1.0000⎦
	// [0.50  0.00  0.00  0.00  0.50]
}

func ExampleSolve_lyapunov() {
	show("lyapunov", problem.Data{Matrices: []mat.Symmetric{sym(2, 2, 1, 1, 2), sym(2, 1, 0, 0, 1)}}, nil)
	// Output:
	// closed-form: true
	// ⎡ 0.3333  -0.1667⎤
	// ⎣-0.1667   0.3333⎦
}

func ExampleSolve_riccati() {
	show("riccati", problem.Data{Matrices: []mat.Symmetric{sym(2, 4, 0, 0, 9), sym(2, 1, 0, 0, 4)}}, nil)
	// Output:
	// closed-form: true
	// ⎡2.0000  0.0000⎤
	// ⎣0.0000  1.5000⎦
}

func ExampleSolve_ellipsoid() {
	show("ellipsoid", problem.Data{Samples: points(2, 2, 0, -2, 0, 0, 1, 1.2, 0.8)}, nil)
	// Output:
	// closed-form: true
	// ⎡0.2500  0.0000⎤
	// ⎣0.0000  1.0000⎦
}

func ExampleSolve_nearness() {
	r := show("nearness", problem.Data{Matrices: []mat.Symmetric{sym(2, 1e-3, 0, 0, 1e3)}}, &problem.Options{Method: "trust"})
	fmt.Println(r.Certificate.Kind, r.Certificate.Value < 1e-6)
	// Output:
	// trust: true
	// ⎡1000.0000     0.0000⎤
	// ⎣   0.0000     0.0010⎦
	// known-minimizer true
}

func ExampleSolve_gmm() {
	x := points(1, -5, -4.5, -5.5, -4.8, -5.1, 5, 6, 5.5, 4.5, 5.2)
	r := show("gmm", problem.Data{Samples: x}, nil)
	fmt.Printf("%.2f\n", mat.Formatted(r.Part("weights").T()))
	// Output:
	// accelerated-em: true
	// [26.2921]
	// [0.50  0.50]
}

func ExampleSolve_metricLearning() {
	d := problem.Data{Samples: points(2, 0, 0, 0.1, 1, -0.1, -1, 5, 0.5, 5.1, -0.5, 4.9, 1), Labels: []int{0, 0, 0, 1, 1, 1}}
	show("metric-learning", d, nil)
	// Output:
	// gmml: true
	// ⎡34.5483   0.4638⎤
	// ⎣ 0.4638   0.8495⎦
}

func ExampleSolve_classify() {
	d := problem.Data{
		Matrices: []mat.Symmetric{sym(2, 1, 0, 0, 4), sym(2, 1, 0.1, 0.1, 5), sym(2, 4, 0, 0, 1), sym(2, 5, 0.2, 0.2, 1), sym(2, 3, 0, 0, 1)},
		Labels:   []int{0, 0, 1, 1, -1}, // the last one is to be classified
	}
	r, err := problem.Solve("classify", d, nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(mat.Formatted(r.Part("labels").T()))
	// Output:
	// [0  0  1  1  1]
}

func ExampleSolve_procrustes() {
	// The second matrix is the first one, turned by a right angle, and twice as large.
	r := show("procrustes", problem.Data{Matrices: []mat.Symmetric{sym(2, 1, 0, 0, 4), sym(2, 8, 0, 0, 2)}}, nil)
	fmt.Printf("distance %.4f\n", r.Part("distances").At(0, 0))
	// Output:
	// trust: true
	// ⎡4.0000  0.0000⎤
	// ⎣0.0000  1.0000⎦
	// distance 0.9803
}

func ExampleSolve_maskedMean() {
	nan := math.NaN()
	// The second matrix lacks variable 1, the third variable 0.
	ms := []mat.Symmetric{
		mat.NewSymDense(2, []float64{1, 0.5, 0.5, 1}),
		mat.NewSymDense(2, []float64{4, nan, nan, nan}),
		mat.NewSymDense(2, []float64{nan, nan, nan, 9}),
	}
	r := show("masked-mean", problem.Data{Matrices: ms}, nil)
	fmt.Println(r.Converged, r.Certificate.Kind)
	// Output:
	// newton: true
	// ⎡2.5593  2.3711⎤
	// ⎣2.3711  3.4067⎦
	// true newton-step
}
