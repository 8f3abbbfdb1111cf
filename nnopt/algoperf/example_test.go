package algoperf_test

import (
	"fmt"
	"math"

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
