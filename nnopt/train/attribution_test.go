package train

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// loaded trains a workload and loads it again.
func loaded(t *testing.T, o Options) *Trained {
	t.Helper()
	o.Out = t.TempDir()
	mustRun(t, o)
	model, err := os.ReadFile(filepath.Join(o.Out, modelFile))
	if err != nil {
		t.Fatal(err)
	}
	trained, err := LoadTrained(o, model)
	if err != nil {
		t.Fatal(err)
	}
	return trained
}

// TestRetrained: on all examples with the seed of the run the network comes out bit for bit, on some of them or with another seed another one does, while
// the examples stay those of the run; what cannot be left out is refused.
func TestRetrained(t *testing.T) {
	for _, workload := range []string{"diffusion", "autoencoder"} {
		run := loaded(t, Options{Workload: workload, Steps: 3, EvalEvery: 3, Batch: 20, Seed: 5})
		training, validation := run.Sizes()
		all := make([]int, training)
		for i := range all {
			all[i] = i
		}
		parameters := func(n *Trained) (v []float32) {
			for _, b := range n.Net.Blocks() {
				v = append(v, b.Value...)
			}
			return v
		}
		again := func(subset []int, seed uint64) *Trained {
			r, err := run.Retrained(subset, seed)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		same, half, other := again(all, 5), again(all[:training/2], 5), again(all, 6)
		if !slices.Equal(parameters(same), parameters(run)) {
			t.Errorf("%s: another network with the same data and seed", workload)
		}
		if slices.Equal(parameters(half), parameters(run)) || slices.Equal(parameters(other), parameters(run)) || half.Step != 1 {
			t.Errorf("%s: %d steps, or the same network with other data or another seed", workload, half.Step)
		}
		a, err := run.Training([]int{1, 7}, AsIs)
		if err != nil {
			t.Fatal(err)
		}
		b, err := half.Training([]int{1, 7}, AsIs)
		if err != nil || workload == "autoencoder" && !slices.Equal(a.X.Data, b.X.Data) {
			t.Errorf("%s: other examples: %v", workload, err)
		}
		if n, _ := half.Sizes(); n != training/2 || validation < 1 {
			t.Errorf("%s: %d of %d examples, %d of validation", workload, n, training, validation)
		}
		for name, f := range map[string]func() error{
			"empty":   func() error { _, err := run.Retrained([]int{}, 1); return err },
			"outside": func() error { _, err := run.Retrained([]int{training}, 1); return err },
			"none":    func() error { _, err := run.Training(nil, AsIs); return err },
			"number":  func() error { _, err := run.Validating([]int{validation}, AsIs); return err },
		} {
			if f() == nil {
				t.Errorf("%s: %s: no error", workload, name)
			}
		}
	}
	if _, err := loaded(t, Options{Workload: "graph", Steps: 1, EvalEvery: 1}).Retrained([]int{1}, 1); err == nil {
		t.Error("a node left out of a graph")
	}
}
