package run_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spdopt/spdopt/internal/run"
)

func ExampleRun() {
	dir, _ := os.MkdirTemp("", "spdopt-run-")
	defer os.RemoveAll(dir)
	r, err := run.Create(filepath.Join(dir, "first"), run.Manifest{Verb: "minimize", Name: "sphere", Seed: 7}, run.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	r.Checkpoint(run.State{Kind: "search", Next: 1, Data: []byte("the start")})
	r.Ask(run.Asked{ID: 1, X: []float64{0.5, 2}})
	r.Tell(run.Told{ID: 1, F: 4.25})
	r.Ask(run.Asked{ID: 2, X: []float64{1, 1}})
	r.Close() // or the process dies here

	if r, err = run.Open(r.Dir(), run.Options{}); err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	fmt.Printf("state %q\n", r.State().Data)
	for e := range r.Tail("ask", "tell") {
		fmt.Println(e.Kind, e.ID, e.X, e.F)
	}
	// Output:
	// state "the start"
	// ask 1 [0.5 2] 0
	// tell 1 [] 4.25
	// ask 2 [1 1] 0
}
