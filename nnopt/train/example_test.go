package train_test

import (
	"fmt"

	"github.com/spdopt/spdopt/nnopt/train"
)

// A short run on a generated graph.
func ExampleRun() {
	r, err := train.Run(train.Options{Workload: "graph", Optimizer: "nadamw", Steps: 60, Seed: 1})
	if err != nil {
		panic(err)
	}
	fmt.Println(r.Steps, r.Reason, r.BestMetric > 0.8)
	// Output: 60 all steps taken true
}
