package gallery_test

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
)

func ExampleSPD() {
	a := gallery.SPD(1, 3, 100)
	for i := range 3 {
		fmt.Printf("%.4f\n", a.Row(i))
	}
	// Output:
	// [1.0613 0.7548 0.0703]
	// [0.7548 9.6911 1.5323]
	// [0.0703 1.5323 0.3476]
}

func ExampleSpectrum() {
	fmt.Printf("%.4f\n", gallery.Spectrum(5, 100))
	// Output: [0.1000 0.3162 1.0000 3.1623 10.0000]
}

func ExampleKarcherPair() {
	a, mean := gallery.KarcherPair(gallery.MeanSeed, 2, 1, 4)
	fmt.Println(len(a), "matrices")
	fmt.Printf("%.4f\n", mean.Data)
	// Output:
	// 2 matrices
	// [0.7006 0.5105 0.5105 1.7994]
}

func ExampleHadamard() {
	h := gallery.Hadamard(4)
	for i := range 4 {
		fmt.Println(h.Row(i))
	}
	// Output:
	// [1 1 1 1]
	// [1 -1 1 -1]
	// [1 1 -1 -1]
	// [1 -1 -1 1]
}

func ExampleLaplacian() {
	a, w := gallery.Laplacian(2)
	fmt.Printf("%v %.1f\n", a.Data, w)
	// Output: [2 -1 -1 2] [1.0 3.0]
}

func ExampleNewStream() {
	s := gallery.NewStream(7)
	fmt.Printf("%d %.6f\n", s.Uint64(), s.Uniform())
	// Output: 7191089600892374487 0.016788
}

func ExampleCompose() {
	fmt.Println(gallery.Compose(gallery.Hadamard(2), []float64{1, 3}).Data)
	// Output: [4 -2 -2 4]
}

func ExampleOrthogonal() {
	fmt.Printf("%.4f\n", gallery.Orthogonal(7, 2).Data)
	// Output: [0.9603 -0.2790 -0.2790 -0.9603]
}

func ExampleKarcherScatter() {
	a := gallery.KarcherScatter(gallery.MeanSeed, 3, 20, 1e2)
	fmt.Println(len(a), a[0].Rows)
	// Output: 20 3
}

func ExampleLogDet() {
	fmt.Printf("%.4f\n", gallery.LogDet(2, 4).Data)
	// Output: [1.9459 -0.2798 -0.2798 0.5541]
}

func ExampleNearness() {
	q, x := gallery.Nearness(3, 10)
	fmt.Println(q.Rows, x.Rows, x.Cols)
	// Output: 3 12 3
}

func ExampleTyler() {
	x := gallery.Tyler(3, 10)
	fmt.Println(x.Rows, x.Cols)
	// Output: 12 3
}

func ExampleHadamardSPD() {
	fmt.Println(gallery.HadamardSPD([]float64{1, 2, 3, 4}).Row(0))
	// Output: [2.5 -0.5 -1 0]
}

func ExampleGraded() {
	a := gallery.Graded(3, 1)
	fmt.Println(a.Row(0), a.Row(1), a.Row(2))
	// Output: [1 0.125 0] [0.125 0.25 0.03125] [0 0.03125 0.0625]
}

func ExampleWilkinson() {
	a := gallery.Wilkinson(3)
	fmt.Println(a.Row(0), a.Row(1), a.Row(2))
	// Output: [1 1 0] [1 0 1] [0 1 1]
}

func ExampleNearSphere() {
	x := gallery.NearSphere(1, 3)
	fmt.Printf("%d points, the first of length %.2f\n", x.Rows, math.Sqrt(dense.Dot(x.Row(0), x.Row(0))))
	// Output: 12 points, the first of length 1.00
}

func ExampleNearCone() {
	p := gallery.NearCone(1, 4, 0).Row(0)
	fmt.Printf("%.2f\n", (p[0]*p[0]+p[1]*p[1])/(p[2]*p[2]+p[3]*p[3]))
	// Output: 1.00
}
