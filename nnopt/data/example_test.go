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

// Training data as functions of a seed: a set, its split, and the batches of the steps.
func Example() {
	s := data.Rings[float32](100, 2, 0.1, data.Stream(1, "points", 0))
	learn, valid, err := s.Split(0.2)
	if err != nil {
		panic(err)
	}
	order, err := data.NewOrder(learn.N, 16, 1)
	if err != nil {
		panic(err)
	}
	var batch data.Set[float32]
	learn.Gather(order.Batch(0), &batch)
	fmt.Println(learn.N, valid.N, batch.N, batch.X.Cols, order.PerEpoch())
	// Output: 80 20 16 2 5
}
