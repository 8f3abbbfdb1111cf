package gallery_test

import (
	"fmt"

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
