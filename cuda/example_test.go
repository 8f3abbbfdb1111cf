package cuda_test

import (
	"fmt"

	"github.com/spdopt/spdopt/cuda"
)

// The state of a matrix and of a vector: momentum, bases and eigenvalues, or the two moments of AdamW.
func ExampleLayout() {
	slots, bytes, err := cuda.Layout([]cuda.Shape{{Rows: 4, Cols: 3}, {Rows: 1, Cols: 4}}, cuda.SpectralOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range slots {
		fmt.Printf("parameter %d: %s, %d x %d\n", s.Param, s.Name, s.Rows, s.Cols)
	}
	fmt.Println(bytes, "bytes")
	// Output:
	// parameter 0: momentum, 4 x 3
	// parameter 0: left_basis, 4 x 4
	// parameter 0: left_values, 1 x 4
	// parameter 0: right_basis, 3 x 3
	// parameter 0: right_values, 1 x 3
	// parameter 0: totals, 1 x 2
	// parameter 1: first, 1 x 4
	// parameter 1: second, 1 x 4
	// 2048 bytes
}
