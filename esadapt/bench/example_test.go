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
