package bench_test

import (
	"context"
	"fmt"
	"time"

	"github.com/spdopt/spdopt/roots/bench"
)

// Every method on one small matrix, and what auto chose.
func Example() {
	c := bench.Config{Sizes: []int{8}, Conds: []float64{100}, Powers: []float64{-0.5}, Tols: []float64{1e-3}, Budget: time.Millisecond}
	err := bench.Run(context.Background(), c, func(r bench.Case) {
		fmt.Println(r.N, r.Auto.Method, r.Auto.Seconds > 0)
	})
	fmt.Println(err)
	// Output:
	// 8 eigen true
	// <nil>
}

func ExampleWorst() {
	worst, found := bench.Worst([]bench.Case{{N: 8, Ratio: 1.02}, {N: 64, Ratio: 1.15}})
	fmt.Println(worst.N, found)
	// Output: 64 true
}

func ExampleConfig_Validate() {
	fmt.Println(bench.Config{Sizes: []int{-1}}.Validate())
	// Output: bench: size -1, want 1 to 16384
}
