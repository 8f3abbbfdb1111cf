package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/internal/matio"
)

// outcome is what one invocation did.
type outcome struct {
	code           int
	stdout, stderr string
}

// invoke runs the command line in this process, on an empty standard input.
func invoke(args ...string) outcome { return invokeWith(context.Background(), "", args...) }

func invokeWith(ctx context.Context, stdin string, args ...string) outcome {
	var out, errs bytes.Buffer
	a := &app{ctx: ctx, in: strings.NewReader(stdin), out: &out, err: &errs}
	code := a.run(args)
	return outcome{code, out.String(), errs.String()}
}

// succeed runs the command line and demands exit code 0.
func succeed(t *testing.T, args ...string) outcome {
	t.Helper()
	o := invoke(args...)
	if o.code != exitDone {
		t.Fatalf("%q: exit code %d: %s", args, o.code, o.stderr)
	}
	return o
}

// decode parses the one JSON object that the output must be.
func decode(t *testing.T, o outcome, into any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(o.stdout))
	if err := d.Decode(into); err != nil {
		t.Fatalf("%v in %q", err, o.stdout)
	}
	if d.More() {
		t.Fatalf("more than one JSON value: %q", o.stdout)
	}
}

// fields parses the output as an object and demands that it has the fields.
func fields(t *testing.T, o outcome, names ...string) map[string]any {
	t.Helper()
	var object map[string]any
	decode(t, o, &object)
	for _, n := range append(names, "schema") {
		if _, ok := object[n]; !ok {
			t.Errorf("field %q is missing in %q", n, o.stdout)
		}
	}
	if object["schema"] != 1.0 {
		t.Errorf("schema is %v", object["schema"])
	}
	return object
}

// write puts matrices into a file of a temporary folder.
func write(t *testing.T, name string, ms ...dense.Matrix[float64]) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	w, err := matio.Create(matio.Target{Path: path, Stack: len(ms) > 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ms {
		if err := w.Add("", m); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return path
}

func writeText(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, path string) ([]matio.Matrix, bool) {
	t.Helper()
	all, many, err := matio.Load(matio.Source{Paths: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	return all, many
}

// requireClose demands that two matrices agree to tol relative to the largest element.
func requireClose(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	scale := 0.0
	for _, v := range want {
		scale = max(scale, math.Abs(v))
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= tol*scale) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

func flatten(rows [][]float64) (all []float64) {
	for _, r := range rows {
		all = append(all, r...)
	}
	return all
}

// pairOfFour returns four matrices and their known mean.
func pairOfFour(n int) ([]dense.Matrix[float64], dense.Matrix[float64]) {
	return gallery.KarcherPair(gallery.MeanSeed, n, 2, 1e2)
}

func gonumOf(m dense.Matrix[float64]) *mat.Dense { return mat.NewDense(m.Rows, m.Cols, m.Data) }
