package train_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spdopt/spdopt/nnopt/train"
)

// The network of a state that a run left, with its data, for whatever is to be done with it.
func ExampleLoadState() {
	var last []byte
	o := train.Options{Workload: "graph", Steps: 40, Seed: 1, Checkpoint: func(_ int, state []byte) error {
		last = append(last[:0], state...)
		return nil
	}}
	if _, err := train.Run(o); err != nil {
		panic(err)
	}
	t, err := train.LoadState(last, nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(t.Workload.Name, t.Step, t.Net.Dim())
	// Output: graph 40 548
}

// The network that a run left in its folder.
func ExampleLoadTrained() {
	out, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(out)
	o := train.Options{Workload: "graph", Steps: 40, Seed: 1, Out: out}
	if _, err := train.Run(o); err != nil {
		panic(err)
	}
	model, err := os.ReadFile(filepath.Join(out, "model.safetensors"))
	if err != nil {
		panic(err)
	}
	t, err := train.LoadTrained(o, model)
	if err != nil {
		panic(err)
	}
	fmt.Println(t.Workload.Name, t.Net.Dim())
	// Output: graph 548
}

func ExampleWorkloads() {
	for _, w := range train.Workloads()[:2] {
		again, err := train.ByName(w.Name)
		fmt.Println(again.Name, again.Metric, err)
	}
	// Output:
	// mnist-mlp accuracy <nil>
	// mnist-cnn accuracy <nil>
}
