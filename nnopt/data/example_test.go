package data_test

import (
	"fmt"

	"github.com/spdopt/spdopt/nnopt/data"
)

// Byte-pair tokens of a text.
func ExampleNewTokenizer() {
	t := data.NewTokenizer("low lower lowest", 4)
	ids, err := t.Encode("lower low")
	fmt.Println(t.Size(), len(ids), t.Decode(ids), err)
	// Output: 12 4 lower low <nil>
}

// Batches without repetition inside of an epoch, as a function of seed and step.
func ExampleOrder() {
	o, err := data.NewOrder(6, 2, 7)
	if err != nil {
		panic(err)
	}
	seen := map[int]bool{}
	for step := range o.PerEpoch() {
		for _, i := range o.Batch(step) {
			seen[i] = true
		}
	}
	fmt.Println(len(seen))
	// Output: 6
}
