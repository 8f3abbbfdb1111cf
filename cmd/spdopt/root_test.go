package main

import (
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/cmd/spdopt/internal/selftest"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/internal/matio"
)

type rooted struct {
	Kind, Method string
	Power        float64
	N, Count     int
	Residual     float64
	Result       [][]float64
	Out          string
	Matrices     []struct{ File, Matrix, Method string }
}

func TestRootPowKeepsTheJSONContract(t *testing.T) {
	a := gallery.SPD(3, 12, 1e3)
	path := write(t, "a.npy", a)
	o := succeed(t, "root", "pow", "--in", path, "--power", "-0.25", "--json")
	fields(t, o, "method", "residual", "seconds", "result", "kind", "power", "n", "count", "error_bound")
	var r rooted
	decode(t, o, &r)
	if r.Kind != "pow" || r.Power != -0.25 || r.N != 12 || r.Count != 1 || r.Residual > 1e-11 {
		t.Errorf("%+v", r)
	}
	x := mat.NewSymDense(12, flatten(r.Result))
	if e := selftest.RootResidual(x, mat.NewSymDense(12, a.Data)); e > 1e-11 {
		t.Errorf("R^4 A - I = %g", e)
	}
	out := filepath.Join(t.TempDir(), "r.npy")
	f := fields(t, succeed(t, "root", "pow", "--in", path, "--power", "-1/4", "--json", "--out", out), "out")
	if _, ok := f["result"]; ok || f["out"] != out {
		t.Errorf("%v", f)
	}
	all, many := load(t, out)
	if many {
		t.Error("one result became a stack")
	}
	requireClose(t, "file", all[0].Data, flatten(r.Result), 0)
}

func TestRootsAreConsistent(t *testing.T) {
	path := write(t, "a.npy", gallery.SPD(4, 6, 1e2))
	get := func(args ...string) *mat.Dense {
		var r rooted
		decode(t, succeed(t, append([]string{"root", "--json", "--in", path}, args...)...), &r)
		return mat.NewDense(6, 6, flatten(r.Result))
	}
	all, _ := load(t, path)
	a := gonumOf(all[0].Matrix)
	var p mat.Dense
	sqrt := get("sqrt")
	p.Mul(sqrt, sqrt)
	requireClose(t, "sqrt squared", p.RawMatrix().Data, a.RawMatrix().Data, 1e-12)
	p.Mul(get("inv"), a)
	requireClose(t, "inv times a", p.RawMatrix().Data, []float64{1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1}, 1e-11)
	requireClose(t, "pow 1/2", get("pow", "--power", "1/2").RawMatrix().Data, sqrt.RawMatrix().Data, 1e-12)
	requireClose(t, "pow 1", get("pow", "--power", "1").RawMatrix().Data, a.RawMatrix().Data, 1e-12)
	log := filepath.Join(t.TempDir(), "log.npy")
	succeed(t, "root", "log", "--in", path, "--out", log)
	back := filepath.Join(t.TempDir(), "back.npy")
	succeed(t, "root", "exp", "--in", log, "--out", back)
	again, _ := load(t, back)
	requireClose(t, "exp of log", again[0].Data, a.RawMatrix().Data, 1e-12)
}

func TestRootOfStreams(t *testing.T) {
	ms := gallery.KarcherScatter(5, 4, 3, 10)
	stack := write(t, "stack.npy", ms...)
	single := write(t, "one.npy", ms[0])
	out := filepath.Join(t.TempDir(), "out.npy")

	succeed(t, "root", "sqrt", "--in", stack, "--out", out)
	all, many := load(t, out)
	if len(all) != 3 || !many || all[0].Rows != 4 {
		t.Fatalf("%d matrices, many %v", len(all), many)
	}
	for k, m := range all {
		var p mat.Dense
		p.Mul(gonumOf(m.Matrix), gonumOf(m.Matrix))
		requireClose(t, m.Subject(), p.RawMatrix().Data, ms[k].Data, 1e-13)
	}

	succeed(t, "root", "sqrt", "--in", single, stack, "--out", out)
	if again, _ := load(t, out); len(again) != 4 {
		t.Errorf("%d matrices from two files", len(again))
	}

	var o struct {
		Count    int
		Result   [][][]float64
		Matrices []struct{ Matrix string }
	}
	decode(t, succeed(t, "root", "sqrt", "--in", stack, "--json"), &o)
	if o.Count != 3 || len(o.Result) != 3 || o.Matrices[2].Matrix != "matrix 2" {
		t.Errorf("%+v", o)
	}
	requireClose(t, "JSON stack", flatten(o.Result[2]), all[2].Data, 0)

	archive := filepath.Join(t.TempDir(), "in.npz")
	w, err := matio.Create(matio.Target{Path: archive, Stack: true})
	if err != nil {
		t.Fatal(err)
	}
	for k, name := range []string{"left", "right"} {
		if err := w.Add(name, ms[k]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	named := filepath.Join(t.TempDir(), "out.npz")
	succeed(t, "root", "inv", "--in", archive, "--out", named)
	if again, _ := load(t, named); again[1].Name != "right" {
		t.Errorf("name %q", again[1].Name)
	}
	if o := invoke("root", "inv", "--in", stack, "--out", filepath.Join(t.TempDir(), "x.csv")); o.code != exitInput || !strings.Contains(o.stderr, "holds one matrix") {
		t.Errorf("%+v", o)
	}
}

func TestRootAccuracyThatCannotBePromised(t *testing.T) {
	o := invoke("root", "inv", "--in", write(t, "a.npy", gallery.SPD(1, 8, 1e10)), "--tol", "1e-15", "--json")
	if o.code != exitUnmet {
		t.Errorf("%+v", o)
	}
	fields(t, o, "result", "error_bound")
}

func TestRootHumanOutput(t *testing.T) {
	o := succeed(t, "root", "pow", "--power", "-1/2", "--in", writeText(t, "a.csv", "4,0\n0,16\n"))
	for _, want := range []string{"pow, power -0.5", "1, n = 2", "0.5", "0.25", "not written"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("no %q in\n%s", want, o.stdout)
		}
	}
	raw := succeed(t, "root", "sqrt", "--in", writeText(t, "a.csv", "4,0\n0,16\n"), "--out", "-", "--format", "tsv")
	if raw.stdout != "2\t0\n0\t4\n" {
		t.Errorf("%q", raw.stdout)
	}
}
