package algoperf_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/algoperf"
)

// Two submissions on two workloads: b misses one and takes 1.5 times as long on the other.
func ExampleRules_Compute() {
	table := &algoperf.Table{
		Submissions: []string{"a", "b"}, Workloads: []string{"x", "y"}, Budget: map[string]float64{"x": 100, "y": 100},
		Seconds: [][]float64{{10, 20}, {15, math.Inf(1)}},
	}
	s, err := algoperf.V06().Compute(table, "a")
	if err != nil {
		panic(err)
	}
	for _, row := range s.Rows {
		fmt.Printf("%s %.4f %.4f %.2f\n", row.Submission, row.Score, row.Exact, row.Speed)
	}
	// Output:
	// a 1.0000 1.0000 1.00
	// b 0.4167 0.4167 2.75
}

// A comparison on one generated workload, with stated targets and costs.
func ExampleRun() {
	w, err := algoperf.ByName("graph-sbm")
	if err != nil {
		panic(err)
	}
	spectral, err := algoperf.EntryByName("spectral")
	if err != nil {
		panic(err)
	}
	l, err := algoperf.Run(context.Background(), algoperf.Config{
		Entries: []algoperf.Entry{spectral}, Workloads: []algoperf.Workload{w}, Data: algoperf.OpenData(""), Trials: 2, Studies: 1,
	})
	if err != nil {
		panic(err)
	}
	table := l.Tabulate()
	fmt.Println(len(l.Records), table.Workloads, table.Seconds[0][0] <= table.Budget["graph-sbm"])
	// Output: 2 [graph-sbm] true
}

// An optimizer of nnopt with other options as a submission of its own.
func ExampleOf() {
	course := algoperf.Course{Optimizer: "lion", Options: json.RawMessage(`{"beta1":0.95}`), Shape: nnopt.Linear, Warmup: 0.05}
	space := algoperf.Space{Dims: []algoperf.Dim{{Name: "lr", Low: 1e-4, High: 1e-2, Log: true}}}
	e := algoperf.Of("lion-linear", "Lion with a straight line to zero", course, space, algoperf.Point{"lr": 1e-3})
	fmt.Printf("%s: first tunings %.4g and %.4g\n", e.Name, e.Space.At(0, 0, 5)["lr"], e.Space.At(0, 1, 5)["lr"])
	// Output: lion-linear: first tunings 0.001 and 0.0003162
}

// The target-setting procedure with one tuning of each optimizer.
func ExampleFindTargets() {
	w, err := algoperf.ByName("graph-sbm")
	if err != nil {
		panic(err)
	}
	var t algoperf.Targets
	p := algoperf.Procedure{Trials: 1, Repeats: 1, Data: algoperf.OpenData("")}
	if err := algoperf.FindTargets(context.Background(), &t, p, []algoperf.Workload{w}); err != nil {
		panic(err)
	}
	e := t.Workloads[0]
	fmt.Println(e.Workload, len(e.Tried), e.Target == e.Median)
	// Output: graph-sbm 4 true
}

// A submission is an optimizer with its course and the space of its tuning; workloads have targets.
func Example() {
	e, err := algoperf.EntryByName("spectral")
	if err != nil {
		panic(err)
	}
	w, err := algoperf.ByName("graph-sbm")
	if err != nil {
		panic(err)
	}
	fmt.Println(e.Name, w.Name, e.Space.At(0, 0, 5)["lr"] > 0)
	// Output: spectral graph-sbm true
}
