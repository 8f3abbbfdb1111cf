package eigen_test

import (
	"fmt"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

func ExampleSym() {
	a := dense.Wrap(2, 2, []float64{
		2, 1,
		0, 2, // below the diagonal nothing is read
	})
	w := make([]float64, 2)
	ok := eigen.Sym(a, w)
	fmt.Printf("%v %.4f %.4f\n", ok, w, a.At(0, 1)*a.At(1, 1))
	// Output: true [1.0000 3.0000] 0.5000
}

func ExampleSymValues() {
	a := dense.Wrap(3, 3, []float64{
		0, 3, 0,
		0, 0, 4,
		0, 0, 0,
	})
	w := make([]float64, 3)
	fmt.Printf("%v %+.1f\n", eigen.SymValues(a, w), w[2])
	// Output: true +5.0
}

func ExampleSolver() {
	var s eigen.Solver // keeps its workspace
	w := make([]float64, 2)
	for _, x := range []float64{3, 4} {
		a := dense.Wrap(2, 2, []float64{0, x, x, 0})
		s.Values(a, w)
		fmt.Printf("%.1f\n", w)
	}
	// Output:
	// [-3.0 3.0]
	// [-4.0 4.0]
}

func ExampleSecular_RankOne() {
	q, d := dense.New[float64](2, 2), []float64{1, 1}
	q.Identity()
	var s eigen.Secular
	s.RankOne(q, d, 1, []float64{3, 4}, make([]float64, 2)) // I + v v^T
	fmt.Printf("%.1f\n", d)
	// Output: [1.0 26.0]
}

func ExampleSecular_Solve() {
	var s eigen.Secular
	w := make([]float64, 2)
	if s.Solve([]float64{0, 0}, []float64{1, 1}, -3) { // -3 [1 1; 1 1]
		s.Values(w)
	}
	fmt.Printf("%.1f\n", w)
	// Output: [-6.0 0.0]
}

func ExampleReducer() {
	a := dense.Wrap(2, 2, []float64{
		2, 1,
		0, 2,
	})
	var r eigen.Reducer
	r.Reduce(a)
	sum := dense.New[float64](2, 2)
	r.Resolvents([]float64{0, 1}, []float64{3, 8}, sum) // 3 A^-1 + 8 (A + I)^-1
	fmt.Printf("%v %.4f %.4f\n", r.Within(0.99, 3.01), sum.At(0, 0), sum.At(0, 1))
	// Output: true 5.0000 -2.0000
}

func ExampleBundled() {
	b := eigen.NewBundled(2)
	var four [4]dense.Matrix[float64]
	for l := range four {
		d := float64(l + 1)
		four[l] = dense.Wrap(2, 2, []float64{2 * d, d, 0, 2 * d})
	}
	dense.SetFour(b.Data, 0, four)
	b.Reduce()
	b.Resolvents([]float64{0}, []float64{3})
	sum := dense.New[float64](2, 2)
	b.AddTo(&[4]float64{1, 1, 0, 0}, sum)
	fmt.Printf("%v %.4f\n", b.Within(0.99, 12.01), sum.At(0, 0))
	// Output: true 3.0000
}
