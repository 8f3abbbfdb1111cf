package algoperf

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/nnopt"
)

// start makes the task of a workload on generated data.
func start(t *testing.T, w *Workload, seed uint64) *Task {
	t.Helper()
	task, err := w.Build(generated, w.Batch, seed)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// generated is shared, so that the sets are made once.
var generated = OpenData("")

// TestWorkloadContract runs through every workload and variant: a name and rules, a finite loss and gradient on every block, the same numbers for a seed
// and any number of threads, others for another seed, an evaluation that changes nothing and is the same for all seeds of data, and steps that lower
// the loss.
func TestWorkloadContract(t *testing.T) {
	names := map[string]bool{}
	for _, w := range Workloads() {
		t.Run(w.Name, func(t *testing.T) {
			if names[w.Name] || w.What == "" || w.Metric == "" || w.Batch < 1 || w.StepHint < 20*w.EvalEvery || w.EvalEvery < 1 {
				t.Errorf("%+v", w)
			}
			names[w.Name] = true
			a, b, c := start(t, &w, 3), start(t, &w, 3), start(t, &w, 4)
			loss := a.Net.Gradient(a.Batch(0))
			old := runtime.GOMAXPROCS(1)
			same := b.Net.Gradient(b.Batch(0))
			runtime.GOMAXPROCS(old)
			if other := c.Net.Gradient(c.Batch(0)); loss != same || loss == other || math.IsNaN(loss) {
				t.Errorf("losses %v, %v and %v of seeds 3, 3 and 4", loss, same, other)
			}
			for i, block := range a.Net.Blocks() {
				if !slices.Equal(block.Grad, b.Net.Blocks()[i].Grad) {
					t.Errorf("block %s: another gradient", block.Name)
				}
				if slices.Max(block.Grad) == 0 && slices.Min(block.Grad) == 0 {
					t.Errorf("block %s has no gradient", block.Name)
				}
			}
			first, _ := a.Evaluate()
			if again, _ := a.Evaluate(); again != first || math.IsNaN(first) {
				t.Errorf("evaluations %v and %v", first, again)
			}
			opt, err := nnopt.New[float32]("adamw", []byte(`{"lr":0.01}`))
			if err != nil {
				t.Fatal(err)
			}
			if err := opt.Init(a.Net.Blocks()); err != nil {
				t.Fatal(err)
			}
			for step := range 12 {
				a.Net.Gradient(a.Batch(step))
				if _, err := opt.Step(a.Net.Blocks(), nnopt.StepInfo{LRScale: 1}); err != nil {
					t.Fatal(err)
				}
			}
			if last, _ := a.Evaluate(); !(last < first) {
				t.Errorf("validation loss %v after %v", last, first)
			}
		})
	}
}

// TestVariants: two for each workload, each of another number of parameters, or another function of the same ones.
func TestVariants(t *testing.T) {
	count := map[string]int{}
	for _, w := range Workloads() {
		if w.Base == "" {
			count[w.Name] += 0
			continue
		}
		count[w.Base]++
		base, err := ByName(w.Base)
		if err != nil || base.Base != "" || !strings.HasPrefix(w.Name, w.Base+"-") || w.Target != 0 {
			t.Errorf("%s: %v, %+v", w.Name, err, w)
		}
		a, b := start(t, &base, 1), start(t, &w, 1)
		x, _ := a.Evaluate()
		if y, _ := b.Evaluate(); x == y {
			t.Errorf("%s is %s", w.Name, w.Base)
		}
	}
	if len(count) != 7 {
		t.Errorf("%d workloads", len(count))
	}
	for name, n := range count {
		if n != 2 {
			t.Errorf("%s has %d variants", name, n)
		}
	}
	one, two := Draw(Workloads(), 1), Draw(Workloads(), 1)
	if len(one) != 14 {
		t.Fatalf("%d workloads drawn", len(one))
	}
	seen := map[string]bool{}
	for i := range one {
		if one[i].Name != two[i].Name || i%2 == 1 && one[i].Base != one[i-1].Name {
			t.Errorf("%s, %s", one[i].Name, two[i].Name)
		}
	}
	for seed := range uint64(50) {
		for _, w := range Draw(Workloads(), seed) {
			seen[w.Name] = true
		}
	}
	if len(seen) != 21 {
		t.Errorf("50 draws saw %d of 21 workloads", len(seen))
	}
	var u *UnknownError
	if _, err := ByName("sudoku"); !errors.As(err, &u) || u.Name != "sudoku" {
		t.Errorf("%v", err)
	}
}

func TestMissingData(t *testing.T) {
	folder := t.TempDir()
	d := OpenData(folder)
	for name, place := range map[string]string{"mnist-mlp": "mnist", "digit-cnn": "mnist", "char-lm": "text.txt"} {
		w, err := ByName(name)
		if err != nil {
			t.Fatal(err)
		}
		var e *matio.Error
		if _, err := d.Digest([]Workload{w}); !errors.As(err, &e) || e.File != filepath.Join(folder, place) || !strings.Contains(err.Error(), "there") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := w.Build(d, w.Batch, 1); !errors.As(err, &e) {
			t.Errorf("%s was built without data: %v", name, err)
		}
	}
	graph, err := ByName("graph-sbm")
	if err != nil {
		t.Fatal(err)
	}
	if digest, err := d.Digest([]Workload{graph}); digest != "" || err != nil {
		t.Errorf("a generated workload: %q, %v", digest, err)
	}
	if _, err := graph.Build(d, 0, 1); err == nil {
		t.Error("a batch of nothing")
	}
	if err := os.WriteFile(filepath.Join(folder, "text.txt"), []byte("short"), 0o666); err != nil {
		t.Fatal(err)
	}
	lm, err := ByName("char-lm")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lm.Build(OpenData(folder), 4, 1); err == nil || !strings.Contains(err.Error(), "too few") {
		t.Errorf("a text of five characters: %v", err)
	}
}

// TestDigest: equal contents have equal digests, other ones others.
func TestDigest(t *testing.T) {
	ws := Workloads()
	a, err := generated.Digest(ws)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := OpenData("").Digest(ws); err != nil || a != b || len(strings.Fields(a)) != 2 {
		t.Errorf("%q and %q, %v", a, b, err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "text.txt"), []byte(strings.Repeat("some text ", 100)), 0o666); err != nil {
		t.Fatal(err)
	}
	lm, err := ByName("char-lm")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := OpenData(folder).Digest([]Workload{lm}); err != nil || strings.Contains(a, b) {
		t.Errorf("%q and %q, %v", a, b, err)
	}
}
