package main

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/cmd/spdopt/internal/selftest"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/roots"
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
	tensors := filepath.Join(t.TempDir(), "out.safetensors")
	succeed(t, "root", "inv", "--in", archive+":right", "--out", tensors)
	if again, _ := load(t, tensors); len(again) != 1 || again[0].Name != "right" {
		t.Errorf("%d matrices, name %q", len(again), again[0].Name)
	}
	if o := invoke("root", "inv", "--in", stack, "--out", filepath.Join(t.TempDir(), "x.mat")); o.code != exitInput || !strings.Contains(o.stderr, "read, not written") {
		t.Errorf("%+v", o)
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

// TestRootPolar checks the factors of a stack of tall matrices from JSON and from files, under --check and by either method.
func TestRootPolar(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	var all []dense.Matrix[float64]
	for range 3 {
		m := dense.New[float64](6, 4)
		for i := range m.Data {
			m.Data[i] = rng.NormFloat64()
		}
		all = append(all, m)
	}
	stack := write(t, "g.npy", all...)
	for _, method := range []string{"auto", "newton-schulz"} {
		var o struct {
			N, Count  int
			Result    [][][]float64
			ResultH   [][][]float64 `json:"result_h"`
			Passed    bool          `json:"check_passed"`
			Condition float64
			Residual  float64
			Matrices  []struct {
				Rows  int
				Check rootCheck
			}
		}
		decode(t, succeed(t, "root", "polar", "--in", stack, "--json", "--check", "--method", method), &o)
		if o.N != 4 || o.Count != 3 || o.Matrices[1].Rows != 6 || !o.Passed || o.Residual > 1e-13 || o.Condition < 1 || o.Matrices[2].Check.Road == method {
			t.Errorf("%s: %+v", method, o)
		}
		for k, a := range all {
			u, h := mat.NewDense(6, 4, flatten(o.Result[k])), mat.NewDense(4, 4, flatten(o.ResultH[k]))
			var p mat.Dense
			p.Mul(u, h)
			requireClose(t, "U H", p.RawMatrix().Data, a.Data, 1e-13)
			p.Reset()
			p.Mul(u.T(), u)
			requireClose(t, "U^T U", p.RawMatrix().Data, []float64{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}, 1e-13)
		}
	}
	u, h := filepath.Join(t.TempDir(), "u.npy"), filepath.Join(t.TempDir(), "h.npy")
	succeed(t, "root", "polar", "--in", stack, "--out", u, "--out-h", h)
	us, _ := load(t, u)
	hs, _ := load(t, h)
	if len(us) != 3 || us[0].Rows != 6 || len(hs) != 3 || hs[0].Rows != 4 {
		t.Errorf("%d factors U, %d factors H", len(us), len(hs))
	}
	one := succeed(t, "root", "polar", "--in", writeText(t, "a.csv", "3,0\n0,4\n0,3\n"))
	for _, want := range []string{"1, 3 x 2", "H", "0.8", "5"} {
		if !strings.Contains(one.stdout, want) {
			t.Errorf("no %q in\n%s", want, one.stdout)
		}
	}
}

// TestRootCheck checks --check on every kind and on streams; that it fails where the tolerance is below what differs is left to the next test.
func TestRootCheck(t *testing.T) {
	stack := write(t, "s.npy", gallery.KarcherScatter(9, 5, 2, 100)...)
	for _, args := range [][]string{{"sqrt"}, {"inv"}, {"log"}, {"exp"}, {"pow", "--power", "-1/4"}, {"pow", "--power", "0.37"}, {"pow", "--power", "-3.5"}, {"pow", "--power", "0"}} {
		var o struct {
			Passed   *bool `json:"check_passed"`
			Residual *float64
			Matrices []struct{ Check *rootCheck }
		}
		decode(t, succeed(t, append([]string{"root", "--in", stack, "--json", "--check"}, args...)...), &o)
		if o.Passed == nil || !*o.Passed || len(o.Matrices) != 2 || o.Residual == nil || *o.Residual < 0 {
			t.Errorf("%v: %+v", args, o)
		}
		for _, m := range o.Matrices {
			if m.Check == nil || !m.Check.Passed || m.Check.Road == "" || !(m.Check.Difference <= m.Check.Allowed) {
				t.Errorf("%v: %+v", args, m.Check)
			}
		}
	}
	if o := succeed(t, "root", "sqrt", "--in", stack, "--check"); !strings.Contains(o.stdout, "passed: differs by") {
		t.Error(o.stdout)
	}
}

func TestRootCheckThatFails(t *testing.T) {
	sink := &rootSink{}
	job := &rootJob{f: &rootFlags{verify: true}, o: &roots.Options{Method: "eigen", Tol: 1e-300}, sink: sink, q: roots.Query{Kind: roots.KindInv}}
	m := matio.Matrix{File: "a.npy", Index: -1, Matrix: gallery.SPD(1, 8, 1e10)}
	r, err := job.compute(&m)
	if err != nil || r.check == nil || r.check.Passed != (r.check.Difference <= r.check.Allowed) || exitCode(job.missed) != exitUnmet {
		t.Errorf("%+v, %v, %v", r.check, err, job.missed)
	}
	path := write(t, "a.npy", gallery.SPD(1, 8, 1e10))
	if o := invoke("root", "inv", "--in", path, "--tol", "1e-15", "--check", "--method", "eigen"); o.code != exitUnmet {
		t.Errorf("%+v", o)
	}
}

// TestRootBadSpectra checks what is said of matrices that are singular or indefinite, and of powers that leave the range.
func TestRootBadSpectra(t *testing.T) {
	semi, indefinite := writeText(t, "semi.csv", "1,1\n1,1\n"), writeText(t, "ind.csv", "1,0,0\n0,-0.5,0\n0,0,3\n")
	one, two, tiny := writeText(t, "one.csv", "4\n"), writeText(t, "two.csv", "2,1\n1,2\n"), writeText(t, "tiny.csv", "0.25\n")
	wide, deficient, empty := writeText(t, "wide.csv", "1,2,3\n4,5,6\n"), writeText(t, "def.csv", "1,1\n1,1\n1,1\n"), write(t, "empty.npy", dense.New[float64](0, 0))
	for _, c := range []struct {
		code int
		part string
		args []string
	}{
		{exitInput, "smallest eigenvalue -0.5 (largest 3)", []string{"pow", "--power", "-0.5", "--in", indefinite}},
		{exitInput, "smallest eigenvalue -0.5 (largest 3)", []string{"sqrt", "--in", indefinite}},
		{exitInput, "smallest eigenvalue -0.5 (largest 3)", []string{"log", "--in", indefinite}},
		{exitInput, "--cutoff 1e-12 to drop the eigenvalues", []string{"pow", "--power", "-0.5", "--in", semi}},
		{exitInput, "smallest eigenvalue 0 (largest 2)", []string{"inv", "--in", semi}},
		{exitFailure, "largest usable power of this sign is 646", []string{"pow", "--power", "1e6", "--in", two}},
		{exitFailure, "overflows: eigenvalue 4", []string{"pow", "--power", "1e6", "--in", one}},
		{exitFailure, "underflows: eigenvalue 4 maps to 10^-602060; the largest usable power of this sign is -511", []string{"pow", "--power", "-1e6", "--in", one}},
		{exitFailure, "overflows: eigenvalue 0.25", []string{"pow", "--power", "-1e6", "--in", tiny}},
		{exitFailure, "exp overflows", []string{"exp", "--in", writeText(t, "e.csv", "800,0\n0,1\n")}},
		{exitInput, "2 x 3: polar needs at least as many rows", []string{"polar", "--in", wide}},
		{exitInput, "full column rank: smallest singular value", []string{"polar", "--in", deficient}},
		{exitInput, "empty", []string{"sqrt", "--in", empty}},
		{exitUsage, "use polar-express or newton-schulz", []string{"polar", "--in", deficient, "--method", "eigen"}},
		{exitUsage, "--out-h has no effect on root sqrt", []string{"sqrt", "--in", one, "--out-h", "h.npy"}},
		{exitUsage, "no effect on root polar", []string{"polar", "--in", one, "--cutoff", "1e-3"}},
		{exitUsage, "--check has no second road", []string{"inv", "--in", semi, "--cutoff", "1e-12", "--check"}},
		{exitUsage, "--cutoff", []string{"inv", "--in", semi, "--cutoff", "2"}},
	} {
		if o := invoke(append([]string{"root"}, c.args...)...); o.code != c.code || !strings.Contains(o.stderr, c.part) || o.stdout != "" {
			t.Errorf("%v: %+v, want code %d and %q", c.args, o, c.code, c.part)
		}
	}
	o := succeed(t, "root", "pow", "--power", "-0.5", "--in", semi, "--cutoff", "1e-12")
	if !strings.Contains(o.stdout, "1 eigenvalue by --cutoff") || !strings.Contains(o.stdout, "0.353553") {
		t.Error(o.stdout)
	}
	var dropped struct {
		Matrices []struct {
			Dropped []float64 `json:"dropped_eigenvalues"`
		}
	}
	decode(t, succeed(t, "root", "inv", "--in", indefinite, "--cutoff", "0.4", "--json"), &dropped)
	if got := dropped.Matrices[0].Dropped; len(got) != 2 || got[0] != -0.5 || got[1] != 1 {
		t.Errorf("dropped %v", got)
	}
	// Functions that are defined there are computed.
	for _, args := range [][]string{{"sqrt", "--in", semi}, {"pow", "--power", "2", "--in", indefinite}, {"exp", "--in", indefinite}, {"sqrt", "--in", one}, {"pow", "--power", "600", "--in", two}} {
		var r rooted
		decode(t, succeed(t, append([]string{"root", "--json", "--check"}, args...)...), &r)
		if r.Residual > 1e-13 {
			t.Errorf("%v: residual %g", args, r.Residual)
		}
	}
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
