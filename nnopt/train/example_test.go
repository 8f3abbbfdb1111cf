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

// A workload by name, with a target: the run ends as soon as it is met.
func Example() {
	target := 0.9
	r, err := train.Run(train.Options{Workload: "graph", Optimizer: "spectral", Target: &target, Seed: 1})
	if err != nil {
		panic(err)
	}
	fmt.Println(r.TargetMet, r.FinalMetric >= target, r.Steps < 200)
	// Output: true true true
}
