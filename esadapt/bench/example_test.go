package bench_test

import (
	"context"
	"fmt"

	"github.com/spdopt/spdopt/esadapt/bench"
)

func ExampleRun() {
	trials, err := bench.Run(context.Background(), bench.Config{Functions: []string{"f1", "f10"}, Dims: []int{3}, Budget: 2000})
	if err != nil {
		fmt.Println(err)
		return
	}
	solved, rate := bench.Solved(trials, 50)
	fmt.Println(solved, "functions solved to 1e-8, success rate", rate)
	// Output:
	// 2 functions solved to 1e-8, success rate 1
}

func ExampleCompare() {
	c := bench.Config{Functions: []string{"f2"}, Dims: []int{4}, Budget: 2000}
	before, err := bench.Run(context.Background(), c)
	if err != nil {
		fmt.Println(err)
		return
	}
	c.Options.Strategy = "sep-cma" // the function is separable
	after, err := bench.Run(context.Background(), c)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range bench.Compare(before, after) {
		fmt.Printf("n = %d: better area %v, fewer evaluations %v\n", r.Dim, r.After > r.Before, r.Ratio < 1)
	}
	// Output:
	// n = 4: better area true, fewer evaluations true
}

func ExampleProfile() {
	c := bench.Config{Functions: []string{"f1", "f2"}, Dims: []int{3}, Budget: 2000}
	slow, err := bench.Run(context.Background(), c)
	if err != nil {
		fmt.Println(err)
		return
	}
	c.Options.Surrogate = true
	quick, err := bench.Run(context.Background(), c)
	if err != nil {
		fmt.Println(err)
		return
	}
	curves := bench.Profile(slow, quick)
	fmt.Println("best on", curves[1][0][1], "of the functions")
	// Output:
	// best on 1 of the functions
}

// Two strategies on one function: the expected number of evaluations to the target 1e-8.
func Example() {
	for _, strategy := range []string{"cma", "sep-cma"} {
		c := bench.Config{Functions: []string{"f1"}, Dims: []int{3}, Budget: 2000}
		c.Options.Strategy = strategy
		trials, err := bench.Run(context.Background(), c)
		if err != nil {
			fmt.Println(err)
			return
		}
		ert, successes := bench.ERT(trials, 50)
		fmt.Println(strategy, len(trials), "trials,", successes, "successes, under 700 evaluations:", ert < 700)
	}
	// Output:
	// cma 5 trials, 5 successes, under 700 evaluations: true
	// sep-cma 5 trials, 5 successes, under 700 evaluations: true
}
