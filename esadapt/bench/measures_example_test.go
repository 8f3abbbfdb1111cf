package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"github.com/spdopt/spdopt/esadapt/bbob"
	"github.com/spdopt/spdopt/esadapt/bench"
)

// Two trials by hand: one reaches 1e-8 after 120 evaluations, one gives up after 200.
func ExampleERT() {
	targets := bench.Targets()
	hits := make([]int, len(targets))
	for k := range hits {
		hits[k] = 20 + 2*k
	}
	trials := []bench.Trial{
		{Function: "f1", Dim: 2, Instance: 1, Budget: 200, Evaluations: 120, Hits: hits},
		{Function: "f1", Dim: 2, Instance: 2, Budget: 200, Evaluations: 200, Hits: make([]int, len(targets))},
	}
	ert, successes := bench.ERT(trials, len(targets)-1)
	fmt.Println(ert, successes)
	fmt.Printf("%.3f %.3f\n", bench.Area(trials, 100), bench.GroupArea(trials, 100, bbob.Separable))
	points := bench.RunningTimes(trials, 2)
	fmt.Println(points[0], points[len(points)-1])
	// Output:
	// 320 1
	// 0.126 0.126
	// [10 0.00980392156862745] [100 0.5]
}

// Results are kept as JSON, and printed as a table.
func ExampleWrite() {
	trials, err := bench.Run(context.Background(), bench.Config{Functions: []string{"f1"}, Dims: []int{2, 3}, Instances: []int{1}, Budget: 500})
	if err != nil {
		panic(err)
	}
	var b bytes.Buffer
	if err := bench.Write(&b, "bbob", "search", trials); err != nil {
		panic(err)
	}
	f, err := bench.Read(&b)
	if err != nil {
		panic(err)
	}
	fmt.Println(f.Solver, len(f.Trials), len(bench.Select(f.Trials, 3, "f1")))
	if err := bench.Table(os.Stdout, bench.Select(f.Trials, 2, "")); err != nil {
		panic(err)
	}
	// Output:
	// search 2 1
	//   dim  budget   area  solved to 1e-8  success
	//     2   500 n  0.500          1 of 1    1.000
	//
	//   ERT    2
	//    f1  190
}

// Any solver that evaluates a task can be measured; random search is the yardstick.
func ExampleRandomSearch() {
	c := bench.Config{Functions: []string{"f1"}, Dims: []int{5}, Instances: []int{1}, Budget: 200}
	var areas []float64
	for _, solver := range []bench.Solver{bench.RandomSearch, bench.Search} {
		c.Solver = solver
		trials, err := bench.Run(context.Background(), c)
		if err != nil {
			panic(err)
		}
		areas = append(areas, bench.Area(trials, 200))
	}
	fmt.Println("search is better:", areas[1] > 2*areas[0])
	// Output: search is better: true
}
